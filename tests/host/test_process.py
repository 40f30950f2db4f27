"""The life of a daemon process: start, retirement without loss, its end, and connections that misbehave."""

import glob
import os
import select
import shutil
import signal
import socket
import struct
import subprocess
import time

import pytest
from conftest import PYTHONS
from daemon import BUILT, READY, RETIRING, TOP, Daemon, closed
from wire import BODY_FOLLOWS, HAS_BODY, IGNORE_ACTIVITY, WELCOME, frame, hello, request

APPLICATION = """
    import time, sys
    def application(environ, start_response):
        time.sleep(float(environ["QUERY_STRING"] or 0))
        start_response("200 OK", [])
        return [b"ok"]
"""


@pytest.fixture
def script(place):
    return place.script(APPLICATION)


def send(child, script, seconds):
    child.send(request(script, {"PATH_INFO": "/", "QUERY_STRING": str(seconds), "REQUEST_METHOD": "GET"}))


def test_a_running_request_is_finished_and_idle_connections_are_closed(place, script):
    daemon = place.start().ready()
    busy, idle = daemon.child(), daemon.child()
    assert idle.ask(script).body == b"ok"
    send(busy, script, 0.5)
    time.sleep(0.2)
    daemon.retire()
    assert closed(idle)
    assert place.group.board() == RETIRING
    answer = busy.answer()
    assert answer.body == b"ok" and answer.end == 1, "the last answer says that the connection ends"
    assert daemon.wait() == 0, daemon.text()


def test_no_request_is_lost_between_two_processes(place, script):
    """A child that finds its connection closed asks again on another; whatever was accepted is answered."""
    import threading
    from wire import Child
    counts, errors, stop = [0, 0], [], threading.Event()

    def ask():
        child = None
        while not stop.is_set():
            try:
                child = child or Child(place.group.path)
                answer = child.ask(script)
                assert answer.complete and answer.body == b"ok"
                counts[0] += 1
                if answer.end & 1:
                    child = None
            except BrokenPipeError:
                counts[1] += 1  # refused before anything was sent
                child = None
            except Exception as error:
                errors.append(repr(error))
                return
    daemons = [place.start(slot=0).ready()]
    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for slot in range(1, 4):
        time.sleep(0.3)
        daemons.append(place.start(slot=slot, predecessors=[daemons[-1]]).ready())
        assert daemons[-2].wait() == 0
    stop.set()
    for thread in threads:
        thread.join()
    assert not errors and counts[0] > 100, (errors, counts)


@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT", "SIGUSR1"])
def test_signals_end_the_process_in_order(place, script, name):
    daemon = place.start().ready()
    child = daemon.child()
    send(child, script, 0.3)
    time.sleep(0.1)
    daemon.process.send_signal(getattr(signal, name))
    assert child.answer().body == b"ok"
    assert daemon.wait() == 0, daemon.text()


def test_a_hangup_changes_nothing(place, script):
    daemon = place.start().ready()
    daemon.process.send_signal(signal.SIGHUP)
    time.sleep(0.2)
    assert daemon.child().ask(script).body == b"ok" and daemon.process.poll() is None


def test_the_end_of_apache_ends_the_process(place):
    daemon = place.start().ready()
    daemon.control.close()
    assert daemon.wait() == 0


def test_maximum_requests_asks_for_a_successor(place, script):
    daemon = place.start(maximum_requests=3).ready()
    child = daemon.child()
    assert [child.ask(script).end for _ in range(3)] == [0, 0, 0]
    daemon.wants_a_successor("maximum_requests")
    assert child.ask(script).body == b"ok", "it serves until another one is ready"
    daemon.retire()
    assert daemon.wait() == 0
    daemon.expect("WSGI7015: .*maximum_requests")


def test_a_process_for_one_request_runs_one(place, script):
    """An application that sees wsgi.run_once counts on it."""
    daemon = place.start(maximum_requests=1, threads=1).ready()
    assert daemon.child().ask(script).end == 1
    assert daemon.wait() == 0


def test_the_restart_interval_asks_for_a_successor(place, script):
    daemon = place.start(restart_interval=300).ready().wants_a_successor("restart_interval")
    assert daemon.child().ask(script).body == b"ok"
    daemon.retire()
    assert daemon.wait() == 0
    daemon.expect("WSGI7015: .*restart_interval")


def test_a_process_that_waits_for_its_successor_sleeps(place, script):
    """However long that one takes to start."""
    daemon = place.start(restart_interval=100, inactivity_timeout=100, request_timeout=1000).ready()
    daemon.child().ask(script)
    daemon.wants_a_successor()

    def ticks():
        return sum(map(int, open(f"/proc/{daemon.process.pid}/stat").read().rsplit(")", 1)[1].split()[11:13]))
    before = ticks()
    time.sleep(1)
    assert ticks() - before < 20, "hundredths of a second"


def test_inactivity_retires_a_process_that_has_served(place, script):
    daemon = place.start(inactivity_timeout=500).ready()
    time.sleep(1)
    assert daemon.process.poll() is None, "a process that has served nothing stays"
    child = daemon.child()
    for _ in range(4):
        child.ask(script)
        time.sleep(0.3)
        assert select.select([daemon.bell], [], [], 0)[0] == [], "requests push the end back"
    daemon.wants_a_successor("inactivity_timeout")


def test_a_running_request_is_activity(place):
    script = place.script("import time\ndef application(e, s): time.sleep(1); s('200 OK', []); return [b'done']")
    daemon = place.start(inactivity_timeout=300).ready()
    assert daemon.child().ask(script).body == b"done"
    daemon.wants_a_successor()


def test_a_request_may_be_left_out_of_activity(place, script):
    daemon = place.start(inactivity_timeout=800).ready()
    child = daemon.child()
    child.ask(script)
    until = time.monotonic() + 5
    while not select.select([daemon.bell], [], [], 0)[0] and time.monotonic() < until:
        child.ask(script, settings=IGNORE_ACTIVITY)
        time.sleep(0.1)
    assert time.monotonic() < until, "requests that do not count pushed the end back"
    daemon.wants_a_successor()


def test_a_request_that_does_not_end_is_cut_off(place, script):
    daemon = place.start(graceful_timeout=300, shutdown_timeout=5000).ready()
    child = daemon.child()
    send(child, script, 30)
    time.sleep(0.2)
    daemon.retire()
    assert daemon.wait() == 0
    daemon.expect("WSGI7023")


@pytest.mark.parametrize("name", ["SIGUSR1", "SIGXCPU"])
def test_without_a_graceful_timeout_requests_have_the_time_of_the_end(place, script, name):
    """The C module waits for them without limit, or lingers without taking requests."""
    daemon = place.start(graceful_timeout=0, shutdown_timeout=1000, threads=2).ready()
    short, long = daemon.child(), daemon.child()
    send(short, script, 0.5)
    send(long, script, 30)
    time.sleep(0.2)
    begun = time.monotonic()
    daemon.process.send_signal(getattr(signal, name))
    assert short.answer().body == b"ok"
    daemon.wait()
    assert time.monotonic() - begun < 5
    daemon.expect("WSGI7023")


def test_an_exit_that_hangs_is_cut_off(place):
    script = place.script("""
        import atexit, time
        atexit.register(time.sleep, 30)
        def application(e, s): s("200 OK", []); return [b"ok"]
    """)
    daemon = place.start(shutdown_timeout=500).ready()
    assert daemon.child().ask(script).body == b"ok"
    daemon.retire()
    assert daemon.wait() == 255
    daemon.expect("WSGI7021")


def test_a_request_that_waited_too_long_is_refused(place, script):
    daemon = place.start(queue_timeout=1000).ready()
    now = int(time.monotonic() * 1e6)
    child = daemon.child()
    answer = child.ask(script, read_at=now - 5_000_000)
    assert answer.status == 504 and "queue-timeout" in answer.refused[0]
    assert child.ask(script, read_at=now).body == b"ok"


def test_another_release_is_refused_with_the_reason(place, script):
    daemon = place.start().ready()
    answer = daemon.child(greeting=hello(version="6.9.9")).ask(script)
    assert answer.status == 503 and "restart Apache" in answer.refused[0]


@pytest.mark.parametrize("data", [b"GET / HTTP/1.0\r\n\r\n" * 10, frame(0x14), hello() + frame(0x99), hello() + frame(0x13, b"x"),
                                  hello() + frame(2, b"short"), frame(1, b"XXXX" + b"\1\0" + b"7")])
def test_garbage_closes_the_connection_and_nothing_else(place, script, data):
    daemon = place.start().ready()
    child = daemon.child(greeting=b"")
    child.send(data)
    assert closed(child)
    daemon.expect("WSGI7018")
    assert daemon.child().ask(script).body == b"ok"


def test_silent_and_slow_connections_hold_no_thread(place, script):
    daemon = place.start(threads=1).ready()
    silent = [daemon.child(greeting=b"") for _ in range(5)]
    whole = hello() + request(script, {"PATH_INFO": "/", "QUERY_STRING": "", "REQUEST_METHOD": "GET"}, flags=HAS_BODY | BODY_FOLLOWS)
    whole += frame(3, b"body", 1)
    slow = silent[0]
    for at in range(0, len(whole), 7):
        slow.socket.sendall(whole[at:at + 7])
        if at % 70 == 0:
            assert daemon.child().ask(script).body == b"ok"
    assert slow.answer().body == b"ok"


@pytest.mark.parametrize("end", ["close", "half close"])
def test_a_connection_cut_in_a_request_runs_nothing(place, end):
    """At every byte of the greeting, of the request and of the body that it must have."""
    script = place.script("""
        import os
        def application(e, s):
            os.write(2, b"was run")
            s("200 OK", [])
            return [b"ok"]
    """)
    daemon = place.start().ready()
    environ = {"PATH_INFO": "/", "REQUEST_METHOD": "POST", "X_OTHER": "a name that is sent as it is"}
    whole = hello() + request(script, environ, flags=HAS_BODY | BODY_FOLLOWS) + frame(3, b"body", 1)
    for cut in range(len(whole)):
        child = daemon.child(greeting=b"")
        child.send(whole[:cut])
        if end == "close":
            child.close()
            child = daemon.child()
            child.send(b"")
        child.socket.shutdown(socket.SHUT_WR)
        said = b"".join(iter(lambda: child.socket.recv(4096), b""))
        assert said in (b"", frame(WELCOME, said[8:])), cut
        child.close()
    assert daemon.process.poll() is None and "was run" not in daemon.text() and "WSGI7019" not in daemon.text()
    child = daemon.child(greeting=b"")
    child.send(whole)
    assert child.answer().body == b"ok", "whole, it is a request"
    daemon.retire()
    assert daemon.wait() == 0
    assert daemon.text().count("was run") == 1


def test_a_request_sent_before_retirement_is_answered(place, script):
    daemon = place.start(threads=1).ready()
    busy, queued = daemon.child(), daemon.child()
    assert queued.ask(script).body == b"ok"
    send(busy, script, 0.5)
    time.sleep(0.1)
    send(queued, script, 0)
    time.sleep(0.1)
    daemon.retire()
    assert busy.answer().body == b"ok"
    assert queued.answer().body == b"ok"
    assert daemon.wait() == 0


def test_a_request_whose_body_cannot_come_any_more_goes_to_another_process(place):
    """It waits while the process begins to retire, which closes its connection for reading."""
    script = place.script("""
        import sys, time
        def application(environ, start_response):
            print("ran", environ["PATH_INFO"], file=sys.stderr)
            time.sleep(0.5)
            environ["wsgi.input"].read()
            start_response("200 OK", [])
            return [b"ok"]
    """)
    daemon = place.start(threads=1).ready()
    busy, queued = daemon.child(), daemon.child()
    assert queued.ask(script, "/first").body == b"ok"
    busy.send(request(script, {"PATH_INFO": "/busy"}))
    time.sleep(0.1)
    queued.send(request(script, {"PATH_INFO": "/queued"}, flags=HAS_BODY | BODY_FOLLOWS) + frame(3, b"the begin"))
    time.sleep(0.1)
    daemon.retire()
    assert busy.answer().body == b"ok"
    assert queued.answer().retry
    assert daemon.wait() == 0
    assert "ran /queued" not in daemon.text()


def test_the_process_has_its_title(place):
    daemon = place.start(display_name="(wsgi:test)").ready()
    assert open(f"/proc/{daemon.process.pid}/cmdline").read().rstrip("\0") == "(wsgi:test)"


def test_a_home_that_cannot_be_entered_is_told(place):
    daemon = place.start(home=str(place.folder / "nowhere"))
    kind, text = daemon.message()
    assert kind == "f" and text.startswith("WSGI7007: ") and "nowhere" in text
    assert daemon.wait() == 78


def other_pythons():
    """Pythons that are too old, as far as this machine has any."""
    places = ["/usr/bin/python", "/usr/local/bin/python", "~/.pyenv/versions/*/bin/python"]
    found = [path for place in places for path in glob.glob(os.path.expanduser(place) + "[23].[0-9]")]
    return [path for path in found if subprocess.run([path, "-c", ""], capture_output=True).returncode == 0]


def test_an_unsupported_python_is_named(place):
    for python in other_pythons():
        daemon = place.start(python=python)
        kind, text = daemon.message()
        assert kind == "f" and text.startswith("WSGI7001: Python ") and "is not supported" in text and python in text
        assert daemon.wait() == 78


def test_a_missing_host_is_named(place, tmp_path, monkeypatch):
    shutil.copy(BUILT / "mod_wsgi_daemon.py", tmp_path)
    monkeypatch.setattr("daemon.BUILT", tmp_path)
    daemon = place.start()
    kind, text = daemon.message()
    assert kind == "f" and text.startswith("WSGI7001: ") and "mod_wsgi_host.cpython-3" in text
    assert daemon.wait() == 78


def test_a_host_of_another_python_is_named(place, tmp_path, monkeypatch):
    shutil.copy(BUILT / "mod_wsgi_daemon.py", tmp_path)
    (tmp_path / f"mod_wsgi_host.cpython-{place.version.replace('.', '')}.so").write_bytes(b"no library")
    monkeypatch.setattr("daemon.BUILT", tmp_path)
    kind, text = place.start().message()
    assert kind == "f" and "cannot load" in text


def test_user_tool_by_hand_says_what_it_is(place):
    done = subprocess.run([place.python, str(BUILT / "mod_wsgi_daemon.py")], capture_output=True, text=True, timeout=20)
    assert done.returncode == 78 and "started by Apache" in done.stderr
