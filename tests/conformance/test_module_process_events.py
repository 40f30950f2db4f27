"""`process_stopping` and `process_signal`: what callbacks are told of the process, by which list, in which interpreter."""

import json
import os
import signal

import pytest

from harness.processes import wait_until

pytestmark = pytest.mark.since((6, 1, 1), "older versions tell no signals and other reasons")

TELLS = """
    import json, os, threading, time
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

    def application(environ, start_response):
        if environ["PATH_INFO"] == "/sleep":
            tell("request")
            time.sleep(1)
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [str(os.getpid()).encode()]
"""


def script(site, fails=False, waits=False):
    told = site.path("told")
    told.touch()
    told.chmod(0o666)
    return site.write("tells.wsgi", TELLS.format(told=str(told), fails=fails, waits=waits))


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
