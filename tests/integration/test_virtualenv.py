"""A daemon process is its virtualenv's own python."""

import json

import pytest

from harness import interpreters

APPLICATION = """
    import json
    import multiprocessing
    import sys

    def application(environ, start_response):
        result = {"executable": sys.executable, "prefix": sys.prefix, "base": sys.base_prefix,
                  "version": sys.version_info[:2], "path": sys.path}
        if environ["PATH_INFO"] == "/spawn":
            import work
            with multiprocessing.get_context("spawn").Pool(2) as pool:
                result["pool"] = pool.map(work.where, range(4))
        start_response("200 OK", [("Content-Type", "application/json")])
        return [json.dumps(result).encode()]
"""
WORK = """
    import sys

    def where(number):
        return [number * number, sys.prefix]
"""


class TestVirtualenv:
    modes = ("daemon",)

    @classmethod
    def configure(cls, site):
        cls.virtualenv = interpreters.virtualenv(interpreters.system())
        site.write("work.py", WORK)
        site.write("venv.wsgi", APPLICATION)
        site.serve("venv.wsgi", options=f"python-home={cls.virtualenv} python-path={site.root}/app")

    def ask(self, server, path="/"):
        answer = server.get(path)
        assert answer.status == 200, answer
        return json.loads(answer.body)

    def test_the_prefix_is_the_virtualenv(self, server):
        seen = self.ask(server)
        assert seen["prefix"] == str(self.virtualenv) and seen["base"] != seen["prefix"]

    @pytest.mark.ours_only("the C module embeds Python, whose idea of its executable depends on the version")
    def test_the_executable_is_the_virtualenvs_python(self, server):
        assert self.ask(server)["executable"] in (f"{self.virtualenv}/bin/python", f"{self.virtualenv}/bin/python3")

    @pytest.mark.ours_only("the C module embeds Python, whose idea of its executable depends on the version")
    def test_multiprocessing_with_spawn_works(self, server):
        assert self.ask(server, "/spawn")["pool"] == [[n * n, str(self.virtualenv)] for n in range(4)]


def two_or_more_pythons():
    found = interpreters.hosted()
    if len(found) < 2:
        pytest.skip(f"needs two CPythons of different minor versions, found {sorted(found)}; name more in WSGI_TEST_PYTHONS")
    return found


@pytest.mark.ours_only("the C module is bound to the one Python it was compiled for")
class TestSeveralPythonsAtOnce:
    modes = ("daemon",)

    @classmethod
    def configure(cls, site):
        cls.virtualenvs = {f"py{major}{minor}": ((major, minor), interpreters.virtualenv(python))
                           for (major, minor), python in two_or_more_pythons().items()}
        site.write("work.py", WORK)
        script = site.write("venv.wsgi", APPLICATION)
        for name, (_, virtualenv) in cls.virtualenvs.items():
            site.add(f"""
                WSGIDaemonProcess {name} python-home={virtualenv} python-path={site.root}/app
                WSGIScriptAlias /{name} {script} process-group={name} application-group=%{{GLOBAL}}
                WSGIScriptAlias /named-{name} {script} process-group={name} application-group=named
            """)

    def test_each_group_runs_its_own_version(self, server):
        for path in ("/", "/named-"):
            for name, (version, virtualenv) in self.virtualenvs.items():
                answer = server.get(f"{path}{name}")
                assert answer.status == 200, answer
                seen = json.loads(answer.body)
                assert (tuple(seen["version"]), seen["prefix"]) == (version, str(virtualenv))

    def test_multiprocessing_with_spawn_works_in_each(self, server):
        for name, (_, virtualenv) in self.virtualenvs.items():
            pool = json.loads(server.get(f"/{name}/spawn").body)["pool"]
            assert pool == [[n * n, str(virtualenv)] for n in range(4)]


@pytest.mark.ours_only("the C module is bound to the one Python it was compiled for")
class TestEmbeddedPythonOfAnotherVersion:
    modes = ("embedded",)

    @classmethod
    def configure(cls, site):
        (cls.version, python), *_ = [item for item in two_or_more_pythons().items()
                                     if item[1] != interpreters.system()]
        cls.virtualenv = interpreters.virtualenv(python)
        site.write("venv.wsgi", APPLICATION)
        site.add(f"WSGIPythonHome {cls.virtualenv}")
        site.serve("venv.wsgi")

    def test_the_version_is_that_of_the_home(self, server):
        seen = json.loads(server.get("/").body)
        assert (tuple(seen["version"]), seen["prefix"]) == (self.version, str(self.virtualenv))
