"""wsgi.input. Source: PEP 3333, "Input and Error Streams"."""

import hashlib
import threading

from harness import under_test

APPLICATION = """
    import hashlib
    from urllib.parse import parse_qs

    def digest(environ):
        stream, total, found = environ["wsgi.input"], 0, hashlib.sha256()
        while data := stream.read(10000):
            total += len(data)
            found.update(data)
        return f"{total} {found.hexdigest()}".encode()

    def echo(environ):
        stream = environ["wsgi.input"]
        while data := stream.read(8192):
            yield data

    def application(environ, start_response):
        stream, how = environ["wsgi.input"], environ["PATH_INFO"]
        start_response("200 OK", [("Content-Type", "application/octet-stream")])
        if how == "/echo":
            return echo(environ)
        if how == "/digest":
            return [digest(environ)]
        if how == "/ignore":
            return [b"not read"]
        result = {
            "/read": lambda: [stream.read(), stream.read(), stream.read(1)],
            "/read-n": lambda: [stream.read(0), stream.read(3), stream.read(1000), stream.read(10)],
            "/read-negative": lambda: [stream.read(-1), stream.read(-1)],
            "/readline": lambda: [stream.readline(), stream.readline(2), stream.readline(0), stream.readline(),
                                  stream.readline(), stream.readline()],
            "/readlines": lambda: stream.readlines(),
            "/iterate": lambda: list(stream),
            "/mixed": lambda: [stream.readline(), stream.read(2), next(iter(stream)), stream.read()],
        }[how]()
        return [repr(result).encode()]
"""
LINES = b"first\nsecond\n\nlast without end"


class TestInput:
    @staticmethod
    def configure(site):
        site.write("input.wsgi", APPLICATION)
        site.add("WSGIChunkedRequest On")
        site.serve("input.wsgi")

    def test_read_without_size_returns_everything_and_then_nothing(self, server):
        assert server.post("/read", b"abc").text == repr([b"abc", b"", b""])
        assert server.post("/read-negative", b"abc").text == repr([b"abc", b""])

    def test_read_with_a_size_returns_that_much(self, server):
        assert server.post("/read-n", b"abcdef").text == repr([b"", b"abc", b"def", b""])

    def test_readline_ends_at_the_newline_or_at_its_size(self, server):
        expected = [b"first\n", b"se", b"", b"cond\n", b"\n", b"last without end"]
        assert server.post("/readline", LINES).text == repr(expected)

    def test_readlines_and_iteration_return_lines(self, server):
        expected = repr([b"first\n", b"second\n", b"\n", b"last without end"])
        assert server.post("/readlines", LINES).text == expected
        assert server.post("/iterate", LINES).text == expected

    def test_all_ways_of_reading_share_one_position(self, server):
        assert server.post("/mixed", LINES).text == repr([b"first\n", b"se", b"cond\n", b"\nlast without end"])

    def test_without_a_body_there_is_nothing_to_read(self, server):
        assert server.get("/read").text == repr([b"", b"", b""])

    def test_a_large_body_arrives_unchanged(self, server):
        for size in (65536, 5 * 1024 * 1024):
            body = hashlib.sha256(str(size).encode()).digest() * (size // 32)
            assert server.post("/digest", body).text == f"{size} {hashlib.sha256(body).hexdigest()}"

    def test_a_body_comes_back_while_it_is_read(self, server):
        body = b"0123456789abcde\n" * 4096
        answer = server.post("/echo", body)
        assert answer.complete and answer.body == body

    def test_a_body_without_length_is_read_to_its_end(self, server):
        answer = server.post("/read", iter([b"one ", b"two ", b"three"]))
        assert answer.text == repr([b"one two three", b"", b""])

    def test_a_large_body_that_nobody_reads_does_no_harm(self, server):
        with server.keep_alive() as connection:
            assert connection.request("POST", "/ignore", b"x" * 300_000).body == b"not read"
            assert connection.request("POST", "/read", b"next").text == repr([b"next", b"", b""])

    def test_expect_100_continue_is_answered(self, server, tmp_path):
        body = tmp_path / "body"
        body.write_bytes(b"z" * 20_000)
        done = server.curl("/digest", "-v", "-H", "Expect: 100-continue", "--data-binary", f"@{body}")
        assert "< HTTP/1.1 100 Continue" in done.stderr
        assert done.stdout.startswith("20000 ")


class TestABodyTravelsBothWaysAtOnce:
    @staticmethod
    def configure(site):
        site.write("input.wsgi", APPLICATION)
        site.serve("input.wsgi")

    def test_a_large_body_is_echoed_while_it_is_sent(self, server, site):
        # The C module in daemon mode sends the whole body before it looks at the response, and 5 MB lock up there.
        size = 5 * 1024 * 1024 if under_test.OURS or site.embedded else 100 * 1024
        body = b"0123456789abcde\n" * (size // 16)
        with server.connect() as connection:
            request = b"POST /echo HTTP/1.0\r\nContent-Length: %d\r\n\r\n" % len(body) + body
            sender = threading.Thread(target=connection.sendall, args=(request,))
            sender.start()
            received = b"".join(iter(lambda: connection.recv(65536), b""))
            sender.join(10)
        head, _, content = received.partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200") and content == body
