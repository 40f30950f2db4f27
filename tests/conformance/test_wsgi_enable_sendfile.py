"""WSGIEnableSendfile, and wsgi.file_wrapper, whose files it is for. Source: PEP 3333, "Optional Platform-Specific File Handling"."""

import hashlib

import pytest

from harness import under_test
from harness.processes import wait_until

APPLICATION = """
    import io
    import os
    import urllib.parse

    FOLDER = os.path.dirname(__file__)

    class Noted:
        def __init__(self, file, name):
            self.file, self.name = file, name

        def __getattr__(self, attribute):
            return getattr(self.file, attribute)

        def close(self):
            with open(FOLDER + "/closed", "a") as log:
                log.write(self.name + "\\n")
            self.file.close()

    class ReadFails(Noted):
        fileno = None

        def read(self, size):
            raise OSError("the file cannot be read")

    class OnlyRead:
        def __init__(self, data):
            self.data = io.BytesIO(data)

        def read(self, size):
            return self.data.read(size)

    def application(environ, start_response):
        what = environ["PATH_INFO"].strip("/")
        asked = dict(urllib.parse.parse_qsl(environ["QUERY_STRING"]))
        if what == "only-read":
            file = OnlyRead(b"only read")
        elif what == "bytes":
            file = io.BytesIO(b"bytes in memory")
        elif what == "pipe":
            reading, writing = os.pipe()
            os.write(writing, b"from a pipe")
            os.close(writing)
            file = open(reading, "rb")
        else:
            file = (ReadFails if what == "read-fails" else Noted)(open(FOLDER + "/data.bin", "rb"), what)
            file.seek(int(asked.get("offset", 0)))
        headers = [("Content-Type", "application/octet-stream")]
        if "length" in asked:
            headers.append(("Content-Length", asked["length"]))
        if what != "not-started":
            start_response({"no-content": "204 No", "not-modified": "304 No"}.get(what, "200 OK"), headers)
        wrapper = environ["wsgi.file_wrapper"](file, int(asked.get("block", 8192)))
        if what == "no-answer":
            return [b"another answer"]
        if what == "raises":
            raise RuntimeError("after the wrapper was made")
        return wrapper
"""
DATA = b"".join(hashlib.sha256(b"%d" % number).digest() for number in range(65536))


class Files:
    """The same answers whatever WSGIEnableSendfile says."""

    @staticmethod
    def configured(site, line):
        site.write("file.wsgi", APPLICATION)
        site.path("data.bin").write_bytes(DATA)
        site.write("closed", "", mode=0o666)
        site.add(line)
        site.serve("file.wsgi")

    def test_a_file_arrives_whole_and_with_its_length(self, server):
        answer = server.get("/whole")
        assert (answer.status, answer.complete, answer.headers["Content-Length"]) == (200, True, str(len(DATA)))
        assert answer.body == DATA

    def test_a_file_is_sent_from_its_position(self, server):
        for offset in (1, 4096, len(DATA) - 1, len(DATA)):
            answer = server.get(f"/offset?offset={offset}")
            assert answer.body == DATA[offset:]
            assert answer.headers["Content-Length"] == (str(len(DATA) - offset))

    def test_a_shorter_content_length_is_kept_to(self, server):
        with server.keep_alive() as connection:
            for offset, length in ((0, 10), (100, 65536), (7, 0)):
                answer = connection.get(f"/length?offset={offset}&length={length}")
                assert answer.body == DATA[offset:offset + length]

    def test_files_in_turn_on_one_connection_stay_apart(self, server):
        with server.keep_alive() as connection:
            for offset in (0, 1000, 2_000_000, 5):
                assert connection.get(f"/turn?offset={offset}&length=50000").body == DATA[offset:offset + 50000]
            assert connection.request("HEAD", "/turn").body == b""
            assert connection.get("/turn").body == DATA

    @pytest.mark.parametrize("what, body", [
        pytest.param("only-read", b"only read", marks=pytest.mark.ours_only("the C module wants a close() of the file")),
        ("bytes", b"bytes in memory"), ("pipe", b"from a pipe")])
    def test_what_is_no_file_is_read_piece_by_piece(self, server, what, body):
        for block in (1, 3, 8192):
            answer = server.get(f"/{what}?block={block}")
            assert (answer.status, answer.body) == (200, body)

    def test_the_file_is_closed_once(self, server, site):
        before = site.path("closed").read_text().split().count("once")
        server.get("/once?length=10")
        wait_until(lambda: site.path("closed").read_text().split().count("once") > before, "the file is closed")
        server.get("/other?length=10")
        assert site.path("closed").read_text().split().count("once") == before + 1

    def closed(self, server, site, path, ask):
        """How often the file was closed, once the next request's is."""
        site.path("closed").write_text("")
        answer = ask(path)
        wait_until(lambda: path in site.path("closed").read_text().split(), f"the file of {path} is closed")
        server.get("/next?length=10")
        wait_until(lambda: "next" in site.path("closed").read_text().split(), "the next file is closed")
        return site.path("closed").read_text().split().count(path), answer

    @pytest.mark.parametrize("path, how, status", [
        ("head", {"method": "HEAD"}, 200), ("no-content", {}, 204), ("not-modified", {}, 304),
        ("nothing", {"query": "?length=0"}, 200), ("range", {"bytes": "0-1"}, 206), ("beyond", {"bytes": f"{len(DATA)}-"}, 416),
        ("no-length", {"query": "?length=abc"}, 500), ("not-started", {}, 500), ("read-fails", {}, 500),
        ("too-long", {"query": f"?length={len(DATA) + 90}"}, 200)])
    def test_it_is_closed_once_whatever_becomes_of_the_response(self, server, site, path, how, status):
        def ask(path):
            headers = {"Connection": "close"}  # the C module in daemon mode ends a response that is too short no other way
            if "bytes" in how:
                headers["Range"] = f"bytes={how['bytes']}"
            return server.request(how.get("method", "GET"), f"/{path}{how.get('query', '')}", headers=headers)
        server.log.declare("wsgi:error")
        times, answer = self.closed(server, site, path, ask)
        assert times == 1
        if under_test.OURS or site.embedded or "bytes" not in how:  # in daemon mode the C module's answer is not cut
            assert answer.status == status

    def test_it_is_closed_once_when_the_client_leaves_in_the_middle(self, server, site):
        def ask(path):
            with server.connect() as connection:
                connection.sendall(f"GET /{path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
                assert connection.recv(100).startswith(b"HTTP/1.1 200")
        if not under_test.OURS:
            server.log.declare("wsgi:error.*(Broken pipe|reset|aborted)", "wsgi:error.*Exception|wsgi:error.*exception raised")
        assert self.closed(server, site, "gone", ask)[0] == 1

    def test_a_wrapper_that_is_not_the_answer_closes_nothing(self, server, site):
        site.path("closed").write_text("")
        assert server.get("/no-answer").body == b"another answer"
        assert server.get("/raises").status == 500
        server.log.expect("RuntimeError: after the wrapper was made")
        server.log.declare("wsgi:error")
        assert server.get("/next?length=10").status == 200
        wait_until(lambda: "next" in site.path("closed").read_text().split(), "the next file is closed")
        assert site.path("closed").read_text().split() == ["next"]

    @pytest.mark.ours_only("the C module flushes before the end, so that httpd has no length to cut from")
    def test_a_range_is_answered_by_httpds_filter(self, server):
        answer = server.get("/range", {"Range": "bytes=100-199"})
        assert (answer.status, answer.body, answer.headers["Content-Range"]) == (206, DATA[100:200], f"bytes 100-199/{len(DATA)}")
        assert server.get("/range", {"Range": "bytes=-10"}).body == DATA[-10:]
        several = server.get("/range", {"Range": "bytes=0-9,100-109"})
        assert several.status == 206 and several.headers["Content-Type"].startswith("multipart/byteranges")
        assert server.get("/range", {"Range": f"bytes={len(DATA)}-"}).status == 416

    @pytest.mark.ours_only("the C module sends NUL bytes or breaks off")
    def test_a_content_length_beyond_the_end_is_visible_to_the_client(self, server):
        for left in (10, 1_000_000):
            answer = server.get(f"/beyond?offset={len(DATA) - left}&length={left + 90}")
            assert not (answer.status == 200 and answer.complete)
            assert b"\0" * 20 not in answer.body
        server.log.expect("wsgi:error.*Content-Length")
        server.log.declare("wsgi:error")
        assert server.get("/whole").body == DATA


class TestUnset(Files):
    @staticmethod
    def configure(site):
        Files.configured(site, "")


class TestOn(Files):
    mpms = ("event", "prefork")

    @staticmethod
    def configure(site):
        Files.configured(site, "WSGIEnableSendfile On\nEnableSendfile On")


class TestOff(Files):
    mpms = ("event",)

    @staticmethod
    def configure(site):
        Files.configured(site, "WSGIEnableSendfile Off\nEnableMMAP Off")
