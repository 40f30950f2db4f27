"""Requests that take too long, and interpreters that stand still: who is answered, what the log tells, what goes on."""

import os
import re
import select
import time
from pathlib import Path

import pytest
from wire import HAS_BODY, LOG, REFUSE, WANT, WELCOME, request

APPLICATION = """
    import ctypes, re, select, sys, time
    import mod_wsgi

    def stuck_in_the_application():
        time.sleep(30)

    def application(environ, start_response):
        what = environ["QUERY_STRING"]
        if what == "stuck":
            stuck_in_the_application()
        if what == "stubborn":
            until = time.monotonic() + 30
            while time.monotonic() < until:
                try:
                    time.sleep(0.01)
                except BaseException:
                    pass
        if what == "busy":
            try:
                until = time.monotonic() + 30
                while time.monotonic() < until:
                    time.sleep(0.01)
            except mod_wsgi.RequestTimeout:
                print("caught", file=sys.stderr)
                start_response("200 OK", [])
                return [b"saved"]
        if what == "interrupted":
            until = time.monotonic() + 30
            while time.monotonic() < until:
                time.sleep(0.01)
        if what == "lock":
            ctypes.PyDLL(None).sleep(30)
        if what == "regex":
            re.match("(a+)+$", "a" * 60 + "b")
        if what == "select":
            select.select([], [], [], 1)
        if what == "clock":
            start_response("200 OK", [])
            return [str(time.time()).encode()]
        if what == "read":
            environ["wsgi.input"].read()
        if what == "begun":
            start_response("200 OK", [])(b"one")
            stuck_in_the_application()
        if what.startswith("sleep"):
            time.sleep(float(what[5:]))
        start_response("200 OK", [])
        return [b"ok"]
"""


@pytest.fixture
def script(place):
    return place.script(APPLICATION)


def send(child, script, what, **how):
    environ = {"REQUEST_METHOD": "GET", "REQUEST_URI": f"/page?{what}", "SERVER_PROTOCOL": "HTTP/1.1", "QUERY_STRING": what}
    child.send(request(script, environ, **how))


def lines(answer):
    return "\n".join(answer.log)


SECONDS = r"(\d+\.\d{3})"


def stages(said, doing):
    """How long a request took, and of that its stages: queue, script, read, write, application."""
    found = re.search(rf"for {SECONDS} seconds in thread \d+ \(queue {SECONDS}, script {SECONDS}, read {SECONDS}, write {SECONDS}, "
                      rf"application {SECONDS}; {doing}\)$", said, re.M)
    assert found, said
    ran, *parts = map(float, found.groups())
    return ran, dict(zip(["queue", "script", "read", "write", "application"], parts))


class TestRequestTimeout:
    def test_the_client_gets_504_and_the_log_says_where_it_hung(self, place, script):
        daemon = place.start(threads=1, request_timeout=400).ready()
        child = daemon.child()
        begun = time.monotonic()
        send(child, script, "stuck", start=int((time.time() - 1.5) * 1e6))
        answer = child.answer()
        assert answer.status == 504 and time.monotonic() - begun < 3
        said = lines(answer)
        assert "WSGI7028: request-timeout has passed: request 'GET /page?stuck HTTP/1.1'" in said
        assert "stuck_in_the_application" in said and str(script) in said
        ran, parts = stages(said, "in the application")
        assert 0.4 <= ran < 2 and parts["script"] + parts["application"] == pytest.approx(ran, abs=0.01)
        assert parts["application"] > 0.2 and parts["read"] == parts["write"] == 0
        assert 1.5 <= parts["queue"] < 3
        daemon.wants_a_successor("request_timeout")
        assert daemon.wait() == 0
        daemon.expect("WSGI7015: .*request_timeout")

    @pytest.mark.parametrize("graceful_timeout", [5000, 100])
    def test_siblings_have_as_long_as_any_request(self, place, script, graceful_timeout):
        """Here 0.8 seconds, also where graceful-timeout is shorter."""
        daemon = place.start(threads=3, request_timeout=400, graceful_timeout=graceful_timeout).ready()
        stuck, sibling = daemon.child(), daemon.child()
        send(stuck, script, "stuck")
        time.sleep(0.6)
        send(sibling, script, "sleep0.7")
        assert stuck.answer().status == 504
        assert sibling.answer().body == b"ok"
        assert daemon.wait() == 0, "nobody waits for the stuck thread"

    def test_more_threads_are_more_patient(self, place, script):
        """The limit is request-timeout times 1 + ln(threads): here 3.3 times as long."""
        daemon = place.start(threads=10, request_timeout=400).ready()
        child = daemon.child()
        send(child, script, "sleep0.9")
        assert child.answer().body == b"ok"

    def test_a_response_that_has_begun_is_cut_off(self, place, script):
        daemon = place.start(threads=1, request_timeout=400).ready()
        child = daemon.child()
        send(child, script, "begun")
        answer = child.answer()
        assert answer.body == b"one" and answer.end & 2, "truncated"

    def test_a_request_that_waits_for_its_body_gets_504(self, place, script):
        daemon = place.start(threads=1, request_timeout=400).ready()
        child = daemon.child()
        send(child, script, "read", flags=HAS_BODY)
        said = b""
        while (frame := child.frame())[0] != REFUSE:
            assert frame[0] in (WELCOME, WANT, LOG)
            said += frame[2] + b"\n"
        assert int.from_bytes(frame[2][:2], "little") == 504
        # Under the request where the connection is free just then, else in the log of the process.
        if b"waiting for more of the request body" not in said:
            daemon.expect("waiting for more of the request body")
        ran, parts = stages(said.decode("latin-1") + daemon.text(), "waiting for more of the request body")
        assert parts["read"] == pytest.approx(ran, abs=0.2) and parts["application"] < 0.2, "it is not the application that took it"

    def test_a_thread_in_c_that_has_the_lock_is_shown_with_its_native_stack(self, place, script):
        daemon = place.start(threads=1, request_timeout=400).ready()
        child = daemon.child()
        send(child, script, "lock")
        answer = child.answer()
        assert answer.status == 504
        assert "native stack" in lines(answer) and "sleep" in lines(answer).split("native stack")[1]
        assert daemon.wait() == 0

    def test_without_a_limit_a_request_may_take_its_time(self, place, script):
        daemon = place.start(threads=1).ready()
        child = daemon.child()
        send(child, script, "sleep1")
        assert child.answer().body == b"ok"


class TestInterruptTimeout:
    def test_the_exception_ends_the_request_with_504_and_the_process_stays(self, place, script):
        daemon = place.start(threads=1, request_timeout=300, interrupt_timeout=5000).ready()
        child = daemon.child()
        send(child, script, "interrupted")
        answer = child.answer()
        assert answer.status == 504 and "WSGI7025" in lines(answer) and "Traceback" not in lines(answer)
        daemon.expect("WSGI7026: request-timeout has passed, RequestTimeout is raised: request 'GET /page")
        daemon.expect("WSGI7026: .*in application")
        send(child, script, "")
        assert child.answer().body == b"ok"
        assert daemon.process.poll() is None

    def test_an_application_may_catch_it(self, place, script):
        daemon = place.start(threads=1, request_timeout=300, interrupt_timeout=5000).ready()
        child = daemon.child()
        send(child, script, "busy")
        answer = child.answer()
        assert answer.body == b"saved" and "caught" in lines(answer)

    def test_who_does_not_heed_it_is_given_up(self, place, script):
        daemon = place.start(threads=1, request_timeout=300, interrupt_timeout=300).ready()
        child = daemon.child()
        send(child, script, "stubborn")
        assert child.answer().status == 504
        daemon.wants_a_successor("request_timeout")

    def test_what_is_left_over_does_not_hit_the_next_request(self, place, script):
        """The exception waits while the thread is in C, and its request ends meanwhile."""
        daemon = place.start(threads=1, request_timeout=300, interrupt_timeout=5000).ready()
        child = daemon.child()
        for _ in range(3):
            send(child, script, "sleep0.4")
            assert child.answer().status in (200, 504)
            send(child, script, "")
            assert child.answer().body == b"ok"


class TestStartupTimeout:
    def test_a_script_that_does_not_load_gives_504_and_another_process(self, place):
        script = place.script("import time; time.sleep(30)")
        daemon = place.start(threads=2, startup_timeout=400).ready()
        child = daemon.child()
        send(child, script, "")
        answer = child.answer()
        assert answer.status == 504 and "startup-timeout has passed" in lines(answer)
        assert "the script is being loaded" in lines(answer)
        daemon.wants_a_successor("startup_timeout")
        assert daemon.wait() == 0

    def test_it_is_over_with_the_first_script(self, place, script):
        daemon = place.start(threads=2, startup_timeout=300).ready()
        child = daemon.child()
        send(child, script, "")
        assert child.answer().body == b"ok"
        send(child, script, "sleep0.8")
        assert child.answer().body == b"ok"


class TestDeadlockTimeout:
    def test_a_lock_that_is_never_free_ends_the_process_and_answers_its_clients(self, place, script):
        place.needs_lock()
        daemon = place.start(threads=3, deadlock_timeout=1000).ready()
        first, second = daemon.child(), daemon.child()
        send(first, script, "regex")
        time.sleep(0.2)
        send(second, script, "")
        assert first.answer().status == 504 and second.answer().status == 504
        daemon.expect("WSGI7027")
        assert daemon.wait() == 0
        daemon.expect("WSGI7015: .*deadlock_timeout")

    def test_a_busy_application_is_no_deadlock(self, place, script):
        daemon = place.start(threads=1, deadlock_timeout=300).ready()
        child = daemon.child()
        send(child, script, "sleep1")
        assert child.answer().body == b"ok"
        assert daemon.process.poll() is None


def test_a_request_that_never_got_python_goes_to_another_process(place, script):
    place.needs_lock()
    daemon = place.start(threads=3, graceful_timeout=500).ready()
    holder, waiting = daemon.child(), daemon.child()
    send(holder, script, "regex")
    time.sleep(0.3)
    send(waiting, script, "")
    time.sleep(0.2)
    daemon.retire()
    assert waiting.answer().retry
    daemon.wait()


def test_a_request_that_is_cut_off_at_the_end_is_shown(place, script):
    daemon = place.start(threads=1, graceful_timeout=300).ready()
    child = daemon.child()
    send(child, script, "stuck")
    time.sleep(0.2)
    daemon.retire()
    assert daemon.wait() == 0
    daemon.expect(r"WSGI7023: request 'GET /page\?stuck HTTP/1.1'")
    daemon.expect("WSGI7023: .*stuck_in_the_application")


def test_a_request_whose_sender_has_gone_is_not_run(place):
    """Whoever has answered its client with 503 or 504 meanwhile has closed the connection."""
    script = place.script("""
        import sys, time
        def application(environ, start_response):
            print("ran", environ["QUERY_STRING"], file=sys.stderr)
            time.sleep(float(environ["QUERY_STRING"]))
            start_response("200 OK", [])
            return [b"ok"]
    """)
    daemon = place.start(threads=1).ready()
    busy, gone = daemon.child(), daemon.child()
    send(busy, script, "1.2")
    time.sleep(0.2)
    send(gone, script, "0")
    gone.close()
    assert busy.answer().body == b"ok"
    daemon.retire()
    assert daemon.wait() == 0
    assert "ran 0" not in daemon.text()


def faketime():
    """The library that shows a process another time of day than the system's."""
    found = sorted(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))
    return found[0] if found else None


@pytest.mark.skipif(not faketime(), reason="needs libfaketime, to set the clock of one process: apt-get install libfaketime")
@pytest.mark.parametrize("jump", ["+1d", "-1d"])
def test_a_clock_that_jumps_ends_nothing(place, script, jump):
    clock = place.folder / "clock"
    clock.write_text("+0")
    environment = {**os.environ, "LD_PRELOAD": str(faketime()), "FAKETIME_TIMESTAMP_FILE": str(clock), "FAKETIME_NO_CACHE": "1",
                   "DONT_FAKE_MONOTONIC": "1"}
    daemon = place.start(threads=2, request_timeout=5000, inactivity_timeout=60000, startup_timeout=5000, restart_interval=600000,
                         queue_timeout=5000, environment=environment).ready()
    child, other = daemon.child(), daemon.child()
    send(child, script, "clock")
    before = float(child.answer().body)
    send(child, script, "select")
    time.sleep(0.3)
    clock.write_text(jump)
    answer = child.answer()
    assert answer.body == b"ok", (answer.status, answer.log, daemon.text())
    send(other, script, "clock")
    assert abs(float(other.answer().body) - before) > 80000, "its clock did jump"
    time.sleep(1.5)
    assert select.select([daemon.bell], [], [], 0)[0] == [] and daemon.process.poll() is None
