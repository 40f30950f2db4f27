"""WsgiDAV in a virtualenv: a file server by WebDAV, with large uploads, ranges and unusual methods."""

import base64
import hashlib
import xml.etree.ElementTree

import pytest

from harness.programs import virtualenv_or_skip

APPLICATION = """
    import os
    from wsgidav.wsgidav_app import WsgiDAVApp

    application = WsgiDAVApp({
        "provider_mapping": {"/": os.path.dirname(__file__) + "/files"},
        "simple_dc": {"user_mapping": {"*": {"ann": {"password": "secret"}}}},
        "http_authenticator": {"accept_basic": True, "accept_digest": False, "default_to_digest": False},
        "mount_path": "/dav",
        "verbose": 1,
        "logging": {"enable": False},
        "property_manager": True,
        "lock_storage": True,
    })
"""
ANN = {"Authorization": "Basic " + base64.b64encode(b"ann:secret").decode()}


class TestWsgiDav:
    mpms = ("event",)

    @classmethod
    def configure(cls, site):
        cls.virtualenv = virtualenv_or_skip("wsgidav>=4.3,<5")
        script = site.write("dav.wsgi", APPLICATION)
        site.path("files").mkdir()
        site.path("files").chmod(0o777)
        if site.embedded:
            site.one_child()
            site.add(f"WSGIPythonHome {cls.virtualenv}")
        site.add(site.daemon("dav", f"python-home={cls.virtualenv} threads=5"), "WSGIApplicationGroup %{GLOBAL}",
                 "WSGIPassAuthorization On", "WSGIChunkedRequest On", f"WSGIScriptAlias /dav {script}")

    def names(self, answer):
        """The paths in a PROPFIND response."""
        assert answer.status == 207, answer
        root = xml.etree.ElementTree.fromstring(answer.body)
        return {element.text for element in root.iter("{DAV:}href")}

    def test_a_stranger_is_asked_who_he_is(self, server):
        answer = server.get("/dav/")
        assert answer.status == 401 and answer.headers["WWW-Authenticate"].startswith("Basic ")
        assert server.get("/dav/", {"Authorization": "Basic eDp5"}).status == 401

    def test_options_lists_the_methods(self, server):
        answer = server.request("OPTIONS", "/dav/", headers=ANN)
        assert answer.status == 200 and "PROPFIND" in answer.headers["Allow"] and "1" in answer.headers["DAV"]

    @pytest.mark.parametrize("size", [0, 5, 3_000_000])
    def test_a_file_is_put_and_got(self, server, size):
        data, path = hashlib.sha256(b"x").digest() * (size // 32 + 1), f"/dav/file-{size}.bin"
        data = data[:size]
        with server.keep_alive() as connection:
            assert connection.request("PUT", path, data, ANN).status in (201, 204)
            answer = connection.request("GET", path, None, ANN)
            assert (answer.status, answer.body) == (200, data)
            length = connection.request("HEAD", path, None, ANN).headers["Content-Length"]
            assert length == (str(size) if size else None)  # httpd leaves out a length of 0 after HEAD

    def test_a_file_is_put_in_chunks(self, server):
        assert server.request("PUT", "/dav/chunked.txt", iter([b"one ", b"two"]), ANN).status in (201, 204)
        assert server.get("/dav/chunked.txt", ANN).body == b"one two"

    def test_a_part_of_a_file_is_got(self, server):
        assert server.request("PUT", "/dav/part.txt", b"0123456789", ANN).status in (201, 204)
        answer = server.get("/dav/part.txt", ANN | {"Range": "bytes=3-5"})
        assert (answer.status, answer.body, answer.headers["Content-Range"]) == (206, b"345", "bytes 3-5/10")

    def test_folders_are_made_listed_moved_and_deleted(self, server, site):
        with server.keep_alive() as connection:
            assert connection.request("MKCOL", "/dav/folder", None, ANN).status == 201
            assert connection.request("PUT", "/dav/folder/a%20b.txt", b"text", ANN).status == 201
            listed = self.names(connection.request("PROPFIND", "/dav/folder/", None, ANN | {"Depth": "1"}))
            assert listed == {"/dav/folder/", "/dav/folder/a%20b.txt"}
            to = {"Destination": f"http://127.0.0.1:{site.port}/dav/moved"}
            assert connection.request("MOVE", "/dav/folder", None, ANN | to).status in (201, 204)
            assert connection.request("GET", "/dav/moved/a%20b.txt", None, ANN).body == b"text"
            assert connection.request("DELETE", "/dav/moved", None, ANN).status in (200, 204)
            assert connection.request("GET", "/dav/moved/a%20b.txt", None, ANN).status == 404

    def test_a_lock_keeps_others_out(self, server):
        lock = (b'<?xml version="1.0"?><D:lockinfo xmlns:D="DAV:"><D:lockscope><D:exclusive/></D:lockscope>'
                b"<D:locktype><D:write/></D:locktype><D:owner>ann</D:owner></D:lockinfo>")
        assert server.request("PUT", "/dav/locked.txt", b"first", ANN).status in (201, 204)
        answer = server.request("LOCK", "/dav/locked.txt", lock, ANN | {"Content-Type": "application/xml", "Timeout": "Second-60"})
        assert answer.status == 200
        token = answer.headers["Lock-Token"]
        assert server.request("PUT", "/dav/locked.txt", b"second", ANN).status == 423
        assert server.request("PUT", "/dav/locked.txt", b"second", ANN | {"If": f"({token})"}).status == 204
        assert server.request("UNLOCK", "/dav/locked.txt", None, ANN | {"Lock-Token": token}).status == 204
