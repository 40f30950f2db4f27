"""What a daemon process tells others without being asked: on the board, and with the head of its response."""

import os
import struct
import time

import pytest
from wire import BODY, HAS_BODY, LAST, WANT, frame, request

SIZE, SEATS, SEAT = 64 * 1024, 64 * 1024, 256
"""Source: src/core/board.rs, src/core/board/seats.rs."""
DOING = [None, "idle", "loading", "application", "reading", "writing"]

APPLICATION = """
    import time

    def application(environ, start_response):
        if environ["PATH_INFO"] == "/read":
            environ["wsgi.input"].read()
        if environ["PATH_INFO"] == "/sleep":
            time.sleep(0.5)
        start_response("200 OK", [])
        return [b"done"]
"""
SLOW_TO_LOAD = "import time\ntime.sleep(1)\n" + APPLICATION.replace("\n    ", "\n")


@pytest.fixture
def script(place):
    return place.script(APPLICATION)


def seats(group, slot=0, count=3):
    """What the threads do: (doing, requests, request line)."""
    seen = []
    for number in range(count):
        at = SIZE + slot * SEATS + number * SEAT
        _, doing, _, requests, _, length = struct.unpack_from("<6Q", group.page, at)
        seen.append((DOING[doing], requests, group.page[at + 48:at + 48 + length].decode()))
    return seen


def until(condition):
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline, "it does not happen"
        time.sleep(0.01)


class TestSeats:
    def test_each_thread_has_one_and_there_are_no_more(self, place, script):
        place.start(threads=2).ready()
        until(lambda: seats(place.group) == [("idle", 0, ""), ("idle", 0, ""), (None, 0, "")])

    def test_a_request_is_shown_while_it_runs_and_its_line_after(self, place, script):
        child = place.start(threads=1).ready().child()
        child.send(request(script, {"PATH_INFO": "/sleep"}, line="GET /sleep HTTP/1.1"))
        until(lambda: seats(place.group, count=1) == [("application", 1, "GET /sleep HTTP/1.1")])
        assert child.answer().body == b"done"
        until(lambda: seats(place.group, count=1) == [("idle", 1, "GET /sleep HTTP/1.1")])

    def test_a_long_line_is_cut(self, place, script):
        child = place.start(threads=1).ready().child()
        assert child.ask(script, line="GET /" + "x" * 1000).body == b"done"
        assert seats(place.group, count=1)[0][2] == "GET /" + "x" * (208 - 5)

    def test_a_script_that_is_being_loaded_is_told_from_an_application_that_runs(self, place):
        script = place.script(SLOW_TO_LOAD)
        child = place.start(threads=1).ready().child()
        child.send(request(script, {"PATH_INFO": "/"}))
        until(lambda: seats(place.group, count=1)[0][0] == "loading")
        assert child.answer().body == b"done"

    def test_a_wait_for_the_body_is_told(self, place, script):
        child = place.start(threads=1).ready().child()
        child.send(request(script, {"PATH_INFO": "/read", "CONTENT_LENGTH": "5"}, flags=HAS_BODY))
        while child.frame()[0] != WANT:
            pass
        until(lambda: seats(place.group, count=1)[0][0] == "reading")
        child.send(frame(BODY, b"12345", LAST))
        assert child.answer().body == b"done"

    def test_a_process_takes_the_seats_of_its_slot_and_clears_them(self, place, script):
        at = SIZE + 5 * SEATS
        place.group.page[at:at + 4 * SEAT] = os.urandom(4 * SEAT)
        place.start(threads=1, slot=5).ready()
        until(lambda: seats(place.group, slot=5, count=2) == [("idle", 0, ""), (None, 0, "")])
        assert seats(place.group, slot=0) == [(None, 0, "")] * 3


class TestTimes:
    def test_the_head_tells_how_long_the_request_waited_and_ran(self, place, script):
        child = place.start(threads=1).ready().child()
        begun = int((time.time() - 0.25) * 1e6)
        queue, application = child.ask(script, "/sleep", start=begun).times
        assert 250_000 <= queue < 5_000_000
        assert 500_000 <= application < 5_000_000
