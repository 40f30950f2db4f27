"""WSGIPythonHome and WSGIPythonPath: the Python of embedded mode."""

import json

from harness import interpreters

APPLICATION = """
    import json
    import sys

    def application(environ, start_response):
        start_response("200 OK", [("Content-Type", "application/json")])
        return [json.dumps({"path": sys.path, "prefix": sys.prefix, "version": sys.version_info[:2]}).encode()]
"""


class TestEmbeddedPython:
    modes = ("embedded",)

    @classmethod
    def configure(cls, site):
        cls.virtualenv = interpreters.virtualenv(interpreters.system())
        site.write("one/only_here.py", "")
        site.write("two/only_there.py", "")
        site.write("python.wsgi", APPLICATION)
        site.add(f"WSGIPythonHome {cls.virtualenv}", f"WSGIPythonPath {site.path('one')}:{site.path('two')}")
        site.serve("python.wsgi")
        site.add(f"WSGIScriptAlias /named {site.path('python.wsgi')} application-group=named")

    def test_the_home_is_the_virtualenv(self, server):
        for path in ("/", "/named"):
            assert json.loads(server.get(path).body)["prefix"] == str(self.virtualenv)

    def test_the_path_comes_first_in_order(self, server, site):
        for path in ("/", "/named"):
            assert json.loads(server.get(path).body)["path"][:2] == [str(site.path("one")), str(site.path("two"))]


class TestDaemonInheritsTheHome:
    modes = ("daemon",)

    @classmethod
    def configure(cls, site):
        cls.virtualenv = interpreters.virtualenv(interpreters.system())
        site.write("one/only_here.py", "")
        site.write("python.wsgi", APPLICATION)
        site.add(f"WSGIPythonHome {cls.virtualenv}", f"WSGIPythonPath {site.path('one')}")
        site.serve("python.wsgi")

    def test_the_home_of_the_server_is_used(self, server):
        assert json.loads(server.get("/").body)["prefix"] == str(self.virtualenv)

    def test_the_path_of_the_server_is_not(self, server, site):
        assert str(site.path("one")) not in json.loads(server.get("/").body)["path"]
