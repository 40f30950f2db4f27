"""WSGIServerTiming: clients are told what took how long. Source: W3C Server Timing, and docs/monitoring.md."""

import re

import pytest

pytestmark = pytest.mark.ours_only("the C module has no such directive")

APPLICATION = """
    import time

    def application(environ, start_response):
        if environ["PATH_INFO"] == "/slow":
            time.sleep(0.2)
        headers = [("Server-Timing", "db;dur=5")] if environ["PATH_INFO"] == "/own" else []
        start_response("200 OK", headers)
        return [b"done"]
"""


def timing(answer):
    """The durations by name, in milliseconds."""
    whole = ", ".join(answer.headers.get_all("Server-Timing", []))
    return {name: float(duration) for name, duration in re.findall(r"(\w+);dur=([0-9.]+)", whole)}


class TestServerTiming:
    @staticmethod
    def configure(site):
        site.write("timing.wsgi", APPLICATION)
        site.serve("timing.wsgi")
        site.add("WSGIServerTiming On", "<Location /silent>", "WSGIServerTiming Off", "</Location>")

    def test_the_parts_of_this_mode_are_told(self, server, site):
        assert set(timing(server.get("/"))) == ({"app"} if site.embedded else {"queue", "app", "daemon"})

    def test_durations_are_in_milliseconds(self, server, site):
        told = timing(server.get("/slow"))
        assert 200 <= told["app"] < 5000
        if not site.embedded:
            assert told["app"] <= told["daemon"] and told["queue"] < 200

    def test_what_the_application_tells_is_kept(self, server):
        assert timing(server.get("/own"))["db"] == 5

    def test_off_tells_nothing(self, server):
        assert timing(server.get("/silent")) == {}


class TestWithoutIt:
    @staticmethod
    def configure(site):
        site.write("timing.wsgi", APPLICATION)
        site.serve("timing.wsgi")

    def test_nothing_is_told(self, server):
        assert timing(server.get("/")) == {}
