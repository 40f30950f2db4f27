"""WSGIScriptReloading: a script that was changed is loaded again."""

import os

import pytest

from harness import under_test

SCRIPT = """
    import os

    def application(environ, start_response):
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [f"%s {os.getpid()}".encode()]
"""


def change(site, text):
    """Writes the script with a modification time that differs from the one before."""
    path = site.path("script.wsgi")
    later = path.stat().st_mtime + 5 if path.exists() else None
    site.write("script.wsgi", SCRIPT % text)
    if later:
        os.utime(path, (later, later))


class TestReloading:
    @staticmethod
    def configure(site):
        change(site, "one")
        site.serve("script.wsgi")

    def test_a_changed_script_is_loaded_again(self, server, site):
        with server.keep_alive() as connection:
            change(site, "before")
            text, process = connection.get("/").text.split()
            assert text == "before"
            change(site, "after")
            text, later = connection.get("/").text.split()
            assert text == "after"
            if site.embedded:
                assert later == process, "in embedded mode only the script is loaded again"
            else:
                assert later != process, "in daemon mode the process is replaced"

    def test_no_request_fails_while_scripts_change(self, server, site):
        for number in range(3):
            change(site, f"number-{number}")
            for _ in range(5):
                assert server.get("/").text.startswith(f"number-{number} ")

    def test_a_script_that_breaks_is_a_500_until_it_is_mended(self, server, site):
        change(site, "good")
        assert server.get("/").status == 200
        if under_test.OURS and not site.embedded:
            pytest.skip("differs: the earlier process goes on serving, see test_changed_scripts.py")
        path = site.path("script.wsgi")
        later = path.stat().st_mtime + 5
        path.write_text("def broken(\n")
        os.utime(path, (later, later))
        assert server.get("/").status == 500
        server.log.expect("SyntaxError")
        server.log.declare("wsgi:error")
        change(site, "mended")
        assert server.get("/").text.startswith("mended ")


class TestReloadingOff:
    @staticmethod
    def configure(site):
        change(site, "one")
        site.add("WSGIScriptReloading Off")
        site.serve("script.wsgi")

    def test_a_changed_script_stays_as_it_is(self, server, site):
        with server.keep_alive() as connection:
            before = connection.get("/").text
            change(site, "two")
            assert connection.get("/").text == before
        change(site, "one")
