"""WSGICaseSensitivity: whether names of scripts that differ in case are different scripts."""

import pytest

WHERE = """
    def application(environ, start_response):
        start_response("200 OK", [])
        return [f"{environ['mod_wsgi.application_group']} {__name__}".encode()]
"""


class Common:
    mpms = ("event",)

    @staticmethod
    def served(site, value):
        script = site.write("Where.wsgi", WHERE)
        site.add(value, site.daemon("app"), f"WSGIScriptAlias /Mounted {script}")


class TestUnset(Common):
    @staticmethod
    def configure(site):
        Common.served(site, "")

    @pytest.mark.since((6, 1, 1), "older versions write it in lower case always")
    def test_the_resource_keeps_its_case(self, server, site):
        assert server.get("/Mounted").text.split()[0] == f"localhost:{site.port}|/Mounted"


class TestOff(Common):
    @staticmethod
    def configure(site):
        Common.served(site, "WSGICaseSensitivity Off")

    def test_the_resource_is_in_lower_case(self, server, site):
        assert server.get("/Mounted").text.split()[0] == f"localhost:{site.port}|/mounted"


class TestOn(Common):
    @staticmethod
    def configure(site):
        Common.served(site, "WSGICaseSensitivity On")

    @pytest.mark.since((6, 1, 1), "older versions write it in lower case always")
    def test_the_resource_keeps_its_case(self, server, site):
        assert server.get("/Mounted").text.split()[0] == f"localhost:{site.port}|/Mounted"
