"""Memory that a daemon process shares with Apache for what an application streams. Source: src/core/wire/window.rs."""

import os
import sys
import time
from pathlib import Path

import pytest
from wire import Window

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux has memory that nobody can take away (memfd_create)")

APPLICATION = """
    import os

    here = os.path.dirname(__file__)

    def note(text):
        with open(os.path.join(here, "notes"), "a") as out:
            out.write(text + "\\n")

    def piece(number, length):
        return (b"%06d" % number * (length // 6 + 1))[:length]

    SIZES = [100, 5000, 70000, 1, 20000, 16384, 300000, 7, 65536, 65537, 4096, 4095, 262144, 3] * 3

    class Stream:
        def __init__(self, lengths):
            self.lengths = lengths

        def __iter__(self):
            for number, length in enumerate(self.lengths):
                note(str(number))
                yield piece(number, length)

        def close(self):
            note("closed")

    def application(environ, start_response):
        what, asked = environ["PATH_INFO"].strip("/"), environ["QUERY_STRING"]
        write = start_response("200 OK", [("Content-Length", asked)] if asked else [])
        pieces = [piece(number, length) for number, length in enumerate(SIZES)]
        if what == "list":
            return pieces
        if what == "write":
            for one in pieces:
                write(one)
            return [b"end"]
        if what == "generator":
            return iter(pieces)
        if what == "small":
            return iter([b"x" * 16384] * 4 + [piece(number, 10) for number in range(2000)])
        if what == "file":
            write(b"x" * 100000)
            return environ["wsgi.file_wrapper"](open(__file__, "rb"))
        if what == "echo":
            return iter(lambda: environ["wsgi.input"].read(30000), b"")
        if what == "failing":
            return (1 / 0 if number == 20 else b"x" * 16384 for number in range(21))
        return Stream([16384] * 400)
"""

SIZES = [100, 5000, 70000, 1, 20000, 16384, 300000, 7, 65536, 65537, 4096, 4095, 262144, 3] * 3
"""As the application has them."""


def piece(number, length):
    return (b"%06d" % number * (length // 6 + 1))[:length]


BODY_OF_ALL = b"".join(piece(number, length) for number, length in enumerate(SIZES))


@pytest.fixture
def server(place):
    place.app = place.script(APPLICATION)
    (place.folder / "notes").touch()
    place.notes = lambda: (place.folder / "notes").read_text().split()
    place.daemon = place.start(home=str(place.folder), threads=2).ready()
    return place


@pytest.fixture
def child(server):
    child = server.daemon.child()
    yield child
    child.close()


def wait_until(condition):
    end = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def settled(server):
    """How many pieces an application has made that does not go on."""
    count = None
    while count != (count := len(server.notes())):
        time.sleep(0.3)
    return count


@pytest.mark.parametrize("what, body", [("generator", BODY_OF_ALL), ("list", BODY_OF_ALL), ("write", BODY_OF_ALL + b"end")])
def test_pieces_of_any_size_keep_their_order(child, server, what, body):
    for _ in range(3):
        answer = child.ask(server.app, what)
        assert answer.complete and answer.body == body
        assert answer.shared
    assert child.windows == 1, "the memory is passed once"


def test_many_small_pieces_behind_large_ones_arrive(child, server):
    body = b"x" * 65536 + b"".join(piece(number, 10) for number in range(2000))
    assert child.ask(server.app, "small").body == body


def test_a_small_response_shares_nothing(child, server):
    assert child.ask(server.app, "echo").body == b""
    assert child.window is None


def test_data_beyond_content_length_is_dropped(child, server):
    answer = child.ask(server.app, "generator", environ={"QUERY_STRING": "400000"})
    assert answer.complete and answer.body == BODY_OF_ALL[:400000]


def test_a_failure_ends_a_response_behind_its_data(child, server):
    answer = child.ask(server.app, "failing")
    assert not answer.complete and answer.body == b"x" * 16384 * 20 and answer.shared


def test_a_body_comes_back_while_it_is_read(child, server):
    pieces = [piece(number, 30000) for number in range(40)]
    answer = child.ask(server.app, "echo", body=pieces)
    assert answer.body == b"".join(pieces) and answer.shared


def test_a_file_comes_behind_what_was_written(child, server):
    for _ in range(2):
        answer = child.ask(server.app, "file")
        assert answer.body == b"x" * 100000 + server.app.read_bytes()


def test_a_child_that_does_not_read_holds_the_application_up(child, server):
    child.begin(server.app, "stream")
    assert settled(server) < 100, "16 fit into the memory"
    answer = child.answer()
    assert answer.complete and answer.body == b"".join(piece(number, 16384) for number in range(400))


def test_the_application_hears_of_a_child_that_has_gone(child, server):
    child.begin(server.app, "stream")
    settled(server)
    child.close()
    wait_until(lambda: server.notes()[-1] == "closed")
    assert len(server.notes()) < 100


def test_memory_that_a_child_may_still_look_at_is_lent_to_nobody(child, server):
    """The first child has read everything, and has not said that it has seen the end."""
    close, Window.close = Window.close, lambda self: None
    try:
        assert child.ask(server.app, "generator").body == BODY_OF_ALL
    finally:
        Window.close = close
    other = server.daemon.child()
    try:
        assert other.ask(server.app, "generator").body == BODY_OF_ALL
        assert child.window.word(Window.TOLD) == child.window.read, "nothing more was told there"
        child.window.close()
        assert child.ask(server.app, "generator").body == BODY_OF_ALL
        assert (child.windows, other.windows) == (1, 1)
    finally:
        other.close()


def test_memory_of_a_child_that_has_gone_is_not_kept(server):
    """Of two threads no more than two pieces of memory are kept, however many children come and go in the middle."""
    for _ in range(10):
        child = server.daemon.child()
        child.begin(server.app, "stream")
        settled(server)
        child.close()
        wait_until(lambda: server.notes()[-1] == "closed")
        (server.folder / "notes").write_text("")
    files = [os.readlink(file) for file in Path(f"/proc/{server.daemon.process.pid}/fd").iterdir()]
    assert sum("mod_wsgi response" in file for file in files) <= 2


def test_a_process_that_retires_ends_what_it_streams(child, server):
    child.begin(server.app, "stream")
    settled(server)
    server.daemon.retire()
    time.sleep(0.2)
    answer = child.answer()
    assert answer.complete and answer.body == b"".join(piece(number, 16384) for number in range(400))
    assert server.daemon.wait() == 0
