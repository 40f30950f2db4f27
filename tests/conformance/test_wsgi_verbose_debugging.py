"""WSGIVerboseDebugging: accepted for old configurations, without meaning: LogLevel wsgi:debug does what it did."""

import pytest

HELLO = """
    def application(environ, start_response):
        start_response("200 OK", [])
        return [b"hello"]
"""


@pytest.mark.parametrize("value", ["On", "Off"])
def test_requests_are_served_whatever_it_says(new_server, value):
    server = new_server("event", "daemon")
    server.site.write("hello.wsgi", HELLO)
    server.site.add("WSGIVerboseDebugging " + value)
    server.site.serve("hello.wsgi", options="processes=2")
    server.start()
    assert server.get("/").body == b"hello"
