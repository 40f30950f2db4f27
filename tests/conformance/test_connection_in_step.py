"""Nothing that an application answers can put a kept-alive connection out of step: the second request on it has the
second answer, or the connection was closed. Sources: PEP 3333, "Handling the Content-Length Header"; RFC 9112, "Message Body".
"""

import socket

import pytest

from harness import under_test

APPLICATION = r"""
    import urllib.parse

    def application(environ, start_response):
        asked = urllib.parse.parse_qs(environ["QUERY_STRING"], keep_blank_values=True)
        if environ["PATH_INFO"] == "/second":
            start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "6")])
            return [b"second"]
        status = asked.get("status", ["200 OK"])[0]
        headers = [tuple(header.split(":", 1)) for header in asked.get("header", [])]
        start_response(status, [("Content-Type", "text/plain")] + headers)
        return [item.encode("latin-1") for item in asked.get("item", ["first"])]
"""
FAKE = "HTTP/1.1%20200%20OK%0D%0AContent-Length:%204%0D%0A%0D%0Afake"
IN_STEP_IN_BOTH = {
    "plain": "",
    "exact length": "header=Content-Length:5",
    "two items": "item=one&item=two",
    "no items": "item=",
    "too much": "header=Content-Length:3",
    "much too much": f"header=Content-Length:3&item=one{FAKE}",
    "length zero": "header=Content-Length:0",
    "204": "status=204 Nothing",
    "204 with a body": f"status=204 Nothing&item={FAKE}",
    "204 with a length": "status=204 Nothing&header=Content-Length:5",
    "304 with a body": f"status=304 Same&item={FAKE}",
    "304 with a length": "status=304 Same&header=Content-Length:5&item=",
    "205 with a body": "status=205 Reset",
    "keep-alive": "header=Keep-Alive:timeout=1",
    "upgrade": "header=Upgrade:websocket",
    "trailer": "header=Trailer:X-Later",
    "te": "header=TE:trailers",
    "proxy-connection": "header=Proxy-Connection:keep-alive",
    "status 999": "status=999 Odd",
    "status header": "header=Status:404 Not",
    "200 Continue": "status=200 Continue",
    "200 Rejected": "status=200 Rejected",
}
OURS_ONLY = {
    "200 Error": "status=200 Error",
    "too little": "header=Content-Length:50",
    "nothing of a length": "header=Content-Length:5&item=",
    "transfer-encoding chunked": "header=Transfer-Encoding:chunked",
    "transfer-encoding with a fake chunk": "header=Transfer-Encoding:chunked&item=5%0D%0Ahello%0D%0A0%0D%0A%0D%0A" + FAKE,
    "transfer-encoding identity": "header=Transfer-Encoding:identity",
    "transfer-encoding and length": "header=Transfer-Encoding:chunked&header=Content-Length:5",
    "connection keep-alive": "header=Connection:keep-alive",
    "connection close": "header=Connection:close",
    "connection names a header": "header=Connection:Content-Length&header=Content-Length:5",
    "100": "status=100 Continue",
    "101": "status=101 Switching",
    "101 with upgrade": "status=101 Switching&header=Upgrade:websocket&header=Connection:upgrade",
    "103": "status=103 Early",
    "199": "status=199 Odd",
    "000": "status=000 Odd",
    "two lengths": "header=Content-Length:5&header=Content-Length:5",
    "two different lengths": f"header=Content-Length:5&header=Content-Length:3&item=first{FAKE}",
}


def answers(connection: socket.socket, method: bytes) -> list[tuple[int, dict, bytes]]:
    """Reads final answers as a client has to until the connection ends: status, headers, body."""
    stream, found = connection.makefile("rb"), []
    while line := stream.readline():
        assert line.startswith(b"HTTP/1.1 "), f"out of step: {line!r} after {found}"
        status, headers = int(line.split()[1]), {}
        while (field := stream.readline()) not in (b"\r\n", b""):
            name, _, value = field.partition(b":")
            assert name.lower() not in headers or name.lower() not in (b"content-length", b"transfer-encoding"), field
            headers[name.lower()] = value.strip()
        if status == 101:
            raise AssertionError("the connection was given away")
        if status < 200:
            continue
        first = not found
        if (first and method == b"HEAD") or status in (204, 304):
            body = b""
        elif headers.get(b"transfer-encoding") == b"chunked":
            body = b""
            while size := int(stream.readline() or b"0", 16):
                body += stream.read(size)
                stream.readline()
            stream.readline()
        elif b"content-length" in headers:
            body = stream.read(int(headers[b"content-length"]))
        else:
            body = stream.read()
        found.append((status, headers, body))
    return found


class TestConnection:
    @staticmethod
    def configure(site):
        site.write("step.wsgi", APPLICATION)
        site.serve("step.wsgi")

    def in_step(self, server, query, method=b"GET"):
        query = query.replace(" ", "%20").encode()
        with server.connect(timeout=5) as connection:
            connection.sendall(method + b" /first?" + query + b" HTTP/1.1\r\nHost: x\r\n\r\n"
                               b"GET /second HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            found = answers(connection, method)
        server.log.declare("wsgi:error", "http:error", "core:error")
        assert 1 <= len(found) <= 2, found
        if len(found) == 2:
            assert (found[1][0], found[1][2]) == (200, b"second")
        return found

    @pytest.mark.parametrize("method", [b"GET", b"HEAD"])
    @pytest.mark.parametrize("what", IN_STEP_IN_BOTH)
    def test_the_second_request_has_the_second_answer(self, server, what, method):
        found = self.in_step(server, IN_STEP_IN_BOTH[what], method)
        assert len(found) == 2, found

    @pytest.mark.since((6, 1, 1), "older versions refuse it")
    def test_a_status_without_a_reason_is_one(self, server):
        assert [status for status, _, _ in self.in_step(server, "status=200")] == [200, 200]

    @pytest.mark.ours_only("the C module passes on what the application says about the connection, takes 200 Error for a word "
                           "of its own, and waits after too little")
    @pytest.mark.parametrize("method", [b"GET", b"HEAD"])
    @pytest.mark.parametrize("what", OURS_ONLY)
    def test_the_second_request_has_the_second_answer_or_the_connection_is_closed(self, server, what, method):
        self.in_step(server, OURS_ONLY[what], method)

    def test_a_body_with_204_or_304_is_not_sent(self, server):
        for status in ("204 Nothing", "304 Same"):
            found = self.in_step(server, f"status={status}&item={FAKE}")
            assert found[0][2] == b"" and b"transfer-encoding" not in found[0][1]

    @pytest.mark.ours_only("the C module sends it")
    def test_a_status_below_200_is_a_500(self, server):
        for status in ("100 Continue", "101 Switching", "199 Odd"):
            assert self.in_step(server, f"status={status}")[0][0] == 500
            server.log.expect("WSGI7061")

    @pytest.mark.ours_only("the C module keeps the connection open")
    def test_connection_close_of_an_application_closes(self, server):
        found = self.in_step(server, "header=Connection:close")
        assert len(found) == 1 and found[0][1][b"connection"].lower() == b"close"

    def test_a_header_named_status_is_a_header(self, server):
        found = self.in_step(server, "header=Status:404 Not")
        assert found[0][0] == 200 or not under_test.OURS

    def test_pipelined_requests_are_answered_in_order(self, server):
        with server.connect(timeout=10) as connection:
            connection.sendall(b"".join(b"GET /first?item=%d HTTP/1.1\r\nHost: x\r\n\r\n" % number for number in range(30))
                               + b"GET /second HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            found = answers(connection, b"GET")
        assert [body for _, _, body in found] == [b"%d" % number for number in range(30)] + [b"second"]

    def test_a_body_that_is_not_read_is_not_the_next_request(self, server):
        smuggled = b"GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n"
        with server.connect(timeout=10) as connection:
            connection.sendall(b"POST /first HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(smuggled) + smuggled
                               + b"GET /second HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            found = answers(connection, b"POST")
        assert [body for _, _, body in found] == [b"first", b"second"]
