"""WSGIPerInterpreterGIL: a lock for each sub-interpreter, from Python 3.12 on."""

import pytest

from harness import interpreters

# CPython gives interpreters with a lock of their own no daemon threads.
OWN = """
    import threading

    def application(environ, start_response):
        start_response("200 OK", [])
        try:
            thread = threading.Thread(target=int, daemon=True)
            thread.start()
            thread.join()
        except RuntimeError:
            return [b"its own"]
        return [b"shared"]
"""


@pytest.mark.ours_only("the C module can only run the Python it was compiled for")
@pytest.mark.parametrize("value, named", [("On", b"its own"), ("Off", b"shared"), ("", b"shared")])
def test_from_3_12_on_sub_interpreters_have_it_and_the_main_interpreter_never(new_server, value, named):
    python = interpreters.with_locks_of_their_own()
    server = new_server("event", "daemon")
    site = server.site
    script = site.write("own.wsgi", OWN)
    site.add(f"WSGIPerInterpreterGIL {value}" if value else "",
             f"WSGIDaemonProcess app python-home={interpreters.virtualenv(python)}", "WSGIProcessGroup app", f"""
        WSGIScriptAlias /main {script} application-group=%{{GLOBAL}}
        WSGIScriptAlias /named {script} application-group=named
        WSGIScriptAlias /other {script} application-group=other
    """)
    server.start()
    assert [server.get(path).body for path in ("/main", "/named", "/other")] == [b"shared", named, named]


@pytest.mark.since((6, 1, 1), "older versions do not have it")
@pytest.mark.parametrize("mode", ["embedded", "daemon"])
def test_with_an_older_python_it_changes_nothing(new_server, mode):
    if interpreters.version_of(interpreters.system()) >= (3, 12):
        pytest.skip("the distribution's Python is not older than 3.12")
    server = new_server("event", mode)
    script = server.site.write("own.wsgi", OWN)
    server.site.log.allow("WSGI0198")
    server.site.add("WSGIPerInterpreterGIL On", server.site.daemon("app"), f"WSGIScriptAlias / {script} application-group=named")
    server.start()
    assert server.get("/").body == b"shared"
