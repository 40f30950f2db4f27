"""How a script becomes a module: its name, its attributes, once for each interpreter, however many ask for it first."""

import hashlib
import json
import threading

import pytest

APPLICATION = """
    import json
    import os
    import sys

    with open(os.path.join(os.path.dirname(__file__), "loaded"), "a") as note:
        note.write(f"{os.getpid()} {id(sys.modules)}\\n")

    def application(environ, start_response):
        shown = {"name": __name__, "file": __file__, "pid": os.getpid(),
                 "known": sys.modules[__name__].__dict__ is globals()}
        start_response("200 OK", [("Content-Type", "application/json")])
        return [json.dumps(shown).encode()]
"""
SLOW = """
    import os
    import time

    with open(os.path.join(os.path.dirname(__file__), "slow-loaded"), "a") as note:
        note.write(f"{os.getpid()}\\n")
    time.sleep(0.3)

    def application(environ, start_response):
        start_response("200 OK", [])
        return [str(os.getpid()).encode()]
"""


class TestLoading:
    mpms = ("event", "worker")

    @staticmethod
    def configure(site):
        site.one_child()
        site.write("loaded", "", mode=0o666)
        site.write("slow-loaded", "", mode=0o666)
        site.path("").chmod(0o777)
        script = site.write("named.wsgi", APPLICATION)
        slow = site.write("slow.wsgi", SLOW)
        site.add(site.daemon("app", "threads=10"), "WSGIApplicationGroup %{GLOBAL}", f"WSGIScriptAlias /slow {slow}",
                 f"WSGIScriptAlias /other {script} application-group=other", f"WSGIScriptAlias / {script}")

    def test_the_module_is_named_after_its_path(self, server, site):
        seen = json.loads(server.get("/").body)
        assert seen["name"] == "_mod_wsgi_" + hashlib.md5(str(site.path("named.wsgi")).encode()).hexdigest()
        assert (seen["file"], seen["known"]) == (str(site.path("named.wsgi")), True)

    def test_it_is_loaded_once_for_each_interpreter(self, server, site):
        for path in ("/", "/other", "/a", "/other/b", "/"):
            pid = json.loads(server.get(path).body)["pid"]
        loaded = [line.split() for line in site.path("loaded").read_text().splitlines()]
        here = [modules for process, modules in loaded if process == str(pid)]
        assert len(here) == len(set(here)) == 2

    def test_no_bytecode_of_the_script_is_written(self, server, site):
        server.get("/")
        assert [path for path in site.path("").rglob("*.pyc")] == []

    @pytest.mark.ours_only("the C module now and then loads it twice")
    def test_of_many_first_requests_one_loads_it_and_all_are_served(self, server, site):
        answers = []
        askers = [threading.Thread(target=lambda: answers.append(server.get("/slow").body.decode())) for _ in range(8)]
        for asker in askers:
            asker.start()
        for asker in askers:
            asker.join(20)
        assert len(answers) == 8 and len(set(answers)) == 1
        assert site.path("slow-loaded").read_text().split() == [answers[0]]


class TestAScriptThatFailsAtFirst:
    @staticmethod
    def configure(site):
        site.write("late.wsgi", """
            import os

            if not os.path.exists(os.path.join(os.path.dirname(__file__), "ready")):
                raise RuntimeError("not ready yet")

            def application(environ, start_response):
                start_response("200 OK", [])
                return [b"ready"]
        """)
        site.serve("late.wsgi")

    def test_it_is_loaded_again_by_each_request_until_it_succeeds(self, server, site):
        for _ in range(2):
            assert server.get("/").status == 500
        server.log.expect("RuntimeError: not ready yet")
        server.log.declare("wsgi:error")
        site.write("ready", "")
        assert server.get("/").body == b"ready"
