"""SetHandler wsgi-metrics: what a monitoring system gets, read with the reference parser of OpenMetrics."""

import json
import subprocess
import threading
import time

import pytest

from harness.processes import wait_until
from harness.programs import virtualenv_or_skip

pytestmark = pytest.mark.ours_only("the C module has no such handler")

APPLICATION = """
    import time

    def application(environ, start_response):
        path = environ["PATH_INFO"]
        if path == "/sleep":
            time.sleep(0.3)
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
    site.add("<Location /figures>\nSetHandler wsgi-metrics\n</Location>")
    site.serve("app.wsgi", options="threads=4")


class TestMetrics:
    @staticmethod
    def configure(site):
        configure(site)

    def group(self, site):
        return "%{GLOBAL}" if site.embedded else "app"

    def test_the_families_are_these(self, server, site):
        families = {"wsgi_requests": "counter", "wsgi_start_time_seconds": "gauge", "wsgi_response_body_bytes": "counter", "wsgi_request_duration_seconds": "histogram",
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
