"""Streams and frames of HTTP/2 that are wrong or end early, while others are served: no process may crash, no thread may be lost, and
what is not at fault arrives whole. The same bytes in every run. Source: RFC 9113, "Malformed Messages", "Error Handling" and
"Denial-of-Service Considerations".
"""

import random
import socket
import struct
import threading

import pytest

from harness import httpd_program
from harness.http2 import (
    ACK, CONTINUATION, DATA, END_HEADERS, END_STREAM, GOAWAY, HEADERS, LARGE_WINDOW, PING, PRIORITY, SETTINGS, WINDOW_UPDATE,
    Http2, Stream, literal, request,
)

APPLICATION = """
    import json
    import os
    import threading
    import time

    met = threading.Barrier(3)

    def drip():
        for number in range(60):
            yield b"drop %02d." % number
            time.sleep(0.005)

    def echo(stream):
        while data := stream.read(1000):
            yield data

    def application(environ, start_response):
        what, headers = environ["PATH_INFO"].strip("/"), [("Content-Type", "text/plain")]
        if what == "read":
            try:
                size = len(environ["wsgi.input"].read())
            except OSError:
                start_response("400 Gone", headers)
                return [b"gone"]
            start_response("200 OK", headers)
            return [str(size).encode()]
        start_response("200 OK", headers)
        if what == "echo":
            return echo(environ["wsgi.input"])
        if what == "drip":
            return drip()
        if what == "large":
            return [b"x" * 100_000] * 20
        if what == "meet":
            met.wait(15)
            return [b"met"]
        if what == "pid":
            return [str(os.getpid()).encode()]
        return [b"1234567890"]
"""
DRIPPED = Stream(status_200=True, body=b"".join(b"drop %02d." % number for number in range(60)), complete=True)
SHORT = Stream(status_200=True, body=b"1234567890", complete=True)
HTTPDS_OWN_FAULT = b"The user callback function failed"
"""Why mod_http2 now and then ends a whole connection: a stream is wrong, or taken back, at the moment when its answer begins ("not sent
FRAME[HEADERS], error -510"). Observed with 2.4.71, with every mod_wsgi and with mod_status alike.
"""
STREAMS = 14
"""Streams that are at fault on one connection."""

BAD_FIELDS = [
    ("X-Upper", "b"), ("x y", "b"), ("", "b"), ("x\0", "b"), ("x\r\ny", "b"), (b"\xff\xfe", "b"), (":unknown", "b"), ("x:", "b"),
    ("x-a", "b\0c"), ("x-a", "b\r\nx-injected: yes"), ("x-a", b"\xff" * 100), ("x-a", " b "), (":path", "/again"), (":method", "GET"),
    ("connection", "close"), ("transfer-encoding", "chunked"), ("keep-alive", "x"), ("upgrade", "h2c"), ("te", "gzip"),
    ("host", "other.test"),
    ("content-length", "-1"), ("content-length", "+5"), ("content-length", "five"), ("content-length", ""), ("content-length", "5, 6"),
    ("content-length", "99999999999999999999"), ("expect", "100-continue"), ("expect", "a-miracle"), ("range", "bytes=0-"), ("cookie", "a"),
]
BAD_REQUESTS = [
    [(":method", "GET")], [(":path", "/"), (":scheme", "http")], [("x-a", "b")], [], request(path=""), request(path="x"), request(path="*"),
    request("", "/"), request("GET /x HTTP/1.1\r\n", "/"), request("CONNECT", "/"), request(path="/\r\nX: y"), request(path="/\0"),
    request(path="/a b"), request(path="/%zz"), [("x-a", "b"), *request()], [*request()[:3], (":authority", "")],
    [*request()[:2], (":scheme", "gopher"), (":authority", "x")], request("OPTIONS", "*"), request("get", "/"),
]


def wrong_length(connection: Http2, numbers: random.Random, path: str) -> None:
    announced, pieces = numbers.choice([(5, [4]), (5, [6]), (0, [1]), (9, [3, 3, 4])])
    number = connection.open(request("POST", path, ("content-length", str(announced))), end=False)
    for at, size in enumerate(pieces, 1):
        connection.frame(DATA, END_STREAM if at == len(pieces) else 0, number, b"x" * size)


def malformed(connection: Http2, numbers: random.Random) -> None:
    """One stream that is wrong, or is taken back, and ends nothing but itself."""
    def field():
        connection.open(request("GET", "/", numbers.choice(BAD_FIELDS)))

    def head():
        connection.open(numbers.choice(BAD_REQUESTS))

    def length():
        wrong_length(connection, numbers, "/read")

    def taken_back():
        number = connection.open(request("POST", numbers.choice(["/read", "/echo", "/"]), ("content-length", "1000")), end=False)
        for _ in range(numbers.randrange(3)):
            connection.frame(DATA, 0, number, b"x" * numbers.randrange(1, 300))
        connection.reset(number, numbers.choice([0, 1, 2, 5, 7, 8, 11, 13, 0xFFFFFFFF]))

    def taken_back_at_once():
        connection.reset(connection.open(request(path=numbers.choice(["/large", "/", "/drip"]))))

    def too_much_window():
        number = connection.open(request(path="/large"))
        connection.frame(WINDOW_UPDATE, 0, number, struct.pack("!I", LARGE_WINDOW))

    def trailers():
        number = connection.open(request("POST", "/read"), end=False)
        connection.frame(DATA, 0, number, b"body")
        fields = [("x-trailer", "yes"), (":path", "/"), ("X-Upper", "b"), ("", "")]
        block = b"".join(literal(*numbers.choice(fields)) for _ in range(2))
        connection.frame(HEADERS, END_HEADERS | END_STREAM, number, block)

    def empty_data():
        number = connection.open(request("POST", "/read"), end=False)
        for _ in range(20):
            connection.frame(DATA, 0, number)
        connection.frame(DATA, END_STREAM, number)

    numbers.choice([field, head, length, taken_back, taken_back_at_once, too_much_window, trailers, empty_data])()


def answered_too_early(connection: Http2, numbers):
    for _ in range(10):
        wrong_length(connection, numbers, numbers.choice(["/", "/echo", "/drip"]))


def continuations(connection: Http2, _):
    connection.frame(HEADERS, END_STREAM, 1, b"".join(literal(*field) for field in request()))
    for number in range(1000):
        connection.frame(CONTINUATION, 0, 1, literal(f"x-{number}", "y" * 100))


def empty_continuations(connection: Http2, _):
    connection.frame(HEADERS, 0, 1, b"".join(literal(*field) for field in request("POST", "/read")))
    for _ in range(3000):
        connection.frame(CONTINUATION, 0, 1)


def rapid_resets(connection: Http2, _):
    """CVE-2023-44487."""
    for number in range(300):
        connection.reset(connection.open(request(path=("/", "/large", "/drip")[number % 3])))


def floods(connection: Http2, numbers):
    kind, payload = numbers.choice([(PING, bytes(8)), (SETTINGS, b""), (SETTINGS, struct.pack("!HI", 4, 0)), (PRIORITY, bytes(5)),
                                    (0x42, b"?")])
    number = connection.open(request(path="/drip"))
    for _ in range(1000):
        connection.frame(kind, 0, number if kind == PRIORITY else 0, payload)


def windows(connection: Http2, numbers):
    """Opens and closes the windows of responses that are on their way, and in the end leaves them closed."""
    streams = [connection.open(request(path="/large")) for _ in range(5)]
    for _ in range(50):
        connection.frame(SETTINGS, 0, 0, struct.pack("!HI", 4, numbers.choice([0, 1, 100, 65535])))
        connection.frame(WINDOW_UPDATE, 0, numbers.choice(streams), struct.pack("!I", numbers.choice([1, 7, 1000])))
    connection.frame(SETTINGS, 0, 0, struct.pack("!HI", 4, 0))


def bad_windows(connection: Http2, numbers):
    number = connection.open(request(path="/large"))
    stream, more = numbers.choice([(0, 0), (0, LARGE_WINDOW), (number, 0)])  # httpd's library ends a connection for the last one, too
    connection.frame(WINDOW_UPDATE, 0, stream, struct.pack("!I", more))


def bad_settings(connection: Http2, numbers):
    connection.open(request(path="/drip"))
    kind, value = numbers.choice([(2, 2), (4, 2**31), (5, 1), (5, 2**24), (1, 0), (3, 0), (6, 0)])
    payload = struct.pack("!HI", kind, value) + b"x" * numbers.randrange(2)
    connection.frame(SETTINGS, numbers.choice([0, ACK]), numbers.choice([0, 1]), payload)


def bad_frames(connection: Http2, numbers):
    connection.open(request("POST", "/echo"), end=False)
    for _ in range(20):
        stream = numbers.choice([0, 1, 2, 3, 99, 2**31 - 1, 2**32 - 1])
        connection.frame(numbers.randrange(12), numbers.randrange(256), stream, numbers.randbytes(numbers.choice([0, 1, 4, 5, 8, 200])))


def too_long(connection: Http2, _):
    number = connection.open(request("POST", "/read"), end=False)
    connection.frame(DATA, 0, number, b"x" * 20_000)


def bad_blocks(connection: Http2, numbers):
    for _ in range(5):
        connection.frame(HEADERS, END_HEADERS | END_STREAM, 2 * numbers.randrange(1, 50) + 1, numbers.randbytes(60))


def cut_off(connection: Http2, numbers):
    """Leaves within a frame, with requests and responses on their way."""
    connection.open(request(path="/large"))
    number = connection.open(request("POST", numbers.choice(["/read", "/echo"]), ("content-length", "5000")), end=False)
    connection.frame(DATA, 0, number, b"x" * 1000)
    connection.socket.sendall(b"\0\x10\0\0\0" + struct.pack("!I", number) + b"half of a frame")
    if numbers.random() < 0.5:
        connection.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    connection.received.close()
    connection.socket.close()
    raise ConnectionAbortedError


def goes_away(connection: Http2, _):
    for path in ("/drip", "/large"):
        connection.open(request(path=path))
    connection.frame(GOAWAY, 0, 0, struct.pack("!II", 0, 2))
    connection.open(request(path="/drip"))


CONNECTIONS = [answered_too_early, continuations, empty_continuations, rapid_resets, floods, windows, bad_windows, bad_settings, bad_frames,
               too_long, bad_blocks, cut_off, goes_away]


class TestMalformed:
    mpms = ("event", "worker")

    @staticmethod
    def configure(site):
        site.one_child()
        site.write("two.wsgi", APPLICATION)
        site.add(httpd_program.load_modules("http2"), "Protocols h2c http/1.1", "WSGIChunkedRequest On")
        site.serve("two.wsgi", options="threads=3")
        # Complaints about the client are not the topic; a crash is always found.
        site.log.allow("(wsgi|core|http|http2):(error|warn)")

    def all_is_well(self, server, before: list[int]):
        """The processes are those that there were, and each thread of the application can have a request."""
        assert server.processes() == before
        answers = []
        asking = [threading.Thread(target=lambda: answers.append(server.get("/meet").body)) for _ in range(3)]
        for thread in asking:
            thread.start()
        for thread in asking:
            thread.join(30)
        assert answers == 3 * [b"met"]
        with Http2(server) as connection:
            assert connection.get("/") == SHORT
            assert connection.get("/echo", "POST", b"body") == Stream(status_200=True, body=b"body", complete=True)

    @pytest.fixture
    def before(self, server) -> list[int]:
        assert server.get("/").body == b"1234567890"
        return server.processes()

    @staticmethod
    def among_whole_ones(server, numbers: random.Random) -> tuple[Http2, list[tuple[Stream, Stream]]]:
        """Streams that are wrong and others in turn on one connection; what became of the others, and what has to."""
        with Http2(server) as connection:
            whole = [(connection.begin("/drip"), DRIPPED)]
            for _ in range(STREAMS):
                malformed(connection, numbers)
                whole.append((connection.begin("/"), SHORT))
            connection.finish()
        return connection, whole

    @pytest.mark.parametrize("seed", range(12))
    def test_streams_that_are_wrong_end_alone(self, server, before, seed):
        for _ in range(5):
            connection, whole = self.among_whole_ones(server, random.Random(seed))
            if connection.farewell != HTTPDS_OWN_FAULT:
                break
        assert [stream for stream, expected in whole if stream != expected] == []
        assert not connection.gone_away, connection.farewell
        self.all_is_well(server, before)

    @pytest.mark.parametrize("what", CONNECTIONS, ids=lambda what: what.__name__)
    def test_connections_that_are_wrong_end_alone(self, server, before, what):
        with Http2(server) as other:
            dripped = other.begin("/drip")
            for seed in range(4):
                with Http2(server) as connection:
                    connection.socket.settimeout(0.2)
                    try:
                        what(connection, random.Random(seed))
                        connection.finish()
                    except OSError:
                        pass  # the server has had enough, or waits for what does not come
            other.finish()
            assert dripped == DRIPPED
            assert other.get("/") == SHORT
        self.all_is_well(server, before)
