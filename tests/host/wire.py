"""The wire between an Apache child and a daemon process, as a test needs it. Source: src/core/wire.rs."""

import mmap
import os
import re
import socket
import struct
import time
from pathlib import Path

SOURCE = Path(__file__).parents[2] / "src/core"


def build() -> str:
    """What the built hosts say they are: the release, and a hash over what both sides share."""
    built = Path(os.environ.get("MOD_WSGI_BUILT", Path(__file__).resolve().parents[2] / "target/mod_wsgi"))
    for host in sorted(built.glob("mod_wsgi_host.*.so"), key=lambda host: -host.stat().st_mtime):
        if found := re.search(rb"\d+\.\d+\.\d+\+[0-9a-f]{16}", host.read_bytes()):
            return found.group().decode()
    raise FileNotFoundError(f"no host in {built}: run packaging/compile")


VERSION = build()
KEYS = re.findall(r'^    [A-Z_]+ = "(.*)",', (SOURCE / "wire/keys.rs").read_text(), re.M)
PROTOCOL = int(re.search(r"PROTOCOL: u16 = (\d+)", (SOURCE / "wire.rs").read_text())[1])

HELLO, REQUEST, BODY, SCOREBOARD, ROOM = 1, 2, 3, 4, 5
WELCOME, HEAD, DATA, END, WANT, LOG, REFUSE, FILE, ASK_SCOREBOARD, WINDOW, PLACED = range(0x11, 0x1c)
DEBUG = 7
HAS_BODY, BODY_FOLLOWS = 1, 2
LAST, FAILED = 1, 2
CLOSE, TRUNCATED = 1, 2
KNOWN = 1
RELOADING, IGNORE_ACTIVITY = 1, 2


def frame(kind, payload=b"", flags=0):
    return struct.pack("<BBHI", kind, flags, 0, len(payload)) + payload


def text(value):
    value = os.fsencode(value)
    return struct.pack("<I", len(value)) + value


def hello(version=VERSION, protocol=PROTOCOL):
    return frame(HELLO, b"WSGI" + struct.pack("<H", protocol) + version.encode())


def request(script, environ, *, callable="application", group="", settings=0, start=0, flags=0, level=DEBUG,
            connects=1, restarts=0, read_at=None, line="GET / HTTP/1.1"):
    read_at = int(time.monotonic() * 1e6) if read_at is None else read_at
    payload = struct.pack("<BBHHQQQ", settings, level, connects, restarts, start, read_at, start) + text(script) + text(callable) + text(group) + text(line)
    for name, value in environ.items():
        number = KEYS.index(name) + 1 if name in KEYS else 0
        payload += bytes([number]) + (b"" if number else text(name)) + struct.pack("<I", len(value)) + value.encode("latin-1")
    return frame(REQUEST, payload, flags)


class Response:
    """What a daemon answered to one request."""

    def __init__(self):
        self.status = self.end = self.refused = None
        self.line, self.headers, self.body, self.log = b"", [], b"", []
        self.times = None
        """How long the request waited, and then took to its head, in microseconds."""
        self.records = []
        """Level, file and line of the records in `log`."""
        self.file = None
        self.shared = 0
        """How many pieces came through shared memory."""

    @property
    def complete(self):
        return self.end is not None and not self.end & TRUNCATED

    @property
    def retry(self):
        return self.refused is not None and self.refused[1]

    def take_file(self, file, payload):
        """Takes a part of a file as body, like httpd: the position is moved."""
        self.file = offset, length = struct.unpack("<QQ", payload)
        with open(file, "rb", buffering=0) as part:
            part.seek(offset)
            while length and (data := part.read(length)):
                self.body += data
                length -= len(data)
        assert not length, "the file has less than its frame says"

    def take(self, kind, flags, payload):
        if kind == HEAD:
            self.status, *self.times, length = struct.unpack_from("<HIII", payload)
            self.line, rest = payload[14:14 + length], payload[14 + length:]
            fields = []
            while rest:
                (length,) = struct.unpack_from("<I", rest)
                fields.append(rest[4:4 + length].decode("latin-1"))
                rest = rest[4 + length:]
            self.headers = list(zip(fields[::2], fields[1::2]))
        elif kind == DATA:
            self.body += payload
        elif kind == LOG:
            level, line, length = struct.unpack_from("<BII", payload)
            self.records.append((level, payload[9:9 + length].decode(), line))
            self.log.append(payload[9 + length:].decode("utf-8", "replace"))
        elif kind == REFUSE:
            self.status, retry = struct.unpack_from("<HB", payload)
            self.refused = payload[3:].decode(), bool(retry)
        elif kind == END:
            self.end = flags


class Window:
    """Memory that a daemon shares with a child. Source: src/core/wire/window.rs."""

    BEGIN, PLACES, MOST = 4096, 40, 256
    TOLD, DONE, LISTENS, WAITS, LENT = range(0, 40, 8)

    def __init__(self, file):
        self.memory = mmap.mmap(file, os.fstat(file).st_size)
        self.read = None
        """How many pieces were read, while the window is lent."""

    def word(self, number):
        return struct.unpack_from("Q", self.memory, 8 * number)[0]

    def set(self, number, value):
        # In one go, as the format without a byte order is written.
        struct.pack_into("Q", self.memory, 8 * number, value)

    def pieces(self):
        while self.read is not None and self.word(self.TOLD) != self.read:
            place = self.word(self.PLACES + self.read % self.MOST)
            begin, length = self.BEGIN + (place >> 32), place & 0xffffffff
            yield self.memory[begin:begin + length]
            self.read += 1

    def close(self):
        self.read = None
        self.set(self.LENT, 0)


class Child:
    """A connection as an Apache child makes it."""

    def __init__(self, path, greeting=None):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(10)
        self.socket.connect(str(path))
        self.buffer, self.pid, self.slot, self.asked, self.files = b"", None, None, [], []
        self.waiting = hello() if greeting is None else greeting
        self.scoreboard = b""
        """What is answered when a daemon asks for it."""
        self.window, self.windows = None, 0
        """What the daemon shares, and how often it has passed another one."""

    def close(self):
        self.socket.close()

    def send(self, data):
        self.socket.sendall(self.waiting + data)
        self.waiting = b""

    def exactly(self, length):
        while len(self.buffer) < length:
            received, files, _, _ = socket.recv_fds(self.socket, 1 << 18, 4)
            # A file comes with its frame, or what was sent with it; what is sent behind that is not received together with it.
            assert not files or (len(files) == 1 and (received[-24:-23] == bytes([FILE]) or received[-8] == WINDOW))
            self.files += files
            if not received:
                raise ConnectionError("the daemon has closed the connection")
            self.buffer += received
        taken, self.buffer = self.buffer[:length], self.buffer[length:]
        return taken

    def frame(self):
        kind, flags, _, length = struct.unpack("<BBHI", self.exactly(8))
        return kind, flags, self.exactly(length)

    def empty_window(self, response):
        """Takes what is in the window, and has the daemon tell of what comes."""
        window = self.window
        if window is None or window.read is None:
            return
        while True:
            for piece in window.pieces():
                response.body += piece
                response.shared += 1
                window.set(window.DONE, window.read + 1)
            if window.word(window.WAITS):
                # The daemon may be just about to find out that it need not wait; there is no atomic exchange here.
                time.sleep(0.02)
                if window.word(window.WAITS):
                    window.set(window.WAITS, 0)
                    self.send(frame(ROOM))
            window.set(window.LISTENS, 1)
            if window.word(window.TOLD) == window.read:
                return

    def open_window(self, flags):
        if not flags & KNOWN:
            file = self.files.pop()
            self.window, self.windows = Window(file), self.windows + 1
            os.close(file)
        self.window.read = self.window.word(Window.DONE)

    def answer(self, body=(), stop_after=None):
        """Reads frames until the request is over; gives pieces of `body` as they are asked for."""
        body, response, self.asked = iter(body), Response(), []
        while True:
            self.empty_window(response)
            kind, flags, payload = self.frame()
            # What was told before the frame was sent.
            self.empty_window(response)
            if kind == WINDOW:
                self.open_window(flags)
            if kind in (END, REFUSE) and self.window:
                self.window.close()
            if kind == WELCOME:
                self.pid, self.slot = struct.unpack("<II", payload)
            elif kind == WANT:
                (most,) = struct.unpack("<I", payload)
                self.asked.append(most)
                piece = next(body, None)
                if isinstance(piece, str):
                    self.send(frame(BODY, piece.encode(), FAILED))
                else:
                    self.send(frame(BODY, piece or b"", 0 if piece is not None else LAST))
            if kind == ASK_SCOREBOARD:
                self.send(frame(SCOREBOARD, self.scoreboard))
            if kind == FILE:
                response.take_file(self.files.pop(), payload)
            response.take(kind, flags, payload)
            if kind in (END, REFUSE) or kind == stop_after:
                return response

    def ask(self, script, path="/", body=None, **how):
        """Sends a request and reads its answer. `first` travels with the head, `body` is a sequence of pieces."""
        self.begin(script, path, body, **how)
        return self.answer(body or ())

    def begin(self, script, path="/", body=None, first=None, environ=(), **how):
        """Sends a request."""
        flags = (HAS_BODY if body is not None else 0) | (HAS_BODY | BODY_FOLLOWS if first is not None else 0)
        values = {"REQUEST_METHOD": "GET" if body is None else "POST", "PATH_INFO": path, "SCRIPT_NAME": "",
                  "QUERY_STRING": "", "SERVER_NAME": "test", "SERVER_PORT": "80", "SCRIPT_FILENAME": str(script),
                  "SERVER_PROTOCOL": "HTTP/1.1", **dict(environ)}
        data = request(script, values, flags=flags, **how)
        if first is not None:
            data += frame(BODY, first, 0 if body else LAST)
        self.send(data)
