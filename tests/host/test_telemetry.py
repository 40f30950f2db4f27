"""Telemetry of every Python: sub-interpreters, with one lock or their own, or without any, are looked at while they work and end."""

import os
import signal
import socket
import struct
import threading
import time

import pytest
from wire import request

SAMPLE, SLOW, STARTED, STOPPING, STOPPED, SNAPSHOT, EVENT = 2, 4, 5, 6, 7, 8, 9

WORKS = """
    import gc, os, sys, time
    import mod_wsgi

    class Cycle:
        pass

    def application(environ, start_response):
        what = environ["QUERY_STRING"]
        for _ in range(2000):
            one, other = Cycle(), Cycle()
            one.other, other.other = other, one
        if what == "collect":
            gc.collect()
        elif what == "sleep":
            time.sleep(1.2)
        elif what == "fork":
            child = os.fork()
            if child == 0:
                gc.collect()
                os._exit(7)
            assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
        elif what == "raise":
            raise ValueError("on purpose")
        start_response("200 OK", [])
        return [repr((sys.version_info[:2], mod_wsgi.request_metrics(), mod_wsgi.process_metrics())).encode()]
"""


def decoded(raw):
    """Kind, number and fields of a datagram."""
    magic, version, kind, flags, pid, sequence, stamp = struct.unpack_from("<4sBBHIId", raw)
    assert (magic, version, flags) == (b"WSGI", 1, 0)
    fields, at = {}, 24
    while at < len(raw):
        number, tag = struct.unpack_from("<HB", raw, at)
        at += 3
        if tag in (1, 2):
            (fields[number],) = struct.unpack_from("<Q" if tag == 1 else "<d", raw, at)
            at += 8
        else:
            (length,) = struct.unpack_from("<H", raw, at)
            layout = {4: f"<{length}s", 5: f"<{length}i", 6: f"<{length}d"}[tag]
            fields[number] = struct.unpack_from(layout, raw, at + 2)
            at += 2 + struct.calcsize(layout)
    return kind, sequence, fields


class Receiver:
    def __init__(self, folder):
        self.path = str(folder / "t")
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(self.path)
        self.told = []
        self.thread = threading.Thread(target=self.read, daemon=True)
        self.thread.start()

    def read(self):
        while raw := self.socket.recv(65536):
            self.told.append(decoded(raw))

    def launch(self, **more):
        return {"telemetry": {"path": self.path, "interval": 500_000, "slow_requests": 700_000, "user_agent": True, **more}}

    def wait(self, kind, condition=lambda fields: True, after=0, timeout=15):
        end = time.monotonic() + timeout
        while time.monotonic() < end:
            for told, _, fields in self.told[after:]:
                if told == kind and condition(fields):
                    return fields
            time.sleep(0.02)
        raise AssertionError(f"no datagram of kind {kind}: {[told[0] for told in self.told]}")

    def close(self):
        self.socket.setblocking(True)
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as end:
            end.sendto(b"", self.path)
        self.thread.join(5)
        self.socket.close()


@pytest.fixture
def receiver(tmp_path):
    receiver = Receiver(tmp_path)
    yield receiver
    receiver.close()


@pytest.mark.parametrize("own_lock", [False, True], ids=["one lock", "own locks"])
def test_interpreters_are_looked_at_while_they_work_and_end(place, receiver, own_lock):
    sections = [{"per_interpreter_gil": own_lock}]
    script = place.script(WORKS)
    daemon = place.start(threads=4, interpreter_options=sections, **receiver.launch()).ready()
    seen, end = [], time.monotonic() + 3

    def work(group):
        child = daemon.child()
        while time.monotonic() < end:
            seen.append(child.ask(script, environ={"QUERY_STRING": "collect"}, group=group).status)
        child.close()
    threads = [threading.Thread(target=work, args=(group,)) for group in ("", "one", "two", "three")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(seen) == {200}
    receiver.wait(SNAPSHOT, lambda fields: fields[308] >= len(seen))
    receiver.wait(EVENT, lambda fields: fields[322] == 2)
    assert sum(fields[20] for kind, _, fields in list(receiver.told) if kind == SAMPLE) <= len(seen)
    daemon.retire()
    assert daemon.wait() == 0, daemon.text()
    stopped = receiver.wait(STOPPED)
    assert (stopped[132], stopped[134], stopped[135]) == (len(seen), 0, 1)
    kinds = [kind for kind, _, _ in receiver.told]
    assert (kinds[0], kinds[-1]) == (STARTED, STOPPED)
    assert [number for _, number, _ in receiver.told] == list(range(1, len(kinds) + 1))


def test_a_slow_request_and_one_that_forks_are_told_once(place, receiver):
    script, daemon = place.script(WORKS), place.start(threads=2, **receiver.launch()).ready()
    child = daemon.child()
    assert child.ask(script, environ={"QUERY_STRING": "fork"}).status == 200
    environ = {"QUERY_STRING": "sleep", "REQUEST_METHOD": "GET", "SERVER_NAME": "a.example", "HTTP_USER_AGENT": "a browser"}
    answer = child.ask(script, environ=environ, group="sub")
    assert answer.body.endswith(b", None, None)"), answer.body
    ended = receiver.wait(SLOW, lambda fields: fields[200] == 1)
    assert (ended[210], ended[212], ended[217], ended[240]) == ((b"GET",), (b"a.example",), (b"a browser",), 200)
    running = receiver.wait(SLOW, lambda fields: fields[200] == 0)
    assert running[201] == ended[201]
    assert {raw[0] for raw in receiver.told} <= {SAMPLE, SLOW, STARTED, SNAPSHOT, EVENT}
    child.close()
    daemon.process.send_signal(signal.SIGTERM)
    assert receiver.wait(STOPPING)[130] == (b"shutdown_signal",)
    assert daemon.wait() == 0


@pytest.mark.parametrize("own_lock", [False, True], ids=["one lock", "own locks"])
def test_an_apache_child_reports_and_ends(run_steps, place, receiver, own_lock):
    script = place.script(WORKS)
    environ = {"PATH_INFO": "/", "QUERY_STRING": "sleep", "SCRIPT_FILENAME": str(script)}
    steps = [("r", request(script, environ)[8:]), ("r", request(script, environ, group="sub")[8:])]
    status, out, error = run_steps(steps, interpreter_options=[{"per_interpreter_gil": own_lock}], **receiver.launch())
    assert status == 0, out + error
    stopped = receiver.wait(STOPPED)
    assert (stopped[132], stopped[135]) == (2, 1)
    assert 130 not in stopped and 6 not in stopped
    assert receiver.wait(SLOW, lambda fields: fields[200] == 1)[203] == 1
    kinds = [kind for kind, _, _ in receiver.told]
    assert (kinds[0], kinds[-1]) == (STARTED, STOPPED)
    assert SAMPLE in kinds and SNAPSHOT in kinds


def test_nobody_who_listens_holds_up_nothing(place, tmp_path):
    script = place.script(WORKS)
    unread = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    unread.bind(str(tmp_path / "unread"))
    telemetry = {"path": str(tmp_path / "unread"), "interval": 500_000, "slow_requests": 1}
    daemon = place.start(threads=1, telemetry=telemetry).ready()
    child = daemon.child()
    begun = time.monotonic()
    for _ in range(50):
        assert child.ask(script, environ={"QUERY_STRING": ""}).status == 200
    assert time.monotonic() - begun < 5
    time.sleep(1.2)
    child.close()
    begun = time.monotonic()
    daemon.process.send_signal(signal.SIGTERM)
    assert daemon.wait() == 0
    assert time.monotonic() - begun < 2
    assert daemon.text().count("WSGI7030") == 1
    os.unlink(tmp_path / "unread")
    unread.close()
