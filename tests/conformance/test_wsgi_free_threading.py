"""WSGIFreeThreading: a free-threaded Python runs without its lock only where this says so."""

import pytest

from harness import interpreters

LOCK = """
    import sys

    def application(environ, start_response):
        start_response("200 OK", [])
        return [repr(getattr(sys, "_is_gil_enabled", lambda: True)()).encode()]
"""


@pytest.mark.since((6, 1, 1), "older versions do not have it")
@pytest.mark.parametrize("mode", ["embedded", "daemon"])
@pytest.mark.parametrize("value", ["On", "Off"])
def test_a_python_runs_without_its_lock_only_where_it_can_and_may(new_server, mode, value):
    server = new_server("event", mode)
    script = server.site.write("lock.wsgi", LOCK)
    server.site.log.allow("WSGI0200")
    server.site.add(f"WSGIFreeThreading {value}", server.site.daemon("app"),
                    f"WSGIScriptAlias / {script} application-group=%{{GLOBAL}}")
    server.start()
    has_lock = value == "Off" or not interpreters.is_free_threaded(interpreters.system())
    assert server.get("/").body == repr(has_lock).encode()


@pytest.mark.ours_only("the C module is bound to the one Python it was compiled for")
@pytest.mark.parametrize("mode", ["embedded", "daemon"])
@pytest.mark.parametrize("how", [[], ["--copies"]])
def test_a_virtual_environment_of_a_free_threaded_python_is_known_as_one(new_server, mode, how):
    python = interpreters.system()
    if not interpreters.is_free_threaded(python):
        pytest.skip(f"{python} is not free-threaded; name one in WSGI_TEST_PYTHON")
    server = new_server("event", mode)
    interpreters.run(python, "-m", "venv", "--without-pip", *how, server.site.root / "venv")
    interpreters.run("chmod", "-R", "a+rX", server.site.root / "venv")
    script = server.site.write("lock.wsgi", LOCK)
    server.site.add("WSGIFreeThreading On", f"WSGIPythonHome {server.site.root}/venv", server.site.daemon("app"),
                    f"WSGIScriptAlias / {script} application-group=%{{GLOBAL}}")
    server.start()
    assert server.get("/").body == b"False"
