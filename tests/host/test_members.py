"""The module mod_wsgi on every Python: events, records, figures, and the scoreboard over the wire."""

import ast
import signal
import struct

import pytest
from wire import request

APPLICATION = """
    import logging, threading
    import apache, mod_wsgi

    told, log = [], logging.getLogger("test")
    log.setLevel(1)
    log.propagate = False
    log.addHandler(mod_wsgi.LogHandler())

    @mod_wsgi.subscribe_events
    def tell(event, **payload):
        told.append((event, {key: value for key, value in payload.items() if isinstance(value, (int, float, str))}))
        if event.startswith("process"):
            log.error("told %s %r", event, sorted(payload.items()))
        if event == "response_started":
            raise ValueError("of a callback")

    mod_wsgi.subscribe_signals(tell)

    def application(environ, start_response):
        what, answer = environ["QUERY_STRING"], None
        if what == "log":
            log.warning("a line\\nanother")
            log.debug("too much")
        elif what == "told":
            answer = [(name, payload) for name, payload in told if name.startswith("request")]
        elif what == "board":
            answer = mod_wsgi.server_metrics()
        elif what == "figures":
            mod_wsgi.start_recording_metrics()
            answer = len(mod_wsgi.request_metrics()), mod_wsgi.process_metrics()["active_requests"]
        elif what == "data":
            mod_wsgi.request_data()["kept"] = 1
            answer = mod_wsgi.active_requests
        elif what == "apache":
            answer = {name: getattr(apache, name) for name in dir(apache) if not name.startswith("_")}
        elif what == "raise":
            raise RuntimeError("on purpose")
        told.clear()
        start_response("200 OK", [])
        return [repr(answer).encode()]
"""
LINE = next(number for number, line in enumerate(APPLICATION.split("\n"), 1) if "a line" in line)
WARNING, DEBUG = 4, 7


@pytest.fixture
def ask(place):
    script = place.script(APPLICATION)
    daemon = place.start(threads=1, apache_mpm=b"event", apache_processes=4, apache_threads=10, server_metrics=True).ready()
    child = daemon.child()

    def ask(what, **how):
        return child.ask(script, environ={"QUERY_STRING": what, "mod_wsgi.request_id": "the-id", "mod_wsgi.server_pid": "77"}, **how)
    ask.child, ask.daemon, ask.script = child, daemon, script
    return ask


def value(answer):
    assert answer.status == 200, answer.log
    return ast.literal_eval(answer.body.decode())


def test_events_are_told_with_what_came_over_the_wire(ask):
    failed = ask("raise", connects=3, restarts=2, start=1_500_000)
    assert failed.status == 500
    events = value(ask("told"))
    assert [name for name, _ in events] == ["request_started", "request_exception", "request_finished", "request_started"]
    started, finished = events[0][1], events[2][1]
    assert (started["daemon_connects"], started["daemon_restarts"], started["request_start"]) == (3, 2, 1.5)
    assert (started["request_id"], started["server_pid"], started["thread_id"]) == ("the-id", 77, 1)
    assert finished["status"] == 500
    assert finished["cpu_time"] <= finished["application_time"] + 1e-6


def test_what_a_callback_raises_is_in_the_log_and_nowhere_else(ask):
    answer = ask("anything")
    assert answer.status == 200 and answer.complete
    assert any("WSGI0112" in text and "response_started" in text for text in answer.log)
    assert any("ValueError: of a callback" in text for text in answer.log)


def test_a_record_has_its_level_its_file_and_its_line(ask):
    answer = ask("log")
    records = [(text.partition("] ")[2], *record) for text, record in zip(answer.log, answer.records) if record[1]]
    assert records == [("a line", WARNING, str(ask.script), LINE), ("another", WARNING, str(ask.script), LINE),
                       ("too much", DEBUG, str(ask.script), LINE + 1)]


def test_a_record_below_the_level_of_the_request_is_dropped(ask):
    assert not [text for text in ask("log", level=WARNING).log if "too much" in text]
    assert not [text for text in ask("log", level=WARNING - 1).log if "a line" in text]


def test_the_scoreboard_is_asked_for_with_the_request(ask):
    worker = struct.pack("<IIBQQQQQ", 5, 1, 4, 6, 7, 8_000_000, 9_000_000, 10_000_000)
    worker += b"".join(struct.pack("<I", len(text)) + text for text in (b"client", b"GET /", b"host"))
    process = struct.pack("<IIBI", 99, 1, 1, 1) + worker
    ask.child.scoreboard = struct.pack("<IIIQI", 2, 3, 1, 4_000_000, 2) + process + struct.pack("<IIBI", 0, 0, 0, 0)
    board = value(ask("board"))
    assert (board["server_limit"], board["thread_limit"], board["restart_time"]) == (2, 3, 4.0)
    used, unused = board["processes"]
    assert (used["pid"], used["quiescing"], unused["pid"], unused["process_num"]) == (99, True, 0, 1)
    assert [worker["status"] for worker in used["workers"]] == ["W", ".", "."]
    assert (used["workers"][0]["client"], used["workers"][0]["last_used"], used["workers"][0]["bytes_served"]) == ("client", 10.0, 7)
    assert len(unused["workers"]) == 3


@pytest.mark.parametrize("board", [b"", b"\0\0\0", struct.pack("<IIIQI", 2, 3, 1, 4, 2)])
def test_a_scoreboard_that_is_none_is_none(ask, board):
    ask.child.scoreboard = board
    assert value(ask("board")) is None
    assert ask("apache").complete, "the connection is in step"


def test_figures_are_there_once_they_are_recorded(ask):
    assert value(ask("figures")) == (66, 1)


def test_a_request_keeps_what_it_wants_under_its_id(ask):
    assert value(ask("data")) == {"the-id": {"kept": 1}}


def test_apache_is_described(ask):
    seen = value(ask("apache"))
    assert (seen["mpm_name"], seen["maximum_processes"], seen["threads_per_process"], seen["version"]) == ("event", 4, 10, (2, 4, 62))


def test_the_process_tells_signals_and_its_end(ask):
    ask("first")
    ask.daemon.process.send_signal(signal.SIGHUP)
    ask.daemon.expect(r"told process_signal \[\('signame', 'SIGHUP'\), \('signum', 1\)\]")
    ask.child.close()
    ask.daemon.process.send_signal(signal.SIGTERM)
    ask.daemon.expect(r"told process_stopping \[\('shutdown_reason', 'shutdown_signal'\)\]")
    assert ask.daemon.wait() == 0


def test_embedded_mode_tells_its_end_and_has_the_scoreboard_at_hand(run_steps, place):
    script = place.script(APPLICATION)
    environ = {"PATH_INFO": "/", "QUERY_STRING": "board", "SCRIPT_FILENAME": str(script)}
    status, out, _ = run_steps([("r", request(script, environ)[8:])], server_metrics=True)
    assert status == 0
    assert "'server_limit': 2, 'thread_limit': 3, 'running_generation': 4, 'restart_time': 5.0" in out
    assert "server log 3: told process_stopping [('shutdown_reason', '')]" in out
