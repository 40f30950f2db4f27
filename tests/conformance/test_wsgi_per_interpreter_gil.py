"""WSGIPerInterpreterGIL: a lock for each sub-interpreter, from Python 3.12 on."""

import json
import threading
import time

import pytest

from harness import interpreters
from harness.processes import wait_until

# CPython gives interpreters with a lock of their own no daemon threads.
OWN = """
    import threading

    def application(environ, start_response):
        start_response("200 OK", [])
        try:
            thread = threading.Thread(target=int, daemon=True)
            thread.start()
            thread.join()
        except RuntimeError:
            return [b"its own"]
        return [b"shared"]
"""


@pytest.mark.ours_only("the C module can only run the Python it was compiled for")
@pytest.mark.parametrize("value, named", [("On", b"its own"), ("Off", b"shared"), ("", b"shared")])
def test_from_3_12_on_sub_interpreters_have_it_and_the_main_interpreter_never(new_server, value, named):
    python = interpreters.with_locks_of_their_own()
    server = new_server("event", "daemon")
    site = server.site
    script = site.write("own.wsgi", OWN)
    site.add(f"WSGIPerInterpreterGIL {value}" if value else "",
             f"WSGIDaemonProcess app python-home={interpreters.virtualenv(python)}", "WSGIProcessGroup app", f"""
        WSGIScriptAlias /main {script} application-group=%{{GLOBAL}}
        WSGIScriptAlias /named {script} application-group=named
        WSGIScriptAlias /other {script} application-group=other
    """)
    server.start()
    assert [server.get(path).body for path in ("/main", "/named", "/other")] == [b"shared", named, named]


@pytest.mark.since((6, 1, 1), "older versions do not have it")
@pytest.mark.parametrize("mode", ["embedded", "daemon"])
def test_with_an_older_python_it_changes_nothing(new_server, mode):
    if interpreters.version_of(interpreters.system()) >= (3, 12):
        pytest.skip("the distribution's Python is not older than 3.12")
    server = new_server("event", mode)
    script = server.site.write("own.wsgi", OWN)
    server.site.log.allow("WSGI0198")
    server.site.add("WSGIPerInterpreterGIL On", server.site.daemon("app"), f"WSGIScriptAlias / {script} application-group=named")
    server.start()
    assert server.get("/").body == b"shared"


TELLS = """
    import json
    import logging
    import re
    import threading
    import time

    import mod_wsgi

    EVENTS = []
    log = logging.getLogger("app")
    log.propagate = False
    log.addHandler(mod_wsgi.LogHandler())
    mod_wsgi.start_recording_metrics()

    @mod_wsgi.subscribe_events
    def record(name, request_data=None, **payload):
        if request_data is None:
            with open({told!r}, "a") as file:
                file.write(json.dumps([mod_wsgi.application_group, name, payload]) + "\\n")
            return
        if name == "request_started":
            request_data["path"] = payload["request_environ"]["PATH_INFO"]
            inner = payload["application_object"]
            def wrapped(environ, start_response):
                environ["wrapped by"] = mod_wsgi.application_group
                return inner(environ, start_response)
            EVENTS.append([request_data["path"], name, payload["thread_id"]])
            return {{"application_object": wrapped}}
        if name == "request_exception":
            EVENTS.append([request_data["path"], name, repr(payload["exception_info"][1])])
        else:
            EVENTS.append([request_data["path"], name, payload.get("status"), payload.get("application_time")])

    def has_its_own_lock():
        # CPython gives interpreters with a lock of their own no daemon threads.
        try:
            thread = threading.Thread(target=int, daemon=True)
            thread.start()
            thread.join()
        except RuntimeError:
            return True
        return False

    def application(environ, start_response):
        path, answer = environ["PATH_INFO"], None
        if path == "/fail":
            raise ValueError("of " + mod_wsgi.application_group)
        if path == "/log":
            log.error("told by %s", mod_wsgi.application_group)
        if path == "/lock":
            # Holds this interpreter's lock for longer and longer, in the end for at least a second at a time.
            length, longest = 20, 0
            while longest < 1:
                begun = time.monotonic()
                re.match("(a+)+$", "a" * length + "b")
                longest, length = time.monotonic() - begun, length + 1
        if path == "/sleep":
            time.sleep(0.2)
        if path == "/figures":
            answer = mod_wsgi.request_metrics(), mod_wsgi.process_metrics()
        if path == "/events":
            answer = EVENTS
        if path == "/who":
            answer = [mod_wsgi.application_group, environ["wrapped by"], has_its_own_lock(), mod_wsgi.request_data()["path"],
                      list(mod_wsgi.active_requests.values())]
        start_response("200 OK", [("Content-Type", "application/json")])
        return [json.dumps(answer).encode()]
"""


@pytest.mark.ours_only("the C module can only run the Python it was compiled for")
class TestTheModuleInInterpretersWithTheirOwnLock:
    """Every interpreter has a module of its own, and counts go together without a lock that all of them would share."""

    modes = ("daemon",)
    mpms = ("event",)
    groups = ("one", "two")

    @classmethod
    def configure(cls, site):
        python = interpreters.with_locks_of_their_own()
        told = site.path("told")
        told.touch()
        told.chmod(0o666)
        script = site.write("tells.wsgi", TELLS.format(told=str(told)))
        site.add("WSGIPerInterpreterGIL On", f"WSGIDaemonProcess app threads=4 python-home={interpreters.virtualenv(python)}",
                 "WSGIProcessGroup app", 'ErrorLogFormat "[%t] [%m:%l] <%F> [client\\ %a] %M"')
        for name in cls.groups:
            site.add(f"WSGIScriptAlias /{name} {script} application-group={name}")

    def ask(self, server, place):
        answer = server.get(place)
        assert answer.status == 200, answer
        return json.loads(answer.body)

    def events(self, server, group, path):
        """The last events of a path in one interpreter."""
        def told():
            found = [event[1:] for event in self.ask(server, f"/{group}/events") if event[0] == path]
            return found if found and found[-1][0] == "request_finished" else None
        return wait_until(told, "the end of the request is told")

    def test_each_has_a_module_of_its_own(self, server):
        for name in self.groups:
            assert self.ask(server, f"/{name}/who") == [name, name, True, "/who", [{"path": "/who"}]]

    def test_events_are_told_where_the_request_ran_and_nowhere_else(self, server):
        server.log.declare("wsgi:error")
        assert server.get("/one/fail").status == 500
        events = self.events(server, "one", "/fail")
        assert [name for name, *_ in events] == ["request_started", "request_exception", "request_finished"]
        assert events[0][1] >= 1 and events[1][1] == "ValueError('of one')" and events[2][1] == 500
        assert not [event for event in self.ask(server, "/two/events") if event[0] == "/fail"]
        server.log.expect("ValueError: of one")

    def test_events_are_told_in_one_while_another_one_holds_its_lock(self, server):
        self.ask(server, "/two/who")
        holds = threading.Thread(target=server.get, args=("/one/lock",))
        holds.start()
        times = []
        while holds.is_alive():
            begun = time.monotonic()
            self.ask(server, "/two/sleep")
            times.append(time.monotonic() - begun)
        holds.join()
        events = [event[1:] for event in self.ask(server, "/two/events") if event[0] == "/sleep"]
        assert [name for name, *_ in events] == ["request_started", "response_started", "request_finished"] * len(times)
        assert len(times) >= 3 and max(times) < 1, "with one lock for both, one of them would have waited for a second"
        assert self.events(server, "one", "/lock")[-1][1] == 200

    def test_records_of_logging_are_those_of_the_request(self, server, site):
        for name in self.groups:
            server.get(f"/{name}/log")
            line = server.log.expect(f"told by {name}$")
            assert "[wsgi:error]" in line and "[client 127.0.0.1:" in line and "<tells.wsgi(" in line
            assert f"[script {site.path('tells.wsgi')}]" in line

    def test_figures_are_of_the_whole_process_whoever_asks(self, server):
        for name in self.groups:
            self.ask(server, f"/{name}/figures")
        _, before = self.ask(server, "/two/figures")
        for _ in range(3):
            for name in self.groups:
                server.get(f"/{name}/sleep")
        seen, process = self.ask(server, "/one/figures")
        assert seen["request_count"] == 7 and seen["status_2xx"] == 7, "these six, and the one that asked before"
        assert process["request_count"] - before["request_count"] == 7
        assert seen["application_time_max_us"] >= 200_000 and sum(seen["application_time_buckets"]) == 7
        assert seen["gil_wait_count"] >= 7, "each has waited for its own lock, at least to get in"
        assert seen["request_threads_maximum"] == 4 and sum(seen["request_threads_completed"]) == 7
        again, _ = self.ask(server, "/two/figures")
        assert again["request_count"] == 1, "the window is one for all interpreters"


@pytest.mark.ours_only("the C module can only run the Python it was compiled for")
def test_interpreters_with_their_own_lock_are_told_that_the_process_stops(new_server):
    server = new_server("event", "daemon")
    TestTheModuleInInterpretersWithTheirOwnLock.configure(server.site)
    server.start()
    for name in TestTheModuleInInterpretersWithTheirOwnLock.groups:
        assert server.get(f"/{name}/who").status == 200
    server.stop()
    told = [json.loads(line) for line in server.site.path("told").read_text().splitlines()]
    assert sorted(told) == [[name, "process_stopping", {"shutdown_reason": "shutdown_signal"}] for name in ("one", "two")]
