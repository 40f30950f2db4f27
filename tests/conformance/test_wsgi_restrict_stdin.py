"""WSGIRestrictStdin: an application that reads sys.stdin is told so."""

READ = """
    import sys

    def application(environ, start_response):
        start_response("200 OK", [])
        try:
            return [repr(sys.stdin.read()).encode()]
        except OSError as error:
            return [f"{type(error).__name__} {error}".encode()]
"""


class Common:
    mpms = ("event", "prefork")

    @staticmethod
    def served(site, value):
        script = site.write("read.wsgi", READ)
        site.add(value, site.daemon("app"), f"""
            WSGIScriptAlias /main {script} application-group=%{{GLOBAL}}
            WSGIScriptAlias /named {script} application-group=named
        """)


class TestOn(Common):
    @staticmethod
    def configure(site):
        Common.served(site, "WSGIRestrictStdin On")

    def test_reading_is_an_oserror_that_names_the_stream(self, server):
        for path in ("/main", "/named"):
            answer = server.get(path).text
            assert answer.startswith("OSError ") and "stdin" in answer


class TestOff(Common):
    @staticmethod
    def configure(site):
        Common.served(site, "WSGIRestrictStdin Off")

    def test_reading_finds_nothing(self, server):
        assert [server.get(path).text for path in ("/main", "/named")] == ["''", "''"]


class TestUnset(Common):
    @staticmethod
    def configure(site):
        Common.served(site, "")

    def test_reading_finds_nothing(self, server):
        assert [server.get(path).text for path in ("/main", "/named")] == ["''", "''"]
