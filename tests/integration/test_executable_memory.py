"""No memory is both writable and executable, and none that was writable becomes executable: SELinux without `httpd_execmem` and
systemd's `MemoryDenyWriteExecute=` refuse it. The kernel can be asked to refuse the same (PR_SET_MDWE, prctl(2))."""

import json
import subprocess
import sys

import pytest

from harness import interpreters, processes, under_test

PR_SET_MDWE, PR_MDWE_REFUSE_EXEC_GAIN = 65, 1

# Executes what follows with that refusal, which what it forks and executes inherits.
REFUSING = f"""
import ctypes, os, sys
libc = ctypes.CDLL(None, use_errno=True)
if libc.prctl({PR_SET_MDWE}, {PR_MDWE_REFUSE_EXEC_GAIN}, 0, 0, 0):
    sys.exit(os.strerror(ctypes.get_errno()))
os.execv(sys.argv[1], sys.argv[1:])
"""
LAUNCHER = [sys.executable, "-c", REFUSING]

APPLICATION = """
    import hashlib
    import json
    import mmap
    import os
    import sqlite3
    import ssl
    import threading

    kept = []

    def executable(keep):
        try:
            memory = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
        except PermissionError:
            return "refused"
        kept.append(memory) if keep else memory.close()
        return "granted"

    def application(environ, start_response):
        thread = threading.Thread(target=lambda: sqlite3.connect(":memory:").close())
        thread.start()
        thread.join()
        sent = environ["wsgi.input"].read()
        start_response("200 OK", [("Content-Type", "application/json")])
        said = {"pid": os.getpid(), "memory": executable(environ["QUERY_STRING"] == "keep"), "text": "ONE", "sent": len(sent)}
        return [json.dumps(said).encode()]
"""


def both_writable_and_executable(pid):
    return [line for line in processes.maps(pid).splitlines() if "w" in line.split()[1] and "x" in line.split()[1]]


def versions(site):
    """The Pythons to ask: the distribution's as it is and in a virtual environment, in daemon mode every other, too."""
    found = {"system": None, "virtualenv": interpreters.virtualenv(interpreters.system())}
    if site.embedded:
        return {"system": None}
    if under_test.OURS:
        found |= {f"{major}.{minor}": interpreters.virtualenv(python) for (major, minor), python in interpreters.hosted().items()}
    return found


def serve(site):
    site.write("app.wsgi", APPLICATION)
    for name, home in versions(site).items():
        group = f"p{name}"
        if not site.embedded:
            site.add(f"WSGIDaemonProcess {group} processes=1 threads=3{f' python-home={home}' if home else ''}")
        # An application group is an interpreter of its own.
        for interpreter in ("%{GLOBAL}", "another"):
            process_group = "%{GLOBAL}" if site.embedded else group
            site.add(f"WSGIScriptAlias /{name}/{interpreter.strip('%{}')} {site.path('app.wsgi')} process-group={process_group} "
                     f"application-group={interpreter}")


def ask_all(server, text="ONE"):
    """What each says, after a body went in and an answer came out."""
    said = []
    for name in versions(server.site):
        for interpreter in ("GLOBAL", "another"):
            answer = server.post(f"/{name}/{interpreter}", b"x" * 100_000)
            assert answer.status == 200, answer
            one = json.loads(answer.body)
            assert one["sent"] == 100_000 and one["text"] == text
            said.append(one)
    return said


class TestMemory:
    mpms = ("event",)
    configure = staticmethod(serve)

    def test_no_process_that_serves_has_memory_both_writable_and_executable(self, server):
        said = ask_all(server)
        assert {one["memory"] for one in said} == {"granted"}
        pids = {one["pid"] for one in said} | set(server.processes())
        assert len(pids) > 1
        assert {pid: found for pid in pids if (found := both_writable_and_executable(pid))} == {}
        # Which would have been found.
        kept = json.loads(server.get("/system/GLOBAL?keep").body)["pid"]
        assert len(both_writable_and_executable(kept)) == 1


class TestRefusal:
    @staticmethod
    def configure(site):
        tried = subprocess.run([*LAUNCHER, "/bin/true"], capture_output=True, text=True)
        if tried.returncode:
            pytest.skip(f"this kernel (Linux 6.3 is needed) does not refuse executable memory: {tried.stderr.strip()}")
        site.launcher = LAUNCHER
        serve(site)

    def test_every_process_serves_where_the_kernel_refuses_executable_memory(self, server):
        assert {one["memory"] for one in ask_all(server)} == {"refused"}

    def test_so_do_those_of_a_reload_and_of_a_changed_script(self, server):
        before = {one["pid"] for one in ask_all(server)}
        server.graceful()
        processes.wait_until(lambda: not before & {one["pid"] for one in ask_all(server)}, "new processes serve", 20)
        server.site.write("app.wsgi", APPLICATION.replace("ONE", "another"))
        assert {one["memory"] for one in ask_all(server, "another")} == {"refused"}
        server.site.write("app.wsgi", APPLICATION)
