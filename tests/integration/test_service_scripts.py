"""WSGIDaemonProcess threads=0: a process that runs a script instead of requests."""

import os
import signal
import time

import pytest

from harness import interpreters, processes

SERVICE = """
    import atexit
    import os
    import signal
    import sys
    import threading
    import time

    import mod_wsgi

    def say(text):
        with open(os.path.join(os.path.dirname(__file__), "said"), "a") as out:
            out.write("%s %d\\n" % (text, os.getpid()))

    say("begins")
    say("main" if threading.current_thread() is threading.main_thread() else "another thread")
    say("threads %d" % mod_wsgi.threads_per_process)
    say("own handler" if signal.getsignal(signal.SIGTERM) not in (signal.SIG_DFL, None) else "no handler")
    atexit.register(say, "ends")
    while True:
        time.sleep(0.05)
"""


def configure(site, script=SERVICE):
    site.write("service.wsgi", script)
    site.write("said", "", 0o666)
    site.write("site.wsgi", "def application(e, s): s('200 OK', []); return [b'ok']")
    site.add("WSGIDaemonProcess service threads=0", f"WSGIImportScript {site.path('service.wsgi')} process-group=service application-group=%{{GLOBAL}}")
    site.add(f"WSGIScriptAlias /service {site.path('site.wsgi')} process-group=service application-group=%{{GLOBAL}}")
    site.add(f"WSGIScriptAlias / {site.path('site.wsgi')}")


def said(site):
    return [line.rsplit(" ", 1) for line in site.path("said").read_text().splitlines()]


def running(site):
    """Processes that have begun and not ended, as they say themselves."""
    ended = {process for text, process in said(site) if text == "ends"}
    return [process for text, process in said(site) if text == "begins" and process not in ended]


class TestServiceScript:
    modes = ("daemon",)
    configure = staticmethod(configure)

    def test_it_runs_in_the_main_thread_and_is_replaced_when_it_is_ended(self, server, site):
        processes.wait_until(lambda: len(running(site)) == 1, "the service runs")
        texts = [text for text, _ in said(site)]
        assert {"main", "threads 0", "own handler"} <= set(texts)
        before = running(site)
        os.kill(int(before[0]), signal.SIGTERM)
        processes.wait_until(lambda: running(site) not in ([], before), "another one runs")
        assert ["ends", before[0]] in said(site), "SystemExit ends it in order"

    @pytest.mark.ours_only("the C module lets the request wait until a timeout")
    def test_a_request_for_it_is_refused_at_once(self, server, site):
        assert server.get("/service").status == 500
        server.log.declare("WSGI7081")
        assert server.get("/").body == b"ok"

    def test_a_reload_never_has_two_at_a_time(self, server, site):
        processes.wait_until(lambda: len(running(site)) == 1, "the service runs")
        for _ in range(3):
            before = running(site)
            server.graceful()
            processes.wait_until(lambda: len(running(site)) == 1 and running(site) != before, "the next one runs")
        order = [text for text, _ in said(site) if text in ("begins", "ends")]
        assert all(one != two for one, two in zip(order, order[1:])), order

    @pytest.mark.ours_only("the C module says nothing at configtest")
    def test_configtest_warns_of_requests_for_it(self, server):
        status, text = server.configtest()
        assert status == 0 and "WSGI7081" in text


@pytest.mark.ours_only("the C module starts it again without a pause")
class TestServiceThatEnds:
    modes = ("daemon",)

    @staticmethod
    def configure(site):
        configure(site, """
            import os
            with open(os.path.join(os.path.dirname(__file__), "said"), "a") as out:
                out.write("begins %d\\n" % os.getpid())
        """)

    def test_it_is_started_again_with_pauses(self, server, site):
        processes.wait_until(lambda: len(said(site)) >= 6, "it was started several times")
        server.log.declare("none of the last 6 lived for 2 seconds")
        processes.wait_until(lambda: "started in 2 seconds" in site.log.path.read_text(), "it is given time")
        assert len(said(site)) == 6
        processes.wait_until(lambda: len(said(site)) == 7, "it is tried again", 5)


@pytest.mark.ours_only("the C module has no earlier process that could go on")
def test_one_whose_successor_cannot_start_goes_on(new_server):
    server = new_server("event", "daemon")
    site, home = server.site, server.site.root / "home"
    home.symlink_to(interpreters.virtualenv(interpreters.system()))
    configure(site)
    site._directives = [line.replace("threads=0", f"threads=0 python-home={home}") for line in site._directives]
    server.start()
    processes.wait_until(lambda: len(running(site)) == 1, "the service runs")
    before = running(site)
    home.unlink()
    server.graceful()
    server.log.expect("daemon process group 'service': .*its earlier processes go on serving")
    # It is told of it, and would have ended by then.
    time.sleep(0.5)
    assert running(site) == before and processes.is_alive(int(before[0]))
    home.symlink_to(interpreters.virtualenv(interpreters.system()))
    processes.wait_until(lambda: running(site) not in ([], before), "the next one runs", 20)
