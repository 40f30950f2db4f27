"""Every directive: it is there, it may stand where it may, and wrong arguments are refused by configtest with file and line.

directives.toml says what each one takes. Behaviour is in a file for each directive.
"""

import html
import re
import subprocess
import tomllib
from pathlib import Path

import pytest

from harness import httpd_program, under_test

HERE = Path(__file__).parent
KNOWN = tomllib.loads((HERE / "directives.toml").read_text())["directive"]
HELLO = """
    def application(environ, start_response):
        start_response("200 OK", [])
        return [b"hello"]
"""


def is_here(directive) -> bool:
    if under_test.OURS:
        return not directive.get("later", False)
    return tuple(directive.get("since", [0])) <= under_test.version() < tuple(directive.get("until", [99]))


DIRECTIVES = [directive for directive in KNOWN if is_here(directive)]
PLAIN = [directive for directive in DIRECTIVES if directive["arguments"] != "section"]
CONTAINERS = {
    "server": "{line}",
    "virtual host": "<VirtualHost *:1>\n{line}\n</VirtualHost>",
    "directory": "<Directory />\n{line}\n</Directory>",
}
IDS = [directive["name"] for directive in PLAIN]


def file_of(name: str) -> str:
    """WSGIMapHEADToGET is in test_wsgi_map_head_to_get.py."""
    words = re.findall(r"HEAD|GET|[A-Z][a-z]+|[A-Z]+(?![a-z])", name.strip("<>").removeprefix("WSGI"))
    return f"test_wsgi_{'_'.join(words).lower()}.py"


def allowed(directive) -> str:
    """Where it is allowed, in the words of `apache2 -L`."""
    contexts = set(directive["contexts"])
    if not contexts & {"directory", ".htaccess"}:
        return "*.conf only outside <Directory>, <Files>, <Location>, or <If>"
    anywhere = "*.conf anywhere" if "server" in contexts else "*.conf only inside <Directory>, <Files>, <Location>, or <If>"
    override = f" and in .htaccess when AllowOverride includes {directive['override']}" if ".htaccess" in contexts else ""
    return anywhere + override


@pytest.fixture
def configtest(new_server):
    """Runs configtest with one line: configtest(directive, arguments, context) -> (accepted, text)."""
    server = new_server("event", "daemon")
    site = server.site
    site.write("hello.wsgi", HELLO)
    kept = list(site._directives)

    def run(directive, arguments, context="server"):
        arguments = arguments.format(script=site.path("hello.wsgi"), folder=site.root / "app", group="defined")
        site._directives = [*kept, "WSGIDaemonProcess defined", CONTAINERS[context].format(line=f"{directive['name']} {arguments}")]
        status, text = server.configtest()
        return status == 0, text

    return run


@pytest.mark.parametrize("directive", PLAIN, ids=IDS)
class TestArguments:
    def test_valid_arguments_are_accepted(self, configtest, directive):
        context = directive["contexts"][0]
        refused = {arguments: text for arguments in directive["valid"]
                   for accepted, text in [configtest(directive, arguments, context)] if not accepted}
        assert refused == {}

    def test_invalid_arguments_are_refused_with_the_directive_the_file_and_the_line(self, configtest, directive):
        wrong = list(directive["invalid"])
        if directive["arguments"] == "one":
            wrong += ["", "one two"]
        if under_test.OURS:
            wrong += directive.get("refused", [])
        for arguments in wrong:
            accepted, text = configtest(directive, arguments, directive["contexts"][0])
            assert not accepted, f"{directive['name']} {arguments} is accepted"
            assert re.search(r"(Syntax error|AH00526: Syntax error) on line \d+ of .*httpd\.conf", text), text
            if under_test.OURS:
                assert directive["name"] in text, text

    def test_it_is_accepted_where_it_may_stand_and_refused_elsewhere(self, configtest, directive):
        arguments = directive["valid"][0]
        for context in CONTAINERS:
            accepted, text = configtest(directive, arguments, context)
            assert accepted == (context in directive["contexts"]), f"{context}: {text}"


class TestHtaccess:
    """A folder for each directive and AllowOverride, with the directive in its .htaccess."""

    mpms = ("event",)
    modes = ("embedded",)

    @staticmethod
    def configure(site):
        script = site.write("hello.wsgi", HELLO)
        for override in ("FileInfo", "AuthConfig", "None"):
            site.add(f"<Directory {site.root}/www/{override}>\nAllowOverride {override}\n</Directory>")
            for directive in PLAIN:
                folder = site.root / "www" / override / directive["name"]
                folder.mkdir(parents=True)
                (folder / "page.txt").write_text("page")
                arguments = directive["valid"][0].format(script=script, folder=site.root / "app", group="defined")
                (folder / ".htaccess").write_text(f"{directive['name']} {arguments}\n")
        site.add("WSGIDaemonProcess defined")

    @pytest.mark.parametrize("directive", PLAIN, ids=IDS)
    def test_it_is_taken_with_its_override_and_refused_with_another(self, server, directive):
        server.log.declare("core:alert.*not allowed here")
        if directive.get("override") == "AuthConfig":
            server.log.declare("wsgi:error")  # the script that is named there is no access script
        status = {override: server.get(f"/{override}/{directive['name']}/page.txt").status
                  for override in ("FileInfo", "AuthConfig", "None")}
        allowed = directive.get("override")
        assert {override for override, number in status.items() if number == 500} == {"FileInfo", "AuthConfig"} - {allowed}


class TestTheListOfDirectives:
    """`apache2 -L` lists the directives of loaded modules only after it has read a configuration without a mistake (an
    existing folder for the error log is part of that); else it ends before it lists anything. mod_info needs a running server.
    """

    mpms = ("event",)
    modes = ("embedded",)

    @staticmethod
    def configure(site):
        site.add(httpd_program.load_modules("info"), "<Location /info>\nSetHandler server-info\n</Location>")

    def registered(self, server) -> set[str]:
        """The directives on mod_info's page."""
        page = server.get("/info?mod_wsgi.c").text
        return {html.unescape(name) for name in re.findall(r"<tt>(&lt;WSGI\w+|WSGI\w+)", page)}

    def listed(self, server) -> dict[str, str]:
        """What `apache2 -L` says of each directive of this module: where it is allowed."""
        done = subprocess.run(server._command("-L"), capture_output=True, text=True, timeout=20)
        entries = re.findall(r"^(<?\w+) \((\S+)\)\n((?:\t.*\n)*)", done.stdout, re.MULTILINE)
        assert ("DocumentRoot", "core.c") in {entry[:2] for entry in entries}, done.stdout + done.stderr
        return {name: " ".join(re.search(r"^\tAllowed in (.*(?:\n\twhen .*)?)", text, re.MULTILINE)[1].split())
                for name, module, text in entries if module == "mod_wsgi.c"}

    def test_apache2_l_lists_every_directive_with_the_places_of_the_c_module(self, server):
        expected = {directive["name"].rstrip(">"): allowed(directive) for directive in DIRECTIVES}
        listed = self.listed(server)
        assert {name: listed.get(name) for name in expected} == expected

    def test_every_directive_of_the_c_module_is_registered(self, server):
        expected = {directive["name"].rstrip(">") for directive in DIRECTIVES}
        assert expected - self.registered(server) == set()

    @pytest.mark.ours_only("older versions have directives that 6.1.1 has no more")
    def test_no_other_directive_is_registered(self, server):
        expected = {directive["name"].rstrip(">") for directive in DIRECTIVES}
        assert self.registered(server) - expected == set()

    @pytest.mark.ours_only("it asks for files of this folder, not for behaviour")
    def test_every_registered_directive_has_a_file_in_this_folder(self, server):
        missing = [name for name in self.registered(server)
                   if not (HERE / file_of(name)).exists() or name not in (HERE / file_of(name)).read_text()]
        assert missing == []
