"""WSGIPassAuthorization: whether applications see the Authorization header."""

SHOW = """
    def application(environ, start_response):
        start_response("200 OK", [])
        return [repr((environ.get("HTTP_AUTHORIZATION"), environ.get("HTTP_PROXY_AUTHORIZATION"))).encode()]
"""
HEADERS = {"Authorization": "Bearer a-token", "Proxy-Authorization": "Basic eDp5"}
SEEN, HIDDEN = repr(("Bearer a-token", None)), repr((None, None))


class TestPassAuthorization:
    @staticmethod
    def configure(site):
        script = site.write("show.wsgi", SHOW)
        site.write("by-htaccess/show.wsgi", SHOW)
        site.write("by-htaccess/.htaccess", "WSGIPassAuthorization On\n")
        site.add(site.daemon("app"), f"""
            WSGIScriptAlias /default {script}
            WSGIScriptAlias /on {script}
            WSGIScriptAlias /on-off {script}
            WSGIScriptAlias /option-on {script} pass-authorization=On
            WSGIScriptAlias /option-off {script} pass-authorization=OFF
            WSGIScriptAlias /by-htaccess {site.root}/app/by-htaccess
            <LocationMatch ^/(on|option-off)>
                WSGIPassAuthorization On
            </LocationMatch>
            <Location /on-off>
                WSGIPassAuthorization Off
            </Location>
            <Directory {site.root}/app/by-htaccess>
                AllowOverride FileInfo
            </Directory>
        """)

    def seen(self, server, path):
        return server.get(path, HEADERS).text

    def test_without_it_the_header_is_hidden(self, server):
        assert self.seen(server, "/default") == HIDDEN

    def test_with_on_the_header_is_seen_but_not_that_for_proxies(self, server):
        assert self.seen(server, "/on") == SEEN

    def test_an_inner_off_hides_it_again(self, server):
        assert self.seen(server, "/on-off") == HIDDEN

    def test_the_option_of_an_alias_wins(self, server):
        assert self.seen(server, "/option-on") == SEEN
        assert self.seen(server, "/option-off") == HIDDEN

    def test_an_htaccess_file_may_say_it(self, server):
        assert self.seen(server, "/by-htaccess/show.wsgi") == SEEN

    def test_a_request_without_the_header_has_no_variable(self, server):
        assert server.get("/on").text == HIDDEN
