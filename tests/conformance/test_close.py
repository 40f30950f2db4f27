"""close() of the response iterable: once, in every path. Source: PEP 3333, "Specification Details"."""

import json

import pytest

from harness.processes import wait_until

APPLICATION = """
    import json
    import os

    LOG = os.path.dirname(__file__) + "/closed"

    class Response:
        def __init__(self, name, items):
            self.name, self.items = name, items

        def __iter__(self):
            return iter(self.items)

        def close(self):
            with open(LOG, "a") as file:
                file.write(json.dumps(self.name) + "\\n")
            if self.name == "close-raises":
                raise RuntimeError("close itself failed")

    class NotIterable(Response):
        __iter__ = None

    class NextFails(Response):
        def __iter__(self):
            raise ValueError("no iterator")

    class Iterator(Response):
        def __iter__(self):
            return self

        def __next__(self):
            if not self.items:
                raise StopIteration
            return self.items.pop(0)

    class Length(Response):
        def __len__(self):
            return 99

    class CloseIsNoFunction(Response):
        close = 5

    def fails_first():
        raise ValueError("before the first item")
        yield b""

    def fails_later():
        yield b"data"
        raise ValueError("after data")

    def application(environ, start_response):
        name = environ["PATH_INFO"].strip("/")
        headers = [("Content-Type", "text/plain")]
        if name == "too-much":
            headers.append(("Content-Length", "3"))
        if name == "bad-length":
            headers.append(("Content-Length", "three"))
        if name != "not-started":
            start_response("204 Nothing" if name == "no-content" else "200 OK", headers)
        kind = {"not-iterable": NotIterable, "iter-raises": NextFails, "iterator": Iterator, "length": Length,
                "close-is-no-function": CloseIsNoFunction}.get(name, Response)
        items = {"empty": [], "fails-first": fails_first(), "fails-later": fails_later(), "text": ["text"],
                 "text-later": [b"data", "text"]}.get(name, [b"da", b"", b"ta"])
        return kind(name, items)
"""
FINE = {"plain": b"data", "empty": b"", "iterator": b"data", "length": b"data", "too-much": b"dat", "no-content": b""}
FAILING = {"not-iterable": 500, "iter-raises": 500, "fails-first": 500, "text": 500, "not-started": 500,
           "fails-later": 200, "text-later": 200}


class TestClose:
    @staticmethod
    def configure(site):
        site.write("close.wsgi", APPLICATION)
        site.write("closed", "", mode=0o666)
        site.serve("close.wsgi")

    def closed(self, server):
        return [json.loads(line) for line in server.site.path("closed").read_text().splitlines()]

    def once(self, server, path, method="GET"):
        server.site.path("closed").write_text("")
        answer = server.request(method, f"/{path}")
        wait_until(lambda: self.closed(server), f"close() is called for {path}", 3)
        server.get("/plain")  # a second call would come before this one
        wait_until(lambda: self.closed(server)[-1] == "plain", "close() is called for the next request")
        assert self.closed(server)[:-1] == [path]
        return answer

    @pytest.mark.parametrize("path", FINE)
    def test_it_is_called_once_after_a_response(self, server, path):
        answer = self.once(server, path)
        assert answer.status == (204 if path == "no-content" else 200) and answer.body == FINE[path]

    @pytest.mark.parametrize("path", FAILING)
    def test_it_is_called_once_after_a_failure(self, server, path):
        answer = self.once(server, path)
        assert answer.status == FAILING[path]
        server.log.expect("wsgi:error")
        server.log.declare("wsgi:error")

    def test_it_is_called_once_after_a_content_length_that_is_none(self, server):
        server.log.declare("wsgi:error")
        assert self.once(server, "bad-length").status == 500

    def test_it_is_called_once_after_head(self, server):
        assert self.once(server, "plain", "HEAD").status == 200

    def test_its_own_failure_is_logged_and_the_response_stands(self, server):
        answer = self.once(server, "close-raises")
        assert (answer.status, answer.body) == (200, b"data")
        server.log.expect("RuntimeError: close itself failed")
        server.log.declare("wsgi:error")

    def test_a_close_that_is_no_function_does_no_harm(self, server):
        assert server.get("/close-is-no-function").body == b"data"
        server.log.declare("wsgi:error")
        assert server.get("/plain").body == b"data"
