"""Daemon processes and Apache's life: death and replacement, graceful, restart, stop."""

import os
import signal
import threading
import time

import pytest

from harness import interpreters, processes, under_test
from harness.plugin import MODES, MPMS

APPLICATION = """
    import os
    import time

    def application(environ, start_response):
        what = environ["PATH_INFO"]
        if what == "/die":
            os._exit(7)
        if what == "/kill":
            os.kill(os.getpid(), 9)
        if what == "/slow":
            time.sleep(1)
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [str(os.getpid()).encode()]
"""


def configure(site, options=""):
    site.write("pid.wsgi", APPLICATION)
    site.serve("pid.wsgi", options=options)


def kill(server, process) -> None:
    """Kills a daemon process; that it is gone is worth a line in the log, which differs between the modules."""
    server.log.declare(r"WSGI7055: .* signal 9", r"WSGI0146: ")
    processes.kill(process)


def process_of(server) -> int:
    answer = server.get("/")
    assert answer.status == 200, answer
    return int(answer.body)


class TestADaemonThatDies:
    modes = ("daemon",)
    configure = staticmethod(configure)

    def test_a_killed_daemon_is_replaced(self, server):
        for _ in range(2):
            killed = process_of(server)
            kill(server, killed)
            processes.wait_until(lambda: not processes.is_alive(killed), "the daemon is gone")
            assert process_of(server) != killed
            for _ in range(5):
                process_of(server)

    def test_requests_sent_while_it_is_replaced_are_served(self, server):
        killed = process_of(server)
        with server.keep_alive() as connection:
            assert connection.get("/").status == 200
            kill(server, killed)
            assert connection.get("/").status == 200

    def test_a_daemon_that_dies_during_a_request_costs_that_request_alone(self, server):
        server.log.declare(r"wsgi:error.*(Truncated|data write error)", r"WSGI0146: ", r"WSGI7055: ")
        for path in ("/die", "/kill"):
            assert server.get(path).status in (500, 502, 503)
            process_of(server)

    def test_a_terminated_daemon_is_replaced(self, server):
        ended = process_of(server)
        os.kill(ended, signal.SIGTERM)
        processes.wait_until(lambda: not processes.is_alive(ended), "the daemon is gone")
        assert process_of(server) != ended


class TestOneOfTwoDaemons:
    modes = ("daemon",)

    @staticmethod
    def configure(site):
        configure(site, "processes=2 threads=3")

    def test_the_other_serves_while_it_is_replaced(self, server):
        killed = process_of(server)
        kill(server, killed)
        for _ in range(20):
            process_of(server)
        if under_test.OURS:
            # The requests may be faster than the parent, whose line belongs to this test.
            server.log.expect(f"WSGI7055: daemon process {killed} ")


@pytest.mark.parametrize("mpm", MPMS)
@pytest.mark.parametrize("mode", MODES)
class TestReload:
    """Each test has a server of its own: reloading changes what the next test would find."""

    @pytest.mark.parametrize("how", ["graceful", "restart"])
    def test_a_reload_starts_new_processes_that_serve(self, new_server, mpm, mode, how):
        server = new_server(mpm, mode)
        configure(server.site)
        server.start()
        for _ in range(2):
            before = process_of(server)
            getattr(server, how)()
            processes.wait_until(lambda: process_of(server) != before, "another process answers")
            processes.wait_until(lambda: not processes.is_alive(before), "the process of before ends")

    def test_a_graceful_reload_takes_the_new_configuration(self, new_server, mpm, mode):
        server = new_server(mpm, mode)
        configure(server.site)
        server.start()
        assert server.get("/").status == 200
        server.site.write("new.wsgi", APPLICATION.replace("str(os.getpid())", "'new'"))
        server.site.add(f"WSGIScriptAliasMatch ^/new {server.site.path('new.wsgi')}")
        server.site.add(f"Alias /static {server.site.root}/www")
        (server.site.root / "www" / "file.txt").write_text("static")
        server.graceful()
        processes.wait_until(lambda: server.get("/static/file.txt").body == b"static", "the new configuration")

    def test_stop_leaves_no_process_and_no_socket(self, new_server, mpm, mode):
        server = new_server(mpm, mode)
        configure(server.site, "processes=2 threads=3")
        server.start()
        process_of(server)
        assert len(server.processes()) >= 2
        # stop() fails if a process is left. Apache waits up to 3 s for a process that does not end by itself.
        assert server.stop() < 3
        left = [path.name for path in (server.site.root / "run").iterdir()]
        assert left == [], "the socket and the pid file are removed"


@pytest.mark.parametrize("mpm", MPMS)
class TestEmbeddedReload:
    def test_a_request_in_flight_survives_a_graceful_reload(self, new_server, mpm):
        server = new_server(mpm, "embedded")
        configure(server.site)
        server.start()
        answers = []
        slow = threading.Thread(target=lambda: answers.append(server.get("/slow")))
        slow.start()
        time.sleep(0.3)
        server.graceful()
        slow.join(10)
        assert [answer.status for answer in answers] == [200]


@pytest.mark.parametrize("mpm", MPMS)
class TestDaemonReload:
    def test_requests_right_after_reloads_are_answered(self, new_server, mpm):
        # The process of before and its successor listen on one socket: a connection must not fall between them.
        server = new_server(mpm, "daemon")
        configure(server.site)
        server.start()
        for number in range(20):
            reload = server.restart if number % 2 else server.graceful
            reload()
            for _ in range(3):
                assert server.get("/", timeout=5).status == 200


class TestReloadOfWhatCannotBeLoaded:
    """Preloaded scripts tell whether a new process could serve before one that does has to go."""

    APPLICATION = """
        import os
        import of_the_site

        def application(environ, start_response):
            start_response("200 OK", [])
            return [f"{of_the_site.VERSION} {os.getpid()}".encode()]
    """

    def start(self, server):
        server.site.write("of_the_site.py", "VERSION = 'one'\n")
        script = server.site.write("app.wsgi", self.APPLICATION)
        server.site.add(f"WSGIDaemonProcess app threads=3 python-path={server.site.root}/app",
                        f"WSGIScriptAlias / {script} process-group=app application-group=%{{GLOBAL}}")
        server.start()
        return server.get("/").text.split()

    @pytest.mark.ours_only("the C module's daemon answers 500 from the reload on")
    def test_a_process_that_serves_goes_on_until_its_successor_has_loaded_the_application(self, new_server):
        server = new_server("event", "daemon")
        version, before = self.start(server)
        server.site.write("of_the_site.py", "VERSION = 'two\n")
        # What each attempt says.
        server.log.allow("WSGI0110", "SyntaxError", "WSGI7031: ./", r"\[wsgi:error\] \[pid \d+:tid \d+\] ( |Traceback)")
        server.graceful()
        server.log.expect("WSGI7031: .*app.wsgi' cannot be loaded.*its earlier processes go on serving, and the start is tried again")
        for _ in range(20):
            assert server.get("/").text.split() == [version, before]
        server.site.write("of_the_site.py", "VERSION = 'two'\n")
        processes.wait_until(lambda: server.get("/").text.split()[0] == "two", "the mended application is served", 40)
        assert server.log.text().count("WSGI7031: daemon process group") == 1

    @pytest.mark.ours_only("the C module has no earlier process that could go on")
    def test_a_group_whose_python_is_gone_keeps_the_process_it_has(self, new_server):
        server = new_server("event", "daemon")
        home = server.site.root / "venv"
        interpreters.run(interpreters.system(), "-m", "venv", "--without-pip", home)
        interpreters.run("chmod", "-R", "a+rX", home)
        server.site.add(f"WSGIPythonHome {home}")
        version, before = self.start(server)
        home.rename(server.site.root / "away")
        server.log.allow("WSGI7041", "WSGI7050")
        server.graceful()
        server.log.expect("does not exist.*its earlier processes go on serving")
        for _ in range(20):
            assert server.get("/").text.split() == [version, before]
        (server.site.root / "away").rename(home)
        processes.wait_until(lambda: server.get("/").text.split()[1] != before, "the new process serves", 40)


@pytest.mark.ours_only("requests wait while the C module's new process imports")
@pytest.mark.parametrize("how", ["graceful", "maximum-requests"])
def test_a_slow_import_of_the_successor_keeps_nobody_waiting(new_server, how):
    server = new_server("event", "daemon")
    script = server.site.write("slow.wsgi", """
        import os
        import time
        time.sleep(3)

        def application(environ, start_response):
            start_response("200 OK", [])
            return [str(os.getpid()).encode()]
    """)
    options = "maximum-requests=20" if how == "maximum-requests" else ""
    server.site.add(f"WSGIDaemonProcess app threads=3 startup-timeout=30 {options}",
                    f"WSGIScriptAlias / {script} process-group=app application-group=%{{GLOBAL}}")
    server.start()
    before = server.get("/").text
    if how == "graceful":
        server.graceful()
    waits, begun = [], time.monotonic()
    while time.monotonic() < begun + 15:
        asked = time.monotonic()
        seen = server.get("/").text
        waits.append(time.monotonic() - asked)
        if seen != before:
            break
        time.sleep(0.02)
    assert seen != before and len(waits) > 20
    assert max(waits) < 1.5, "half of what the import takes"
