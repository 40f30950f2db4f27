"""WSGIGroupAuthoritative: accepted for old configurations; without meaning since Apache 2.4."""

HELLO = """
    def application(environ, start_response):
        start_response("200 OK", [])
        return [b"hello"]
"""


class TestGroupAuthoritative:
    mpms = ("event",)

    @staticmethod
    def configure(site):
        site.write("hello.wsgi", HELLO)
        site.serve("hello.wsgi")
        site.add("<Location /on>\nWSGIGroupAuthoritative On\n</Location>",
                 "<Location /off>\nWSGIGroupAuthoritative Off\n</Location>")

    def test_requests_are_served_whatever_it_says(self, server):
        assert [server.get(path).body for path in ("/on", "/off")] == [b"hello", b"hello"]
