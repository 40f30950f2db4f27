"""What the benchmark serves. A new row is one more entry here."""

from dataclasses import dataclass

# The same for every row: Apache's answer must not depend on the script's modification time or on logging.
HEAD = '''
def application(environ, start_response):
'''


@dataclass
class Row:
    meaning: str
    body: str
    """The body of application(environ, start_response)."""
    method: str = "GET"
    request_body: str = ""
    request_headers: tuple[str, ...] = ()
    file_size: int = 0
    """Bytes of `bench.bin`, a file beside the script."""

    @property
    def script(self) -> str:
        return HEAD + "\n".join("    " + line for line in self.body.strip("\n").splitlines()) + "\n"


def answer(data: str, headers: str = "[]") -> str:
    return (f"data = {data}\n"
            f"start_response('200 OK', [('Content-Type', 'text/plain'), ('Content-Length', str(len(data)))] + {headers})\n"
            "return [data]")


ROWS = {
    "hello": Row("13 bytes", answer("b'Hello, world!'")),
    "headers": Row("40 response headers", answer("b'Hello, world!'", "[(f'X-Header-{n}', f'value number {n}') for n in range(40)]")),
    "10kb": Row("10 KB in one item", answer("b'x' * 10240")),
    "post": Row("64 KB request body, read and counted", answer("str(len(environ['wsgi.input'].read())).encode()"),
                method="POST", request_body="z" * 65536),
    "file": Row("10 MB file by wsgi.file_wrapper",
                "start_response('200 OK', [('Content-Type', 'application/octet-stream')])\n"
                "return environ['wsgi.file_wrapper'](open(__file__[:-5] + '.bin', 'rb'), 65536)",
                file_size=10 * 1024 * 1024),
    "stream1mb": Row("1 MB as 64 items of 16 KB without a length",
                     "start_response('200 OK', [('Content-Type', 'text/plain')])\nreturn (piece for piece in [b'x' * 16384] * 64)"),
    "stream": Row("20 items of 1 KB without a length",
                  "start_response('200 OK', [('Content-Type', 'text/plain')])\nreturn [b'x' * 1024] * 20"),
}
