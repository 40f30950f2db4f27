"""One id names a request to the application, in Apache's logs, and to who listens for events."""

import re

import pytest

from harness.processes import wait_until

pytestmark = pytest.mark.since((6, 1, 1), "it has neither LogHandler nor events")

APPLICATION = """
    import logging
    import mod_wsgi

    log = logging.getLogger("app")
    log.addHandler(mod_wsgi.LogHandler())
    log.setLevel(logging.INFO)
    told = []

    def listen(name, **event):
        if name == "request_exception":
            told.append(type(event["exception_info"][1]).__name__)

    mod_wsgi.subscribe_events(listen)

    class Parts:
        def __init__(self, what):
            self.what = what
        def __iter__(self):
            yield b"first"
            if self.what == "/iteration":
                raise KeyError("in the iteration")
        def close(self):
            if self.what == "/close":
                raise IndexError("in close()")

    def application(environ, start_response):
        what = environ["PATH_INFO"]
        log.info("the application knows %s", environ["mod_wsgi.request_id"])
        start_response("200 OK", [("Content-Type", "text/plain")])
        if what == "/told":
            return [" ".join(told).encode()]
        return Parts(what)
"""


def configure(site):
    site.write("app.wsgi", APPLICATION)
    site.add('ErrorLogFormat "[%t] [%-m:%l] [pid %P:tid %T] {%L} %M"', f'CustomLog "{site.root}/logs/ids.log" "%L"', "LogLevel wsgi:info")
    site.serve("app.wsgi")


class TestRequestId:
    mpms = ("event", "prefork")
    configure = staticmethod(configure)

    def test_the_log_has_the_id_that_the_application_knows(self, server, site):
        server.get("/")
        line = server.log.expect("the application knows")
        known = line.rpartition(" ")[2]
        assert re.search(r"\{([^}]*)\}", line).group(1) == known
        wait_until(lambda: known in (site.root / "logs" / "ids.log").read_text().split(), "the access log has it too")


class TestExceptions:
    mpms = ("event",)
    configure = staticmethod(configure)

    @pytest.mark.parametrize(("path", "name"), [("/iteration", "KeyError"), ("/close", "IndexError")])
    def test_an_exception_after_the_call_is_an_event_too(self, server, path, name):
        server.log.declare(r":error\]")
        try:
            server.get(path)
        except Exception:
            # The response is cut off.
            pass
        wait_until(lambda: name in server.get("/told").text, "the exception is told", 5)
