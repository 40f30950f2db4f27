"""debian/tests as a distribution runs them: by autopkgtest, with the package and with one that is broken. Slow: installs autopkgtest."""

import subprocess

import machine
import pytest
from conftest import OURS

# What the tests and the package depend on; autopkgtest then finds everything there, without a network.
DEPENDENCIES = "autopkgtest apache2 python3 dpkg-dev"
# "null" is this machine itself, which is thrown away afterwards: as good as the container that the tests ask for.
COMMAND = "autopkgtest --ignore-restrictions=isolation-container /opt/autopkgtest/{deb} /opt/autopkgtest/source -- null"

pytestmark = pytest.mark.skipif(not OURS, reason="is about our package")


@pytest.fixture
def testbed(debian):
    """A machine with autopkgtest, and the source tree as far as autopkgtest looks at it."""
    library = debian.run("python3 -c 'import sys; print(\"libpython%d.%d\" % sys.version_info[:2])'").strip()
    debian.apt("install", DEPENDENCIES, library)
    debian.run("mkdir -p /opt/autopkgtest/source")
    where = f"/proc/{debian.first}/root{debian.root}/opt/autopkgtest/source"
    subprocess.run(["cp", "-a", machine.TOP / "debian", where], check=True)
    return debian


def results(debian, deb):
    """Return {test: result} and what autopkgtest printed."""
    debian.put_file(deb, f"/opt/autopkgtest/{deb.name}")
    printed = debian.run(COMMAND.format(deb=deb.name), check=False)
    _, _, summary = printed.rpartition("@@@@ summary")
    rows = [line.split() for line in summary.splitlines() if line.startswith(("embedded", "daemon"))]
    return {row[0]: row[1] for row in rows}, printed


def test_autopkgtest_passes(testbed, deb):
    found, printed = results(testbed, deb)
    assert found == {"embedded": "PASS", "daemon": "PASS"}, printed


@pytest.mark.parametrize(("broken", "expected"), [
    ("usr/lib/mod_wsgi/mod_wsgi_host.cpython-*.so", {"embedded": "FAIL", "daemon": "FAIL"}),
    ("usr/lib/mod_wsgi/mod_wsgi_daemon.py", {"embedded": "PASS", "daemon": "FAIL"}),
])
def test_autopkgtest_fails_with_a_package_that_is_broken(testbed, unpacked, tmp_path, broken, expected):
    copy = tmp_path / "package"
    subprocess.run(["cp", "-a", unpacked, copy], check=True)
    for path in copy.glob(broken):
        path.write_bytes(b"broken\n")
    made = tmp_path / "broken.deb"
    subprocess.run(["dpkg-deb", "--root-owner-group", "-b", copy, made], check=True, capture_output=True)
    found, printed = results(testbed, made)
    assert found == expected, printed
