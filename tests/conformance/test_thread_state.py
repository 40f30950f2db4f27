"""What Python keeps for a thread is there again at the next request on that thread, in each interpreter by itself: libraries
keep connections to databases so."""

import json
from concurrent.futures import ThreadPoolExecutor

import pytest

APPLICATION = """
    import contextvars
    import json
    import os
    import sys
    import threading
    import time

    own = threading.local()
    variable = contextvars.ContextVar("variable", default=0)
    counted, held = {}, {}

    class Held:
        pass

    def tracer(frame, event, arg):
        return None

    def application(environ, start_response):
        what, thread = environ["QUERY_STRING"], threading.get_ident()
        time.sleep(0.1 if what == "slow" else 0)
        number = counted[thread] = counted.get(thread, 0) + 1
        own.number = getattr(own, "number", 0) + 1
        if number == 1:
            own.objects = held[thread] = Held(), threading.current_thread()
        variable.set(variable.get() + 1)
        traced = sys.gettrace() is tracer
        if what == "trace":
            sys.settrace(tracer)
        if what == "fail":
            raise ValueError("asked for")
        start_response("200 OK", [("Content-Type", "application/json")])
        return [json.dumps({
            "thread": [os.getpid(), thread], "number": number, "local": own.number, "context": variable.get(), "traced": traced,
            "same": own.objects is held[thread] and own.objects[1] is threading.current_thread(),
        }).encode()]
"""


class Threads:
    options = "threads=1"

    @classmethod
    def configure(cls, site):
        script = site.write("threads.wsgi", APPLICATION)
        if site.embedded:
            site.one_child()
        site.add(site.daemon("app", cls.options))
        for path, name in (("/global", "%{GLOBAL}"), ("/named", "named")):
            site.add(f"WSGIScriptAlias {path} {script} application-group={name}")
            if not site.embedded:
                site.add(f"<Location {path}>\nWSGIProcessGroup app\n</Location>")

    @staticmethod
    def ask(server, path):
        answer = server.get(path)
        assert answer.status == 200, answer
        return json.loads(answer.body)

    @staticmethod
    def is_kept(seen):
        """Whether it is as all requests on this thread so far have left it."""
        number = seen["number"]
        return (seen["local"], seen["context"], seen["same"]) == (number, number, True)


class TestOneThread(Threads):
    modes = ("daemon",)

    def test_each_request_finds_what_the_one_before_has_left(self, server):
        seen = [self.ask(server, "/global") for _ in range(10)]
        assert len({tuple(one["thread"]) for one in seen}) == 1
        assert all(map(self.is_kept, seen)), seen
        first = seen[0]["number"]
        assert [one["number"] for one in seen] == list(range(first, first + 10))

    def test_interpreters_that_take_turns_on_a_thread_keep_their_own(self, server):
        before = {path: self.ask(server, path)["number"] for path in ("/global", "/named")}
        for number in range(1, 6):
            for path, first in before.items():
                seen = self.ask(server, path)
                assert seen["number"] == first + number and self.is_kept(seen), seen

    def test_an_exception_takes_nothing_away(self, server):
        before = self.ask(server, "/global")["number"]
        assert server.get("/global?fail").status == 500
        server.log.declare("wsgi:error")
        seen = self.ask(server, "/global")
        assert seen["number"] == before + 2 and self.is_kept(seen), seen


class TestThreads(Threads):
    options = "threads=3"

    def test_each_keeps_its_own(self, server, site):
        with ThreadPoolExecutor(6) as pool:
            for path in ("/global", "/named"):
                seen = list(pool.map(lambda _: self.ask(server, f"{path}?slow"), range(24)))
                threads = {tuple(one["thread"]) for one in seen}
                assert len(threads) > 1 or site.embedded and site.mpm == "prefork"
                assert all(map(self.is_kept, seen)), seen
                assert len({(*one["thread"], one["number"]) for one in seen}) == 24


@pytest.mark.ours_only("once there is a trace function, the C module's release 6.1.1 answers no more")
class TestTraceFunction(Threads):
    modes = ("daemon",)

    def test_it_goes_on_with_the_next_request_and_in_no_other_interpreter(self, server):
        """As it does for a debugger that the first request has started."""
        assert not self.ask(server, "/global?trace")["traced"]
        for _ in range(3):
            assert self.ask(server, "/global")["traced"]
            assert not self.ask(server, "/named")["traced"]
