"""Embedded mode: a host loaded by a program that is no Python, as an Apache child loads it."""

import json
import os
import re
import shutil
import subprocess
import sysconfig

import pytest
from daemon import BUILT, launch_block
from wire import request

FACTS = """
import json, os, sys, sysconfig
get = sysconfig.get_config_var
print(json.dumps([os.path.join(get("LIBDIR") or "", get("INSTSONAME") or get("LDLIBRARY") or ""), "%d%d%s" % (*sys.version_info[:2],
    "t" if "t" in sys.abiflags else ""), sys.base_prefix]))
"""
APPLICATION = """
    import sys, atexit, mod_wsgi
    atexit.register(print, "exit of", repr(mod_wsgi.application_group))
    def application(environ, start_response):
        start_response("200 OK", [("X-Test", "yes")])
        print("printed")
        if environ["QUERY_STRING"] == "raise":
            yield b"some"
            raise ValueError("on purpose")
        yield environ["wsgi.input"].read()
        yield b"group '%s' flags %d" % (mod_wsgi.application_group.encode(), sys.flags.optimize)
"""


@pytest.fixture(scope="session")
def program(tmp_path_factory):
    compiler = shutil.which("cc")
    if not compiler:
        pytest.skip("there is no C compiler for the program that loads the host")
    program = tmp_path_factory.mktemp("embedded") / "embedded"
    source = os.path.join(os.path.dirname(__file__), "embedded.c")
    subprocess.run([compiler, "-O1", "-Wall", "-Werror", "-o", program, source, "-ldl", "-lpthread"], check=True)
    return program


@pytest.fixture
def run(program, python, place):
    library, version, prefix = json.loads(subprocess.run([python, "-c", FACTS], capture_output=True, text=True, check=True).stdout)
    if not re.search(r"\.so(\.[\d.]+)?$", library):
        pytest.skip(f"{python} has no shared library to load")
    if not os.path.exists(library):
        library = os.path.basename(library)

    def run(script, query="", group="", threads=1, repeat=1, has_body=True, **launch):
        home = [] if prefix == "/usr" else [("python_home", prefix)]
        (place.folder / "launch").write_bytes(launch_block(**{"process_group": b"", **dict(home), **launch}))
        environ = {"PATH_INFO": "/", "QUERY_STRING": query, "SCRIPT_FILENAME": str(script)}
        (place.folder / "request").write_bytes(request(script, environ, group=group)[8:])
        done = subprocess.run([program, library, BUILT / f"mod_wsgi_host.cpython-{version}.so", place.folder / "launch",
                               place.folder / "request", str(threads), str(repeat)], capture_output=True, text=True, timeout=60)
        return done.returncode, done.stdout, done.stderr
    return run


def test_a_request_runs_and_python_ends_in_order(run, place):
    script = place.script(APPLICATION)
    status, out, err = run(script, python_optimize=1)
    assert (status, err) == (0, "")
    assert f"log: [script {script}] printed" in out and "head: 200 OK" in out and "outcome: 0\n" in out
    assert "data, flushed: body\nbody\nbody\n" in out and "flags 1\n" in out
    assert "server log 3: exit of ''" in out and out.endswith("stopped\n")


@pytest.mark.parametrize("group", ["", "sub"])
def test_many_threads_run_many_requests(run, place, group):
    status, out, err = run(place.script(APPLICATION), group=group, threads=8, repeat=200)
    assert (status, err) == (0, "")
    assert out.count("outcome: 0\n") == 8 and out.count(f"group '{group}'") == 8
    assert f"exit of '{group}'" in out


def test_a_failure_after_data_is_truncated(run, place):
    status, out, err = run(place.script(APPLICATION), query="raise")
    assert status == 0 and "outcome: 1\n" in out and "log: ValueError: on purpose" in out
    assert "embedded mode" in out


def test_a_missing_callable_is_a_404(run, place):
    status, out, err = run(place.script("app = 1"))
    assert status == 0 and "outcome: 404\n" in out and "WSGI0089" in out


def test_a_python_home_that_is_none_is_told(run, place):
    status, out, err = run(place.script(APPLICATION), python_home=str(place.folder))
    assert status == 3 and "WSGI0036" in out
