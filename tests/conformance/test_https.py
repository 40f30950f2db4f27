"""TLS by mod_ssl: the scheme, the variables of mod_ssl, and what scripts that decide about access may ask."""

import http.client
import json
import shutil
import ssl
import subprocess

import pytest

from harness import httpd_program

APPLICATION = """
    import json

    def application(environ, start_response):
        shown = {name: value for name, value in environ.items() if isinstance(value, (str, bool))}
        start_response("200 OK", [("Content-Type", "application/json")])
        return [json.dumps(shown).encode()]
"""
ACCESS = """
    def allow_access(environ, host):
        asked = environ["mod_ssl.is_https"](), environ["mod_ssl.var_lookup"]("SSL_PROTOCOL"), environ["mod_ssl.var_lookup"]("NO_SUCH")
        print("asked", asked, file=environ["wsgi.errors"])
        return True
"""


def certificate(site) -> str:
    """Directives for a certificate of this test; openssl makes it."""
    if not shutil.which("openssl"):
        pytest.skip("needs the openssl command for a certificate")
    key, chain = site.root / "key.pem", site.root / "certificate.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
                    "-subj", "/CN=localhost", "-keyout", key, "-out", chain], check=True, capture_output=True)
    return f'SSLCertificateFile "{chain}"\nSSLCertificateKeyFile "{key}"'


def seen(port: int, path: str, headers: dict | None = None) -> dict:
    """The environ that the application got over TLS."""
    connection = http.client.HTTPSConnection("127.0.0.1", port, timeout=20, context=ssl._create_unverified_context())
    try:
        connection.request("GET", path, headers=headers or {})
        answer = connection.getresponse()
        assert answer.status == 200, answer.status
        return json.loads(answer.read())
    finally:
        connection.close()


class TestHttps:
    @staticmethod
    def configure(site):
        script = site.write("seen.wsgi", APPLICATION)
        site.write("access.py", ACCESS)
        site.add(httpd_program.load_modules("socache_shmcb", "ssl"), "SSLEngine on", certificate(site),
                 f"<Location /variables>\nSSLOptions +StdEnvVars\n</Location>\n"
                 f"<Location /asked>\nWSGIAccessScript {site.path('access.py')}\n</Location>\n"
                 "<Location /proxy>\nWSGITrustedProxyHeaders X-Forwarded-Proto\n</Location>",
                 f"WSGIScriptAlias /more {script}")
        site.serve("seen.wsgi")
        # httpd says at start that the certificate is its own issuer's, or whom it does not know.
        site.log.allow("ssl:warn")

    def test_the_scheme_is_https_and_there_is_no_variable_of_that_name(self, site, server):
        environ = seen(site.port, "/")
        assert (environ["wsgi.url_scheme"], environ["REQUEST_SCHEME"], environ["SERVER_PORT"]) == ("https", "https", str(site.port))
        assert "HTTPS" not in environ and "SSL_PROTOCOL" not in environ

    def test_variables_of_mod_ssl_are_there_where_it_exports_them(self, site, server):
        environ = seen(site.port, "/variables")
        assert environ["SSL_PROTOCOL"].startswith("TLSv1.") and environ["SSL_SERVER_S_DN_CN"] == "localhost"
        assert "HTTPS" not in environ and environ["wsgi.url_scheme"] == "https"

    @pytest.mark.since((6, 1, 1), "older versions take https from mod_ssl whatever the proxy says")
    @pytest.mark.parametrize("said, scheme", [("http", "http"), ("https", "https"), ("HTTP", "http")])
    def test_a_trusted_proxy_has_the_last_word(self, site, server, said, scheme):
        assert seen(site.port, "/proxy", {"X-Forwarded-Proto": said})["wsgi.url_scheme"] == scheme

    def test_without_the_proxys_word_it_is_that_of_the_connection(self, site, server):
        assert seen(site.port, "/proxy")["wsgi.url_scheme"] == "https"
        assert seen(site.port, "/", {"X-Forwarded-Proto": "http"})["wsgi.url_scheme"] == "https"

    def test_an_access_script_may_ask_mod_ssl(self, site, server):
        seen(site.port, "/asked")
        server.log.expect(r"asked \(1, 'TLSv1\.\d', ''\)")


class TestVariableNamedHttps:
    """Without TLS: SetEnv says what a proxy in front does."""

    @staticmethod
    def configure(site):
        site.write("seen.wsgi", APPLICATION)
        for value in ("on", "ON", "1", "off", "yes", "0"):
            site.add(f"<Location /{value}>\nSetEnv HTTPS {value}\n</Location>")
        site.serve("seen.wsgi")

    @pytest.mark.parametrize("value, scheme", [("on", "https"), ("ON", "https"), ("1", "https"), ("off", "http"), ("yes", "http"),
                                               ("0", "http"), ("", "http")])
    def test_on_and_1_mean_https_and_the_variable_is_hidden(self, server, value, scheme):
        environ = json.loads(server.get(f"/{value}").body)
        assert environ["wsgi.url_scheme"] == scheme and "HTTPS" not in environ
