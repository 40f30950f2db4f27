"""A request that was answered 503 or 504 before it ran is never executed later, and nothing runs twice."""

import fcntl
import os
import signal
import textwrap
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest

from harness import processes

APPLICATION = """
    import os
    import time

    executed = os.open(os.path.join(os.path.dirname(__file__), "executed"), os.O_WRONLY | os.O_APPEND)

    def application(environ, start_response):
        number, _, seconds = environ["QUERY_STRING"].partition("-")
        os.write(executed, number.encode() + b"\\n")
        time.sleep(float(seconds))
        environ["wsgi.input"].read()
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [str(os.getpid()).encode()]
"""


class Refused:
    modes = ("daemon",)
    mpms = ("event", "prefork")
    options = ""

    @classmethod
    def configure(cls, site):
        site.write("app.wsgi", APPLICATION)
        site.write("executed", "", 0o666)
        site.serve("app.wsgi", options=cls.options)

    @staticmethod
    def ask(server, numbers, seconds):
        """Asks for all at the same time, every other one with a body, and returns what they were answered."""
        def one(number):
            path = f"/?{number}-{seconds}"
            return (server.post(path, b"x" * 5000, timeout=60) if number % 2 else server.get(path, timeout=60)).status
        with ThreadPoolExecutor(len(numbers)) as pool:
            return dict(zip(numbers, pool.map(one, numbers)))

    def verify(self, server, site, answers, refusal):
        """All that was asked is over: whatever is still to be executed comes before what is asked now, on every connection."""
        assert set(answers.values()) <= {200, refusal} and refusal in answers.values(), answers
        later = self.ask(server, range(1000, 1003), 0)
        assert set(later.values()) == {200}
        executed = Counter(map(int, site.path("executed").read_text().split()))
        assert executed == Counter(number for number, status in {**answers, **later}.items() if status == 200), answers


class TestQueueTimeout(Refused):
    options = "queue-timeout=1 threads=1"

    def test_what_waited_too_long_is_not_executed(self, server, site):
        answers = self.ask(server, range(8), 0.45)
        assert 200 in answers.values()
        server.log.declare("WSGI0084", "Queue timeout expired")
        self.verify(server, site, answers, 504)


class TestConnectTimeout(Refused):
    options = "connect-timeout=1 listen-backlog=1 threads=1"

    def test_what_found_no_room_is_not_executed(self, server, site):
        answers = self.ask(server, range(8), 1.5)
        assert 200 in answers.values()
        server.log.declare("WSGI0116", "Unable to connect")
        self.verify(server, site, answers, 503)


@pytest.mark.ours_only("the C module executes what a process finds when it goes on")
class TestSocketTimeout(Refused):
    options = "socket-timeout=2 threads=3"

    def test_what_a_process_that_stood_still_finds_is_not_executed(self, server, site):
        stopped = int(server.get("/?900-0").body)
        site.path("executed").write_text("")
        os.kill(stopped, signal.SIGSTOP)
        try:
            processes.wait_until(lambda: processes.status(stopped, "State")[0] == "T", "all its threads stand still")
            answers = self.ask(server, range(6), 0)
        finally:
            os.kill(stopped, signal.SIGCONT)
        assert set(answers.values()) == {504}
        server.log.declare("WSGI0145")
        self.verify(server, site, answers, 504)


def daemons(server):
    return [pid for pid in server.processes() if "mod_wsgi_daemon.py" in " ".join(processes.command_line(pid))]


class GoesOn(Refused):
    """What hangs goes on as soon as the clients have their answers, while its process may still be there."""

    @staticmethod
    def ask_later(server, pool, numbers):
        return {number: pool.submit(lambda number=number: server.get(f"/?{number}-0", timeout=60).status) for number in numbers}


@pytest.mark.ours_only("the C module kills the process, and its clients get 502")
class TestStartupTimeout(GoesOn):
    options = "startup-timeout=2 threads=4 graceful-timeout=10"

    @classmethod
    def configure(cls, site):
        site.write("app.wsgi", """
            import os
            import time

            folder = os.path.dirname(__file__)
            with open(os.path.join(folder, "loading"), "w") as loading:
                loading.write("yes")
            while os.path.exists(os.path.join(folder, "slow")):
                time.sleep(0.01)
        """)
        with open(site.path("app.wsgi"), "a") as script:
            script.write(textwrap.dedent(APPLICATION))
        site.write("executed", "", 0o666)
        site.write("loading", "", 0o666)
        site.write("slow", "")
        # With its groups on the alias it would be loaded before there is a request.
        site.serve("app.wsgi", options=cls.options)

    def test_what_was_given_up_while_its_script_was_loaded_is_not_executed(self, server, site):
        """Those that came later are still waited for, so that the script does load in the process that gave up the first."""
        with ThreadPoolExecutor(3) as pool:
            answers = self.ask_later(server, pool, [0])
            processes.wait_until(lambda: site.path("loading").read_text(), "its script is being loaded")
            time.sleep(0.5)
            (first,), answers = daemons(server), answers | self.ask_later(server, pool, [1, 2])
            assert answers[0].result() == 504
            assert not answers[1].done() and first in daemons(server), "its process is still there"
            site.path("slow").unlink()
            answers = {number: answer.result() for number, answer in answers.items()}
        server.log.declare("WSGI7028")
        assert answers == {0: 504, 1: 200, 2: 200}
        processes.wait_until(lambda: not processes.is_alive(first), "the process ends", 20)
        self.verify(server, site, answers, 504)


@pytest.mark.needs_lock("nobody can hold it")
@pytest.mark.ours_only("the C module kills the process, and its clients get 502")
class TestDeadlockTimeout(GoesOn):
    options = "deadlock-timeout=1 threads=4 graceful-timeout=10 shutdown-timeout=10"

    @classmethod
    def configure(cls, site):
        super().configure(site)
        with open(site.path("app.wsgi"), "a") as script:
            script.write(textwrap.dedent("""
                import ctypes
                import fcntl

                serve, lock = application, open(os.path.join(os.path.dirname(__file__), "lock"), "r+")

                def application(environ, start_response):
                    if environ["PATH_INFO"] != "/hold":
                        return serve(environ, start_response)
                    os.write(executed, b"100\\n")
                    ctypes.PyDLL(None).flock(lock.fileno(), fcntl.LOCK_EX)  # which keeps Python's lock
                    os.write(executed, b"101\\n")
                    start_response("200 OK", [])
                    return []
            """))
        site.write("lock", "", 0o666)

    def test_what_waited_for_a_lock_that_was_never_free_is_not_executed_when_it_is(self, server, site):
        first = int(server.get("/?900-0").body)
        site.path("executed").write_text("")
        with ThreadPoolExecutor(3) as pool, open(site.path("lock")) as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            holder = pool.submit(lambda: server.get("/hold", timeout=60).status)
            processes.wait_until(lambda: site.path("executed").read_text() == "100\n", "one has Python's lock")
            answers = self.ask_later(server, pool, [1, 2])
            answers = {number: answer.result() for number, answer in answers.items()}
            fcntl.flock(lock, fcntl.LOCK_UN)
            assert holder.result() == 504
        # One waited for Python's lock; another one may still have been in the queue, and went to another process.
        server.log.declare("WSGI702[78]", "WSGI7021")
        processes.wait_until(lambda: not processes.is_alive(first), "the process ends", 20)
        assert "101\n" in site.path("executed").read_text(), "Python did go on"
        site.path("executed").write_text(site.path("executed").read_text().replace("100\n", "").replace("101\n", ""))
        self.verify(server, site, answers, 504)
