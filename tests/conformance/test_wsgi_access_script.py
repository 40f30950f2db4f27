"""WSGIAccessScript: allow_access() in the Apache child decides who gets in."""

import json

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


SHOW = """
    import json
    import os

    def allow_access(environ, host):
        shown = {key: value if isinstance(value, str) else type(value).__name__ for key, value in environ.items()}
        with open(os.path.dirname(__file__) + "/seen", "w") as file:
            json.dump([host, shown], file)
        return True
"""
HEADERS = {"Authorization": "Basic eDp5", "Proxy-Authorization": "Basic eDp5", "X-One": "1", "X_Under": "2", "Cookie": "a=b",
           "Content-Type": "text/x-own", "X-Forwarded-For": "192.0.2.1"}
KEYS = """
    CONTENT_LENGTH CONTENT_TYPE HTTP_ACCEPT_ENCODING HTTP_COOKIE HTTP_HOST HTTP_X_FORWARDED_FOR HTTP_X_ONE
    SERVER_SIGNATURE SERVER_SOFTWARE SERVER_NAME SERVER_ADDR SERVER_PORT SERVER_ADMIN SERVER_PROTOCOL DOCUMENT_ROOT
    REMOTE_ADDR REMOTE_PORT REQUEST_METHOD QUERY_STRING REQUEST_URI SCRIPT_NAME PATH_INFO
    apache.version mod_wsgi.version mod_wsgi.process_group mod_wsgi.application_group mod_ssl.is_https mod_ssl.var_lookup
    wsgi.errors
"""


class TestEnviron:
    @staticmethod
    def configure(site):
        show = site.write("show.py", SHOW)
        site.write("seen", "", mode=0o666)
        site.write("hello.wsgi", HELLO)
        site.serve("hello.wsgi")
        # What is said here is for applications.
        site.add("SetEnv FROM_SETENV yes", "WSGIPassAuthorization On", "WSGITrustedProxyHeaders X-Forwarded-For",
                 f"<Location /main>\nWSGIAccessScript {show}\n</Location>",
                 f"<Location /grouped>\nWSGIAccessScript {show} application-group=named\n</Location>")

    def seen(self, server, site, path, headers=HEADERS):
        assert server.post(path, b"body", headers).body == b"hello"
        return json.loads(site.path("seen").read_text())

    @pytest.mark.since((6, 1, 1), "older versions show another request than the client's")
    def test_it_has_these_keys_and_no_other(self, server, site):
        assert sorted(self.seen(server, site, "/main")[1]) == sorted(KEYS.split())

    @pytest.mark.since((6, 1, 1), "older versions show another request than the client's")
    def test_it_describes_the_request_of_the_client(self, server, site):
        host, seen = self.seen(server, site, "/main/a%20b?q=1")
        expected = {
            "REQUEST_METHOD": "POST", "REQUEST_URI": "/main/a%20b?q=1", "QUERY_STRING": "q=1", "SCRIPT_NAME": "",
            "PATH_INFO": "/main/a b", "SERVER_PROTOCOL": "HTTP/1.1", "SERVER_PORT": str(site.port), "CONTENT_LENGTH": "4",
            "CONTENT_TYPE": "text/x-own", "HTTP_COOKIE": "a=b", "HTTP_X_ONE": "1", "REMOTE_ADDR": "127.0.0.1",
            "DOCUMENT_ROOT": str(site.root / "www"),
        }
        assert host == "127.0.0.1" and seen | expected == seen

    def test_no_password_and_no_variable_of_others_is_there(self, server, site):
        seen = self.seen(server, site, "/main")[1]
        hidden = {"HTTP_AUTHORIZATION", "HTTP_PROXY_AUTHORIZATION", "HTTP_X_UNDER", "FROM_SETENV", "wsgi.input", "wsgi.url_scheme"}
        assert hidden & set(seen) == set()

    def test_it_runs_in_the_child_in_the_interpreter_that_is_named(self, server, site):
        for path, interpreter in {"/main": "", "/grouped": "named"}.items():
            seen = self.seen(server, site, path)[1]
            assert (seen["mod_wsgi.process_group"], seen["mod_wsgi.application_group"]) == ("", interpreter)

    @pytest.mark.ours_only("the C module shows it, and a program that is started with it takes it for a setting")
    @pytest.mark.parametrize("name", ["Proxy", "proxy", "PROXY"])
    def test_a_proxy_header_is_no_variable(self, server, site, name):
        seen = [self.seen(server, site, path, {name: "http://192.0.2.1/", "X-One": "1"})[1] for path in ("/main", "/grouped")]
        assert [(shown.get("HTTP_PROXY"), shown["HTTP_X_ONE"]) for shown in seen] == 2 * [(None, "1")]
