"""What is checked before an application runs: which files are scripts, what of the URL and of the body is taken."""

import pytest

APPLICATION = """
    def application(environ, start_response):
        if environ["PATH_INFO"] == "/ignore":
            result = b"not read"
        else:
            try:
                result = str(len(environ["wsgi.input"].read())).encode()
            except OSError as error:
                result = b"OSError"
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [environ["SCRIPT_NAME"].encode() + b" " + environ["PATH_INFO"].encode() + b" " + result]
"""


class TestFilesThatAreScripts:
    """AddHandler wsgi-script, for files that httpd maps by itself."""

    @staticmethod
    def configure(site):
        for folder in ("allowed", "forbidden", "exact", "typed"):
            path = site.root / "www" / folder
            path.mkdir()
            script = site.write("any.wsgi", APPLICATION)
            (path / "any.wsgi").write_text(script.read_text())
            (path / "folder.wsgi").mkdir()
            options = "-ExecCGI" if folder == "forbidden" else "+ExecCGI"
            info = "AcceptPathInfo Off" if folder == "exact" else ""
            handler = "SetHandler application/x-httpd-wsgi" if folder == "typed" else "AddHandler wsgi-script .wsgi"
            site.add(f'<Directory "{path}">\n{handler}\nOptions {options}\n{info}\n</Directory>')
        site.add(site.daemon("app"), "WSGIApplicationGroup %{GLOBAL}")

    def test_a_file_with_the_handler_is_run(self, server):
        assert server.get("/allowed/any.wsgi").text == "/allowed/any.wsgi  0"
        assert server.get("/allowed/any.wsgi/a/b").text == "/allowed/any.wsgi /a/b 0"

    def test_the_type_is_a_name_of_the_handler_too(self, server):
        assert server.get("/typed/any.wsgi").text == "/typed/any.wsgi  0"

    def test_without_execcgi_it_is_forbidden(self, server):
        assert server.get("/forbidden/any.wsgi").status == 403
        server.log.expect("wsgi:error.*ExecCGI")

    def test_a_file_that_is_not_there_is_a_404(self, server):
        assert server.get("/allowed/nowhere.wsgi").status == 404
        server.log.declare("wsgi:error")

    def test_a_folder_is_no_script(self, server):
        assert server.get("/allowed/folder.wsgi").status in (403, 404)
        server.log.declare("wsgi:error")

    def test_with_acceptpathinfo_off_the_url_ends_at_the_script(self, server):
        assert server.get("/exact/any.wsgi").text == "/exact/any.wsgi  0"
        assert server.get("/exact/any.wsgi/more").status == 404
        server.log.declare("wsgi:error")


class TestLimitsOfTheBody:
    """LimitRequestBody: known lengths are refused at once, others when the limit is reached."""

    @staticmethod
    def configure(site):
        site.write("any.wsgi", APPLICATION)
        site.add("<Location /limited>\nLimitRequestBody 1000\n</Location>", "WSGIChunkedRequest On",
                 f"WSGIScriptAlias /limited {site.path('any.wsgi')}")
        site.serve("any.wsgi")
        site.log.allow("AH0158[78]", "AH01593")

    @pytest.mark.parametrize("path", ["/limited", "/limited/ignore"])
    def test_a_body_that_is_too_long_is_a_413(self, server, path):
        assert server.post("/limited", b"x" * 1000).text == "/limited  1000"
        answer = server.post(path, b"x" * 1001)
        assert answer.status == 413
        server.log.declare("wsgi:error", "http:error")

    def test_a_body_in_chunks_is_an_error_where_it_gets_too_long(self, server):
        assert server.post("/limited", iter([b"x" * 500, b"x" * 500])).text == "/limited  1000"
        answer = server.post("/limited", iter([b"x" * 900, b"x" * 900]))
        assert answer.status == 413 or answer.text == "/limited  OSError"
        server.log.declare("wsgi:error", "http:error")

    def test_elsewhere_there_is_no_such_limit(self, server):
        assert server.post("/free", b"x" * 100_000).text == " /free 100000"

    def test_the_next_request_on_another_connection_is_served(self, server):
        server.post("/limited", b"x" * 5000)
        server.log.declare("wsgi:error", "http:error")
        assert server.post("/limited", b"x" * 10).text == "/limited  10"
