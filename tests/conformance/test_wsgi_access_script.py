"""WSGIAccessScript: allow_access() in the Apache child decides who gets in."""

import pytest

ACCESS = """
    def allow_access(environ, host):
        answer = environ.get("HTTP_X_ANSWER")
        if answer == "raise":
            raise RuntimeError("the access script failed")
        if answer == "host":
            return host == "127.0.0.1" and environ["REMOTE_ADDR"] == host
        return {"true": True, "false": False, "none": None, "one": 1, "text": "yes"}[answer]
"""
HELLO = """
    def application(environ, start_response):
        start_response("200 OK", [])
        return [b"hello"]
"""


class TestAccessScript:
    @staticmethod
    def configure(site):
        access = site.write("access.py", ACCESS)
        site.write("hello.wsgi", HELLO)
        empty, broken = site.write("empty.py", "nothing = 1\n"), site.write("broken.py", "raise ImportError('broken')\n")
        site.serve("hello.wsgi")
        for place, script in {"/guarded": access, "/empty": empty, "/broken": broken, "/missing": site.path("missing.py")}.items():
            site.add(f"<Location {place}>\nWSGIAccessScript {script}\n</Location>")
        site.add(f"<Location /grouped>\nWSGIAccessScript {access} application-group=named\n</Location>")

    @pytest.mark.parametrize("answer, status", [("true", 200), ("none", 200), ("host", 200), ("false", 403), ("one", 403), ("text", 403),
                                                ("raise", 403)])
    def test_its_answer_decides(self, server, answer, status):
        for place in ("/guarded", "/grouped"):
            assert server.get(place, {"X-Answer": answer}).status == status
        server.log.declare("wsgi:error")
        if answer == "raise":
            server.log.expect("RuntimeError: the access script failed")

    @pytest.mark.parametrize("place", ["/empty", "/broken", "/missing"])
    def test_a_script_that_cannot_answer_lets_nobody_in(self, server, place):
        assert server.get(place).status in (403, 500)
        server.log.expect("wsgi:error")
        server.log.declare("wsgi:error")

    def test_elsewhere_everybody_gets_in(self, server):
        assert server.get("/elsewhere").body == b"hello"
