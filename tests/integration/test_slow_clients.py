"""Clients that take their time, or leave: no thread of a daemon process waits for them, and the application hears of it."""

import socket
import time

import pytest

from harness import processes

APPLICATION = """
    import os
    import time

    def note(text):
        with open(os.path.join(os.path.dirname(__file__), "notes"), "a") as out:
            out.write(text + "\\n")

    class Stream:
        def __init__(self, pieces, piece, pause):
            self.left, self.piece, self.pause = pieces, piece, pause

        def __iter__(self):
            return self

        def __next__(self):
            if not self.left:
                note("all produced")
                raise StopIteration
            self.left -= 1
            time.sleep(self.pause)
            return self.piece

        def close(self):
            note("closed with %d left" % self.left)

    def application(environ, start_response):
        start_response("200 OK", [("Content-Type", "text/plain")])
        if environ["PATH_INFO"] == "/big":
            return Stream(64, b"x" * 65536, 0)
        if environ["PATH_INFO"] == "/endless":
            return Stream(1000, b"x" * 100, 0.02)
        if environ["PATH_INFO"] == "/read":
            try:
                environ["wsgi.input"].read()
            except OSError as error:
                note("read failed")
                raise
        return [b"ok"]
"""


def configure(site, options="threads=1"):
    site.write("slow.wsgi", APPLICATION)
    site.write("notes", "", 0o666)
    site.serve("slow.wsgi", options=options)


def notes(site):
    return site.path("notes").read_text().splitlines()


def ask(server, path, head=b""):
    connection = socket.socket()
    # Little room, so that what the client does not take stays with Apache.
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
    connection.settimeout(20)
    connection.connect(("127.0.0.1", server.site.port))
    connection.sendall(b"GET %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n%s\r\n" % (path.encode(), head))
    return connection


@pytest.mark.ours_only("the C module's thread waits for the client")
class TestSlowClient:
    modes = ("daemon",)
    configure = staticmethod(configure)

    def test_the_only_thread_is_free_while_a_client_sleeps(self, server, site):
        """4 MiB are below response-buffer-size, and far above what sockets keep."""
        with ask(server, "/big") as slow:
            processes.wait_until(lambda: "all produced" in notes(site), "the application is done")
            assert server.get("/").body == b"ok"
            received = b""
            while data := slow.recv(1 << 20):
                received += data
        body = received.split(b"\r\n\r\n", 1)[1]
        assert body.endswith(b"0\r\n\r\n") and body.count(b"x") == 64 * 65536, "all of it arrives"


@pytest.mark.ours_only("as above")
class TestSmallBuffer:
    modes = ("daemon",)

    @staticmethod
    def configure(site):
        configure(site, "threads=1 response-buffer-size=65536")

    def test_the_buffer_has_the_size_that_is_asked_for(self, server, site):
        with ask(server, "/big") as slow:
            time.sleep(1)
            assert "all produced" not in notes(site), "the application waits: 4 MiB are more than may wait in Apache"
            received = b""
            while data := slow.recv(1 << 20):
                received += data
        assert received.count(b"x") == 64 * 65536 + received.split(b"\r\n\r\n")[0].count(b"x")


class TestClientThatLeaves:
    modes = ("daemon",)
    configure = staticmethod(configure)

    def test_a_stream_is_closed_soon_after_its_client_has_left(self, server, site):
        with ask(server, "/endless") as leaving:
            assert leaving.recv(100)
        processes.wait_until(lambda: any(note.startswith("closed with") for note in notes(site)), "close() is called")
        (closed,) = [note for note in notes(site) if note.startswith("closed with")]
        assert int(closed.split()[2]) > 100 and "all produced" not in notes(site)

    def test_a_read_of_the_body_fails(self, server, site):
        server.log.declare("WSGI0174", "OSError: ")
        # The lines of the traceback.
        server.log.allow(r"wsgi:error.*(Traceback|File \"|environ\[|\^\^)")
        with server.connect() as leaving:
            leaving.sendall(b"POST /read HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000\r\n\r\nbegin")
            time.sleep(0.3)
        processes.wait_until(lambda: "read failed" in notes(site), "read() raises")
        # The traceback comes a moment later.
        server.log.expect("OSError: ")


@pytest.mark.ours_only("the C module leaves the client's timeout at Timeout when the transfer fails")
class TestResponseSocketTimeout:
    modes = ("daemon",)

    @staticmethod
    def configure(site):
        configure(site, "threads=1 response-buffer-size=65536 response-socket-timeout=1")

    def test_a_client_that_takes_nothing_is_left_after_that_time(self, server, site):
        begun = time.monotonic()
        with ask(server, "/big"):
            processes.wait_until(lambda: any(note.startswith("closed with") for note in notes(site)), "the response is given up", 8)
        assert 0.8 < time.monotonic() - begun < 8
        assert "all produced" not in notes(site)
