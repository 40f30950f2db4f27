"""Responses that are shorter or longer than they say, or break off. Source: PEP 3333, "Handling the Content-Length Header"."""

import time

import pytest

from harness import under_test

APPLICATION = """
    import os
    import signal

    def application(environ, start_response):
        what = environ["PATH_INFO"].strip("/")
        headers = [("Content-Type", "text/plain")]
        if what.startswith("length-"):
            headers.append(("Content-Length", what.split("-")[1]))
        start_response("200 OK", headers)
        return items(what, environ)

    def items(what, environ):
        yield b"12345"
        if what == "fail":
            raise ValueError("after data")
        if what == "die":
            os.kill(os.getpid(), signal.SIGKILL)
        if what.endswith("-fail"):
            raise ValueError("after data")
        yield b"67890"
"""


class TestLengths:
    @staticmethod
    def configure(site):
        site.write("length.wsgi", APPLICATION)
        site.serve("length.wsgi")

    def test_data_beyond_the_content_length_is_not_sent(self, server):
        with server.keep_alive() as connection:
            for length in (0, 3, 5, 7):
                answer = connection.get(f"/length-{length}")
                assert (answer.status, answer.headers["Content-Length"], answer.body) == (200, str(length), b"1234567890"[:length])
            assert connection.get("/length-10").body == b"1234567890"

    @pytest.mark.ours_only("the C module leaves the connection open, and the client waits for its timeout")
    def test_too_little_data_closes_the_connection_at_once(self, server):
        began = time.monotonic()
        answer = server.get("/length-20")
        assert (answer.status, answer.body, answer.complete) == (200, b"1234567890", False)
        assert time.monotonic() - began < 2
        server.log.expect("WSGI7062")

    @pytest.mark.ours_only("the C module now and then leaves the connection open, and the client waits (4.9.4, embedded)")
    @pytest.mark.parametrize("version", [b"1.0", b"1.1"])
    def test_a_failure_within_the_content_length_ends_the_connection(self, server, version):
        received = server.raw(b"GET /length-10-fail HTTP/%s\r\nHost: x\r\n\r\n" % version, timeout=5)
        server.log.expect("ValueError: after data")
        server.log.declare("wsgi:error")
        assert received.endswith(b"12345") and received.count(b"HTTP/1.") == 1

    def test_a_failure_without_length_is_visible_to_the_client(self, server, site):
        answer = server.get("/fail")
        server.log.expect("ValueError: after data")
        server.log.declare("wsgi:error")
        assert answer.body == b"12345"
        if under_test.OURS or site.embedded:
            assert not answer.complete


class TestADaemonThatDies:
    modes = ("daemon",)

    @staticmethod
    def configure(site):
        site.write("length.wsgi", APPLICATION)
        site.serve("length.wsgi")
        site.log.allow("WSGI0146", "WSGI7055", "exit signal Killed")

    @pytest.mark.ours_only("the C module ends the response as if it were complete")
    def test_the_response_is_visibly_truncated_and_the_next_request_is_served(self, server):
        for _ in range(2):
            answer = server.get("/die")
            assert (answer.body, answer.complete) == (b"12345", False)
            assert server.get("/length-10").body == b"1234567890"
