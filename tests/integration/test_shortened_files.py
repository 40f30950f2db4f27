"""A file that loses its end while it is sent. Apache maps files where only the kernel reads them, and a process that itself reads what
is gone of a mapped file is killed (SIGBUS)."""

import socket

from harness import httpd_program, under_test
from harness.server import Server

SIZE = 12 * 1024 * 1024
"""More than sockets keep, and less than the largest file that is mapped."""

APPLICATION = """
    import os

    PATH = os.path.join(os.path.dirname(__file__), "data.bin")

    def application(environ, start_response):
        start_response("200 OK", [("Content-Type", "application/octet-stream")])
        if environ["PATH_INFO"] == "/shorten":
            os.truncate(PATH, 100)
            return [b"shortened"]
        return environ["wsgi.file_wrapper"](open(PATH, "rb"))
"""


def shortened_while_sent(server: Server, head: bytes = b"") -> bytes:
    """What a client gets that begins to read, has the file shortened, and then reads the rest."""
    data = server.site.path("data.bin")
    data.write_bytes(bytes(range(256)) * (SIZE // 256))
    data.chmod(0o666)
    if not under_test.OURS:
        # "failed to write response data: Bad address"
        server.log.declare("wsgi:error")
    with socket.socket() as connection:
        # Little room, so that most of the file stays with Apache.
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
        connection.settimeout(20)
        connection.connect(("127.0.0.1", server.site.port))
        connection.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n" + head + b"\r\n")
        received = connection.recv(4096)
        assert server.get("/shorten").body == b"shortened"
        try:
            while piece := connection.recv(1 << 20):
                received += piece
        except ConnectionResetError:
            pass
    return received


class TestSeenByTheKernelAlone:
    mpms = ("event", "prefork")

    @staticmethod
    def configure(site):
        site.write("file.wsgi", APPLICATION)
        site.serve("file.wsgi", options="threads=2")

    def test_the_client_sees_that_the_rest_is_missing_and_no_process_ends(self, server):
        children = server.processes()
        head, body = shortened_while_sent(server).split(b"\r\n\r\n", 1)
        assert head.startswith(b"HTTP/1.1 200") and f"Content-Length: {SIZE}".encode() in head
        assert 0 < len(body) < SIZE
        assert server.get("/shorten").body == b"shortened"
        assert set(children) <= set(server.processes())


class TestSeenByAFilter(TestSeenByTheKernelAlone):
    """What is compressed is not mapped in daemon mode."""

    modes = ("daemon",)

    @staticmethod
    def configure(site):
        TestSeenByTheKernelAlone.configure(site)
        site.add(httpd_program.load_modules("filter", "deflate"), "SetOutputFilter DEFLATE", "DeflateCompressionLevel 1")

    def test_the_client_sees_that_the_rest_is_missing_and_no_process_ends(self, server):
        children = server.processes()
        server.log.declare("deflate:error.*failed reading")
        received = shortened_while_sent(server, b"Accept-Encoding: gzip\r\n")
        assert b"Content-Encoding: gzip" in received.split(b"\r\n\r\n", 1)[0]
        assert server.get("/shorten").body == b"shortened"
        assert set(children) <= set(server.processes())
