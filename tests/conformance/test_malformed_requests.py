"""Request heads that are wrong: no process may crash, and the next request is served. The same bytes in every run."""

import random

import pytest

APPLICATION = """
    def application(environ, start_response):
        body = environ["wsgi.input"].read() if environ["REQUEST_METHOD"] == "POST" else b""
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [repr((environ["REQUEST_METHOD"], environ["PATH_INFO"], len(body))).encode()]
"""
METHODS = [b"GET", b"POST", b"HEAD", b"PUT", b"get", b"G\xc4T", b"", b"X" * 300, b"PROPFIND", b"GET\t"]
TARGETS = [b"/", b"/a/../../b", b"/%00", b"/%zz", b"/%2e%2e/", b"//x//y", b"*", b"http://x/", b"http://[::1/", b"x", b"/" + b"a" * 9000,
           b"/\xff\xfe", b"/?%", b"/a b", b"", b"/%c0%ae", b"/;a=b", b"/#x", b"\x00"]
VERSIONS = [b"HTTP/1.1", b"HTTP/1.0", b"HTTP/0.9", b"HTTP/2.0", b"HTTP/1.99", b"http/1.1", b"HTTP/1.1 x", b"", b"HTTP/x"]
NAMES = [b"Host", b"Content-Length", b"Transfer-Encoding", b"Connection", b"Expect", b"Range", b"X-A", b"X_A", b"", b" X", b"X ", b"X\x00",
         b"Proxy", b"Cookie", b"Authorization", b"X-Forwarded-For", b"Content-Type", b"TE", b"Trailer", b"Upgrade", b"\xe4"]
VALUES = [b"x", b"", b"0", b"-1", b"5", b"+5", b"5, 5", b"99999999999999999999", b"0x5", b"chunked", b"chunked, chunked", b"gzip",
          b"close", b"keep-alive, x", b"100-continue", b"bytes=0-", b"a" * 9000, b"\x00", b"\x01\x7f", b"\xff" * 40, b"%s%n", b"\t",
          b"x\r\n folded", b"identity", b"h2c", b",,,", b"'\"<>"]
ENDS = [b"\r\n", b"\n", b"\r", b"\r\r\n", b"\n\n"]
BODIES = [b"", b"body", b"5\r\nhello\r\n0\r\n\r\n", b"5\r\nhel", b"zz\r\n", b"GET / HTTP/1.1\r\n\r\n", b"\x00" * 100]


def malformed(random: random.Random) -> bytes:
    """One request; half of its parts are as they should be, so that it comes further than the first line."""
    def pick(choices):
        return choices[0] if random.random() < 0.5 else random.choice(choices)
    end = pick(ENDS)
    lines = [pick(METHODS) + b" " + pick(TARGETS) + b" " + pick(VERSIONS)]
    lines += [random.choice(NAMES) + pick([b": ", b":", b" : ", b" ", b""]) + random.choice(VALUES)
              for _ in range(random.choice((0, 1, 2, 3, 5, 120)))]
    request = bytearray(end.join(lines) + end + end + random.choice(BODIES))
    for _ in range(random.choice((0, 0, 0, 1, 5))):
        if request:
            request[random.randrange(len(request))] = random.randrange(256)
    return bytes(request[:random.randrange(len(request) + 1)]) if random.random() < 0.1 else bytes(request)


class TestMalformedRequests:
    @staticmethod
    def configure(site):
        site.write("simple.wsgi", APPLICATION)
        site.add("WSGIChunkedRequest On", "WSGITrustedProxyHeaders X-Forwarded-For X-Real-IP", "WSGIPassAuthorization On")
        site.serve("simple.wsgi")
        # Complaints about the client are not the topic; a crash is always found.
        site.log.allow("(wsgi|core|http):(error|warn)")

    @pytest.mark.parametrize("seed", range(8))
    def test_nothing_crashes_and_the_next_request_is_served(self, server, site, seed):
        numbers = random.Random(seed)
        for _ in range(50):
            with server.connect(timeout=10) as connection:
                connection.sendall(malformed(numbers))
                connection.shutdown(1)
                try:
                    received = connection.recv(65536)
                except ConnectionResetError:
                    continue
                assert received == b"" or received.startswith(b"HTTP/1.") or b"<" in received or b"(" in received
        answer = server.post("/after", b"12345")
        assert (answer.status, answer.text) == (200, repr(("POST", "/after", 5)))
        assert "exit signal" not in server.log.text()

    def test_heads_beyond_httpds_limits_are_refused(self, server):
        assert server.raw(b"GET / HTTP/1.0\r\n" + b"X-A: b\r\n" * 200 + b"\r\n").startswith(b"HTTP/1.1 400")
        assert server.raw(b"GET / HTTP/1.0\r\nX-A: " + b"b" * 20000 + b"\r\n\r\n").startswith(b"HTTP/1.1 400")
        assert server.raw(b"GET /" + b"a" * 20000 + b" HTTP/1.0\r\n\r\n").startswith(b"HTTP/1.1 414")

    @pytest.mark.parametrize("length", [b"-1", b"+5", b"0x5", b"5 5", b"5, 6", b"99999999999999999999", b"", b"five"])
    def test_a_content_length_that_is_none_is_a_400(self, server, length):
        answer = server.raw(b"POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: " + length + b"\r\n\r\n12345")
        assert answer.startswith((b"HTTP/1.1 400", b"HTTP/1.1 413"))
