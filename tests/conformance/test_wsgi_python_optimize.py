"""WSGIPythonOptimize: the optimisation level of Python."""

FLAGS = """
    import sys

    def asserts():
        try:
            assert False
        except AssertionError:
            return True
        return False

    def documented():
        "doc"

    def application(environ, start_response):
        start_response("200 OK", [])
        return [repr((sys.flags.optimize, asserts(), documented.__doc__)).encode()]
"""


class TestLevelOne:
    mpms = ("event",)

    @staticmethod
    def configure(site):
        script = site.write("flags.wsgi", FLAGS)
        site.add("WSGIPythonOptimize 1", site.daemon("app"), f"""
            WSGIScriptAlias /main {script} application-group=%{{GLOBAL}}
            WSGIScriptAlias /named {script} application-group=named
        """)

    def test_the_level_is_one(self, server):
        assert [server.get(path).text for path in ("/main", "/named")] == [repr((1, False, "doc"))] * 2


class TestLevelTwo:
    mpms = ("event",)

    @staticmethod
    def configure(site):
        script = site.write("flags.wsgi", FLAGS)
        site.add("WSGIPythonOptimize 2", site.daemon("app"), f"""
            WSGIScriptAlias /main {script} application-group=%{{GLOBAL}}
            WSGIScriptAlias /named {script} application-group=named
        """)

    def test_docstrings_and_assertions_are_gone(self, server):
        assert [server.get(path).text for path in ("/main", "/named")] == [repr((2, False, None))] * 2


class TestLevelZero:
    mpms = ("event",)

    @staticmethod
    def configure(site):
        script = site.write("flags.wsgi", FLAGS)
        site.add("WSGIPythonOptimize 0", site.daemon("app"), f"""
            WSGIScriptAlias /main {script} application-group=%{{GLOBAL}}
            WSGIScriptAlias /named {script} application-group=named
        """)

    def test_assertions_count(self, server):
        assert [server.get(path).text for path in ("/main", "/named")] == [repr((0, True, "doc"))] * 2
