"""WSGITelemetryService: which datagrams processes send, what is in them, and that nobody waits for their receiver."""

import json
import os
import signal
import socket
import threading
import time

import pytest

from harness import under_test
from harness.processes import is_alive, parent_of, wait_until
from harness.telemetry import NAMES, PHASES, receive

pytestmark = pytest.mark.since((6, 1, 1), "older versions do not have it")

APPLICATION = """
    import ctypes, gc, json, os, time
    import mod_wsgi

    def application(environ, start_response):
        path, answer = environ["PATH_INFO"], os.getpid()
        if path.startswith("/sleep-"):
            time.sleep(float(path[7:]))
        elif path.startswith("/hold-"):
            ctypes.PyDLL(None).usleep(int(float(path[6:]) * 1e6))
        elif path.startswith("/collect-"):
            for _ in range(int(path[9:])):
                gc.collect()
        elif path == "/metrics":
            mod_wsgi.start_recording_metrics()
            answer = [mod_wsgi.request_metrics(), mod_wsgi.process_metrics()]
        elif path == "/gc":
            answer = [[entry.__name__, type(entry).__name__] for entry in gc.callbacks]
        elif path == "/stats":
            answer = gc.get_stats()
        elif path == "/read":
            answer = len(environ["wsgi.input"].read())
        start_response("404 Not" if path == "/404" else "200 OK", [("Content-Type", "application/json")])
        return [json.dumps(answer).encode()]
"""
THREADS = 4
INTERVAL = 0.5

IDENTITY = {"mod_wsgi_version", "python_version", "apache_version", "mpm_name", "hostname", "process_parent_pid", "switch_interval"}
CPU = {"cpu_user_utilization", "cpu_system_utilization", "cpu_utilization"}
IDLE = IDENTITY | CPU | {
    "sample_period", "telemetry_interval", "slow_requests_threshold", "request_count", "request_throughput", "capacity_utilization",
    "memory_rss", "memory_max_rss", "request_threads_maximum", "request_threads_started", "request_threads_active",
    "input_bytes_total", "input_reads_total", "output_bytes_total", "output_writes_total",
    *(f"request_threads_{what}" for what in ("completed", "busy_time", "cpu_time", "current_elapsed", "max_duration")),
    *(f"status_{digit}xx_total" for digit in "12345"),
    *(f"{phase}_time{end}" for phase in PHASES if phase not in ("queue", "daemon") for end in ("", "_buckets"))}
BUSY = IDLE | {f"{phase}_{end}" for phase in PHASES if phase not in ("queue", "daemon") for end in ("min", "max")}
OF_DAEMONS = {f"{phase}_{end}" for phase in ("queue", "daemon") for end in ("time", "time_buckets", "min", "max")}
GC_SNAPSHOT = {name for number, name in NAMES.items() if 300 <= number <= 317}
GC_EVENT = {name for number, name in NAMES.items() if 320 <= number <= 324}


def configure(site, options=f"interval={INTERVAL}", daemon="", reads=True):
    site.one_child()
    if site.mpm != "prefork":
        site.mpm_sizes = f"StartServers 1\nServerLimit 1\nThreadsPerChild {THREADS}\nMaxRequestWorkers {THREADS}"
    site.write("told.wsgi", APPLICATION)
    receive(site, options, reads)
    site.serve("told.wsgi", options=f"threads={THREADS} {daemon}")


def pid_of(server, path="/") -> int:
    return json.loads(server.get(path).body)


class TestSamples:
    @staticmethod
    def configure(site):
        configure(site)

    @pytest.fixture
    def receiver(self, server, site):
        self.pid = pid_of(server)
        return site.receiver

    def next(self, receiver, condition=lambda sample: True):
        return receiver.wait("sample", lambda one: one.pid == self.pid and condition(one), receiver.now())

    def idle(self, receiver):
        return self.next(receiver, lambda sample: sample["request_count"] == 0)

    def quiet(self, receiver) -> int:
        """Waits until earlier requests are told of; how many datagrams have come until then."""
        self.idle(receiver)
        return receiver.now()

    def test_a_process_says_first_who_it_is(self, server, site, receiver):
        started = receiver.wait("started", lambda one: one.pid == self.pid)
        assert started.fields.keys() == IDENTITY | ({"process_group"} if not site.embedded else set())
        assert started.sequence == 1
        assert abs(started.stamp - time.time()) < 120
        assert started["hostname"] == socket.gethostname()
        assert started["mpm_name"] == site.mpm
        assert started["apache_version"].startswith("Apache/2.4.")
        assert started["mod_wsgi_version"] == ".".join(map(str, under_test.version()))
        assert started["process_parent_pid"] == parent_of(self.pid) == server.pid
        assert started["switch_interval"] == 0.005
        assert started["python_version"].startswith("3.")
        assert started.fields.get("process_group") == (None if site.embedded else "app")

    def test_an_idle_sample_has_these_fields(self, site, receiver):
        sample = self.idle(receiver)
        assert sample.fields.keys() == IDLE | ({"process_group"} if not site.embedded else set())
        assert sample["telemetry_interval"] == INTERVAL
        assert INTERVAL * 0.9 < sample["sample_period"] < INTERVAL * 3
        assert sample["slow_requests_threshold"] == 0.0
        assert sample["application_time"] == 0.0
        assert sum(sample["application_time_buckets"]) == 0

    def test_a_busy_sample_has_these_fields(self, server, site, receiver):
        after = self.quiet(receiver)
        server.get("/sleep-0.1")
        sample = receiver.wait("sample", lambda one: one["request_count"] > 0, after)
        expected = BUSY | (OF_DAEMONS | {"process_group"} if not site.embedded else set())
        if not under_test.OURS and site.embedded and site.mpm == "prefork":
            expected -= {"gil_wait_min", "gil_wait_max"}
        assert sample.fields.keys() == expected
        assert 0.1 <= sample["application_time"] < 2
        assert 0.1 <= sample["application_min"] <= sample["application_max"] < 2
        assert abs(sample["request_time"] - sum(sample.fields.get(f"{phase}_time", 0.0) for phase in PHASES[:4])) < 1e-5
        assert sum(sample["application_time_buckets"]) == 1
        assert {len(value) for name, value in sample.fields.items() if name.endswith("_buckets")} == {65}

    def test_requests_are_counted(self, server, receiver):
        after = self.quiet(receiver)
        for path in ("/", "/404", "/", "/sleep-0.2"):
            server.get(path)
        server.post("/read", b"x" * 1000)
        self.idle(receiver)
        samples = [one for one in receiver.all("sample", self.pid) if one in receiver.all()[after:]]

        def total(name):
            return sum(sample[name] for sample in samples)
        assert total("request_count") == 5
        assert (total("status_2xx_total"), total("status_4xx_total")) == (4, 1)
        assert total("input_bytes_total") == 1000
        assert total("input_reads_total") >= 1
        assert total("output_writes_total") == 5
        assert total("output_bytes_total") >= 5
        for sample in samples:
            assert abs(sample["request_throughput"] - sample["request_count"] / sample["sample_period"]) < 0.001
            assert abs(sample["cpu_utilization"] - sample["cpu_user_utilization"] - sample["cpu_system_utilization"]) < 1e-9

    def test_there_is_a_place_for_every_thread(self, server, site, receiver):
        if not under_test.OURS and site.embedded and site.mpm == "prefork":
            pytest.skip("the C module counts no thread under prefork")
        most = 1 if site.embedded and site.mpm == "prefork" else THREADS
        after = self.quiet(receiver)
        runs = threading.Thread(target=server.get, args=("/sleep-1.5",))
        runs.start()
        running = receiver.wait("sample", lambda one: max(one["request_threads_current_elapsed"]) >= 0.5, after)
        runs.join()
        ended = receiver.wait("sample", lambda one: one["request_count"] == 1, after)
        for sample in (running, ended):
            assert sample["request_threads_maximum"] == most
            assert {len(value) for name, value in sample.fields.items()
                    if name.startswith("request_threads_") and isinstance(value, list)} == {most}
        assert running["request_threads_active"] == 1
        assert 0 < running["capacity_utilization"] <= 1 / most + 0.1
        assert abs(running["request_threads_current_elapsed"][0] * 1000 % 1) < 1e-6 or most > 1
        assert sum(ended["request_threads_completed"]) == 1
        assert 1.5 <= max(ended["request_threads_max_duration"]) < 3

    def test_memory_is_in_bytes(self, receiver):
        sample = self.next(receiver)
        assert 4_000_000 < sample["memory_rss"] < 4_000_000_000
        assert sample["memory_max_rss"] > 4_000_000

    def test_each_tick_ends_with_what_the_garbage_collector_has_done(self, server, receiver):
        sample = self.idle(receiver)
        snapshot = receiver.wait("gc_snapshot", lambda one: one.pid == self.pid, receiver.now())
        assert snapshot.sequence > sample.sequence
        assert snapshot.fields.keys() == GC_SNAPSHOT
        stats = json.loads(server.get("/stats").body)
        assert snapshot["gc_collections2"] <= stats[2]["collections"]
        assert snapshot["gc_threshold0"] > 0
        assert snapshot["gc_is_enabled"] == 1
        assert snapshot["gc_dropped_events"] == 0

    def test_each_garbage_collection_is_told(self, server, receiver):
        after = self.quiet(receiver)
        server.get("/collect-1")
        event = receiver.wait("gc_event", lambda one: one["gc_event_generation"] == 2, after)
        assert event.fields.keys() == GC_EVENT
        assert 0 <= event["gc_event_duration"] < 5
        assert abs(event["gc_event_start_stamp"] - event.stamp) < 10

    def test_of_many_collections_the_last_256_are_told_64_at_a_time(self, server, receiver):
        after = self.quiet(receiver)
        server.get("/collect-300")

        def told():
            return sum(one.kind == "gc_event" for one in receiver.all()[after:])

        def dropped():
            return sum(one["gc_dropped_events"] for one in receiver.all()[after:] if one.kind == "gc_snapshot")
        wait_until(lambda: told() + dropped() >= 300, "all collections are told or counted", 15)
        assert told() >= 256
        by_tick, ticks = 0, []
        for one in receiver.all()[after:]:
            if one.kind == "gc_event":
                by_tick += 1
            elif by_tick:
                ticks.append(by_tick)
                by_tick = 0
        assert max(ticks) <= 64

    def test_datagrams_are_numbered_without_a_gap(self, receiver):
        self.idle(receiver)
        numbers = [one.sequence for one in receiver.all(pid=self.pid)]
        assert numbers == list(range(1, len(numbers) + 1))

    def test_applications_get_no_figures(self, server):
        assert json.loads(server.get("/metrics").body) == [None, None]

    def test_the_callback_of_the_garbage_collector_is_a_builtin(self, server):
        assert json.loads(server.get("/gc").body) == [["_gc_callback", "builtin_function_or_method"]]


class TestTheEnd:
    """Servers of their own, because they stop."""

    def start(self, new_server, mpm, mode, **options):
        server = new_server(mpm, mode)
        configure(server.site, **options)
        server.start()
        return server, pid_of(server)

    def ends(self, server, pid):
        """The datagrams of a process from the decision to end on."""
        receiver = server.site.receiver
        wait_until(lambda: not is_alive(pid), "the process has ended", 20)
        receiver.wait("stopped", lambda one: one.pid == pid)
        told = receiver.all(pid=pid)
        (first,) = [at for at, one in enumerate(told) if one.kind == "stopping"]
        assert [one.kind for one in told].count("stopped") == 1
        assert told[-1].kind == "stopped", "it is the last one"
        return told[first:]

    @pytest.mark.parametrize("mpm", ["event", "prefork"])
    def test_an_apache_child_tells_it_without_a_reason(self, new_server, mpm):
        server, pid = self.start(new_server, mpm, "embedded")
        server.get("/sleep-0.1")
        server.stop()
        stopping, *between, stopped = self.ends(server, pid)
        assert stopping.fields.keys() == {"hostname", "active_requests_at_decision"}
        assert stopped.fields.keys() == {"hostname", "process_uptime", "lifetime_request_count", "active_requests_at_exit",
                                         "graceful_drain"}
        assert "sample" in [one.kind for one in between], "what came since the last one"
        assert stopped["lifetime_request_count"] == 2
        assert (stopped["active_requests_at_exit"], stopped["graceful_drain"]) == (0, 1)
        assert sum(one["request_count"] for one in server.site.receiver.all("sample", pid)) == 2

    @pytest.mark.parametrize("number, options, reason", [
        (signal.SIGTERM, "", "shutdown_signal"), (signal.SIGUSR1, "", "graceful_signal"),
        (signal.SIGUSR1, "eviction-timeout=5", "eviction_signal")])
    def test_a_daemon_process_tells_why(self, new_server, number, options, reason):
        server, pid = self.start(new_server, "event", "daemon", daemon=options)
        os.kill(pid, number)
        stopping, *_, stopped = self.ends(server, pid)
        assert stopping.fields.keys() == {"hostname", "process_group", "shutdown_reason", "active_requests_at_decision"}
        assert stopped.fields.keys() == {
            "hostname", "process_group", "shutdown_reason", "process_uptime", "lifetime_request_count", "active_requests_at_exit",
            "graceful_drain"}
        assert stopping["shutdown_reason"] == stopped["shutdown_reason"] == reason
        assert stopped["process_group"] == "app"
        assert 0 < stopped["process_uptime"] < 60
        assert stopped["lifetime_request_count"] == 1

    def test_a_process_that_has_had_its_requests_says_so(self, new_server):
        server, pid = self.start(new_server, "event", "daemon", daemon="maximum-requests=3")
        for _ in range(2):
            pid_of(server)
        stopping, *_, _ = self.ends(server, pid)
        assert stopping["shutdown_reason"] == "maximum_requests"

    @pytest.mark.parametrize("number", [
        signal.SIGTERM, pytest.param(signal.SIGUSR1, marks=pytest.mark.ours_only("the C module decides when they have ended"))])
    def test_requests_that_run_are_counted_and_samples_go_on_while_they_do(self, new_server, number):
        server, pid = self.start(new_server, "event", "daemon", daemon="graceful-timeout=10 shutdown-timeout=10")
        runs = threading.Thread(target=server.get, args=("/sleep-2",))
        runs.start()
        server.site.receiver.wait("sample", lambda one: max(one["request_threads_current_elapsed"]) > 0)
        os.kill(pid, number)
        runs.join()
        stopping, *between, stopped = self.ends(server, pid)
        assert stopping["active_requests_at_decision"] == 1
        assert [one.kind for one in between].count("sample") >= 2
        assert (stopped["active_requests_at_exit"], stopped["graceful_drain"]) == (0, 1)

    def test_a_process_that_is_cut_off_says_so_once(self, new_server):
        server, pid = self.start(new_server, "event", "daemon", daemon="graceful-timeout=1 shutdown-timeout=1")
        server.log.declare("WSGI7021", "WSGI7023", "WSGI7044", "WSGI7055", "wsgi:", "AH0004[56]")
        runs = threading.Thread(target=server.get, args=("/sleep-8",), daemon=True)
        runs.start()
        server.site.receiver.wait("sample", lambda one: max(one["request_threads_current_elapsed"]) > 0)
        os.kill(pid, signal.SIGTERM)
        _, *_, stopped = self.ends(server, pid)
        assert (stopped["active_requests_at_exit"], stopped["graceful_drain"]) == (1, 0)
        runs.join()

    @pytest.mark.ours_only("the C module sleeps through its interval first")
    @pytest.mark.parametrize("mode", ["embedded", "daemon"])
    def test_a_long_interval_delays_no_end(self, new_server, mode):
        server, pid = self.start(new_server, "event", mode, options="interval=3600")
        assert server.stop() < 4
        told = self.ends(server, pid)
        assert "sample" in [one.kind for one in told]

    @pytest.mark.ours_only("the C module waits for the receiver")
    @pytest.mark.parametrize("mode", ["embedded", "daemon"])
    def test_a_receiver_that_does_not_read_delays_nothing(self, new_server, mode):
        server, _ = self.start(new_server, "event", mode, reads=False)
        server.log.expect("WSGI7030")
        began = time.monotonic()
        for _ in range(20):
            server.get("/")
        assert time.monotonic() - began < 4
        assert server.stop() < 4

    @pytest.mark.ours_only("the C module says nothing of it")
    @pytest.mark.parametrize("mode", ["embedded", "daemon"])
    def test_a_receiver_that_is_not_there_is_named_in_the_log_once(self, new_server, mode):
        server = new_server("event", mode)
        server.site.write("told.wsgi", APPLICATION)
        server.site.add("WSGITelemetryService unix:/no/such/socket interval=0.5")
        server.site.one_child()
        server.site.serve("told.wsgi", options="threads=2")
        server.start()
        server.get("/")
        server.log.expect("WSGI7029.*/no/such/socket")
        time.sleep(1.5)
        assert server._whole_log().count("WSGI7029") == 1
        assert server.stop() < 4

    def test_a_receiver_that_comes_later_gets_what_is_sent_then(self, new_server):
        server = new_server("event", "daemon")
        site = server.site
        site.write("told.wsgi", APPLICATION)
        receiver = receive(site, "interval=0.5")
        receiver.close()
        receiver.path.unlink()
        site.at_end.clear()
        site.serve("told.wsgi", options="threads=2")
        server.start()
        pid = pid_of(server)
        receiver = type(receiver)(receiver.path)
        site.at_end.append(receiver.close)
        assert receiver.wait("sample", lambda one: one.pid == pid)["process_group"] == "app"


@pytest.mark.ours_only("the C module's reporter waits for Python")
class TestWherePythonStandsStill:
    mpms = ("event",)

    @staticmethod
    def configure(site):
        configure(site)

    def test_samples_go_on(self, server, site):
        pid = pid_of(server)
        holds = threading.Thread(target=server.get, args=("/hold-3",))
        holds.start()
        receiver = site.receiver
        receiver.wait("sample", lambda one: max(one["request_threads_current_elapsed"]) > 0, receiver.now())
        after = receiver.now()
        time.sleep(1.5)
        told = [one.kind for one in receiver.all()[after:] if one.pid == pid]
        holds.join()
        assert told.count("sample") >= 2
        assert "gc_snapshot" not in told
        receiver.wait("gc_snapshot", lambda one: one.pid == pid, receiver.now())


INTERPRETERS = """
    import gc, json, os

    def application(environ, start_response):
        if environ["PATH_INFO"].endswith("/collect"):
            gc.collect()
        start_response("200 OK", [("Content-Type", "application/json")])
        return [json.dumps([os.getpid(), gc.get_stats()]).encode()]
"""


class TestInterpreters:
    mpms = ("event",)
    sections = ()

    @classmethod
    def configure(cls, site):
        site.one_child()
        site.log.allow("AH03490")  # httpd would rather have more
        script = site.write("told.wsgi", INTERPRETERS)
        receive(site)
        site.add(*cls.sections, site.daemon("app", "threads=2"), *(
            f"<Location /{name or 'main'}>\nWSGIApplicationGroup {name or '%{GLOBAL}'}\n</Location>\n"
            f"WSGIScriptAlias /{name or 'main'} {script}" for name in ("", "one", "two")))

    @pytest.mark.ours_only("the C module names the interpreter, which ends the receiver's JSON")
    def test_their_garbage_collectors_are_told_together_and_without_a_name(self, server, site):
        stats = [json.loads(server.get(f"/{name}/collect").body) for name in ("main", "one", "two")]
        (pid,) = {pid for pid, _ in stats}
        receiver, after = site.receiver, site.receiver.now()
        full = sum(of[2]["collections"] for _, of in stats)
        snapshot = receiver.wait("gc_snapshot", lambda one: one["gc_collections2"] >= full, after)
        assert snapshot.fields.keys() == GC_SNAPSHOT
        assert snapshot["gc_threshold0"] > 0
        for _ in range(2):
            server.get("/one/collect")
        more = receiver.wait("gc_snapshot", lambda one: one["gc_collections2"] >= full + 2, after)
        assert more.pid == pid
        kinds = [one.kind for one in receiver.all(pid=pid) if one.kind in ("sample", "gc_snapshot")]
        assert abs(kinds.count("sample") - kinds.count("gc_snapshot")) <= 1, "one for each sample"

    def test_their_collections_are_told(self, server, site):
        for name in ("main", "one", "two"):
            server.get(f"/{name}/collect")
            after = site.receiver.now()
            server.get(f"/{name}/collect")
            site.receiver.wait("gc_event", lambda one: one["gc_event_generation"] == 2, after)

    def test_the_server_stops_in_time(self, server, site):
        for name in ("main", "one", "two"):
            server.get(f"/{name}")
        assert server.stop() < 6
        server.start()


class TestInterpretersWithTheirOwnLock(TestInterpreters):
    sections = ("WSGIPerInterpreterGIL On",)

    @classmethod
    def configure(cls, site):
        super().configure(site)
        site.log.allow("WSGI0198")


class TestWhoReports:
    mpms = ("event",)
    modes = ("daemon",)

    @staticmethod
    def configure(site):
        script = site.write("told.wsgi", APPLICATION)
        site.path("figures").touch()
        site.path("figures").chmod(0o666)
        service = site.write("service.py", f"""
            import mod_wsgi, os, time
            mod_wsgi.start_recording_metrics()
            with open({str(site.path("figures"))!r}, "w") as file:
                file.write("%d %s %s" % (os.getpid(), mod_wsgi.request_metrics(), mod_wsgi.process_metrics()))
            while True:
                time.sleep(1)
        """)
        receive(site)
        site.add("WSGIDaemonProcess app threads=2 processes=2", "WSGIDaemonProcess service threads=0", "WSGIProcessGroup app",
                 "WSGIApplicationGroup %{GLOBAL}", f"WSGIScriptAlias / {script}",
                 f"WSGIImportScript {service} process-group=service application-group=%{{GLOBAL}}")

    def test_every_process_of_a_group_does_and_one_that_runs_scripts_does_not(self, server, site):
        receiver = site.receiver
        text = wait_until(lambda: site.path("figures").read_text(), "the service script")
        pid, *figures = text.split()
        assert figures == ["None", "None"]

        def of_the_group():
            return {one.pid for one in receiver.all("sample") if one.fields.get("process_group") == "app"}
        wait_until(lambda: len(of_the_group()) == 2, "two processes report", 20)
        others = {one.pid for one in receiver.all()} - of_the_group()
        assert int(pid) not in others
        if under_test.OURS:
            assert others == set(), "Apache's children have no Python yet"


ACCESS = """
    import os
    import mod_wsgi

    mod_wsgi.start_recording_metrics()

    def allow_access(environ, host):
        with open({told!r}, "a") as file:
            file.write("%d %s %s\\n" % (os.getpid(), mod_wsgi.request_metrics(), mod_wsgi.process_metrics()))
        return True
"""


@pytest.mark.parametrize("restricted", ["Off", "On"])
class TestAnApacheChildThatRunsAccessScriptsOnly:
    """Where applications may run in it, it reports from the moment on that it has Python. With WSGIRestrictEmbedded it has
    threads that no application will ever use, and a report would have them idle for ever."""

    def test_it_reports_unless_embedded_mode_is_forbidden(self, new_server, restricted):
        server = new_server("event", "daemon")
        site = server.site
        site.one_child()
        told = site.path("told")
        told.touch()
        told.chmod(0o666)
        access = site.write("access.py", ACCESS.format(told=str(told)))
        receiver = receive(site)
        site.write("told.wsgi", APPLICATION)
        site.add(f"WSGIRestrictEmbedded {restricted}", f"<Location />\nWSGIAccessScript {access}\n</Location>")
        site.serve("told.wsgi", options="threads=2")
        server.start()
        daemon = pid_of(server)
        child, *figures = told.read_text().split()
        assert int(child) in server.processes() and int(child) != daemon
        assert figures == ["None", "None"], "the figures go to the service, also where this process has none to tell"
        # Of three of the daemon's samples the first may have come before.
        after = receiver.now()
        wait_until(lambda: [one.pid for one in receiver.all()[after:] if one.kind == "sample"].count(daemon) >= 3, "time goes by", 20)
        server.stop()
        told_by_child = receiver.all(pid=int(child))
        if restricted == "On":
            assert told_by_child == []
            return
        assert {"started", "sample", "stopping", "stopped"} <= {one.kind for one in told_by_child}
        samples = [one for one in told_by_child if one.kind == "sample"]
        assert {one["request_count"] for one in samples} == {0}, "an access script is no request"
        assert not [one for one in samples if "process_group" in one.fields]
        assert [one for one in told_by_child if one.kind == "stopped"][0]["lifetime_request_count"] == 0


@pytest.mark.ours_only("threads of the process are counted")
class TestWithout:
    mpms = ("event",)

    @staticmethod
    def configure(site):
        site.one_child()
        site.write("told.wsgi", APPLICATION)
        site.add("WSGISlowRequests 1", "WSGITelemetryOptions CaptureUserAgent")
        site.serve("told.wsgi", options="threads=2")

    def test_there_is_neither_thread_nor_callback(self, server):
        pid = pid_of(server)
        names = {open(f"/proc/{pid}/task/{thread}/comm").read().strip() for thread in os.listdir(f"/proc/{pid}/task")}
        assert not {name for name in names if "telemetry" in name or "collector" in name}, names
        assert json.loads(server.get("/gc").body) == []
        figures = json.loads(server.get("/metrics").body)
        assert None not in figures
