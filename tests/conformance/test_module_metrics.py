"""`mod_wsgi.request_metrics()` and `mod_wsgi.process_metrics()`: names, types, units and buckets."""

import json
import time

import pytest

from harness import under_test

pytestmark = pytest.mark.since((6, 1, 1), "older versions have other figures")

METRICS = """
    import json, time
    import mod_wsgi

    def types(figures):
        return {key: type(value).__name__ for key, value in figures.items()} if figures else figures

    def application(environ, start_response):
        path = environ["PATH_INFO"]
        status, body = "200 OK", b"fine"
        if path.startswith("/sleep-"):
            time.sleep(float(path[7:]))
        elif path.startswith("/status-"):
            status = path[8:] + " Status"
        elif path == "/read":
            environ["wsgi.input"].read()
        elif path == "/raise":
            raise ValueError("on purpose")
        elif path == "/arm":
            body = repr(mod_wsgi.start_recording_metrics()).encode()
        elif path == "/burn":
            end = time.thread_time() + 0.2
            while time.thread_time() < end:
                pass
        elif path in ("/request", "/process"):
            figures = getattr(mod_wsgi, path[1:] + "_metrics")()
            body = json.dumps([figures, types(figures), time.time()]).encode()
        start_response(status, [("Content-Type", "text/plain")])
        return [body]
"""
PHASES = ["server_time", "queue_time", "daemon_time", "application_time", "request_time", "gil_wait_time", "input_read_time",
          "output_write_time"]
DAEMON_ONLY = {"queue_time", "daemon_time"}
INTS = ["pid", "memory_max_rss", "memory_rss", "request_threads_maximum", "request_threads_started", "request_threads_active",
        "request_count", *(f"status_{digit}xx" for digit in "12345"), "input_bytes", "input_reads", "output_bytes", "output_writes",
        "gil_wait_count"]
FLOATS = ["start_time", "stop_time", "sample_period", "cpu_user_utilization", "cpu_system_utilization", "cpu_utilization",
          "cpu_user_time", "cpu_system_time", "cpu_time", "capacity_utilization", "request_throughput"]
LISTS = [f"{phase}_buckets" for phase in PHASES] + [f"request_threads_{what}" for what in (
    "completed", "buckets", "busy_time", "cpu_time", "current_elapsed", "max_duration")]
PROCESS = dict.fromkeys(["pid", "request_count", "memory_max_rss", "memory_rss", "running_time", "request_threads", "active_requests"],
                        "int") | \
    dict.fromkeys(["request_busy_time", "cpu_user_time", "cpu_system_time", "cpu_time", "restart_time", "current_time"], "float") | \
    {"threads": "list"}
THREADS = 4


def configure(site):
    site.one_child()
    if site.mpm != "prefork":
        site.mpm_sizes = f"StartServers 1\nServerLimit 1\nThreadsPerChild {THREADS}\nMaxRequestWorkers {THREADS}"
    site.write("metrics.wsgi", METRICS)
    site.serve("metrics.wsgi", options=f"threads={THREADS}")


def figures(server, which="request"):
    """The figures, their types, and when they were asked for."""
    return json.loads(server.get(f"/{which}").body)


class TestBeforeRecording:
    @staticmethod
    def configure(site):
        configure(site)

    def test_there_are_no_figures_until_recording_begins(self, server):
        assert figures(server)[0] is None
        assert figures(server, "process")[0] is None
        assert server.get("/arm").text == "None"
        assert figures(server)[0]["request_count"] >= 1, "the request that has begun to record is over"
        assert server.get("/arm").text == "None", "again is fine, and begins no new window"
        assert figures(server)[0]["request_count"] == 2


class TestRequestMetrics:
    @staticmethod
    def configure(site):
        configure(site)

    @pytest.fixture
    def window(self, server):
        """Runs requests and answers the figures of just these."""
        server.get("/arm")
        figures(server)

        def run(*paths, body=None):
            for path in paths:
                server.post(path, body) if body else server.get(path)
            return figures(server)[0]
        return run

    def of_this(self, seen):
        """Without the request that had asked before."""
        return seen["request_count"] - 1

    def test_the_keys_and_their_types_are_these(self, server, site, window):
        window()
        server.get("/sleep-0")
        seen, types, _ = figures(server)
        expected = dict.fromkeys(INTS, "int") | dict.fromkeys(FLOATS, "float") | dict.fromkeys(LISTS, "list")
        for phase in PHASES:
            there = not (site.embedded and phase in DAEMON_ONLY)
            expected[phase] = "float" if there else "NoneType"
            expected |= dict.fromkeys([f"{phase}_min_us", f"{phase}_max_us"], "int" if there else "NoneType")
        assert len(expected) == 66
        if not under_test.OURS and site.embedded and site.mpm == "prefork":
            expected |= dict.fromkeys(["gil_wait_time_min_us", "gil_wait_time_max_us"], "NoneType")
        assert types == expected
        assert seen["pid"] in server.processes()

    def test_requests_and_statuses_are_counted_once(self, server, window):
        server.log.declare("wsgi:error")
        seen = window("/status-201", "/status-302", "/status-404", "/status-404", "/status-503", "/raise")
        assert self.of_this(seen) == 6
        assert [seen[f"status_{digit}xx"] for digit in "12345"] == [0, 2, 1, 2, 2]
        again = window()
        assert self.of_this(again) == 0, "the window before has taken them all"

    def test_a_response_without_a_class_counts_nowhere(self, window):
        seen = window("/status-999")
        assert self.of_this(seen) == 1
        assert sum(seen[f"status_{digit}xx"] for digit in "12345") == 1

    def test_bytes_are_counted(self, window):
        seen = window("/read", body=b"x" * 1000)
        assert seen["input_bytes"] == 1000 and seen["input_reads"] >= 1
        assert seen["output_bytes"] >= 4 and seen["output_writes"] == 2

    def test_buckets_hold_every_request_by_its_time_in_milliseconds(self, site, window):
        seen = window("/sleep-0.11", "/sleep-0.3", "/sleep-0")
        for phase in PHASES:
            assert len(seen[f"{phase}_buckets"]) == 65
        buckets = seen["application_time_buckets"]
        assert sum(buckets) == 4
        assert buckets[0] >= 1, "everything below 1.25 ms"
        # 96 to 112 and 112 to 128 ms; a busy machine makes it later, never earlier.
        assert sum(buckets[26:32]) == 1
        # 256 to 320, and later.
        assert sum(buckets[32:40]) == 1
        assert seen["application_time_max_us"] >= 300_000
        assert seen["application_time_min_us"] < 100_000
        assert 0.4 / 4 < seen["application_time"] < 2
        if site.embedded:
            assert sum(seen["queue_time_buckets"]) == sum(seen["daemon_time_buckets"]) == 0
            assert seen["queue_time"] is seen["daemon_time"] is None
        else:
            assert sum(seen["queue_time_buckets"]) == sum(seen["daemon_time_buckets"]) == 4

    def test_the_parts_add_up_to_the_whole(self, window):
        seen = window("/sleep-0.05", "/sleep-0.1")
        parts = sum(seen[phase] or 0.0 for phase in PHASES[:4])
        assert abs(parts - seen["request_time"]) < 1e-5

    def test_threads_are_busy_while_they_have_requests(self, server, site, window):
        if not under_test.OURS and site.embedded and site.mpm == "prefork":
            pytest.skip("the C module counts no thread under prefork")
        seen = window("/sleep-0.2")
        most = 1 if site.embedded and site.mpm == "prefork" else THREADS
        assert seen["request_threads_maximum"] == most
        for name in ("completed", "buckets", "busy_time", "cpu_time", "current_elapsed", "max_duration"):
            assert len(seen[f"request_threads_{name}"]) == most
        assert sum(seen["request_threads_completed"]) == seen["request_count"] == 2
        assert seen["request_threads_buckets"] == seen["request_threads_completed"]
        assert 0.2 <= sum(seen["request_threads_busy_time"]) < 2
        assert 0.2 <= max(seen["request_threads_max_duration"]) < 2
        assert sum(1 for elapsed in seen["request_threads_current_elapsed"] if elapsed > 0) == 1, "the one that asks"
        assert 1 <= seen["request_threads_active"] <= 3
        assert seen["request_threads_started"] >= seen["request_threads_active"]
        busy = sum(seen["request_threads_busy_time"])
        assert abs(seen["capacity_utilization"] - busy / (seen["sample_period"] * most)) < 0.01

    def test_cpu_time_is_a_part_of_the_time_that_passed(self, site, window):
        seen = window("/burn")
        assert seen["cpu_user_utilization"] == seen["cpu_user_time"]
        assert seen["cpu_utilization"] == seen["cpu_time"]
        assert 0.15 < seen["cpu_utilization"] * seen["sample_period"] < 2
        if under_test.OURS or not (site.embedded and site.mpm == "prefork"):
            assert 0.15 < sum(seen["request_threads_cpu_time"]) < 2

    def test_the_window_reaches_from_the_question_before_to_this_one(self, server, window):
        before = time.time()
        window()
        time.sleep(0.2)
        seen, _, now = figures(server)
        assert 0.2 <= seen["sample_period"] < time.time() - before
        assert abs(seen["stop_time"] - now) < 0.1
        if under_test.OURS:
            assert abs(seen["start_time"] + seen["sample_period"] - seen["stop_time"]) < 0.001
        assert abs(seen["request_throughput"] - seen["request_count"] / seen["sample_period"]) < 0.01

    def test_memory_is_in_bytes(self, window):
        seen = window()
        assert 4_000_000 < seen["memory_rss"] < 4_000_000_000
        if under_test.OURS:
            assert seen["memory_max_rss"] >= seen["memory_rss"]


class TestProcessMetrics:
    @staticmethod
    def configure(site):
        configure(site)

    @pytest.fixture
    def ask(self, server):
        server.get("/arm")
        return lambda: figures(server, "process")

    def test_the_keys_and_their_types_are_these(self, ask):
        seen, types, _ = ask()
        assert types == PROCESS
        assert all(thread.keys() == {"thread_id", "request_count"} for thread in seen["threads"])

    def test_it_counts_the_whole_life_of_the_process(self, server, ask):
        before, _, _ = ask()
        for _ in range(3):
            server.get("/sleep-0.05")
        after, _, now = ask()
        assert after["request_count"] - before["request_count"] == 4
        assert 0.15 <= after["request_busy_time"] - before["request_busy_time"] < 2
        assert after["active_requests"] == 1, "the one that asks"
        called = [sum(thread["request_count"] for thread in seen["threads"]) for seen in (before, after)]
        assert called[1] - called[0] == 4
        assert abs(after["current_time"] - now) < 0.1
        assert after["restart_time"] < after["current_time"]
        assert after["running_time"] == int(after["current_time"] - after["restart_time"])
        assert abs(after["cpu_user_time"] + after["cpu_system_time"] - after["cpu_time"]) < 0.001

    @pytest.mark.ours_only("the C module counts Python's main thread and others that run no requests")
    def test_the_threads_are_those_that_run_requests(self, site, ask):
        for _ in range(2):
            seen, _, _ = ask()
        assert seen["request_threads"] == len(seen["threads"])
        numbers = [thread["thread_id"] for thread in seen["threads"]]
        assert numbers == list(range(1, len(numbers) + 1))
        if not site.embedded:
            assert len(numbers) == THREADS, "also those that have had no request yet"
