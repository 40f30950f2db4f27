"""The life of openSUSE's .rpm: installed beside an httpd of its layout, upgraded, removed."""

import re
import subprocess

import fedora
import machine
import pytest
from conftest import SUITES
from rpm_query import OPENSUSE_FILES, OPENSUSE_NAME
from test_deb_life_cycle import APPLICATION, SITE
from test_rpm_life_cycle import answers

RUNNING = "[ -s /run/httpd.pid ]"
# What the package was called in older releases.
OLDER_NAME = "apache2-mod_wsgi-python3"


@pytest.fixture(scope="module")
def prepared(opensuse_rpm, tmp_path_factory):
    """(folder, repository) of a Debian with what the stand-ins stand for, never changed by a test."""
    if reason := machine.why_not() or fedora.why_not():
        pytest.skip(reason)
    folder = machine.unpack(SUITES[0])
    try:
        with machine.Machine(folder, SUITES[0], disposable=False) as debian:
            debian.update()
            debian.apt("install", fedora.PACKAGES)
            module = fedora.c_module(debian)
        with machine.Machine(folder, SUITES[0], disposable=False) as debian:
            debian.apt("install", f"libpython{fedora.python_of(folder)}")
        yield folder, fedora.repository(folder, tmp_path_factory.mktemp("opensuse"), [opensuse_rpm], httpd="apache2",
                                        theirs=[(OPENSUSE_NAME, module), (OLDER_NAME, module)])
    finally:
        machine.discard(folder)


@pytest.fixture
def opensuse(prepared, tmp_path):
    """(machine, dnf) with httpd installed and running, and an application that is not served yet."""
    folder, repository = prepared
    with machine.Machine(folder, SUITES[0]) as debian:
        dnf = fedora.Dnf(debian, repository, tmp_path)
        dnf("install", "apache2")
        debian.put("/srv/site/app.wsgi", APPLICATION.replace("VERSION", "one"))
        debian.put("/etc/apache2/conf.d/site.conf", f"<IfModule wsgi_module>\n{SITE}\n</IfModule>\n")
        debian.run("start_apache2 -k start")
        debian.wait(RUNNING)
        yield debian, dnf


def restart(debian):
    debian.run("cp /run/httpd.pid /run/ended.pid && kill -TERM $(cat /run/ended.pid)")
    debian.wait("! kill -0 $(cat /run/ended.pid) 2>/dev/null")
    debian.run("start_apache2 -k start")
    debian.wait(RUNNING)


def next_release(folder):
    """Return the same package with a higher release."""
    target = fedora.SPECS.parents[2] / "target"
    overwrite = folder / "next.toml"
    overwrite.write_text(re.sub(r'(?m)^release = ".*"', 'release = "2"', (target / "rpm/apache2-mod_wsgi.toml").read_text()))
    subprocess.run([target / "tools/bin/cargo-generate-rpm", "--package", "src/module", "--output", f"{folder}/", "--auto-req", "find-requires",
                    "--payload-compress", "none", "--variant", "opensuse", "--metadata-overwrite", overwrite], cwd=target.parent, check=True, capture_output=True)
    return next(folder.glob("apache2-mod_wsgi-*-2.*.rpm"))


def test_it_is_installed_by_name_enabled_and_serves_in_both_modes(opensuse):
    debian, dnf = opensuse
    assert debian.get("/embedded").status == 404
    dnf("install", OPENSUSE_NAME)
    assert dnf.rpm("-V", OPENSUSE_NAME) == ""
    restart(debian)
    answers(debian)


def test_who_has_disabled_it_finds_it_disabled_after_an_upgrade(opensuse, tmp_path):
    debian, dnf = opensuse
    dnf("install", OPENSUSE_NAME)
    debian.run("a2enmod -d wsgi")
    dnf.rpm("-U", str(next_release(tmp_path)))
    assert dnf.rpm("-q", "--qf", "%{RELEASE}", OPENSUSE_NAME) == "2"
    debian.run("! a2enmod -q wsgi")
    debian.run("a2enmod wsgi")
    dnf("downgrade", OPENSUSE_NAME)
    debian.run("a2enmod -q wsgi")
    restart(debian)
    answers(debian)


def test_a_site_survives_the_upgrade_from_the_distributions_package_and_the_way_back(opensuse):
    debian, dnf = opensuse
    dnf("install", f"{OPENSUSE_NAME}-5.0.2")
    restart(debian)
    answers(debian)
    for action, theirs in (("upgrade", False), ("downgrade", True), ("upgrade", False)):
        dnf(action, OPENSUSE_NAME)
        assert (dnf.rpm("-q", "--qf", "%{VERSION}", OPENSUSE_NAME) == "5.0.2") == theirs
        debian.run("a2enmod -q wsgi")
        restart(debian)
        answers(debian)


def test_the_package_of_older_releases_leaves_the_module_enabled_when_it_is_replaced(opensuse):
    debian, dnf = opensuse
    # dnf would take the package that replaces it.
    dnf("install", "system")
    dnf.rpm("-i", str(next(dnf.repository.glob(f"{OLDER_NAME}-*.rpm"))))
    restart(debian)
    answers(debian)
    dnf("install", OPENSUSE_NAME)
    assert "not installed" in dnf.rpm("-q", OLDER_NAME, check=False)
    # Its last script has run after the first one of the new package.
    debian.run("a2enmod -q wsgi")
    assert not debian.exists("/var/lib/rpm-state/apache2-mod_wsgi")
    restart(debian)
    answers(debian)


def test_removal_takes_it_out_of_the_list_and_leaves_nothing(opensuse):
    debian, dnf = opensuse
    dnf("install", OPENSUSE_NAME)
    dnf("remove", OPENSUSE_NAME)
    restart(debian)
    assert debian.get("/embedded").status == 404
    assert not any(debian.exists(path) for path in OPENSUSE_FILES)
