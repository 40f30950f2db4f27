"""`mod_wsgi.subscribe_events`: what callbacks are told of requests, in which order, and what they can change."""

import json

import pytest

from harness import under_test
from harness.processes import wait_until

pytestmark = pytest.mark.since((6, 1, 1), "older versions have other events")

RECORD = """
    import json, mod_wsgi

    EVENTS = []
    DIRECT = {"exception_info", "application_object", "request_environ"}

    def describe(value):
        if isinstance(value, (str, int, float, type(None))):
            return value
        return {"type": type(value).__name__, "text": repr(value)}

    @mod_wsgi.subscribe_events
    def record(name, request_data=None, **payload):
        if request_data is None:
            return  # the process stops
        data = payload["request_data"] = request_data
        if name == "request_started":
            data["path"] = payload["request_environ"]["PATH_INFO"]
        types = {key: type(value).__name__ for key, value in payload.items()}
        EVENTS.append([data["path"], name, {key: describe(value) for key, value in payload.items()}, types])

    class Body:
        def __init__(self, items):
            self.items = iter(items)

        def __iter__(self):
            return self

        def __next__(self):
            return next(self.items)

        def close(self):
            EVENTS.append([mod_wsgi.request_data()["path"], "close", {}, {}])

    def application(environ, start_response):
        path = environ["PATH_INFO"]
        headers = [("Content-Type", "text/plain")]
        if path == "/events":
            start_response("200 OK", [("Content-Type", "application/json")])
            return [json.dumps([event for event in EVENTS if event[0] != path]).encode()]
        if path.startswith("/raise"):
            raise ValueError("raised before")
        if path.startswith("/late"):
            start_response("201 Created", headers)
            raise ValueError("raised after")
        if path.startswith("/again"):
            start_response("200 OK", headers)
            try:
                raise ValueError("handled")
            except ValueError as error:
                start_response("503 Sorry", headers, (type(error), error, error.__traceback__))
            return [b"sorry"]
        if path.startswith("/bad-status"):
            start_response("bad", headers)
        if path.startswith("/bad-shape"):
            start_response("200 OK", tuple(headers))
        if path.startswith("/close"):
            start_response("200 OK", headers)
            return Body([b"one", b"", b"two"])
        if path.startswith("/write"):
            write = start_response("200 OK", headers)
            write(b"12345")
            write(b"")
            return [b"6"]
        if path.startswith("/short"):
            start_response("200 OK", [*headers, ("Content-Length", "3")])
            return [b"12345"]
        if path.startswith("/read"):
            environ["wsgi.input"].read()
        start_response("200 OK", headers)
        return [b"fine"]
"""
ALWAYS = {"request_id": "str", "request_data": "dict"}
ORIGIN = {"thread_id": "int", "server_pid": "int", "request_start": "float", "queue_start": "float", "daemon_start": "float"}
PAYLOADS = {
    "request_started": ALWAYS | ORIGIN | {
        "daemon_connects": "int", "daemon_restarts": "int", "application_object": "function", "callable_object": "str",
        "request_environ": "dict", "application_start": "float"},
    "response_started": ALWAYS | {"response_status": "str", "response_headers": "list", "exception_info": "NoneType"},
    "request_exception": ALWAYS | {"exception_info": "tuple"},
    "request_finished": ALWAYS | ORIGIN | {
        "input_reads": "int", "input_length": "int", "input_time": "float", "output_length": "int", "output_writes": "int",
        "output_time": "float", "cpu_user_time": "float", "cpu_system_time": "float", "cpu_time": "float",
        "application_finish": "float", "application_time": "float", "status": "int", "gil_wait_time": "float",
        "gil_wait_count": "int"},
}
CPU = {"cpu_user_time", "cpu_system_time", "cpu_time"}
NUMBERS = iter(range(1, 1000))


class Events:
    """The events of one request."""

    def __init__(self, server, kind, body=None, fails=False):
        path = f"/{kind}-{next(NUMBERS)}"
        self.answer = server.post(path, body) if body is not None else server.get(path)
        if fails:
            server.log.declare("wsgi:error")

        def told():
            self.all = [event[1:] for event in json.loads(server.get("/events").body) if event[0] == path]
            return "request_finished" in self.names
        wait_until(told, "the end of the request is told")

    @property
    def names(self):
        return [name for name, _, _ in self.all]

    def __getitem__(self, wanted):
        return next(payload for name, payload, _ in self.all if name == wanted)

    def types(self, wanted):
        return next(types for name, _, types in self.all if name == wanted)


class TestEvents:
    @staticmethod
    def configure(site):
        site.one_child()  # what is told is kept in its memory
        site.write("record.wsgi", RECORD)
        site.serve("record.wsgi", options="threads=2")

    def test_a_request_that_goes_well_starts_answers_and_finishes(self, server):
        assert Events(server, "fine").names == ["request_started", "response_started", "request_finished"]

    @pytest.mark.parametrize("name", PAYLOADS)
    def test_each_event_carries_these_values(self, server, name):
        for kind in ("raise", "fine") if name in ("request_started", "request_finished") else \
                ("raise",) if name == "request_exception" else ("fine",):
            types = Events(server, kind, fails=kind == "raise").types(name)
            if not under_test.OURS:
                # Without them where the thread had used no CPU time before.
                types = {key: PAYLOADS["request_finished"][key] for key in CPU if name == "request_finished"} | types
            assert types == PAYLOADS[name]

    def test_what_failed_before_the_response_began_is_told_between_start_and_end(self, server):
        events = Events(server, "raise", fails=True)
        assert events.names == ["request_started", "request_exception", "request_finished"]
        assert "raised before" in events["request_exception"]["exception_info"]["text"]
        assert (events["request_finished"]["status"], events.answer.status) == (500, 500)

    def test_the_status_is_the_last_one_of_the_application_whatever_the_client_got(self, server):
        events = Events(server, "late", fails=True)
        assert events.names == ["request_started", "response_started", "request_exception", "request_finished"]
        assert (events["request_finished"]["status"], events.answer.status) == (201, 500)

    def test_a_response_that_is_begun_again_is_told_again(self, server):
        events = Events(server, "again")
        assert events.names == ["request_started", "response_started", "response_started", "request_finished"]
        assert [payload["response_status"] for name, payload, _ in events.all if name == "response_started"] == ["200 OK", "503 Sorry"]
        assert "handled" in events.all[2][1]["exception_info"]["text"]
        assert events["request_finished"]["status"] == 503

    def test_the_response_is_told_before_it_is_looked_at_but_for_its_shape(self, server):
        assert "response_started" in Events(server, "bad-status", fails=True).names
        assert "response_started" not in Events(server, "bad-shape", fails=True).names

    def test_the_end_is_told_after_the_response_was_closed(self, server):
        events = Events(server, "close")
        assert events.names == ["request_started", "response_started", "close", "request_finished"]
        assert (events["request_finished"]["output_writes"], events["request_finished"]["output_length"]) == (2, 6)

    def test_every_write_counts_and_every_item_that_is_not_empty(self, server):
        finished = Events(server, "write")["request_finished"]
        assert (finished["output_writes"], finished["output_length"]) == (3, 6)

    def test_what_is_beyond_the_content_length_counts_too(self, server):
        events = Events(server, "short")
        assert (events.answer.body, events["request_finished"]["output_length"]) == (b"123", 5)

    @pytest.mark.ours_only("the C module sends while the application's request is still open")
    def test_a_list_is_sent_when_python_has_been_left(self, server):
        assert Events(server, "fine")["request_finished"]["output_time"] == 0.0
        assert Events(server, "close")["request_finished"]["output_time"] > 0.0, "an iterable is sent piece by piece"

    def test_the_body_counts_as_far_as_the_application_has_read_it(self, server):
        finished = Events(server, "read", b"x" * 45)["request_finished"]
        assert finished["input_length"] == 45 and finished["input_reads"] >= 1
        finished = Events(server, "fine", b"x" * 45)["request_finished"]
        assert (finished["input_length"], finished["input_reads"], finished["input_time"]) == (0, 0, 0.0)

    def test_times_follow_one_another(self, server, site):
        events = Events(server, "fine")
        started, finished = events["request_started"], events["request_finished"]
        if site.embedded:
            assert (started["queue_start"], started["daemon_start"]) == (0.0, 0.0)
            assert started["request_start"] <= started["application_start"]
        else:
            assert started["request_start"] <= started["queue_start"] <= started["daemon_start"] <= started["application_start"]
        assert finished["application_finish"] >= started["application_start"]
        assert abs(finished["application_finish"] - started["application_start"] - finished["application_time"]) < 0.001
        if CPU <= finished.keys():
            assert finished["cpu_user_time"] + finished["cpu_system_time"] <= finished["application_time"] + 1e-6

    def test_it_says_how_the_daemon_was_reached(self, server, site):
        started = Events(server, "fine")["request_started"]
        assert (started["daemon_connects"], started["daemon_restarts"]) == ((0, 0) if site.embedded else (1, 0))

    def test_it_says_who_has_the_request(self, server, site):
        started = Events(server, "fine")["request_started"]
        assert started["server_pid"] in server.processes()
        assert started["callable_object"] == "application"
        if under_test.OURS or site.mpm != "prefork" or not site.embedded:
            assert started["thread_id"] >= 1


CHANGE = """
    import json, mod_wsgi

    ORDER = []

    def middleware(name):
        def wrap(event, application_object=None, **payload):
            if event == "request_started":
                def wrapped(environ, start_response):
                    ORDER.append(name)
                    return application_object(environ, start_response)
                return {"application_object": wrapped, "request_environ": {}, "callable_object": "changed", "extra": name}
            if event == "response_started":
                payload["response_headers"].append(("X-" + name, payload.get("extra", "none")))
                return {"response_status": "500 Changed"}
        return wrap

    @mod_wsgi.subscribe_events
    def fails(event, **payload):
        if event == "process_stopping":
            return
        payload["extra"] = "changed in place"
        path = payload["request_data"].setdefault("path", payload.get("request_environ", {}).get("PATH_INFO"))
        if event == "request_started" and path == "/fails":
            raise ValueError("of the first callback")
        if event == "request_started" and path == "/exits":
            raise SystemExit(5)
        if event == "request_started" and path == "/later":
            mod_wsgi.subscribe_events(late)
        return 5

    def late(event, **payload):
        ORDER.append(event)
        if event == "request_finished":
            mod_wsgi.event_callbacks.remove(late)

    def takes_nothing(event):
        pass

    @mod_wsgi.subscribe_events
    def sees(event, **payload):
        ORDER.append([event, payload.get("extra")])

    mod_wsgi.subscribe_events(middleware("one"))
    mod_wsgi.event_callbacks.append(middleware("two"))

    def application(environ, start_response):
        if environ["PATH_INFO"] == "/bad-callback":
            mod_wsgi.event_callbacks.insert(0, takes_nothing)
        if environ["PATH_INFO"] == "/good-callback":
            mod_wsgi.event_callbacks.remove(takes_nothing)
        start_response("200 OK", [("Content-Type", "application/json")])
        order, ORDER[:] = list(ORDER), []
        return [json.dumps([order, environ["mod_wsgi.callable_object"]]).encode()]
"""


class TestChanges:
    @staticmethod
    def configure(site):
        site.one_child()  # what is told is kept in its memory
        site.write("change.wsgi", CHANGE)
        site.serve("change.wsgi", options="threads=1")

    def called(self, server, path="/"):
        answer = server.get(path)
        assert answer.status == 200
        order, callable_object = json.loads(answer.body)
        return answer, [name for name in order if isinstance(name, str)], [pair for pair in order if isinstance(pair, list)], callable_object

    def test_the_application_is_replaced_and_the_last_one_is_called_first(self, server):
        _, names, _, callable_object = self.called(server)
        assert names == ["two", "one"]
        assert callable_object == "application", "nothing else is replaced"

    def test_headers_are_changed_in_place_and_nothing_else_is(self, server):
        answer, *_ = self.called(server)
        assert (answer.status, answer.headers["X-One"], answer.headers["X-Two"]) == (200, "none", "none")

    def test_what_one_returns_the_next_one_gets_and_what_one_keeps_to_itself_it_does_not(self, server):
        _, _, pairs, _ = self.called(server)
        assert [extra for event, extra in pairs if event == "request_started"][-1:] == [None]

    def test_a_callback_that_fails_is_logged_and_the_others_run(self, server):
        _, names, *_ = self.called(server, "/fails")
        assert names[-2:] == ["two", "one"]
        server.log.declare("wsgi:error")
        server.log.expect("WSGI0112.*ValueError")
        server.log.expect("ValueError: of the first callback")

    def test_a_callback_that_exits_is_logged_and_the_process_stays(self, server):
        _, names, *_ = self.called(server, "/exits")
        assert names[-2:] == ["two", "one"]
        server.log.declare("wsgi:error")
        server.log.expect("WSGI0190.*SystemExit")

    def test_who_subscribes_in_a_callback_hears_of_later_events(self, server):
        _, names, *_ = self.called(server, "/later")
        _, more, *_ = self.called(server)
        assert [name for name in names + more if name.startswith("re")] == ["response_started", "request_finished"]

    def test_a_callback_must_take_what_it_is_given(self, server):
        self.called(server, "/bad-callback")
        server.log.declare("wsgi:error")
        server.log.expect("WSGI0112.*TypeError")
        self.called(server, "/good-callback")


LOAD_FAILURE = """
    import mod_wsgi

    def application(environ, start_response):
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [repr(seen).encode()]

    seen = []
    mod_wsgi.subscribe_events(lambda name, **payload: seen.append(name))
"""


class TestFailuresThatAreNotOfAnApplication:
    mpms = ("event",)

    @staticmethod
    def configure(site):
        site.one_child()  # what is told is kept in its memory
        site.write("seen.wsgi", LOAD_FAILURE)
        site.write("broken.wsgi", "raise ValueError('while it is loaded')\n")
        site.add(f"WSGIScriptAlias /broken {site.path('broken.wsgi')}", f"WSGIScriptAlias /missing {site.path('seen.wsgi')} callable-object=missing")
        site.serve("seen.wsgi")

    def test_a_script_that_cannot_be_loaded_and_a_callable_that_is_missing_are_not_told(self, server):
        server.get("/")
        assert server.get("/broken").status == 500
        assert server.get("/missing").status in (404, 500)
        server.log.declare("wsgi:error")
        seen = server.get("/").text
        assert "request_exception" not in seen
        assert seen.count("request_started") == 2, "the two that got to the application"


OVER = """
    import json, time
    import mod_wsgi

    EVENTS = {}

    @mod_wsgi.subscribe_events
    def record(name, request_data=None, **payload):
        if request_data is None:
            return  # the process stops
        if name == "request_started":
            request_data["path"] = payload["request_environ"]["PATH_INFO"]
        EVENTS.setdefault(request_data["path"], []).append([name, payload.get("status"), payload.get("application_time")])

    def hang():
        until = time.monotonic() + 20
        while time.monotonic() < until:
            time.sleep(0.01)

    def pieces():
        yield b"begun"
        hang()

    def application(environ, start_response):
        path = environ["PATH_INFO"]
        headers = [("Content-Type", "text/plain")]
        if path == "/events":
            start_response("200 OK", headers)
            return [json.dumps(EVENTS).encode()]
        if path == "/no-response":
            hang()
        start_response("201 Created", headers)
        if path == "/begun":
            return pieces()
        try:
            hang()
        except mod_wsgi.RequestTimeout:
            if path == "/raised-again":
                raise
            if path == "/other-exception":
                raise ValueError("of the application")
        return [b"in spite of it"]
"""


class TestRequestsWhoseTimeIsOver:
    """`RequestTimeout` is the server's word, not a fault of the application: it is told as the status, and not as an exception."""

    modes = ("daemon",)
    mpms = ("event",)

    @staticmethod
    def configure(site):
        site.write("over.wsgi", OVER)
        # The C module looks at the times only where it also looks for deadlocks, as it does by default.
        site.serve("over.wsgi", options="threads=1 request-timeout=1 interrupt-timeout=10")
        site.log.allow("WSGI702[56]")

    def events(self, server, path):
        """The answer to a request, and what was told of it: names, and what its end had as status and time."""
        answer = server.get(path)

        def told():
            events = json.loads(server.get("/events").body).get(path, [])
            return events if "request_finished" in [name for name, *_ in events] else None
        events = wait_until(told, "the end of the request is told")
        names, (_, status, seconds) = [name for name, *_ in events], events[-1]
        # The limit counts from a moment before the one from which the event counts.
        assert 0.9 < seconds < 10, "it is the limit that ended it"
        return answer, names, status

    def test_one_that_has_no_response_has_ended_with_504_and_without_an_exception(self, server):
        answer, names, status = self.events(server, "/no-response")
        assert names == ["request_started", "request_finished"]
        assert (answer.status, status) == (504, 504)

    def test_one_whose_response_nobody_has_seen_has_too(self, server):
        """The status that the application has given is not what the client got."""
        answer, names, status = self.events(server, "/raised-again")
        assert names == ["request_started", "response_started", "request_finished"]
        assert (answer.status, status) == (504, 504)

    def test_one_whose_response_has_begun_keeps_its_status_and_has_no_exception(self, server):
        answer, names, status = self.events(server, "/begun")
        assert names == ["request_started", "response_started", "request_finished"]
        assert (answer.status, status) == (201, 201)

    def test_one_that_goes_on_in_spite_of_it_ends_as_it_likes(self, server):
        answer, names, status = self.events(server, "/in-spite")
        assert names == ["request_started", "response_started", "request_finished"]
        assert (answer.status, answer.body, status) == (201, b"in spite of it", 201)

    def test_what_the_application_raises_instead_is_told_as_an_exception(self, server):
        """So the exception is missing above because of its type, and not because time was over."""
        server.log.declare("wsgi:error")
        answer, names, status = self.events(server, "/other-exception")
        assert names == ["request_started", "response_started", "request_exception", "request_finished"]
        assert (answer.status, status) == (500, 201)
