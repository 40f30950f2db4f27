"""Mistakes in the configuration: one clear line that names the cause, and an answer to the client at once."""

import pytest

from harness import interpreters
from harness.plugin import MODES
from harness.site import APACHE_USER

HELLO = """
    def application(environ, start_response):
        start_response("200 OK", [])
        return [b"hello"]
"""
AT_ONCE = 3.0
"""Seconds in which the client has its answer."""


def python_home(server, home):
    site = server.site
    site.write("hello.wsgi", HELLO)
    if site.embedded:
        site.add(f"WSGIPythonHome {home}")
    site.serve("hello.wsgi", options=f"python-home={home}")


def refused_or_answered_at_once(server, *causes):
    """configtest or the log names every cause; if the server starts, the client gets 500 or 503 without waiting."""
    status, text = server.configtest()
    if status != 0:
        assert "Syntax error on line" in text
        assert all(cause in text for cause in causes), text
        return
    server.log.allow("wsgi:(error|crit|alert|emerg|warn)")
    server.start()
    for _ in range(3):
        assert server.get("/", timeout=AT_ONCE).status in (500, 503)
    lines = [line for line in server.log.lines() if all(cause in line for cause in causes)]
    assert lines, f"no log line names {causes}:\n{server.log.text()}"
    assert len(lines) <= 10, "the same line again and again"


@pytest.mark.parametrize("mode", MODES)
class TestPythonHome:
    @pytest.mark.ours_only("the C module can only run the Python it was compiled for, and does not look at the version")
    def test_an_unsupported_python_is_named(self, new_server, mode):
        older = interpreters.unsupported()
        if not older:
            pytest.skip("needs a CPython older than 3.10, found none; name one in WSGI_TEST_PYTHONS")
        version = max(older)
        server = new_server("event", mode)
        python_home(server, interpreters.virtualenv(older[version]))
        refused_or_answered_at_once(server, ".".join(map(str, version)), "3.10")

    @pytest.mark.ours_only("in the C module Python ends the process and the client waits for its timeout")
    def test_a_virtualenv_that_does_not_exist_is_named(self, new_server, mode):
        server = new_server("event", mode)
        home = server.site.root / "no-such-venv"
        python_home(server, home)
        refused_or_answered_at_once(server, str(home))

    @pytest.mark.ours_only("in the C module Python ends the process and the client waits for its timeout")
    def test_a_folder_without_python_is_named(self, new_server, mode):
        server = new_server("event", mode)
        home = server.site.root / "www"
        python_home(server, home)
        refused_or_answered_at_once(server, str(home))

    @pytest.mark.ours_only("in the C module Python ends the process and the client waits for its timeout")
    @pytest.mark.root_only("only root can make a folder that the daemon's user cannot read")
    def test_a_virtualenv_that_the_user_cannot_read_is_named_with_the_user(self, new_server, mode):
        server = new_server("event", mode)
        secret = server.site.root / "secret"
        secret.mkdir(mode=0o700)
        interpreters.run(interpreters.system(), "-m", "venv", "--without-pip", secret / "venv")
        python_home(server, secret / "venv")
        refused_or_answered_at_once(server, str(secret), APACHE_USER)


@pytest.mark.parametrize("mode", MODES)
class TestScripts:
    def test_a_script_that_does_not_exist_is_a_404(self, new_server, mode):
        server = new_server("event", mode)
        server.site.serve("nowhere.wsgi")
        server.start()
        assert server.get("/", timeout=AT_ONCE).status == 404
        server.log.expect(r"wsgi:error.*nowhere\.wsgi")

    @pytest.mark.root_only("only root can make a file that Apache's user cannot read")
    def test_a_script_that_cannot_be_read_is_a_500_that_names_it(self, new_server, mode):
        server = new_server("event", mode)
        server.site.write("secret.wsgi", HELLO, mode=0o600)
        server.site.serve("secret.wsgi")
        server.start()
        assert server.get("/", timeout=AT_ONCE).status == 500
        server.log.expect(r"wsgi:error.*secret\.wsgi")
        server.log.declare("wsgi:error")


class TestProcessGroups:
    def test_a_group_that_is_not_defined_is_a_500_that_names_it(self, new_server):
        server = new_server()
        script = server.site.write("hello.wsgi", HELLO)
        server.site.add("WSGIDaemonProcess defined", f"WSGIScriptAlias / {script} process-group=undefined")
        server.start()
        assert server.get("/", timeout=AT_ONCE).status == 500
        server.log.expect(r"wsgi:error.*undefined")

    def test_a_group_without_any_definition_is_a_500_that_names_it(self, new_server):
        server = new_server()
        script = server.site.write("hello.wsgi", HELLO)
        server.site.add(f"WSGIScriptAlias / {script} process-group=undefined")
        server.start()
        assert server.get("/", timeout=AT_ONCE).status == 500
        server.log.expect(r"wsgi:error.*undefined")
