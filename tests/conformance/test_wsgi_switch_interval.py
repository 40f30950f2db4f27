"""WSGISwitchInterval: how often Python's threads take turns."""

import pytest

INTERVAL = """
    import sys

    def application(environ, start_response):
        start_response("200 OK", [])
        return [repr(round(sys.getswitchinterval(), 6)).encode()]
"""


class Common:
    mpms = ("event",)

    @staticmethod
    def configure(site):
        script = site.write("interval.wsgi", INTERVAL)
        site.add("WSGISwitchInterval 0.25", site.daemon("app"), f"""
            WSGIScriptAlias /main {script} application-group=%{{GLOBAL}}
            WSGIScriptAlias /named {script} application-group=named
        """)

    def test_it_is_pythons_switch_interval(self, server):
        assert [server.get(path).text for path in ("/main", "/named")] == ["0.25", "0.25"]


@pytest.mark.since((6, 1, 1), "older versions do not have it")
class TestEmbedded(Common):
    modes = ("embedded",)


@pytest.mark.since((6, 1, 1), "older versions do not have it")
@pytest.mark.xfail(condition=True, reason="documented for embedded mode only, but the C module applies it to every "
                   "interpreter of daemon processes too; to be decided")
class TestDaemon(Common):
    modes = ("daemon",)
