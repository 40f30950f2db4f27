"""A real Prometheus (Debian's) reads what SetHandler wsgi-metrics answers, while the server works and is reloaded."""

import http.client
import itertools
import json
import re
import threading
import time

import pytest

from harness import interpreters, places
from harness.processes import wait_until
from harness.prometheus import COUNTERS, Prometheus

pytestmark = pytest.mark.ours_only("the C module has no such handler")

APPLICATION = """
    import sys

    def application(environ, start_response):
        start_response("200 OK", [("Content-Type", "text/plain")])
        return ["{}.{}".format(*sys.version_info).encode()]
"""
EMBEDDED = "%{GLOBAL}"


@pytest.fixture
def scraped(new_server, tmp_path):
    """A server with two groups, on two versions of Python where there are two, and a Prometheus that reads it."""
    server = new_server("event", "daemon")
    site = server.site
    pythons = list(interpreters.hosted().values())[:2]
    script = site.write("version.wsgi", APPLICATION)
    for name, python in zip(("one", "two"), pythons * 2):
        home = f"python-home={interpreters.virtualenv(python)}"
        site.add(f"WSGIDaemonProcess {name} {home} threads=4",
                 f"WSGIScriptAlias /{name} {script} process-group={name} application-group=%{{GLOBAL}}")
    site.add(f"WSGIScriptAlias /embedded {script} process-group=%{{GLOBAL}} application-group=%{{GLOBAL}}")
    site.add("WSGITraceContext On", "<Location /figures>\nSetHandler wsgi-metrics\n</Location>")
    server.start()
    prometheus = Prometheus(tmp_path, site.port)
    yield server, prometheus
    prometheus.stop()


def test_it_is_scraped_under_load_and_over_reloads_and_no_counter_goes_back(scraped):
    server, prometheus = scraped
    wait_until(lambda: prometheus.value("up") == 1, "the first scrape", 30)
    versions = {name: server.get(f"/{name}").text for name in ("one", "two")}
    if len(interpreters.hosted()) >= 2:
        assert len(set(versions.values())) == 2
    else:
        print("one Python only: the two groups run the same")
    stopped = threading.Event()
    sent = dict.fromkeys(versions, 1)

    def load(name):
        while not stopped.is_set():
            assert server.get(f"/{name}").status == 200
            sent[name] += 1
            time.sleep(0.005)
    clients = [threading.Thread(target=load, args=(name,)) for name in versions]
    for client in clients:
        client.start()
    try:
        for _ in range(3):
            time.sleep(2)
            server.graceful()
        time.sleep(2)
    finally:
        stopped.set()
        for client in clients:
            client.join()
    for name, count in sent.items():
        wait_until(lambda: prometheus.value(f'wsgi_requests_total{{group="{name}",status="2xx"}}') == count,
                   f"all requests of {name} are counted", 20)
    families = {metric["__name__"] for metric, _ in prometheus.series(COUNTERS)}
    assert {"wsgi_requests_total", "wsgi_queue_duration_seconds_bucket", "wsgi_process_ends_total"} <= families
    assert set(prometheus.resets().values()) == {"0"}
    now = time.time()
    traces = prometheus.ask("query_exemplars", query="wsgi_request_duration_seconds_bucket", start=now - 120, end=now)
    assert {one["seriesLabels"]["group"] for one in traces} == set(versions)
    assert all(re.fullmatch("[0-9a-f]{32}", one["labels"]["trace_id"]) for series in traces for one in series["exemplars"])
    for _, values in prometheus.series("wsgi_requests_total"):
        assert values == sorted(values)
    assert min(value for _, values in prometheus.series("up") for value in values) == 1, "every scrape succeeded"
    reloads = 'wsgi_process_ends_total{reason="reload",group="one"}'
    wait_until(lambda: prometheus.value(reloads) == 3, "the reloads are counted", 20)
    kinds = {name: entries[0]["type"] for name, entries in prometheus.ask("metadata").items()}
    assert (kinds["wsgi_requests"], kinds["wsgi_request_duration_seconds"], kinds["wsgi_threads"]) == ("counter", "histogram", "gauge")


class Load:
    """Requests for each group and for embedded mode, one after the other, while httpd may be away."""

    def __init__(self, server, *places):
        self.server, self.stopped = server, threading.Event()
        self.answered, self.failed = dict.fromkeys(places, 0), dict.fromkeys(places, 0)
        self.threads = [threading.Thread(target=self.run, args=(place,)) for place in places]

    def run(self, place):
        while not self.stopped.is_set():
            try:
                succeeded = self.server.get(f"/{place}", timeout=10).status == 200
            except (OSError, http.client.HTTPException):
                succeeded = False  # cut off, or nobody listens
            self.answered[place] += succeeded
            self.failed[place] += not succeeded
            time.sleep(0.005)

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.stopped.set()
        for thread in self.threads:
            thread.join()


def is_up(server):
    try:
        return server.get("/figures").status == 200
    except ConnectionError:
        return False


def counted(prometheus, group):
    """What the counter of successful requests of a group has come to."""
    return prometheus.value(f'wsgi_requests_total{{group="{group}",status="2xx"}}')


def check_counters(prometheus, lives):
    """No series of a counter goes back from one scrape to the next, but where its group says that counting has begun anew; that
    has happened so often that there are so many beginnings."""
    begun = {metric["group"]: samples for metric, samples in prometheus.samples("wsgi_start_time_seconds")}
    assert set(begun) == {"one", "two", EMBEDDED}
    for group, samples in begun.items():
        starts = [samples[at] for at in sorted(samples)]
        assert starts == sorted(starts) and len(set(starts)) == lives, group
    series = prometheus.samples(COUNTERS)
    assert {"wsgi_requests_total", "wsgi_request_duration_seconds_bucket", "wsgi_interpreter_busy_seconds_total",
            "wsgi_process_ends_total", "wsgi_process_requests_total"} <= {metric["__name__"] for metric, _ in series}
    for metric, samples in series:
        starts = begun[metric["group"]]
        for before, after in itertools.pairwise(sorted(samples)):
            if starts[before] == starts[after]:
                assert samples[before] <= samples[after], (metric, before, after)
    # As Prometheus itself sees it, in what rate() and increase() add up.
    resets = prometheus.resets()
    assert resets["wsgi_requests_total"] == str(lives - 1) and max(map(int, resets.values())) == lives - 1


def test_no_counter_goes_back_over_restarts_that_cut_requests_off(scraped):
    """`restart` ends every process but httpd's parent, which keeps the counters, so there is nothing to report."""
    server, prometheus = scraped
    wait_until(lambda: prometheus.value("up") == 1, "the first scrape", 30)
    restarts = 3
    with Load(server, "one", "two", "embedded") as load:
        for number in range(1 + restarts):
            if number:
                server.restart()
            before = dict(load.answered)
            wait_until(lambda: all(load.answered[place] > before[place] + 20 for place in before), "requests are answered", 30)
            time.sleep(1)  # two scrapes
    # A request that was cut off may have been counted; a child may have ended between its last answer and the count of it.
    for place, group in (("one", "one"), ("two", "two"), ("embedded", EMBEDDED)):
        answered, failed = load.answered[place], load.failed[place]
        wait_until(lambda: answered - restarts <= counted(prometheus, group) <= answered + failed,
                   f"all requests of {group} are counted", 20)
    check_counters(prometheus, lives=1)


def test_counters_go_back_with_a_stop_only_and_that_is_told(scraped):
    server, prometheus = scraped
    wait_until(lambda: prometheus.value("up") == 1, "the first scrape", 30)
    answered = []
    for life in range(3):
        if life:
            server.stop()
            server.start()
            wait_until(lambda: is_up(server), "httpd answers again")
        # Fewer each time, so that a counter has gone back whenever it is seen again.
        for _ in range(30 - 10 * life):
            for place in ("one", "two", "embedded"):
                assert server.get(f"/{place}").status == 200
        answered.append(30 - 10 * life)
        for group in ("one", "two", EMBEDDED):
            wait_until(lambda: counted(prometheus, group) == answered[life], f"the requests of {group} are counted", 20)
    check_counters(prometheus, lives=3)
    for metric, samples in prometheus.samples('wsgi_requests_total{status="2xx"}'):
        in_order = [samples[at] for at in sorted(samples)]
        # What rate() and increase() add up: a value that is below the one before it counts from 0.
        total = in_order[0] + sum(after - (before if after >= before else 0) for before, after in itertools.pairwise(in_order))
        assert total == sum(answered), metric


def test_the_alert_rules_of_the_documentation_are_understood_and_quiet(scraped):
    server, prometheus = scraped
    wait_until(lambda: prometheus.value("up") == 1, "the first scrape", 30)
    rules = [rule for group in prometheus.ask("rules")["groups"] for rule in group["rules"]]
    assert rules

    def evaluated():
        rules = [rule for group in prometheus.ask("rules")["groups"] for rule in group["rules"]]
        return all(rule["health"] == "ok" for rule in rules) and rules
    wait_until(evaluated, "the rules are evaluated", 90)
    assert {rule["name"]: rule["state"] for rule in evaluated() if rule["state"] != "inactive"} == {}


def test_every_query_of_the_dashboard_has_an_answer(scraped):
    server, prometheus = scraped
    wait_until(lambda: prometheus.value("up") == 1, "the first scrape", 30)
    for _ in range(4):
        server.get("/one")
        server.get("/two")
        time.sleep(0.6)
    dashboard = json.loads((places.REPOSITORY / "docs/monitoring/dashboard.json").read_text())
    queries = [target["expr"] for panel in dashboard["panels"] for target in panel.get("targets", [])]
    assert len(queries) > 8
    for query in queries:
        asked = query.replace("$__rate_interval", "5s").replace("$group", ".*").replace("${job}", "apache").replace("$job", "apache")
        wait_until(lambda: prometheus.ask("query", query=asked)["result"], f"an answer to {asked}", 20)
