"""The maintainer scripts as Debian's policy has them called, also when something else fails. Slow: installs Apache anew."""

import pytest
from conftest import NAME, OURS
from test_deb_life_cycle import ENABLED, add_site, answers, error_log, loaded

# Every way of being called that leaves the package installed, in the words of the policy, chapter 6. NEW is our version.
CALLS = [
    ("prerm", "upgrade NEW"), ("prerm", "failed-upgrade 5.0.2-1 NEW"), ("prerm", "deconfigure in-favour other 1 removing conflicting 2"),
    ("prerm", "remove in-favour other 1"),
    ("postrm", "upgrade NEW"), ("postrm", "failed-upgrade 5.0.2-1 NEW"), ("postrm", "abort-install 5.0.2-1 NEW"),
    ("postrm", "abort-upgrade 5.0.2-1 NEW"), ("postrm", "disappear other 1"),
    ("postinst", "abort-upgrade NEW"), ("postinst", "abort-deconfigure in-favour other 1 removing conflicting 2"),
    ("postinst", "abort-remove in-favour other 1"), ("postinst", "triggered /usr/bin/python3"), ("postinst", "configure 5.0.2-1"),
]

pytestmark = pytest.mark.skipif(not OURS, reason="is about our package")


@pytest.fixture
def without_apache(debian):
    """A machine on which Apache was never installed."""
    debian.run("apache2ctl stop")
    debian.wait("[ ! -e /var/run/apache2/apache2.pid ]")
    debian.apt("purge", "apache2", "apache2-bin", "apache2-data", "apache2-utils")
    debian.run("rm -rf /etc/apache2 /var/lib/apache2 /var/log/apache2")
    return debian


def call(debian, script, arguments):
    """Run a maintainer script as dpkg would."""
    version = debian.run(f"dpkg-query -W -f '${{Version}}' {NAME}")
    return debian.run(f"/var/lib/dpkg/info/{NAME}.{script} {arguments.replace('NEW', version)}",
                      DPKG_MAINTSCRIPT_NAME=script, DPKG_MAINTSCRIPT_PACKAGE=NAME)


def test_every_call_works_twice_and_the_module_is_there_afterwards(debian, package):
    debian.apt("install", package)
    add_site(debian)
    debian.run("apache2ctl graceful")
    for script, arguments in CALLS:
        for _ in range(2):
            call(debian, script, arguments)
        if arguments.startswith("remove"):
            assert not debian.exists(ENABLED)
            # What dpkg calls when it cannot go on with the removal.
            call(debian, "postinst", "abort-remove in-favour other 1")
        assert debian.exists(ENABLED), (script, arguments)
    debian.run("apache2ctl graceful")
    answers(debian)


def test_it_can_be_installed_together_with_apache(without_apache, package):
    debian = without_apache
    # apt may configure either first; the action is deferred until apache2 is configured.
    debian.apt("install", package, "apache2")
    assert debian.exists(ENABLED) and loaded(debian)
    assert debian.run("dpkg --audit") == ""
    add_site(debian)
    debian.run("apache2ctl graceful")
    answers(debian)
    assert error_log(debian) == []


def test_an_apache_that_is_not_configured_yet_enables_it_later(without_apache, package):
    debian = without_apache
    debian.apt("install", package)
    # There is no a2enmod with apache2-bin alone.
    assert not debian.exists(ENABLED)
    debian.apt("purge", NAME)
    debian.run("apt-get -qq -y --download-only install apache2", online=True)
    debian.run("apt-get -qq -y -o Dpkg::Options::=--no-triggers install apache2-bin media-types")
    # Only unpacked, as in the middle of a larger installation.
    version = debian.run("apt-cache policy apache2 | sed -n 's/ *Candidate: //p'").strip()
    debian.run(f"dpkg --unpack --force-depends /var/cache/apt/archives/apache2_{version}_*.deb")
    said = debian.run(f"dpkg -i --force-depends {package}")
    assert "Will defer actions" in said and not debian.exists(ENABLED)
    debian.run("apt-get -qq -y --no-install-recommends --fix-broken install")
    assert debian.exists(ENABLED) and loaded(debian)
    assert debian.run("dpkg --audit") == ""


def test_removing_it_together_with_apache_leaves_nothing_that_is_ours(debian, package):
    debian.apt("install", package)
    debian.apt("purge", NAME, "apache2")
    assert debian.run("dpkg --audit") == ""
    left = debian.run("find /etc /var/lib /usr -xdev \\( -name '*mod[-_]wsgi*' -o -name wsgi -o -name 'wsgi.*' \\) -print")
    assert left == ""
