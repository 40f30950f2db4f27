"""WSGIIgnoreActivity, and the inactivity-timeout that it is about. Source: mod_wsgi's documentation of both."""

import time

from harness import processes

APPLICATION = """
    import os

    def application(environ, start_response):
        start_response("200 OK", [])
        return [str(os.getpid()).encode()]
"""


def process_of(server, path="/") -> int:
    answer = server.get(path)
    assert answer.status == 200, answer
    return int(answer.body)


class TestIgnoreActivity:
    modes = ("daemon",)
    mpms = ("event",)

    @staticmethod
    def configure(site):
        site.write("pid.wsgi", APPLICATION)
        site.serve("pid.wsgi", options="inactivity-timeout=2")
        site.add("<Location /ignored>", "WSGIIgnoreActivity On", "</Location>")

    def test_a_process_without_requests_is_replaced(self, server):
        before = process_of(server)
        processes.wait_until(lambda: not processes.is_alive(before), "the inactive process is gone", 10)
        assert process_of(server) != before

    def test_requests_that_are_ignored_do_not_keep_it(self, server):
        before = process_of(server)
        processes.wait_until(lambda: process_of(server, "/ignored") != before, "another process answers", 10)

    def test_requests_that_count_keep_it(self, server):
        before = process_of(server)
        until = time.monotonic() + 5
        while time.monotonic() < until:
            time.sleep(0.2)
            assert process_of(server) == before
