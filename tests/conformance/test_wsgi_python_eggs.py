"""WSGIPythonEggs: PYTHON_EGG_CACHE, in embedded mode."""

SHOW = """
    import os

    def application(environ, start_response):
        start_response("200 OK", [])
        return [repr(os.environ.get("PYTHON_EGG_CACHE")).encode()]
"""


class TestPythonEggs:
    mpms = ("event",)

    @staticmethod
    def configure(site):
        script = site.write("show.wsgi", SHOW)
        site.add("WSGIPythonEggs /the/cache", site.daemon("app"), f"""
            WSGIScriptAlias /main {script} application-group=%{{GLOBAL}}
            WSGIScriptAlias /named {script} application-group=named
        """)

    def test_it_is_the_environment_variable_of_embedded_mode(self, server, site):
        expected = repr("/the/cache" if site.embedded else None)
        assert [server.get(path).text for path in ("/main", "/named")] == [expected, expected]
