"""WSGIChunkedRequest: request bodies of unknown length."""

import pytest

from test_connection_in_step import answers

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

    @pytest.mark.parametrize("chunk", [b"not a size\r\n", b"-1\r\n", b"ffffffffffffffffff\r\n", b"5\r\nonetwothree\r\n"])
    def test_a_chunk_that_is_no_chunk_is_an_error_and_ends_the_connection(self, server, chunk):
        answer = server.raw(b"POST /on HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n" + chunk)
        assert answer.split(b" ")[1] in (b"400", b"413", b"500") and answer.count(b"HTTP/1.1 ") == 1
        assert server.post("/on", iter(PIECES)).text == WHOLE


STEP = """
    def application(environ, start_response):
        what, stream = environ["PATH_INFO"], environ["wsgi.input"]
        if what == "/line":
            body = b"".join(iter(stream.readline, b""))
        elif what == "/some":
            body = stream.read(3)
        elif what == "/caught":
            try:
                body = stream.read()
            except OSError:
                body = b"an error"
        else:
            body = stream.read() if what == "/read" else b""
        answer = what.encode() + b" " + body
        start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(answer)))])
        return [answer]
"""
DATA = b"GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n"
SIZE = b"%x" % len(DATA)
END = b"0\r\n\r\n"
WELL_FORMED = {
    "plain": SIZE + b"\r\n" + DATA + b"\r\n" + END,
    "upper case": SIZE.upper() + b"\r\n" + DATA + b"\r\n" + END,
    "zeros in front": b"000" + SIZE + b"\r\n" + DATA + b"\r\n000\r\n\r\n",
    "extension": SIZE + b";a=b\r\n" + DATA + b"\r\n0;c\r\n\r\n",
    "trailer": SIZE + b"\r\n" + DATA + b"\r\n0\r\nX-Trailer: yes\r\n\r\n",
    "two chunks": b"5\r\n" + DATA[:5] + b"\r\n%x\r\n" % (len(DATA) - 5) + DATA[5:] + b"\r\n" + END,
}
MALFORMED = {
    "line in front": b"\r\n" + SIZE + b"\r\n" + DATA + b"\r\n" + END,
    "newline in front": b"\n" + SIZE + b"\r\n" + DATA + b"\r\n" + END,
    "newline within the size": SIZE[:1] + b"\n" + SIZE[1:] + b"\r\n" + DATA + b"\r\n" + END,
    "line within the size": SIZE[:1] + b"\r\n" + SIZE[1:] + b"\r\n" + DATA + b"\r\n" + END,
    "return within the size": SIZE[:1] + b"\r" + SIZE[1:] + b"\r\n" + DATA + b"\r\n" + END,
    "newline and line behind": SIZE + b"\n\r\n" + DATA + b"\r\n" + END,
    "two lines behind": SIZE + b"\r\n\r\n" + DATA + b"\r\n" + END,
    "two returns behind": SIZE + b"\r\r\n" + DATA + b"\r\n" + END,
    "return alone behind": SIZE + b"\r" + DATA + b"\r\n" + END,
    "newline in an extension": SIZE + b";a\nb\r\n" + DATA + b"\r\n" + END,
    "line in a quoted extension": SIZE + b';a="\r\n"\r\n' + DATA + b"\r\n" + END,
    "return in an extension": SIZE + b";a\rb\r\n" + DATA + b"\r\n" + END,
    "nul in an extension": SIZE + b";\0\r\n" + DATA + b"\r\n" + END,
    "nul": SIZE + b"\0\r\n" + DATA + b"\r\n" + END,
    "plus": b"+" + SIZE + b"\r\n" + DATA + b"\r\n" + END,
    "minus": b"-" + SIZE + b"\r\n" + DATA + b"\r\n" + END,
    "minus zero": b"-0\r\n\r\n" + DATA,
    "0x": b"0x" + SIZE + b"\r\n" + DATA + b"\r\n" + END,
    "text": SIZE + b"g\r\n" + DATA + b"\r\n" + END,
    "comma": SIZE + b"," + SIZE + b"\r\n" + DATA + b"\r\n" + END,
    "too large": b"1" + b"0" * 16 + b"\r\n" + DATA + b"\r\n" + END,
    "wraps around": b"1" + b"0" * 14 + SIZE + b"\r\n" + DATA + b"\r\n" + END,
    "no line behind the data": SIZE + b"\r\n" + DATA + END,
    "text behind the data": SIZE + b"\r\n" + DATA + b"x\r\n" + END,
    "return alone behind the data": SIZE + b"\r\n" + DATA + b"\r" + END,
    "size too small": b"5\r\n" + DATA + b"\r\n" + END,
    "empty size": b"\r\n" + DATA + b"\r\n" + END,
}
ALSO_TAKEN = {
    "newline alone": SIZE + b"\n" + DATA + b"\r\n" + END,
    "blank behind": SIZE + b" \r\n" + DATA + b"\r\n" + END,
    "tab behind": SIZE + b"\t\r\n" + DATA + b"\r\n" + END,
    "blank in front": b" " + SIZE + b"\r\n" + DATA + b"\r\n" + END,
    "newline alone behind the data": SIZE + b"\r\n" + DATA + b"\n" + END,
    "newlines alone at the end": SIZE + b"\r\n" + DATA + b"\r\n0\n\n",
    "newline in a trailer": SIZE + b"\r\n" + DATA + b"\r\n0\r\nX-A: b\nX-B: c\r\n\r\n",
}
"""What httpd may take or refuse, as it likes."""


class TestPipelinedRequestsBehindChunks:
    """The data of the chunks is a request that nobody has made; behind them comes the next one, in the same packet."""

    @staticmethod
    def configure(site):
        site.write("step.wsgi", STEP)
        site.add("WSGIChunkedRequest On")
        site.serve("step.wsgi")
        site.log.allow("wsgi:error", "core:error", "http:error")

    @staticmethod
    def answered(server, path: str, chunks: bytes) -> list[tuple[int, bytes]]:
        with server.connect(timeout=10) as connection:
            connection.sendall(b"GET /first HTTP/1.1\r\nHost: x\r\n\r\n"
                               b"POST " + path.encode() + b" HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks
                               + b"GET /second HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            found = [(status, body) for status, _, body in answers(connection, b"POST")]
        assert found[0] == (200, b"/first ")
        assert not any(body.startswith(b"/smuggled") for _, body in found), found
        return found[1:]

    @pytest.mark.parametrize("path, body", [("/read", DATA), ("/line", DATA), ("/some", DATA[:3]), ("/ignore", b""), ("/caught", DATA)],
                             ids=["read", "line", "some", "ignore", "caught"])
    @pytest.mark.parametrize("how", WELL_FORMED)
    def test_what_is_well_formed_is_taken_and_the_next_request_answered(self, server, how, path, body):
        assert self.answered(server, path, WELL_FORMED[how]) == [(200, path.encode() + b" " + body), (200, b"/second ")]

    @pytest.mark.parametrize("path", ["/read", "/line", "/some", "/ignore", "/caught"])
    @pytest.mark.parametrize("how", MALFORMED)
    def test_behind_what_is_malformed_no_request_is_answered(self, server, how, path):
        found = self.answered(server, path, MALFORMED[how])
        assert len(found) <= 1, found
        if path in ("/read", "/line"):
            assert [status for status, _ in found] in ([], [400], [413], [500])
        assert self.answered(server, "/read", WELL_FORMED["plain"])[1:] == [(200, b"/second ")]

    @pytest.mark.parametrize("path", ["/read", "/line", "/some", "/ignore"])
    @pytest.mark.parametrize("how", ALSO_TAKEN)
    def test_what_is_between_both_is_taken_whole_or_not_at_all(self, server, how, path):
        found = self.answered(server, path, ALSO_TAKEN[how])
        whole = {"/read": DATA, "/line": DATA, "/some": DATA[:3], "/ignore": b""}[path]
        assert len(found) <= 1 or found == [(200, path.encode() + b" " + whole), (200, b"/second ")], found
