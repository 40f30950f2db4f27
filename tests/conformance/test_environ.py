"""The environ that an application gets. Sources: PEP 3333, "environ Variables", "Server Extension APIs" and "Application
Configuration"; the C module's mod_wsgi.* keys.
"""

import json

import pytest

from harness import httpd_program, under_test

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
        site.add("SetEnv FROM_CONFIGURATION here", "SetEnv the_app.configval1 something")
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

    @pytest.mark.ours_only("the C module is compiled for one Python, and names it")
    def test_the_banner_names_no_python(self, server):
        assert "Python/" not in environ(server.get("/at"))["SERVER_SOFTWARE"]

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
        """An administrator configures applications with them, also with names that have dots."""
        seen = environ(server.get("/at"))
        assert (seen["FROM_CONFIGURATION"], seen["the_app.configval1"]) == ("here", "something")

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


KEYS = """
    CONTEXT_DOCUMENT_ROOT CONTEXT_PREFIX DOCUMENT_ROOT HTTP_ACCEPT_ENCODING HTTP_HOST PATH_INFO QUERY_STRING REMOTE_ADDR REMOTE_PORT
    REQUEST_METHOD REQUEST_SCHEME REQUEST_URI SCRIPT_FILENAME SCRIPT_NAME SERVER_ADDR SERVER_ADMIN SERVER_NAME SERVER_PORT
    SERVER_PROTOCOL SERVER_SOFTWARE apache.version mod_wsgi.application_group mod_wsgi.application_start mod_wsgi.callable_object
    mod_wsgi.daemon_start mod_wsgi.handler_script mod_wsgi.listener_host mod_wsgi.listener_port mod_wsgi.path_info
    mod_wsgi.process_group mod_wsgi.queue_start mod_wsgi.request_handler mod_wsgi.request_id mod_wsgi.request_start
    mod_wsgi.script_name mod_wsgi.server_pid mod_wsgi.thread_id mod_wsgi.version wsgi.errors wsgi.file_wrapper wsgi.input
    wsgi.input_terminated wsgi.multiprocess wsgi.multithread wsgi.run_once wsgi.url_scheme wsgi.version
"""


class TestEveryKey:
    """The whole list, so that nothing is there that the reference does not have."""

    @staticmethod
    def configure(site):
        site.write("environ.wsgi", APPLICATION)
        site.add("ServerAdmin admin@example.org")
        site.serve("environ.wsgi")

    @pytest.mark.since((6, 1, 1), "older versions have other keys")
    def test_these_keys_are_there_and_no_others(self, server):
        found = set(environ(server.get("/path"))) - {"type of environ", "pid", "mod_wsgi.connection_id"}
        assert found == set(KEYS.split())

    def test_what_is_neither_cgi_nor_wsgi_begins_with_the_name_of_its_server(self, server):
        """So that no variable of another server, or of a middleware, can be meant."""
        extensions = [name for name in environ(server.get("/path")) if "." in name and not name.startswith("wsgi.")]
        assert extensions and {name.partition(".")[0] for name in extensions} == {"mod_wsgi", "apache"}

    @pytest.mark.since((6, 1, 1), "older versions have texts and other keys")
    def test_times_are_in_order_and_numbers_are_numbers(self, server, site):
        seen = environ(server.get("/"))
        request, queue, daemon, application = (
            seen[f"mod_wsgi.{name}"] for name in ("request_start", "queue_start", "daemon_start", "application_start"))
        assert all(isinstance(value, float) for value in (request, queue, daemon, application))
        if site.embedded:
            assert (queue, daemon) == (0.0, 0.0) and request <= application
        else:
            assert request <= queue <= daemon <= application
        assert abs(application - request) < 20
        assert isinstance(seen["mod_wsgi.thread_id"], int) and seen["mod_wsgi.thread_id"] >= 0
        assert seen["mod_wsgi.server_pid"].isdigit() and int(seen["mod_wsgi.server_pid"]) in server.processes()
        assert seen["mod_wsgi.request_id"] != environ(server.get("/"))["mod_wsgi.request_id"]
        assert (seen["SERVER_ADMIN"], seen["CONTEXT_PREFIX"], seen["CONTEXT_DOCUMENT_ROOT"]) == (
            "admin@example.org", "", str(site.root / "www"))


class TestVariablesOfOtherModules:
    """What mod_env, mod_setenvif, mod_rewrite, mod_auth_basic and internal redirects say."""

    @staticmethod
    def configure(site):
        script = site.write("environ.wsgi", APPLICATION)
        passwords = site.write("passwords", "ann:{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=\n")
        site.add(httpd_program.load_modules("setenvif", "rewrite", "authn_core", "authn_file", "auth_basic", "authz_user"),
                 'SetEnvIf User-Agent "(robot)" KIND=$1', "SetEnv SCRIPT_NAME forged", "SetEnv PATH /forged", "SetEnv EMPTY",
                 "SetEnv mod_wsgi.process_group forged", "SetEnv mod_wsgi.of_mine 1",
                 "RewriteEngine On", "RewriteRule ^/at/old/(.*)$ /at/new/$1?moved=1 [PT,E=REWRITTEN:$1]",
                 "ErrorDocument 404 /at/missing",
                 f'<Location /at/private>\nAuthType Basic\nAuthName x\nAuthUserFile "{passwords}"\nRequire valid-user\n</Location>',
                 "<Location /at/passed>\nCGIPassAuth On\n</Location>",
                 "<Location /at/current>\nCGIVar REQUEST_URI current-uri\n</Location>",
                 f'Alias /plain "{site.root}/www"', f"WSGIScriptAlias /at {script}")
        site.serve("environ.wsgi", at="/other")

    def test_setenvif_and_setenv_are_seen(self, server):
        seen = environ(server.get("/at", {"User-Agent": "a robot"}))
        assert (seen["KIND"], seen["EMPTY"]) == ("robot", "")
        assert "KIND" not in environ(server.get("/at"))

    def test_no_variable_can_replace_what_the_request_says(self, server, site):
        seen = environ(server.get("/at/x"))
        assert seen["SCRIPT_NAME"] == "/at" and "PATH" not in seen
        assert seen["mod_wsgi.process_group"] == ("" if site.embedded else "app")
        assert "mod_wsgi.of_mine" not in seen or not under_test.OURS

    def test_a_rewritten_url_keeps_the_original_one(self, server):
        seen = environ(server.get("/at/old/page?a=1"))
        assert (seen["PATH_INFO"], seen["QUERY_STRING"], seen["REQUEST_URI"]) == ("/new/page", "moved=1", "/at/old/page?a=1")
        assert seen["REWRITTEN"] == "page"

    def test_an_internal_redirect_tells_where_it_came_from(self, server):
        answer = server.get("/plain/nowhere?b=2")
        assert answer.status == 200 or answer.status == 404
        seen = json.loads(answer.body)
        assert (seen["PATH_INFO"], seen["REQUEST_URI"]) == ("/missing", "/plain/nowhere?b=2")
        assert (seen["REDIRECT_URL"], seen["REDIRECT_QUERY_STRING"], seen["REDIRECT_STATUS"]) == ("/plain/nowhere", "b=2", "404")

    def test_a_user_whom_httpd_knows_is_named(self, server):
        seen = environ(server.get("/at/private", {"Authorization": "Basic YW5uOnNlY3JldA=="}))
        assert (seen["REMOTE_USER"], seen["AUTH_TYPE"]) == ("ann", "Basic") and "HTTP_AUTHORIZATION" not in seen
        assert "REMOTE_USER" not in environ(server.get("/at"))

    def test_cgipassauth_gives_credentials_to_the_application(self, server):
        sent = {"Authorization": "Basic YW5uOnNlY3JldA==", "Proxy-Authorization": "Basic cA=="}
        seen = environ(server.get("/at/passed", sent))
        assert (seen["HTTP_AUTHORIZATION"], seen["HTTP_PROXY_AUTHORIZATION"]) == tuple(sent.values())
        assert [name for name in environ(server.get("/at", sent)) if name.endswith("AUTHORIZATION")] == []

    def test_cgivar_may_ask_for_the_current_url(self, server):
        seen = environ(server.get("/at/current/a%20b?c=3"))
        assert seen["REQUEST_URI"] == "/at/current/a b"


class TestNamesOnTheDisk:
    @staticmethod
    def configure(site):
        script = site.write("\u00e4/environ.wsgi", APPLICATION)
        site.add(site.daemon("app", "lang=C.UTF-8"), f'WSGIScriptAlias / "{script}"')

    @pytest.mark.since((6, 1, 1), "older versions take names of files for latin-1, and cannot open them")
    def test_a_name_beyond_ascii_is_the_one_python_uses(self, server, site):
        seen = environ(server.get("/"))
        assert seen["SCRIPT_FILENAME"].encode("utf-8", "surrogateescape") == str(site.path("\u00e4/environ.wsgi")).encode()
