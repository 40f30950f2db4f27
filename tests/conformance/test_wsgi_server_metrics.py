"""WSGIServerMetrics, and the option server-metrics: whether `mod_wsgi.server_metrics()` shows httpd's scoreboard."""

import json
import threading

import pytest

from harness import under_test
from harness.processes import wait_until

SCORES = """
    import json, threading, time
    import mod_wsgi

    def in_a_thread():
        answers = []
        thread = threading.Thread(target=lambda: answers.append(mod_wsgi.server_metrics() is not None))
        thread.start()
        thread.join()
        return answers[0]

    LOADED = mod_wsgi.server_metrics() is not None

    def application(environ, start_response):
        path = environ["PATH_INFO"]
        if path == "/wait":
            time.sleep(1.5)
        start_response("200 OK", [("Content-Type", "application/json")])
        if path == "/body":
            first = environ["wsgi.input"].read(3)
            board = mod_wsgi.server_metrics() is not None
            rest = environ["wsgi.input"].read()
            return [json.dumps([first.decode(), board, rest.decode()]).encode()]
        if path == "/between":
            def items():
                yield b"before "
                yield str(mod_wsgi.server_metrics() is not None).encode()
                yield b" after"
            return items()
        board = mod_wsgi.server_metrics()
        return [json.dumps([board, in_a_thread() if path == "/thread" else None]).encode()]
"""
TOP = {"server_limit": "int", "thread_limit": "int", "running_generation": "int", "restart_time": "float", "current_time": "float",
       "running_time": "int", "processes": "list"}
PROCESS = {"process_num": "int", "pid": "int", "generation": "int", "quiescing": "bool", "workers": "list"}
WORKER = {"thread_num": "int", "generation": "int", "status": "str", "access_count": "int", "bytes_served": "int",
          "start_time": "float", "stop_time": "float", "last_used": "float", "client": "str", "request": "str", "vhost": "str"}


def types(of):
    return {key: type(value).__name__ for key, value in of.items()}


class TestOn:
    @staticmethod
    def configure(site):
        site.write("scores.wsgi", SCORES)
        site.add("WSGIServerMetrics On" if site.embedded else "WSGIServerMetrics Off", "ExtendedStatus On")
        site.serve("scores.wsgi", options="threads=5 server-metrics=On")

    def board(self, server, path="/"):
        return json.loads(server.get(path).body)[0]

    def test_the_keys_and_their_types_are_these(self, server):
        board = self.board(server)
        assert types(board) == TOP
        assert {tuple(types(process).items()) for process in board["processes"]} == {tuple(PROCESS.items())}
        assert {tuple(types(worker).items()) for process in board["processes"] for worker in process["workers"]} == {tuple(WORKER.items())}

    def test_there_is_a_place_for_every_process_and_thread_there_can_be(self, server, site):
        board = self.board(server)
        assert board["server_limit"] == (10 if site.mpm == "prefork" else 4)
        assert len(board["processes"]) == board["server_limit"]
        assert {len(process["workers"]) for process in board["processes"]} == {board["thread_limit"]}
        assert [process["process_num"] for process in board["processes"]] == list(range(board["server_limit"]))

    def test_the_processes_are_apache_s_children(self, server):
        board = self.board(server)
        pids = {process["pid"] for process in board["processes"]} - {0}
        assert pids and pids <= set(server.processes())
        assert server.pid not in pids
        used = [worker for process in board["processes"] if process["pid"] for worker in process["workers"]]
        assert set("".join(worker["status"] for worker in used)) <= set("._SRWKLDCGI")

    def test_a_request_that_runs_is_seen(self, server):
        def working():
            return [worker for process in self.board(server)["processes"] for worker in process["workers"]
                    if worker["status"] == "W" and worker["request"].startswith("GET /wait ")]
        waits = threading.Thread(target=server.get, args=("/wait",))
        waits.start()
        try:
            (worker,) = wait_until(working, "the request is on the board")
            assert worker["client"] == "127.0.0.1"
            assert worker["last_used"] > 0.0
        finally:
            waits.join()

    def test_times_are_in_seconds_since_the_epoch(self, server):
        board = self.board(server)
        assert 0 <= board["current_time"] - board["restart_time"] < 600
        assert board["running_time"] == int(board["current_time"] - board["restart_time"])

    def test_it_does_no_harm_to_a_body_that_is_read(self, server):
        body = b"abc" + b"x" * 200_000
        assert json.loads(server.post("/body", body).body) == ["abc", True, body[3:].decode()]

    def test_it_does_no_harm_to_a_response_that_has_begun(self, server):
        assert server.get("/between").text == "before True after"

    def test_a_thread_of_the_application_sees_it_in_embedded_mode(self, server, site):
        seen = json.loads(server.get("/thread").body)[1]
        if site.embedded or not under_test.OURS:
            assert seen is True
        else:
            assert seen is False, "a daemon asks Apache along with a request, and a thread has none"


class TestOff:
    mpms = ("event",)

    @staticmethod
    def configure(site):
        site.write("scores.wsgi", SCORES)
        site.add("WSGIServerMetrics Off" if site.embedded else "WSGIServerMetrics On")
        site.serve("scores.wsgi", options="threads=2 server-metrics=Off")

    def test_there_is_nothing_and_one_mode_does_not_switch_the_other(self, server):
        assert json.loads(server.get("/").body) == [None, None]


class TestUnsaid:
    mpms = ("event",)

    @staticmethod
    def configure(site):
        site.write("scores.wsgi", SCORES)
        site.serve("scores.wsgi", options="threads=2")

    @pytest.mark.since((6, 1, 1), "older versions have it on in embedded mode")
    def test_it_is_off(self, server):
        assert json.loads(server.get("/").body) == [None, None]


@pytest.mark.ours_only("it speaks for a daemon over our wire")
class TestAnotherGroup:
    mpms = ("event",)
    modes = ("daemon",)

    @staticmethod
    def configure(site):
        script = site.write("scores.wsgi", SCORES)
        site.add("WSGIDaemonProcess may server-metrics=On", "WSGIDaemonProcess maynot", "WSGIApplicationGroup %{GLOBAL}",
                 f"WSGIScriptAlias /may {script} process-group=may", f"WSGIScriptAlias /maynot {script} process-group=maynot")

    def test_each_group_has_its_own_permission(self, server):
        assert json.loads(server.get("/may").body)[0]["server_limit"] == 4
        assert json.loads(server.get("/maynot").body)[0] is None
