"""The published receiver, mod_wsgi-telemetry from PyPI, with processes of ours: what it shows, and that it goes on showing it."""

import json
import subprocess
import urllib.request

import pytest

from harness.processes import wait_until
from harness.programs import virtualenv_or_skip
from harness.site import free_port

REQUIREMENT = "mod_wsgi-telemetry==1.1.0"

pytestmark = pytest.mark.since((6, 1, 1), "older versions do not have it")

APPLICATION = """
    import gc, os, time

    def application(environ, start_response):
        if environ["PATH_INFO"].startswith("/sleep-"):
            time.sleep(float(environ["PATH_INFO"][7:]))
        for _ in range(100 if environ["PATH_INFO"] == "/collect" else 1):
            gc.collect()
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [str(os.getpid()).encode()]
"""


@pytest.fixture(scope="module")
def program():
    return virtualenv_or_skip(REQUIREMENT) / "bin" / "mod_wsgi-telemetry"


class Program:
    """A running mod_wsgi-telemetry; its socket is there once this is."""

    def __init__(self, program, path, *arguments):
        self.path = path
        self.process = subprocess.Popen([program, *arguments, "--listen", f"unix:{path}", "--socket-mode", "0666"],
                                        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        try:
            wait_until(path.exists, "the receiver's socket", 20)
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(10)
        self.process.stdout.close()


def configure(site, path, sections=()):
    site.one_child()
    script = site.write("told.wsgi", APPLICATION)
    site.add(f"WSGITelemetryService unix:{path} interval=0.5", "WSGISlowRequests 0.6", "WSGITelemetryOptions +CaptureUserAgent",
             *sections, site.daemon("app", "threads=3"), *(
                 f"<Location /{name}>\nWSGIApplicationGroup {group}\n</Location>\nWSGIScriptAlias /{name} {script}"
                 for name, group in (("main", "%{GLOBAL}"), ("sub", "another"))))


@pytest.mark.ours_only("it answers 500 as soon as a process of the C module has a second interpreter")
class TestServe:
    mpms = ("event", "prefork")

    @staticmethod
    def configure(site):
        site.receiver_path = site.root / "t.sock"
        configure(site, site.receiver_path)

    @pytest.fixture
    def receiver(self, site, program):
        self.port = free_port()
        running = Program(program, site.receiver_path, "serve", "--http-port", str(self.port), "--log-level", "WARNING")
        yield running
        running.stop()
        site.receiver_path.unlink(missing_ok=True)

    def state(self):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/api/state", timeout=10) as answer:
            return json.load(answer)

    def test_it_shows_processes_slow_requests_and_garbage_collections_of_all_interpreters(self, server, site, program, receiver):
        def answers():
            try:
                return self.state()
            except OSError:
                return None
        wait_until(answers, "the receiver answers", 20)
        pid = int(server.get("/main/").text)
        assert int(server.get("/sub/").text) == pid
        server.get("/sub/sleep-1.2", headers={"User-Agent": "a browser"})

        def whole():
            state = self.state()
            entries = [one["entry"] for one in state["slow_requests"]]
            slow = [one for one in entries if one["path_info"] == "/sleep-1.2" and one["state"] in (1, "completed")]
            process = next((one for one in state["processes"] if one["pid"] == pid), None)
            return (state, slow[0], process) if slow and process and process["gc_snapshots"] and process["gc_events"] else None
        state, slow, process = wait_until(whole, "process, slow request and garbage collector are shown", 20)
        assert state["decode_errors"] == 0
        assert (slow["pid"], slow["script_name"], slow["method"], slow["user_agent"]) == (pid, "/sub", "GET", "a browser")
        assert list(process["gc_snapshots"]) == [""], "the interpreters are one"
        total = [one["fields"]["gc_collections2"] for one in process["gc_snapshots"][""]]
        assert total == sorted(total), "a sum that only grows"
        # The terminal view asks over the WebSocket, which sends on what comes.
        top = subprocess.run([program, "top", "--url", f"ws://127.0.0.1:{self.port}/ws", "--once", "--once-timeout", "10", "--no-color",
                              "--view", "processes"], capture_output=True, text=True, timeout=30)
        assert top.returncode == 0, top.stdout + top.stderr
        assert str(pid) in top.stdout
        if not site.embedded:
            assert "app" in top.stdout
        assert self.state()["decode_errors"] == 0


class TestDump:
    mpms = ("event",)

    @staticmethod
    def configure(site):
        site.receiver_path = site.root / "t.sock"
        configure(site, site.receiver_path)

    def test_it_reads_every_field(self, server, site, program):
        server.get("/main/")
        server.get("/sub/")
        dump = Program(program, site.receiver_path, "dump", "--format", "json", "--count", "60")
        try:
            pid = int(server.get("/main/sleep-1.2").text)
            server.get("/main/collect")
            said, _ = dump.process.communicate(timeout=30)
        finally:
            dump.stop()
        told = [json.loads(line) for line in said.splitlines()]
        assert len(told) == 60, said
        ours = [one for one in told if one["pid"] == pid]
        kinds = {one["kind"] for one in ours}
        assert {"request_metrics", "slow_request", "gc_snapshot"} <= kinds
        assert not [name for one in ours for name in one["fields"] if name.startswith("id")], "it knows every field"
