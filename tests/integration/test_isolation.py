"""The walls: no Python in the Apache parent, nothing of Apache's in a daemon."""

import grp
import json
import os
import pwd
import signal
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from harness import processes
from harness.plugin import MPMS
from harness.site import AS_ROOT

APPLICATION = """
    import os
    import time

    def application(environ, start_response):
        start_response("200 OK", [("Content-Type", "text/plain")])
        answer = str(os.getpid()).encode()
        if environ["QUERY_STRING"] == "large":
            time.sleep(0.1)
            return (answer.rjust(1 << 20) for _ in range(4))
        return [answer]
"""


BOARD, WINDOW = "/memfd:mod_wsgi board (deleted)", "/memfd:mod_wsgi response (deleted)"


def shared_memory(pid):
    """What a process maps together with others: names and inodes. The C library maps a table of its own so."""
    fields = [line.split(maxsplit=5) for line in processes.maps(pid).splitlines()]
    shared = {(line[-1], line[4]) for line in fields if line[1].endswith("s")}
    return {(name, inode) for name, inode in shared if not name.endswith("/gconv-modules.cache")}


def configure(site):
    script = site.write("pid.wsgi", APPLICATION)
    site.add(f"""
        WSGIDaemonProcess one
        # One thread each, so that requests at the same time go to both.
        WSGIDaemonProcess two processes=2 threads=1
        WSGIScriptAlias /embedded {script} application-group=%{{GLOBAL}}
        WSGIScriptAlias /sub {script} application-group=sub
        WSGIScriptAlias /one {script} process-group=one application-group=%{{GLOBAL}}
        WSGIScriptAlias /two {script} process-group=two application-group=%{{GLOBAL}}
    """)


def process_of(server, path, headers=None):
    answer = server.get(path, headers)
    assert answer.status == 200, answer
    return int(answer.body.split()[-1])


class TestBothModesAtOnce:
    modes = ("daemon",)
    configure = staticmethod(configure)

    def test_each_path_is_served_by_its_own_process(self, server):
        embedded, one, two = (process_of(server, path) for path in ("/embedded", "/one", "/two"))
        assert len({embedded, one, two, server.pid}) == 4

    @pytest.mark.ours_only("the C module loads libpython into the parent")
    def test_the_parent_maps_no_python(self, server):
        for path in ("/embedded", "/sub", "/one", "/two"):
            process_of(server, path)
        assert "python" not in processes.maps(server.pid).lower()

    @pytest.mark.ours_only("the C module forks daemons from the parent and leaves descriptors open")
    def test_a_daemon_holds_nothing_of_apache_but_its_log(self, server, site):
        for path in ("/one", "/two"):
            daemon = process_of(server, path)
            held = processes.descriptors(daemon)
            assert processes.listening_tcp_sockets(daemon) == []
            files = {target for target in held.values() if target.startswith("/") and target != WINDOW}
            assert files <= {"/dev/null", "/dev/urandom", str(site.log.path), str(site.root / "logs" / "console.log")}, held
            # Shared with the parent: the log, the socket on which this group's daemons listen, and the pipe that wakes it.
            shared = set(held.values()) & set(processes.descriptors(server.pid).values()) - files
            assert len([name for name in shared if name.startswith("socket:")]) <= 1, shared
            assert {name for name in shared if name.startswith("pipe:")} == {held[6]}, shared

    @pytest.mark.ours_only("the C module's daemons map the scoreboard of Apache")
    def test_memory_is_shared_with_processes_of_the_same_group_only(self, server, site):
        """But for windows of answers, which a daemon makes and Apache's children look at."""
        daemons = {"/one": set(), "/two": set()}
        for path, of_group in daemons.items():
            def all_are_known():
                with ThreadPoolExecutor(6) as pool:
                    of_group.update(pool.map(lambda _: process_of(server, f"{path}?large"), range(6)))
                return len(of_group) == (2 if path == "/two" else 1)
            processes.wait_until(all_are_known, "each process of the group has answered")
        boards, windows = {}, []
        for path, of_group in daemons.items():
            for daemon in of_group:
                shared = shared_memory(daemon)
                assert {name for name, _ in shared} <= {BOARD, WINDOW}, shared
                (boards[daemon],) = (inode for name, inode in shared if name == BOARD)
                windows += [inode for name, inode in shared if name == WINDOW]
        assert windows and len(set(windows)) == len(windows), "no two daemons have a window in common"
        assert len({boards[daemon] for daemon in daemons["/two"]}) == 1, "a group has one board"
        assert len(set(boards.values())) == 2, "and another group has another one"
        of_apache = shared_memory(server.pid)
        assert {(BOARD, inode) for inode in boards.values()} < of_apache
        assert any(name.startswith(("/dev/zero", "/SYSV")) for name, _ in of_apache), "there is a scoreboard to be had"

    @pytest.mark.ours_only("the C module forks daemons from the parent")
    def test_a_daemon_is_another_program_than_apache(self, server):
        program = Path(f"/proc/{process_of(server, '/one')}/exe").readlink()
        assert "python" in program.name
        assert Path(f"/proc/{server.pid}/exe").readlink() != program

    @pytest.mark.ours_only("the C module forks daemons from the parent")
    def test_a_daemon_maps_nothing_of_apache(self, server):
        mapped = processes.maps(process_of(server, "/one"))
        assert "mod_mpm" not in mapped and "libapr" not in mapped


@pytest.mark.ours_only("the C module loads libpython into the parent")
@pytest.mark.parametrize("mpm", MPMS)
def test_the_parent_maps_no_python_after_reloads(new_server, mpm):
    server = new_server(mpm)
    configure(server.site)
    server.start()
    for reload in (server.graceful, server.restart):
        for path in ("/embedded", "/sub", "/one", "/two"):
            process_of(server, path)
        reload()
        process_of(server, "/embedded")
        assert "python" not in processes.maps(server.pid).lower()


@pytest.mark.ours_only("the C module's daemons are forks of Apache")
class TestEnvironment:
    SECRET = "-".join(["word", "of", "the", "environment", "8152"])
    KEPT = {"TZ": "UTC", "LC_TIME": "C", "PYTHONUNBUFFERED": "1"}
    KEPT_BACK = {"APACHE_RUN_USER": "x", "SECRET_OF_APACHE": SECRET}

    def start(self, server):
        """The process id of the daemon, its environment as the application sees it, and the keys of the environ."""
        server.site.write("environ.wsgi", """
            import json
            import os

            def application(environ, start_response):
                start_response("200 OK", [("Content-Type", "application/json")])
                return [json.dumps([os.getpid(), dict(os.environ), sorted(environ)]).encode()]
        """)
        server.site.serve("environ.wsgi")
        server.extra_environment = self.KEPT | self.KEPT_BACK
        server.start()
        return json.loads(server.get("/").body)

    def test_a_daemon_has_of_apaches_what_python_needs_only(self, new_server):
        server = new_server()
        daemon, seen, keys = self.start(server)
        parts = [Path(f"/proc/{pid}/environ").read_bytes().decode().rstrip("\0").split("\0") for pid in (server.pid, daemon)]
        apache, own = (dict(part.split("=", 1) for part in variables) for variables in parts)
        assert server.extra_environment.items() <= apache.items(), "it was there to be had"
        expected = {"LANG", "PATH", "HOME", "USER", "USERNAME", "LOGNAME", *self.KEPT}
        assert self.KEPT.items() <= own.items() and set(own) <= expected, own
        assert self.KEPT.items() <= seen.items() and set(seen) <= {*own, "LC_CTYPE"}, seen
        assert not set(self.KEPT_BACK) & set(keys)

    @pytest.mark.root_only("only root can read the memory of these processes")
    def test_the_memory_of_a_daemon_has_nothing_of_the_rest(self, new_server):
        server = new_server()
        daemon, *_ = self.start(server)
        names = [self.SECRET.encode(), b"SECRET_OF_APACHE", b"APACHE_RUN_USER"]
        assert processes.holds(server.pid, *names) == [True] * 3, "the search finds what is there"
        assert processes.holds(daemon, *names) == [False] * 3


@pytest.mark.ours_only("the C module's daemons hold every log of the server")
class TestLogsOfVirtualHosts:
    """Each virtual host has a log and a group, and what its daemons say is in no log of another one."""

    modes = ("daemon",)
    hosts = ("a.test", "b.test")

    @classmethod
    def configure(cls, site):
        site.write("says.wsgi", """
            import atexit
            import os
            import subprocess
            import sys
            import threading

            def say(host):
                print(f"{host} prints later", file=sys.stderr)
                print(f"{host} prints to stdout later", flush=True)
                os.write(2, f"{host} writes to 2 later\\n".encode())
                os.write(1, f"{host} writes to 1 later\\n".encode())
                subprocess.run(["/bin/sh", "-c", f"echo {host} has a child that writes >&2"])

            def application(environ, start_response):
                host = environ["SERVER_NAME"]
                if environ["QUERY_STRING"] == "later":
                    threading.Timer(0.2, say, [host]).start()
                    atexit.register(print, f"{host} ends", file=sys.stderr)
                    print(f"{host} prints", file=sys.stderr)
                start_response("200 OK", [("Content-Type", "text/plain")])
                return [str(os.getpid()).encode()]
        """)
        cls.logs = {host: site.another_log(f"{host}.log") for host in cls.hosts}
        for host, log in cls.logs.items():
            site.add(f"""
                <VirtualHost *:{site.port}>
                    ServerName {host}
                    ErrorLog {log.path}
                    WSGIDaemonProcess {host} processes=2
                    WSGIScriptAlias / {site.path("says.wsgi")} process-group={host} application-group=%{{GLOBAL}}
                </VirtualHost>
            """)

    def daemons(self, server, host):
        return [pid for pid in server.processes() if f"wsgi:{host}" in processes.command_line(pid)]

    def test_a_daemon_holds_the_log_of_its_host_only(self, server, site):
        known = {str(path) for path in (site.root / "logs").iterdir()}
        for host in self.hosts:
            assert server.get("/", {"Host": host}).status == 200
            processes.wait_until(lambda: len(self.daemons(server, host)) == 2, "both processes of the group run")
            for daemon in self.daemons(server, host):
                held = processes.descriptors(daemon)
                own = str(self.logs[host].path)
                assert held[1] == held[2] == own, held
                assert known & set(held.values()) == {own}, held

    def test_what_is_said_outside_of_a_request_is_in_it(self, server, site):
        endings = ["prints", "prints later", "prints to stdout later", "writes to 2 later", "writes to 1 later",
                   "has a child that writes", "ends"]
        for host in self.hosts:
            daemon = process_of(server, "/?later", {"Host": host})
            processes.wait_until(lambda: self.logs[host].find(f"{host} has a child"), "the thread of the group says it")
            processes.kill(daemon, signal.SIGTERM)
            for ending in endings:
                self.logs[host].expect(f"{host} {ending}$")
        everything = {path.name: path.read_text() for path in (site.root / "logs").iterdir()}
        for host in self.hosts:
            assert [name for name, text in everything.items() if f"{host} " in text] == [f"{host}.log"]


@pytest.mark.root_only("only Apache started by root changes users, groups and priorities")
@pytest.mark.ours_only("the C module's daemons are forks of Apache, with its descriptors and its bounding set")
class TestWhatAProcessIs:
    """All that Apache makes of a process before it executes Python, together: no step undoes another one's work."""

    modes = ("daemon",)
    mpms = ("event", "prefork")
    user, groups = pwd.getpwnam("daemon"), ("games", "audio")
    high = -5 if AS_ROOT and int(processes.status(os.getpid(), "CapEff")[0], 16) >> 23 & 1 else 2
    """Only with CAP_SYS_NICE, which root of a container may lack, a process can be favoured."""

    @classmethod
    def configure(cls, site):
        script = site.write("self.wsgi", """
            import json
            import os

            def application(environ, start_response):
                start_response("200 OK", [("Content-Type", "application/json")])
                return [json.dumps({"pid": os.getpid(), "nice": os.getpriority(os.PRIO_PROCESS, 0), "groups": os.getgroups(),
                                    "ids": os.getresuid() + os.getresgid()}).encode()]
        """)
        for name, priority in (("low", 7), ("high", cls.high), ("usual", 0)):
            site.add(f"WSGIDaemonProcess {name} user=daemon home=/ cpu-priority={priority} processes=2 threads=3 "
                     f"supplementary-groups={','.join(cls.groups)}")
            site.add(f"WSGIScriptAlias /{name} {script} process-group={name} application-group=%{{GLOBAL}}")

    def ask(self, server, name="low"):
        answer = server.get(f"/{name}")
        assert answer.status == 200, answer
        return json.loads(answer.body)

    @staticmethod
    def threads(pid):
        return [int(thread) for thread in os.listdir(f"/proc/{pid}/task")]

    @pytest.mark.parametrize(("name", "nice"), [("low", 7), ("high", high), ("usual", os.getpriority(os.PRIO_PROCESS, 0))])
    def test_cpu_priority_is_that_of_each_of_its_threads(self, server, name, nice):
        """Also one that only root may have, from an Apache that has another one."""
        seen = self.ask(server, name)
        assert seen["nice"] == nice
        values = [os.getpriority(os.PRIO_PROCESS, thread) for thread in self.threads(seen["pid"])]
        assert len(values) > 3 and set(values) == {nice}
        assert os.getpriority(os.PRIO_PROCESS, server.pid) == os.getpriority(os.PRIO_PROCESS, 0), "Apache keeps its own"

    def test_it_has_exactly_these_groups_and_ids(self, server, site):
        seen = self.ask(server)
        own = pwd.getpwnam(site.apache_user).pw_gid
        wanted = sorted({own, *(grp.getgrnam(name).gr_gid for name in self.groups)})
        assert sorted(seen["groups"]) == wanted, "none of root's, of Apache's user or of its own user"
        assert seen["ids"] == [self.user.pw_uid] * 3 + [own] * 3
        for thread in self.threads(seen["pid"]):
            assert sorted(map(int, processes.status(thread, "Groups"))) == wanted
            assert processes.status(thread, "Uid") == [str(self.user.pw_uid)] * 4
            assert processes.status(thread, "Gid") == [str(own)] * 4

    def test_it_has_no_rights_and_gets_none_and_its_system_calls_are_not_filtered(self, server):
        for thread in self.threads(self.ask(server)["pid"]):
            for kind in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
                assert int(processes.status(thread, kind)[0], 16) == 0, kind
            assert processes.status(thread, "NoNewPrivs") == ["1"]
            assert processes.status(thread, "Seccomp") == processes.status(server.pid, "Seccomp"), "as Apache's"

    def test_its_descriptors_are_those_that_are_documented(self, server, site):
        """Nothing, the log twice, control socket, listening socket, bell. The board is closed once it is mapped, and all else
        the process has opened itself."""
        seen = {self.ask(server, name)["pid"] for name in ("low", "high", "usual")}
        of_apache = {target for pid in server.processes() if "mod_wsgi_daemon.py" not in " ".join(processes.command_line(pid))
                     for target in processes.descriptors(pid).values()}
        for pid in seen:
            held = processes.descriptors(pid)
            given = [held.pop(number) for number in (0, 1, 2, 3, 4, 6)]
            assert given[:3] == ["/dev/null", str(site.log.path), str(site.log.path)]
            assert given[3].startswith("socket:") and given[3] not in of_apache, "Apache's end is another socket"
            assert given[4].startswith("socket:") and given[5].startswith("pipe:") and {given[4], given[5]} <= of_apache
            assert all(target.startswith(("socket:", "pipe:", "anon_inode:[event", "/dev/urandom")) or target == WINDOW
                       for target in held.values()), held
            assert [target for target in held.values() if target in of_apache and not target.startswith("anon_inode:")] == []

    def test_a_program_that_it_executes_has_none_of_them_and_is_as_the_process_is(self, new_server):
        server = new_server()
        server.site.write("list.wsgi", """
            import subprocess
            import sys

            QUESTION = "import os; print(sorted(map(int, os.listdir('/proc/self/fd'))), os.nice(0), sorted(os.getgroups()))"

            def application(environ, start_response):
                start_response("200 OK", [])
                return [subprocess.run([sys.executable, "-c", QUESTION], close_fds=False, stdout=subprocess.PIPE).stdout]
        """)
        server.site.serve("list.wsgi", options="threads=2 user=daemon home=/ cpu-priority=4 supplementary-groups=games")
        server.start()
        own = pwd.getpwnam(server.site.apache_user).pw_gid
        groups = sorted({own, grp.getgrnam("games").gr_gid})
        # The fourth is the folder that it lists.
        assert server.get("/").text.strip() == f"[0, 1, 2, 3] 4 {groups}"
