"""WSGIDaemonProcess: the options that test_wsgi_daemon_process.py leaves, each by what it does to a process or a request."""

import grp
import json
import os
import pwd
import random
import re
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from harness import processes, under_test

TOP = Path(__file__).parents[2]
SECONDS = r"(\d+\.\d{3})"
STAGES = re.compile(rf"for {SECONDS} seconds in thread \d+ \(queue {SECONDS}, script {SECONDS}, read {SECONDS}, write {SECONDS}, "
                    rf"application {SECONDS}; in the application\)$")

APPLICATION = """
    import atexit
    import ctypes
    import json
    import os
    import re
    import resource
    import socket
    import sys
    import time

    def stack_size():
        library = ctypes.CDLL(None)
        library.pthread_self.restype = ctypes.c_ulong
        attributes, size = ctypes.create_string_buffer(256), ctypes.c_size_t()
        library.pthread_getattr_np(ctypes.c_ulong(library.pthread_self()), attributes)
        library.pthread_attr_getstacksize(attributes, ctypes.byref(size))
        return size.value

    def buffers():
        # Of the listening socket of the group and of the connections to it: whether it listens, and the two sizes.
        for file in os.listdir("/proc/self/fd"):
            try:
                one = socket.socket(fileno=int(file))
            except OSError:
                continue
            if one.family == socket.AF_UNIX and one.getsockname():
                yield [one.getsockopt(socket.SOL_SOCKET, which) for which in (socket.SO_ACCEPTCONN, socket.SO_SNDBUF, socket.SO_RCVBUF)]
            one.detach()

    def application(environ, start_response):
        what = environ["QUERY_STRING"]
        if what.startswith("sleep="):
            until = time.monotonic() + float(what[6:])
            while time.monotonic() < until:
                time.sleep(0.01)
        if what == "lock":
            re.match("(a+)+$", "a" * 60 + "b")
        if what == "burn":
            until = time.process_time() + 1.5
            while time.process_time() < until:
                pass
        if what == "hang at exit":
            atexit.register(time.sleep, 30)
        headers = [("Content-Type", "application/json")]
        if what == "header":
            headers.append(("X-Long", "x" * 20000))
        start_response("200 OK", headers)
        if what == "echo":
            body = environ["wsgi.input"].read()
            return [body[at:at + 100_000] for at in range(0, len(body), 100_000)]
        if what == "items":
            def items():
                yield b"one"
                time.sleep(1)
                yield b"two"
            return items()
        return [json.dumps({
            "pid": os.getpid(), "groups": os.getgroups(), "eggs": os.environ.get("PYTHON_EGG_CACHE"),
            "interval": sys.getswitchinterval(), "stack": stack_size(), "nice": os.getpriority(os.PRIO_PROCESS, 0),
            "data": resource.getrlimit(resource.RLIMIT_DATA), "space": resource.getrlimit(resource.RLIMIT_AS),
            "cpu": resource.getrlimit(resource.RLIMIT_CPU), "root": os.readlink("/proc/self/root"),
            "buffers": list(buffers()),
        }).encode()]
"""


class Options:
    """Each class serves one WSGIDaemonProcess `app` with the options of that name, in daemon mode."""

    modes = ("daemon",)
    mpms = ("event", "prefork")
    options = ""

    @classmethod
    def configure(cls, site):
        site.write("app.wsgi", APPLICATION)
        site.serve("app.wsgi", options=cls.options)

    @staticmethod
    def ask(server, query=""):
        answer = server.get(f"/?{query}")
        assert answer.status == 200, answer
        return json.loads(answer.body)


def test_every_option_has_a_test():
    known = re.findall(r'^            "([a-z-]+)" =>', (TOP / "src/core/daemon_options.rs").read_text(), re.M)
    assert len(known) >= 44
    tests = "".join(path.read_text() for folder in ("conformance", "integration") for path in (TOP / "tests" / folder).glob("*.py"))
    assert [name for name in known if f"{name}=" not in tests] == []


class TestValues(Options):
    options = ("python-eggs=/var/tmp/eggs switch-interval=0.25 stack-size=1048576 cpu-priority=3 memory-limit=2000000000 "
               "virtual-memory-limit=8000000000 cpu-time-limit=1000 shutdown-timeout=4 send-buffer-size=65536 receive-buffer-size=81920")

    def test_python_eggs_is_the_variable(self, server):
        assert self.ask(server)["eggs"] == "/var/tmp/eggs"

    @pytest.mark.since((6, 0), "it knows no such option")
    @pytest.mark.needs_lock("it does not switch")
    def test_switch_interval_is_set(self, server):
        assert self.ask(server)["interval"] == pytest.approx(0.25)

    def test_stack_size_is_that_of_the_thread(self, server):
        assert 1048576 <= self.ask(server)["stack"] <= 1048576 + 65536

    def test_cpu_priority_is_the_nice_value(self, server):
        assert self.ask(server)["nice"] == 3

    def test_the_limits_are_set(self, server):
        seen = self.ask(server)
        assert seen["data"] == [2000000000] * 2 and seen["space"] == [8000000000] * 2
        assert seen["cpu"] == [1000, 1000 + 1 + 4], "the hard limit leaves time for the end"

    def test_buffers_of_that_size_carry_large_bodies_and_answers(self, server):
        body = random.Random(1).randbytes(6 << 20)
        with ThreadPoolExecutor(3) as pool:
            for answer in pool.map(lambda _: server.post("/?echo", body), range(3)):
                assert answer.status == 200 and answer.complete and len(answer.body) == len(body) and answer.body == body

    def test_the_listening_socket_has_buffers_of_these_sizes(self, server):
        """Linux gives twice as much as is asked for."""
        assert [sizes for listens, *sizes in self.ask(server)["buffers"] if listens] == [[2 * 65536, 2 * 81920]]

    @pytest.mark.ours_only("the C module leaves it to the system, and Linux does not pass it on")
    def test_and_so_has_the_send_buffer_of_a_connection(self, server):
        connections = [send for listens, send, _ in self.ask(server)["buffers"] if not listens]
        assert connections and set(connections) == {2 * 65536}

    @classmethod
    def configure(cls, site):
        options = cls.options if under_test.version() >= (6, 0) else cls.options.replace("switch-interval=0.25 ", "")
        site.write("app.wsgi", APPLICATION)
        site.serve("app.wsgi", options=options)


class TestNoValues(Options):
    """Without them it is as the system has it, so that the values above are seen to come from the options."""

    def test_stacks_and_buffers_are_the_systems(self, server):
        seen = self.ask(server)
        assert seen["stack"] >= 2 << 20 and seen["nice"] == os.getpriority(os.PRIO_PROCESS, server.pid)
        default = [int(Path(f"/proc/sys/net/core/{which}mem_default").read_text()) for which in "wr"]
        assert [sizes for listens, *sizes in seen["buffers"] if listens] == [default]

    @pytest.mark.ours_only("the C module leaves connections as they are")
    def test_a_connection_has_twice_as_much_to_send(self, server):
        """Or as much as a process may have, which is the default of the machine where nobody has changed it."""
        (default, most) = (int(Path(f"/proc/sys/net/core/wmem_{which}").read_text()) for which in ("default", "max"))
        sent = {send for listens, send, _ in self.ask(server)["buffers"] if not listens}
        assert sent == {min(2 * default, 2 * most)}


@pytest.mark.root_only("only Apache started by root can change groups")
class TestSupplementaryGroups(Options):
    options = "user=daemon home=/ supplementary-groups=games,#65534"

    def test_they_replace_those_of_the_user(self, server, site):
        own = pwd.getpwnam(site.apache_user).pw_gid
        assert set(self.ask(server)["groups"]) == {own, grp.getgrnam("games").gr_gid, 65534}


@pytest.mark.root_only("only Apache started by root can change the root")
@pytest.mark.ours_only("the C module takes no script to be below /")
class TestChroot(Options):
    options = "chroot=/ home=/"

    def test_the_process_has_that_root(self, server):
        assert self.ask(server)["root"] == "/"


@pytest.mark.root_only("only Apache started by root can change the root")
@pytest.mark.ours_only("the C module lets requests wait")
class TestChrootThatIsNotThere(Options):
    options = "chroot=/no/such/root"

    def test_requests_get_503_and_the_log_says_why(self, server):
        processes.wait_until(lambda: "its root cannot be set to chroot" in server.log.path.read_text(), "the start fails")
        answer = server.get("/")
        assert answer.status == 503 and answer.headers["Retry-After"]
        server.log.declare("WSGI7053: .*its root cannot be set to chroot", "WSGI7063")


class TestMaximumRequests(Options):
    options = "maximum-requests=3 threads=1"

    def test_another_process_serves_after_that_many(self, server):
        seen = []
        for _ in range(40):
            seen.append(self.ask(server)["pid"])
            time.sleep(0.05)
        assert len(set(seen)) >= 3 and seen.count(seen[0]) >= 3


class TestRestartInterval(Options):
    options = "restart-interval=1"

    def test_another_process_serves_after_that_time(self, server):
        before = self.ask(server)["pid"]
        processes.wait_until(lambda: self.ask(server)["pid"] != before, "another process serves", 20)


class TestStartupTimeout(Options):
    options = "startup-timeout=1 threads=2"

    @classmethod
    def configure(cls, site):
        site.write("app.wsgi", "import time; time.sleep(30)")
        site.add(f"WSGIDaemonProcess app {cls.options}", "WSGIProcessGroup app",
                 f"WSGIScriptAlias / {site.path('app.wsgi')}")

    @pytest.mark.ours_only("the C module kills the process, and the client gets 502 or waits")
    def test_a_request_for_a_script_that_does_not_load_gets_504(self, server):
        begun = time.monotonic()
        assert server.get("/").status == 504
        assert time.monotonic() - begun < 6
        server.log.declare("WSGI7028: startup-timeout has passed: request 'GET / HTTP/1.1'")
        server.log.allow("WSGI7028", "WSGI7021")


class TestRequestTimeout(Options):
    options = "request-timeout=1 threads=1 graceful-timeout=2 shutdown-timeout=1"

    def test_a_request_that_takes_longer_is_ended(self, server):
        begun = time.monotonic()
        status = server.get("/?sleep=20").status
        assert status == 504 if under_test.OURS else status in (500, 502, 504)
        assert time.monotonic() - begun < 10
        server.log.allow("WSGI7028", "WSGI7021", "Truncated or oversized", "WSGI0147", "WSGI0146")
        assert self.ask(server)

    @pytest.mark.ours_only("the C module has the stack at info")
    def test_the_log_has_the_request_and_where_it_hung(self, server):
        assert server.get("/?sleep=20").status == 504
        said = server.log.expect(r"WSGI7028: request-timeout has passed: request 'GET /\?sleep=20 HTTP/1.1'")
        ran, *stages = map(float, STAGES.search(said).groups())
        assert 1 <= ran < 5 and stages[4] == pytest.approx(ran, abs=0.5), "it is the application that took it"
        server.log.expect(r"WSGI7028: .*in application")
        server.log.allow("WSGI7028", "WSGI7021")


class TestRequestTimeoutSiblings(Options):
    options = "request-timeout=1 threads=3"

    @pytest.mark.ours_only("the C module's siblings are cut off by its own drain")
    def test_siblings_finish_and_the_stuck_one_gets_504(self, server):
        answers = {}

        def ask(query):
            answers[query] = server.get(f"/?{query}").status
        threads = [threading.Thread(target=ask, args=["sleep=20"])]
        threads[0].start()
        time.sleep(1.5)
        threads += [threading.Thread(target=ask, args=[f"sleep=1.{number}"]) for number in range(2)]
        for thread in threads[1:]:
            thread.start()
        for thread in threads:
            thread.join(20)
        assert answers == {"sleep=20": 504, "sleep=1.0": 200, "sleep=1.1": 200}
        server.log.declare("WSGI7028: request-timeout has passed")
        server.log.allow("WSGI7028", "WSGI7021")


@pytest.mark.since((6, 0), "it knows no such option")
class TestInterruptTimeout(Options):
    options = "request-timeout=1 interrupt-timeout=5 threads=1"

    def test_the_request_is_interrupted_and_the_process_stays(self, server):
        before = self.ask(server)["pid"]
        begun = time.monotonic()
        assert server.get("/?sleep=20").status == 504
        assert time.monotonic() - begun < 5
        assert self.ask(server)["pid"] == before
        server.log.allow("WSGI702[56]")


class TestDeadlockTimeout(Options):
    options = "deadlock-timeout=1 threads=2 shutdown-timeout=1 graceful-timeout=1"

    @pytest.mark.needs_lock("nobody can hold it")
    def test_a_process_whose_lock_is_held_is_replaced(self, server):
        before = self.ask(server)["pid"]
        begun = time.monotonic()
        status = server.get("/?lock").status
        assert status == 504 if under_test.OURS else status in (500, 502, 504)
        assert time.monotonic() - begun < 15
        assert self.ask(server)["pid"] != before
        server.log.allow("WSGI702[78]", "Truncated or oversized", "WSGI0147")


class TestGracefulTimeout(Options):
    options = "graceful-timeout=10 threads=2"

    def test_a_running_request_finishes_within_it(self, server):
        process, answers = self.ask(server)["pid"], []
        running = threading.Thread(target=lambda: answers.append(self.ask(server, "sleep=1.5")["pid"]))
        running.start()
        time.sleep(0.5)
        os.kill(process, signal.SIGUSR1)
        running.join(20)
        assert answers == [process]
        processes.wait_until(lambda: self.ask(server)["pid"] != process, "another process serves")


class TestEvictionTimeout(Options):
    options = "graceful-timeout=15 eviction-timeout=1 shutdown-timeout=1 threads=2"

    def test_after_sigusr1_it_counts_instead(self, server):
        process, answers = self.ask(server)["pid"], []
        running = threading.Thread(target=lambda: answers.append(server.get("/?sleep=12").status))
        begun = time.monotonic()
        running.start()
        time.sleep(0.5)
        os.kill(process, signal.SIGUSR1)
        running.join(20)
        assert answers == [502] if under_test.OURS else answers in ([500], [502])
        assert time.monotonic() - begun < 8
        server.log.allow("WSGI7023", "WSGI0146", "WSGI7055", "Truncated or oversized", "WSGI0147")


class TestShutdownTimeout(Options):
    options = "shutdown-timeout=1"

    def test_an_end_that_hangs_is_cut_off(self, new_server):
        server = new_server("event", "daemon")
        self.configure(server.site)
        server.start()
        self.ask(server, "hang%20at%20exit")
        server.get("/?hang at exit".replace(" ", "%20"))
        server.log.allow("WSGI7021", "AH0004[56]", "Truncated or oversized", "WSGI0147")
        assert server.stop() < 5


class TestQueueTimeout(Options):
    options = "queue-timeout=1 threads=1"

    def test_a_request_that_waited_longer_gets_504(self, server):
        answers = []
        first = threading.Thread(target=lambda: answers.append(server.get("/?sleep=2.5").status))
        first.start()
        time.sleep(0.3)
        assert server.get("/").status == 504
        first.join(10)
        assert answers == [200]
        server.log.allow("WSGI0084", "Queue timeout expired")


class TestConnectTimeout(Options):
    options = "connect-timeout=1 listen-backlog=1 threads=1"
    mpms = ("event",)

    def test_when_the_queue_stays_full_requests_get_503(self, server):
        statuses = []
        asking = [threading.Thread(target=lambda: statuses.append(server.get("/?sleep=3", timeout=40).status)) for _ in range(8)]
        for thread in asking:
            thread.start()
            time.sleep(0.05)
        for thread in asking:
            thread.join(60)
        assert statuses.count(503) >= 3 and statuses.count(200) >= 1, statuses
        server.log.declare("WSGI0116|Resource temporarily unavailable|Unable to connect")
        server.log.allow("WSGI0116", "Truncated or oversized", "WSGI0147")


@pytest.mark.since((6, 0), "it knows no such option")
class TestResponseFlushDelay(Options):
    options = "response-flush-delay=0"

    def test_an_item_is_sent_before_the_next_one_is_there(self, server):
        with server.connect() as connection:
            connection.sendall(b"GET /?items HTTP/1.0\r\n\r\n")
            begun, received = time.monotonic(), b""
            while b"one" not in received:
                received += connection.recv(1000)
            assert time.monotonic() - begun < 0.9
            while data := connection.recv(1000):
                received += data
        assert received.endswith(b"onetwo")


class TestHeaderBufferSize(Options):
    options = "header-buffer-size=8192 server-metrics=Off"

    def test_it_is_accepted(self, server):
        assert self.ask(server)["pid"]

    @pytest.mark.ours_only("the C module answers 500: it limits headers to that size")
    def test_a_longer_header_passes(self, server):
        assert server.get("/?header").headers["X-Long"] == "x" * 20000


@pytest.mark.root_only("only Apache started by root gives files away")
class TestSocketUser(Options):
    options = "socket-user=daemon"

    def test_the_socket_belongs_to_that_user(self, server, site):
        (path,) = (site.root / "run").glob("w.*.sock")
        assert path.stat().st_uid == pwd.getpwnam("daemon").pw_uid


@pytest.mark.root_only("only root gives files away")
class TestScriptOwner(Options):
    @classmethod
    def configure(cls, site):
        for name in ("mine", "other"):
            site.write(f"{name}/app.wsgi", APPLICATION)
            path = site.path(name)
            os.chown(path, 1 if name == "mine" else 2, 1)
            os.chown(path / "app.wsgi", 1, 1)
        owner, group = pwd.getpwuid(1).pw_name, grp.getgrgid(1).gr_name
        site.add(f"WSGIDaemonProcess owned script-user={owner}", f"WSGIDaemonProcess grouped script-group={group}",
                 "WSGIDaemonProcess strange script-group=games")
        for path, name, process_group in (("mine", "mine", "owned"), ("other", "other", "owned"), ("group", "mine", "grouped"),
                                          ("strange", "mine", "strange")):
            site.add(f"WSGIScriptAlias /{path} {site.path(name)}/app.wsgi process-group={process_group} application-group=%{{GLOBAL}}")

    def test_script_user_owns_script_and_folder(self, server):
        assert server.get("/mine").status == 200
        assert server.get("/other").status == 403
        server.log.declare("WSGI0164|WSGI016[2-9]|WSGI017[0-3]|Owner of .* does not match")

    def test_script_group_is_that_of_the_script(self, server):
        assert server.get("/group").status == 200
        assert server.get("/strange").status == 403
        server.log.declare("WSGI0155|WSGI015[3-9]|WSGI016[01]|Group of .* does not match")


class TestCpuTimeLimit(Options):
    options = "cpu-time-limit=1 shutdown-timeout=2"

    def test_a_process_that_used_it_up_is_replaced(self, server):
        before = self.ask(server)["pid"]
        assert server.get("/?burn").status == 200, "the request may finish"
        processes.wait_until(lambda: self.ask(server)["pid"] != before, "another process serves", 20)
        server.log.allow("WSGI7015")
