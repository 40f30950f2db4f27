"""A process is killed while it and others run requests: those that it ran fail, visibly, and no other.

`WSGI_TEST_ROUNDS` multiplies the rounds; tests/nightly runs many.
"""

import http.client
import itertools
import os
import threading
from collections import defaultdict

import pytest

from harness import processes
from harness.clients import Clients

ROUNDS = int(os.environ.get("WSGI_TEST_ROUNDS", "1"))
UPLOAD = b"0123456789abcdef" * 8192  # 128 KiB

APPLICATION = """
    import os
    import time

    file = os.open(os.path.join(os.path.dirname(__file__), "record"), os.O_WRONLY | os.O_APPEND)

    def record(what, environ):
        os.write(file, f"{what} {environ['QUERY_STRING']} {os.getpid()}\\n".encode())

    def pieces(environ):
        for number in range(20):
            time.sleep(0.02)
            yield b"%015d," % number * 1024
            if not number:
                record("stream", environ)
        record("end", environ)

    def application(environ, start_response):
        record("begin", environ)
        path, body = environ["PATH_INFO"], environ["wsgi.input"].read()
        headers = [("Content-Type", "text/plain")]
        if path == "/stream":
            start_response("200 OK", headers)
            return pieces(environ)
        time.sleep(0.2 if path == "/slow" else 0)
        start_response("200 OK", headers)
        record("end", environ)
        return [environ["QUERY_STRING"].encode(), b" ", str(len(body)).encode()]
"""
STREAMED = b"".join(b"%015d," % number * 1024 for number in range(20))


class Numbered(Clients):
    """Clients whose requests have numbers; what became of each is kept: `whole`, a status, or `broken off`."""

    def __init__(self, port):
        self.port, self.stopped, self.numbers, self.became = port, threading.Event(), itertools.count(1), {}
        kinds = [("/slow", None, True), ("/slow", None, False), ("/slow", UPLOAD, False), ("/stream", None, True),
                 ("/stream", None, False), ("/", None, True), ("/", UPLOAD, True)]
        self.threads = [threading.Thread(target=self.keep_asking, args=kind) for kind in kinds]

    def keep_asking(self, path, body, kept):
        connection = None
        while not self.stopped.is_set():
            number = next(self.numbers)
            connection = connection or http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
            expected = STREAMED if path == "/stream" else f"{number} {len(body or b'')}".encode()
            try:
                connection.request("POST" if body else "GET", f"{path}?{number}", body, {} if kept else {"Connection": "close"})
                response = connection.getresponse()
                content = response.read()
                whole = response.status == 200 and content == expected
                self.became[number] = "whole" if whole else response.status if response.status != 200 else "broken off"
                if response.status == 200 and not whole and not expected.startswith(content):
                    self.became[number] = f"other content: {content[:100]}"
                going_on = kept and response.headers.get("Connection") != "close"
            except (http.client.IncompleteRead, http.client.RemoteDisconnected, ConnectionError):
                self.became[number], going_on = "broken off", False
            except Exception as error:
                self.became[number], going_on = repr(error), False
            if not going_on:
                connection.close()
                connection = None


@pytest.mark.ours_only("the C module ends a response that breaks off as if it were complete")
class TestKilledWhileOthersAreBusy:
    """Each request leaves its number and its process in a file, so that it is known which ones a killed process ran."""

    modes = ("daemon",)
    mpms = ("event", "prefork")

    @staticmethod
    def configure(site):
        site.write("busy.wsgi", APPLICATION)
        site.write("record", "", 0o666)
        site.serve("busy.wsgi", options="processes=2 threads=4")
        if site.mpm == "prefork":  # a child for every client, from the begin on
            site.mpm_sizes = "StartServers 10\nMinSpareServers 2\nMaxSpareServers 10\nServerLimit 12\nMaxRequestWorkers 12"

    @staticmethod
    def record(site):
        """The requests that each process began, those that it began to stream, and those that it ended."""
        found = {"begin": defaultdict(list), "stream": defaultdict(list), "end": defaultdict(list)}
        for line in site.path("record").read_text().splitlines():
            what, number, pid = line.split()
            found[what][int(pid)].append(int(number))
        return found.values()

    def test_only_the_requests_that_it_ran_fail(self, server, site):
        server.log.declare(r"WSGI7055: .* signal 9", r"AH00052: .*SIGKILL|exit signal Killed", "WSGI014[67]: ")
        killed = []
        with Numbered(site.port) as clients:
            for _ in range(4 * ROUNDS):
                def busy():
                    began, streamed, ended = self.record(site)
                    for pid in began.keys() - set(killed):
                        run, stream = set(began[pid]) - set(ended[pid]), set(streamed[pid]) - set(ended[pid])
                        if len(run) >= 3 and stream and run != stream:
                            return pid
                    return None
                killed.append(processes.wait_until(busy, "a process runs three requests, one of which it streams", 30))
                processes.kill(killed[-1])
                server.log.expect(f"WSGI7055: daemon process {killed[-1]} .*; with it ")
                served = len(clients.became)
                processes.wait_until(lambda: len(clients.became) > served + 30, "requests are answered")
        began, _, ended = self.record(site)
        numbers = [number for of_process in began.values() for number in of_process]
        assert len(numbers) == len(set(numbers)), "none ran twice"
        ran = {number for pid in killed for number in began[pid]}
        cut = ran - {number for pid in killed for number in ended[pid]}
        failed = {number: became for number, became in clients.became.items() if became != "whole"}
        assert failed.keys() <= ran and set(failed.values()) <= {502, "broken off"}, failed
        assert cut <= failed.keys(), "what was cut off is no answer"
        assert len(cut) >= 4 * ROUNDS and set(failed.values()) == {502, "broken off"}, failed
