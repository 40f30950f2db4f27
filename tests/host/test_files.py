"""Responses that are files. Source: PEP 3333, "Optional Platform-Specific File Handling"."""

import pytest
from wire import CLOSE, TRUNCATED

CONTENT = bytes(range(256)) * 100
APPLICATION = """
    import io, os, tempfile
    here = os.path.dirname(__file__)
    kept = open(os.path.join(here, "content"), "rb")
    positions, closed = [], []

    class Like:
        def __init__(self, **methods):
            self.blocks = iter([b"by ", b"iteration"])
            self.read = lambda size: next(self.blocks, b"")
            self.__dict__.update(methods)
        def close(self):
            closed.append("like")

    class Opened:
        "A file that stays open."
        def __init__(self, file):
            self.file = file
            self.read, self.fileno, self.tell = file.read, file.fileno, file.tell
        def close(self):
            closed.append("opened")

    def raising(*arguments):
        raise SystemExit("on purpose")

    def application(environ, start_response):
        what, wrapper = environ["PATH_INFO"].strip("/"), environ["wsgi.file_wrapper"]
        length = [("Content-Length", environ["QUERY_STRING"])] if environ["QUERY_STRING"] else []
        if what == "facts":
            start_response("200 OK", [])
            facts, positions[:], closed[:] = repr((positions, closed)), [], []
            return [facts.encode()]
        if what == "not-started":
            return wrapper(open(kept.name, "rb"))
        write = start_response("200 OK", length)
        if what == "written":
            write(b"data ")
        if what == "begun":
            write(b"")
        if what == "kept":
            kept.seek(100)
            kept.read(10)
            positions.append(os.lseek(kept.fileno(), 0, 1))
            return Position(wrapper(Opened(kept)))
        if what == "open":
            kept.seek(100)
            positions.append(os.lseek(kept.fileno(), 0, 1))
            return wrapper(Opened(kept))
        if what == "subclass":
            class Mine(wrapper):
                def close(self):
                    closed.append("subclass")
                    wrapper.close(self)
            return Mine(open(kept.name, "rb"), 10)
        if what == "closed":
            file = wrapper(open(kept.name, "rb"))
            file.close()
            return file
        if what == "temporary":
            file = tempfile.TemporaryFile()
            file.write(b"temporary file")
            file.seek(10)
            return wrapper(file)
        if what == "end":
            file = open(kept.name, "rb")
            file.seek(0, 2)
            return wrapper(file)
        if what == "pipe":
            reading, writing = os.pipe()
            os.write(writing, b"from a pipe")
            os.close(writing)
            return wrapper(open(reading, "rb"))
        if what == "device":
            return wrapper(open("/dev/null", "rb"))
        fileno = kept.fileno
        return wrapper({
            "": lambda: open(kept.name, "rb"),
            "begun": lambda: open(kept.name, "rb"),
            "written": lambda: open(kept.name, "rb"),
            "memory": lambda: io.BytesIO(b"from memory"),
            "no-tell": lambda: Like(fileno=fileno),
            "no-fileno": lambda: Like(tell=lambda: 0),
            "text-tell": lambda: Like(fileno=fileno, tell=lambda: "0"),
            "negative-tell": lambda: Like(fileno=fileno, tell=lambda: -1),
            "raising-tell": lambda: Like(fileno=fileno, tell=raising),
            "raising-fileno": lambda: Like(fileno=raising, tell=lambda: 0),
            "bad-fileno": lambda: Like(fileno=lambda: 9999, tell=lambda: 0),
            "odd-fileno": lambda: Like(fileno=lambda: 2 ** 70, tell=lambda: 0),
            "beyond": lambda: Like(fileno=fileno, tell=lambda: 10 ** 9),
        }[what]())

    class Position:
        "Not a wrapper, only around one."
        def __init__(self, inner):
            self.inner = inner
            self.close = inner.close
        def __iter__(self):
            return iter(self.inner)
"""


@pytest.fixture(scope="module")
def server(python, tmp_path_factory):
    from conftest import Place
    place = Place(python, tmp_path_factory.mktemp("f"))
    (place.folder / "content").write_bytes(CONTENT)
    place.app = place.script(APPLICATION)
    place.daemon = place.start(threads=2).ready()
    yield place
    place.close()


@pytest.fixture
def child(server):
    child = server.daemon.child()
    yield child
    assert not child.files
    child.close()


@pytest.fixture
def ask(child, server):
    def ask(path, length=None, method="GET", script=server.app):
        environ = {"QUERY_STRING": "" if length is None else str(length), "REQUEST_METHOD": method}
        return child.ask(script, path, environ=environ)
    return ask


def length_of(response):
    return [value for name, value in response.headers if name.lower() == "content-length"]


def test_a_file_is_handed_over_with_its_length(ask):
    for _ in range(3):
        answer = ask("/")
        assert answer.complete and answer.end & CLOSE == 0 and answer.body == CONTENT
        assert answer.file == (0, len(CONTENT)) and length_of(answer) == [str(len(CONTENT))]


def test_the_answer_to_head_is_the_same(ask):
    answer = ask("/", method="HEAD")
    assert answer.complete and answer.file == (0, len(CONTENT)) and length_of(answer) == [str(len(CONTENT))]


def test_a_content_length_of_the_application_bounds_it(ask):
    answer = ask("/", 1000)
    assert answer.complete and answer.body == CONTENT[:1000] and length_of(answer) == ["1000"]
    answer = ask("/", 0)
    assert answer.complete and answer.body == b"" and answer.file is None and length_of(answer) == ["0"]


def test_a_file_that_is_shorter_than_its_content_length_is_truncated(ask):
    answer = ask("/", len(CONTENT) + 5)
    assert answer.end == TRUNCATED and answer.body == CONTENT and length_of(answer) == [str(len(CONTENT) + 5)]
    assert "WSGI7024" in answer.log[-1] and " 5 fewer" in answer.log[-1]
    answer = ask("/", len(CONTENT) + 5, "HEAD")
    assert answer.complete and answer.log == []
    answer = ask("/end", 1)
    assert answer.end == TRUNCATED and answer.file is None and "WSGI7024" in answer.log[-1]


def test_it_begins_where_the_file_stands_and_the_position_stays(ask):
    ask("/facts")
    for _ in range(2):
        answer = ask("/open")
        assert answer.file == (100, len(CONTENT) - 100) and answer.body == CONTENT[100:]
    assert ask("/kept").file is None
    (first, second, _), closed = eval(ask("/facts").body)
    # Buffered reading takes a block, whose begin a seek within it does not change.
    assert first == second and closed == ["opened"] * 3
    answer = ask("/temporary")
    assert answer.file == (10, 4) and answer.body == b"file"


def test_a_file_that_stands_at_its_end_or_behind_is_empty(ask):
    for path in ("/end", "/beyond"):
        answer = ask(path)
        assert answer.complete and (answer.body, answer.file, length_of(answer)) == (b"", None, ["0"])


def test_a_derived_wrapper_is_one_too_and_its_close_is_called(ask):
    ask("/facts")
    answer = ask("/subclass")
    assert answer.file and answer.body == CONTENT
    assert eval(ask("/facts").body)[1] == ["subclass"]


@pytest.mark.parametrize("what", ["no-tell", "no-fileno", "text-tell", "negative-tell", "raising-tell", "raising-fileno",
                                  "bad-fileno", "odd-fileno"])
def test_what_is_no_ordinary_file_is_iterated_over(ask, what):
    ask("/facts")
    answer = ask("/" + what)
    assert answer.complete and (answer.body, answer.file, answer.log) == (b"by iteration", None, [])
    assert eval(ask("/facts").body)[1] == ["like"]


@pytest.mark.parametrize("what, body", [("memory", b"from memory"), ("pipe", b"from a pipe"), ("device", b"")])
def test_memory_pipes_and_devices_are_read(ask, what, body):
    answer = ask("/" + what)
    assert answer.complete and (answer.body, answer.file) == (body, None)


def test_a_file_behind_data_is_read(ask):
    answer = ask("/written")
    assert answer.complete and answer.file is None and answer.body == b"data " + CONTENT
    answer = ask("/begun")
    assert answer.complete and answer.body == CONTENT and length_of(answer) == []


def test_a_closed_wrapper_and_a_missing_start_response_are_failures(ask):
    answer = ask("/closed")
    assert answer.status == 500 and "ValueError: I/O operation on closed file" in answer.log[-1]
    answer = ask("/not-started")
    assert answer.status == 500 and "start_response() must be called" in answer.log[-1]


def test_a_file_that_is_gone_from_its_folder_is_still_sent(ask, server):
    script = server.script("""
        import os
        def application(environ, start_response):
            path = os.path.join(os.path.dirname(__file__), "gone")
            with open(path, "wb") as file:
                file.write(b"x" * 100000)
            file = open(path, "rb")
            os.unlink(path)
            start_response("200 OK", [])
            return environ["wsgi.file_wrapper"](file)
    """, "gone.wsgi")
    answer = ask("/", script=script)
    assert answer.complete and answer.file == (0, 100000) and answer.body == b"x" * 100000
