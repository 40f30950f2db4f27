"""Interpreters and scripts: application groups, loading, reloading, preloading, what the application may start."""

import os
import struct
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from wire import RELOADING

WHO = """
    import mod_wsgi, sys, threading, os
    count = 0

    def application(environ, start_response):
        global count
        count += 1
        start_response("200 OK", [])
        return [repr(eval(environ["QUERY_STRING"])).encode()]
"""


def evaluate(child, script, expression, **how):
    answer = child.ask(script, environ={"QUERY_STRING": expression}, **how)
    assert answer.status == 200, answer.log
    return eval(answer.body)


def test_each_application_group_has_an_interpreter_of_its_own(place):
    script, daemon = place.script(WHO), place.start().ready()
    child = daemon.child()
    for turn in (1, 2, 3):
        for group in ("", "one", "two"):
            assert evaluate(child, script, "mod_wsgi.application_group, count", group=group) == (group, turn)
    values = "mod_wsgi.version, mod_wsgi.process_group, mod_wsgi.maximum_processes, mod_wsgi.threads_per_process, mod_wsgi.__spec__"
    assert evaluate(child, script, values, group="one") == ((7, 0, 0), "test", 1, 3, None)
    daemon.retire()
    assert daemon.wait() == 0, daemon.text()


def test_all_threads_come_to_all_interpreters(place):
    script, daemon = place.script(WHO), place.start(threads=4).ready()
    children = [daemon.child() for _ in range(8)]
    for _ in range(5):
        for number, child in enumerate(children):
            group = f"group{number % 3}"
            assert evaluate(child, script, "mod_wsgi.application_group", group=group) == group
    daemon.retire()
    assert daemon.wait() == 0, daemon.text()


def test_exit_functions_and_threads_of_all_interpreters_are_run_to_their_end(place):
    script = place.script("""
        import atexit, threading, sys, time, mod_wsgi
        name = mod_wsgi.application_group or "main"
        done = threading.Event()
        def work():
            done.wait()
            print("thread of", name, "ended", file=sys.stderr)
        threading.Thread(target=work, daemon=False).start()
        threading._register_atexit(done.set) if hasattr(threading, "_register_atexit") else None
        atexit.register(lambda: print("exit of", name, file=sys.stderr))
        def application(environ, start_response):
            start_response("200 OK", [])
            return [b"ok"]
    """)
    daemon = place.start().ready()
    child = daemon.child()
    for group in ("", "sub"):
        assert child.ask(script, group=group).body == b"ok"
    daemon.retire()
    assert daemon.wait() == 0, daemon.text()
    for name in ("main", "sub"):
        daemon.expect(f"thread of {name} ended")
        daemon.expect(f"exit of {name}")


def test_a_daemon_thread_of_the_application_does_not_keep_the_process(place):
    script = place.script("""
        import threading, time, atexit, sys
        def work():
            while True:
                time.sleep(0.01)
        threading.Thread(target=work, daemon=True).start()
        atexit.register(lambda: print("exit function", file=sys.stderr))
        def application(environ, start_response):
            start_response("200 OK", [])
            return [b"ok"]
    """)
    for group in ("", "sub"):
        daemon = place.start().ready()
        assert daemon.child().ask(script, group=group).body == b"ok"
        daemon.retire()
        assert daemon.wait() == 0, daemon.text()
        daemon.expect("exit function")


def test_a_request_for_a_changed_script_waits_for_another_process_and_goes_there(place):
    script = place.script("def application(e, s): s('200 OK', []); return [b'one']")
    old = place.start(shutdown_timeout=3000).ready()
    child = old.child()
    assert child.ask(script, settings=RELOADING).body == b"one"
    script.write_text("def application(e, s): s('200 OK', []); return [b'two']")
    os.utime(script, (1, 1))
    assert child.ask(script).body == b"one", "without reloading nothing is looked at"
    child.begin(script, settings=RELOADING)
    old.wants_a_successor("script_reload")
    name = str(script).encode()
    assert old.loaded == [struct.pack("<I", len(name)) + name + struct.pack("<I", 0)], "it is told of before, for the successor to load it"
    assert old.child().ask(script).body == b"one", "who does not look does not wait"
    old.retire()
    answer = child.answer()
    assert (answer.status, answer.retry) == (503, True)
    assert old.wait() == 0
    new = place.start().ready()
    assert new.child().ask(script, settings=RELOADING).body == b"two"


def test_where_there_is_no_other_process_the_script_answers_as_it_was_and_each_change_is_asked_for_once(place):
    script = place.script("def application(e, s): s('200 OK', []); return [b'one']")
    daemon = place.start(threads=2).ready()
    child = daemon.child()
    assert child.ask(script, settings=RELOADING).body == b"one"
    for change in (1, 2):
        os.utime(script, (change, change))
        child.begin(script, settings=RELOADING)
        daemon.wants_a_successor("script_reload")
        daemon.decline()
        assert child.answer().body == b"one"
        assert child.ask(script, settings=RELOADING).body == b"one"
    daemon.retire()
    assert daemon.wait() == 0 and daemon.message() == ("", "")


def test_the_script_may_ask_for_its_reload(place):
    script = place.script("""
        def reload_required(resource):
            return resource.endswith(".wsgi") and ask
        ask = False
        def application(e, s):
            global ask
            s('200 OK', [])
            ask = e["QUERY_STRING"] == "now"
            return [b'fine']
    """)
    daemon = place.start().ready()
    child = daemon.child()
    assert child.ask(script, settings=RELOADING, environ={"QUERY_STRING": "now"}).body == b"fine"
    child.begin(script, settings=RELOADING)
    daemon.wants_a_successor("script_reload").retire()
    assert child.answer().retry


def test_a_script_that_fails_is_tried_again(place):
    script = place.script("import not_there_at_all")
    child = place.start().ready().child()
    for _ in range(2):
        answer = child.ask(script)
        assert answer.status == 500 and "WSGI0109: " in answer.log[0] and answer.log[1].startswith("WSGI0174: ")
        assert answer.log[-2] == "ModuleNotFoundError: No module named 'not_there_at_all'"
        assert answer.log[-1].startswith("WSGI7041: Python 3.")
    script.write_text("def application(e, s): s('200 OK', []); return [b'now']")
    assert child.ask(script).body == b"now"


def test_a_script_without_the_callable_is_named(place):
    script = place.script("app = None")
    answer = place.start().ready().child().ask(script, callable="start")
    assert answer.status == 500 and "'start'" in answer.log[0] and str(script) in answer.log[0] and "WSGI0089" in answer.log[0]


def test_a_missing_script_is_one_clear_line(place):
    child = place.start().ready().child()
    answer = child.ask(place.folder / "nowhere/app.wsgi")
    assert answer.status == 500 and len(answer.log) == 1
    assert f"; there is no '{place.folder}/nowhere': mend the path" in answer.log[0] and f"user {os.geteuid()}" in answer.log[0]


def test_scripts_are_preloaded_and_a_failure_does_not_stop_the_process(place):
    good, bad = place.script(WHO), place.script("1 / 0", "bad.wsgi")
    preload = [(str(bad), ""), (str(good), "sub"), (str(good), "")]
    daemon = place.start(preload=preload).ready()
    daemon.expect(r"\[wsgi:error\] \[pid \d+:tid \d+\] WSGI0110: ")
    daemon.expect("ZeroDivisionError")
    assert evaluate(daemon.child(), good, "count", group="sub") == 1


def test_programs_started_by_the_application_inherit_nothing(place):
    script = place.script("""
        import subprocess, sys
        PROGRAM = '''
        import os, signal
        open_files = sorted(int(name) for name in os.listdir("/proc/self/fd"))
        print(([n for n in open_files if n > 3], signal.pthread_sigmask(signal.SIG_BLOCK, []), signal.getsignal(signal.SIGTERM) == signal.SIG_DFL))
        '''.replace("        ", "")
        def application(environ, start_response):
            start_response("200 OK", [])
            found = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, close_fds=False)
            return [(found.stdout + found.stderr).encode()]
    """)
    answer = place.start().ready().child().ask(script)
    assert eval(answer.body) == ([], set(), True)


def test_a_forked_process_leaves_the_connection_alone(place):
    script = place.script("""
        import os, sys, time
        def application(environ, start_response):
            how = environ["QUERY_STRING"]
            child = os.fork()
            if child == 0:
                print("printed by the child")
                if how == "raise":
                    raise ValueError("in the child")
                if how == "exit":
                    os._exit(1)
            else:
                assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 1
            start_response("200 OK", [])
            return [b"ok"]
    """)
    daemon = place.start().ready()
    child = daemon.child()
    for how in ("return", "raise", "exit"):
        answer = child.ask(script, environ={"QUERY_STRING": how})
        assert answer.body == b"ok" and not answer.log
    assert daemon.text().count("printed by the child") == 3


def test_multiprocessing_works_in_the_application(place):
    place.script("def double(x): return 2 * x\n", "worker_module.py")
    script = place.script("""
        import multiprocessing, worker_module, sys
        def application(environ, start_response):
            start_response("200 OK", [])
            context = multiprocessing.get_context(environ["QUERY_STRING"])
            with context.Pool(1) as pool:
                return [repr((pool.map(worker_module.double, [1, 2, 3]))).encode()]
    """)
    daemon = place.start(home=str(place.folder)).ready()
    child = daemon.child()
    for how in ("spawn", "fork"):
        answer = child.ask(script, environ={"QUERY_STRING": how})
        assert answer.body == b"[2, 4, 6]", (answer.log, daemon.text())


def test_sys_executable_is_the_python_that_was_started(place):
    script = place.script(WHO)
    child = place.start().ready().child()
    executable, prefix, mask = evaluate(child, script, "sys.executable, sys.prefix, __import__('signal').signal.__class__.__name__")
    assert os.path.realpath(executable) == os.path.realpath(place.python) and mask == "SignalIntercept"


def test_a_virtual_environment_is_itself(place):
    import subprocess
    venv = place.folder / "venv"
    subprocess.run([place.python, "-m", "venv", "--without-pip", str(venv)], check=True)
    script = place.script(WHO)
    child = place.start(python=str(venv / "bin/python3"), options=["-I"]).ready().child()
    assert evaluate(child, script, "sys.prefix") == str(venv)


def test_python_path_and_home_are_in_front(place):
    for name in ("a", "b", "elsewhere"):
        (place.folder / name).mkdir()
    (place.folder / "a/more.pth").write_text(f"{place.folder}/elsewhere\n")
    script = place.script(WHO)
    daemon = place.start(home=str(place.folder), python_path=[f"{place.folder}/a", f"{place.folder}/b"]).ready()
    path = evaluate(daemon.child(), script, "sys.path[:4]")
    assert path == [str(place.folder), *(f"{place.folder}/{name}" for name in ("a", "elsewhere", "b"))]
    assert evaluate(daemon.child(), script, "os.getcwd()") == str(place.folder)


def test_restricted_streams_raise_oserror(place):
    script = place.script("""
        import sys
        def application(environ, start_response):
            start_response("200 OK", [])
            answers = []
            for use in (lambda: print("x"), lambda: sys.stdin.read()):
                try:
                    use()
                except OSError as error:
                    answers.append(str(error))
            return [repr(answers).encode()]
    """)
    child = place.start(restrict_stdin=True, restrict_stdout=True).ready().child()
    out, into = eval(child.ask(script).body)
    assert out == "sys.stdout access restricted by mod_wsgi" and into == "sys.stdin access restricted by mod_wsgi"


def test_output_outside_of_requests_goes_to_the_error_log(place):
    script = place.script("""
        import sys, threading, time
        def later():
            print("from a thread")
        print("while loading")
        def application(environ, start_response):
            thread = threading.Thread(target=later)
            thread.start()
            thread.join()
            start_response("200 OK", [])
            return [b""]
    """)
    daemon = place.start(preload=[(str(script), "")]).ready()
    daemon.expect(r"\[\w{3} \w{3} \d\d [\d:.]{15} \d{4}\] \[wsgi:error\] \[pid \d+:tid \d+\] while loading\n")
    assert daemon.child().ask(script).log == []
    daemon.expect("from a thread")


class TestInterpreterOptions:
    """`<WSGIInterpreterOptions>`; which section counts is tested in src/core/interpreter_options.rs."""

    def test_paths_of_sections_come_in_front_of_those_of_the_group(self, place):
        for name in ("base", "all", "own"):
            (place.folder / name).mkdir()
        path = lambda name: [f"{place.folder}/{name}"]
        options = [dict(application_group=b"sub", python_path=path("own")), dict(python_path=path("all") + path("base"))]
        script = place.script(WHO)
        child = place.start(python_path=path("base"), interpreter_options=options).ready().child()
        mine = f"[name for name in sys.path if name.startswith({str(place.folder)!r})]"
        assert evaluate(child, script, mine, group="sub") == path("own") + path("all") + path("base")
        assert evaluate(child, script, mine) == path("all") + path("base")

    def test_restrictions_are_for_the_interpreters_of_a_section(self, place):
        script = place.script(WHO)
        options = [dict(application_group=b"sub", restrict_stdin=True, restrict_stdout=True, restrict_signal=False)]
        child = place.start(interpreter_options=options).ready().child()
        facts = "type(sys.stdin).__name__, type(sys.stdout).__name__, type(__import__('signal').signal).__name__"
        assert evaluate(child, script, facts, group="sub") == ("Restricted", "Restricted", "function")
        assert evaluate(child, script, facts) == ("TextIOWrapper", "TextIOWrapper", "SignalIntercept")

    def test_a_switch_interval_of_one_application_group_needs_a_lock_of_its_own(self, place):
        script = place.script(WHO)
        options = [dict(application_group=b"", switch_interval=20_000), dict(application_group=b"sub", switch_interval=30_000)]
        daemon = place.start(switch_interval=10_000, interpreter_options=options).ready()
        child = daemon.child()
        if not place.has_lock():
            assert evaluate(child, script, "sys.getswitchinterval()", group="sub") == 0.005
            daemon.expect("WSGI0205.*'sub'.*do not take turns")
            return
        assert evaluate(child, script, "sys.getswitchinterval()") == 0.02
        assert evaluate(child, script, "sys.getswitchinterval()", group="sub") == 0.02
        daemon.expect("WSGI0199")

    def test_an_interpreter_has_a_lock_of_its_own(self, place):
        script = place.script("""
            import sys, threading, time
            def application(environ, start_response):
                start_response("200 OK", [])
                begin = time.monotonic()
                if environ["QUERY_STRING"] == "hold":
                    # Nobody else of this lock runs meanwhile.
                    sum(range(20_000_000))
                return [repr((sys.getswitchinterval(), sys.version_info[:2], begin, time.monotonic())).encode()]
        """)
        options = [dict(application_group=b"own", per_interpreter_gil=True, switch_interval=60_000_000)]
        daemon = place.start(interpreter_options=options, threads=2).ready()
        other, own = daemon.child(), daemon.child()
        interval, version, *_ = eval(other.ask(script).body)
        held, *_ = eval(own.ask(script, group="own").body)
        assert interval == 0.005
        if version < (3, 12):
            daemon.expect("WSGI0198.*'own'")
            return
        if not place.has_lock():
            daemon.expect("WSGI0202.*'own'")
            return
        assert held == 60
        with ThreadPoolExecutor(1) as pool:
            holding = pool.submit(own.ask, script, group="own", environ={"QUERY_STRING": "hold"})
            times = []
            while not holding.done():
                times.append(eval(other.ask(script).body)[2])
        _, _, begin, end = eval(holding.result().body)
        assert len([time for time in times if begin < time < end]) > 5
        assert evaluate(own, place.script(WHO, "who.wsgi"), "mod_wsgi.application_group", group="own") == "own"
        daemon.retire()
        assert daemon.wait() == 0, daemon.text()

    def test_many_threads_come_to_many_interpreters_with_locks_of_their_own(self, place):
        script = place.script(WHO)
        daemon = place.start(interpreter_options=[dict(per_interpreter_gil=True)], threads=4).ready()

        def work(number):
            child = daemon.child()
            for turn in range(60):
                group = f"group{(number + turn) % 3}" if turn % 4 else ""
                assert evaluate(child, script, "mod_wsgi.application_group, len(dir(sys))", group=group)[0] == group
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(work, range(4)))
        daemon.retire()
        assert daemon.wait() == 0, daemon.text()
