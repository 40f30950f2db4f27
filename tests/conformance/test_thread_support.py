"""Requests at the same time, as wsgi.multithread and wsgi.multiprocess say. Source: PEP 3333, "Thread Support"."""

import json
import threading

import pytest

APPLICATION = """
    import json
    import os
    import threading
    import time

    lock, running, most = threading.Lock(), 0, 0
    met = threading.Barrier(2)
    local = threading.local()

    def application(environ, start_response):
        global running, most
        with lock:
            running += 1
            most = max(most, running)
        try:
            seen = {"pid": os.getpid(), "thread": threading.get_ident(), "multithread": environ["wsgi.multithread"],
                    "multiprocess": environ["wsgi.multiprocess"], "met": False}
            if environ["PATH_INFO"] == "/meet":
                try:
                    met.wait(10)
                    seen["met"] = True
                except threading.BrokenBarrierError:
                    met.reset()
            if environ["PATH_INFO"] == "/slow":
                time.sleep(0.05)
            seen["most"] = most
            # What one request leaves here is there for the next one of this thread, and for no other thread.
            seen["before"] = getattr(local, "thread", None)
            local.thread = threading.get_ident()
        finally:
            with lock:
                running -= 1
        start_response("200 OK", [("Content-Type", "application/json")])
        return [json.dumps(seen).encode()]
"""


def at_once(server, path: str, count: int) -> list[dict]:
    answers = [None] * count

    def ask(index: int) -> None:
        answers[index] = server.get(path)

    threads = [threading.Thread(target=ask, args=(index,)) for index in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert [answer.status for answer in answers] == count * [200]
    return [json.loads(answer.body) for answer in answers]


class TestSeveralThreads:
    @staticmethod
    def configure(site):
        if site.embedded:
            site.one_child()
        site.write("threads.wsgi", APPLICATION)
        site.serve("threads.wsgi", options="threads=3")

    def test_where_multithread_is_true_two_requests_meet_in_one_process(self, server, site):
        if site.embedded and site.mpm == "prefork":
            pytest.skip("a child of prefork has one thread: TestOneThreadOfAChild")
        seen = at_once(server, "/meet", 2)
        assert [(one["multithread"], one["met"]) for one in seen] == 2 * [(True, True)]
        assert seen[0]["pid"] == seen[1]["pid"] and seen[0]["thread"] != seen[1]["thread"]

    def test_a_thread_keeps_what_is_local_to_it(self, server):
        """There are fewer threads than requests."""
        before = [(one["before"], one["thread"]) for _ in range(2) for one in at_once(server, "/slow", 12)]
        assert {kept in (None, thread) for kept, thread in before} == {True}
        assert any(kept == thread for kept, thread in before)


class TestOneThread:
    """An application that cannot have two requests at a time has a process that gives it one."""

    modes = ("daemon",)

    @staticmethod
    def configure(site):
        site.write("threads.wsgi", APPLICATION)
        site.serve("threads.wsgi", options="threads=1 processes=2")

    def test_a_process_of_one_thread_has_never_two_requests(self, server):
        seen = at_once(server, "/slow", 8) + at_once(server, "/slow", 8)
        assert {(one["multithread"], one["multiprocess"], one["most"]) for one in seen} == {(False, True, 1)}
        assert len({one["pid"] for one in seen}) == 2, "requests at the same time are in different processes"


class TestOneThreadOfAChild:
    mpms = ("prefork",)
    modes = ("embedded",)

    @staticmethod
    def configure(site):
        site.write("threads.wsgi", APPLICATION)
        site.serve("threads.wsgi")

    def test_a_child_of_prefork_has_never_two_requests(self, server):
        seen = at_once(server, "/slow", 8)
        assert {(one["multithread"], one["multiprocess"], one["most"]) for one in seen} == {(False, True, 1)}
