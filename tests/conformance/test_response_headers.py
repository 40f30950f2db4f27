"""Header values come back as the application gave them. CVE-2014-0242 was that the C module up to 3.3 kept the
Content-Type in memory that Python had freed, so that a client got what another thread had written there meanwhile.
"""

import threading

import pytest

from harness import under_test

APPLICATION = """
    def application(environ, start_response):
        number = environ["QUERY_STRING"]
        mark = "m%s-" % number * (1 + int(number) % 40)
        start_response("200 " + mark, [("Content-Type", "application/" + mark), ("X-Mark", mark), ("Set-Cookie", "a=" + mark),
                                       ("Set-Cookie", "b=" + mark), ("WWW-Authenticate", "Mark " + mark)])
        # Memory that has been freed by now is written again by every thread.
        rubbish = ["rubbish-%d-" % size * size for size in range(60)]
        yield number.encode()
        del mark, rubbish
        yield b"."
"""
THREADS = 8
REQUESTS = 150
"""Requests of each thread, on one connection."""


def wrong(answer, number: int) -> list[str]:
    """What of the answer is not as the application gave it."""
    mark = f"m{number}-" * (1 + number % 40)
    expected = {"Content-Type": [f"application/{mark}"], "X-Mark": [mark], "Set-Cookie": [f"a={mark}", f"b={mark}"],
                "WWW-Authenticate": [f"Mark {mark}"]}
    found = {name: answer.headers.get_all(name) for name in expected}
    same = found == expected and answer.reason == mark and answer.body == b"%d." % number
    return [] if same else [f"{number}: {answer.reason} {found} {answer.body!r}"]


class TestManyAnswersAtOnce:
    @staticmethod
    def configure(site):
        site.write("marks.wsgi", APPLICATION)
        site.serve("marks.wsgi", options="threads=5")

    def test_every_answer_has_its_own_headers(self, server):
        different, answered = [], []

        def ask(first: int) -> None:
            with server.keep_alive() as connection:
                for number in range(first, first + REQUESTS):
                    different.extend(wrong(connection.get(f"/?{number}"), number))
                    answered.append(number)

        threads = [threading.Thread(target=ask, args=(index * REQUESTS,)) for index in range(THREADS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        assert different == []
        assert sorted(answered) == list(range(THREADS * REQUESTS))


class TestWhatAHeaderMayHold:
    @staticmethod
    def configure(site):
        site.write("headers.wsgi", """
            def application(environ, start_response):
                size, character = environ["PATH_INFO"].strip("/").split("-")
                start_response("200 OK", [("Content-Type", "text/plain"), ("X-Long", character * int(size))])
                return [b"x"]
        """)
        # The C module has a buffer for them in daemon mode.
        site.serve("headers.wsgi", options="header-buffer-size=8192" if under_test.OURS else "header-buffer-size=100000")

    @pytest.mark.parametrize("size", [0, 1, 8191, 60_000])
    def test_a_value_of_any_length_arrives_whole(self, server, size):
        head = server.raw(b"GET /%d-v HTTP/1.0\r\n\r\n" % size, timeout=10)
        assert b"\r\nX-Long: " + b"v" * size + b"\r\n" in head.replace(b"X-Long:\r", b"X-Long: \r")

    def test_bytes_of_latin_1_arrive(self, server):
        assert b"\r\nX-Long: \xe4\xe4\xe4\r\n" in server.raw(b"GET /3-%E4 HTTP/1.0\r\n\r\n")
