"""WSGIApplicationGroup: the interpreter of an application within its process."""

import json

import pytest

APPLICATION = """
    import json
    import os
    import sys
    import threading
    import shared

    seen = []

    def application(environ, start_response):
        seen.append(1)
        shared.count += 1
        start_response("200 OK", [("Content-Type", "application/json")])
        return [json.dumps({
            "group": environ["mod_wsgi.application_group"],
            "process group": environ["mod_wsgi.process_group"],
            "pid": os.getpid(),
            "here": len(seen),
            "shared": shared.count,
            "module": __name__,
            "main": threading.main_thread() is threading.current_thread(),
        }).encode()]
"""


class TestTwoApplicationGroups:
    @staticmethod
    def configure(site):
        site.write("library/shared.py", "count = 0\n")
        script = site.write("count.wsgi", APPLICATION)
        library = site.path("library")
        site.add(f"WSGIPythonPath {library}" if site.embedded else site.daemon("app", f"python-path={library}"), f"""
            WSGIScriptAlias /global {script}
            WSGIScriptAlias /named {script}
            WSGIScriptAlias /other {script}
            <Location /global>
                WSGIApplicationGroup %{{GLOBAL}}
            </Location>
            <Location /named>
                WSGIApplicationGroup named
            </Location>
            <Location /other>
                WSGIApplicationGroup other
            </Location>
        """)

    @pytest.mark.ours_only("the C module now and then runs a request of a named group in the main interpreter "
                           "(observed with 4.9.4 and 6.1.1, Python 3.11, event, embedded)")
    def test_groups_of_one_process_share_no_module_state(self, server):
        # One connection stays with one Apache child, and there is one daemon process.
        with server.keep_alive() as connection:
            def count(path):
                return json.loads(connection.get(path).body)
            first = {path: count(path) for path in ("/global", "/named", "/other")}
            for _ in range(3):
                count("/named")
            after = {path: count(path) for path in first}
        assert len({one["pid"] for one in [*first.values(), *after.values()]}) == 1
        grown = {path: (after[path]["here"] - first[path]["here"], after[path]["shared"] - first[path]["shared"])
                 for path in first}
        assert grown == {"/global": (1, 1), "/named": (4, 4), "/other": (1, 1)}

    def test_the_application_sees_the_name_of_its_group(self, server):
        names = {path: json.loads(server.get(path).body)["group"] for path in ("/global", "/named", "/other")}
        assert names == {"/global": "", "/named": "named", "/other": "other"}

    def test_many_requests_in_turn_keep_the_groups_apart(self, server):
        with server.keep_alive() as connection:
            for _ in range(30):
                for path, name in (("/global", ""), ("/named", "named"), ("/other", "other")):
                    assert json.loads(connection.get(path).body)["group"] == name


class TestExpansion:
    @staticmethod
    def configure(site):
        site.write("library/shared.py", "count = 0\n")
        script = site.write("count.wsgi", APPLICATION)
        library = site.path("library")
        site.add(f"WSGIPythonPath {library}" if site.embedded else site.daemon("app", f"python-path={library}"), f"""
            WSGIScriptAlias /server {script} application-group=%{{SERVER}}
            WSGIScriptAlias /host {script} application-group=%{{HOST}}
            WSGIScriptAlias /resource {script} application-group=%{{RESOURCE}}
            WSGIScriptAlias /env {script} application-group=%{{ENV:GROUP_NAME}}
            WSGIScriptAlias /literal {script} application-group=a%{{GLOBAL}}
            SetEnv GROUP_NAME from-setenv
        """)

    def test_tokens_are_replaced_when_they_come_first(self, server, site):
        def group(path):
            return json.loads(server.get(path, {"Host": f"127.0.0.1:{site.port}"}).body)["group"]
        assert group("/server") == f"localhost:{site.port}"
        assert group("/host") == f"127.0.0.1:{site.port}"
        assert group("/resource") == f"localhost:{site.port}|/resource"
        assert group("/env") == "from-setenv"
        assert group("/literal") == "a%{GLOBAL}"
