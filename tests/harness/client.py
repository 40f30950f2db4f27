"""Clients for a server on the loopback interface: one request, keep-alive, raw bytes, curl."""

import http.client
import socket
import subprocess
from dataclasses import dataclass

TIMEOUT = 20.0


@dataclass
class Answer:
    status: int
    reason: str
    headers: http.client.HTTPMessage
    body: bytes
    complete: bool
    """False if the connection ended before the announced length or the last chunk."""

    @property
    def text(self) -> str:
        return self.body.decode("latin-1")


class Client:
    """Talks to one port of this machine."""

    def __init__(self, port: int):
        self.port = port

    def request(self, method: str, path: str, body=None, headers: dict | None = None, timeout: float = TIMEOUT) -> Answer:
        """One request on a connection of its own. `body` may be bytes, or an iterable that is sent chunked."""
        with self.keep_alive(timeout) as connection:
            return connection.request(method, path, body, headers)

    def get(self, path: str, headers: dict | None = None, timeout: float = TIMEOUT) -> Answer:
        return self.request("GET", path, None, headers, timeout)

    def post(self, path: str, body, headers: dict | None = None, timeout: float = TIMEOUT) -> Answer:
        return self.request("POST", path, body, headers, timeout)

    def keep_alive(self, timeout: float = TIMEOUT) -> "KeepAlive":
        """A connection for several requests. It stays with one Apache child under every MPM."""
        return KeepAlive(self.port, timeout)

    def connect(self, timeout: float = TIMEOUT) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout)

    def raw(self, request: bytes, timeout: float = TIMEOUT) -> bytes:
        """Sends these bytes and returns everything that comes until the server closes the connection."""
        with self.connect(timeout) as connection:
            connection.sendall(request)
            received = []
            while data := connection.recv(65536):
                received.append(data)
        return b"".join(received)

    def curl(self, path: str, *options: str) -> subprocess.CompletedProcess:
        """curl with a file as body comes closest to what people type; output as text."""
        return subprocess.run(["curl", "-sS", "--max-time", "20", *options, f"http://127.0.0.1:{self.port}{path}"],
                              capture_output=True, text=True)


class KeepAlive:
    def __init__(self, port: int, timeout: float):
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)

    def request(self, method: str, path: str, body=None, headers: dict | None = None) -> Answer:
        self.connection.request(method, path, body, headers or {})
        response = self.connection.getresponse()
        try:
            content, complete = response.read(), True
        except http.client.IncompleteRead as error:
            content, complete = error.partial, False
        except ConnectionError:
            content, complete = b"", False
        return Answer(response.status, response.reason, response.headers, content, complete)

    def get(self, path: str, headers: dict | None = None) -> Answer:
        return self.request("GET", path, None, headers)

    def __enter__(self) -> "KeepAlive":
        return self

    def __exit__(self, *_) -> None:
        self.connection.close()
