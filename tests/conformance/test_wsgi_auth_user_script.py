"""WSGIAuthUserScript: check_password() and get_realm_hash() for Apache's own authentication."""

import base64
import hashlib

import pytest

from harness import httpd_program

USERS = """
    import hashlib

    def check_password(environ, user, password):
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
        if user == "ann":
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

    def test_digest_authentication_asks_for_the_hash(self, server):
        challenge = server.get("/digest").headers["WWW-Authenticate"]
        nonce = challenge.partition('nonce="')[2].partition('"')[0]

        def answer(password):
            def md5(text):
                return hashlib.md5(text.encode()).hexdigest()
            response = md5(f"{md5(f'ann:a realm:{password}')}:{nonce}:00000001:abc:auth:{md5('GET:/digest')}")
            return server.get("/digest", {"Authorization": f'Digest username="ann", realm="a realm", nonce="{nonce}", uri="/digest", '
                                                           f'qop=auth, nc=00000001, cnonce="abc", response="{response}"'})
        assert answer("secret").text == repr(("ann", "Digest", None))
        assert answer("wrong").status == 401
