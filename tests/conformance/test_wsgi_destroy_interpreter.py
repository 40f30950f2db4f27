"""WSGIDestroyInterpreter: whether interpreters are ended properly when a process ends, so that atexit functions run."""

import pytest

from harness.plugin import MODES

AT_EXIT = """
    import atexit
    import os

    FOLDER = os.path.dirname(__file__)

    def ended(group):
        with open(FOLDER + "/ended", "a") as file:
            file.write(group + "\\n")

    registered = []

    def application(environ, start_response):
        if not registered:
            registered.append(1)
            atexit.register(ended, environ["mod_wsgi.application_group"] or "main")
        start_response("200 OK", [])
        return [b"registered"]
"""


def ended(new_server, mode, value):
    """The application groups whose atexit functions ran when the server stopped."""
    server = new_server("event", mode)
    site = server.site
    script = site.write("at_exit.wsgi", AT_EXIT)
    log = site.write("ended", "", mode=0o666)
    site.add(f"WSGIDestroyInterpreter {value}" if value else "", site.daemon("app"), f"""
        WSGIScriptAlias /main {script} application-group=%{{GLOBAL}}
        WSGIScriptAlias /named {script} application-group=named
    """)
    server.start()
    for path in ("/main", "/named"):
        assert server.get(path).body == b"registered"
    server.stop()
    return sorted(log.read_text().split())


@pytest.mark.parametrize("mode", MODES)
class TestDestroyInterpreter:
    @pytest.mark.parametrize("value", ["", "On"])
    @pytest.mark.since((6, 1, 1), "older versions do not run them in daemon processes")
    def test_atexit_functions_of_every_interpreter_run(self, new_server, mode, value):
        assert ended(new_server, mode, value) == ["main", "named"]

    def test_with_off_no_atexit_function_runs(self, new_server, mode):
        assert ended(new_server, mode, "Off") == []
