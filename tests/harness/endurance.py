"""Much data and many requests, and what the processes of a server need of memory meanwhile."""

import socket
import threading
from collections.abc import Iterator

from . import processes

MIB = 1024 * 1024
PIECE = bytes(range(256)) * 1024
"""What large bodies consist of: 256 KiB in which every byte value has its place."""


class MemoryWatch:
    """Looks at the resident memory of some processes until it is stopped; `grown` is the most that one of them gained."""

    def __init__(self, pids: list[int]):
        self.before = {pid: resident(pid) for pid in pids}
        self.most = dict(self.before)
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch)

    def _watch(self) -> None:
        while not self._over.wait(0.05):
            self._look()

    def _look(self) -> None:
        for pid in self.before:
            self.most[pid] = max(self.most[pid], resident(pid))

    def __enter__(self) -> "MemoryWatch":
        self._thread.start()
        return self

    def __exit__(self, *_) -> None:
        self._over.set()
        self._thread.join()
        self._look()

    @property
    def grown(self) -> float:
        """MiB."""
        return max(self.most[pid] - self.before[pid] for pid in self.before) / MIB


def resident(pid: int) -> int:
    """Resident memory in bytes; 0 for a process that has ended."""
    try:
        return int(processes.status(pid, "VmRSS")[0]) * 1024
    except (OSError, KeyError):
        return 0


def workers(server) -> list[int]:
    """The Apache children and daemon processes, without the parent."""
    return [pid for pid in server.processes() if pid != server.pid]


class Exchange:
    """One request whose body and response are too large to be kept, on a connection that ends with it (HTTP/1.0)."""

    def __init__(self, server, path: str, upload: int):
        self.connection: socket.socket = server.connect(timeout=60)
        self.path = path
        self.upload = upload

    def _send(self) -> None:
        head = f"POST {self.path} HTTP/1.0\r\nContent-Length: {self.upload}\r\n\r\n"
        self.connection.sendall(head.encode())
        for piece in pieces(self.upload):
            self.connection.sendall(piece)

    def run(self) -> tuple[int, int, bytes, bool]:
        """Of the response: status, length of the body, its begin, and whether it consists of PIECE over and over."""
        sender = threading.Thread(target=self._send)
        with self.connection, self.connection.makefile("rb", buffering=len(PIECE)) as stream:
            sender.start()
            status = int(stream.readline().split()[1])
            while stream.readline() not in (b"\r\n", b""):
                pass
            length, begin, same = 0, b"", True
            while data := stream.read(len(PIECE)):
                same = same and data == PIECE[:len(data)]
                begin = begin or data[:64]
                length += len(data)
            sender.join(60)
        return status, length, begin, same


def pieces(size: int) -> Iterator[bytes]:
    """PIECE over and over until these are `size` bytes."""
    for _ in range(size // len(PIECE)):
        yield PIECE
    if rest := size % len(PIECE):
        yield PIECE[:rest]


MOST = 32
"""MiB that a process may gain while a large body goes through: an Apache child keeps up to response-buffer-size, 8 MiB, for a
client that is slower than the application, in memory that doubles as it grows."""

LARGE_BODIES = """
    PIECE = bytes(range(256)) * 1024

    def echo(stream, size):
        while data := stream.read(size):
            yield data

    def download(size):
        for _ in range(size // len(PIECE)):
            yield PIECE

    def application(environ, start_response):
        what, size = environ["PATH_INFO"].strip("/").split("-")
        stream, headers = environ["wsgi.input"], [("Content-Type", "application/octet-stream")]
        if what == "upload":
            start_response("200 OK", headers)
            return [str(sum(map(len, echo(stream, 65536)))).encode()]
        start_response("200 OK", headers + [("Content-Length", size)])
        return echo(stream, 65536) if what == "echo" else download(int(size))
"""


def large_bodies(site) -> None:
    site.one_child()
    site.write("large.wsgi", LARGE_BODIES)
    site.serve("large.wsgi", options="threads=2")


def check_large_bodies(server, what: str, size: int) -> None:
    """Sends, fetches or echoes `size` bytes; the memory of the processes does not follow."""
    assert size % len(PIECE) == 0
    for first in (len(PIECE), size):  # the first one loads Python and the application
        with MemoryWatch(workers(server)) as memory:
            status, length, begin, same = Exchange(server, f"/{what}-{first}", 0 if what == "download" else first).run()
        assert status == 200
        if what == "upload":
            assert begin == str(first).encode()
        else:
            assert (length, same) == (first, True)
    assert memory.grown < MOST, f"a process took {memory.grown:.0f} MiB more while {size // MIB} MiB went through"


MIXED = """
    import os

    FILE = os.path.join(os.path.dirname(__file__), "file.bin")

    def failing():
        raise ValueError("on purpose")
        yield b""

    def application(environ, start_response):
        what, headers = environ["PATH_INFO"].strip("/"), [("Content-Type", "text/plain")]
        if what == "raise":
            raise KeyError("on purpose")
        if what == "headers":
            headers += [(f"X-Header-{number}", f"value {number}") for number in range(40)]
        if what == "read":
            environ["wsgi.input"].read(1000)
        if what == "lines":
            list(environ["wsgi.input"])
        write = start_response("418 Mine" if what == "mine" else "200 OK", headers)
        if what == "file":
            return environ["wsgi.file_wrapper"](open(FILE, "rb"))
        if what == "write":
            write(b"x" * 3000)
        if what == "fail":
            return failing()
        if what == "stream":
            return iter([b"x" * 1000] * 20 + [b"<end>"])
        return [b"<end>"]
"""
BODY = b"Content-Length: 3000\r\n\r\n" + b"line of thirty bytes\n012345678" * 100
KEPT = {"hello": b"\r\n", "headers": b"\r\n", "stream": b"\r\n", "file": b"\r\n", "write": b"\r\n", "mine": b"\r\n",
        "nowhere.txt": b"\r\n", "read": BODY, "lines": BODY, "ignore": BODY}
"""Paths, and what follows the head of their request."""
ENDS = ("raise", "fail")
"""Paths whose answer is a 500, after which httpd closes the connection."""
KINDS = len(KEPT) + 1
"""Requests on one connection."""


def mixed_requests(site) -> None:
    site.one_child()
    site.write("mixed.wsgi", MIXED)
    site.write("file.bin", "x" * 20_000 + "<end>")
    site.add("MaxKeepAliveRequests 0", 'ErrorDocument 500 "failed <end>"', 'ErrorDocument 404 "nothing <end>"',
             f'Alias /nowhere.txt "{site.root}/www/nowhere.txt"')
    site.serve("mixed.wsgi", options="threads=5")
    site.log.allow("wsgi:error")


def send_mixed_requests(server, count: int, threads: int = 4) -> int:
    """Sends about `count` requests, each connection's without waiting for answers; how many were answered."""
    kept = b"".join(f"{'POST' if rest is BODY else 'GET'} /{kind} HTTP/1.1\r\nHost: x\r\n".encode() + rest for kind, rest in KEPT.items())
    answered = [0] * threads

    def ask(index: int) -> None:
        for number in range(count // threads // KINDS):
            with server.connect(timeout=60) as connection:
                connection.sendall(kept + f"GET /{ENDS[number % len(ENDS)]} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
                answered[index] += answers(connection, KINDS)

    senders = [threading.Thread(target=ask, args=(index,)) for index in range(threads)]
    for sender in senders:
        sender.start()
    for sender in senders:
        sender.join()
    return sum(answered)


def answers(connection: socket.socket, expected: int) -> int:
    """Reads until that many answers have ended, as their bodies say, or the connection has."""
    ended, kept = 0, b""
    while ended < expected and (data := connection.recv(MIB)):
        ended += (kept + data).count(b"<end>")
        # An end that is cut in two is counted once, when its second half is there.
        kept = (kept + data)[-4:]
    return ended
