"""Each block is sent before the next one is made, whatever its size. Sources: PEP 3333, "Buffering and Streaming" and
"Middleware Handling of Block Boundaries".
"""

import itertools
import re

import pytest

APPLICATION = """
    import os
    import time

    FOLDER = os.path.dirname(__file__)
    BLOCKS = 6

    def may_go_on(run, number):
        deadline = time.monotonic() + 10
        while not os.path.exists(f"{FOLDER}/go/{run}-{number}"):
            if time.monotonic() > deadline:
                raise TimeoutError(f"the client has not seen block {number}")
            time.sleep(0.002)

    def blocks(run, size):
        "Makes a block when the client has seen the one before."
        for number in range(BLOCKS):
            yield b"<%d>" % number + b"." * (size - 3)
            may_go_on(run, number)

    def empty_ones_between(items):
        "As a middleware that has nothing to say yet."
        for item in items:
            yield b""
            yield b""
            yield item
            yield b""

    class Iterator:
        def __init__(self, items):
            self.items = items

        def __iter__(self):
            return self

        def __next__(self):
            return next(self.items)

    def joined(items):
        "A middleware that sends what it has so far, cut elsewhere."
        kept = b""
        for item in items:
            kept, cut = (kept + item)[-1:], (kept + item)[:-1]
            yield cut
        yield kept

    def application(environ, start_response):
        how, run, size = environ["PATH_INFO"].strip("/").split("/")
        headers = [("Content-Type", "text/plain")]
        if how.endswith("-length"):
            how = how.removesuffix("-length")
            headers.append(("Content-Length", str(BLOCKS * int(size))))
        write = start_response("200 OK", headers)
        items = blocks(run, int(size))
        if how == "write":
            for item in items:
                write(item)
            return []
        if how == "write-in-iteration":
            return (write(item) or b"" for item in items)
        return {"generator": lambda: items, "empty": lambda: empty_ones_between(items), "iterator": lambda: Iterator(items),
                "joined": lambda: joined(items)}[how]()
"""
BLOCKS = 6
RUNS = itertools.count()
CHUNK = re.compile(rb"\r\n([0-9a-f]+)\r\n")


def configured(site):
    site.write("blocks.wsgi", APPLICATION)
    site.path("go").mkdir()
    site.serve("blocks.wsgi", options="threads=2")


def in_step(server, how: str, size: int, version: bytes = b"1.1") -> bytes:
    """Lets the application make a block when the one before has arrived; everything that came."""
    run, received = next(RUNS), b""
    with server.connect(timeout=10) as connection:
        connection.sendall(b"GET /%s/%d/%d HTTP/%s\r\nHost: x\r\nConnection: close\r\n\r\n" % (how.encode(), run, size, version))
        for number in range(BLOCKS):
            while b"<%d>" % number not in received:
                piece = connection.recv(65536)
                assert piece, f"the connection ended before block {number}: {received!r}"
                received += piece
            assert b"<%d>" % (number + 1) not in received
            server.site.path(f"go/{run}-{number}").write_text("")
        while piece := connection.recv(65536):
            received += piece
    return received


def body_of(received: bytes) -> bytes:
    head, _, body = received.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200"), head
    if b"Transfer-Encoding: chunked" not in head:
        return body
    whole, rest = b"", body
    while size := int(rest.partition(b"\r\n")[0], 16):
        chunk = rest.partition(b"\r\n")[2]
        whole, rest = whole + chunk[:size], chunk[size + 2:]
    assert rest == b"0\r\n\r\n"
    return whole


def expected(size: int) -> bytes:
    return b"".join(b"<%d>" % number + b"." * (size - 3) for number in range(BLOCKS))


class TestBlocks:
    @staticmethod
    def configure(site):
        configured(site)

    @pytest.mark.parametrize("size", [3, 1000, 8000, 20_000])
    @pytest.mark.parametrize("how", ["generator", "generator-length", "iterator", "empty", "empty-length"])
    def test_a_block_is_sent_before_the_next_is_made(self, server, how, size):
        assert body_of(in_step(server, how, size)) == expected(size)

    @pytest.mark.parametrize("how", ["generator", "generator-length", "empty"])
    def test_the_same_for_clients_of_http_1_0(self, server, how):
        assert body_of(in_step(server, how, 100, b"1.0")) == expected(100)

    def test_a_middleware_may_cut_them_elsewhere(self, server):
        assert body_of(in_step(server, "joined", 100)) == expected(100)

    def test_an_empty_block_is_not_the_last_chunk(self, server):
        received = in_step(server, "empty", 10)
        assert b"Transfer-Encoding: chunked" in received and received.count(b"\r\n0\r\n") == 1
