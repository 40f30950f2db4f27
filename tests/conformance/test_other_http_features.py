"""What httpd does for a response, as for any other. Source: PEP 3333, "Other HTTP Features"; hop-by-hop headers are in
test_connection_in_step.py, Expect in test_expect_continue.py.
"""

import gzip

import pytest

from harness import httpd_program

APPLICATION = """
    import gzip
    from urllib.parse import parse_qsl

    TEXT = b"a text that can be made smaller, " * 100

    def application(environ, start_response):
        what, headers = environ["PATH_INFO"].strip("/"), [("Content-Type", "text/plain")]
        headers += parse_qsl(environ["QUERY_STRING"])
        if what == "asked":
            start_response("200 OK", headers)
            return [repr([environ.get(name) for name in ("HTTP_IF_NONE_MATCH", "HTTP_IF_MODIFIED_SINCE", "HTTP_RANGE")]).encode()]
        if what == "not-modified":
            start_response("304 Not Modified", headers)
            return []
        if what == "packed":
            start_response("200 OK", headers + [("Content-Encoding", "gzip")])
            return [gzip.compress(TEXT)]
        start_response("200 OK", headers)
        return [TEXT]
"""
TEXT = b"a text that can be made smaller, " * 100


class TestHttpd:
    @staticmethod
    def configure(site):
        site.write("features.wsgi", APPLICATION)
        site.add(httpd_program.load_modules("filter", "deflate", "headers"),
                 '<Location /small>\nSetOutputFilter DEFLATE\n</Location>\n<Location /packed>\nSetOutputFilter DEFLATE\n</Location>\n'
                 '<Location /more>\nHeader set X-Added "by httpd"\nHeader unset X-Taken\n</Location>')
        site.serve("features.wsgi")

    def test_date_and_server_are_there_once_whatever_the_application_says(self, server):
        for query in ("", "?Date=Thu,+01+Jan+1970+00:00:00+GMT&Server=mine"):
            answer = server.get(f"/{query}")
            assert [len(answer.headers.get_all(name)) for name in ("Date", "Server")] == [1, 1]
            assert answer.headers["Server"].startswith("Apache/2.4") and "1970" not in answer.headers["Date"]

    def test_conditions_and_ranges_are_the_applications(self, server):
        """It knows what it serves: the headers come to it."""
        since = "Thu, 01 Jan 1970 00:00:00 GMT"
        answer = server.get("/asked", {"If-None-Match": '"a"', "If-Modified-Since": since, "Range": "bytes=0-999"})
        assert answer.body == repr(['"a"', since, "bytes=0-999"]).encode()

    def test_a_304_of_the_application_has_its_headers_and_no_body(self, server):
        with server.keep_alive() as connection:
            for _ in range(2):
                answer = connection.get("/not-modified?ETag=%22a%22")
                assert (answer.status, answer.headers["ETag"], answer.body) == (304, '"a"', b"")

    @pytest.mark.parametrize("path", ["/small", f"/small?Content-Length={len(TEXT)}"])
    def test_a_filter_may_encode_the_body(self, server, path):
        """A Content-Length of what was before would put the connection out of step."""
        with server.keep_alive() as connection:
            for _ in range(2):
                answer = connection.get(path, {"Accept-Encoding": "gzip"})
                assert answer.headers["Content-Encoding"] == "gzip" and gzip.decompress(answer.body) == TEXT and answer.complete
                assert connection.get(path, {"Accept-Encoding": "identity"}).body == TEXT

    def test_what_is_encoded_already_is_left_alone(self, server):
        answer = server.get("/packed", {"Accept-Encoding": "gzip"})
        assert answer.headers.get_all("Content-Encoding") == ["gzip"] and gzip.decompress(answer.body) == TEXT

    def test_other_modules_add_headers_and_take_them_away(self, server):
        answer = server.get("/more?X-Taken=away&X-Kept=here")
        assert [answer.headers[name] for name in ("X-Added", "X-Taken", "X-Kept")] == ["by httpd", None, "here"]
