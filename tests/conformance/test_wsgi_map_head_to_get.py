"""WSGIMapHEADToGET: whether an application sees HEAD or GET, so that filters see the same length."""

import pytest

from harness import httpd_program

METHOD = """
    def application(environ, start_response):
        method = environ["REQUEST_METHOD"]
        start_response("200 OK", [("X-Method", method), ("Content-Type", "text/plain"), ("Content-Length", "40")])
        return [] if method == "HEAD" else [b"x" * 40]
"""


class TestMapHeadToGet:
    @staticmethod
    def configure(site):
        script = site.write("method.wsgi", METHOD)
        site.add(site.daemon("app"), httpd_program.load_modules("filter", "deflate"))
        for place, line in {"/default": "", "/auto": "WSGIMapHEADToGET Auto", "/on": "WSGIMapHEADToGET On",
                            "/off": "WSGIMapHEADToGET Off", "/filtered": "SetOutputFilter DEFLATE",
                            "/filtered-off": "SetOutputFilter DEFLATE\nWSGIMapHEADToGET Off"}.items():
            site.add(f"WSGIScriptAlias {place} {script}", f"<Location {place}>\n{line}\n</Location>" if line else "")

    def seen(self, server, path):
        """The method that the application saw, and that a request on the same connection is answered as it should be."""
        with server.keep_alive() as connection:
            answer = connection.request("HEAD", path)
            assert (answer.status, answer.body) == (200, b"")
            following = connection.get(path)
            assert (following.headers["X-Method"], following.body) == ("GET", b"x" * 40)
        return answer.headers["X-Method"]

    @pytest.mark.since((6, 1, 1), "older versions look at other filters")
    def test_by_default_a_filter_that_needs_the_body_makes_it_get(self, server):
        assert self.seen(server, "/default") == self.seen(server, "/auto") == "HEAD"
        assert self.seen(server, "/filtered") == "GET"

    def test_on_makes_every_head_a_get(self, server):
        assert self.seen(server, "/on") == "GET"

    def test_off_leaves_every_head_alone(self, server):
        assert self.seen(server, "/off") == self.seen(server, "/filtered-off") == "HEAD"

    def test_the_length_is_passed_on(self, server):
        for path in ("/on", "/off"):
            assert server.request("HEAD", path).headers["Content-Length"] == "40"
