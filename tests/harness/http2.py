"""A small client for HTTP/2 without TLS: several requests at once on one connection, and how each stream ended.

Headers are sent as plain literals, and of the answer's only the status is looked at. Source: RFC 9113, RFC 7541.
"""

import socket
import struct
from dataclasses import dataclass

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, RST_STREAM, SETTINGS, PING, GOAWAY, WINDOW_UPDATE = 0, 1, 3, 4, 6, 7, 8
END_STREAM, ACK, END_HEADERS = 1, 1, 4
INDEXED_200 = 0x88
"""The first byte of a header block whose status is 200."""
LARGE_WINDOW = 2**31 - 1


@dataclass
class Stream:
    status_200: bool = False
    body: bytes = b""
    complete: bool = False
    reset: int | None = None
    """The error code of RST_STREAM."""

    @property
    def ended(self) -> bool:
        return self.complete or self.reset is not None


def literal(name: str, value: str) -> bytes:
    """A header field without indexing, with plain strings shorter than 127 bytes."""
    return b"\0" + b"".join(bytes([len(text)]) + text.encode() for text in (name, value))


class Http2:
    """One connection."""

    def __init__(self, server):
        self.socket: socket.socket = server.connect(timeout=20)
        self.streams: dict[int, Stream] = {}
        self.gone_away = False
        self.socket.sendall(PREFACE)
        # The peer may send as much as it likes: INITIAL_WINDOW_SIZE, and the window of the connection.
        self._frame(SETTINGS, 0, 0, struct.pack("!HI", 4, LARGE_WINDOW))
        self._frame(WINDOW_UPDATE, 0, 0, struct.pack("!I", LARGE_WINDOW - 65535))

    def _frame(self, kind: int, flags: int, stream: int, payload: bytes = b"") -> None:
        self.socket.sendall(struct.pack("!I", len(payload))[1:] + bytes([kind, flags]) + struct.pack("!I", stream) + payload)

    def begin(self, path: str, method: str = "GET", body: bytes | None = None) -> Stream:
        """Sends a request; `body` must fit into the peer's first window (65,535 bytes)."""
        number = 2 * len(self.streams) + 1
        self.streams[number] = Stream()
        fields = [(":method", method), (":path", path), (":scheme", "http"), (":authority", "localhost")]
        if body is not None:
            fields.append(("content-length", str(len(body))))
        block = b"".join(literal(*field) for field in fields)
        self._frame(HEADERS, END_HEADERS | (END_STREAM if body is None else 0), number, block)
        for start in range(0, len(body or b""), 16384):
            piece = body[start:start + 16384]
            self._frame(DATA, END_STREAM if start + len(piece) == len(body) else 0, number, piece)
        return self.streams[number]

    def finish(self) -> None:
        """Reads until every stream has ended, or the connection has."""
        with self.socket.makefile("rb") as received:
            while not all(stream.ended for stream in self.streams.values()) and (head := received.read(9)):
                length, (kind, flags) = int.from_bytes(head[:3]), head[3:5]
                self._take(kind, flags, int.from_bytes(head[5:]), received.read(length))

    def _take(self, kind: int, flags: int, number: int, payload: bytes) -> None:
        stream = self.streams.get(number, Stream())
        if kind == HEADERS:
            stream.status_200 = payload[0] == INDEXED_200
        elif kind == DATA:
            stream.body += payload
        elif kind == RST_STREAM:
            stream.reset = int.from_bytes(payload)
        elif kind == SETTINGS and not flags & ACK:
            self._frame(SETTINGS, ACK, 0)
        elif kind == PING and not flags & ACK:
            self._frame(PING, ACK, 0, payload)
        elif kind == GOAWAY:
            self.gone_away = True
        if kind in (HEADERS, DATA) and flags & END_STREAM:
            stream.complete = True

    def get(self, path: str, method: str = "GET", body: bytes | None = None) -> Stream:
        """One request and its answer."""
        stream = self.begin(path, method, body)
        self.finish()
        return stream

    def __enter__(self) -> "Http2":
        return self

    def __exit__(self, *_) -> None:
        self.socket.close()
