"""The same responses over HTTP/2 (mod_http2, without TLS): whole ones are whole, and a broken one resets its stream alone."""

import pytest

from harness import httpd_program
from harness.http2 import Http2, Stream

APPLICATION = """
    import hashlib
    import os
    import signal

    def echo(stream):
        while data := stream.read(8192):
            yield data

    def items(what):
        yield b"12345"
        if what.endswith("fail"):
            raise ValueError("after data")
        if what == "die":
            os.kill(os.getpid(), signal.SIGKILL)
        yield b"67890"

    def application(environ, start_response):
        what = environ["PATH_INFO"].strip("/")
        headers = [("Content-Type", "text/plain")]
        if what.startswith("length-"):
            headers.append(("Content-Length", what.split("-")[1]))
        if what == "hop":
            headers += [("Connection", "close"), ("Transfer-Encoding", "chunked"), ("Keep-Alive", "timeout=1")]
        start_response("200 OK", headers)
        if what == "protocol":
            return [environ["SERVER_PROTOCOL"].encode()]
        if what == "echo":
            return echo(environ["wsgi.input"])
        if what == "file":
            return environ["wsgi.file_wrapper"](open(__file__, "rb"))
        if what == "large":
            return [b"x" * 100_000] * 30
        return items(what)
"""
DIES = pytest.mark.ours_only("the C module ends the stream as if the response were complete")


class TestHttp2:
    mpms = ("event", "worker")

    @staticmethod
    def configure(site):
        site.write("two.wsgi", APPLICATION)
        site.add(httpd_program.load_modules("http2"), "Protocols h2c http/1.1")
        site.serve("two.wsgi")
        site.log.allow("exit signal Killed", "WSGI0146", "WSGI7055")

    @pytest.mark.parametrize("path", ["/", "/length-10"])
    def test_a_response_arrives_whole(self, server, path):
        with Http2(server) as connection:
            assert connection.get(path) == Stream(status_200=True, body=b"1234567890", complete=True)

    def test_large_responses_and_files_arrive_whole(self, server, site):
        with Http2(server) as connection:
            for path, body in (("/large", b"x" * 3_000_000), ("/file", site.path("two.wsgi").read_bytes())):
                assert connection.get(path) == Stream(status_200=True, body=body, complete=True)

    def test_a_body_is_echoed(self, server):
        body = bytes(range(256)) * 200
        with Http2(server) as connection:
            assert connection.get("/echo", "POST", body) == Stream(status_200=True, body=body, complete=True)

    def test_the_application_sees_the_protocol(self, server):
        with Http2(server) as connection:
            assert connection.get("/protocol").body == b"HTTP/2.0"

    @pytest.mark.ours_only("the C module now and then logs a failure")
    def test_data_beyond_the_content_length_is_not_sent(self, server):
        with Http2(server) as connection:
            assert connection.get("/length-7") == Stream(status_200=True, body=b"1234567", complete=True)

    def test_many_requests_at_once_have_each_its_answer(self, server):
        with Http2(server) as connection:
            streams = {length: connection.begin(f"/length-{length}") for length in range(1, 11)}
            connection.finish()
        assert streams == {length: Stream(status_200=True, body=b"1234567890"[:length], complete=True) for length in streams}

    def test_what_an_application_says_of_the_connection_is_left_out(self, server):
        with Http2(server) as connection:
            for _ in range(2):
                assert connection.get("/hop") == Stream(status_200=True, body=b"1234567890", complete=True)

    @DIES
    @pytest.mark.parametrize("path", ["/fail", "/length-20", "/length-10-fail"])
    def test_a_response_that_cannot_be_completed_resets_its_stream_and_no_other(self, server, path):
        with Http2(server) as connection:
            for _ in range(2):
                broken, whole = connection.begin(path), connection.begin("/length-10")
                connection.finish()
                assert (broken.complete, broken.reset is not None) == (False, True), broken
                assert whole == Stream(status_200=True, body=b"1234567890", complete=True)
            assert not connection.gone_away
        server.log.declare("wsgi:error")

    @DIES
    def test_a_daemon_that_dies_within_a_response_resets_its_stream_and_no_other(self, server, site):
        if site.embedded:
            pytest.skip("in embedded mode the whole child dies, and the connection with it")
        with Http2(server) as connection:
            broken = connection.get("/die")
            assert (broken.complete, broken.reset is not None) == (False, True), broken
            assert connection.get("/length-10") == Stream(status_200=True, body=b"1234567890", complete=True)
