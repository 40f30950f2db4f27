"""`python-home` names whatever tools make: environments of virtualenv and uv, a prefix as conda has it; and it may change."""

import json
import os
import shutil
import subprocess

import pytest

from harness import interpreters, places, processes

APPLICATION = """
    import json
    import os
    import sys

    def application(environ, start_response):
        start_response("200 OK", [("Content-Type", "application/json")])
        return [json.dumps({"executable": sys.executable, "prefix": sys.prefix, "version": sys.version_info[:2],
                            "pid": os.getpid()}).encode()]
"""


def made_by(tool):
    """An environment that `tool`, from PyPI, makes for the distribution's Python; made once."""
    folder = places.cache_folder() / "venvs" / f"by-{tool}"
    with places.made_once(folder) as fresh:
        if fresh:
            tools = interpreters.virtualenv(interpreters.system(), tool)
            make = [tools / "bin" / "uv", "venv", "--quiet"] if tool == "uv" else [tools / "bin" / "virtualenv", "--quiet", "--no-download"]
            subprocess.run([*make, "--python", interpreters.system(), fresh], check=True, capture_output=True)
            subprocess.run(["chmod", "-R", "a+rX", fresh], check=True)
    return folder


class Layout:
    modes = ("daemon",)
    mpms = ("event",)

    @classmethod
    def configure(cls, site):
        site.write("app.wsgi", APPLICATION)
        cls.home = cls.make(site)
        site.serve("app.wsgi", options=f"python-home={cls.home}")

    @staticmethod
    def ask(server):
        answer = server.get("/")
        assert answer.status == 200, answer
        return json.loads(answer.body)


class TestEnvironmentOfVirtualenv(Layout):
    @staticmethod
    def make(site):
        return made_by("virtualenv")

    def test_it_is_the_prefix(self, server):
        assert self.ask(server)["prefix"] == str(self.home)


class TestEnvironmentOfUv(Layout):
    @staticmethod
    def make(site):
        return made_by("uv")

    def test_it_is_the_prefix(self, server):
        assert self.ask(server)["prefix"] == str(self.home)


@pytest.mark.ours_only("the C module is for one Python")
class TestPrefixOfConda(Layout):
    """What conda makes is no virtual environment but a whole prefix: bin, lib, conda-meta, and no pyvenv.cfg."""

    @classmethod
    def make(cls, site):
        found = [interpreters.for_everybody(python) for python in interpreters.hosted().values()]
        whole = [python.parent.parent for python in found if python.parent.parent not in (places.Path("/usr"), places.Path("/usr/local"))]
        if not whole:
            pytest.skip("needs a CPython with a prefix of its own, such as pyenv's; name one in WSGI_TEST_PYTHONS")
        prefix = site.root / "conda"
        shutil.copytree(whole[0], prefix, symlinks=True, ignore=shutil.ignore_patterns("test", "__pycache__", "idlelib", "tkinter"))
        (prefix / "conda-meta").mkdir()
        return prefix

    def test_its_python_runs(self, server):
        seen = self.ask(server)
        assert seen["prefix"] == str(self.home) and seen["executable"].startswith(f"{self.home}/bin/python")


@pytest.mark.ours_only("the C module is for one Python")
class TestEnvironmentThatIsReplaced(Layout):
    """A site's environment is made anew with another Python; a reload is all it takes."""

    @classmethod
    def make(cls, site):
        versions = interpreters.hosted()
        if len(versions) < 2:
            pytest.skip(f"needs two CPythons of different minor versions, found {sorted(versions)}; name more in WSGI_TEST_PYTHONS")
        cls.two = [interpreters.virtualenv(versions[version]) for version in sorted(versions)[:2]]
        link = site.root / "current"
        link.symlink_to(cls.two[0])
        return link

    def test_a_reload_takes_the_new_one(self, server):
        before = self.ask(server)["version"]
        new = self.home.with_suffix(".new")
        new.symlink_to(self.two[1])
        os.replace(new, self.home)
        server.graceful()
        processes.wait_until(lambda: self.ask(server)["version"] != before, "the other Python serves")
