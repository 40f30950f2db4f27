"""WSGISlowRequests: requests that run for long are reported one by one, while they run and once they have ended."""

import re
import threading
import time

import pytest

from harness import under_test
from harness.processes import wait_until
from harness.telemetry import NAMES, receive

pytestmark = pytest.mark.since((6, 1, 1), "older versions do not have it")

SLEEPS = """
    import os, time

    def application(environ, start_response):
        path = environ["PATH_INFO"]
        read = len(environ["wsgi.input"].read())
        if "/sleep-" in path:
            time.sleep(float(path.rpartition("/sleep-")[2]))
        elif path.startswith("/burn-"):
            end = time.thread_time() + float(path[6:])
            while time.thread_time() < end:
                pass
        if path.startswith("/raise"):
            raise ValueError("on purpose")
        start_response("201 Created" if read else "200 OK", [("Content-Type", "text/plain")])
        return [b"slept", b"well"]
"""
THRESHOLD = 0.7
THREADS = 4
ALWAYS = {name for number, name in NAMES.items() if 200 <= number <= 261} - {"slow_user_agent", "slow_log_id"}
UNTIL_ITS_END = ("input_bytes", "input_reads", "output_bytes", "output_writes", "input_read_time", "output_write_time", "status",
                 "cpu_user_time", "cpu_system_time", "active_at_completion")


def configure(site, threshold=THRESHOLD, threads=THREADS, script=SLEEPS):
    site.one_child()
    if site.mpm != "prefork":
        site.mpm_sizes = f"StartServers 1\nServerLimit 1\nThreadsPerChild {threads}\nMaxRequestWorkers {threads}"
    site.write("sleeps.wsgi", script)
    receive(site)
    site.add(f"WSGISlowRequests {threshold}")
    site.serve("sleeps.wsgi", at="/app", options=f"threads={threads}")


class TestSlowRequests:
    mpms = ("event", "prefork")

    @staticmethod
    def configure(site):
        configure(site)

    @pytest.fixture
    def run(self, server, site):
        """Runs a request to its end; its records."""
        if not under_test.OURS and site.embedded and site.mpm == "prefork":
            pytest.skip("the C module sees no slow requests under prefork")
        receiver = site.receiver

        def run(path, body=None, **headers):
            after = receiver.now()
            server.request("POST" if body else "GET", path, body, headers)
            receiver.wait("slow", lambda one: one["slow_record_state"] == 1, after)
            return [one for one in receiver.all()[after:] if one.kind == "slow"]
        return run

    def test_a_request_that_runs_has_these_fields(self, server, run):
        server.log.declare("wsgi:")
        active = run("/app/sleep-1.8?secret=1")[0]
        assert active.fields.keys() - {"slow_log_id"} == ALWAYS
        assert active["slow_record_state"] == 0
        assert THRESHOLD <= active["slow_duration"] < 1.8
        assert {name: active[f"slow_{name}"] for name in UNTIL_ITS_END} == dict.fromkeys(UNTIL_ITS_END, 0)
        assert active["slow_active_at_start"] == 1
        assert 0.5 < active["slow_application_time"] <= active["slow_duration"] + 0.01

    def test_a_request_that_has_ended_has_these_fields(self, server, site, run):
        body = b"x" * 1000
        ended = run("/app/sleep-1.2", body)[-1]
        assert ended.fields.keys() - {"slow_log_id"} == ALWAYS
        assert ended["slow_record_state"] == 1
        assert 1.2 <= ended["slow_duration"] < 3
        assert 1.2 <= ended["slow_application_time"] < 3
        assert ended["slow_status"] == 201
        assert (ended["slow_input_bytes"], ended["slow_output_bytes"], ended["slow_output_writes"]) == (1000, 9, 2)
        assert ended["slow_input_reads"] >= 1
        assert (ended["slow_active_at_start"], ended["slow_active_at_completion"]) == (1, 1)
        assert ended["slow_server_pid"] in server.processes()
        if site.embedded:
            assert (ended["slow_queue_time"], ended["slow_daemon_time"]) == (0.0, 0.0)
            assert ended["slow_server_pid"] == ended.pid
        else:
            assert 0 < ended["slow_queue_time"] < 1
            assert ended["slow_server_pid"] != ended.pid

    def test_it_says_what_was_asked_for(self, server, run):
        ended = run("/app/a%20b/sleep-1?secret=1", Host="www.example.org:8080")[-1]
        assert ended["slow_method"] == "GET"
        assert ended["slow_scheme"] == "http"
        assert ended["slow_hostname"] == "www.example.org"
        assert ended["slow_script_name"] == "/app"
        assert ended["slow_path_info"] == "/a b/sleep-1"
        assert ended["slow_protocol"] == "HTTP/1.1"
        assert ended["slow_peer_ip"] == "127.0.0.1"
        assert b"secret" not in ended.raw

    def test_all_records_of_a_request_have_one_start(self, run):
        records = run("/app/sleep-2.4")
        assert [one["slow_record_state"] for one in records][-1] == 1
        assert len(records) >= 3
        assert len({(one.pid, one["slow_thread_id"], one["slow_start_stamp"]) for one in records}) == 1
        assert abs(records[0]["slow_start_stamp"] + records[0]["slow_duration"] - records[0].stamp) < 0.5

    def test_cpu_time_is_told_at_the_end(self, run):
        ended = run("/app/burn-0.9")[-1]
        assert 0.8 <= ended["slow_cpu_user_time"] + ended["slow_cpu_system_time"] <= ended["slow_duration"] + 0.1

    def test_a_long_text_is_cut(self, run):
        ended = run("/app/" + "x" * 600 + "/sleep-1")[-1]
        assert len(ended["slow_path_info"]) == 511
        assert ended["slow_path_info"].endswith("x...")

    def test_records_of_requests_that_have_ended_come_before_those_that_run_behind_the_sample(self, server, site, run):
        records = run("/app/sleep-1.5")
        told = site.receiver.all(pid=records[0].pid)
        for record in records:
            (before,) = [one for one in told if one.sequence == record.sequence - 1]
            assert before.kind in ("sample", "slow")

    def test_a_fast_request_is_not_told(self, run, server, site):
        after = site.receiver.now()
        server.get("/app/sleep-0.1")
        site.receiver.wait("sample", after=after)
        sample = site.receiver.wait("sample", after=site.receiver.now())
        assert [one for one in site.receiver.all()[after:] if one.kind == "slow"] == []
        assert sample["slow_requests_threshold"] == THRESHOLD


class TestWhatTheApplicationDoes:
    mpms = ("event",)

    @staticmethod
    def configure(site):
        configure(site)

    def ended(self, server, site, path):
        after = site.receiver.now()
        server.get(path)
        return site.receiver.wait("slow", lambda one: one["slow_record_state"] == 1, after)

    def test_a_request_that_fails_is_told(self, server, site):
        server.log.declare("wsgi:error")
        assert self.ended(server, site, "/app/raise/sleep-1")["slow_status"] == 500

    def test_requests_at_the_same_time_are_told_with_their_number(self, server, site):
        after = site.receiver.now()
        first = threading.Thread(target=server.get, args=("/app/sleep-2.5",))
        first.start()
        time.sleep(0.3)
        server.get("/app/sleep-1")
        first.join()
        one = site.receiver.wait("slow", lambda one: one["slow_record_state"] == 1 and one["slow_path_info"] == "/sleep-1", after)
        other = site.receiver.wait("slow", lambda one: one["slow_record_state"] == 1 and one["slow_path_info"] == "/sleep-2.5", after)
        assert (one["slow_active_at_start"], one["slow_active_at_completion"]) == (2, 2)
        assert (other["slow_active_at_start"], other["slow_active_at_completion"]) == (1, 1)
        assert one["slow_thread_id"] != other["slow_thread_id"]

    def test_waits_for_python_are_told(self, server, site):
        ended = self.ended(server, site, "/app/sleep-1")
        assert ended["slow_gil_wait_count"] >= 2
        assert 0 <= ended["slow_gil_wait_time"] < 1


class TestLoading:
    """A script that loads slowly: the application has not been called."""

    mpms = ("event",)

    @staticmethod
    def configure(site):
        configure(site, script="import time\ntime.sleep(1.6)\nraise ValueError('on purpose')\n")

    def test_the_time_is_the_daemon_s(self, server, site):
        server.log.declare("wsgi:error")
        after = site.receiver.now()
        server.get("/app/")
        ended = site.receiver.wait("slow", lambda one: one["slow_record_state"] == 1, after)
        assert ended["slow_status"] == 0, "no application has given one"
        assert 1.6 <= ended["slow_duration"] < 4
        if under_test.OURS:
            assert ended["slow_application_time"] == 0.0
            if not site.embedded:
                assert 1.6 <= ended["slow_daemon_time"] < 4


class TestManyAtOnce:
    mpms = ("event",)
    modes = ("daemon",)

    @staticmethod
    def configure(site):
        configure(site, threads=24)

    @staticmethod
    def ended(receiver, after):
        return [one for one in receiver.all()[after:] if one.kind == "slow" and one["slow_record_state"] == 1]

    def test_at_most_sixteen_that_run_are_told_with_each_sample(self, server, site):
        receiver, after = site.receiver, site.receiver.now()
        runs = [threading.Thread(target=server.get, args=("/app/sleep-3",)) for _ in range(20)]
        for one in runs:
            one.start()
        for one in runs:
            one.join()
        by_stamp = {}
        wait_until(lambda: len(self.ended(receiver, after)) >= 20, "20 requests have ended")
        for one in receiver.all()[after:]:
            if one.kind == "slow" and one["slow_record_state"] == 0:
                by_stamp[one.stamp] = by_stamp.get(one.stamp, 0) + 1
        assert max(by_stamp.values()) == 16, "one time for all of a tick"

    def test_all_that_have_ended_are_told(self, server, site):
        receiver, after = site.receiver, site.receiver.now()
        runs = [threading.Thread(target=server.get, args=("/app/sleep-1",)) for _ in range(20)]
        for one in runs:
            one.start()
        for one in runs:
            one.join()
        wait_until(lambda: len(self.ended(receiver, after)) >= 20, "20 requests have ended")
        assert len(self.ended(receiver, after)) == 20


class TestZero:
    mpms = ("event",)
    modes = ("daemon",)

    @staticmethod
    def configure(site):
        configure(site, threshold=0)

    def test_it_tells_none(self, server, site):
        after = site.receiver.now()
        server.get("/app/sleep-1")
        sample = site.receiver.wait("sample", lambda one: one["request_count"] == 1, after)
        assert sample["slow_requests_threshold"] == 0.0
        assert site.receiver.all("slow") == []


class TestLogId:
    mpms = ("event",)

    @staticmethod
    def configure(site):
        configure(site)
        site.add('LogFormat "%L %U" ids', f'CustomLog "{site.root}/logs/ids.log" ids', f'ErrorLogFormat "[%t] [%-m:%l] [pid %P] %L %M"')
        site.log.allow(".")

    def test_it_is_that_of_apache_s_logs(self, server, site):
        after = site.receiver.now()
        server.get("/app/sleep-1.1")
        ended = site.receiver.wait("slow", lambda one: one["slow_record_state"] == 1, after)
        if "slow_log_id" in ended.fields:
            assert re.search(rf"^{re.escape(ended['slow_log_id'])} /app", (site.root / "logs" / "ids.log").read_text(), re.MULTILINE)
        else:
            assert (site.root / "logs" / "ids.log").read_text().startswith("-")
