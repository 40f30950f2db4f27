"""Fixtures of the package tests.

WSGI_PACKAGING_SUITES names the Debian suites to test on (default: those that packaging/platforms.toml wants in CI); WSGI_UNDER_TEST=theirs runs the
life-cycle with the distribution's own package, which proves the tests themselves. WSGI_PACKAGING_ARCHITECTURE=arm64 takes the
packages that packaging/build --arch arm64 has made, and Debian's arm64 in an emulator.
"""

import os
import subprocess
import tomllib
from pathlib import Path

import machine
import pytest

# Its failed assertions show what they compared, too.
pytest.register_assert_rewrite("systemd_site")

NAME = "libapache2-mod-wsgi-py3"
MATRIX = tomllib.loads((machine.TOP / "packaging/platforms.toml").read_text())["platform"]
IN_CI = [platform["suite"] for platform in MATRIX if platform["tests"] == "ci" and "suite" in platform]
SUITES = os.environ.get("WSGI_PACKAGING_SUITES", "").split() or IN_CI
ARCHITECTURE = machine.ARCHITECTURE
MACHINE = machine.MACHINES.get(ARCHITECTURE, ARCHITECTURE)
# What the packages were made of.
COMPILED = machine.TOP / ("target/cross/build/aarch64-unknown-linux-gnu/made/mod_wsgi" if machine.OTHER else "target/mod_wsgi")
# In front of the names of tools that know the architecture.
BINUTILS = f"{MACHINE}-linux-gnu-" if machine.OTHER else ""
OURS = os.environ.get("WSGI_UNDER_TEST", "ours") == "ours"


def pytest_report_header():
    return f"package under test: {'ours' if OURS else 'theirs'}; architecture: {ARCHITECTURE}; suites: {' '.join(SUITES)}"


@pytest.fixture(scope="session", autouse=True)
def emulation():
    """Programs of the architecture run."""
    if machine.why_not():
        yield
        return
    with machine.emulation():
        yield


def newest(pattern, kind):
    """Return the newest file in dist/ with such a name."""
    found = sorted((machine.TOP / "dist").glob(pattern), key=lambda path: path.stat().st_mtime)
    if not found:
        pytest.fail(f"dist/ holds no {pattern}: run packaging/build {kind}")
    return found[-1]


@pytest.fixture(scope="session")
def deb():
    """The newest package for Debian."""
    return newest(f"{NAME}_*_{ARCHITECTURE}.deb", "deb")


@pytest.fixture(scope="session")
def rpm():
    """The newest package for Fedora."""
    return newest(f"python3-mod_wsgi-[0-9]*.{MACHINE}.rpm", "rpm")


@pytest.fixture(scope="session")
def opensuse_rpm():
    """The newest package for openSUSE."""
    return newest(f"apache2-mod_wsgi-[0-9]*.{MACHINE}.rpm", "rpm")


@pytest.fixture(scope="session", params=SUITES)
def prepared(request):
    """(folder, suite) of a Debian with apache2 and python3, never changed by a test."""
    if reason := machine.why_not():
        pytest.skip(reason)
    suite = request.param
    folder = machine.unpack(suite)
    try:
        with machine.Machine(folder, suite, disposable=False) as debian:
            # Without an init system invoke-rc.d starts nothing unless told that it may.
            debian.put("/usr/sbin/policy-rc.d", "#!/bin/sh\nexit 0\n", 0o755)
            debian.update()
            debian.apt("install", "apache2", "python3")
            debian.run("apache2ctl stop")
            debian.wait("[ ! -e /var/run/apache2/apache2.pid ]")
        yield folder, suite
    finally:
        machine.discard(folder)


@pytest.fixture
def debian(prepared):
    """A machine of its own for each test, with Apache running as after `apt install apache2`."""
    with machine.Machine(*prepared) as debian:
        debian.run("apache2ctl start")
        debian.wait("[ -s /var/run/apache2/apache2.pid ]")
        yield debian


@pytest.fixture
def package(request, debian):
    """What to give to apt: our file, copied in, or the name of the distribution's package."""
    if not OURS:
        return NAME
    deb: Path = request.getfixturevalue("deb")
    debian.put_file(deb, f"/opt/{deb.name}")
    return f"/opt/{deb.name}"


@pytest.fixture(scope="session")
def unpacked(deb, tmp_path_factory):
    """The package as a folder, its control files in DEBIAN."""
    folder = tmp_path_factory.mktemp("unpacked") / "package"
    subprocess.run(["dpkg-deb", "-R", deb, folder], check=True)
    return folder
