"""A process takes the place of another one when it has loaded what that one had loaded, and not before."""

import os
import threading

import pytest

from harness import processes

# Loading ends when the file `go` is there.
SCRIPT = """
    import os
    import time

    HERE = os.path.dirname(__file__)
    with open(os.path.join(HERE, "loads"), "a") as loads:
        loads.write(f"{os.getpid()}\\n")
    while not os.path.exists(os.path.join(HERE, "go")):
        time.sleep(0.01)
    TEXT = "%s"

    def application(environ, start_response):
        if environ["PATH_INFO"] == "/wait":
            while not os.path.exists(os.path.join(HERE, "finish")):
                time.sleep(0.01)
        if environ["PATH_INFO"] == "/die":
            os._exit(7)
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [f"{TEXT} {os.getpid()}".encode()]
"""
BROKEN = "def application(\n"
WHAT_BREAKS = ("WSGI0106", "SyntaxError", "application\\($", "app.wsgi\", line 1$", r"\^$")


class Site:
    """A script whose loading can be held up, and a client of it."""

    def __init__(self, server):
        self.server, self.site = server, server.site
        self.changes = 0
        self.site.add("<Location /status>", "SetHandler wsgi-status", "</Location>")
        (self.site.root / "app").chmod(0o777)
        self.go()

    def change(self, text: str) -> None:
        """Writes the script; each time with another time of modification."""
        path = self.site.write("app.wsgi", SCRIPT % text if text != BROKEN else BROKEN)
        self.changes += 1
        os.utime(path, (1_700_000_000 + self.changes,) * 2)

    def go(self) -> None:
        self.site.path("go").touch()

    def hold(self) -> None:
        """Whoever loads the script from now on is held up."""
        self.site.path("go").unlink()

    def loads(self) -> list[int]:
        """The processes that have begun to load the script, in their order."""
        return [int(line) for line in self.site.path("loads").read_text().split()]

    def wait_for_load(self, count: int) -> None:
        processes.wait_until(lambda: len(self.loads()) >= count, f"load number {count} of the script")

    def ask(self, path: str = "/") -> tuple[str, int]:
        answer = self.server.get(path)
        assert answer.status == 200, answer
        text, process = answer.text.split()
        return text, int(process)

    def ask_meanwhile(self, path: str = "/") -> "Meanwhile":
        return Meanwhile(lambda: self.ask(path))


class Meanwhile:
    """A request on a thread of its own."""

    def __init__(self, ask):
        self.result: object = None
        self.thread = threading.Thread(target=self._run, args=(ask,))
        self.thread.start()

    def _run(self, ask):
        try:
            self.result = ask()
        except BaseException as fault:
            self.result = fault

    @property
    def is_waiting(self) -> bool:
        return self.thread.is_alive()

    def answer(self):
        self.thread.join(30)
        assert not self.is_waiting
        return self.result


@pytest.fixture
def start(new_server):
    """Starts a server whose group has these options, and answers its site with the script loaded; or starts nothing."""

    def starts(options="", lines=(), begin=True):
        site = Site(new_server("event", "daemon"))
        site.change("one")
        root, script = site.site.root, site.site.path("app.wsgi")
        site.site.add(f"WSGIDaemonProcess app {options}", "WSGIProcessGroup app",
                      *(line.format(root=root, script=script) for line in lines or ("WSGIScriptAlias / {script}",)))
        if begin:
            site.server.start()
            assert site.ask()[0] == "one"
        return site

    return starts


@pytest.mark.ours_only("the C module ends the process with its requests, whatever becomes of the script")
class TestAChangedScript:
    def test_its_running_requests_end_where_they_run(self, start):
        site = start()
        before = site.ask()
        running = site.ask_meanwhile("/wait")
        processes.wait_until(lambda: "/wait" in self.status(site), "the request runs")
        site.change("two")
        text, process = site.ask()
        assert text == "two" and process != before[1]
        assert running.is_waiting
        site.site.path("finish").touch()
        assert running.answer() == before

    @staticmethod
    def status(site):
        return site.server.get("/status?format=json").text

    def test_requests_for_it_wait_for_the_new_one_and_others_do_not(self, start):
        site = start(lines=("WSGIScriptAlias /other {root}/app/other.wsgi", "WSGIScriptAlias / {script}"), begin=False)
        site.site.write("other.wsgi", (SCRIPT % "other").replace('"loads"', '"loads-of-other"').replace('"go"', '"app.wsgi"'))
        site.server.start()
        before = site.ask()
        assert site.ask("/other") == ("other", before[1])
        site.hold()
        site.change("two")
        asked = site.ask_meanwhile()
        site.wait_for_load(2)
        for _ in range(20):
            assert site.ask("/other") == ("other", before[1])
        assert asked.is_waiting
        site.go()
        text, process = asked.answer()
        assert text == "two" and process == site.loads()[1]

    def test_a_script_that_takes_very_long_to_load_is_answered_for_by_the_earlier_one_meanwhile(self, start):
        site = start()
        before = site.ask()
        site.hold()
        site.change("two")
        assert site.ask() == before
        for _ in range(20):
            assert site.ask() == before
        site.server.log.expect("WSGI7033: .* 15 seconds after one has changed")
        site.go()
        processes.wait_until(lambda: site.ask()[0] == "two", "the new script answers")

    def test_one_that_does_not_load_leaves_the_earlier_one_serving_and_says_so_once(self, start):
        site = start()
        server, before = site.server, site.ask()
        server.log.allow(*WHAT_BREAKS)
        site.change(BROKEN)
        for _ in range(20):
            assert site.ask() == before
        server.log.expect("WSGI7031: .*app.wsgi' cannot be loaded.*its earlier processes go on serving")
        processes.wait_until(lambda: server.log.text().count("WSGI7032") >= 2, "two further attempts", 20)
        assert site.ask() == before
        assert [server.log.text().count(what) for what in ("WSGI0106", "WSGI7031")] == [1, 1]

    def test_one_that_is_mended_is_served_with_the_next_request(self, start):
        site = start()
        before = site.ask()
        site.server.log.allow(*WHAT_BREAKS)
        site.change(BROKEN)
        assert site.ask() == before
        site.server.log.expect("WSGI7031")
        site.change("mended")
        assert site.ask()[0] == "mended"

    def test_each_change_that_does_not_load_is_told_of(self, start):
        site = start()
        before = site.ask()
        site.server.log.allow(*WHAT_BREAKS)
        for count in (1, 2):
            site.change(BROKEN)
            assert site.ask() == before
            processes.wait_until(lambda: site.server.log.text().count("WSGI0106") == count, f"fault {count}")  # noqa: B023
        site.server.log.expect("WSGI7031")

    def test_several_processes_say_it_once(self, start):
        site = start("processes=3 threads=1")
        server = site.server
        server.log.allow(*WHAT_BREAKS)
        # As many at a time as there are processes.
        processes.wait_until(lambda: self.ask_three(site) and len(set(site.loads())) == 3, "all processes have loaded it")
        site.change(BROKEN)
        for _ in range(20):
            self.ask_three(site)
        processes.wait_until(lambda: server.log.text().count("WSGI7032") >= 2, "the others have tried, too", 20)
        server.log.expect("WSGI7031")
        assert server.log.text().count("WSGI0106") == 1

    @staticmethod
    def ask_three(site):
        answers = [asked.answer() for asked in [site.ask_meanwhile() for _ in range(3)]]
        assert [answer[0] for answer in answers] == ["one"] * 3
        return True

    def test_where_the_earlier_process_dies_the_new_one_starts_at_once(self, start):
        site = start()
        server = site.server
        site.ask()
        server.log.allow(*WHAT_BREAKS, "WSGI7055: .* exit status 7", "WSGI0146", "WSGI0105", "WSGI0174")
        site.change(BROKEN)
        site.ask()
        server.log.expect("WSGI7031")
        assert server.get("/die").status == 502
        processes.wait_until(lambda: server.get("/").status == 500, "a process that has only the broken script", 1.9)
        site.change("mended")
        assert site.ask()[0] == "mended"


RENEWALS = {
    "maximum-requests": ("maximum-requests=10", lambda site: [site.ask() for _ in range(9)]),
    "restart-interval": ("restart-interval=2", lambda _: None),
    "graceful": ("", lambda site: site.server.graceful()),
}


@pytest.mark.ours_only("the C module's processes load a script with the first request for it")
class TestWhatAPredecessorHasLoaded:
    @pytest.mark.parametrize("renewal", RENEWALS)
    def test_it_serves_until_its_successor_has_loaded_it_too(self, start, renewal):
        options, renew = RENEWALS[renewal]
        site = start(options)
        site.hold()
        before = site.ask()
        renew(site)
        site.wait_for_load(2)
        for _ in range(20):
            assert site.ask() == before
        site.go()
        processes.wait_until(lambda: site.ask() != before, "the successor")
        assert site.ask() == ("one", site.loads()[1])

    def test_after_a_time_without_requests_nothing_is_loaded(self, start):
        site = start("inactivity-timeout=1")
        _, before = site.ask()
        processes.wait_until(lambda: not processes.is_alive(before), "the idle process has gone")
        assert site.loads() == [before]
        _, process = site.ask()
        assert site.loads() == [before, process] and process != before

    def test_after_a_reload_that_breaks_it_the_earlier_process_serves(self, start):
        site = start()
        before = site.ask()
        site.server.log.allow(*WHAT_BREAKS)
        site.change(BROKEN)
        site.server.graceful()
        site.server.log.expect("WSGI7031: .*app.wsgi' cannot be loaded.*its earlier processes go on serving")
        for _ in range(20):
            assert site.ask() == before

    def test_what_no_alias_leads_to_any_more_is_not_loaded_after_a_reload(self, start):
        site = start()
        server, (_, before) = site.server, site.ask()
        site.change(BROKEN)
        site.site.write("new.wsgi", (SCRIPT % "new").replace('"loads"', '"loads-of-new"'))
        site.site._directives[-1] = f"WSGIScriptAlias / {site.site.path('new.wsgi')}"
        server.graceful()
        processes.wait_until(lambda: site.ask()[0] == "new", "the new script")
        processes.wait_until(lambda: not processes.is_alive(before), "the earlier process has gone")

    def test_a_script_that_is_gone_keeps_nobody_from_taking_over(self, start):
        site = start(lines=("WSGIScriptAlias / {root}/app/",), begin=False)
        site.site.write("other.wsgi", (SCRIPT % "other").replace('"loads"', '"loads-of-other"'))
        site.server.start()
        _, before = site.ask("/app.wsgi")
        site.site.path("app.wsgi").unlink()
        site.server.graceful()
        processes.wait_until(lambda: site.ask("/other.wsgi")[1] != before, "the successor")
