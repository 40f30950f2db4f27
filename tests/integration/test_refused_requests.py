"""A request that was answered 503 or 504 before it ran is never executed later, and nothing runs twice."""

import os
import signal
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
