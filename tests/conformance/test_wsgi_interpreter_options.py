"""<WSGIInterpreterOptions>: settings of some interpreters only, by process group and application group."""

import json

import pytest

SHOW = """
    import json
    import sys

    def restricted(stream):
        try:
            stream.fileno
        except OSError:
            return True
        return False

    def application(environ, start_response):
        start_response("200 OK", [("Content-Type", "application/json")])
        seen = {"stdout": restricted(sys.stdout), "stdin": restricted(sys.stdin), "path": sys.path}
        return [json.dumps(seen).encode()]
"""


@pytest.mark.since((6, 1, 1), "older versions do not have it")
class TestInterpreterOptions:
    mpms = ("event", "prefork")

    @staticmethod
    def configure(site):
        script = site.write("show.wsgi", SHOW)
        for name in ("all", "group", "exact", "other"):
            site.path(name).mkdir()
        group = "%{GLOBAL}" if site.embedded else "app"
        site.add(site.daemon("app"), f"""
            WSGIRestrictStdin On
            <WSGIInterpreterOptions process-group={group} application-group=named>
                WSGIRestrictStdout On
                WSGIRestrictStdin Off
                WSGIPythonPath {site.root}/app/exact
            </WSGIInterpreterOptions>
            <WSGIInterpreterOptions>
                WSGIPythonPath {site.root}/app/all
            </WSGIInterpreterOptions>
            <WSGIInterpreterOptions application-group=named>
                WSGIRestrictStdout Off
                WSGIPythonPath {site.root}/app/group
            </WSGIInterpreterOptions>
            <WSGIInterpreterOptions process-group=elsewhere>
                WSGIRestrictStdout On
                WSGIPythonPath {site.root}/app/other
            </WSGIInterpreterOptions>
            WSGIScriptAlias /main {script} application-group=%{{GLOBAL}}
            WSGIScriptAlias /named {script} application-group=named
        """)
        # Python flushes sys.stdout when it ends, and is refused like everybody.
        site.log.allow("Exception ignored in", "Traceback", 'File "<mod_wsgi>"', "OSError: sys.stdout")

    def seen(self, server, path):
        return json.loads(server.get(path).body)

    def test_the_section_that_names_most_wins(self, server):
        seen = self.seen(server, "/named")
        assert (seen["stdout"], seen["stdin"]) == (True, False)

    def test_interpreters_that_no_section_names_have_the_servers_settings(self, server):
        seen = self.seen(server, "/main")
        assert (seen["stdout"], seen["stdin"]) == (False, True)

    def test_folders_of_all_sections_add_up_the_most_specific_first(self, server, site):
        def folders(path):
            return [entry.rpartition("/")[2] for entry in self.seen(server, path)["path"]
                    if entry.startswith(f"{site.root}/app/")]
        assert folders("/named") == ["exact", "group", "all"]
        assert folders("/main") == ["all"]


@pytest.mark.since((6, 1, 1), "older versions do not have it")
@pytest.mark.parametrize("opening", ["word", "unknown=1", "process-group=a process-group=b",
                                     "application-group=a application-group=a"])
def test_a_wrong_selector_is_refused(new_server, opening):
    server = new_server("event", "daemon")
    server.site.add(f"<WSGIInterpreterOptions {opening}>\nWSGIRestrictStdin On\n</WSGIInterpreterOptions>")
    status, text = server.configtest()
    assert status != 0 and "Syntax error on line" in text, text


@pytest.mark.since((6, 1, 1), "older versions do not have it")
@pytest.mark.parametrize("text", [
    "<VirtualHost *:1>\n<WSGIInterpreterOptions>\nWSGIRestrictStdin On\n</WSGIInterpreterOptions>\n</VirtualHost>",
    "<WSGIInterpreterOptions process-group=a\nWSGIRestrictStdin On\n</WSGIInterpreterOptions>",
    "<WSGIInterpreterOptions>\nWSGIRestrictStdin Perhaps\n</WSGIInterpreterOptions>",
])
def test_a_section_in_the_wrong_place_or_with_wrong_content_is_refused(new_server, text):
    server = new_server("event", "daemon")
    server.site.add(text)
    status, said = server.configtest()
    assert status != 0 and "Syntax error on line" in said, said


@pytest.mark.since((6, 1, 1), "older versions do not have it")
@pytest.mark.parametrize("selector", ["", "process-group=app", "application-group=named",
                                      "Process-Group=%{GLOBAL} APPLICATION-GROUP=%{GLOBAL}"])
def test_selectors_in_any_case_are_accepted(new_server, selector):
    server = new_server("event", "daemon")
    server.site.add("WSGIDaemonProcess app",
                    f"<WSGIInterpreterOptions {selector}>\nWSGIRestrictStdin On\nWSGIPythonPath /tmp\n</WSGIInterpreterOptions>")
    assert server.configtest()[0] == 0
