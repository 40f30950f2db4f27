"""Configurations as people have them: what the C module takes, this module takes, or docs/migration.md says why not.

configurations.toml holds them.
"""

import re
import tomllib
from pathlib import Path

import pytest

from harness import httpd_program, interpreters, under_test
from harness.places import REPOSITORY

KNOWN = tomllib.loads((Path(__file__).parent / "configurations.toml").read_text())["configuration"]
SCRIPTS = ("wsgi.py", "app.wsgi", "root.py", "server.py", "openerp-wsgi.py", "keystone-wsgi-public", "keystone-wsgi-admin",
           "placement-api", "x2gobroker-wsgi", "kdcproxy/__init__.py")
APPLICATION = """
    def application(environ, start_response):
        start_response("200 OK", [])
        return [b"hello"]

    handle_request = app = application

    def check_password(environ, user, password):
        return None

    def groups_for_user(environ, user):
        return []
"""
MODULES = ("version", "setenvif", "authn_core", "authz_user", "auth_basic")


def outcome(configuration) -> str:
    """What the module under test is to say of it."""
    if "refused" in configuration:
        return "refused"
    if under_test.OURS:
        return "refused" if "only_ours" in configuration else "accepted"
    return "refused" if under_test.version() >= tuple(configuration.get("until", [99])) else "accepted"


@pytest.fixture
def configtest(new_server):
    """Runs configtest with a text in which paths are to be filled in."""
    server = new_server("event", "daemon")
    site = server.site
    for name in SCRIPTS:
        site.write(name, APPLICATION)
    environment = interpreters.virtualenv(interpreters.system())
    filled = {"script": site.path("wsgi.py"), "folder": site.root / "app", "venv": environment, "user": site.apache_user,
              "group": site.apache_user}
    site.add(httpd_program.load_modules(*MODULES))

    def run(text: str) -> tuple[int, str]:
        for name, value in filled.items():
            text = text.replace(f"{{{name}}}", str(value))
        site.add(text)
        return server.configtest()

    return run


@pytest.mark.parametrize("configuration", KNOWN, ids=[configuration["like"] for configuration in KNOWN])
def test_it_is_taken_as_by_the_c_module(configtest, configuration):
    status, text = configtest(configuration["text"])
    assert ("accepted" if status == 0 else "refused") == outcome(configuration), text
    if under_test.OURS:
        assert sorted(set(re.findall(r"\[wsgi:warn\].*?(WSGI\d{4}):", text))) == configuration.get("warns", []), text


@pytest.mark.ours_only("it reads this repository")
def test_what_only_this_module_refuses_is_named_in_the_guide():
    guide = (REPOSITORY / "docs" / "migration.md").read_text()
    named = [configuration["only_ours"] for configuration in KNOWN if "only_ours" in configuration]
    assert named and [name for name in named if f"`{name}`" not in guide] == []
