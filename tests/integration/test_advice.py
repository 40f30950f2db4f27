"""Exceptions that administrators meet are followed by a line that names the cause and the cure."""

import re

import pytest

from harness import interpreters
from harness.programs import virtualenv_or_skip

WHY = "the C module gives the traceback alone"

MISSING = """
    import sys
    sys.path.insert(0, "/added/by/the script")

    def application(environ, start_response):
        import no_such_module
"""
SAYS_SO = """
    raise ImportError("Interpreter change detected - this module can only be loaded into one interpreter per process.")
"""
# The packages whose extension modules people run into this with, and what each of them raises.
PACKAGES = ("numpy>=1.26,<3", "cryptography>=42", "lxml>=5")
REFUSALS = {
    "numpy": r"ImportError: cannot load module more than once per process",
    "cryptography.hazmat.bindings._rust": r"ImportError: PyO3 modules do not yet support subinterpreters",
    "lxml.etree": r"ImportError: Interpreter change detected",
}
LOADS = """
    import {module}

    def application(environ, start_response):
        start_response("200 OK", [])
        return [b"loaded"]
"""
# Modules of CPython itself that want a lock in common. Not _datetime: 3.12.1 by itself crashes where the main interpreter
# loads that one afterwards.
LOADS_FROM_CPYTHON = """
    for name in ("readline", "_curses", "_tkinter"):
        try:
            __import__(name)
        except ModuleNotFoundError:
            pass

    def application(environ, start_response):
        start_response("200 OK", [])
        return [b"loaded"]
"""


def line_of(server, number: str) -> str:
    """The one line with that number, without what httpd puts in front."""
    lines = [line.partition(f"{number}: ")[2] for line in server.log.lines() if f"{number}: " in line]
    assert len(lines) == 1, server.log.text()
    return lines[0]


@pytest.mark.ours_only(WHY)
class TestAModuleThatIsNotFound:
    mpms = ("event",)

    @classmethod
    def configure(cls, site):
        cls.virtualenv = interpreters.virtualenv(interpreters.system())
        folders = cls.folders = [site.path("one"), site.path("two")]
        for folder in folders:
            folder.mkdir()
        script = site.write("missing.wsgi", MISSING)
        path = ":".join(map(str, folders))
        if site.embedded:
            site.add(f"WSGIPythonHome {cls.virtualenv}", f"WSGIPythonPath {path}")
        site.add(site.daemon("app", f"python-home={cls.virtualenv} python-path={path}"), f"WSGIScriptAlias / {script}")

    def test_what_follows_names_the_virtualenv_and_every_folder_of_sys_path_in_order(self, server):
        server.log.declare("wsgi:error")
        assert server.get("/").status == 500
        assert "ModuleNotFoundError: No module named 'no_such_module'" in server.log.text()
        text = line_of(server, "WSGI7041")
        major, minor = interpreters.version_of(interpreters.system())
        found = re.match(rf"Python {major}\.{minor}\.\d+\S* of '([^']*)' has looked in (.*?); a package", text)
        assert found and found[1] == str(self.virtualenv), text
        folders = re.findall("'([^']*)'", found[2])
        assert folders[:3] == ["/added/by/the script", *map(str, self.folders)]
        threaded = "t" if interpreters.is_free_threaded(interpreters.system()) else ""
        assert folders[-1] == f"{self.virtualenv}/lib/python{major}.{minor}{threaded}/site-packages"
        assert "python-home= or WSGIPythonHome" in text and "python-path= or WSGIPythonPath" in text


@pytest.mark.ours_only(WHY)
class TestAModuleForOneInterpreter:
    mpms = ("event",)

    @classmethod
    def configure(cls, site):
        site.one_child()
        virtualenv = virtualenv_or_skip(*PACKAGES)
        if site.embedded:
            site.add(f"WSGIPythonHome {virtualenv}")
        site.add(site.daemon("app", f"python-home={virtualenv}"))
        site.add(f"WSGIScriptAlias /says-so {site.write('says_so.wsgi', SAYS_SO)} application-group=%{{GLOBAL}}")
        for module in REFUSALS:
            script = site.write(f"{module}.wsgi", LOADS.format(module=module))
            site.add(f"WSGIScriptAlias /main/{module} {script} application-group=%{{GLOBAL}}",
                     f"WSGIScriptAlias /sub/{module} {script} application-group=sub")

    @pytest.mark.parametrize("module", REFUSALS)
    def test_what_the_module_says_is_followed_by_the_cure_and_the_cure_helps(self, server, module):
        assert server.get(f"/main/{module}").body == b"loaded"
        server.log.declare("wsgi:error")
        assert server.get(f"/sub/{module}").status == 500
        assert re.search(REFUSALS[module], server.log.text()), server.log.text()
        text = line_of(server, "WSGI7040")
        assert "the sub-interpreter 'sub'" in text and "WSGIApplicationGroup %{GLOBAL}" in text
        assert server.get(f"/main/{module}").body == b"loaded"

    def test_in_the_main_interpreter_the_cure_is_not_offered(self, server):
        server.log.declare("wsgi:error")
        assert server.get("/says-so").status == 500
        assert "Interpreter change detected" in server.log.text() and "WSGI7040" not in server.log.text()


@pytest.mark.ours_only(WHY)
def test_a_module_that_cpython_keeps_out_of_an_interpreter_with_its_own_lock_is_followed_by_the_cure(new_server):
    newer = {version: python for version, python in interpreters.hosted().items() if version >= (3, 12)}
    if not newer:
        pytest.skip("needs a CPython of at least 3.12, found none; name one in WSGI_TEST_PYTHONS")
    server = new_server("event", "daemon")
    script = server.site.write("loads.wsgi", LOADS_FROM_CPYTHON)
    server.site.add("WSGIPerInterpreterGIL On", server.site.daemon("app", f"python-home={interpreters.virtualenv(newer[min(newer)])}"),
                    f"WSGIScriptAlias /main {script} application-group=%{{GLOBAL}}", f"WSGIScriptAlias /sub {script} application-group=sub")
    server.start()
    server.log.declare("wsgi:error")
    assert server.get("/sub").status == 500
    assert re.search(r"ImportError: module \w+ does not support loading in subinterpreters", server.log.text()), server.log.text()
    text = line_of(server, "WSGI7040")
    assert "the sub-interpreter 'sub'" in text and "WSGIApplicationGroup %{GLOBAL}" in text
    assert server.get("/main").body == b"loaded"
