"""`apachectl configtest` warns of what would fail at the first request, with directive, file and line; the C module lets it
through to the client."""

import os
import re
import shutil
import struct

import pytest

from harness import interpreters, under_test
from harness.site import APACHE_USER

HELLO = """
    def application(environ, start_response):
        start_response("200 OK", [])
        return [b"hello"]
"""
WHY = "the C module does not look"
NOT_ROOT = "only root can make what another user cannot reach"
PLACE_SCRIPTS = ("WSGIAccessScript", "WSGIAuthUserScript", "WSGIAuthGroupScript", "WSGIDispatchScript")


class Configuration:
    """A site whose configuration is only looked at."""

    def __init__(self, server):
        self.server = server

    def __call__(self) -> list[str]:
        """Runs configtest, which has to accept the configuration, and returns its warnings."""
        status, text = self.server.configtest()
        assert status == 0 and text.rstrip().endswith("Syntax OK"), text
        lines = [line for line in text.splitlines() if line not in ("", "Syntax OK")]
        assert all("[wsgi:warn]" in line for line in lines), text
        return [re.sub(r"^(\[[^\]]*\] )*", "", line) for line in lines]

    def only(self, number: str, directive: str) -> str:
        """The one warning there is: what it says behind the number, and the place of the line that begins as `directive` does."""
        found = self()
        start = f"{number}: {self.place(directive)}: "
        assert len(found) == 1 and found[0].startswith(start), f"not one that begins with {start!r}: {found}"
        return found[0].removeprefix(start)

    def place(self, directive: str) -> str:
        file = self.server.site.configuration_file
        lines = [number for number, line in enumerate(file.read_text().splitlines(), 1) if line.strip().startswith(directive)]
        assert len(lines) == 1, f"{directive!r} stands in lines {lines}"
        return f"{directive.split()[0]} at {file}:{lines[0]}"


@pytest.fixture
def warnings(new_server):
    server = new_server("event", "daemon")
    server.site.write("hello.wsgi", HELLO)
    return Configuration(server)


@pytest.fixture
def site(warnings):
    return warnings.server.site


@pytest.fixture
def hello(site):
    return site.path("hello.wsgi")


def private(site, name: str, owner: str = "root"):
    """A script in a folder that only its owner enters."""
    script = site.write(f"{name}/deep/hello.wsgi", HELLO)
    site.path(name).chmod(0o700)
    shutil.chown(site.path(name), owner)
    return script


def let_in(folder, user_id: int) -> None:
    """What `setfacl -m u:USER:x` does to a folder of mode 0700."""
    any_id = 0xFFFFFFFF
    entries = ((0x01, 7, any_id), (0x02, 1, user_id), (0x04, 0, any_id), (0x10, 1, any_id), (0x20, 0, any_id))
    os.setxattr(folder, "system.posix_acl_access", struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *entry) for entry in entries))


@pytest.mark.ours_only(WHY)
class TestConfigtest:
    def test_a_good_configuration_has_no_warning(self, site, hello, warnings):
        site.serve("hello.wsgi")
        site.add("WSGIDaemonProcess other", f"WSGIHandlerScript h {hello} process-group=other",
                 f"WSGIImportScript {hello} process-group=other application-group=%{{GLOBAL}}", "<Location /part>",
                 *(f"{name} {hello}" for name in PLACE_SCRIPTS), "WSGIProcessGroup other", "</Location>")
        assert warnings() == []

    def test_a_warning_names_the_file_that_is_included(self, site, hello, warnings):
        file = site.write("site.conf", f"# a comment\nWSGIScriptAlias / {hello} \\\n    process-group=nowhere\n")
        site.add(f"Include {file}")
        assert [line.partition(": no ")[0] for line in warnings()] == [f"WSGI0151: WSGIScriptAlias at {file}:3"]

    @pytest.mark.parametrize("directive", ["WSGISlowRequests 2", "WSGITelemetryOptions +CaptureUserAgent"])
    def test_telemetry_without_a_service_to_report_to_is_named(self, site, warnings, directive):
        site.serve("hello.wsgi")
        site.add(directive)
        assert "WSGITelemetryService" in warnings.only("WSGI7069", directive)
        site.add(f"WSGITelemetryService unix:{site.root}/socket")
        assert warnings() == []

    def test_free_threading_in_a_section_for_some_interpreters_is_named(self, site, warnings):
        site.serve("hello.wsgi")
        site.add("<WSGIInterpreterOptions application-group=one>\nWSGIFreeThreading On\n</WSGIInterpreterOptions>")
        assert "application-group=" in warnings.only("WSGI0201", "WSGIFreeThreading On")


@pytest.mark.ours_only(WHY)
class TestGroups:
    def test_a_group_that_exists_nowhere_is_named(self, site, hello, warnings):
        site.add("WSGIProcessGroup nowhere", f"WSGIScriptAlias / {hello}")
        text = warnings.only("WSGI0151", "WSGIProcessGroup nowhere")
        assert "'nowhere'" in text and "WSGIDaemonProcess" in text and "500" in text

    @pytest.mark.parametrize("section", ["Directory /", "Location /part", 'Files "*.wsgi"', "If \"%{HTTP_HOST} == 'a'\""])
    def test_a_group_of_a_section_that_exists_nowhere_is_named(self, site, warnings, section):
        site.serve("hello.wsgi")
        site.add(f"<{section}>\nWSGIProcessGroup nowhere\n</{section.split()[0]}>")
        assert "'nowhere'" in warnings.only("WSGI0151", "WSGIProcessGroup nowhere")

    def test_a_group_that_is_defined_behind_its_section_is_there(self, site, hello, warnings):
        site.add("<Directory />\nWSGIProcessGroup later\n</Directory>", f"WSGIScriptAlias / {hello}", "WSGIDaemonProcess later")
        assert warnings() == []

    def test_a_group_that_only_a_request_tells_is_not_looked_for(self, site, hello, warnings):
        site.add("<Location />\nWSGIProcessGroup %{ENV:GROUP}\n</Location>", f"WSGIScriptAlias / {hello} process-group=%{{ENV:GROUP}}")
        assert warnings() == []

    @pytest.mark.parametrize("directive", ["WSGIScriptAlias /", "WSGIScriptAliasMatch ^/", "WSGIHandlerScript name"])
    def test_a_group_of_a_script_that_exists_nowhere_is_named(self, site, hello, warnings, directive):
        site.add("WSGIDaemonProcess here", f"{directive} {hello} process-group=nowhere")
        assert "'nowhere'" in warnings.only("WSGI0151", directive)

    def test_a_group_of_another_virtual_host_is_named(self, site, hello, warnings):
        site.add("""
            <VirtualHost *:1>
                ServerName one.test
                WSGIDaemonProcess private
                WSGIProcessGroup private
            </VirtualHost>
            <VirtualHost *:1>
                ServerName one.test
                WSGIScriptAlias /same {hello} process-group=private
            </VirtualHost>
            <VirtualHost *:2>
                ServerName two.test
                WSGIScriptAlias /other {hello} process-group=private
            </VirtualHost>
        """.format(hello=hello))
        assert "'private'" in warnings.only("WSGI0152", "WSGIScriptAlias /other")

    @pytest.mark.parametrize("directive", ["WSGIProcessGroup service", "WSGIHandlerScript name {hello} process-group=service"])
    def test_a_group_that_takes_no_requests_is_named(self, site, hello, warnings, directive):
        site.add("WSGIDaemonProcess service threads=0",
                 f"WSGIImportScript {hello} process-group=service application-group=%{{GLOBAL}}", directive.format(hello=hello))
        assert "'service'" in warnings.only("WSGI7081", directive.format(hello=hello))

    @pytest.mark.parametrize("prefix", ["{root}/nowhere/s", "nowhere/s"])
    def test_a_folder_for_sockets_that_does_not_exist_is_named(self, site, hello, warnings, prefix):
        prefix = prefix.format(root=site.root)
        site.add(f"WSGIScriptAlias / {hello}", f"WSGISocketPrefix {prefix}")
        assert warnings() == [], "without a daemon process it does not matter"
        site.add("WSGIDaemonProcess app")
        text = warnings.only("WSGI7052", f"WSGISocketPrefix {prefix}")
        assert f"'{site.root}/nowhere'" in text and "does not start" in text

    @pytest.mark.root_only(NOT_ROOT)
    def test_a_folder_for_sockets_that_apaches_user_cannot_enter_is_named(self, site, warnings):
        site.serve("hello.wsgi")
        (site.root / "closed").mkdir(mode=0o700)
        site.add(f"WSGISocketPrefix {site.root}/closed/s")
        text = warnings.only("WSGI0117", f"WSGISocketPrefix {site.root}/closed/s")
        assert f"'{site.root}/closed'" in text and f"'{APACHE_USER}'" in text

    @pytest.mark.parametrize("folder, why", [("nowhere", "No such file"), ("app/hello.wsgi", "no folder"),
                                             pytest.param("closed", "refuses", marks=pytest.mark.root_only(NOT_ROOT))])
    def test_a_working_folder_that_cannot_be_entered_is_named(self, site, warnings, folder, why):
        (site.root / "closed").mkdir(mode=0o700)
        site.serve("hello.wsgi", options=f"home={site.root}/{folder}")
        text = warnings.only("WSGI0009", "WSGIDaemonProcess app")
        assert f"'{site.root}/{folder}'" in text and why in text and site.apache_user in text

    def test_a_script_that_script_user_forbids_is_named_with_the_owner_it_should_have(self, site, warnings):
        script = site.path("hello.wsgi")
        script.parent.chmod(0o755)
        site.serve("hello.wsgi", options=f"script-user=#{script.stat().st_uid}")
        assert warnings() == []
        script.chmod(0o666)
        text = warnings.only("WSGI0168", f"WSGIScriptAlias / {script}")
        assert f"'{script}'" in text and "script-user" in text and "requests get 403" in text
        site._directives = [line.replace("script-user=#", "script-user=#1") for line in site._directives]
        text = warnings.only("WSGI0164", f"WSGIScriptAlias / {script}")
        assert f"'{script}'" in text and "does not belong to" in text


@pytest.mark.ours_only(WHY)
class TestPythonHome:
    @pytest.mark.parametrize("mode", ["embedded", "daemon"])
    @pytest.mark.parametrize("home, why", [("www", "holds no bin/python3"), ("no-such-venv", "does not exist")])
    def test_a_virtualenv_without_python_is_named(self, new_server, mode, home, why):
        warnings = Configuration(new_server("event", mode))
        site = warnings.server.site
        site.write("hello.wsgi", HELLO)
        home = site.root / home
        if site.embedded:
            site.add(f"WSGIPythonHome {home}")
        site.serve("hello.wsgi", options=f"python-home={home}")
        text = warnings.only(*("WSGI7064", "WSGIPythonHome") if site.embedded else ("WSGI7051", "WSGIDaemonProcess app"))
        assert f"'{home}'" in text and why in text and ("'app'" in text) == (not site.embedded)

    def test_a_home_that_groups_inherit_is_named_with_the_group(self, site, warnings):
        site.serve("hello.wsgi")
        site.add(f"WSGIPythonHome {site.root}/no-such-venv")
        assert "no-such-venv" in warnings.only("WSGI7051", "WSGIDaemonProcess app")

    @pytest.mark.parametrize("mode", ["embedded", "daemon"])
    def test_a_virtualenv_of_a_python_that_is_not_supported_is_named(self, new_server, mode):
        older = interpreters.unsupported()
        if not older:
            pytest.skip("needs a CPython older than 3.10, found none; name one in WSGI_TEST_PYTHONS")
        warnings = Configuration(new_server("event", mode))
        site = warnings.server.site
        site.write("hello.wsgi", HELLO)
        home = interpreters.virtualenv(older[max(older)])
        if site.embedded:
            site.add(f"WSGIPythonHome {home}")
        site.serve("hello.wsgi", options=f"python-home={home}")
        text = warnings.only("WSGI7001", "WSGIPythonHome" if site.embedded else "WSGIDaemonProcess app")
        assert f"Python {'.'.join(map(str, max(older)))} " in text and "3.10 to 3.14" in text

    @pytest.mark.root_only(NOT_ROOT)
    @pytest.mark.parametrize("mode", ["embedded", "daemon"])
    def test_a_virtualenv_that_its_user_cannot_enter_is_named(self, new_server, mode):
        warnings = Configuration(new_server("event", mode))
        site = warnings.server.site
        site.write("hello.wsgi", HELLO)
        secret = site.root / "secret"
        secret.mkdir(mode=0o700)
        interpreters.run(interpreters.system(), "-m", "venv", "--without-pip", secret / "venv")
        if site.embedded:
            site.add(f"WSGIPythonHome {secret}/venv")
        site.serve("hello.wsgi", options=f"python-home={secret}/venv")
        text = warnings.only(*("WSGI7064", "WSGIPythonHome") if site.embedded else ("WSGI7054", "WSGIDaemonProcess app"))
        assert f"'{secret}'" in text and APACHE_USER in text


@pytest.mark.ours_only(WHY)
class TestScripts:
    @pytest.mark.parametrize("target", ["nowhere.wsgi", "nowhere/", "nowhere/deep/hello.wsgi"])
    def test_a_script_or_folder_of_an_alias_that_does_not_exist_is_named(self, site, warnings, target):
        site.serve(target)
        site.add(f"WSGIScriptAlias /slash/ {site.path('nowhere')}/")
        first, second = warnings()
        assert first.startswith(f"WSGI0135: {warnings.place('WSGIScriptAlias / ')}: '{site.path(target)}' does not exist")
        assert second.startswith(f"WSGI0135: {warnings.place('WSGIScriptAlias /slash/')}: '{site.path('nowhere')}' does not exist")
        assert "404" in first
        if "deep" in target:
            assert f"there is no '{site.path('nowhere')}'" in first

    def test_a_link_that_leads_nowhere_is_named(self, site, warnings):
        site.path("link.wsgi").symlink_to("gone.wsgi")
        site.serve("link.wsgi")
        text = warnings.only("WSGI0135", "WSGIScriptAlias")
        assert f"there is no '{site.path('gone.wsgi')}', behind the link '{site.path('link.wsgi')}'" in text and "403" in text

    def test_what_a_request_makes_the_path_of_is_not_looked_at(self, site, warnings):
        site.add(f"WSGIScriptAliasMatch ^/(\\w+) {site.path('$1.wsgi')}", f"WSGIScriptAliasMatch ^/fixed {site.path('gone.wsgi')}")
        assert "gone.wsgi" in warnings.only("WSGI0135", "WSGIScriptAliasMatch ^/fixed")

    def test_path_info_that_an_alias_adds_is_no_part_of_the_file(self, site, hello, warnings):
        site.add(f"WSGIScriptAlias / {hello}/", f"WSGIScriptAlias /more {hello}/more/path", f"WSGIScriptAlias /folder {hello.parent}")
        assert warnings() == []

    def test_an_alias_whose_script_is_not_an_absolute_path_is_named(self, site, warnings):
        site.add("WSGIScriptAlias / app/hello.wsgi")
        assert "'app/hello.wsgi'" in warnings.only("WSGI0135", "WSGIScriptAlias")

    @pytest.mark.parametrize("directive, outcome", [
        ("WSGIHandlerScript name {}", "500"), ("WSGIAccessScript {}", "403"), ("WSGIAuthUserScript {}", "500"),
        ("WSGIAuthGroupScript {}", "nobody is in any group"), ("WSGIDispatchScript {}", "without it"),
    ])
    def test_a_script_of_a_place_that_does_not_exist_is_named_and_so_is_a_folder(self, site, warnings, directive, outcome):
        site.serve("hello.wsgi")
        before = list(site._directives)
        for path, what in ((site.path("gone.py"), "does not exist"), (site.root / "www", "is a folder")):
            site._directives = [*before, "<Location /part>", directive.format(path), "</Location>"]
            text = warnings.only("WSGI0105", directive.format(path))
            assert f"'{path}' {what}" in text and outcome in text

    @pytest.mark.parametrize("group", ["app", "%{GLOBAL}"])
    def test_a_script_to_import_that_does_not_exist_is_named(self, site, warnings, group):
        site.serve("hello.wsgi")
        site.add(f"WSGIImportScript {site.path('gone.py')} process-group={group} application-group=%{{GLOBAL}}")
        assert f"'{site.path('gone.py')}' does not exist" in warnings.only("WSGI0106", "WSGIImportScript")


@pytest.mark.ours_only(WHY)
@pytest.mark.root_only(NOT_ROOT)
class TestScriptsThatCannotBeRead:
    @pytest.mark.parametrize("mode", ["embedded", "daemon"])
    def test_a_script_that_whoever_loads_it_cannot_read_is_named_with_the_user(self, new_server, mode):
        warnings = Configuration(new_server("event", mode))
        site = warnings.server.site
        secret = site.write("secret.wsgi", HELLO, mode=0o600)
        site.serve("secret.wsgi")
        text = warnings.only("WSGI0105", "WSGIScriptAlias")
        assert f"since '{secret}' refuses" in text and f"'{APACHE_USER}'" in text and "chmod o+r" in text
        assert ("process group 'app'" in text) == (not site.embedded)

    def test_the_first_folder_that_refuses_the_groups_user_is_named(self, site, warnings):
        script = private(site, "private", APACHE_USER)
        site.serve("private/deep/hello.wsgi", options="user=nobody home=/")
        text = warnings.only("WSGI0105", "WSGIScriptAlias")
        assert f"'{script}'" in text and f"since '{site.path('private')}' refuses" in text and "chmod o+x" in text
        assert "'nobody'" in text and "'app'" in text

    def test_a_folder_behind_a_link_is_named(self, site, warnings):
        site.path("link.wsgi").symlink_to(private(site, "private", APACHE_USER))
        site.serve("link.wsgi", options="user=nobody home=/")
        assert f"since '{site.path('private')}' refuses" in warnings.only("WSGI0105", "WSGIScriptAlias")

    @pytest.mark.parametrize("target", ["private/deep/hello.wsgi", "private/deep/", "private/"])
    def test_a_folder_that_apaches_user_cannot_enter_is_named_whoever_runs_the_script(self, site, warnings, target):
        private(site, "private", "nobody")
        site.serve(target, options="user=nobody home=/")
        text = warnings.only("WSGI0135", "WSGIScriptAlias")
        assert f"may not enter '{site.path('private')}'" in text and f"'{APACHE_USER}'" in text and "403" in text

    def test_a_user_that_an_access_control_list_lets_in_is_not_refused(self, site, warnings):
        private(site, "private", APACHE_USER)
        site.serve("private/deep/hello.wsgi", options="user=nobody home=/")
        try:
            let_in(site.path("private"), 65534)
        except OSError as error:
            pytest.skip(f"this file system has no access control lists: {error}")
        assert warnings() == []

    @pytest.mark.parametrize("directive", ["WSGIHandlerScript name {}",
                                           "WSGIImportScript {} process-group=app application-group=%{{GLOBAL}}"])
    def test_a_script_is_read_by_the_user_of_its_group(self, site, warnings, directive):
        directive = directive.format(private(site, "private", APACHE_USER))
        site.serve("hello.wsgi", options="user=nobody home=/")
        site.add(directive)
        text = warnings.only("WSGI0106" if "Import" in directive else "WSGI0105", directive)
        assert "'nobody'" in text and f"since '{site.path('private')}' refuses" in text

    @pytest.mark.parametrize("name", PLACE_SCRIPTS)
    def test_scripts_of_access_control_and_dispatch_are_read_by_apaches_user(self, site, warnings, name):
        script = private(site, "private", "nobody")
        site.serve("hello.wsgi", options="user=nobody home=/")
        site.add(f"<Location /part>\n{name} {script}\n</Location>")
        text = warnings.only("WSGI0105", name)
        assert f"'{APACHE_USER}'" in text and f"since '{site.path('private')}' refuses" in text

    def test_a_script_that_the_group_of_a_section_can_read_is_not_named(self, site, warnings):
        script = site.write("theirs.wsgi", HELLO, mode=0o600)
        shutil.chown(script, "nobody")
        site.add("WSGIDaemonProcess app user=nobody home=/", f"WSGIScriptAlias / {script}",
                 f"<Directory {script.parent}>\nWSGIProcessGroup app\n</Directory>")
        assert warnings() == []
        script.chmod(0)
        assert f"since '{script}' refuses" in warnings.only("WSGI0105", "WSGIScriptAlias")

    def test_a_script_whose_group_only_requests_tell_is_not_named(self, site, warnings):
        script = site.write("theirs.wsgi", HELLO, mode=0o600)
        dispatch = site.write("dispatch.py", "def process_group(environ):\n    return 'app'\n")
        site.add(f"WSGIScriptAlias /variable {script} process-group=%{{ENV:GROUP}}", "<VirtualHost *:1>",
                 f"WSGIDispatchScript {dispatch}", f"WSGIScriptAlias /dispatched {script}", "</VirtualHost>")
        assert warnings() == []


class TestRefused:
    """What is refused with directive, file and line."""

    @pytest.fixture
    def site(self, new_server):
        server = new_server("event", "daemon")
        server.site.write("hello.wsgi", HELLO)
        self.configtest = server.configtest
        return server.site

    def refused(self, site, directive: str, around: str = "{}") -> str:
        """What httpd prints about the directive."""
        site.add(around.format(directive))
        status, text = self.configtest()
        assert status != 0, text
        number = 1 + [line.strip() for line in site.configuration().splitlines()].index(directive)
        place = f"Syntax error on line {number} of {site.configuration_file}:"
        assert place in text, text
        said = text.partition(place)[2]
        if under_test.OURS:
            assert directive.split()[0] in said
        return said

    @pytest.mark.root_only("user= has an effect only when Apache is started by root")
    @pytest.mark.parametrize("user", ["#0", "root"])
    def test_root_as_the_user_of_a_group(self, site, user):
        assert "as root" in self.refused(site, f"WSGIDaemonProcess app user={user}")

    @pytest.mark.parametrize("directive", [
        "WSGIScriptAlias / {hello} application-group=", "WSGIScriptAlias / {hello} process-group=",
        "WSGIImportScript {hello} process-group=app application-group=", "WSGIAccessScript {hello} application-group=",
        "WSGIAuthUserScript {hello} application-group=", "WSGIDispatchScript {hello} application-group=",
        "WSGIHandlerScript name {hello} application-group=",
    ])
    def test_an_empty_group(self, site, directive):
        around = "WSGIDaemonProcess app\n" + ("<Location />\n{}\n</Location>" if directive.split()[0] in PLACE_SCRIPTS else "{}")
        text = self.refused(site, directive.format(hello=site.path("hello.wsgi")), around)
        assert "group" in text.lower() and (not under_test.OURS or "is empty" in text)

    @pytest.mark.parametrize("directive", ["WSGIScriptAlias /", "WSGIScriptAliasMatch ^/"])
    def test_a_group_of_another_virtual_host(self, site, directive):
        directive = f"{directive} {site.path('hello.wsgi')} process-group=private application-group=named"
        text = self.refused(site, directive, """
            <VirtualHost *:1>
                ServerName one.test
                WSGIDaemonProcess private
            </VirtualHost>
            <VirtualHost *:2>
                ServerName two.test
                {}
            </VirtualHost>
        """)
        assert "group" in text.lower() and (not under_test.OURS or "'private' belongs to a virtual host" in text)

    def test_a_directive_that_an_included_file_has(self, site):
        file = site.write("site.conf", "\n# a comment\nWSGIRestrictStdin Perhaps\n")
        site.add(f"Include {file}")
        status, text = self.configtest()
        assert status != 0 and f"Syntax error on line 2 of {file}:" in text and "WSGIRestrictStdin" in text
