"""SetHandler wsgi-status: the page for an administrator, as JSON and in a browser."""

import html
import json
import os
import re
import shutil
import signal
import subprocess
import threading
import time
from pathlib import Path

import pytest

from harness import processes
from harness.processes import wait_until

VERSION = re.search(r'(?m)^version = "(.*)"', (Path(__file__).resolve().parents[2] / "Cargo.toml").read_text()).group(1)

pytestmark = pytest.mark.ours_only("the C module has no such handler")

APPLICATION = """
    import time

    def application(environ, start_response):
        path = environ["PATH_INFO"]
        if path.startswith("/sleep"):
            time.sleep(float(environ["QUERY_STRING"] or 1))
        if path == "/fail":
            raise ValueError("<b>no such luck</b>")
        if path == "/read":
            environ["wsgi.input"].read()
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [b"0123456789"]
"""
CRASHES = """
    import os, signal
    os.kill(os.getpid(), signal.SIGSEGV)
"""
LOCATION = "<Location /state>\nSetHandler wsgi-status\n</Location>"


def report(server):
    answer = server.get("/state?format=json")
    assert (answer.status, answer.headers["Content-Type"]) == (200, "application/json"), answer
    assert answer.headers["Cache-Control"] == "no-store"
    return json.loads(answer.text)


def group_of(server, name="app"):
    return next(group for group in report(server)["groups"] if group["name"] == name)


def busy(group):
    return [thread for process in group["processes"] for thread in process["threads"] if thread["request"]]


ENDING = """
    import ctypes
    import os
    import time

    def application(environ, start_response):
        what, seconds = environ["PATH_INFO"], float(environ["QUERY_STRING"] or 0)
        if what == "/exit":
            # No number of a signal.
            os._exit(70)
        if what == "/sleep":
            time.sleep(seconds)
        if what == "/deaf":
            # As a program does that closes all descriptors it does not know.
            for number in os.listdir("/proc/self/fd"):
                try:
                    if os.readlink("/proc/self/fd/" + number).startswith("pipe:"):
                        os.close(int(number))
                except OSError:
                    pass
        if what == "/lock":
            ctypes.PyDLL(None).sleep(20)
        if what == "/spin":
            end = time.process_time() + seconds
            while time.process_time() < end:
                pass
        start_response("200 OK", [])
        return [b"ok"]
"""

NEVER_LOADED = """
    import time
    time.sleep(20)
"""


class Background:
    """Requests that run meanwhile."""

    def __init__(self, *calls):
        self.threads = [threading.Thread(target=call) for call in calls]

    def __enter__(self):
        for thread in self.threads:
            thread.start()

    def __exit__(self, *_):
        for thread in self.threads:
            thread.join()


class TestJson:
    @staticmethod
    def configure(site):
        site.write("app.wsgi", APPLICATION)
        site.add(LOCATION)
        site.serve("app.wsgi", options="threads=4 processes=2")

    def name(self, site):
        return "%{GLOBAL}" if site.embedded else "app"

    def test_the_server_and_its_groups_are_told(self, server, site):
        told = report(server)
        assert told["mod_wsgi"] == VERSION and f"mod_wsgi/{VERSION}" in told["server"]
        assert abs(told["time"] - time.time()) < 10
        assert [(group["name"], group["mode"]) for group in told["groups"]] == (
            [("%{GLOBAL}", "embedded")] if site.embedded else [("app", "daemon"), ("%{GLOBAL}", "embedded")])

    def test_a_running_request_is_seen_with_its_line_and_its_time(self, server, site):
        with Background(lambda: server.get("/sleep/<x>?1.5")):
            wait_until(lambda: busy(group_of(server, self.name(site))), "the request is seen")
            thread, = busy(group_of(server, self.name(site)))
            assert thread["request"] == "GET /sleep/<x>?1.5 HTTP/1.1"
            assert thread["state"] == "application"
            assert 0 <= thread["seconds"] < 5
            group = group_of(server, self.name(site))
            assert group["active"] == 1
        wait_until(lambda: not busy(group_of(server, self.name(site))), "its end is seen")
        assert group_of(server, self.name(site))["active"] == 0

    def test_processes_are_told_with_memory_requests_and_threads(self, server, site):
        server.get("/")

        def group_when_up():
            """One process may have answered while the other one, or a thread, still starts."""
            group = group_of(server, self.name(site))
            up = [(process["state"], len(process["threads"])) for process in group["processes"]] == [("ready", 4)] * 2
            return group if site.embedded or up else None
        group = processes.wait_until(group_when_up, "both processes are ready with all their threads")
        if site.embedded:
            assert all(process["memory_bytes"] > 1 << 20 for process in group["processes"])
            assert sum(process["requests"] for process in group["processes"]) >= 1
            return
        assert (group["processes_configured"], group["threads_per_process"]) == (2, 4)
        assert "python3" in group["python"] and group["user"]
        assert [process["index"] for process in group["processes"]] == [0, 1]
        for process in group["processes"]:
            assert process["memory_bytes"] > 1 << 20 and processes.is_alive(process["pid"])
            assert abs(process["started"] - time.time()) < 600
        assert sum(process["requests"] for process in group["processes"]) >= 1

    def test_a_failed_request_is_among_the_last_errors_with_the_last_line_of_its_traceback(self, server, site):
        server.log.declare("wsgi:error")
        assert server.get("/fail").status == 500
        fault = group_of(server, self.name(site))["errors"][0]
        assert (fault["status"], fault["request"]) == (500, "GET /fail HTTP/1.1")
        assert fault["text"].endswith("ValueError: <b>no such luck</b>")
        assert abs(fault["time"] - time.time()) < 10
        assert fault["local_time"] == time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(fault["time"]))

    def test_bytes_of_bodies_are_told_by_their_direction(self, server, site):
        def counts():
            group = group_of(server, self.name(site))
            return group["request_body_bytes"], group["response_body_bytes"]
        before = counts()
        assert server.post("/read", b"12345").status == 200
        assert [now - then for now, then in zip(counts(), before)] == [5, 10]

    def test_interpreters_are_told_with_their_requests(self, server, site):
        def count():
            return sum(one["requests"]["2xx"] for one in group_of(server, self.name(site))["interpreters"] if one["name"] == "")
        before = count()
        server.get("/")
        assert count() == before + 1


class Look:
    """The busy threads on the page, and between which two moments they were looked at."""

    def __init__(self, server, form):
        self.earliest = time.time()
        if form == "json":
            found = [(thread["request"], thread["state"], thread["seconds"])
                     for group in report(server)["groups"] for thread in busy(group)]
        else:
            shown = re.findall(r'<div><code>(.*?)</code> <span class="soft">(\w+) for (\S+) s</span></div>', server.get("/state").text)
            found = [(html.unescape(request), state, float(seconds)) for request, state, seconds in shown]
        self.latest = time.time()
        self.threads = {request: (state, seconds) for request, state, seconds in found}
        assert len(self.threads) == len(found), found

    def seconds(self, request):
        return self.threads[request][1]


@pytest.mark.parametrize("form", ["json", "html"])
class TestWhatABusyThreadDoesAndForHowLong:
    """What an administrator opens the page for; the time is compared with the clock, from outside."""

    mpms = ("event", "prefork")
    EXACT = 0.02
    """The page shows hundredths of a second."""

    @staticmethod
    def configure(site):
        site.write("app.wsgi", APPLICATION)
        site.add(LOCATION)
        site.serve("app.wsgi", options="threads=4")

    def test_it_is_told_by_its_request_line_and_its_time_is_that_which_has_passed(self, server, form):
        line, path = "GET /sleep/<a>&b?2 HTTP/1.1", "/sleep/<a>&b?2"
        sent = time.time()
        with Background(lambda: server.get(path)):
            wait_until(lambda: line in Look(server, form).threads, "the request is seen")
            seen = time.time()
            first = Look(server, form)
            # As long as a person looks away.
            time.sleep(0.8)
            second = Look(server, form)
        for look in (first, second):
            assert look.threads.keys() == {line} and look.threads[line][0] == "application"
            assert look.earliest - seen - self.EXACT <= look.seconds(line) <= look.latest - sent + self.EXACT
        grown = second.seconds(line) - first.seconds(line)
        assert second.earliest - first.latest - self.EXACT <= grown <= second.latest - first.earliest + self.EXACT
        wait_until(lambda: not Look(server, form).threads, "its end is seen")

    def test_of_two_each_has_its_own_line_and_its_own_time(self, server, form):
        older, younger = "GET /sleep/older?2 HTTP/1.1", "GET /sleep/younger?1 HTTP/1.1"
        with Background(lambda: server.get("/sleep/older?2")):
            wait_until(lambda: older in Look(server, form).threads, "the first one is seen")
            time.sleep(0.5)
            sent = time.time()
            with Background(lambda: server.get("/sleep/younger?1")):
                wait_until(lambda: younger in Look(server, form).threads, "the second one is seen")
                look = Look(server, form)
        assert look.threads.keys() == {older, younger}
        assert look.seconds(younger) <= look.latest - sent + self.EXACT
        assert look.seconds(older) >= look.seconds(younger) + 0.5 - self.EXACT

    def test_the_time_of_a_thread_begins_anew_with_its_next_request(self, server, form):
        with server.keep_alive() as connection:
            for number in range(2):
                sent = time.time()
                with Background(lambda: connection.request("GET", f"/sleep/{number}?0.6")):
                    wait_until(lambda: Look(server, form).threads, "the request is seen")
                    look = Look(server, form)
                assert look.seconds(f"GET /sleep/{number}?0.6 HTTP/1.1") <= look.latest - sent + self.EXACT


class TestPage:
    @staticmethod
    def configure(site):
        site.write("app.wsgi", APPLICATION)
        site.add(LOCATION)
        site.serve("app.wsgi")

    def test_the_page_needs_nothing_else_and_allows_nothing_else(self, server):
        answer = server.get("/state")
        assert (answer.status, answer.headers["Content-Type"]) == (200, "text/html; charset=utf-8")
        assert answer.headers["Content-Security-Policy"].startswith("default-src 'none'")
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert not re.search(r"<script|\bsrc=|<link", answer.text)
        assert "Refresh" not in answer.headers

    def test_it_is_loaded_again_when_that_is_asked_for(self, server):
        assert server.get("/state?refresh=7").headers["Refresh"] == "7"
        assert "Refresh" not in server.get("/state?refresh=x").headers

    def test_what_clients_and_applications_say_is_escaped(self, server):
        server.log.declare("wsgi:error")
        server.get("/fail")
        page = server.get("/state").text
        assert "&lt;b&gt;no such luck&lt;/b&gt;" in page and "<b>no" not in page

    def test_only_reading_is_answered(self, server):
        assert server.post("/state", b"x").status == 405
        head = server.request("HEAD", "/state")
        assert (head.status, head.body) == (200, b"")


class TestFaults:
    """What a page tells when something is wrong is what it is for."""

    mpms = ("event",)

    @staticmethod
    def configure(site):
        site.write("app.wsgi", APPLICATION)
        site.add(LOCATION)
        site.serve("app.wsgi", options="threads=2")

    def test_a_request_that_waits_for_its_client_is_told_as_reading(self, new_server):
        server = new_server("event", "daemon")
        self.configure(server.site)
        server.start()
        with server.connect() as client:
            client.sendall(b"POST /read HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\n12345")
            wait_until(lambda: [thread["state"] for thread in busy(group_of(server))] == ["reading"], "the wait is seen")
            client.sendall(b"67890")
            assert client.recv(100).startswith(b"HTTP/1.1 200")

    def test_a_stopped_process_does_not_stop_the_page(self, new_server):
        server = new_server("event", "daemon")
        self.configure(server.site)
        server.start()
        process, = group_of(server)["processes"]
        with Background(lambda: server.get("/sleep?0.5")):
            wait_until(lambda: busy(group_of(server)), "the request is seen")
            os.kill(process["pid"], signal.SIGSTOP)
            try:
                assert busy(group_of(server))
                assert "/sleep?0.5" in server.get("/state").text
            finally:
                os.kill(process["pid"], signal.SIGCONT)

    def test_a_killed_process_is_counted_and_among_the_errors(self, new_server):
        server = new_server("event", "daemon")
        self.configure(server.site)
        server.start()
        assert server.get("/").status == 200
        before, = group_of(server)["processes"]
        os.kill(before["pid"], signal.SIGKILL)
        server.log.expect(f"WSGI7055.*{before['pid']}")

        def replaced():
            return [process["state"] for process in group_of(server)["processes"] if process["pid"] != before["pid"]] == ["ready"]
        wait_until(replaced, "another process is ready")
        group = group_of(server)
        assert {end["reason"]: end["count"] for end in group["ends"]} == {"crash": 1}
        assert group["errors"][0]["pid"] == before["pid"] and "WSGI7055" in group["errors"][0]["text"]

    def test_reloads_and_changed_scripts_are_told_apart(self, new_server):
        server = new_server("event", "daemon")
        self.configure(server.site)
        server.start()
        server.get("/")

        def ends():
            return {end["reason"]: end["count"] for end in group_of(server)["ends"]}
        server.graceful()
        wait_until(lambda: ends() == {"reload": 1}, "the reload is counted")
        server.get("/")
        server.site.write("app.wsgi", APPLICATION + "\n")
        os.utime(server.site.path("app.wsgi"), (1, 1))
        server.get("/")
        wait_until(lambda: ends() == {"reload": 1, "script_reload": 1}, "the changed script is counted")

    @pytest.mark.parametrize(("reason", "options", "ask"), [
        ("maximum_requests", "maximum-requests=3", ["/"] * 4),
        ("restart_interval", "restart-interval=1", []),
        ("inactivity_timeout", "inactivity-timeout=1", ["/"]),
        ("request_timeout", "request-timeout=1", ["/sleep?30"]),
        ("deadlock_timeout", "deadlock-timeout=1", ["/lock"]),
        ("cpu_time_limit", "cpu-time-limit=1", ["/spin?3"]),
        ("startup_timeout", "startup-timeout=1", ["/never"]),
        ("signal_pipe_error", "", ["/deaf", "/"]),
        ("exit", "", ["/exit"]),
        ("eviction_signal", "eviction-timeout=5", [signal.SIGUSR1]),
        ("graceful_signal", "", [signal.SIGUSR1]),
        ("shutdown_signal", "", [signal.SIGTERM]),
    ])
    def test_every_end_is_counted_under_its_reason(self, new_server, reason, options, ask):
        server = new_server("event", "daemon")
        site = server.site
        site.write("app.wsgi", ENDING if reason != "startup_timeout" else NEVER_LOADED)
        site.add(LOCATION)
        site.serve("app.wsgi", options=f"threads=2 graceful-timeout=1 shutdown-timeout=2 {options}")
        site.log.allow(r":(warn|error|crit)\]")
        server.start()
        wait_until(lambda: group_of(server)["processes"][0]["state"] == "ready", "the process takes requests")
        for one in ask:
            if isinstance(one, str):
                server.get(one)
            else:
                os.kill(group_of(server)["processes"][0]["pid"], one)

        def ends():
            return {end["reason"]: end["count"] for end in group_of(server)["ends"]}
        wait_until(lambda: ends().get(reason, 0) >= 1, f"{reason} is counted", 20)
        assert set(ends()) == {reason}


BROWSER = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


def rendered(server, folder, path="/state"):
    """What a browser has made of the page: its text, and a picture."""
    if not BROWSER:
        pytest.skip("no Chromium here (Debian: chromium), so that nobody looks at the page")
    picture = folder / "page.png"
    common = [BROWSER, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars",
              f"--user-data-dir={folder}/profile", "--window-size=1200,1400", "--virtual-time-budget=2000"]
    address = f"http://127.0.0.1:{server.site.port}{path}"
    done = [subprocess.run([*common, what, address], capture_output=True, text=True, timeout=120)
            for what in (f"--screenshot={picture}", "--dump-dom")]
    assert picture.stat().st_size > 10_000, done[0].stderr
    return done[1].stdout


class TestInABrowser:
    def test_a_busy_an_idle_and_a_crashed_group_are_seen(self, new_server, tmp_path):
        server = new_server("event", "daemon")
        site = server.site
        site.write("app.wsgi", APPLICATION)
        site.write("crashes.wsgi", CRASHES)
        site.add(LOCATION, "WSGIApplicationGroup %{GLOBAL}")
        for name in ("busy", "idle", "crashed"):
            script = site.path("crashes.wsgi" if name == "crashed" else "app.wsgi")
            site.add(f"WSGIDaemonProcess {name} threads=2",
                     f"WSGIScriptAlias /{name} {script} process-group={name} application-group=%{{GLOBAL}}")
        server.log.declare("WSGI7056", "WSGI7063", "exit signal Segmentation fault")
        server.start()
        assert server.get("/idle").status == 200
        server.log.expect("WSGI7056")
        assert server.get("/crashed").status == 503
        with Background(*[lambda: server.get("/busy/sleep?8")] * 2):
            wait_until(lambda: len(busy(group_of(server, "busy"))) == 2, "both requests are seen")
            page = rendered(server, tmp_path)
        sections = dict(re.findall(r'<section id="group-(\w+)">(.*?)</section>', page, re.S))
        assert set(sections) >= {"busy", "idle", "crashed"}
        assert "every thread is busy" in sections["busy"]
        assert sections["busy"].count("GET /busy/sleep?8 HTTP/1.1") == 2
        assert re.search(r'class="good">idle<', sections["idle"]) and "1 with 2xx" in sections["idle"]
        assert re.search(r'class="bad">not running<', sections["crashed"]) and "1 with 5xx" in sections["crashed"]
        assert "WSGI7056" in sections["crashed"], "why it does not run is told"
        assert re.search(r"\d+ × failed_start", sections["crashed"])
        if keep := os.environ.get("WSGI_TEST_PICTURES"):
            shutil.copy(tmp_path / "page.png", keep)
