"""A small client for HTTP/2 without TLS: several requests at once on one connection, and how each stream ended.

Headers are sent as plain literals, and of the answer's only the status is looked at. Source: RFC 9113, RFC 7541.
"""

import socket
import struct
from dataclasses import dataclass

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = 0, 1, 2, 3, 4, 6, 7, 8, 9
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
    """The error code of RST_STREAM, of either side."""

    @property
    def ended(self) -> bool:
        return self.complete or self.reset is not None


def literal(name: str | bytes, value: str | bytes) -> bytes:
    """A header field without indexing, with plain strings shorter than 127 bytes."""
    texts = [text if isinstance(text, bytes) else text.encode() for text in (name, value)]
    return b"\0" + b"".join(bytes([len(text)]) + text for text in texts)


def request(method: str = "GET", path: str = "/", *more: tuple) -> list[tuple]:
    """The header fields of a request."""
    return [(":method", method), (":path", path), (":scheme", "http"), (":authority", "localhost"), *more]


class Http2:
    """One connection."""

    def __init__(self, server, window: int = LARGE_WINDOW):
        self.socket: socket.socket = server.connect(timeout=20)
        self.received = self.socket.makefile("rb")
        self.streams: dict[int, Stream] = {}
        self.gone_away = False
        self.farewell = b""
        """What the peer gives as the reason why it goes away."""
        self.socket.sendall(PREFACE)
        # The peer may send as much of a stream: INITIAL_WINDOW_SIZE. Over all streams it may send what it likes.
        self.frame(SETTINGS, 0, 0, struct.pack("!HI", 4, window))
        self.frame(WINDOW_UPDATE, 0, 0, struct.pack("!I", LARGE_WINDOW - 65535))

    def frame(self, kind: int, flags: int, stream: int, payload: bytes = b"") -> None:
        self.socket.sendall(struct.pack("!I", len(payload))[1:] + bytes([kind, flags]) + struct.pack("!I", stream) + payload)

    def begin(self, path: str, method: str = "GET", body: bytes | None = None) -> Stream:
        """Sends a request; `body` must fit into the peer's first window (65,535 bytes)."""
        length = [] if body is None else [("content-length", str(len(body)))]
        number = self.open(request(method, path, *length), body is None)
        for start in range(0, len(body or b""), 16384):
            piece = body[start:start + 16384]
            self.frame(DATA, END_STREAM if start + len(piece) == len(body) else 0, number, piece)
        return self.streams[number]

    def open(self, fields: list[tuple], end: bool = True) -> int:
        """Sends these header fields on a new stream, whose number is returned; `end` if that is the whole request."""
        number = 2 * len(self.streams) + 1
        self.streams[number] = Stream()
        self.frame(HEADERS, END_HEADERS | (END_STREAM if end else 0), number, b"".join(literal(*field) for field in fields))
        return number

    def reset(self, number: int, code: int = 8) -> None:
        """Takes a request back; the peer says nothing more of it."""
        self.frame(RST_STREAM, 0, number, struct.pack("!I", code))
        self.streams[number].reset = code

    def finish(self) -> None:
        """Reads until every stream has ended, or the connection has."""
        while not all(stream.ended for stream in self.streams.values()) and (head := self.received.read(9)):
            length, (kind, flags) = int.from_bytes(head[:3]), head[3:5]
            self._take(kind, flags, int.from_bytes(head[5:]), self.received.read(length))

    def _take(self, kind: int, flags: int, number: int, payload: bytes) -> None:
        stream = self.streams.get(number, Stream())
        if kind == HEADERS:
            stream.status_200 = payload[0] == INDEXED_200
        elif kind == DATA:
            stream.body += payload
        elif kind == RST_STREAM:
            stream.reset = int.from_bytes(payload)
        elif kind == SETTINGS and not flags & ACK:
            self.frame(SETTINGS, ACK, 0)
        elif kind == PING and not flags & ACK:
            self.frame(PING, ACK, 0, payload)
        elif kind == GOAWAY:
            self.gone_away, self.farewell = True, payload[8:]
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
        self.received.close()
        self.socket.close()
