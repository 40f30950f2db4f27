"""WSGITelemetryOptions: whether the client's User-Agent is reported with a slow request."""

import pytest

from harness.telemetry import receive

pytestmark = pytest.mark.since((6, 1, 1), "older versions do not have it")

SLEEPS = """
    import time

    def application(environ, start_response):
        time.sleep(0.8)
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [b"slept"]
"""


class UserAgent:
    mpms = ("event",)
    lines = ()

    @classmethod
    def configure(cls, site):
        site.one_child()
        site.write("sleeps.wsgi", SLEEPS)
        receive(site)
        site.add("WSGISlowRequests 0.5", *(f"WSGITelemetryOptions {line}" for line in cls.lines))
        site.serve("sleeps.wsgi", options="threads=2")

    def told(self, server, site, agent="a browser"):
        after = site.receiver.now()
        server.get("/", headers={"User-Agent": agent})
        return site.receiver.wait("slow", lambda one: one["slow_record_state"] == 1, after).fields.get("slow_user_agent")


class TestUnsaid(UserAgent):
    def test_it_is_not_told(self, server, site):
        assert self.told(server, site) is None


class TestCaptureUserAgent(UserAgent):
    lines = ("CaptureUserAgent",)

    def test_it_is_told(self, server, site):
        assert self.told(server, site) == "a browser"

    def test_a_long_one_is_cut(self, server, site):
        assert self.told(server, site, "m" * 600) == "m" * 508 + "..."


class TestAll(UserAgent):
    modes = ("daemon",)
    lines = ("all",)

    def test_it_is_told(self, server, site):
        assert self.told(server, site) == "a browser"


class TestAdded(UserAgent):
    modes = ("daemon",)
    lines = ("None", "+captureuseragent")

    def test_it_is_told(self, server, site):
        assert self.told(server, site) == "a browser"


class TestTakenAway(UserAgent):
    modes = ("daemon",)
    lines = ("All", "-CaptureUserAgent")

    def test_it_is_not_told(self, server, site):
        assert self.told(server, site) is None


class TestReplaced(UserAgent):
    modes = ("daemon",)
    lines = ("CaptureUserAgent", "None")

    def test_it_is_not_told(self, server, site):
        assert self.told(server, site) is None
