"""An application that puts its URL together gets the one that was asked for. Source: PEP 3333, "URL Reconstruction"."""

import json

import pytest

from harness import httpd_program
from test_https import certificate, seen

APPLICATION = """
    import json
    from urllib.parse import quote
    from wsgiref.util import application_uri, request_uri

    def recipe(environ):
        "As the PEP has it; what is quoted are the bytes of the URL, which a str of Python 3 holds as latin-1."
        url = environ["wsgi.url_scheme"] + "://"
        if environ.get("HTTP_HOST"):
            url += environ["HTTP_HOST"]
        else:
            url += environ["SERVER_NAME"]
            if environ["wsgi.url_scheme"] == "https":
                if environ["SERVER_PORT"] != "443":
                    url += ":" + environ["SERVER_PORT"]
            else:
                if environ["SERVER_PORT"] != "80":
                    url += ":" + environ["SERVER_PORT"]
        url += quote(environ.get("SCRIPT_NAME", ""), encoding="latin-1")
        url += quote(environ.get("PATH_INFO", ""), encoding="latin-1")
        if environ.get("QUERY_STRING"):
            url += "?" + environ["QUERY_STRING"]
        return url

    def application(environ, start_response):
        start_response("200 OK", [("Content-Type", "application/json")])
        urls = {"recipe": recipe(environ), "wsgiref": request_uri(environ), "application": application_uri(environ)}
        return [json.dumps(urls).encode()]

    handle_request = application
"""
PATHS = ["", "/", "/path", "/path/", "/a/b/c.html", "/a%20b", "/%C3%A4", "/%E4", "/%FF%FE", "/100%25", "/%25C3", "/a%2Bb", "/a%3Fb",
         "/a%23b", "/%26%40%24", "/~user-._", "/%22%27%3C%3E", "/%5Cx", "/%7B%7D%7C%5E", "/a%3Ab"]
"""Below a mount point. Each is spelled as quote() spells it."""
QUERIES = ["", "?a=1&b=2", "?a=%20&b=+", "?%C3%A4=%E4", "?a=b?c=d/e", "?&&", "?a%00b", "?'~!*"]
MOUNTS = ["/at", "/at%20mount", "/mount-%C3%A4", "/deep/er/at", "/matching-ab", "/folder/url.wsgi"]


def urls(answer) -> dict:
    assert answer.status == 200, answer
    return json.loads(answer.body)


def told(received: bytes) -> dict:
    head, _, body = received.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200"), head
    return json.loads(body[body.index(b"{"):body.rindex(b"}") + 1])


class TestTheUrlThatWasAskedFor:
    @staticmethod
    def configure(site):
        script = site.write("url.wsgi", APPLICATION)
        folder = site.write("folder/url.wsgi", APPLICATION).parent
        (site.root / "www" / "page.url").write_text("")
        site.add(f'WSGIScriptAlias "/at mount" {script}', f'WSGIScriptAlias "/mount-\u00e4" {script}',
                 f"WSGIScriptAlias /deep/er/at {script}",
                 f"WSGIScriptAlias /at {script}", f"WSGIScriptAliasMatch ^/matching-([a-z]+) {script}", f"WSGIScriptAlias /folder {folder}",
                 f"WSGIHandlerScript url {script}\nAddHandler url .url", f'Alias /pages "{site.root}/www"',
                 "UseCanonicalPhysicalPort On")  # else httpd takes the port from ServerName, or 80, where a request names none
        site.serve("url.wsgi")

    @pytest.mark.parametrize("path", PATHS)
    def test_below_every_mount_point(self, server, site, path):
        for mount in ["", *MOUNTS]:
            asked = f"http://127.0.0.1:{site.port}{mount}{path}"
            found = urls(server.get(f"{mount}{path}" or "/"))
            assert (found["recipe"], found["wsgiref"]) == 2 * (asked if mount or path else f"{asked}/",), asked
            assert found["application"] == f"http://127.0.0.1:{site.port}{mount or '/'}"

    def test_what_wsgiref_leaves_as_it_is_may_be_spelled_in_both_ways(self, server, site):
        for path in ("/at/a%3Bb%3D%2C", "/at/a;b=,"):
            found = urls(server.get(path))
            assert found["recipe"] == f"http://127.0.0.1:{site.port}/at/a%3Bb%3D%2C"
            assert found["wsgiref"] == f"http://127.0.0.1:{site.port}/at/a;b=,"

    @pytest.mark.parametrize("query", QUERIES)
    def test_with_every_query(self, server, site, query):
        for path in ("/", "/at", "/at/path", "/folder/url.wsgi/x"):
            found = urls(server.get(f"{path}{query}"))
            assert (found["recipe"], found["wsgiref"]) == 2 * (f"http://127.0.0.1:{site.port}{path}{query}",)

    def test_of_a_handler_script(self, server, site):
        for path in ("/pages/page.url", "/pages/page.url/x%20y?z"):
            assert urls(server.get(path))["recipe"] == f"http://127.0.0.1:{site.port}{path}"

    @pytest.mark.parametrize("host", ["name.test", "name.test:80", "name.test:8080", "NAME.test", "192.0.2.1", "[2001:db8::1]:8080"])
    def test_with_the_host_as_the_client_has_it(self, server, host):
        found = urls(server.get("/at/path?q", {"Host": host}))
        assert (found["recipe"], found["wsgiref"]) == 2 * (f"http://{host}/at/path?q",)

    def test_without_a_host_it_is_the_servers_name_and_port(self, server, site):
        found = told(server.raw(b"GET /at/path?q HTTP/1.0\r\n\r\n"))
        assert (found["recipe"], found["wsgiref"]) == 2 * (f"http://localhost:{site.port}/at/path?q",)

    def test_of_a_whole_url_in_the_request_line(self, server):
        """RFC 9112: the host of the URL counts, not that of the field."""
        found = told(server.raw(b"GET http://name.test/at/path?q HTTP/1.1\r\nHost: name.test\r\nConnection: close\r\n\r\n"))
        assert found["recipe"] == "http://name.test/at/path?q"

    def test_slashes_that_follow_each_other_are_one(self, server, site):
        assert urls(server.get("/at//a///b"))["recipe"] == f"http://127.0.0.1:{site.port}/at/a/b"


class TestOverTls:
    @staticmethod
    def configure(site):
        script = site.write("url.wsgi", APPLICATION)
        site.add(httpd_program.load_modules("socache_shmcb", "ssl"), "SSLEngine on", certificate(site), f"WSGIScriptAlias /at {script}")
        site.serve("url.wsgi")
        site.log.allow("ssl:warn")

    @pytest.mark.parametrize("path", ["/", "/at", "/at/a%20b?q=%20"])
    def test_it_begins_with_https(self, server, site, path):
        found = seen(site.port, path)
        assert (found["recipe"], found["wsgiref"]) == 2 * (f"https://127.0.0.1:{site.port}{path}",)

    def test_the_port_of_https_is_only_named_where_it_is_another(self, server, site):
        assert seen(site.port, "/at", {"Host": "name.test"})["recipe"] == "https://name.test/at"


SENT = {"X-Forwarded-Host": "front.test", "X-Forwarded-Proto": "https", "X-Script-Name": "/front"}


class TestBehindAProxy:
    @staticmethod
    def configure(site):
        script = site.write("url.wsgi", APPLICATION)
        site.add(f"WSGIScriptAlias /at {script}", f"WSGIScriptAlias /strange/at {script}", f"WSGIScriptAlias /nobody/at {script}",
                 "WSGITrustedProxyHeaders X-Forwarded-Host X-Forwarded-Proto X-Script-Name X-Forwarded-Server X-Forwarded-Port",
                 "WSGITrustedProxies 127.0.0.1", "<Location /strange>\nWSGITrustedProxies 192.0.2.0/24\n</Location>",
                 "<Location /nobody>\nWSGITrustedProxyHeaders X-Of-No-Meaning\n</Location>")
        site.serve("url.wsgi")

    @pytest.mark.parametrize("headers, url", [
        ({"X-Forwarded-Host": "front.test"}, "http://front.test/at/a%20b?q=%20"),
        ({"X-Forwarded-Host": "front.test:8443", "X-Forwarded-Proto": "https"}, "https://front.test:8443/at/a%20b?q=%20"),
        ({"X-Forwarded-Proto": "https", "Host": "own.test"}, "https://own.test/at/a%20b?q=%20"),
        (SENT, "https://front.test/front/a%20b?q=%20"),
        ({"X-Script-Name": "/front%20door", "Host": "own.test"}, "http://own.test/front%2520door/a%20b?q=%20"),
    ])
    def test_it_is_the_url_at_the_proxy(self, server, headers, url):
        found = urls(server.get("/at/a%20b?q=%20", headers))
        assert (found["recipe"], found["wsgiref"]) == (url, url)

    @pytest.mark.parametrize("scheme, port, authority", [(b"https", b"443", "server.test"), (b"https", b"8443", "server.test:8443"),
                                                         (b"http", b"80", "server.test"), (b"http", b"443", "server.test:443")])
    def test_without_a_host_it_is_the_name_and_the_port_of_the_proxy(self, server, scheme, port, authority):
        found = told(server.raw(b"GET /at/path HTTP/1.0\r\nX-Forwarded-Server: server.test\r\nX-Forwarded-Port: " + port
                                + b"\r\nX-Forwarded-Proto: " + scheme + b"\r\n\r\n"))
        assert (found["recipe"], found["wsgiref"]) == 2 * (f"{scheme.decode()}://{authority}/at/path",)

    @pytest.mark.parametrize("mount", ["/strange/at", "/nobody/at"])
    def test_of_one_that_is_not_trusted_nothing_is_in_it(self, server, site, mount):
        found = urls(server.get(f"{mount}/path", SENT | {"X-Forwarded-Server": "server.test", "X-Forwarded-Port": "8443"}))
        assert found["recipe"] == f"http://127.0.0.1:{site.port}{mount}/path"
