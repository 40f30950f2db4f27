"""WSGIAuthGroupScript: groups_for_user() for Require wsgi-group."""

import base64

import pytest

from harness import httpd_program

GROUPS = """
    def check_password(environ, user, password):
        return True

    def groups_for_user(environ, user):
        if user == "fails":
            raise RuntimeError("the group script failed")
        if user == "checks":
            return ["staff"] if environ.get("HTTP_X_OTHER") == "there" and "HTTP_PROXY" not in environ else []
        return {"ann": ["staff", "writers"], "bob": (b"readers",), "one": 5, "none": None}.get(user, [])
"""
HELLO = """
    def application(environ, start_response):
        start_response("200 OK", [])
        return [b"hello"]
"""


class TestAuthGroupScript:
    @staticmethod
    def configure(site):
        groups = site.write("groups.py", GROUPS)
        site.write("hello.wsgi", HELLO)
        site.serve("hello.wsgi")
        site.add(httpd_program.load_modules("authn_core", "auth_basic", "authz_user"))
        for place, needed in {"/staff": "staff", "/either": "nobody readers", "/case": "STAFF"}.items():
            site.add(f"""
                <Location {place}>
                    AuthType Basic
                    AuthName "a realm"
                    AuthBasicProvider wsgi
                    WSGIAuthUserScript {groups}
                    WSGIAuthGroupScript {groups}
                    Require wsgi-group {needed}
                </Location>
            """)
        site.add(f"""
            <AuthzProviderAlias wsgi-group readers-of-ours readers>
            </AuthzProviderAlias>
            <AuthnProviderAlias wsgi people>
                WSGIAuthUserScript {groups}
            </AuthnProviderAlias>
            <Location /alias>
                AuthType Basic
                AuthName "a realm"
                AuthBasicProvider people
                WSGIAuthGroupScript {groups}
                <RequireAny>
                    Require readers-of-ours
                    Require wsgi-group nobody
                </RequireAny>
            </Location>
        """)
        site.log.allow("authz_core:error", "wsgi:error")

    def status(self, server, place, user, headers=None):
        credentials = {"Authorization": "Basic " + base64.b64encode(f"{user}:x".encode()).decode()}
        return server.get(place, credentials | (headers or {})).status

    def test_a_member_gets_in_and_another_user_does_not(self, server):
        assert (self.status(server, "/staff", "ann"), self.status(server, "/staff", "bob")) == (200, 401)
        assert (self.status(server, "/either", "ann"), self.status(server, "/either", "bob")) == (401, 200)

    def test_providers_have_the_names_of_httpd_2_4_and_may_be_given_others(self, server):
        assert (self.status(server, "/alias", "ann"), self.status(server, "/alias", "bob")) == (401, 200)

    def test_case_does_not_matter(self, server):
        assert self.status(server, "/case", "ann") == 200

    @pytest.mark.parametrize("user", ["fails", "one", "none", "nobody"])
    def test_without_a_list_of_groups_nobody_gets_in(self, server, user):
        assert self.status(server, "/staff", user) in (401, 403, 500)

    def test_without_a_user_there_is_a_question(self, server):
        assert server.get("/staff").status == 401

    @pytest.mark.ours_only("the C module shows it, and a program that is started with it takes it for a setting")
    @pytest.mark.parametrize("name", ["Proxy", "proxy", "PROXY"])
    def test_a_proxy_header_is_no_variable_of_the_group_script(self, server, name):
        """CVE-2016-5385. The user `checks` is a member if the script sees the other header, and not this one."""
        assert self.status(server, "/staff", "checks", {name: "http://192.0.2.1/", "X-Other": "there"}) == 200
        assert self.status(server, "/staff", "checks") == 401
