"""WSGILazyInitialization: accepted for configurations of the C module before 6.0; Apache's parent process never has Python here."""

import pytest

from harness import under_test

HELLO = """
    def application(environ, start_response):
        start_response("200 OK", [])
        return [b"hello"]
"""


@pytest.mark.skipif(not under_test.OURS and under_test.version() >= (6,), reason="the C module has it no more from 6.0 on")
@pytest.mark.parametrize("mode", ["embedded", "daemon"])
@pytest.mark.parametrize("value", ["On", pytest.param("Off", marks=pytest.mark.ours_only("the C module then has Python in Apache's parent"))])
def test_requests_are_served_whatever_it_says(new_server, mode, value):
    server = new_server("event", mode)
    server.site.write("hello.wsgi", HELLO)
    server.site.add("WSGILazyInitialization " + value)
    server.site.serve("hello.wsgi")
    server.start()
    assert server.get("/").body == b"hello"
    if under_test.OURS:
        with open(f"/proc/{server.pid}/maps") as maps:
            assert "libpython" not in maps.read()
