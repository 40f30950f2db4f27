"""write(): data is sent at once, and in order with what is returned. Source: PEP 3333, "The write() Callable"."""

import pytest

from test_buffering import body_of, configured, expected, in_step

APPLICATION = """
    def returned(write):
        yield b"2 "
        write(b"3 ")
        yield b"4 "
        write(b"5 ")

    class Closing:
        def __init__(self, write):
            self.write = write

        def __iter__(self):
            return iter([b"returned"])

        def close(self):
            self.write(b" from close()")

    def application(environ, start_response):
        what = environ["PATH_INFO"].strip("/")
        write = start_response("200 OK", [("Content-Type", "text/plain")])
        if what == "nothing-returned":
            write(b"written")
            return []
        if what == "value":
            return [repr(write(b"written ")).encode()]
        if what == "kept":
            write(b"one ")
            write(b"")
            write(b"two")
            return iter(())
        if what == "headers-are-gone":
            write(b"")
            try:
                start_response("500 Late", [])
            except RuntimeError:
                return [b"too late"]
        if what == "closing":
            return Closing(write)
        write(b"0 ")
        write(b"1 ")
        return returned(write)
"""


class TestBlocks:
    @staticmethod
    def configure(site):
        configured(site)

    @pytest.mark.parametrize("size", [3, 1000, 20_000])
    @pytest.mark.parametrize("how", ["write", "write-length", "write-in-iteration"])
    def test_what_is_written_is_sent_before_write_returns(self, server, how, size):
        assert body_of(in_step(server, how, size)) == expected(size)


class TestOrder:
    @staticmethod
    def configure(site):
        site.write("write.wsgi", APPLICATION)
        site.serve("write.wsgi")

    def test_written_and_returned_data_arrive_in_the_order_of_time(self, server):
        assert server.get("/order").body == b"0 1 2 3 4 5 "

    def test_data_may_be_written_alone(self, server):
        answer = server.get("/nothing-returned")
        assert (answer.status, answer.body, answer.complete) == (200, b"written", True)

    def test_it_returns_nothing(self, server):
        assert server.get("/value").body == b"written None"

    def test_an_empty_text_is_no_end(self, server):
        assert server.get("/kept").body == b"one two"

    def test_even_an_empty_text_sends_the_headers(self, server):
        answer = server.get("/headers-are-gone")
        assert (answer.status, answer.body) == (200, b"too late")

    def test_close_may_write_still(self, server):
        answer = server.get("/closing")
        assert (answer.body, answer.complete) == (b"returned from close()", True)
