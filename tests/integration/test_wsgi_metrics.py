"""SetHandler wsgi-metrics: what a monitoring system gets, read with the reference parser of OpenMetrics."""

import json
import subprocess
import threading
import time

import pytest

from harness import processes
from harness.processes import wait_until
from harness.programs import virtualenv_or_skip

pytestmark = pytest.mark.ours_only("the C module has no such handler")

APPLICATION = """
    import time

    def application(environ, start_response):
        path = environ["PATH_INFO"]
        if path == "/sleep":
            time.sleep(0.3)
        if path.startswith("/read"):
            environ["wsgi.input"].read(int(path[5:] or -1))
        status = path[1:] + " Status" if path[1:].isdigit() else "200 OK"
        start_response(status, [("Content-Type", "text/plain")])
        return [b"0123456789"]
"""
PARSE = """
import json, sys
from prometheus_client.openmetrics.parser import text_string_to_metric_families
print(json.dumps([[family.name, family.type, [[sample.name, sample.labels, sample.value] for sample in family.samples]]
                  for family in text_string_to_metric_families(sys.stdin.read())]))
"""


class Page:
    """The figures at one moment."""

    def __init__(self, server):
        answer = server.get("/figures")
        assert answer.status == 200
        assert answer.headers["Content-Type"] == "application/openmetrics-text; version=1.0.0; charset=utf-8"
        environment = virtualenv_or_skip("prometheus-client==0.23.1")
        done = subprocess.run([environment / "bin" / "python", "-c", PARSE], input=answer.text, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr + answer.text
        self.families = {name: kind for name, kind, _ in json.loads(done.stdout)}
        self.samples = {(sample, tuple(sorted(labels.items()))): value for _, _, samples in json.loads(done.stdout) for sample, labels, value in samples}

    def __call__(self, name, **labels):
        return self.samples[name, tuple(sorted(labels.items()))]


def requests(page, group):
    return {digit: page("wsgi_requests_total", group=group, status=f"{digit}xx") for digit in "12345"}


def configure(site):
    site.write("app.wsgi", APPLICATION)
    site.add("WSGIChunkedRequest On", "<Location /figures>\nSetHandler wsgi-metrics\n</Location>")
    site.serve("app.wsgi", options="threads=4")


class TestMetrics:
    @staticmethod
    def configure(site):
        configure(site)

    def group(self, site):
        return "%{GLOBAL}" if site.embedded else "app"

    def test_the_families_are_these(self, server, site):
        families = {"wsgi_requests": "counter", "wsgi_start_time_seconds": "gauge", "wsgi_response_body_bytes": "counter",
                    "wsgi_request_body_bytes": "counter", "wsgi_request_duration_seconds": "histogram",
                    "wsgi_application_duration_seconds": "histogram", "wsgi_queue_duration_seconds": "histogram",
                    "wsgi_interpreter_requests": "counter", "wsgi_interpreter_busy_seconds": "counter",
                    "wsgi_process_resident_memory_bytes": "gauge", "wsgi_process_start_time_seconds": "gauge",
                    "wsgi_process_requests": "counter", "wsgi_process_threads": "gauge", "wsgi_process_ends": "counter",
                    "wsgi_processes": "gauge", "wsgi_threads": "gauge", "wsgi_requests_active": "gauge"}
        assert Page(server).families == families

    def test_requests_are_counted_by_their_status(self, server, site):
        before = requests(Page(server), self.group(site))
        for path in ("/", "/204", "/302", "/404", "/404", "/503"):
            server.get(path)
        after = requests(Page(server), self.group(site))
        assert {digit: after[digit] - before[digit] for digit in "12345"} == {"1": 0, "2": 2, "3": 1, "4": 2, "5": 1}

    def test_bytes_are_those_of_the_bodies(self, server, site):
        def count():
            return Page(server)("wsgi_response_body_bytes_total", group=self.group(site))
        before = count()
        for _ in range(3):
            server.get("/")
        assert count() - before == 30

    @pytest.mark.parametrize("sent", ["whole", "in chunks"])
    @pytest.mark.parametrize("length", [0, 1, 5_000, 300_000])
    def test_bytes_of_request_bodies_are_those_that_were_read(self, server, site, length, sent):
        def count():
            return Page(server)("wsgi_request_body_bytes_total", group=self.group(site))
        before, body = count(), b"x" * length
        for _ in range(2):
            assert server.post("/read", body if sent == "whole" else [body[:10], body[10:]] if body else []).status == 200
        assert count() - before == 2 * length

    def test_a_body_that_the_application_leaves_counts_as_far_as_it_was_read(self, server, site):
        """Of a large one that is what the application has asked for, and what a daemon gets along with the request."""
        def count():
            return Page(server)("wsgi_request_body_bytes_total", group=self.group(site))
        before = count()
        assert server.post("/read100", b"x" * 1_000_000).status == 200
        assert 100 <= count() - before < 500_000

    def test_bodies_of_responses_are_not_bodies_of_requests(self, server, site):
        before = Page(server)
        server.post("/read", b"12345")
        server.get("/")
        after = Page(server)
        grown = [after(f"wsgi_{kind}_body_bytes_total", group=self.group(site)) - before(f"wsgi_{kind}_body_bytes_total", group=self.group(site))
                 for kind in ("request", "response")]
        assert grown == [5, 20]

    @pytest.mark.parametrize("name", ["wsgi_request_duration_seconds", "wsgi_application_duration_seconds"])
    def test_times_are_in_buckets(self, server, site, name):
        before = Page(server)
        server.get("/sleep")
        after = Page(server)

        def grown(sample, **labels):
            return after(f"{name}_{sample}", group=self.group(site), **labels) - before(f"{name}_{sample}", group=self.group(site), **labels)
        assert grown("count") == 1
        assert 0.3 <= grown("sum") < 2
        assert grown("bucket", le="0.25") == 0
        assert grown("bucket", le="+Inf") == 1
        assert grown("bucket", le="2.5") == 1

    def test_processes_and_threads_are_told_of_daemons(self, server, site):
        page = Page(server)
        groups = {dict(labels)["group"] for name, labels in page.samples if name == "wsgi_processes"}
        assert groups == (set() if site.embedded else {"app"})
        if not site.embedded:
            assert page("wsgi_processes", group="app", state="ready") == 1
            assert page("wsgi_threads", group="app") == 4

    def test_only_reading_is_answered(self, server):
        assert server.post("/figures", b"x").status == 405
        head = server.request("HEAD", "/figures")
        assert (head.status, head.body) == (200, b"")


class TestProcessesAndInterpreters:
    mpms = ("event",)

    @staticmethod
    def configure(site):
        script = site.write("app.wsgi", APPLICATION)
        site.add("<Location /figures>\nSetHandler wsgi-metrics\n</Location>", site.daemon("app", "threads=4"),
                 f"WSGIScriptAlias /named {script} application-group=named",
                 f"WSGIScriptAlias / {script} application-group=%{{GLOBAL}}")

    @pytest.fixture
    def group(self, site):
        return "%{GLOBAL}" if site.embedded else "app"

    def of_processes(self, page, name, group, **labels):
        wanted = {"group": group, **labels}.items()
        return sum(value for (sample, found), value in page.samples.items() if sample == name and wanted <= dict(found).items())

    def test_each_interpreter_has_its_own_count_and_time(self, server, group):
        before = Page(server)
        server.get("/named/sleep")
        server.get("/named/404")
        after = Page(server)

        def grown(name, **labels):
            key = name, tuple(sorted({"group": group, **labels}.items()))
            return after.samples.get(key, 0) - before.samples.get(key, 0)
        assert grown("wsgi_interpreter_requests_total", application_group="named", status="2xx") == 1
        assert grown("wsgi_interpreter_requests_total", application_group="named", status="4xx") == 1
        assert grown("wsgi_interpreter_requests_total", application_group="%{GLOBAL}", status="2xx") == 0
        assert 0.3 <= grown("wsgi_interpreter_busy_seconds_total", application_group="named") < 2
        assert grown("wsgi_interpreter_busy_seconds_total", application_group="%{GLOBAL}") == 0

    def test_threads_are_told_by_what_they_do(self, server, group):
        waits = threading.Thread(target=server.get, args=("/sleep",))
        waits.start()
        wait_until(lambda: self.of_processes(Page(server), "wsgi_process_threads", group, state="application") == 1, "one is busy")
        waits.join()
        page = Page(server)
        assert self.of_processes(page, "wsgi_process_threads", group, state="application") == 0
        assert self.of_processes(page, "wsgi_process_threads", group, state="idle") >= 1

    def test_memory_requests_and_age_of_a_process_are_those_that_the_system_tells(self, server, site, group):
        server.get("/")
        page = Page(server)
        pids = {int(dict(labels)["pid"]) for name, labels in page.samples if name == "wsgi_process_resident_memory_bytes"}
        assert pids and pids <= set(server.processes())
        for pid in pids:
            told = page("wsgi_process_resident_memory_bytes", group=group, pid=str(pid))
            assert told == pytest.approx(processes.memory_kib(pid)["Rss"] * 1024, rel=0.2)
        assert self.of_processes(page, "wsgi_process_requests_total", group) >= 1
        if not site.embedded:
            assert time.time() - self.of_processes(page, "wsgi_process_start_time_seconds", group) < 100


def test_who_waits_for_a_thread_is_told_as_queued(new_server):
    server = new_server("event", "daemon")
    server.site.write("app.wsgi", APPLICATION)
    server.site.add("<Location /figures>\nSetHandler wsgi-metrics\n</Location>")
    server.site.serve("app.wsgi", options="threads=1")
    server.start()
    server.get("/")
    before = Page(server)
    asks = [threading.Thread(target=server.get, args=("/sleep",)) for _ in range(2)]
    for one in asks:
        one.start()
    for one in asks:
        one.join()
    after = Page(server)
    name = "wsgi_queue_duration_seconds"
    assert after(f"{name}_count", group="app") - before(f"{name}_count", group="app") == 2
    assert 0.2 <= after(f"{name}_sum", group="app") - before(f"{name}_sum", group="app") < 2


class TestRestrictedChildren:
    """Apache's children have Python for an access script, and no application."""

    modes = ("daemon",)
    mpms = ("event", "prefork")

    @staticmethod
    def configure(site):
        access = site.write("access.py", """
            def allow_access(environ, host):
                return environ["PATH_INFO"] != "/404"
        """)
        script = site.write("app.wsgi", APPLICATION)
        site.add("WSGIRestrictEmbedded On", "WSGIDaemonProcess app threads=4", "<Location /figures>\nSetHandler wsgi-metrics\n</Location>",
                 "<Location /state>\nSetHandler wsgi-status\n</Location>",
                 f"<Location /app>\nWSGIAccessScript {access}\n</Location>",
                 f"WSGIScriptAlias /app {script} process-group=app application-group=%{{GLOBAL}}",
                 f"WSGIScriptAlias /embedded {script} process-group=%{{GLOBAL}} application-group=%{{GLOBAL}}")

    def of_embedded_mode(self, page):
        return {sample: value for (sample, labels), value in page.samples.items()
                if dict(labels)["group"] == "%{GLOBAL}" and value and sample != "wsgi_start_time_seconds"}

    def test_a_request_counts_where_it_is_answered_and_an_access_script_nowhere(self, server):
        before = Page(server)
        for _ in range(3):
            assert server.get("/app/").status == 200
        after = Page(server)
        assert requests(after, "app")["2"] - requests(before, "app")["2"] == 3
        assert self.of_embedded_mode(after) == self.of_embedded_mode(before)
        assert [pid for pid in server.processes() if "libpython" in processes.maps(pid) and "/mod_mpm_" in processes.maps(pid)], \
            "a child has run the script"

    def test_a_request_that_the_script_turns_away_has_not_got_to_a_group(self, server):
        server.get("/app/")
        before = Page(server)
        assert server.get("/app/404").status == 403
        server.log.expect("WSGI0057")
        after = Page(server)
        for group in ("app", "%{GLOBAL}"):
            assert requests(after, group) == requests(before, group)

    def test_a_child_is_no_process_of_embedded_mode(self, server):
        server.get("/app/")
        page = Page(server)
        assert {dict(labels)["group"] for name, labels in page.samples if name.startswith("wsgi_process_")} == {"app"}
        (embedded,) = [group for group in json.loads(server.get("/state?format=json").text)["groups"] if group["mode"] == "embedded"]
        assert embedded["processes"] == []

    def test_a_request_for_embedded_mode_is_counted_as_refused(self, server):
        before = Page(server)
        assert server.get("/embedded/").status == 500
        server.log.expect("WSGI0143")
        after = Page(server)
        assert requests(after, "%{GLOBAL}")["5"] - requests(before, "%{GLOBAL}")["5"] == 1


class TestActive:
    modes = ("daemon",)
    mpms = ("event",)

    @staticmethod
    def configure(site):
        configure(site)

    def test_requests_that_run_are_told(self, server):
        waits = threading.Thread(target=server.get, args=("/sleep",))
        waits.start()
        wait_until(lambda: "wsgi_requests_active{group=\"app\"} 1\n" in server.get("/figures").text, "the request is told")
        waits.join()
        wait_until(lambda: "wsgi_requests_active{group=\"app\"} 0\n" in server.get("/figures").text, "its end is told")


def is_up(server):
    try:
        return server.get("/figures").status == 200
    except ConnectionRefusedError:
        return False


class TestOverReloads:
    @pytest.mark.parametrize("mode", ["embedded", "daemon"])
    def test_counters_never_go_back(self, new_server, mode):
        server = new_server("event", mode)
        configure(server.site)
        server.start()
        group = "%{GLOBAL}" if mode == "embedded" else "app"
        for number in range(3):
            server.get("/")
            assert requests(Page(server), group)["2"] == number + 1
            server.graceful()

    @pytest.mark.parametrize("mode", ["embedded", "daemon"])
    def test_they_tell_since_when_they_count_which_only_a_restart_changes(self, new_server, mode):
        server = new_server("event", mode)
        configure(server.site)
        group = "%{GLOBAL}" if mode == "embedded" else "app"

        def since():
            return Page(server)("wsgi_start_time_seconds", group=group)
        server.start()
        server.get("/")
        first = since()
        assert abs(first - time.time()) < 60
        server.graceful()
        assert since() == first
        server.stop()
        server.start()
        wait_until(lambda: is_up(server), "httpd answers again")
        assert since() > first and requests(Page(server), group)["2"] == 0
