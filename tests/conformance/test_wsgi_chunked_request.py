"""WSGIChunkedRequest: request bodies of unknown length."""

import pytest

READ = """
    def application(environ, start_response):
        body = environ["wsgi.input"].read()
        start_response("200 OK", [])
        return [repr((environ.get("CONTENT_LENGTH"), environ.get("HTTP_TRANSFER_ENCODING"), len(body), body[:20])).encode()]
"""
PIECES = [b"one ", b"two ", b"three"]
WHOLE = repr((None, "chunked", 13, b"one two three"))


class TestChunkedRequest:
    @staticmethod
    def configure(site):
        script = site.write("read.wsgi", READ)
        site.add(site.daemon("app"), f"""
            WSGIScriptAlias /default {script}
            WSGIScriptAlias /on {script}
            WSGIScriptAlias /on/off {script}
            <Location /on>
                WSGIChunkedRequest On
            </Location>
            <Location /on/off>
                WSGIChunkedRequest Off
            </Location>
        """)

    def test_without_it_a_chunked_body_is_a_411(self, server):
        for path in ("/default", "/on/off"):
            assert server.post(path, iter(PIECES)).status == 411
            server.log.expect("wsgi:error.*hunked")

    def test_with_on_the_body_is_read_to_its_end(self, server):
        answer = server.post("/on", iter(PIECES))
        assert (answer.status, answer.text) == (200, WHOLE)

    def test_an_empty_chunked_body_is_empty(self, server):
        assert server.post("/on", iter([])).text == repr((None, "chunked", 0, b""))

    def test_chunk_extensions_and_trailers_are_not_part_of_the_body(self, server):
        answer = server.raw(b"POST /on HTTP/1.1\r\nHost: x\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
                            b'4;name="value"\r\none \r\n9\r\ntwo three\r\n0\r\nX-Trailer: yes\r\n\r\n')
        assert answer.endswith(WHOLE.encode()) or WHOLE.encode() in answer

    def test_another_coding_than_chunked_is_refused(self, server):
        answer = server.raw(b"POST /on HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip\r\n\r\n")
        assert answer.split(b" ")[1] in (b"400", b"501")
        server.log.declare("wsgi:error", "core:error", "http:error")

    def test_a_length_beside_chunked_cannot_smuggle_a_request(self, server):
        answer = server.raw(b"POST /on HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n"
                            b"0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n")
        assert answer.count(b"HTTP/1.1 ") == 1
        server.log.declare("wsgi:error", "core:error", "http:error", "core:warn")


class TestBrokenChunks:
    @staticmethod
    def configure(site):
        site.write("read.wsgi", READ)
        site.add("WSGIChunkedRequest On")
        site.serve("read.wsgi", at="/on")
        site.log.allow("wsgi:error", "core:error", "http:error")

    @pytest.mark.parametrize("chunk", [b"not a size\r\n", b"-1\r\n", b"ffffffffffffffffff\r\n", b"5\r\nonetwothree"])
    def test_a_chunk_that_is_no_chunk_is_an_error_and_ends_the_connection(self, server, chunk):
        answer = server.raw(b"POST /on HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n" + chunk)
        assert answer.split(b" ")[1] in (b"400", b"413", b"500") and answer.count(b"HTTP/1.1 ") == 1
        assert server.post("/on", iter(PIECES)).text == WHOLE
