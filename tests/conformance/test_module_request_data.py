"""`mod_wsgi.request_data()` and `mod_wsgi.active_requests`: a dictionary for each request that runs."""

import json
import threading

import pytest

from harness.processes import wait_until

pytestmark = pytest.mark.since((6, 1, 1), "older versions have something else in active_requests")

DATA = """
    import json, threading
    import mod_wsgi

    def tried():
        try:
            return mod_wsgi.request_data() is not None
        except RuntimeError:
            return "RuntimeError"

    WHILE_LOADED = tried()
    GO = threading.Event()

    def in_a_thread():
        answers = []
        thread = threading.Thread(target=lambda: answers.append(tried()))
        thread.start()
        thread.join()
        return answers[0]

    def wait(data):
        data["waits"] = True
        yield b"waiting "
        GO.wait(20)
        yield json.dumps([mod_wsgi.request_data() is data, tried()]).encode()

    def application(environ, start_response):
        start_response("200 OK", [("Content-Type", "application/json")])
        path, data = environ["PATH_INFO"], mod_wsgi.request_data()
        if path == "/wait":
            return wait(data)
        if path == "/go":
            GO.set()
        request_id = environ["mod_wsgi.request_id"]
        empty = data == {}
        data["kept"] = 1
        others = [value for key, value in mod_wsgi.active_requests.items() if key != request_id]
        facts = {"type": type(data).__name__, "empty": empty, "same": mod_wsgi.request_data() is data,
                 "listed": mod_wsgi.active_requests[request_id] is data, "others": others, "thread": in_a_thread(),
                 "while loaded": WHILE_LOADED}
        return [json.dumps(facts).encode()]
"""
REPLACED = """
    import mod_wsgi

    mod_wsgi.active_requests = None

    def application(environ, start_response):
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [repr((mod_wsgi.request_data(), mod_wsgi.active_requests)).encode()]
"""


class TestRequestData:
    @staticmethod
    def configure(site):
        site.one_child()
        site.write("data.wsgi", DATA)
        # Not preloaded, since its groups are not fixed.
        site.add(site.daemon("app", "threads=5"), f"WSGIApplicationGroup %{{HOST}}\nWSGIScriptAlias / {site.path('data.wsgi')}")

    def facts(self, server, path="/"):
        return json.loads(server.get(path).body)

    def test_every_request_has_an_empty_dictionary_of_its_own(self, server):
        for _ in range(3):
            facts = self.facts(server)
            assert (facts["type"], facts["empty"], facts["same"]) == ("dict", True, True)

    def test_it_is_listed_under_the_id_of_the_request_until_that_is_over(self, server):
        for _ in range(3):
            facts = self.facts(server)
            assert facts["listed"] and facts["others"] == []

    def test_a_thread_that_the_application_started_has_none(self, server):
        assert self.facts(server)["thread"] == "RuntimeError"

    def test_a_script_that_is_loaded_by_a_request_has_that_request_s(self, server):
        assert self.facts(server)["while loaded"] is True

    def test_requests_that_run_are_seen_by_others(self, server, site):
        if site.mpm == "prefork":
            pytest.skip("the one child of prefork is busy with the request that is to be seen")
        answers = []
        waits = threading.Thread(target=lambda: answers.append(server.get("/wait")))
        waits.start()
        try:
            wait_until(lambda: self.facts(server)["others"] == [{"waits": True}], "the request is seen")
        finally:
            self.facts(server, "/go")
            waits.join()
        assert answers[0].text == "waiting [true, true]"
        assert self.facts(server)["others"] == []


class TestPreloaded:
    mpms = ("event",)

    @staticmethod
    def configure(site):
        site.one_child()
        group = "%{GLOBAL}" if site.embedded else "app"
        site.add(site.daemon("app", "threads=5"),
                 f"WSGIScriptAlias / {site.write('data.wsgi', DATA)} process-group={group} application-group=%{{GLOBAL}}")

    def test_a_script_that_is_loaded_before_requests_has_none(self, server):
        assert json.loads(server.get("/").body)["while loaded"] == "RuntimeError"


class TestReplaced:
    mpms = ("event",)

    @staticmethod
    def configure(site):
        site.write("replaced.wsgi", REPLACED)
        site.serve("replaced.wsgi")

    @pytest.mark.ours_only("6.1.1 is not asked what it does with something else than a dictionary")
    def test_requests_go_on_without_the_list(self, server):
        assert [server.get("/").text for _ in range(3)] == ["({}, None)"] * 3
