"""A script that cannot be found, read or called: one line names the script, the interpreter, the process group, the user, what
the system answered, the first folder that refuses, and the cure."""

import re
import shutil

import pytest

from harness import under_test
from harness.site import APACHE_USER

HELLO = """
    def application(environ, start_response):
        start_response("200 OK", [])
        return [b"hello"]

    def handle_request(environ, start_response):
        return application(environ, start_response)
"""
NOT_ROOT = "only root can make what another user cannot reach"
WHY = "the C module names the script and the error alone"
PERMISSION = r"Permission denied \(os error 13\)"
LET_IN = "let this user enter it, for example with chmod o+x or setfacl -m u:USER:x"


def private(site, owner: str):
    """A script in a folder that only its owner enters."""
    script = site.write("private/deep/hello.wsgi", HELLO)
    site.path("private").chmod(0o700)
    shutil.chown(site.path("private"), owner)
    return script


@pytest.mark.ours_only(WHY)
@pytest.mark.root_only(NOT_ROOT)
class TestReadByADaemon:
    mpms = ("event",)
    modes = ("daemon",)

    @staticmethod
    def configure(site):
        # Apache itself has to reach a script, or it answers 403 by itself.
        script = private(site, APACHE_USER)
        site.path("link.wsgi").symlink_to(script)
        secret = site.write("secret.wsgi", HELLO, mode=0o600)
        site.add(f"""
            WSGIDaemonProcess app user=nobody home=/
            WSGIProcessGroup app
            WSGIScriptAlias /private {script} application-group=named
            WSGIScriptAlias /link {site.path('link.wsgi')} application-group=%{{GLOBAL}}
            WSGIScriptAlias /secret {secret} application-group=%{{GLOBAL}}
            WSGIHandlerScript gone {site.path('gone/deep/hello.py')}
            WSGIHandlerScript folder {site.root}/www application-group=%{{GLOBAL}}
            <Location /gone>
                SetHandler gone
            </Location>
            <Location /folder>
                SetHandler folder
            </Location>
        """)

    @pytest.mark.parametrize("path, name, interpreter", [
        ("/private", "private/deep/hello.wsgi", "sub-interpreter 'named'"), ("/link", "link.wsgi", "main interpreter")])
    def test_a_folder_that_refuses_its_user_is_named_also_behind_a_link(self, server, site, path, name, interpreter):
        assert server.get(path).status == 500
        server.log.expect(rf"WSGI0105: the script '{site.path(name)}' cannot be read for {interpreter} of daemon process 'app' by user "
                          rf"\d+ \(nobody\): {PERMISSION}; the folder '{site.path('private')}' does not let this user in: "
                          + re.escape(LET_IN) + "$")

    def test_a_file_that_its_user_cannot_read_is_named(self, server, site):
        assert server.get("/secret").status == 500
        server.log.expect(rf"WSGI0105: the script '{site.path('secret.wsgi')}' .* main interpreter of daemon process 'app' by user \d+ "
                          rf"\(nobody\): {PERMISSION}; the file itself refuses: let this user read it, for example with chmod o\+r")

    def test_a_folder_that_is_missing_is_named(self, server, site):
        assert server.get("/gone").status == 500
        server.log.expect(rf"WSGI0105: the script '{site.path('gone/deep/hello.py')}' .*'app' by user \d+ \(nobody\): No such file or "
                          rf"directory \(os error 2\); there is no '{site.path('gone')}': mend the path")

    def test_a_folder_in_place_of_a_script_is_named(self, server, site):
        assert server.get("/folder").status == 500
        server.log.expect(rf"WSGI0105: the script '{site.root}/www' .*: Is a directory \(os error 21\): name the script in this folder")


@pytest.mark.ours_only(WHY)
@pytest.mark.root_only(NOT_ROOT)
class TestReadByApache:
    mpms = ("event",)
    modes = ("embedded",)

    @staticmethod
    def configure(site):
        script = private(site, "root")
        secret = site.write("secret.wsgi", HELLO, mode=0o600)
        site.add(f"""
            WSGIScriptAlias /secret {secret} application-group=%{{GLOBAL}}
            WSGIScriptAlias /private {script}
            WSGIHandlerScript private {script} application-group=named
            <Location /handler>
                SetHandler private
            </Location>
        """)

    def test_a_folder_that_refuses_apaches_user_is_named(self, server, site):
        assert server.get("/handler").status == 500
        script = site.path("private/deep/hello.wsgi")
        server.log.expect(rf"WSGI0105: the script '{script}' cannot be read for sub-interpreter 'named' in embedded mode by user \d+ "
                          rf"\({APACHE_USER}\): {PERMISSION}; the folder '{site.path('private')}' does not let this user in: "
                          + re.escape(LET_IN) + "$")

    def test_a_file_that_apaches_user_cannot_read_is_named(self, server, site):
        assert server.get("/secret").status == 500
        server.log.expect(rf"WSGI0105: the script '{site.path('secret.wsgi')}' cannot be read for main interpreter in embedded mode by "
                          rf"user \d+ \({APACHE_USER}\): {PERMISSION}; the file itself refuses: let this user read it")

    def test_where_apache_itself_cannot_reach_the_script_it_answers_403(self, server):
        assert server.get("/private").status == 403
        server.log.expect("AH00035: access to /private denied .* because search permissions are missing")


class TestFoundAndCalled:
    mpms = ("event",)

    @staticmethod
    def configure(site):
        hello = site.write("hello.wsgi", HELLO)
        broken = site.write("broken.wsgi", "def application(:\n")
        raising = site.write("raising.wsgi", "1 / 0\n")
        handler = site.write("handler.py", "nothing = 1\n")
        # Of an alias httpd says so by itself, with 403.
        site.path("stale.py").symlink_to("gone.py")
        site.add(site.daemon("app"), f"""
            WSGIScriptAlias /gone {site.path('gone.wsgi')} application-group=named
            WSGIScriptAlias /folder {site.path('nowhere')}/deep/hello.wsgi application-group=%{{GLOBAL}}
            WSGIScriptAlias /callable {hello} callable-object=other application-group=named
            WSGIScriptAlias /broken {broken} application-group=%{{GLOBAL}}
            WSGIScriptAlias /raising {raising} application-group=named
            WSGIHandlerScript handler {handler} application-group=%{{GLOBAL}}
            WSGIHandlerScript stale {site.path('stale.py')} application-group=%{{GLOBAL}}
            <Location /handler>
                SetHandler handler
            </Location>
            <Location /stale>
                SetHandler stale
            </Location>
        """)

    def where(self, site, interpreter: str) -> str:
        return f"{interpreter} in embedded mode" if site.embedded else f"{interpreter} of daemon process 'app'"

    def not_called(self, server, site, path: str) -> None:
        assert server.get(path).status == (404 if site.embedded else 500)

    def test_a_script_that_does_not_exist_is_named_with_who_has_looked(self, server, site):
        assert server.get("/gone").status == 404
        if under_test.OURS:
            where = "embedded mode" if site.embedded else "process group 'app'"
            server.log.expect(rf"WSGI0135: the script '{site.path('gone.wsgi')}' for {where}, application group 'named', is not found by "
                              rf"user '{site.apache_user}' \(uid \d+\), who Apache's children are: No such file or directory "
                              r"\(os error 2\): mend the path")
        server.log.declare("wsgi:error")

    @pytest.mark.ours_only(WHY)
    def test_the_first_folder_that_is_missing_is_named_with_the_rest_of_the_path(self, server, site):
        assert server.get("/folder").status == 404
        server.log.expect(rf"WSGI0135: the script '{site.path('nowhere')}' \(behind it comes '/deep/hello.wsgi'\) for .* group '',.*: "
                          r"No such file or directory \(os error 2\): mend the path")

    @pytest.mark.ours_only(WHY)
    def test_a_link_that_leads_nowhere_is_named(self, server, site):
        assert server.get("/stale").status == 500
        server.log.expect(rf"WSGI0105: the script '{site.path('stale.py')}' .*: No such file or directory \(os error 2\); there is no "
                          rf"'{site.path('gone.py')}', behind the link '{site.path('stale.py')}': mend the path")

    @pytest.mark.ours_only(WHY)
    def test_a_callable_that_is_missing_is_named_with_the_interpreter_and_the_user(self, server, site):
        self.not_called(server, site, "/callable")
        where = self.where(site, "sub-interpreter 'named'")
        server.log.expect(rf"WSGI0089: the script '{site.path('hello.wsgi')}' has no 'other', its callable object, in {where}, user \d+ "
                          rf"\({site.apache_user}\): define it there, or name another with WSGICallableObject or callable-object=$")

    @pytest.mark.ours_only(WHY)
    def test_a_handler_script_is_told_the_one_name_that_it_may_have(self, server, site):
        self.not_called(server, site, "/handler")
        where = self.where(site, "main interpreter")
        server.log.expect(rf"WSGI0089: the script '{site.path('handler.py')}' has no 'handle_request', .* in {where}, .*: define it: a "
                          "handler script answers with it$")

    @pytest.mark.ours_only(WHY)
    @pytest.mark.parametrize("path, number, what, interpreter, line", [
        ("/broken", "WSGI0105", "cannot be compiled for", "main interpreter", "SyntaxError"),
        ("/raising", "WSGI0109", "cannot be executed in", "sub-interpreter 'named'", "ZeroDivisionError"),
    ])
    def test_a_script_that_cannot_be_loaded_is_named_before_its_traceback(self, server, site, path, number, what, interpreter, line):
        assert server.get(path).status == 500
        where = self.where(site, interpreter)
        script = site.path(path[1:] + ".wsgi")
        server.log.expect(rf"{number}: the script '{script}' {what} {where}, user \d+ \({site.apache_user}\): mend it where the "
                          "following lines say$")
        server.log.expect(line)
        server.log.declare("wsgi:error")
