"""WSGISwitchInterval: how often Python's threads take turns."""

import pytest

INTERVAL = """
    import sys

    def application(environ, start_response):
        start_response("200 OK", [])
        return [repr(round(sys.getswitchinterval(), 6)).encode()]
"""


@pytest.mark.since((6, 1, 1), "older versions do not have it")
class TestSwitchInterval:
    """Documented for embedded mode, and effective in daemon processes as well."""

    mpms = ("event",)

    @staticmethod
    def configure(site):
        script = site.write("interval.wsgi", INTERVAL)
        site.add("WSGISwitchInterval 0.25", site.daemon("app"), f"""
            WSGIScriptAlias /main {script} application-group=%{{GLOBAL}}
            WSGIScriptAlias /named {script} application-group=named
        """)

    @pytest.mark.needs_lock("it does not switch")
    def test_it_is_pythons_switch_interval(self, server):
        assert [server.get(path).text for path in ("/main", "/named")] == ["0.25", "0.25"]
