"""WSGIScriptAlias: mapping of URLs to scripts, and its options."""

HELLO = """
    def application(environ, start_response):
        start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "13")])
        return [b"Hello, world!"]
"""

WHERE = """
    def application(environ, start_response):
        start_response("200 OK", [("Content-Type", "text/plain")])
        names = "SCRIPT_NAME", "PATH_INFO", "SCRIPT_FILENAME", "mod_wsgi.process_group", "mod_wsgi.application_group"
        return ["\\n".join(environ[name] for name in names).encode("latin-1")]
"""


def where(answer):
    """SCRIPT_NAME, PATH_INFO, script, process group, application group as the application saw them."""
    assert answer.status == 200, answer
    return answer.text.split("\n")


class TestAScriptAtTheRoot:
    @staticmethod
    def configure(site):
        site.write("hello.wsgi", HELLO)
        site.serve("hello.wsgi")

    def test_hello_is_served(self, server):
        answer = server.get("/")
        assert (answer.status, answer.reason, answer.body) == (200, "OK", b"Hello, world!")
        assert answer.headers["Content-Type"] == "text/plain"
        assert answer.headers["Content-Length"] == "13"

    def test_many_requests_on_one_connection_are_served(self, server):
        with server.keep_alive() as connection:
            for number in range(50):
                assert connection.get(f"/{number}").body == b"Hello, world!"

    def test_curl_is_served(self, server):
        done = server.curl("/")
        assert (done.returncode, done.stdout) == (0, "Hello, world!")


class TestMountPoints:
    @staticmethod
    def configure(site):
        site.write("where.wsgi", WHERE)
        site.write("files/one.wsgi", WHERE)
        script = site.path("where.wsgi")
        site.add(site.daemon("app"), f"""
            WSGIApplicationGroup %{{GLOBAL}}
            Alias /mounted/static {site.root}/www
            WSGIScriptAlias /mounted/deeper {script}
            WSGIScriptAlias /mounted {script}
            WSGIScriptAlias /folder {site.root}/app/files
            WSGIScriptAlias /gone {site.root}/app/gone.wsgi
        """)
        (site.root / "www" / "plain.txt").write_text("static")

    def test_script_name_and_path_info_are_split_at_the_mount_point(self, server, site):
        script = str(site.path("where.wsgi"))
        assert where(server.get("/mounted"))[:3] == ["/mounted", "", script]
        assert where(server.get("/mounted/"))[:3] == ["/mounted", "/", script]
        assert where(server.get("/mounted/a/b%20c"))[:3] == ["/mounted", "/a/b c", script]

    def test_the_first_alias_that_matches_wins(self, server):
        assert where(server.get("/mounted/deeper/x"))[:2] == ["/mounted/deeper", "/x"]

    def test_an_alias_ends_at_a_slash(self, server):
        assert server.get("/mountedelsewhere").status == 404

    def test_repeated_slashes_in_path_info_are_merged(self, server):
        assert where(server.get("/mounted//a///b"))[1] == "/a/b"

    def test_an_alias_of_mod_alias_wins(self, server):
        assert server.get("/mounted/static/plain.txt").body == b"static"

    def test_an_alias_to_a_folder_serves_the_scripts_in_it(self, server, site):
        answer = where(server.get("/folder/one.wsgi/rest"))
        assert answer[:3] == ["/folder/one.wsgi", "/rest", str(site.path("files/one.wsgi"))]

    def test_a_script_that_does_not_exist_is_404_and_one_log_line(self, server, site):
        assert server.get("/gone").status == 404
        assert str(site.path("gone.wsgi")) in server.log.expect(r"wsgi:error.*gone\.wsgi")


class TestOptions:
    @staticmethod
    def configure(site):
        script = site.write("where.wsgi", WHERE)
        daemons = "" if site.embedded else "WSGIDaemonProcess one\nWSGIDaemonProcess two"
        one, two = ("%{GLOBAL}", "%{GLOBAL}") if site.embedded else ("one", "two")
        site.add(daemons, f"""
            WSGIScriptAlias /one {script} process-group={one} application-group=%{{GLOBAL}}
            WSGIScriptAlias /two {script} process-group={two} application-group=named
            WSGIScriptAlias /resource {script} process-group={two}
        """)

    def test_process_group_and_application_group_are_the_ones_of_the_alias(self, server, site):
        one, two = ("", "") if site.embedded else ("one", "two")
        assert where(server.get("/one"))[3:] == [one, ""]
        assert where(server.get("/two"))[3:] == [two, "named"]

    def test_without_application_group_every_mount_point_has_its_own(self, server, site):
        assert where(server.get("/resource"))[4] == f"localhost:{site.port}|/resource"
