"""WSGIFreeThreading: a free-threaded Python runs without its lock only where this says so."""

import pytest

LOCK = """
    import sys

    def application(environ, start_response):
        start_response("200 OK", [])
        return [repr(getattr(sys, "_is_gil_enabled", lambda: True)()).encode()]
"""


@pytest.mark.since((6, 1, 1), "older versions do not have it")
@pytest.mark.parametrize("mode", ["embedded", "daemon"])
@pytest.mark.parametrize("value", ["On", "Off"])
def test_with_a_python_that_has_the_lock_it_changes_nothing(new_server, mode, value):
    server = new_server("event", mode)
    script = server.site.write("lock.wsgi", LOCK)
    server.site.log.allow("WSGI0200")
    server.site.add(f"WSGIFreeThreading {value}", server.site.daemon("app"),
                    f"WSGIScriptAlias / {script} application-group=%{{GLOBAL}}")
    server.start()
    assert server.get("/").body == b"True"
