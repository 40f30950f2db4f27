"""wsgi.input. Source: PEP 3333, "Input and Error Streams"."""

import hashlib
import json
import socket
import threading

import pytest

from harness import under_test
from harness.processes import wait_until

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


CALLS = """
    import json
    import os

    def outcome(call, stream):
        try:
            return repr(eval(call, {"stream": stream}))
        except Exception as error:
            return f"{type(error).__name__}: {error}"

    def application(environ, start_response):
        calls = environ["HTTP_X_CALLS"].split("; ")
        said = json.dumps([outcome(call, environ["wsgi.input"]) for call in calls])
        if environ["PATH_INFO"] == "/noted":
            with open(os.path.dirname(__file__) + "/noted", "w") as file:
                file.write(said)
        start_response("200 OK", [("Content-Type", "application/json")])
        return [said.encode()]
"""
WHOLE = LINES.splitlines(keepends=True)
RETURNED = {
    "read(0)": b"", "read(1)": b"f", "read(True)": b"f", "read(1000)": LINES, "read(-1)": LINES, "read(-5)": LINES,
    "readline(0)": b"", "readline(3)": b"fir", "readline(6)": b"first\n", "readline(7)": b"first\n", "readline(-1)": b"first\n",
    "readlines(0)": WHOLE, "readlines(-1)": WHOLE, "readlines(1)": WHOLE[:1], "readlines(6)": WHOLE[:1],
    "readlines(7)": WHOLE[:2], "readlines(13)": WHOLE[:2], "readlines(14)": WHOLE[:3], "readlines(1000)": WHOLE,
    "close()": None,
}
NO_LIMIT = {"read(None)": LINES, "readline(None)": b"first\n", "readlines(None)": WHOLE,
            "read(1 << 40)": LINES, "readline(1 << 40)": b"first\n"}
METHODS = ("read", "readline", "readlines")
NO_NUMBERS = {"'1'": "str", "b'1'": "bytes", "1.5": "float", "[]": "list"}
REFUSED = {f"{method}({argument})": f"TypeError: '{kind}' object cannot be interpreted as an integer"
           for method in METHODS for argument, kind in NO_NUMBERS.items()}
REFUSED |= {f"{method}(1, 2)": f"TypeError: {method}() takes at most 1 argument (2 given)" for method in METHODS}
KEYWORDS = ("read(size=1)", "readline(size=1)", "readlines(hint=1)", "read(1, size=1)", "close(now=True)")
REFUSED |= dict.fromkeys(KEYWORDS, "TypeError")
REFUSED |= dict.fromkeys(("read(1 << 100)", "read(-1 << 100)", "readline(1 << 100)", "readlines(1 << 100)"), "OverflowError")


class TestArguments:
    mpms = ("event",)

    @staticmethod
    def configure(site):
        site.write("calls.wsgi", CALLS)
        site.write("noted", "", mode=0o666)
        site.serve("calls.wsgi")

    def said(self, server, *calls):
        answer = server.post("/", LINES, {"X-Calls": "; ".join(f"stream.{call}" for call in calls)})
        assert answer.status == 200
        return json.loads(answer.body)

    def length(self, result):
        return len(b"".join(result) if isinstance(result, list) else result or b"")

    @pytest.mark.parametrize("call", RETURNED)
    def test_a_size_says_how_much_comes_and_the_rest_stays(self, server, call):
        result = RETURNED[call]
        assert self.said(server, call, "read()") == [repr(result), repr(LINES[self.length(result):])]

    @pytest.mark.ours_only("the C module refuses None, and wants the memory for a size before it reads")
    @pytest.mark.parametrize("call", NO_LIMIT)
    def test_none_and_a_size_beyond_all_memory_set_no_limit(self, server, call):
        result = NO_LIMIT[call]
        assert self.said(server, call, "read()") == [repr(result), repr(LINES[self.length(result):])]

    @pytest.mark.parametrize("call", REFUSED)
    def test_a_call_that_is_refused_reads_nothing(self, server, call):
        refused, rest = self.said(server, call, "read()")
        assert refused.startswith(REFUSED[call]) and rest == repr(LINES)

    def test_close_takes_no_arguments(self, server):
        assert self.said(server, "close(1)")[0].startswith("TypeError")

    def test_close_closes_nothing(self, server):
        said = self.said(server, "close()", "readline()", "close()", "read()")
        assert said == ["None", repr(WHOLE[0]), "None", repr(LINES[6:])]

    def test_it_is_its_own_iterator_and_ends(self, server):
        said = self.said(server, "__iter__() is stream", "__next__()", "read()", "__next__()", "__next__()")
        assert said == ["True", repr(WHOLE[0]), repr(LINES[6:]), "StopIteration: ", "StopIteration: "]

    def test_at_its_end_every_call_returns_nothing(self, server):
        calls = ("read()", "read(5)", "read(0)", "readline()", "readline(5)", "readlines()", "readlines(5)")
        assert self.said(server, "read()", *calls)[1:] == [repr([] if "lines" in call else b"") for call in calls]

    def test_it_is_no_file(self, server):
        names = ("fileno", "seek", "tell", "readable", "readinto", "write", "closed", "name", "__enter__")
        assert all(said.startswith("AttributeError") for said in self.said(server, *names))

    def test_once_it_has_failed_every_read_fails(self, server, site):
        if not (site.embedded or under_test.OURS):
            pytest.skip("the C module in daemon mode has the body before the application runs, and does not run it")
        reads = ("read()", "read()", "read(0)", "readline()", "readlines()", "__next__()")
        calls = "; ".join(f"stream.{call}" for call in (*reads, "close()")).encode()
        with server.connect() as connection:
            connection.sendall(b"POST /noted HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\nX-Calls: %s\r\n\r\nshort" % calls)
            connection.shutdown(socket.SHUT_WR)
            said = json.loads(wait_until(lambda: site.path("noted").read_text(), "the application has noted what it read"))
        site.path("noted").write_text("")
        why = "Partial results are valid but processing is incomplete"
        if under_test.OURS:
            assert said[:2] == [f"OSError: {why}", f"OSError: the request body was already in an error state: {why}"]
        else:
            assert why in said[0] and "input is already in error state" in said[1].lower()
        assert said[1].startswith("OSError: ") and said[1:6] == 5 * [said[1]] and said[6] == "None"
