"""Expect: 100-continue. Source: PEP 3333, "HTTP 1.1 Expect/Continue"."""

import socket

import pytest

from harness import under_test

APPLICATION = """
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
            return (item for item in (b"early ", b"then ", stream.read()))
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

    def test_no_100_comes_within_a_response(self, server):
        with server.connect(timeout=5) as connection:
            connection.sendall(head("/read", 0))
            answer = read_head(connection)
            if answer.startswith(b"HTTP/1.1 100"):
                answer = read_head(connection)
            assert answer.startswith(b"HTTP/1.1 200 OK")

    def test_a_client_of_http_1_0_gets_no_100(self, server):
        answer = server.raw(b"POST /read HTTP/1.0\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\nbody")
        assert answer.startswith(b"HTTP/1.1 200 OK") and answer.endswith(b"body")

    def test_another_expectation_is_a_417(self, server):
        answer = server.raw(b"POST /read HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 4\r\nExpect: a-miracle\r\n\r\nbody")
        assert answer.startswith(b"HTTP/1.1 417")
        server.log.declare("core:info|http:error|core:error")
