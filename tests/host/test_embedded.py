"""Embedded mode: a host loaded by a program that is no Python, as an Apache child loads it."""

import re

import pytest
from wire import request

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


@pytest.fixture
def run(run_steps):
    def run(script, query="", group="", step="r", **how):
        environ = {"PATH_INFO": "/", "QUERY_STRING": query, "SCRIPT_FILENAME": str(script)}
        return run_steps([(step, request(script, environ, group=group)[8:])], **how)
    return run


def test_a_request_runs_and_python_ends_in_order(run, place):
    script = place.script(APPLICATION)
    status, out, err = run(script, python_optimize=1)
    assert (status, err) == (0, "")
    assert f"log: [script {script}] printed" in out and "head: 200 OK" in out and "outcome: 0\n" in out
    assert "data, flushed: body\nbody\nbody\n" in out and "flags 1\n" in out
    assert "server log 3: exit of ''" in out and out.endswith("stopped\n")


@pytest.mark.parametrize("group, own_lock", [("", False), ("sub", False), ("sub", True)])
def test_many_threads_run_many_requests(run, place, group, own_lock):
    options = [dict(per_interpreter_gil=own_lock)]
    status, out, err = run(place.script(APPLICATION), group=group, threads=8, repeat=200, interpreter_options=options)
    assert (status, err) == (0, "")
    assert out.count("outcome: 0\n") == 8 and out.count(f"group '{group}' flags") == 8
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


def test_a_stop_on_another_thread_runs_the_exit_functions(run, place):
    status, out, err = run(place.script(APPLICATION), group="sub", stop="elsewhere")
    assert (status, err) == (0, "")
    assert "exit of 'sub'" in out and out.endswith("stopped\n")


def test_a_stop_while_requests_run_leaves_them_alone(run, place):
    script = place.script(APPLICATION + "        time.sleep(1)\n        yield b'slept'\n")
    script.write_text("import time\n" + script.read_text())
    status, out, err = run(script, group="sub", threads=2, stop="early")
    assert (status, err) == (0, "")
    assert "exit of 'sub'" in out and out.count("slept\noutcome: 0\n") == 2 and out.index("exit of") < out.index("slept")


def test_an_application_gets_the_request_rec_when_it_is_passed(run, place):
    script = place.script("""
        import ctypes
        ctypes.pythonapi.PyCapsule_GetPointer.restype = ctypes.c_void_p
        ctypes.pythonapi.PyCapsule_GetPointer.argtypes = [ctypes.py_object, ctypes.c_char_p]
        def application(environ, start_response):
            start_response("200 OK", [])
            capsule = environ.get("apache.request_rec")
            pointer = capsule and ctypes.pythonapi.PyCapsule_GetPointer(capsule, None)
            # The program's request_rec begins with how often its body can still be read.
            return [repr(pointer and ctypes.c_int.from_address(pointer).value).encode()]
    """)
    status, out, err = run(script, step="R", repeat=5)
    assert (status, err) == (0, "") and "data, last: 3\n" in out
    status, out, err = run(script, repeat=5)
    assert (status, err) == (0, "") and "data, last: None\n" in out


def test_a_request_after_one_with_a_request_rec_has_none(run_steps, place):
    script = place.script("""
        def application(environ, start_response):
            start_response("200 OK", [])
            return [repr("apache.request_rec" in environ).encode()]
    """)
    head = request(script, {"PATH_INFO": "/"})[8:]
    status, out, err = run_steps([("R", head)] * 5 + [("r", head)] * 2)
    assert re.findall(r"data, last: (\w+)\n", out) == ["True"] * 5 + ["False"] * 2


def test_a_file_is_handed_over(run, place):
    script = place.script("""
        import os
        file = open(__file__, "rb")
        def close():
            print("closed at", os.lseek(file.fileno(), 0, 1))
            del file.close
        def application(environ, start_response):
            start_response("200 OK", [("Content-Length", "5")])
            file.seek(9)
            file.close = close
            return environ["wsgi.file_wrapper"](file)
    """)
    status, out, err = run(script)
    assert (status, err) == (0, "") and "head: 200 OK" in out and "outcome: 0\n" in out
    assert f"file: {script.read_text()[9:14]}\n" in out and "closed at 9\n" in out
