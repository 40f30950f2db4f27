"""Expect: 100-continue. Source: PEP 3333, "HTTP 1.1 Expect/Continue"."""

import re
import socket

import pytest

from harness import under_test

APPLICATION = """
    def in_two_parts(stream):
        yield b"early "
        yield stream.read()

    def application(environ, start_response):
        what, stream = environ["PATH_INFO"].strip("/"), environ["wsgi.input"]
        headers = [("Content-Type", "text/plain")]
        if what == "refuse":
            start_response("403 No", headers + [("Content-Length", "2")])
            return [b"no"]
        if what == "read-zero":
            stream.read(0)
            body = stream.read()
        elif what == "line":
            body = stream.readline() + stream.read()
        elif what == "late":
            start_response("200 OK", headers)
            return in_two_parts(stream)
        elif what == "late-write":
            write = start_response("200 OK", headers)
            write(b"early ")
            write(stream.read())
            return []
        else:
            body = stream.read()
        start_response("200 OK", headers + [("Content-Length", str(len(body)))])
        return [body]
"""


def head(path, length=4):
    return f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\nExpect: 100-continue\r\n\r\n".encode()


def read_head(connection: socket.socket) -> bytes:
    received = b""
    while b"\r\n\r\n" not in received:
        data = connection.recv(1)
        if not data:
            break
        received += data
    return received


def read_until(connection: socket.socket, text: bytes) -> bytes:
    received = b""
    while text not in received:
        data = connection.recv(65536)
        assert data, f"the connection ended after {received!r}"
        received += data
    return received


NEXT = b"GET /read HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"


def rest_of(connection: socket.socket, request: bytes) -> bytes:
    """What comes after this until the server closes the connection, which it may have done already."""
    received = b""
    try:
        connection.sendall(request)
        while data := connection.recv(65536):
            received += data
    except ConnectionError:
        pass
    return received


def statuses(answers: bytes) -> list[int]:
    return [int(status) for status in re.findall(rb"HTTP/1\.1 (\d+)", answers)]


class TestExpect:
    @staticmethod
    def configure(site):
        site.write("expect.wsgi", APPLICATION)
        site.serve("expect.wsgi")

    @pytest.mark.parametrize("path", ["/read", "/read-zero", "/line"])
    def test_100_is_sent_when_the_application_reads(self, server, path):
        with server.connect(timeout=5) as connection:
            connection.sendall(head(path))
            assert read_head(connection).startswith(b"HTTP/1.1 100 Continue")
            connection.sendall(b"body")
            assert read_head(connection).startswith(b"HTTP/1.1 200 OK")
            assert connection.recv(10) == b"body"

    def test_an_application_that_does_not_read_gets_no_100(self, server, site):
        if not site.embedded and not under_test.OURS:
            pytest.skip("the C module in daemon mode asks the client for the body before the application runs")
        with server.connect(timeout=5) as connection:
            connection.sendall(head("/refuse"))
            assert read_head(connection).startswith(b"HTTP/1.1 403 No")

    def test_a_client_that_does_not_wait_is_served(self, server):
        with server.connect(timeout=5) as connection:
            connection.sendall(head("/read") + b"body")
            first = read_head(connection)
            if first.startswith(b"HTTP/1.1 100"):
                first = read_head(connection)
            assert first.startswith(b"HTTP/1.1 200 OK")

    @pytest.mark.parametrize("path", ["/late", "/late-write"])
    def test_no_100_comes_within_a_response(self, server, site, path):
        if not site.embedded and not under_test.OURS:
            pytest.skip("the C module in daemon mode asks the client for the body before the application runs")
        with server.connect(timeout=5) as connection:
            connection.sendall(head(path))
            assert read_head(connection).startswith(b"HTTP/1.1 200 OK")
            read_until(connection, b"early ")
            connection.sendall(b"body")
            assert b"HTTP/1.1" not in read_until(connection, b"body")

    def test_for_a_body_of_no_bytes_no_100_comes(self, server):
        with server.connect(timeout=5) as connection:
            connection.sendall(head("/read", 0))
            assert read_head(connection).startswith(b"HTTP/1.1 200 OK")

    def test_a_body_that_was_not_wanted_is_no_request(self, server):
        with server.connect(timeout=5) as connection:
            connection.sendall(head("/refuse"))
            first, body = read_head(connection), b"body"
            if first.startswith(b"HTTP/1.1 100"):
                connection.sendall(body)
                first, body = read_head(connection), b""
            assert first.startswith(b"HTTP/1.1 403 No")
            if under_test.OURS:  # a client that waits for 100 need not send the body: what comes next cannot be known
                assert b"Connection: close\r\n" in first
            assert statuses(rest_of(connection, body + NEXT)) in ([], [200])

    def test_a_client_of_http_1_0_gets_no_100(self, server):
        answer = server.raw(b"POST /read HTTP/1.0\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\nbody")
        assert answer.startswith(b"HTTP/1.1 200 OK") and answer.endswith(b"body")

    def test_another_expectation_is_a_417(self, server):
        answer = server.raw(b"POST /read HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 4\r\nExpect: a-miracle\r\n\r\nbody")
        assert answer.startswith(b"HTTP/1.1 417")

    @pytest.mark.parametrize("length", [0, 4])
    def test_what_follows_a_417_is_answered_as_a_request_of_its_own_or_not_at_all(self, server, length):
        with server.connect(timeout=5) as connection:
            connection.sendall(head("/read", length).replace(b"100-continue", b"a-miracle"))
            answers = rest_of(connection, b"body"[:length] + NEXT)
        assert statuses(answers) in ([417], [417, 200])
        assert server.post("/read", b"body").body == b"body"
