"""Requests over the wire: environ, body, response, log. Source: PEP 3333."""

import hashlib

import pytest
from wire import BODY, DATA, HAS_BODY, LAST, WANT, frame

APPLICATION = """
    import sys, hashlib

    class Items:
        closed = 0
        def __init__(self, *items):
            self.items = items
        def __iter__(self):
            for item in self.items:
                if isinstance(item, Exception):
                    raise item
                yield item
        def close(self):
            Items.closed += 1

    def echo(stream):
        while data := stream.read(60000):
            yield data

    def application(environ, start_response):
        what = environ["PATH_INFO"].strip("/")
        stream = environ["wsgi.input"]
        plain = [("Content-Type", "text/plain")]
        if what == "raise":
            raise RuntimeError("on purpose")
        if what == "exit":
            raise SystemExit(3)
        if what == "status":
            start_response("abc", [])
        if what == "environ":
            start_response("200 OK", plain)
            return [repr(eval(environ["QUERY_STRING"], {"environ": environ, "sys": sys})).encode()]
        if what == "errors":
            print("one line", file=environ["wsgi.errors"])
            print("and a part", end="", file=environ["wsgi.errors"])
            print(" of another", file=sys.stderr)
            environ["wsgi.errors"].write("no newline")
        if what == "keep":
            global kept
            kept = environ, start_response
        if what == "kept":
            start_response("200 OK", plain)
            answers = []
            for use in (kept[0]["wsgi.input"].read, lambda: kept[0]["wsgi.errors"].write("x"), lambda: kept[1]("200 OK", [])):
                try:
                    use()
                except RuntimeError as error:
                    answers.append("RuntimeError")
            return [repr(answers).encode()]
        if what == "write":
            write = start_response("200 OK", plain)
            write(b"written ")
            return [b"returned"]
        if what == "replace":
            start_response("200 OK", plain)
            try:
                raise ValueError
            except ValueError:
                start_response("503 Sorry", plain, sys.exc_info())
            return [b"replaced"]
        if what == "late":
            start_response("200 OK", plain)
            yield_ = Late(start_response)
            return yield_
        if what == "short":
            start_response("200 OK", plain + [("Content-Length", "4")])
            return [b"12", b"3456", b"789"]
        if what == "not-started":
            return [b"data"]
        start_response("200 OK", plain)
        return {
            "": lambda: [b"hello ", b"", b"world"],
            "generator": lambda: Items(b"a", b"", b"b"),
            "truncated": lambda: Items(b"some", ValueError("in the middle")),
            "before": lambda: Items(ValueError("before"), b"never"),
            "closed": lambda: [str(Items.closed).encode()],
            "text": lambda: ["text"],
            "none": lambda: None,
            "digest": lambda: [hashlib.sha256(stream.read()).hexdigest().encode()],
            "echo": lambda: echo(stream),
            "lines": lambda: [repr([stream.readline(), stream.readline(3), list(stream)]).encode()],
            "big": lambda: [b"x" * 3_000_000, b"y", b"z" * 20_000],
            "failing": lambda: failing(stream),
            "ignore": lambda: [b"not read"],
            "nothing": lambda: [repr((stream.read(0), stream.readline(0), stream.read(0))).encode()],
            "nothing-first": lambda: [repr((stream.read(0), stream.read())).encode()],
            "keep": lambda: [b"kept"],
            "errors": lambda: [b""],
            "many": lambda: [b"%d," % number for number in range(10000)],
        }[what]()

    def failing(stream):
        answers = []
        for size in (-1, -1, 0, 1):
            try:
                stream.read(size)
            except OSError as error:
                answers.append(str(error))
        return [repr(answers).encode()]

    class Late:
        def __init__(self, start_response):
            self.start_response = start_response
        def __iter__(self):
            yield b"first"
            try:
                raise KeyError("the original")
            except KeyError:
                self.start_response("500 Late", [], sys.exc_info())
"""


@pytest.fixture(scope="module")
def server(python, tmp_path_factory):
    from conftest import Place
    place = Place(python, tmp_path_factory.mktemp("s"))
    place.app = place.script(APPLICATION)
    place.daemon = place.start(home=str(place.folder), threads=2).ready()
    yield place
    place.close()


@pytest.fixture
def child(server):
    child = server.daemon.child()
    yield child
    child.close()


def evaluate(child, server, expression):
    answer = child.ask(server.app, "/environ", environ={"QUERY_STRING": expression})
    assert answer.status == 200, answer.log
    return eval(answer.body)


def test_many_requests_run_on_one_connection(child, server):
    for _ in range(100):
        answer = child.ask(server.app)
        assert (answer.status, answer.line, answer.body, answer.end) == (200, b"200 OK", b"hello world", 0)
        assert answer.headers == [("Content-Type", "text/plain")]
    assert child.pid == server.daemon.process.pid


def test_items_of_a_generator_are_sent_one_by_one(child, server):
    assert child.ask(server.app, "/generator").body == b"ab"
    assert child.ask(server.app, "/many").body == b"".join(b"%d," % number for number in range(10000))


def test_large_items_arrive_whole(child, server):
    answer = child.ask(server.app, "/big")
    assert answer.complete and answer.body == b"x" * 3_000_000 + b"y" + b"z" * 20_000


def test_write_comes_before_the_items(child, server):
    assert child.ask(server.app, "/write").body == b"written returned"


def test_start_response_with_exc_info_replaces_or_raises_again(child, server):
    answer = child.ask(server.app, "/replace")
    assert (answer.status, answer.body) == (503, b"replaced")
    answer = child.ask(server.app, "/late")
    assert (answer.status, answer.body, answer.complete) == (200, b"first", False)
    assert "KeyError: 'the original'" in answer.log[-1]


def test_data_beyond_content_length_is_dropped(child, server):
    assert child.ask(server.app, "/short").body == b"1234"


@pytest.mark.parametrize("what, line", [
    ("raise", "RuntimeError: on purpose"), ("exit", "SystemExit: 3"), ("before", "ValueError: before"),
    ("status", "ValueError: status code must be a 3 digit integer"), ("text", "TypeError: "), ("none", "TypeError: "),
    ("not-started", "RuntimeError: ")])
def test_a_failure_before_data_is_a_500_with_a_traceback(child, server, what, line):
    answer = child.ask(server.app, f"/{what}")
    assert answer.refused == ("", False) and answer.status == 500
    number = "WSGI0175" if what == "exit" else "WSGI0174"
    assert answer.log[0].startswith(f"{number}: [script {server.app}] ") and answer.log[-1].startswith(line)
    assert child.ask(server.app).body == b"hello world"


def test_a_failure_after_data_is_a_truncated_response(child, server):
    answer = child.ask(server.app, "/truncated")
    assert (answer.status, answer.body, answer.complete) == (200, b"some", False)
    assert answer.log[-1] == "ValueError: in the middle"
    assert child.ask(server.app).body == b"hello world"


def test_close_is_called_once_in_any_case(child, server):
    before = int(child.ask(server.app, "/closed").body)
    for what in ("generator", "truncated", "before"):
        child.ask(server.app, f"/{what}")
    assert int(child.ask(server.app, "/closed").body) == before + 3


def test_log_streams_join_and_end_with_the_request(child, server):
    mark = f"[script {server.app}] "
    assert child.ask(server.app, "/errors").log == [mark + "one line", mark + "and a part of another", mark + "no newline"]


def test_objects_of_a_request_that_is_over_raise_runtimeerror(child, server):
    assert child.ask(server.app, "/keep").body == b"kept"
    assert child.ask(server.app, "/kept").body == b"['RuntimeError', 'RuntimeError', 'RuntimeError']"


def test_the_environ_is_as_pep_3333_and_the_c_module_have_it(child, server):
    def value(key):
        return evaluate(child, server, f"environ[{key!r}]")
    assert value("wsgi.version") == (1, 0)
    assert (value("wsgi.multithread"), value("wsgi.multiprocess"), value("wsgi.run_once")) == (True, False, False)
    assert value("wsgi.input_terminated") is True and value("wsgi.url_scheme") == "http"
    assert value("apache.version") == (2, 4, 62) and value("mod_wsgi.version") == (7, 0, 0)
    assert (value("mod_wsgi.process_group"), value("mod_wsgi.application_group")) == ("test", "")
    assert value("mod_wsgi.callable_object") == "application" and value("mod_wsgi.thread_id") in (1, 2)
    assert value("mod_wsgi.daemon_start") <= value("mod_wsgi.application_start")
    assert value("SCRIPT_FILENAME") == str(server.app)
    kinds = "[f'{type(environ[key]).__module__}.{type(environ[key]).__name__}' for key in ('wsgi.input', 'wsgi.errors')]"
    assert evaluate(child, server, kinds) == ["mod_wsgi.Input", "_io.TextIOWrapper"]
    assert evaluate(child, server, "str(environ['wsgi.file_wrapper'])") == "<class 'mod_wsgi.FileWrapper'>"
    assert evaluate(child, server, "type(environ) is dict and sys.argv") == ["mod_wsgi"]
    assert evaluate(child, server, "sys.path[0]") == str(server.folder)
    assert evaluate(child, server, "[name for name in vars(sys.modules['__main__']) if not name.startswith('__')]") == []


def test_values_are_latin1_and_https_and_path_are_taken_out(child, server):
    answer = child.ask(server.app, "/environ", environ={
        "QUERY_STRING": "environ['X_UMLAUT'], environ['wsgi.url_scheme'], 'HTTPS' in environ, 'PATH' in environ",
        "X_UMLAUT": "\xe4\xff", "HTTPS": "On", "PATH": "/bin"})
    assert eval(answer.body) == ("\xe4\xff", "https", False, False)


class TestNothingIsLeftOfEarlierRequests:
    """Environs and error streams are used again for speed, which no application may notice."""

    LEAVES = """
        import sys
        def application(environ, start_response):
            start_response("200 OK", [])
            found = repr(sorted((key, value) for key, value in environ.items() if isinstance(value, str)))
            errors = environ["wsgi.errors"]
            found += repr((errors.encoding, errors.line_buffering, vars(errors), environ["wsgi.errors"].errors))
            exec(environ["QUERY_STRING"])
            print("log of", environ["X_WHO"], file=environ.get("wsgi.errors", errors))
            return [found.encode("latin-1")]
    """

    def test_values_and_changes_are_those_of_the_request(self, child, server):
        script = server.script(self.LEAVES, "leaves.wsgi")
        mark = f"[script {script}] "
        changes = ["", "environ.clear(); environ['X_WHO'] = 'cleared'", "errors.reconfigure(encoding='ascii', line_buffering=False)",
                   "errors.mine = 1", "errors.detach(); environ['wsgi.errors'] = sys.stderr", "global kept; kept = errors",
                   "errors.close()", "environ['ADDED'] = 'x'", "del environ['HTTP_HOST']", ""]
        first = None
        for turn in range(5):
            for number, change in enumerate(changes):
                who, cookie = f"{turn}.{number}", f"secret {turn}.{number}"
                environ = {"QUERY_STRING": change, "X_WHO": who, "HTTP_COOKIE": cookie, "HTTP_HOST": "a" if number % 3 else "b",
                           "HTTPS": "on" if number % 2 else "off"}
                answer = child.ask(script, f"/{who}", environ=environ)
                body = answer.body.decode("latin-1")
                for key, value in {**environ, "PATH_INFO": f"/{who}"}.items():
                    if key != "HTTPS":
                        assert repr((key, value)) in body
                assert ("('wsgi.url_scheme', 'https')" in body) == bool(number % 2)
                assert body.endswith("('utf-8', True, {}, 'replace')")
                assert "('ADDED'" not in body and body.count("secret") == 1
                keys = sorted(key for key, _ in eval(body.rsplit("(", 1)[0]))
                first = first or keys
                assert keys == first
                assert answer.log == [mark + f"log of {'cleared' if 'clear()' in change else who}"]

    def test_of_two_entries_of_one_name_the_later_one_counts(self, child, server):
        from wire import request, text
        import struct
        script = server.script("def application(e, s): s('200 OK', []); return [e['TWICE'].encode(), e['HTTP_HOST'].encode()]", "twice.wsgi")

        def pairs(*values):
            data = b"".join(bytes([0]) + text(name) + text(value) for name, value in values)
            whole = request(script, {}) + data
            return whole[:4] + struct.pack("<I", len(whole) - 8) + whole[8:]
        for turn in range(4):
            values = [("TWICE", "first"), ("HTTP_HOST", "x"), ("TWICE", f"{turn}"), ("HTTP_HOST", "y")]
            child.send(pairs(*values))
            assert child.answer().body == b"%dy" % turn


class TestBody:
    def test_a_body_is_pulled_piece_by_piece(self, child, server):
        pieces = [b"0123456789" * 1000] * 30
        answer = child.ask(server.app, "/digest", body=pieces)
        assert answer.body.decode() == hashlib.sha256(b"".join(pieces)).hexdigest()
        assert len(child.asked) == 31 and all(most >= 1024 for most in child.asked)

    def test_a_piece_that_comes_with_the_head_is_not_asked_for(self, child, server):
        answer = child.ask(server.app, "/digest", first=b"abc")
        assert answer.body.decode() == hashlib.sha256(b"abc").hexdigest() and not child.asked
        answer = child.ask(server.app, "/digest", first=b"abc", body=[b"def"])
        assert answer.body.decode() == hashlib.sha256(b"abcdef").hexdigest() and len(child.asked) == 2

    def test_reading_nothing_asks_for_the_body_once(self, child, server):
        # The client may wait for "100 Continue", and keeps nothing of what it sends then.
        nothing = b"(b'', b'', b'')"
        assert child.ask(server.app, "/nothing", body=[b"x"] * 9).body == nothing and len(child.asked) == 1
        assert child.ask(server.app, "/nothing", first=b"x", body=[b"x"]).body == nothing and not child.asked
        assert child.ask(server.app, "/nothing").body == nothing and not child.asked
        answer = child.ask(server.app, "/nothing-first", body=[b"abc", b"def"])
        assert answer.body == b"(b'', b'abcdef')" and len(child.asked) == 3

    def test_a_body_that_nobody_reads_is_not_asked_for(self, child, server):
        assert child.ask(server.app, "/ignore", body=[b"x"]).body == b"not read" and not child.asked
        assert child.ask(server.app).body == b"hello world"

    def test_lines_and_the_rest(self, child, server):
        answer = child.ask(server.app, "/lines", body=[b"one\ntw", b"o three\nfo", b"ur"])
        assert eval(answer.body) == [b"one\n", b"two", [b" three\n", b"four"]]

    def test_without_a_body_there_is_nothing(self, child, server):
        assert eval(child.ask(server.app, "/lines").body) == [b"", b"", []]

    def test_a_body_that_breaks_off_is_an_oserror_each_time(self, child, server):
        answer = child.ask(server.app, "/failing", body=[b"some", "the client left"])
        first, *later = eval(answer.body)
        assert first == "the client left" and len(later) == 3 and all("already" in text for text in later)
        assert child.ask(server.app).body == b"hello world"

    def test_a_body_comes_back_while_it_is_read(self, child, server):
        pieces = [bytes([65 + number % 26]) * 100_000 for number in range(60)]
        answer = child.ask(server.app, "/echo", body=pieces)
        assert answer.complete and answer.body == b"".join(pieces)
