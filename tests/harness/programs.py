"""What tests of real programs share: virtualenvs from PyPI, and a client that keeps cookies as a browser does."""

import urllib.parse
from http.cookies import SimpleCookie
from pathlib import Path

import pytest

from . import interpreters
from .client import Answer

NO_INDEX = ("No matching distribution", "Temporary failure in name resolution", "Connection refused", "Could not fetch URL",
            "Network is unreachable", "ReadTimeoutError", "ConnectTimeoutError", "NewConnectionError")


def virtualenv_or_skip(*requirements: str) -> Path:
    """A cached virtualenv of the distribution's Python; the test is skipped if the package index is not reachable."""
    try:
        return interpreters.virtualenv(interpreters.system(), *requirements)
    except RuntimeError as error:
        if any(reason in str(error) for reason in NO_INDEX):
            pytest.skip(f"{' '.join(requirements)} cannot be installed, the package index is not reachable: {error}")
        raise


class Session:
    """Sends the cookies that it got, and follows no redirect."""

    def __init__(self, client):
        self.client = client
        self.cookies = SimpleCookie()

    def request(self, method: str, path: str, body=None, headers: dict | None = None) -> Answer:
        sent = dict(headers or {})
        if self.cookies:
            sent["Cookie"] = "; ".join(f"{name}={morsel.coded_value}" for name, morsel in self.cookies.items())
        answer = self.client.request(method, path, body, sent)
        for cookie in answer.headers.get_all("Set-Cookie", []):
            self.cookies.load(cookie)
        return answer

    def get(self, path: str, headers: dict | None = None) -> Answer:
        return self.request("GET", path, None, headers)

    def form(self, path: str, **fields: str) -> Answer:
        body = urllib.parse.urlencode(fields).encode()
        return self.request("POST", path, body, {"Content-Type": "application/x-www-form-urlencoded"})

    def upload(self, path: str, field: str, name: str, data: bytes, headers: dict | None = None) -> Answer:
        """Posts one file as a browser's form does."""
        boundary = b"----of-this-test"
        body = b"\r\n".join([
            b"--" + boundary,
            f'Content-Disposition: form-data; name="{field}"; filename="{name}"'.encode(),
            b"Content-Type: application/octet-stream", b"", data, b"--" + boundary + b"--", b""])
        return self.request("POST", path, body, {"Content-Type": f"multipart/form-data; boundary={boundary.decode()}"} | (headers or {}))


def session(server) -> Session:
    return Session(server.client)
