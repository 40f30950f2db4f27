"""What is text and what is bytes. Sources: PEP 3333, "A Note On String Types" and "Unicode Issues"."""

import json

import pytest

APPLICATION = """
    import json
    import sys

    CGI = [name for name in ("PATH_INFO", "SCRIPT_NAME", "QUERY_STRING", "REQUEST_URI", "REQUEST_METHOD", "SERVER_NAME", "SERVER_PORT",
                             "SERVER_PROTOCOL", "CONTENT_TYPE", "CONTENT_LENGTH", "wsgi.url_scheme")]

    class Text(str):
        pass

    def application(environ, start_response):
        what = environ["QUERY_STRING"]
        if what == "response":
            header = bytes(range(0x80, 0x100)).decode("latin-1")
            start_response("200 " + header, [("Content-Type", "text/plain"), ("X-High", header), ("X-Sub", Text("sub"))])
            return [bytes(range(256))]
        named = {name: value for name, value in environ.items() if name in CGI or name.startswith("HTTP_")}
        odd = [name for name, value in named.items() if type(name) is not str or type(value) is not str or max(value + " ") > "\\xff"]
        start_response("200 OK", [("Content-Type", "application/json")])
        return [json.dumps({"odd": odd, "dict": type(environ) is dict, "encoding": sys.getfilesystemencoding()} | named).encode()]
"""
UTF_8 = "/\u00e4\u20ac\U0001f600".encode()
ESCAPED = "".join(f"%{byte:02X}" for byte in UTF_8[1:])


class Text:
    """The same in every locale: it is bytes that a str holds, whatever Python takes names of files for."""

    options = ""
    encoding = ""

    @classmethod
    def configure(cls, site):
        site.write("text.wsgi", APPLICATION)
        site.serve("text.wsgi", at="/at", options=cls.options)

    def seen(self, server, target: bytes, fields: bytes = b"", method: bytes = b"GET") -> dict:
        received = server.raw(method + b" " + target + b" HTTP/1.0\r\n" + fields + b"\r\n")
        head, _, body = received.partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200"), received
        return json.loads(body)

    def test_every_value_of_cgi_is_a_str_of_latin_1_in_a_dict(self, server):
        seen = self.seen(server, b"/at/" + ESCAPED.encode() + b"?%C3%A4", b"X-One: " + UTF_8 + b"\r\nContent-Type: \xff\r\n")
        assert (seen["odd"], seen["dict"]) == ([], True)
        assert seen["encoding"] == self.encoding or not self.encoding

    def test_a_path_is_its_bytes(self, server):
        seen = self.seen(server, b"/at/" + ESCAPED.encode() + b"%FF%80?" + ESCAPED.encode())
        assert seen["PATH_INFO"].encode("latin-1") == UTF_8 + b"\xff\x80"
        assert (seen["QUERY_STRING"], seen["SCRIPT_NAME"]) == (ESCAPED, "/at")

    def test_bytes_that_a_client_did_not_escape_are_the_same(self, server):
        seen = self.seen(server, b"/at" + UTF_8 + b"?" + UTF_8)
        assert seen["PATH_INFO"].encode("latin-1") == seen["QUERY_STRING"].encode("latin-1") == UTF_8

    def test_a_header_is_its_bytes(self, server):
        high = bytes(range(0x80, 0x100))
        seen = self.seen(server, b"/at", b"X-High: " + high + b"\r\nCookie: a=" + UTF_8 + b"\r\n")
        assert seen["HTTP_X_HIGH"].encode("latin-1") == high
        assert seen["HTTP_COOKIE"].encode("latin-1") == b"a=" + UTF_8

    def test_status_and_headers_of_a_response_are_sent_as_latin_1_and_a_body_as_it_is(self, server):
        received = server.raw(b"GET /at?response HTTP/1.0\r\n\r\n")
        head, _, body = received.partition(b"\r\n\r\n")
        high = bytes(range(0x80, 0x100))
        lines = head.split(b"\r\n")
        assert lines[0] == b"HTTP/1.1 200 " + high and b"X-High: " + high in lines
        assert body == bytes(range(256))


class TestInTheUsualLocale(Text):
    pass


class TestInALocaleOfUtf8(Text):
    modes = ("daemon",)
    mpms = ("event",)
    options = "lang=C.UTF-8 locale=C.UTF-8"
    encoding = "utf-8"


class TestASubclassOfStr:
    mpms = ("event",)

    @staticmethod
    def configure(site):
        site.write("text.wsgi", APPLICATION)
        site.serve("text.wsgi")

    def test_it_is_a_str(self, server):
        assert server.get("/?response").headers["X-Sub"] == "sub"
