"""`process_stopping` and `process_signal`: what callbacks are told of the process, by which list, in which interpreter."""

import json
import os
import signal

import pytest

from harness import interpreters, under_test
from harness.processes import wait_until

pytestmark = pytest.mark.since((6, 1, 1), "older versions tell no signals and other reasons")

TELLS = """
    import json, os, re, threading, time
    import mod_wsgi

    def tell(*what):
        with open({told!r}, "a") as file:
            file.write(json.dumps([os.getpid(), mod_wsgi.application_group, *what]) + "\\n")

    def told_by(name):
        def callback(event, **payload):
            if event.startswith("process_"):
                tell(name, event, payload)
                return {{"by": name}}
        return callback

    @mod_wsgi.subscribe_shutdown
    def fails(event, **payload):
        if {fails}:
            raise ValueError("of a callback")

    @mod_wsgi.subscribe_shutdown
    def waits(event, **payload):
        if {waits}:
            time.sleep(60)

    mod_wsgi.subscribe_shutdown(told_by("shutdown"))
    mod_wsgi.subscribe_signals(told_by("signal"))
    mod_wsgi.subscribe_events(told_by("event"))

    if {never_loaded}:
        time.sleep(60)

    def application(environ, start_response):
        what = environ["PATH_INFO"]
        if what == "/sleep":
            tell("request")
            time.sleep(1)
        if what == "/hang":
            time.sleep(60)
        if what == "/burn":
            end = time.process_time() + 1.5
            while time.process_time() < end:
                pass
        if what == "/deaf":
            for number in os.listdir("/proc/self/fd"):
                try:
                    if os.readlink("/proc/self/fd/" + number).startswith("pipe:"):
                        os.close(int(number))
                except OSError:
                    pass
        if what.endswith("/lock"):
            re.match("(a+)+$", "a" * 60 + "b")  # takes years, and keeps Python's lock
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [str(os.getpid()).encode()]
"""


def script(site, fails=False, waits=False, never_loaded=False):
    told = site.path("told")
    told.touch()
    told.chmod(0o666)
    return site.write("tells.wsgi", TELLS.format(told=str(told), fails=fails, waits=waits, never_loaded=never_loaded))


def told(site, pid=None, group=""):
    """What one interpreter of a process, or of any, has told: name of the list, event, payload."""
    lines = [json.loads(line) for line in site.path("told").read_text().splitlines()]
    return [line[2:] for line in lines if line[0] == (pid or line[0]) and line[1] == group]


def both(list_name, event, **payload):
    """The general list comes first, and what its callback returned is there for the other one."""
    return [["event", event, payload], [list_name, event, {**payload, "by": "event"}]]


class TestStop:
    mpms = ("event", "prefork")

    @pytest.mark.parametrize("mpm", mpms)
    @pytest.mark.parametrize("mode", ("embedded", "daemon"))
    def test_every_interpreter_is_told_once_that_the_process_ends(self, new_server, mpm, mode):
        server = new_server(mpm, mode)
        site = server.site
        site.one_child()
        path = script(site)
        site.add(site.daemon("app", "threads=2"), f"WSGIScriptAlias /other {path} application-group=other",
                 f"WSGIScriptAlias / {path} application-group=%{{GLOBAL}}")
        server.start()
        pid = int(server.get("/").text)
        assert int(server.get("/other").text) == pid
        server.stop()
        reason = "" if mode == "embedded" else "shutdown_signal"
        for group in ("", "other"):
            assert told(site, pid, group) == both("shutdown", "process_stopping", shutdown_reason=reason)

    def test_requests_that_run_are_still_there_when_it_is_told(self, new_server):
        server = new_server("event", "daemon")
        site = server.site
        script(site)
        site.serve("tells.wsgi", options="threads=2 graceful-timeout=5")
        server.start()
        with server.connect() as connection:
            connection.sendall(b"GET /sleep HTTP/1.0\r\n\r\n")
            wait_until(lambda: told(site) == [["request"]], "the request runs")
            (runs,) = [json.loads(line)[0] for line in site.path("told").read_text().splitlines()]
            os.kill(runs, signal.SIGUSR1)
            wait_until(lambda: told(site, runs)[1:] == both("shutdown", "process_stopping", shutdown_reason="graceful_signal"),
                       "the end is told")
            answer = b""
            while data := connection.recv(4096):
                answer += data
        assert answer.endswith(str(runs).encode())


@pytest.mark.parametrize("options, number, reason", [
    ("", signal.SIGTERM, "shutdown_signal"),
    ("", signal.SIGINT, "shutdown_signal"),
    ("", signal.SIGUSR1, "graceful_signal"),
    ("eviction-timeout=5", signal.SIGUSR1, "eviction_signal"),
    ("maximum-requests=3", None, "maximum_requests"),
    ("restart-interval=1", None, "restart_interval"),
    ("inactivity-timeout=1", None, "inactivity_timeout"),
])
class TestReasons:
    def test_the_reason_is_told(self, new_server, options, number, reason):
        server = new_server("event", "daemon")
        site = server.site
        script(site)
        site.serve("tells.wsgi", options=f"threads=2 graceful-timeout=5 {options}")
        server.start()
        pid = int(server.get("/").text)
        if number:
            os.kill(pid, number)
        elif "maximum" in reason:
            for _ in range(2):
                server.get("/")
        wait_until(lambda: len(told(site, pid)) == 2, "the end is told", 10)
        assert told(site, pid) == both("shutdown", "process_stopping", shutdown_reason=reason)


class TestReasonsOfTheClock:
    """Requests that take too long, and processes with them: a subscriber still hears why, as long as Python can be had."""

    LOGGED = "WSGI702[1378]", "Truncated or oversized", "WSGI014[67]"

    def end(self, new_server, options, path, never_loaded=False):
        """Runs a request that ends its process; answers the process, if it is known, and what it has told."""
        server = new_server("event", "daemon")
        site = server.site
        script(site, never_loaded=never_loaded)
        site.serve("tells.wsgi", options=f"threads=1 graceful-timeout=3 shutdown-timeout=2 {options}")
        site.log.allow(*self.LOGGED)
        server.start()
        pid = None if never_loaded else int(server.get("/").text)
        server.get(path)
        return server, pid

    @pytest.mark.parametrize("options, path, reason", [
        ("request-timeout=1", "/hang", "request_timeout"),
        ("cpu-time-limit=1", "/burn", "cpu_time_limit"),
    ])
    def test_a_limit_that_is_reached_is_told(self, new_server, options, path, reason):
        server, pid = self.end(new_server, options, path)
        wait_until(lambda: len(told(server.site, pid)) == 2, "the end is told")
        wait_until(lambda: pid not in server.processes(), "the process ends")
        assert told(server.site, pid) == both("shutdown", "process_stopping", shutdown_reason=reason)

    def test_a_script_that_is_never_loaded_is_told_if_it_has_subscribed_before_it_hangs(self, new_server):
        server, _ = self.end(new_server, "startup-timeout=1", "/", never_loaded=True)
        wait_until(lambda: len(told(server.site)) == 2, "the end is told")
        assert told(server.site) == both("shutdown", "process_stopping", shutdown_reason="startup_timeout")

    @pytest.mark.needs_lock("nobody can hold it")
    def test_a_deadlock_is_told_to_nobody_who_would_need_the_lock_for_it(self, new_server):
        """There is nothing to run a callback with; the log tells it instead."""
        server, pid = self.end(new_server, "deadlock-timeout=1", "/lock")
        wait_until(lambda: pid not in server.processes(), "the process ends", 15)
        assert told(server.site, pid) == []
        if under_test.OURS:
            assert server.log.find(f"pid {pid}.*WSGI7027: Python's lock could not be had")
            assert server.log.find(f"pid {pid}.*WSGI7015: .*deadlock_timeout")

    @pytest.mark.ours_only("the C module can only run the Python it was compiled for")
    def test_a_deadlock_of_one_interpreter_is_told_to_another_one_that_has_its_own_lock(self, new_server):
        python = interpreters.with_locks_of_their_own()
        server = new_server("event", "daemon")
        site = server.site
        path = script(site)
        options = "threads=2 deadlock-timeout=1 graceful-timeout=3 shutdown-timeout=2"
        site.add("WSGIPerInterpreterGIL On", f"WSGIDaemonProcess app python-home={interpreters.virtualenv(python)} {options}",
                 "WSGIProcessGroup app", f"WSGIScriptAlias /other {path} application-group=other",
                 f"WSGIScriptAlias / {path} application-group=%{{GLOBAL}}")
        site.log.allow(*self.LOGGED)
        server.start()
        pid = int(server.get("/").text)
        assert int(server.get("/other").text) == pid
        assert server.get("/other/lock").status == 504
        wait_until(lambda: pid not in server.processes(), "the process ends", 15)
        assert told(site, pid) == both("shutdown", "process_stopping", shutdown_reason="deadlock_timeout")
        assert told(site, pid, "other") == []


class TestASignalPipeThatIsClosed:
    """By an application that closes all descriptors it does not know, for example."""

    def test_the_reason_is_told_and_another_process_serves(self, new_server):
        server = new_server("event", "daemon")
        site = server.site
        script(site)
        site.serve("tells.wsgi", options="threads=2 graceful-timeout=5")
        server.start()
        pid = int(server.get("/").text)
        site.log.allow("WSGI0023", "WSGI0208")
        assert int(server.get("/deaf").text) == pid
        wait_until(lambda: len(told(site, pid)) == 2, "the end is told", 15)
        wait_until(lambda: pid not in server.processes(), "the process ends")
        assert told(site, pid) == both("shutdown", "process_stopping", shutdown_reason="signal_pipe_error")
        assert site.log.find("WSGI0023")
        assert server.get("/").status == 200


class TestAChangedScript:
    def test_the_reason_is_told(self, new_server):
        server = new_server("event", "daemon")
        site = server.site
        path = script(site)
        site.serve("tells.wsgi", options="threads=2")
        server.start()
        pid = int(server.get("/").text)
        later = path.stat().st_mtime + 5
        os.utime(path, (later, later))
        assert int(server.get("/").text) != pid
        wait_until(lambda: len(told(site, pid)) == 2, "the end is told")
        assert told(site, pid) == both("shutdown", "process_stopping", shutdown_reason="script_reload")


class TestSignals:
    modes = ("daemon",)
    mpms = ("event",)

    @staticmethod
    def configure(site):
        path = script(site)
        site.add(site.daemon("app", "threads=2"), f"WSGIScriptAlias /other {path} application-group=other",
                 f"WSGIScriptAlias / {path} application-group=%{{GLOBAL}}")

    @pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGUSR2])
    def test_every_interpreter_is_told_and_the_process_stays(self, server, site, number):
        pid = int(server.get("/").text)
        assert int(server.get("/other").text) == pid
        before = len(told(site, pid)), len(told(site, pid, "other"))
        os.kill(pid, number)
        for group, known in zip(("", "other"), before):
            wait_until(lambda: len(told(site, pid, group)) >= known + 2, "the signal is told")
            assert told(site, pid, group)[known:] == both("signal", "process_signal", signame=number.name, signum=int(number))
        assert int(server.get("/").text) == pid


class TestACallbackThatFails:
    @pytest.mark.parametrize("mode", ("embedded", "daemon"))
    def test_it_is_logged_and_the_others_are_called(self, new_server, mode):
        server = new_server("event", mode)
        site = server.site
        site.one_child()
        script(site, fails=True)
        site.serve("tells.wsgi")
        server.start()
        pid = int(server.get("/").text)
        site.log.allow("wsgi:error")
        server.stop()
        assert [name for name, *_ in told(site, pid)] == ["event", "shutdown"]
        assert site.log.find("WSGI0112.*ValueError.*process_stopping")


@pytest.mark.ours_only("the C module kills its process, and its requests with it")
class TestACallbackThatDoesNotReturn:
    def test_the_process_ends_all_the_same_and_says_why(self, new_server):
        server = new_server("event", "daemon")
        site = server.site
        script(site, waits=True)
        site.serve("tells.wsgi", options="threads=2 graceful-timeout=1 shutdown-timeout=5")
        server.start()
        pid = int(server.get("/").text)
        os.kill(pid, signal.SIGUSR1)
        server.log.expect("WSGI7044", 8)
        wait_until(lambda: pid not in server.processes(), "the process ends", 8)
        assert server.get("/").status == 200
        server.log.declare("WSGI7044", "WSGI7021")
        server.log.allow("WSGI7044", "WSGI7021")
