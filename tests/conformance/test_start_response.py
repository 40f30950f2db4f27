"""start_response() and write(): order, arguments, errors. Source: PEP 3333, "The start_response() Callable"."""

import pytest

APPLICATION = """
    import sys

    OK = [("Content-Type", "text/plain")]

    class List(list):
        pass

    def outcome(call, *arguments, **named):
        try:
            return "returned " + str(callable(call(*arguments, **named)))
        except BaseException as error:
            return type(error).__name__

    def failure():
        try:
            raise LookupError("the original error")
        except LookupError:
            return sys.exc_info()

    ARGUMENTS = {
        "none": (), "status-only": ("200 OK",), "four": ("200 OK", OK, None, None), "tuple": ("200 OK", tuple(OK)),
        "generator": ("200 OK", iter(OK)), "list-subclass": ("200 OK", List(OK)), "no-headers": ("200 OK", []),
        "bytes-status": (b"200 OK", OK), "number-status": (200, OK), "no-reason": ("200", OK), "blank-reason": ("200 ", OK),
        "short": ("20 OK", OK), "long": ("2000 OK", OK), "joined": ("200OK", OK), "text": ("OK", OK), "empty": ("", OK),
        "newline": ("200 OK\\r\\nX-Injected: yes", OK), "nul": ("200 O\\0K", OK), "status-beyond-latin-1": ("200 \\u20ac", OK),
        "header-list": ("200 OK", [["X-A", "b"]]), "header-three": ("200 OK", [("X-A", "b", "c")]),
        "header-one": ("200 OK", [("X-A",)]), "header-text": ("200 OK", ["X-A: b"]),
        "name-bytes": ("200 OK", [(b"X-A", "b")]), "value-bytes": ("200 OK", [("X-A", b"b")]),
        "value-number": ("200 OK", [("Content-Length", 5)]), "value-none": ("200 OK", [("X-A", None)]),
        "name-empty": ("200 OK", [("", "b")]), "name-blank": ("200 OK", [("X A", "b")]),
        "name-newline": ("200 OK", [("X-A\\r\\nX-Injected", "b")]), "name-beyond-latin-1": ("200 OK", [("X-\\u20ac", "b")]),
        "value-lf": ("200 OK", [("X-A", "b\\nX-Injected: yes")]), "value-cr": ("200 OK", [("X-A", "b\\rX-Injected: yes")]),
        "value-crlf": ("200 OK", [("X-A", "b\\r\\n\\r\\n<script>")]), "value-beyond-latin-1": ("200 OK", [("X-A", "\\u20ac")]),
        "value-latin-1": ("200 OK", [("X-A", "\\xe4")]), "value-empty": ("200 OK", [("X-A", "")]),
        "exc-info-none": ("200 OK", OK, None), "exc-info-text": ("200 OK", OK, "text"), "exc-info": ("200 OK", OK, failure()),
        "hop-by-hop": ("200 OK", [("X-A", "b"), ("Keep-Alive", "timeout=1")]),
    }

    def application(environ, start_response):
        what = environ["PATH_INFO"].strip("/")
        if what in ARGUMENTS:
            said = outcome(start_response, *ARGUMENTS[what])
            start_response("200 OK", OK)
            return [said.encode()]
        return globals()[what.replace("-", "_")](environ, start_response)

    def keywords(environ, start_response):
        said = outcome(start_response, status="200 OK", headers=OK)
        start_response("200 OK", OK)
        return [said.encode()]

    def twice_before_data(environ, start_response):
        start_response("200 OK", OK)
        said = outcome(start_response, "201 Created", OK)
        return [said.encode()]

    def twice_after_data(environ, start_response):
        write = start_response("200 OK", OK)
        write(b"first ")
        said = outcome(start_response, "500 Late", OK)
        return [said.encode()]

    def exc_info_before_data(environ, start_response):
        start_response("200 OK", OK + [("X-Old", "yes")])
        start_response("500 Sorry", OK + [("X-New", "yes")], failure())
        return [b"replaced"]

    def exc_info_after_data(environ, start_response):
        write = start_response("200 OK", OK)
        write(b"first ")
        said = outcome(start_response, "500 Late", OK, failure())
        return [said.encode()]

    def started_by_the_first_item(environ, start_response):
        start_response("202 Late", OK)
        yield b"from a generator"

    def item_before_start(environ, start_response):
        yield b"too early"
        start_response("200 OK", OK)

    def never_started(environ, start_response):
        return []

    def failed_call_keeps_the_first(environ, start_response):
        start_response("202 First", OK + [("X-First", "yes")])
        outcome(start_response, "bad", OK)
        return [b"first"]

    def write_kinds(environ, start_response):
        write = start_response("200 OK", OK)
        said = [outcome(lambda item=item: write(item)) for item in ("text", 5, None, bytearray(b"array"), memoryview(b"view"))]
        write(b"data ")
        write(b"")
        return [" ".join(said).encode()]

    kept = []

    def keep_everything(environ, start_response):
        kept[:] = [start_response, start_response("200 OK", OK), environ["wsgi.input"]]
        return [b"kept"]

    def use_what_was_kept(environ, start_response):
        start, write, stream = kept
        said = [outcome(start, "200 OK", OK), outcome(write, b"late"), outcome(stream.read)]
        start_response("200 OK", OK)
        return [" ".join(said).encode()]
"""
OUTCOMES = {
    "TypeError": ["none", "status-only", "four", "tuple", "generator", "bytes-status", "number-status", "header-list", "header-text",
                  "name-bytes", "value-bytes", "value-number", "value-none"],
    "ValueError": ["short", "long", "joined", "text", "empty", "newline", "header-three", "header-one", "name-empty", "name-blank",
                   "name-newline", "value-lf", "value-cr", "value-crlf"],
    "UnicodeEncodeError": ["status-beyond-latin-1", "name-beyond-latin-1", "value-beyond-latin-1"],
    "RuntimeError": ["exc-info-text"],
    "returned True": ["list-subclass", "no-headers", "no-reason", "blank-reason", "value-latin-1", "value-empty", "exc-info-none",
                      "exc-info", "hop-by-hop"],
}
NEWER = pytest.mark.since((6, 1, 1), "older versions raise ValueError")
CASES = [pytest.param(what, outcome, id=what, marks=[NEWER] if outcome == "UnicodeEncodeError" or what == "no-reason" else [])
         for outcome, several in OUTCOMES.items() for what in several]


class TestArguments:
    mpms = ("event",)

    @staticmethod
    def configure(site):
        site.write("start.wsgi", APPLICATION)
        site.serve("start.wsgi")

    @pytest.mark.parametrize("what, outcome", CASES)
    def test_arguments_are_checked_at_once(self, server, what, outcome):
        answer = server.get(f"/{what}")
        assert (answer.status, answer.text) == (200, outcome)
        assert answer.headers["X-Injected"] is None and answer.headers["X-A"] is None

    def test_keywords_are_not_taken(self, server):
        assert server.get("/keywords").text == "TypeError"


class TestOrder:
    @staticmethod
    def configure(site):
        site.write("start.wsgi", APPLICATION)
        site.serve("start.wsgi")

    def test_a_second_call_before_data_replaces_the_first(self, server):
        answer = server.get("/twice-before-data")
        assert (answer.status, answer.reason, answer.text) == (201, "Created", "returned True")

    def test_a_second_call_after_data_is_a_runtimeerror(self, server):
        answer = server.get("/twice-after-data")
        assert (answer.status, answer.text) == (200, "first RuntimeError")

    def test_with_exc_info_before_data_everything_is_replaced(self, server):
        answer = server.get("/exc-info-before-data")
        assert (answer.status, answer.reason, answer.body) == (500, "Sorry", b"replaced")
        assert (answer.headers["X-Old"], answer.headers["X-New"]) == (None, "yes")

    def test_with_exc_info_after_data_the_original_error_is_raised(self, server):
        assert server.get("/exc-info-after-data").text == "first LookupError"

    def test_a_generator_may_start_the_response_with_its_first_item(self, server):
        answer = server.get("/started-by-the-first-item")
        assert (answer.status, answer.reason, answer.body) == (202, "Late", b"from a generator")

    @pytest.mark.parametrize("what", ["item-before-start", "never-started"])
    def test_a_response_that_was_not_started_is_a_500(self, server, what):
        assert server.get(f"/{what}").status == 500
        server.log.expect("RuntimeError")
        server.log.declare("wsgi:error")

    def test_a_call_that_failed_leaves_the_earlier_one(self, server):
        answer = server.get("/failed-call-keeps-the-first")
        assert (answer.status, answer.headers["X-First"], answer.body) == (202, "yes", b"first")

    def test_write_takes_bytes_only(self, server):
        answer = server.get("/write-kinds").text
        assert answer == "data TypeError TypeError TypeError TypeError TypeError"

    def test_nothing_works_after_the_request(self, server):
        with server.keep_alive() as connection:
            for _ in range(3):  # until the same process answers twice in turn
                assert connection.get("/keep-everything").body == b"kept"
                assert connection.get("/use-what-was-kept").text == "RuntimeError RuntimeError RuntimeError"
