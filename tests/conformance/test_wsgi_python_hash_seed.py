"""WSGIPythonHashSeed: the seed of string hashes."""

import os
import subprocess

import pytest

from harness import interpreters

FLAGS = """
    import sys

    def application(environ, start_response):
        start_response("200 OK", [])
        return [repr((sys.flags.hash_randomization, hash("a text"))).encode()]
"""


def python_says(seed: str) -> str:
    """What Python itself says with this seed in its environment."""
    code = 'import sys; print(repr((sys.flags.hash_randomization, hash("a text"))))'
    return subprocess.run([interpreters.system(), "-c", code], capture_output=True, text=True, check=True,
                          env=os.environ | {"PYTHONHASHSEED": seed}).stdout.strip()


class TestAFixedSeed:
    mpms = ("event",)

    @staticmethod
    def configure(site):
        script = site.write("flags.wsgi", FLAGS)
        site.add("WSGIPythonHashSeed 42", site.daemon("app"), f"""
            WSGIScriptAlias /main {script} application-group=%{{GLOBAL}}
            WSGIScriptAlias /named {script} application-group=named
        """)

    def test_hashes_are_those_of_that_seed(self, server):
        assert [server.get(path).text for path in ("/main", "/named")] == [python_says("42")] * 2


class TestSeedZero:
    mpms = ("event",)

    @staticmethod
    def configure(site):
        script = site.write("flags.wsgi", FLAGS)
        site.add("WSGIPythonHashSeed 0", site.daemon("app"), f"""
            WSGIScriptAlias /main {script} application-group=%{{GLOBAL}}
            WSGIScriptAlias /named {script} application-group=named
        """)

    def test_seed_zero_means_no_randomisation(self, server):
        assert [server.get(path).text for path in ("/main", "/named")] == [python_says("0")] * 2


class TestRandom:
    mpms = ("event",)

    @staticmethod
    def configure(site):
        script = site.write("flags.wsgi", FLAGS)
        site.add("WSGIPythonHashSeed random", site.daemon("app"), f"""
            WSGIScriptAlias /main {script} application-group=%{{GLOBAL}}
            WSGIScriptAlias /named {script} application-group=named
        """)

    @pytest.mark.ours_only("in the C module the word random is seed 0")
    def test_random_is_random(self, server):
        seen = server.get("/main").text
        assert seen.startswith("(1, ") and seen != python_says("0")
