"""WSGIScriptAliasMatch: regular expressions for URL paths, substitution in the target, order with WSGIScriptAlias."""

WHERE = """
    def application(environ, start_response):
        start_response("200 OK", [("Content-Type", "text/plain")])
        names = "SCRIPT_NAME", "PATH_INFO", "SCRIPT_FILENAME", "mod_wsgi.application_group"
        return ["\\n".join(environ[name] for name in names).encode("latin-1")]

    other = application
"""


def where(answer):
    """SCRIPT_NAME, PATH_INFO, script, application group as the application saw them."""
    assert answer.status == 200, answer
    return answer.text.split("\n")


class TestPatterns:
    @staticmethod
    def configure(site):
        for name in ("one", "two", "fixed"):
            site.write(f"{name}.wsgi", WHERE)
        folder = site.root / "app"
        site.add(site.daemon("app"), f"""
            WSGIScriptAlias /site/prefix {folder}/fixed.wsgi
            WSGIScriptAliasMatch ^/site/([a-z]+) {folder}/$1.wsgi application-group=%{{GLOBAL}}
            WSGIScriptAliasMatch ^/any/[0-9]+ {folder}/fixed.wsgi application-group=named callable-object=other
            WSGIScriptAlias /any {folder}/one.wsgi
            WSGIScriptAliasMatch ^/named/(?<who>two)/$ {folder}/$1.wsgi
        """)

    def test_a_group_of_the_pattern_stands_in_the_target(self, server, site):
        assert where(server.get("/site/one"))[:3] == ["/site/one", "", str(site.path("one.wsgi"))]
        assert where(server.get("/site/two"))[:3] == ["/site/two", "", str(site.path("two.wsgi"))]

    def test_what_follows_the_match_is_path_info(self, server, site):
        assert where(server.get("/site/two/a/b"))[:3] == ["/site/two", "/a/b", str(site.path("two.wsgi"))]
        assert where(server.get("/any/42/c"))[:3] == ["/any/42", "/c", str(site.path("fixed.wsgi"))]

    def test_the_first_line_that_matches_wins_whatever_its_kind(self, server, site):
        assert where(server.get("/site/prefix/x"))[:3] == ["/site/prefix", "/x", str(site.path("fixed.wsgi"))]
        assert where(server.get("/any/7"))[2] == str(site.path("fixed.wsgi"))
        assert where(server.get("/any/x"))[:3] == ["/any", "/x", str(site.path("one.wsgi"))]

    def test_options_are_those_of_wsgiscriptalias(self, server):
        assert where(server.get("/site/one"))[3] == ""
        assert where(server.get("/any/42"))[3] == "named"

    def test_a_pattern_that_matches_no_script_is_a_404(self, server):
        assert server.get("/site/nothing").status == 404
        server.log.expect(r"wsgi:error.*nothing\.wsgi")

    def test_a_url_that_no_pattern_matches_is_httpds(self, server):
        assert server.get("/elsewhere").status == 404
        assert server.get("/SITE/one").status == 404


class TestAPatternForEverything:
    @staticmethod
    def configure(site):
        script = site.write("one.wsgi", WHERE)
        site.add(site.daemon("app"), f"WSGIScriptAliasMatch ^/ {script}")

    def test_a_match_of_the_leading_slash_is_a_mount_at_the_root(self, server, site):
        assert where(server.get("/"))[:3] == ["", "/", str(site.path("one.wsgi"))]
        assert where(server.get("/a/b"))[:3] == ["", "/a/b", str(site.path("one.wsgi"))]
