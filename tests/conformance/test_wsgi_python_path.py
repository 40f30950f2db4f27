"""WSGIPythonPath: folders of modules, in embedded mode."""

import json

PATHS = """
    import json
    import sys

    def application(environ, start_response):
        start_response("200 OK", [("Content-Type", "application/json")])
        try:
            import only_there
            found = only_there.name
        except ImportError:
            found = None
        return [json.dumps({"path": sys.path, "found": found}).encode()]
"""


class TestPythonPath:
    mpms = ("event",)

    @staticmethod
    def configure(site):
        script = site.write("paths.wsgi", PATHS)
        site.write("first/only_there.py", "name = 'first'\n")
        site.write("second/only_there.py", "name = 'second'\n")
        site.write("second/more.pth", f"{site.root}/app/by-pth\n")
        (site.root / "app" / "by-pth").mkdir()
        site.add(site.daemon("app"), f"WSGIPythonPath {site.root}/app/first:{site.root}/app/second", f"""
            WSGIScriptAlias /main {script} application-group=%{{GLOBAL}}
            WSGIScriptAlias /named {script} application-group=named
        """)

    def test_in_embedded_mode_its_folders_come_first_in_order(self, server, site):
        if not site.embedded:
            return
        for group in ("main", "named"):
            seen = json.loads(server.get(f"/{group}").body)
            assert seen["path"][:2] == [f"{site.root}/app/first", f"{site.root}/app/second"]
            assert seen["found"] == "first"

    def test_in_embedded_mode_pth_files_in_them_are_read(self, server, site):
        if not site.embedded:
            return
        seen = json.loads(server.get("/main").body)
        assert seen["path"].index(f"{site.root}/app/by-pth") == 2

    def test_in_daemon_mode_it_has_no_effect(self, server, site):
        if site.embedded:
            return
        seen = json.loads(server.get("/main").body)
        assert seen["found"] is None and f"{site.root}/app/first" not in seen["path"]
