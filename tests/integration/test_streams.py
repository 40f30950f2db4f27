"""Responses that an application streams, many at a time. In daemon mode large ones go through memory that processes share, so what one
client gets must not be another's."""

import concurrent.futures
import random
import socket

from harness import httpd_program, processes

APPLICATION = """
    import os
    import random
    import time

    def pieces(seed):
        random_number = random.Random(seed)
        for number in range(random_number.randrange(10, 60)):
            size = random_number.choice([1, 500, 4096, 16384, 16384, 40000, 65536, 150000])
            yield (f"{seed}:{number}," * (size // 4 + 1)).encode()[:size]

    class Slow:
        def __iter__(self):
            for number in range(1000):
                time.sleep(0.02)
                yield b"x" * 16384

        def close(self):
            with open(os.path.join(os.path.dirname(__file__), "closed"), "w") as out:
                out.write("closed")

    def application(environ, start_response):
        start_response("200 OK", [("Content-Type", "text/plain")])
        if environ["PATH_INFO"] == "/slow":
            return Slow()
        return pieces(environ["QUERY_STRING"])
"""


CLIENTS = 12
MANY = {"event": "StartServers 1\nServerLimit 1\nThreadsPerChild 50\nMaxRequestWorkers 50",
        "prefork": "StartServers 30\nServerLimit 30\nMaxRequestWorkers 30\nMinSpareServers 30\nMaxSpareServers 30"}


def pieces(seed: str):
    """As the application has them."""
    random_number = random.Random(seed)
    for number in range(random_number.randrange(10, 60)):
        size = random_number.choice([1, 500, 4096, 16384, 16384, 40000, 65536, 150000])
        yield (f"{seed}:{number}," * (size // 4 + 1)).encode()[:size]


def leave_early(server, seed):
    with server.connect() as connection:
        connection.sendall(b"GET /?%s HTTP/1.1\r\nHost: localhost\r\n\r\n" % seed.encode())
        connection.recv(random.Random(seed).randrange(1, 200_000))


class TestMany:
    mpms = ("event", "prefork")

    @staticmethod
    def configure(site):
        site.write("stream.wsgi", APPLICATION)
        site.serve("stream.wsgi", options="processes=2 threads=4")
        # Enough for all clients: httpd closes connections that are kept alive when there are too few workers.
        site.mpm_sizes = MANY[site.mpm]
        site.log.allow("AH10159", "AH00161")  # httpd would rather have more

    def test_everyone_gets_what_is_theirs(self, server):
        def client(name):
            with server.keep_alive() as connection:
                for number in range(12):
                    seed = f"{name}-{number}"
                    if number % 4 == 3:
                        leave_early(server, seed)
                    answer = connection.get(f"/?{seed}")
                    assert answer.status == 200 and answer.complete and answer.body == b"".join(pieces(seed)), seed

        with concurrent.futures.ThreadPoolExecutor(CLIENTS) as clients:
            list(clients.map(client, range(CLIENTS)))


class TestManyThroughAFilter(TestMany):
    """A filter looks at the bytes, so it gets a copy of what is in shared memory."""

    mpms = ("event",)

    @staticmethod
    def configure(site):
        TestMany.configure(site)
        site.add(httpd_program.load_modules("filter", "substitute"), "AddOutputFilterByType SUBSTITUTE text/plain", "SubstituteMaxLineLength 64m", 'Substitute "s/~/-/n"')


class TestLeaving:
    mpms = ("event",)
    modes = ("daemon",)

    @staticmethod
    def configure(site):
        TestMany.configure(site)
        site.path("").chmod(0o777)

    def test_a_stream_of_large_pieces_is_closed_soon_after_its_client_has_left(self, server, site):
        with socket.create_connection(("127.0.0.1", server.site.port)) as connection:
            connection.sendall(b"GET /slow HTTP/1.1\r\nHost: localhost\r\n\r\n")
            received = 0
            while received < 500_000:
                received += len(connection.recv(65536))
        processes.wait_until(lambda: site.path("closed").exists(), "close() is called", 5)
