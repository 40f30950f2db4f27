"""WSGIAuthUserScript: check_password() and get_realm_hash() for Apache's own authentication."""

import base64
import hashlib

import pytest

from harness import httpd_program

USERS = """
    import hashlib

    def has_no_proxy(environ):
        return environ.get("HTTP_X_OTHER") == "there" and "HTTP_PROXY" not in environ

    def check_password(environ, user, password):
        if user == "checks":
            return has_no_proxy(environ)
        if user == "fails":
            raise RuntimeError("the auth script failed")
        if user == "renamed":
            return "ann"
        if user == "one":
            return 1
        if user not in ("ann", "\\xe4nn"):
            return None
        return password == "secret"

    def get_realm_hash(environ, user, realm):
        if user == "ann" or user == "checks" and has_no_proxy(environ):
            return hashlib.md5(f"{user}:{realm}:secret".encode()).hexdigest()
        return None
"""
WHO = """
    def application(environ, start_response):
        start_response("200 OK", [])
        return [repr((environ.get("REMOTE_USER"), environ.get("AUTH_TYPE"), environ.get("HTTP_AUTHORIZATION"))).encode()]
"""


def basic(user: str, password: str) -> dict:
    return {"Authorization": "Basic " + base64.b64encode(f"{user}:{password}".encode("latin-1")).decode()}


class TestAuthUserScript:
    @staticmethod
    def configure(site):
        users = site.write("users.py", USERS)
        site.write("who.wsgi", WHO)
        site.serve("who.wsgi")
        site.add(httpd_program.load_modules("authn_core", "auth_basic", "auth_digest", "authz_user"), f"""
            <Location /basic>
                AuthType Basic
                AuthName "a realm"
                AuthBasicProvider wsgi
                WSGIAuthUserScript {users}
                Require valid-user
            </Location>
            <Location /grouped>
                AuthType Basic
                AuthName "a realm"
                AuthBasicProvider wsgi
                WSGIAuthUserScript {users} application-group=named
                Require user ann
            </Location>
            <Location /interpreter>
                AuthType Basic
                AuthName "a realm"
                AuthBasicProvider wsgi
                WSGIAuthUserScript {users} application-group=named
                Require valid-user
            </Location>
            <Location /digest>
                AuthType Digest
                AuthName "a realm"
                AuthDigestProvider wsgi
                WSGIAuthUserScript {users}
                Require valid-user
            </Location>
        """)
        site.log.allow("auth_basic:error", "auth_digest:error", "authz_core:error", "auth_digest:warn")

    @pytest.mark.parametrize("place", ["/basic", "/grouped"])
    def test_the_right_password_lets_in(self, server, place):
        assert server.get(place, basic("ann", "secret")).text == repr(("ann", "Basic", None))

    def test_a_wrong_password_or_user_or_none_is_a_401(self, server):
        for headers in (None, basic("ann", "wrong"), basic("ann", ""), basic("nobody", "secret")):
            answer = server.get("/basic", headers)
            assert answer.status == 401 and answer.headers["WWW-Authenticate"] == 'Basic realm="a realm"'

    @pytest.mark.since((6, 1, 1), "older versions crash")
    def test_names_are_latin_1(self, server):
        assert server.get("/basic", basic("änn", "secret")).body.decode() == repr(("änn", "Basic", None))

    def test_a_text_is_the_name_of_the_user(self, server):
        assert server.get("/basic", basic("renamed", "x")).text == repr(("ann", "Basic", None))

    @pytest.mark.parametrize("user", ["fails", "one"])
    def test_a_failure_lets_nobody_in(self, server, user):
        assert server.get("/basic", basic(user, "secret")).status == 500
        server.log.declare("wsgi:error")

    def digest(self, server, password, user="ann", headers=None):
        challenge = server.get("/digest").headers["WWW-Authenticate"]
        nonce = challenge.partition('nonce="')[2].partition('"')[0]

        def md5(text):
            return hashlib.md5(text.encode()).hexdigest()
        response = md5(f"{md5(f'{user}:a realm:{password}')}:{nonce}:00000001:abc:auth:{md5('GET:/digest')}")
        answer = f'Digest username="{user}", realm="a realm", nonce="{nonce}", uri="/digest", '
        answer += f'qop=auth, nc=00000001, cnonce="abc", response="{response}"'
        return server.get("/digest", {"Authorization": answer} | (headers or {}))

    def test_digest_authentication_asks_for_the_hash(self, server):
        assert self.digest(server, "secret").text == repr(("ann", "Digest", None))
        assert self.digest(server, "wrong").status == 401

    @pytest.mark.ours_only("the C module shows it, and a program that is started with it takes it for a setting")
    @pytest.mark.parametrize("name", ["Proxy", "proxy", "PROXY"])
    def test_a_proxy_header_is_no_variable_of_either_function(self, server, name):
        """CVE-2016-5385. The user `checks` gets in if the function sees the other header, and not this one."""
        headers = {name: "http://192.0.2.1/", "X-Other": "there"}
        for place in ("/basic", "/interpreter"):
            assert server.get(place, basic("checks", "x") | headers).status == 200
        assert self.digest(server, "secret", "checks", headers).text == repr(("checks", "Digest", None))
