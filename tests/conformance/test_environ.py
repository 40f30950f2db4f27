"""The environ that an application gets. Source: PEP 3333, "environ Variables"; the C module's mod_wsgi.* keys."""

import json

import pytest

APPLICATION = """
    import json
    import os

    def application(environ, start_response):
        shown = {name: value if isinstance(value, (str, int, float, bool, tuple, type(None))) else type(value).__name__
                 for name, value in environ.items()}
        shown["type of environ"] = type(environ).__name__
        shown["pid"] = os.getpid()
        start_response("200 OK", [("Content-Type", "application/json")])
        return [json.dumps(shown).encode()]
"""


def environ(answer) -> dict:
    assert answer.status == 200, answer
    return json.loads(answer.body)


class TestEnviron:
    @staticmethod
    def configure(site):
        site.write("environ.wsgi", APPLICATION)
        site.add("SetEnv FROM_CONFIGURATION here")
        site.serve("environ.wsgi", at="/at")

    def test_the_keys_of_pep_3333_are_there(self, server, site):
        seen = environ(server.get("/at/path?a=1&b=%20"))
        assert seen["REQUEST_METHOD"] == "GET"
        assert seen["SCRIPT_NAME"] == "/at"
        assert seen["PATH_INFO"] == "/path"
        assert seen["QUERY_STRING"] == "a=1&b=%20"
        assert seen["SERVER_NAME"] == "127.0.0.1" or seen["SERVER_NAME"] == "localhost"
        assert seen["SERVER_PORT"] == str(site.port)
        assert seen["SERVER_PROTOCOL"] == "HTTP/1.1"
        assert seen["wsgi.version"] == [1, 0]
        assert seen["wsgi.url_scheme"] == "http"
        assert seen["wsgi.run_once"] is False
        assert seen["wsgi.input"] == "Input"
        assert seen["wsgi.errors"] == "TextIOWrapper"
        assert seen["wsgi.file_wrapper"] == "type"
        assert seen["wsgi.input_terminated"] is True
        assert seen["type of environ"] == "dict"

    def test_the_keys_of_cgi_are_there(self, server, site):
        seen = environ(server.get("/at"))
        assert seen["QUERY_STRING"] == ""
        assert seen["REQUEST_URI"] == "/at"
        assert seen["REQUEST_SCHEME"] == "http"
        assert seen["SCRIPT_FILENAME"] == str(site.path("environ.wsgi"))
        assert seen["DOCUMENT_ROOT"] == str(site.root / "www")
        assert seen["REMOTE_ADDR"] == "127.0.0.1"
        assert seen["REMOTE_PORT"].isdigit()
        assert seen["SERVER_ADDR"] == "127.0.0.1"
        assert seen["SERVER_SOFTWARE"].startswith("Apache/2.4")
        assert "mod_wsgi/" in seen["SERVER_SOFTWARE"]

    def test_what_cgi_has_beyond_that_is_not_there(self, server):
        seen = environ(server.get("/at"))
        absent = ("PATH", "LD_LIBRARY_PATH", "HTTPS", "REMOTE_HOST", "REMOTE_IDENT", "PATH_TRANSLATED")
        assert [name for name in absent if name in seen] == []
        assert [name for name in seen if name.startswith("mod_wsgi.x-")] == []

    @pytest.mark.since((6, 1, 1), "older versions set GATEWAY_INTERFACE and SERVER_SIGNATURE")
    def test_gateway_interface_and_server_signature_are_not_there(self, server):
        seen = environ(server.get("/at"))
        assert "GATEWAY_INTERFACE" not in seen and "SERVER_SIGNATURE" not in seen

    def test_the_keys_of_mod_wsgi_are_there(self, server, site):
        seen = environ(server.get("/at/x"))
        group = "" if site.embedded else "app"
        assert seen["mod_wsgi.process_group"] == group
        assert seen["mod_wsgi.application_group"] == ""
        assert seen["mod_wsgi.callable_object"] == "application"
        assert seen["mod_wsgi.request_handler"] == "wsgi-script"
        assert seen["mod_wsgi.handler_script"] == ""
        assert seen["mod_wsgi.script_name"] == "/at"
        assert seen["mod_wsgi.path_info"] == "/x"
        assert seen["mod_wsgi.listener_host"] == "127.0.0.1"
        assert seen["mod_wsgi.listener_port"] == str(site.port)
        assert len(seen["mod_wsgi.version"]) == 3 and len(seen["apache.version"]) == 3
        assert seen["apache.version"][:2] == [2, 4]

    def test_the_process_is_an_apache_child_only_in_embedded_mode(self, server, site):
        seen = environ(server.get("/at"))
        assert seen["pid"] in server.processes() and seen["pid"] != server.pid

    def test_request_headers_become_http_variables(self, server, site):
        seen = environ(server.get("/at", {"X-One": "1", "Accept-Language": "de", "Cookie": "a=b; c=d"}))
        assert seen["HTTP_X_ONE"] == "1"
        assert seen["HTTP_ACCEPT_LANGUAGE"] == "de"
        assert seen["HTTP_COOKIE"] == "a=b; c=d"
        assert seen["HTTP_HOST"] == f"127.0.0.1:{site.port}"

    def test_content_type_and_content_length_have_no_http_variable(self, server):
        seen = environ(server.post("/at", b"abc", {"Content-Type": "text/x-test"}))
        assert (seen["REQUEST_METHOD"], seen["CONTENT_TYPE"], seen["CONTENT_LENGTH"]) == ("POST", "text/x-test", "3")
        assert "HTTP_CONTENT_TYPE" not in seen and "HTTP_CONTENT_LENGTH" not in seen

    def test_authorization_and_proxy_headers_are_kept_from_the_application(self, server):
        seen = environ(server.get("/at", {"Authorization": "Basic eDp5", "Proxy": "http://elsewhere/"}))
        assert "HTTP_AUTHORIZATION" not in seen and "HTTP_PROXY" not in seen

    def test_a_header_with_an_underscore_is_dropped(self, server):
        assert "HTTP_X_FORGED" not in environ(server.get("/at", {"X_Forged": "yes"}))

    def test_a_repeated_header_is_joined(self, server):
        answer = server.raw(b"GET /at HTTP/1.0\r\nX-Many: a\r\nX-Many: b\r\n\r\n")
        assert json.loads(answer.partition(b"\r\n\r\n")[2])["HTTP_X_MANY"] == "a, b"

    def test_bytes_beyond_ascii_are_latin_1(self, server):
        seen = environ(server.get("/at/%E4%F6?%E4", {"X-Name": "\xe4"}))
        assert (seen["PATH_INFO"], seen["QUERY_STRING"], seen["HTTP_X_NAME"]) == ("/\xe4\xf6", "%E4", "\xe4")

    def test_variables_of_setenv_are_there(self, server):
        assert environ(server.get("/at"))["FROM_CONFIGURATION"] == "here"

    def test_any_method_reaches_the_application(self, server):
        for method in ("PUT", "DELETE", "PATCH", "OPTIONS", "PROPFIND"):
            assert environ(server.request(method, "/at"))["REQUEST_METHOD"] == method

    def test_thread_and_process_flags_tell_the_truth(self, server, site):
        seen = environ(server.get("/at"))
        if site.embedded:
            assert seen["wsgi.multithread"] is (site.mpm != "prefork")
            assert seen["wsgi.multiprocess"] is True
        else:
            assert (seen["wsgi.multithread"], seen["wsgi.multiprocess"]) == (True, False)
