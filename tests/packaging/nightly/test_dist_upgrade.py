"""Debian is upgraded to its next release with the package installed and a site configured. Slow: fetches and unpacks a whole Debian."""

import machine
import pytest
from conftest import NAME, OURS, SUITES
from test_deb_life_cycle import ENABLED, add_site, error_log, loaded

# Says where it runs and with which Python; ?NAME imports what nothing has loaded yet, so the standard library has to be there still.
APPLICATION = '''
import importlib, sys
import mod_wsgi

def application(environ, start_response):
    if environ["QUERY_STRING"]:
        importlib.import_module(environ["QUERY_STRING"])
    body = "%s %d.%d" % (mod_wsgi.process_group or "embedded", *sys.version_info[:2])
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body.encode()]
'''
NEXT = {"bookworm": "trixie", "trixie": "forky"}
APT = "apt-get -qq -y -o Dpkg::Use-Pty=0 -o Dpkg::Options::=--force-confold -o APT::Keep-Downloaded-Packages=true"

pytestmark = pytest.mark.skipif(not OURS, reason="the distribution's own is replaced in the upgrade")


def default_python(debian):
    """Return the version of Debian's default Python."""
    return debian.run("python3 -c 'import sys; print(\"%d.%d\" % sys.version_info[:2])'").strip()


def fetched(debian, query=""):
    """Return what both modes answer, asked often enough to meet every process."""
    answers = [debian.get(f"{path}{query}") for path in ("/embedded", "/daemon") for _ in range(8)]
    return {f"{answer.status} {answer.body}" for answer in answers}


@pytest.mark.parametrize("prepared", [suite for suite in SUITES if suite in NEXT], indirect=True)
def test_both_modes_serve_with_the_new_default_python_after_a_full_upgrade(debian, package):
    debian.apt("install", package)
    add_site(debian)
    debian.put("/srv/site/app.wsgi", APPLICATION)
    debian.run("apache2ctl graceful")
    before = default_python(debian)
    assert fetched(debian) == {f"200 embedded {before}", f"200 site {before}"}
    version = debian.run(f"dpkg-query -W -f '${{Version}}' {NAME}")

    debian.put("/etc/apt/sources.list", machine.debian_sources(NEXT[debian.suite]))
    debian.update()
    # The machine has no terminal: whatever asks a question stops it.
    debian.run(f"{APT} --download-only full-upgrade", online=True)
    print(debian.run(f"{APT} full-upgrade"))
    # What was left behind is gone then: the Python that was the default, too.
    print(debian.run(f"{APT} autoremove"))

    after = default_python(debian)
    assert after != before and not debian.exists(f"/usr/bin/python{before}")
    assert debian.run(f"dpkg-query -W -f '${{db:Status-Status}} ${{Version}}' {NAME}") == f"installed {version}"
    assert debian.run("dpkg --audit") == ""
    assert debian.exists(ENABLED) and loaded(debian)
    # Nobody has restarted Apache by hand. What it answers may be the old processes' until the new ones are ready.
    debian.wait(f"python3 -c 'import urllib.request as u; print(u.urlopen(\"http://127.0.0.1/daemon\").read().decode())' | grep -q '{after}$'")
    assert fetched(debian, "?colorsys") == {f"200 embedded {after}", f"200 site {after}"}
    assert [line for line in error_log(debian) if "wsgi" in line.lower()] == []
