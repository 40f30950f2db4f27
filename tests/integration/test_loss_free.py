"""Under load Apache is reloaded, scripts change, daemon processes are killed: no request fails, none is truncated.

`WSGI_TEST_ROUNDS` multiplies the rounds; tests/nightly runs many.
"""

import http.client
import json
import os
import signal
import subprocess
import threading
import time
from pathlib import Path

import pytest

from harness import processes
from harness.clients import Clients

ROUNDS = int(os.environ.get("WSGI_TEST_ROUNDS", "1"))
UPLOAD = b"0123456789abcdef" * 8192  # 128 KiB
STREAM = b"".join(b"%015d," % number * 1024 for number in range(30))  # 480 KiB, in pieces of 16

APPLICATION = """
    import hashlib
    import os
    import time

    def pieces():
        for number in range(30):
            time.sleep(0.005)
            yield b"%015d," % number * 1024

    def application(environ, start_response):
        path = environ["PATH_INFO"]
        if path == "/slow":
            time.sleep(2)
        if path == "/stream":
            start_response("200 OK", [("Content-Type", "text/plain")])
            return pieces()
        body = os.getpid()
        if path == "/upload":
            body = hashlib.md5(environ["wsgi.input"].read()).hexdigest()
        body = str(body).encode() * (5000 if path == "/large" else 1)
        start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
        return [body]
"""


def configure(site, options=""):
    site.write("load.wsgi", APPLICATION)
    site.serve("load.wsgi", options=options)


class Load(Clients):
    """Clients that ask again and again, and remember every answer that is not as it should be."""

    def __init__(self, port, kept=2, single=2, slow=1, uploads=1, streams=1):
        self.port, self.stopped, self.faults, self.served = port, threading.Event(), [], 0
        self.closed = 0
        """How often Apache has closed a connection between two requests."""
        kinds = [self.keep_asking] * kept + [lambda: self.ask_anew("/large")] * single
        kinds += [lambda: self.ask_anew("/slow")] * slow + [self.upload] * uploads
        kinds += [lambda: self.ask_anew("/stream", STREAM)] * streams
        self.threads = [threading.Thread(target=kind) for kind in kinds]

    def check(self, what, response, expected=None):
        body = response.read()
        if response.status != 200 or (expected is not None and body != expected):
            self.faults.append((what, response.status, body[:200]))
        self.served += 1

    def watched(self, what, ask):
        while not self.stopped.is_set():
            try:
                ask()
            except Exception as error:
                self.faults.append((what, repr(error)))

    def keep_asking(self):
        """A connection for many requests. Apache may close it between two; a client then opens another."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        used = False

        def ask():
            nonlocal used
            try:
                connection.request("GET", "/")
                response = connection.getresponse()
            except (http.client.RemoteDisconnected, ConnectionResetError, BrokenPipeError):
                connection.close()
                if not used:
                    raise
                used = False
                self.closed += 1
                return
            used = True
            self.check("kept", response)
        self.watched("kept", ask)
        connection.close()

    def once(self, method, path, body=None):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            connection.request(method, path, body, {"Connection": "close"})
            response = connection.getresponse()
            return response, response.read()
        finally:
            connection.close()

    def ask_anew(self, path, expected=None):
        def ask():
            response, body = self.once("GET", path)
            if response.status != 200 or not body or body != (expected or body):
                self.faults.append((path, response.status, body[:200]))
            self.served += 1
        self.watched(path, ask)

    def upload(self):
        import hashlib
        expected = hashlib.md5(UPLOAD).hexdigest().encode()

        def ask():
            response, body = self.once("POST", "/upload", UPLOAD)
            if response.status != 200 or body != expected:
                self.faults.append(("upload", response.status, body[:200]))
            self.served += 1
        self.watched("upload", ask)

    def __exit__(self, *_):
        super().__exit__()
        assert self.served > 20, "there was no load"
        assert not self.faults, f"{len(self.faults)} of {self.served}: {self.faults[:10]}"


def generations(server):
    """How many daemon processes have been started so far."""
    return server.log.text().count("is starting with")


def process_of(server):
    answer = server.get("/")
    assert answer.status == 200, answer
    return int(answer.body)


@pytest.mark.ours_only("the C module ends daemon processes with their requests")
class TestUnderLoad:
    modes = ("daemon",)

    @staticmethod
    def configure(site):
        configure(site, "processes=2 threads=5")

    def test_graceful_reloads(self, server):
        with Load(server.site.port):
            for _ in range(5 * ROUNDS):
                server.graceful()
                time.sleep(0.3)

    def test_a_touched_script(self, server):
        script = server.site.path("load.wsgi")
        with Load(server.site.port):
            for number in range(5 * ROUNDS):
                os.utime(script, (time.time(), 1_000_000_000 + number))
                time.sleep(0.3)


class Replaced:
    """Processes are replaced under steady load, over connections that are kept and such that are not."""

    modes = ("daemon",)
    mpms = ("event", "prefork")
    options = ""

    @classmethod
    def configure(cls, site):
        configure(site, cls.options)
        if site.mpm == "prefork":  # a child for every client, from the begin on
            site.mpm_sizes = "StartServers 10\nMinSpareServers 2\nMaxSpareServers 10\nServerLimit 12\nMaxRequestWorkers 12"

    def verify(self, server, load, wanted=6 * ROUNDS):
        with load:
            processes.wait_until(lambda: load.faults or generations(server) >= wanted, f"{wanted} processes have been started", 90 * ROUNDS)
        assert load.closed == 0, "what happens to daemons is no reason to close a client's connection"


@pytest.mark.ours_only("the C module ends a process before it starts another one")
class TestMaximumRequestsUnderLoad(Replaced):
    options = "processes=2 threads=3 maximum-requests=40"

    def test_only_over_connections_that_are_kept(self, server):
        self.verify(server, Load(server.site.port, kept=6, single=0, slow=0, uploads=0, streams=0))

    def test_only_over_new_connections(self, server):
        self.verify(server, Load(server.site.port, kept=0, single=4, slow=0, uploads=1, streams=1))

    def test_of_all_kinds(self, server):
        self.verify(server, Load(server.site.port))


@pytest.mark.ours_only("the C module ends a process before it starts another one")
class TestRestartIntervalUnderLoad(Replaced):
    options = "processes=2 threads=5 restart-interval=1"

    @pytest.mark.parametrize("load", [{"kept": 6, "single": 0, "slow": 0, "uploads": 0, "streams": 0},
                                      {"kept": 0, "single": 4, "slow": 0}, {}], ids=["kept", "new", "all kinds"])
    def test_no_request_fails(self, server, load):
        self.verify(server, Load(server.site.port, **load))


@pytest.mark.ours_only("the C module loses requests that are sent to a process which has died")
class TestKilledWhileIdle:
    modes = ("daemon",)
    configure = staticmethod(configure)

    def test_no_request_notices(self, server):
        server.log.declare(r"WSGI7055: .* signal 9", r"AH00052: .*SIGKILL|exit signal Killed")
        with server.keep_alive() as connection:
            for _ in range(5 * ROUNDS):
                killed = int(connection.get("/").body)
                os.kill(killed, 9)
                answer = connection.get("/")
                assert answer.status == 200 and int(answer.body) != killed


@pytest.mark.root_only("only root sees where threads of other users stand")
@pytest.mark.ours_only("the C module loses requests that are sent to a process which has died")
class TestKilledWhileIdleUnderLoad(Replaced):
    """The others are busy, and its connections are open: what is sent over them goes to another process."""

    options = "processes=3 threads=4"

    @classmethod
    def configure(cls, site):
        super().configure(site)
        site.add("<Location /state>\nSetHandler wsgi-status\n</Location>")

    @staticmethod
    def running(server):
        """The requests that each process of the group runs."""
        (group,) = (group for group in json.loads(server.get("/state?format=json").body)["groups"] if group["name"] == "app")
        return {process["pid"]: [thread["request"] for thread in process["threads"] if thread["request"]]
                for process in group["processes"] if process["state"] == "ready"}

    @staticmethod
    def calls(pid):
        """The system calls that its threads are in, -1 for one that is in none."""
        return {Path(f"/proc/{pid}/task/{thread}/syscall").read_text().split()[0] for thread in os.listdir(f"/proc/{pid}/task")}

    @staticmethod
    def stands_still(pid):
        return all(Path(f"/proc/{pid}/task/{thread}/stat").read_text().rpartition(")")[2].split()[0] == "T"
                   for thread in os.listdir(f"/proc/{pid}/task"))

    def stop_one_that_is_idle(self, server, waiting):
        """Stops a process at a moment when all its threads wait and none has a request."""
        for pid in self.running(server):
            os.kill(pid, signal.SIGSTOP)
            processes.wait_until(lambda: self.stands_still(pid), "all its threads stand still")
            if self.calls(pid) <= waiting and self.running(server)[pid] == []:
                return pid
            os.kill(pid, signal.SIGCONT)
        return None

    @pytest.mark.parametrize("load", [{"kept": 4, "single": 0}, {"kept": 0, "single": 3}, {"kept": 2, "single": 1}],
                             ids=["kept", "new", "both"])
    def test_no_request_fails(self, server, load):
        server.log.declare(r"WSGI7055: .* signal 9", r"AH00052: .*SIGKILL|exit signal Killed")
        processes.wait_until(lambda: len(self.running(server)) == 3, "all processes are ready")
        waiting = set().union(*map(self.calls, self.running(server)))
        with Load(server.site.port, slow=0, streams=0, uploads=1, **load) as clients:
            for _ in range(3 * ROUNDS):
                served = clients.served
                processes.wait_until(lambda: clients.served > served + 20, "requests are served")
                killed = processes.wait_until(lambda: self.stop_one_that_is_idle(server, waiting), "a process is idle", 30)
                os.kill(killed, signal.SIGKILL)
                server.log.expect(f"WSGI7055: daemon process {killed} ")
                processes.wait_until(lambda: clients.faults or len(self.running(server)) == 3, "another process is ready")
        assert clients.closed == 0


@pytest.mark.ours_only("the C module's request is another one's loss, too")
class TestKilledWhileBusy:
    modes = ("daemon",)
    configure = staticmethod(configure)

    def test_only_its_requests_fail(self, server):
        server.log.declare(r"WSGI7055: .* signal 9.* 2 requests", r"AH00052: .*SIGKILL|exit signal Killed", r"WSGI0146: ")
        busy = process_of(server)
        answers = []
        slow = [threading.Thread(target=lambda: answers.append(server.get("/slow"))) for _ in range(2)]
        for thread in slow:
            thread.start()
        time.sleep(0.5)
        os.kill(busy, 9)
        assert process_of(server) != busy
        for thread in slow:
            thread.join(20)
        assert [answer.status for answer in answers] == [502, 502]


@pytest.mark.ours_only("the C module notices within a second")
class TestSuccessor:
    modes = ("daemon",)

    @staticmethod
    def configure(site):
        configure(site, "maximum-requests=10 threads=2")

    def test_maximum_requests_costs_nobody_a_wait(self, server):
        seen, longest = set(), 0.0
        with server.keep_alive() as connection:
            for _ in range(200):
                begun = time.monotonic()
                answer = connection.get("/")
                longest = max(longest, time.monotonic() - begun)
                assert answer.status == 200
                seen.add(int(answer.body))
                time.sleep(0.005)
        assert len(seen) > 2, "no process was replaced"
        # The last one may have been replaced by one that nobody has asked yet.
        processes.wait_until(lambda: sum(processes.is_alive(process) for process in seen) <= 1, "the others end")


@pytest.mark.ours_only("the C module keeps interpreters in the parent")
class TestIdleReloads:
    """The parent after many graceful reloads is as it was after the first ones."""

    modes = ("daemon",)

    @staticmethod
    def configure(site):
        configure(site, "threads=2")

    @staticmethod
    def state(pid):
        status = open(f"/proc/{pid}/status").read()
        field = lambda name: int(status.split(f"{name}:")[1].split()[0])
        return {"memory": field("VmRSS"), "descriptors": len(processes.descriptors(pid)), "threads": field("Threads")}

    def settled(self, server):
        """The state once the processes of earlier generations have ended."""
        def only_one():
            try:
                lines = [" ".join(processes.command_line(pid)) for pid in server.processes()]
            except OSError:
                return False  # one ended just now
            return sum("mod_wsgi_daemon.py" in line for line in lines) == 1
        processes.wait_until(only_one, "earlier generations end", 20)
        assert process_of(server)
        return self.state(server.pid)

    def test_the_parent_does_not_grow(self, server):
        for _ in range(5):
            server.graceful()
        early = self.settled(server)
        for _ in range(10 * ROUNDS):
            server.graceful()
        self.settled(server)
        # httpd hears of the last process that has ended a moment later.
        processes.wait_until(lambda: self.state(server.pid)["descriptors"] <= early["descriptors"], "no descriptor is left over")
        late = self.state(server.pid)
        assert late["threads"] == early["threads"] == 1
        # httpd's own pools settle at first; 1 KiB for each reload would be a leak.
        assert late["memory"] <= early["memory"] + 256 + ROUNDS, (early, late)


KEYS = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

/* Each thread-local key that is made or given back is a byte in a file. */
static void note(const char *variable) {
    int file = open(getenv(variable), O_WRONLY | O_APPEND | O_CREAT, 0666);
    if (file >= 0) { if (write(file, "k", 1)) {} close(file); }
}
int pthread_key_create(pthread_key_t *key, void (*end)(void *)) {
    int (*real)(pthread_key_t *, void (*)(void *)) = dlsym(RTLD_NEXT, "pthread_key_create");
    note("KEYS_MADE");
    return real(key, end);
}
int pthread_key_delete(pthread_key_t key) {
    int (*real)(pthread_key_t) = dlsym(RTLD_NEXT, "pthread_key_delete");
    note("KEYS_GIVEN_BACK");
    return real(key);
}
/* One of its own shows that it counts. */
__attribute__((constructor)) static void begin(void) {
    pthread_key_t key;
    pthread_key_create(&key, NULL);
}
"""


@pytest.mark.ours_only("the C module keeps interpreters in the parent")
class TestThreadLocalKeys:
    """A process has 1024 of them. A module that is loaded anew at each reload and takes one each time ends them."""

    def test_reloads_take_none(self, new_server):
        server = new_server("event", "daemon")
        folder = server.site.root
        (folder / "keys.c").write_text(KEYS)
        subprocess.run(["gcc", "-shared", "-fPIC", "-o", folder / "keys.so", folder / "keys.c", "-ldl"], check=True)
        made, given_back = folder / "made", folder / "given-back"
        server.extra_environment = {"LD_PRELOAD": str(folder / "keys.so"), "KEYS_MADE": str(made), "KEYS_GIVEN_BACK": str(given_back)}
        configure(server.site)
        server.start()

        def live():
            return made.stat().st_size - (given_back.stat().st_size if given_back.exists() else 0)
        assert live() > 0, "keys are not counted"
        for _ in range(3):
            server.graceful()
        early, children = live(), made.stat().st_size
        for _ in range(10 * ROUNDS):
            server.graceful()
        # Apache's children write to the same files: what they make they take along, a bounded number each.
        each = (made.stat().st_size - children) / (10 * ROUNDS)
        assert live() <= early + each + 2, (early, live(), each)
