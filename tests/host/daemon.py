"""Starts a daemon process without Apache, with the open files that Apache would give it. Source: src/core/launch.rs."""

import mmap
import os
import re
import select
import signal
import socket
import struct
import subprocess
import time
from pathlib import Path

from wire import VERSION, Child

TOP = Path(__file__).parents[2]
BUILT = Path(os.environ.get("MOD_WSGI_BUILT", TOP / "target/mod_wsgi"))
BOARD_SIZE = 64 * 1024 + 1024 * 65536
"""Mostly a hole. Source: src/core/board.rs."""
EMPTY, STARTING, READY, RETIRING, FAILED = range(5)

#: The fields of a launch block in their order, read from where they are declared.
FIELDS = re.findall(r"^    (\w+): (.*),$", (TOP / "src/core/launch.rs").read_text().split("\nlaunch! {")[1].split("\n}")[0], re.M)
#: The fields of a section of interpreter options in their order.
OPTIONS = dict(re.findall(r"^    pub (\w+): (.*),$", (TOP / "src/core/interpreter_options.rs").read_text().split("\n}")[0], re.M))
#: Where a process reports, in the order of its fields.
TELEMETRY = [("path", "Vec<u8>"), ("interval", "u64"), ("slow_requests", "u64"), ("user_agent", "bool")]
DEFAULTS = dict(process_group=b"test", processes=1, threads=3, apache_version=[2, 4, 62], log_level=7, case_sensitive=True,
                destroy_interpreters=True, restrict_signal=True, graceful_timeout=5000, shutdown_timeout=5000,
                socket_timeout=10000)


def value(kind, of):
    if kind.startswith("Option<"):
        return b"\0" if of is None else b"\1" + value(kind[7:-1], of)
    if kind == "Vec<u8>":
        of = os.fsencode(of or b"")
        return struct.pack("<I", len(of)) + of
    if kind.startswith("Vec<"):
        return struct.pack("<I", len(of or ())) + b"".join(value(kind[4:-1], item) for item in of or ())
    if kind == "Preload":
        return b"".join(value("Vec<u8>", item) for item in of)
    if kind == "InterpreterOptions":
        assert not set(of) - set(OPTIONS)
        return b"".join(value(field, of.get(name)) for name, field in OPTIONS.items())
    if kind == "Telemetry":
        return b"".join(value(field, of.get(name)) for name, field in TELEMETRY)
    return {"bool": lambda: bytes([bool(of)]), "u32": lambda: struct.pack("<I", of or 0), "u64": lambda: struct.pack("<Q", of or 0)}[kind]()


def launch_block(**given):
    given = {**DEFAULTS, **given}
    unknown = set(given) - {name for name, _ in FIELDS}
    assert not unknown, f"no such fields in a launch block: {unknown}"
    return value("Vec<u8>", VERSION) + b"".join(value(kind, given.get(name)) for name, kind in FIELDS)


class Group:
    """What the processes of a group share: listening socket and board."""

    def __init__(self, folder):
        self.path = Path(folder) / "s"
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(str(self.path))
        self.listener.listen(50)
        self.memory = os.memfd_create("board")
        os.ftruncate(self.memory, BOARD_SIZE)
        self.page = mmap.mmap(self.memory, BOARD_SIZE)

    def board(self, slot=0):
        return struct.unpack_from("<I", self.page, 4 * slot)[0]

    def close(self):
        self.page.close()
        os.close(self.memory)
        self.listener.close()


class Daemon:
    """A daemon process, started like Apache starts it."""

    def __init__(self, python, group, log, predecessors=(), options=(), environment=None, **launch):
        self.group, self.log, self.slot = group, Path(log), launch.get("slot", 0)
        self.control, theirs = socket.socketpair()
        self.control.settimeout(20)
        self.bell, rope = os.pipe()
        os.set_blocking(rope, False)
        files = [theirs.fileno(), group.listener.fileno(), group.memory, rope, *(other.successor_end() for other in predecessors)]
        block = launch_block(predecessors=len(predecessors), **launch)
        with open(self.log, "ab") as output:
            # High numbers first, so that no file is overwritten before it is in its place.
            high = [os.dup(file) for file in files]

            def place():
                import fcntl
                moved = [fcntl.fcntl(file, fcntl.F_DUPFD, 100) for file in high]
                for number, file in enumerate(moved, 3):
                    os.dup2(file, number)
                os.closerange(3 + len(moved), 256)
            self.process = subprocess.Popen(
                [python, *options, str(BUILT / "mod_wsgi_daemon.py"), "wsgi:test"], stdin=subprocess.DEVNULL, stdout=output,
                stderr=output, preexec_fn=place, close_fds=False, env=environment)
            for file in high:
                os.close(file)
        theirs.close()
        os.close(rope)
        self.received = b""
        self.loaded = []
        try:
            self.control.sendall(b"l" + struct.pack("<I", len(block)) + block)
        except BrokenPipeError:
            pass  # it has failed already, and says why

    def successor_end(self):
        return self.control.fileno()

    def message(self):
        """The next message of the daemon: its kind and text; empty when it is gone. Scripts that it has loaded are kept in `loaded`."""
        while (message := self._message())[0] == "s":
            self.loaded.append(message[1])
        return message[0], message[1].decode()

    def _message(self):
        while len(self.received) < 5 or len(self.received) < 5 + struct.unpack_from("<I", self.received, 1)[0]:
            try:
                data = self.control.recv(4096)
            except ConnectionResetError:
                data = b""
            if not data:
                return "", b""
            self.received += data
        length = 5 + struct.unpack_from("<I", self.received, 1)[0]
        message, self.received = self.received[:length], self.received[length:]
        return chr(message[0]), message[5:]

    def ready(self):
        assert self.message() == ("r", ""), self.log.read_text()
        assert self.group.board(self.slot) == READY
        return self

    def wants_a_successor(self, reason=None):
        """Waits until it asks for one, and takes no notice of it."""
        kind, said = self.message()
        assert kind == "n" and said and reason in (None, said), self.text()
        assert os.read(self.bell, 10) == b"\n", "the parent is asleep until it is woken"
        return self

    def retire(self):
        self.control.sendall(b"t" + struct.pack("<I", 0))

    def decline(self):
        """Tells it that its successor could not start."""
        self.control.sendall(b"d" + struct.pack("<I", 0))

    def child(self, **how):
        return Child(self.group.path, **how)

    def wait(self, timeout=15):
        return self.process.wait(timeout)

    def text(self):
        return self.log.read_text()

    def expect(self, pattern, timeout=5):
        """Waits for a line in the error log."""
        end = time.monotonic() + timeout
        while time.monotonic() < end:
            if found := re.search(pattern, self.text()):
                return found
            time.sleep(0.02)
        raise AssertionError(f"{pattern!r} is not in the log:\n{self.text()}")

    def kill(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        self.control.close()
        if self.bell is not None:
            os.close(self.bell)
            self.bell = None


def closed(connection, timeout=5):
    """Whether the daemon closes a connection."""
    readable, _, _ = select.select([connection.socket], [], [], timeout)
    return bool(readable) and connection.socket.recv(1) == b""
