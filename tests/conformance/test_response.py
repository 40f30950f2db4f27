"""start_response, iteration and close(). Sources: PEP 3333, "Specification Details" and "The start_response() Callable"."""

import time

import pytest

from harness.processes import wait_until

APPLICATION = """
    import os
    import time

    class Response:
        def __init__(self, name, items):
            self.name, self.items = name, items

        def __iter__(self):
            return iter(self.items)

        def close(self):
            with open(os.path.dirname(__file__) + "/closed", "a") as file:
                file.write(self.name + "\\n")

    def failing():
        yield b"first"
        raise ValueError("after the first item")

    def endless():
        while True:
            yield b"x" * 1000
            time.sleep(0.01)

    def slow():
        yield b"early"
        time.sleep(0.6)
        yield b"late"

    def application(environ, start_response):
        what = environ["PATH_INFO"].strip("/")
        headers = [("Content-Type", "text/plain")]
        if what == "status":
            start_response(environ["QUERY_STRING"].replace("+", " "), headers)
            return [b"body"]
        if what == "cookies":
            start_response("200 OK", headers + [("Set-Cookie", "a=1"), ("Set-Cookie", "b=2"), ("X-One", "x")])
            return [b"cookies"]
        if what == "write":
            write = start_response("200 OK", headers)
            write(b"written ")
            write(b"twice ")
            return [b"returned"]
        if what == "replaced":
            start_response("200 OK", headers)
            try:
                raise ValueError
            except ValueError:
                import sys
                start_response("503 Sorry", headers, sys.exc_info())
            return [b"replaced"]
        if what == "length":
            start_response("200 OK", headers + [("Content-Length", "5")])
            return [b"12345"]
        start_response("200 OK", headers)
        return {
            "generator": lambda: (b"%d," % number for number in range(5)),
            "empty-items": lambda: [b"", b"a", b"", b"b", b""],
            "nothing": lambda: [],
            "slow": slow,
            "close": lambda: Response("close", [b"a", b"b"]),
            "close-failing": lambda: Response("close-failing", failing()),
            "close-endless": lambda: Response("close-endless", endless()),
            "large": lambda: (b"x" * 65536 for number in range(80)),
        }[what]()
"""


class TestResponses:
    @staticmethod
    def configure(site):
        site.write("response.wsgi", APPLICATION)
        site.serve("response.wsgi")

    def test_a_generator_is_sent_item_by_item(self, server):
        answer = server.get("/generator")
        assert (answer.body, answer.complete) == (b"0,1,2,3,4,", True)
        assert answer.headers["Transfer-Encoding"] == "chunked"

    def test_empty_items_are_skipped(self, server):
        assert server.get("/empty-items").body == b"ab"

    def test_an_empty_response_is_a_response(self, server):
        answer = server.get("/nothing")
        assert (answer.status, answer.body, answer.complete) == (200, b"", True)

    def test_the_first_item_is_sent_before_the_second_is_made(self, server):
        with server.connect(timeout=5) as connection:
            connection.sendall(b"GET /slow HTTP/1.0\r\n\r\n")
            received = b""
            while b"early" not in received:
                received += connection.recv(65536)
            assert b"late" not in received

    def test_a_large_response_arrives_whole(self, server):
        answer = server.get("/large")
        assert answer.complete and len(answer.body) == 80 * 65536

    def test_content_length_is_passed_on(self, server):
        answer = server.get("/length")
        assert (answer.headers["Content-Length"], answer.headers["Transfer-Encoding"]) == ("5", None)
        assert answer.body == b"12345"

    @pytest.mark.ours_only("the C module flushes every item, so that httpd cannot count")
    def test_a_list_is_counted_by_httpd(self, server):
        answer = server.get("/status?200+Fine")
        assert (answer.headers["Content-Length"], answer.headers["Transfer-Encoding"]) == ("4", None)

    def test_status_and_reason_are_passed_on(self, server):
        for status in ("200 Fine", "404 Not Here", "418 Teapot", "503 Later"):
            answer = server.get("/status?" + status.replace(" ", "+"))
            assert f"{answer.status} {answer.reason}" == status
            assert answer.body == b"body"

    def test_repeated_set_cookie_headers_stay_apart(self, server):
        answer = server.get("/cookies")
        assert answer.headers.get_all("Set-Cookie") == ["a=1", "b=2"]
        assert answer.headers["X-One"] == "x"

    def test_data_from_write_comes_before_the_items(self, server):
        assert server.get("/write").body == b"written twice returned"

    def test_start_response_with_exc_info_replaces_the_status(self, server):
        answer = server.get("/replaced")
        assert (answer.status, answer.reason, answer.body) == (503, "Sorry", b"replaced")

    def closed_by(self, server, what):
        """How often close() was called by one request for `what`, and the answer."""
        closed = server.site.path("closed")
        closed.write_text("")
        closed.chmod(0o666)
        answer = server.get("/" + what)
        wait_until(closed.read_text, "close() is called")
        time.sleep(0.1)
        return closed.read_text().splitlines(), answer

    def test_close_is_called_once(self, server):
        closed, answer = self.closed_by(server, "close")
        assert (closed, answer.body) == (["close"], b"ab")

    def test_close_is_called_once_after_an_exception(self, server):
        closed, answer = self.closed_by(server, "close-failing")
        assert (closed, answer.body) == (["close-failing"], b"first")
        server.log.expect("ValueError: after the first item")
        server.log.declare("wsgi:error")

    def test_close_is_called_once_when_the_client_has_gone(self, server):
        closed = server.site.path("closed")
        closed.write_text("")
        closed.chmod(0o666)
        with server.connect() as connection:
            connection.sendall(b"GET /close-endless HTTP/1.0\r\n\r\n")
            assert connection.recv(1000)
        wait_until(closed.read_text, "close() is called")
        time.sleep(0.1)
        assert closed.read_text().splitlines() == ["close-endless"]

    def test_head_is_answered_without_a_body(self, server):
        with server.keep_alive() as connection:
            answer = connection.request("HEAD", "/length")
            assert (answer.status, answer.body, answer.headers["Content-Length"]) == (200, b"", "5")
            assert connection.get("/length").body == b"12345"
            assert connection.request("HEAD", "/generator").status == 200
            assert connection.get("/generator").body == b"0,1,2,3,4,"
