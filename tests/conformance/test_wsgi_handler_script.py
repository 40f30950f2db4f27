"""WSGIHandlerScript: a script that answers for a handler's name, whatever file the URL is."""

import pytest

HANDLER = """
    import os

    def handle_request(environ, start_response):
        start_response("200 OK", [])
        names = ("mod_wsgi.handler_script", "mod_wsgi.request_handler", "SCRIPT_FILENAME", "mod_wsgi.process_group",
                 "mod_wsgi.application_group")
        seen = [environ[name] for name in names] + [environ.get("HTTP_AUTHORIZATION", "-")]
        return ["\\n".join(seen).encode("latin-1")]

    def application(environ, start_response):
        raise RuntimeError("this is not the callable of a handler script")
"""


def seen(answer):
    """Script, handler, file of the URL, process group, application group, Authorization."""
    assert answer.status == 200, answer
    return answer.text.split("\n")


class TestHandlerScript:
    @staticmethod
    def configure(site):
        first, second = site.write("first.py", HANDLER), site.write("second.py", HANDLER)
        group = "%{GLOBAL}" if site.embedded else "app"
        (site.root / "www" / "page.page").write_text("a page")
        (site.root / "www" / "inner").mkdir()
        (site.root / "www" / "inner" / "page.page").write_text("a page")
        site.add(site.daemon("app"), "" if site.embedded else "WSGIDaemonProcess other", f"""
            WSGIHandlerScript page-handler {first}
            WSGIHandlerScript replaced {second}
            WSGIHandlerScript replaced {first}
            WSGIHandlerScript with-options {first} process-group={group} application-group=%{{GLOBAL}} pass-authorization=On
            AddHandler page-handler .page
            <Location /virtual>
                SetHandler page-handler
            </Location>
            <Location /replaced>
                SetHandler replaced
            </Location>
            <Location /options>
                WSGIApplicationGroup named
                SetHandler with-options
            </Location>
            <Location /other-case>
                SetHandler Page-Handler
            </Location>
            <Directory {site.root}/www/inner>
                WSGIHandlerScript page-handler {second}
            </Directory>
        """)

    def test_it_answers_for_files_with_its_handler(self, server, site):
        answer = seen(server.get("/page.page"))
        assert answer[:3] == [str(site.path("first.py")), "page-handler", str(site.root / "www" / "page.page")]

    def test_it_answers_for_urls_that_have_no_file(self, server, site):
        assert seen(server.get("/virtual/nothing/here"))[0] == str(site.path("first.py"))

    def test_it_runs_in_the_process_group_of_the_place(self, server, site):
        assert seen(server.get("/page.page"))[3] == ("" if site.embedded else "app")

    def test_an_inner_place_replaces_the_script_of_a_name(self, server, site):
        assert seen(server.get("/inner/page.page"))[0] == str(site.path("second.py"))

    def test_the_last_of_a_name_counts(self, server, site):
        assert seen(server.get("/replaced"))[0] == str(site.path("first.py"))

    def test_its_options_win_over_the_place(self, server, site):
        answer = seen(server.get("/options", {"Authorization": "Bearer x"}))
        assert answer[3:] == ["" if site.embedded else "app", "", "Bearer x"]

    def test_httpd_writes_handler_names_in_lower_case(self, server, site):
        assert seen(server.get("/other-case"))[:2] == [str(site.path("first.py")), "page-handler"]


@pytest.mark.parametrize("mode", ["embedded", "daemon"])
def test_a_script_without_handle_request_is_an_error_that_names_it(new_server, mode):
    server = new_server("event", mode)
    script = server.site.write("empty.py", "nothing = 1\n")
    server.site.add(server.site.daemon("app"), f"WSGIHandlerScript empty {script}", "<Location />\nSetHandler empty\n</Location>")
    server.start()
    assert server.get("/").status in (404, 500)
    server.log.expect(r"empty\.py.*handle_request")
    server.log.declare("wsgi:error")
