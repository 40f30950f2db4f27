"""Exceptions that administrators meet are followed by a line that names the cause and the cure."""

import pytest

WHY = "the C module gives the traceback alone"

SCRIPTS = {
    "missing.wsgi": "import no_such_module\n",
    "one_interpreter.wsgi": 'raise ImportError("Interpreter change detected - this module can only be loaded into '
                            'one interpreter per process.")\n',
}


def configure(site):
    for name, source in SCRIPTS.items():
        site.write(name, source)
    site.serve("missing.wsgi", at="/missing")
    site.add(f"WSGIScriptAlias /one {site.path('one_interpreter.wsgi')} application-group=sub")


@pytest.mark.ours_only(WHY)
class TestAdvice:
    mpms = ("event",)
    configure = staticmethod(configure)

    def test_a_module_that_is_not_found_is_followed_by_where_python_looked(self, server):
        server.log.declare(r"wsgi:error")
        assert server.get("/missing").status == 500
        assert "WSGI7041: Python 3." in server.log.text() and "python-home=" in server.log.text()

    def test_a_module_for_one_interpreter_is_followed_by_the_directive_that_helps(self, server):
        server.log.declare(r"wsgi:error")
        assert server.get("/one").status == 500
        assert "WSGI7040: " in server.log.text() and "WSGIApplicationGroup %{GLOBAL}" in server.log.text()
