"""WSGIDontWriteBytecode: whether Python writes .pyc files."""

FLAGS = """
    import sys

    def application(environ, start_response):
        start_response("200 OK", [])
        return [repr((sys.dont_write_bytecode)).encode()]
"""


class TestOn:
    mpms = ("event",)

    @staticmethod
    def configure(site):
        script = site.write("flags.wsgi", FLAGS)
        site.add("WSGIDontWriteBytecode On", site.daemon("app"), f"""
            WSGIScriptAlias /main {script} application-group=%{{GLOBAL}}
            WSGIScriptAlias /named {script} application-group=named
        """)

    def test_no_bytecode_is_written(self, server):
        assert [server.get(path).text for path in ("/main", "/named")] == [repr(True)] * 2


class TestOff:
    mpms = ("event",)

    @staticmethod
    def configure(site):
        script = site.write("flags.wsgi", FLAGS)
        site.add("WSGIDontWriteBytecode Off", site.daemon("app"), f"""
            WSGIScriptAlias /main {script} application-group=%{{GLOBAL}}
            WSGIScriptAlias /named {script} application-group=named
        """)

    def test_bytecode_is_written(self, server):
        assert [server.get(path).text for path in ("/main", "/named")] == [repr(False)] * 2
