"""Bodies that travel both ways at once, and clients that leave. Source: PEP 3333, "Input and Error Streams"."""

import socket
import threading

import pytest

from harness import processes, under_test
from harness.processes import wait_until

APPLICATION = """
    import os

    FOLDER = os.path.dirname(__file__)

    def note(text):
        with open(FOLDER + "/notes", "a") as file:
            file.write(text + "\\n")

    def echo(stream):
        while data := stream.read(8192):
            yield data

    def endless():
        try:
            while True:
                yield b"x" * 8192
        finally:
            note("stopped")

    def application(environ, start_response):
        what, stream = environ["PATH_INFO"].strip("/"), environ["wsgi.input"]
        headers = [("Content-Type", "application/octet-stream")]
        if what == "echo":
            start_response("200 OK", headers + [("Content-Length", environ["CONTENT_LENGTH"])])
            return echo(stream)
        if what == "endless":
            start_response("200 OK", headers)
            return endless()
        if what == "upload":
            try:
                size = sum(map(len, echo(stream)))
            except OSError as error:
                note("OSError")
                start_response("400 Gone", headers)
                return []
            note("read " + str(size))
        start_response("200 OK", headers)
        return [str(os.getpid()).encode()]
"""


def configured(site):
    site.write("body.wsgi", APPLICATION)
    site.write("notes", "", mode=0o666)
    site.serve("body.wsgi")


class TestEcho:
    @staticmethod
    def configure(site):
        configured(site)

    @pytest.mark.parametrize("size", [1, 8192, 5 * 1024 * 1024])
    def test_a_body_is_echoed_while_it_is_read_and_the_connection_lives_on(self, server, site, size):
        if size > 100_000 and not under_test.OURS and not site.embedded:
            pytest.skip("the C module in daemon mode sends the whole body before it looks at the response, and locks up")
        body = (bytes(range(256)) * (size // 256 + 1))[:size]
        with server.connect(timeout=20) as connection:
            for _ in range(2):
                request = b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % size + body
                sender = threading.Thread(target=connection.sendall, args=(request,))
                sender.start()
                stream = connection.makefile("rb")
                assert stream.readline().startswith(b"HTTP/1.1 200")
                while stream.readline() != b"\r\n":
                    pass
                assert stream.read(size) == body
                sender.join(10)


class TestClientsThatLeave:
    @staticmethod
    def configure(site):
        configured(site)

    def pids(self, server):
        return {server.get("/pid").body for _ in range(3)}

    def notes(self, site):
        return site.path("notes").read_text().splitlines()

    def reset(self, connection):
        """Closes with RST, as a client does that is killed or loses its network."""
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        connection.close()

    @pytest.mark.parametrize("how", ["closed", "reset"])
    def test_one_that_leaves_while_it_downloads_does_no_harm(self, server, site, how):
        before, alive = len(self.notes(site)), set(server.processes())
        for _ in range(3):
            connection = server.connect()
            connection.sendall(b"GET /endless HTTP/1.1\r\nHost: x\r\n\r\n")
            assert connection.recv(1000).startswith(b"HTTP/1.1 200")
            connection.close() if how == "closed" else self.reset(connection)
        wait_until(lambda: len(self.notes(site)) >= before + 3, "the application is stopped")
        assert self.pids(server)
        if site.mpm != "prefork":
            assert alive <= set(server.processes())

    @pytest.mark.ours_only("the C module logs it as an error of the application, or of itself")
    @pytest.mark.parametrize("how", ["closed", "reset", "half closed"])
    @pytest.mark.parametrize("length", [b"1000", b"10000000"])
    def test_one_that_leaves_while_it_uploads_does_no_harm(self, server, site, how, length):
        before, alive = len(self.notes(site)), set(server.processes())
        for _ in range(3):
            connection = server.connect()
            connection.sendall(b"POST /upload HTTP/1.1\r\nHost: x\r\nContent-Length: " + length + b"\r\n\r\nonly this")
            if how == "half closed":
                connection.shutdown(socket.SHUT_WR)
                while connection.recv(1000):
                    pass
            connection.close() if how != "reset" else self.reset(connection)
        wait_until(lambda: len(self.notes(site)) >= before + 3, "the application learns of it")
        assert set(self.notes(site)[before:]) == {"OSError"}
        assert self.pids(server)
        if site.mpm != "prefork":
            assert alive <= set(server.processes())

    def test_one_that_leaves_before_the_answer_does_no_harm(self, server, site):
        for _ in range(20):
            with server.connect() as connection:
                connection.sendall(b"GET /pid HTTP/1.1\r\nHost: x\r\n\r\n")
        assert self.pids(server)

    def test_every_process_is_alive_afterwards(self, server):
        assert all(processes.is_alive(pid) for pid in server.processes())
