"""start_response() and write(): order, arguments, errors. Source: PEP 3333, "The start_response() Callable"."""

import json
from urllib.parse import urlencode

import pytest

from harness import under_test
from harness.processes import wait_until

APPLICATION = """
    import json
    import os
    import sys
    from urllib.parse import parse_qsl

    OK = [("Content-Type", "text/plain")]

    class List(list):
        pass

    def outcome(call, *arguments, **named):
        try:
            return "returned " + str(callable(call(*arguments, **named)))
        except BaseException as error:
            return f"{type(error).__name__}: {error}"

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
        "value-nul": ("200 OK", [("X-A", "b\\0c")]),
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
        write(b"data\\n")
        write(b"")
        return ["\\n".join(said).encode()]

    def length(environ, start_response):
        lengths = parse_qsl(environ["QUERY_STRING"], keep_blank_values=True)
        write = start_response("200 OK", [("Content-Length", value) for _, value in lengths])
        said = outcome(write, b"four")
        if said.startswith("returned"):
            return []
        start_response("200 OK", OK)
        return [said.encode()]

    def text_as_item(environ, start_response):
        start_response("200 OK", OK)
        return ["text"]

    def write_until_the_client_is_gone(environ, start_response):
        write = start_response("200 OK", OK)
        said = "returned False"
        while said == "returned False":
            said = outcome(write, b"x" * 65536)
        with open(os.path.dirname(__file__) + "/gone", "w") as file:
            json.dump([said, outcome(write, b"once more")], file)
        return []

    kept = []

    def keep_everything(environ, start_response):
        kept[:] = [start_response, start_response("200 OK", OK), environ["wsgi.input"]]
        return [b"kept"]

    def use_what_was_kept(environ, start_response):
        start, write, stream = kept
        said = [outcome(start, "200 OK", OK), outcome(write, b"late"), outcome(stream.read)]
        start_response("200 OK", OK)
        return ["\\n".join(said).encode()]
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
# Of 6.1.1. Some applications look at the text.
TEXTS = {
    "none": "start_response() takes at least 2 arguments (0 given)",
    "status-only": "start_response() takes at least 2 arguments (1 given)",
    "four": "start_response() takes at most 3 arguments (4 given)",
    "tuple": "start_response() argument 2 must be list, not tuple",
    "generator": "start_response() argument 2 must be list, not list_iterator",
    "bytes-status": "must be str, not bytes",
    "number-status": "must be str, not int",
    "header-list": "each header must be a 2-tuple, not list",
    "header-text": "each header must be a 2-tuple, not str",
    "header-three": "each header must be a 2-tuple, got length 3",
    "header-one": "each header must be a 2-tuple, got length 1",
    "name-bytes": "must be str, not bytes",
    "value-bytes": "must be str, not bytes",
    "value-number": "must be str, not int",
    "value-none": "must be str, not NoneType",
    "short": "status code must be a 3 digit integer: b'20 OK'",
    "long": "status code must be a 3 digit integer: b'2000 OK'",
    "text": "status code must be a 3 digit integer: b'OK'",
    "empty": "status code must be a 3 digit integer: b''",
    "joined": "no space following status code: b'200OK'",
    "newline": r"control character in status reason phrase: b'200 OK\r\nX-Injected: yes'",
    "name-empty": "header name is empty",
    "name-blank": "space character in header name: b'X A'",
    "name-newline": r"control character in header name: b'X-A\r\nX-Injected'",
    "value-lf": r"carriage return/line feed character in header value: b'b\nX-Injected: yes'",
    "value-cr": r"carriage return/line feed character in header value: b'b\rX-Injected: yes'",
    "value-crlf": r"carriage return/line feed character in header value: b'b\r\n\r\n<script>'",
    "status-beyond-latin-1": r"'latin-1' codec can't encode character '\u20ac' in position 4: ordinal not in range(256)",
    "name-beyond-latin-1": r"'latin-1' codec can't encode character '\u20ac' in position 2: ordinal not in range(256)",
    "value-beyond-latin-1": r"'latin-1' codec can't encode character '\u20ac' in position 0: ordinal not in range(256)",
    "exc-info-text": "start_response() argument 'exc_info' must be a 3-tuple or None",
}
TEXT_OF_6 = pytest.mark.since((6, 1, 1), "older versions have other texts")


def kinds(text: str) -> list[str]:
    """Of each line the type of the exception, without its text."""
    return [line.partition(":")[0] for line in text.splitlines()]


class TestArguments:
    mpms = ("event",)

    @staticmethod
    def configure(site):
        site.write("start.wsgi", APPLICATION)
        site.serve("start.wsgi")

    @pytest.mark.parametrize("what, outcome", CASES)
    def test_arguments_are_checked_at_once(self, server, what, outcome):
        answer = server.get(f"/{what}")
        assert (answer.status, kinds(answer.text)) == (200, [outcome])
        assert answer.headers["X-Injected"] is None and answer.headers["X-A"] is None

    @TEXT_OF_6
    @pytest.mark.parametrize("what", TEXTS)
    def test_the_exception_says_what_is_wrong(self, server, what):
        assert server.get(f"/{what}").text.partition(": ")[2] == TEXTS[what]

    def test_keywords_are_not_taken(self, server):
        assert kinds(server.get("/keywords").text) == ["TypeError"]

    @pytest.mark.ours_only("the C module sends what is before the NUL")
    def test_a_nul_in_a_header_value_is_refused(self, server):
        assert server.get("/value-nul").text == r"ValueError: NUL character in header value: b'b\x00c'"


class TestContentLength:
    """It is looked at when the header is sent, not by start_response()."""

    mpms = ("event",)

    @staticmethod
    def configure(site):
        site.write("start.wsgi", APPLICATION)
        site.serve("start.wsgi")

    def answer(self, server, *lengths):
        """What comes of b"four" behind these headers. They travel in the query: httpd trims the headers of a request."""
        return server.get("/length?" + urlencode([("length", length) for length in lengths]))

    def refused(self, server, *lengths):
        answer = self.answer(server, *lengths)
        assert (answer.status, kinds(answer.text), answer.headers["Content-Length"] in lengths) == (200, ["ValueError"], False)
        return answer.text

    @pytest.mark.parametrize("length", ["three", "-1", "4,4", "4, 5", "0x4", "4.0", "99999999999999999999", " ", "4 ", "4\t"])
    def test_one_that_is_no_number_of_bytes_is_a_valueerror_of_write(self, server, length):
        said = self.refused(server, length)
        if under_test.OURS:
            assert said == "ValueError: Content-Length is not a length in bytes"
        elif under_test.version() >= (6, 1, 1):
            assert said == f"ValueError: invalid Content-Length header value: '{length}'"

    def test_leading_zeros_are_taken(self, server):
        answer = self.answer(server, "0004")
        assert (answer.status, answer.complete, answer.body) == (200, True, b"four")

    @pytest.mark.parametrize("length, number", [("+4", 4), (" 4", 4), ("\t4", 4), ("", 0), ("-0", 0)])
    def test_a_sign_a_blank_in_front_or_nothing_is_no_length(self, server, length, number):
        """The C module takes what strtoll() takes, and what the client gets is the number that it found."""
        if under_test.OURS:
            assert self.refused(server, length) == "ValueError: Content-Length is not a length in bytes"
        else:
            answer = self.answer(server, length)
            assert (answer.status, answer.headers.get_all("Content-Length"), answer.body) == (200, [str(number)], b"four"[:number])

    @pytest.mark.parametrize("lengths", [("4", "4"), ("5", "4"), ("3", "4"), ("0", "4")])
    def test_of_several_the_last_counts_and_one_is_sent(self, server, lengths):
        answer = self.answer(server, *lengths)
        assert (answer.status, answer.headers.get_all("Content-Length"), answer.body) == (200, ["4"], b"four")

    @pytest.mark.parametrize("lengths", [("four", "4"), ("4,4", "4", "4")])
    def test_one_of_several_that_is_no_length_is_not_passed_over(self, server, lengths):
        self.refused(server, *lengths)

    @pytest.mark.ours_only("the C module takes a sign, or nothing, for a number, and answers with the first length if the last is wrong")
    @pytest.mark.parametrize("lengths", [("+4", "4"), ("", "4"), ("4", ""), ("4", "four")])
    def test_wherever_it_stands_one_wrong_length_is_a_valueerror(self, server, lengths):
        self.refused(server, *lengths)


class TestOrder:
    @staticmethod
    def configure(site):
        site.write("start.wsgi", APPLICATION)
        site.write("gone", "", mode=0o666)
        site.serve("start.wsgi")

    def test_a_second_call_before_data_replaces_the_first(self, server):
        answer = server.get("/twice-before-data")
        assert (answer.status, answer.reason, answer.text) == (201, "Created", "returned True")

    def test_a_second_call_after_data_is_a_runtimeerror(self, server):
        answer = server.get("/twice-after-data")
        assert (answer.status, kinds(answer.text)) == (200, ["first RuntimeError"])

    @TEXT_OF_6
    def test_a_second_call_after_data_names_the_missing_exc_info(self, server):
        text = server.get("/twice-after-data").text
        assert text == "first RuntimeError: start_response() called more than once without exc_info"

    def test_with_exc_info_before_data_everything_is_replaced(self, server):
        answer = server.get("/exc-info-before-data")
        assert (answer.status, answer.reason, answer.body) == (500, "Sorry", b"replaced")
        assert (answer.headers["X-Old"], answer.headers["X-New"]) == (None, "yes")

    def test_with_exc_info_after_data_the_original_error_is_raised(self, server):
        assert server.get("/exc-info-after-data").text == "first LookupError: the original error"

    def test_a_generator_may_start_the_response_with_its_first_item(self, server):
        answer = server.get("/started-by-the-first-item")
        assert (answer.status, answer.reason, answer.body) == (202, "Late", b"from a generator")

    @pytest.mark.parametrize("what", ["item-before-start", "never-started"])
    def test_a_response_that_was_not_started_is_a_500(self, server, what):
        assert server.get(f"/{what}").status == 500
        older = under_test.version() < (6, 1, 1)
        server.log.expect("RuntimeError: " + ("" if older else r"start_response\(\) must be called before response content is produced"))
        server.log.declare("wsgi:error")

    @TEXT_OF_6
    def test_an_item_that_is_no_bytes_is_named_in_the_log(self, server):
        assert server.get("/text-as-item").status == 500
        server.log.expect("TypeError: response iterable must yield bytes, not str")
        server.log.declare("wsgi:error")

    def test_a_call_that_failed_leaves_the_earlier_one(self, server):
        answer = server.get("/failed-call-keeps-the-first")
        assert (answer.status, answer.headers["X-First"], answer.body) == (202, "yes", b"first")

    def test_write_takes_bytes_only(self, server):
        assert kinds(server.get("/write-kinds").text) == ["data"] + 5 * ["TypeError"]

    @TEXT_OF_6
    def test_write_says_what_it_was_given(self, server):
        given = ("str", "int", "NoneType", "bytearray", "memoryview")
        expected = [f"TypeError: write() argument must be bytes, not {kind}" for kind in given]
        assert server.get("/write-kinds").text.splitlines()[1:] == expected

    def test_nothing_works_after_the_request(self, server):
        with server.keep_alive() as connection:
            for _ in range(3):  # until the same process answers twice in turn
                assert connection.get("/keep-everything").body == b"kept"
                assert kinds(connection.get("/use-what-was-kept").text) == 3 * ["RuntimeError"]

    @TEXT_OF_6
    def test_what_was_called_after_the_request_is_named(self, server):
        called = ("start_response() called", "write() called", "read() called on wsgi.input")
        with server.keep_alive() as connection:
            connection.get("/keep-everything")
            said = connection.get("/use-what-was-kept").text.splitlines()
        assert said == [f"RuntimeError: {what} after request completed" for what in called]

    def test_write_is_an_oserror_once_the_client_is_gone(self, server, site):
        with server.connect() as connection:
            connection.sendall(b"GET /write-until-the-client-is-gone HTTP/1.1\r\nHost: x\r\n\r\n")
            assert connection.recv(100).startswith(b"HTTP/1.1 200")
        said = wait_until(lambda: site.path("gone").read_text(), "the application has noticed it")
        site.path("gone").write_text("")
        first, later = json.loads(said)
        assert kinds(f"{first}\n{later}") == ["OSError", "OSError"]
        if under_test.OURS:
            assert first == later == "OSError: the client is gone, the data cannot be sent"
        elif under_test.version() >= (6, 1, 1):
            assert first.startswith("OSError: mod_wsgi failed to write response data: ")
            assert later == "OSError: mod_wsgi client connection closed"
