"""openSUSE's package installed by zypper, which Debian has, too, beside stand-ins for those of openSUSE. Nightly, since it takes a
system of its own: Debian 14."""

import subprocess

import fedora
import machine
import pytest
from conftest import MATRIX
from rpm_query import OPENSUSE_FILES, OPENSUSE_NAME

OLDER_NAME = f"{OPENSUSE_NAME}-python3"
REPOSITORY = "[stand-ins]\nname=stand-ins\nenabled=1\nbaseurl=file:///srv/stand-ins\ngpgcheck=0\nautorefresh=0\n"


@pytest.fixture(scope="module")
def prepared(opensuse_rpm, tmp_path_factory):
    """(folder, suite, repository) of a Debian with zypper and what the stand-ins stand for."""
    if reason := machine.why_not() or fedora.why_not():
        pytest.skip(reason)
    suite = next(platform["suite"] for platform in MATRIX if platform["name"] == "debian-14")
    folder = machine.unpack(suite)
    try:
        with machine.Machine(folder, suite, disposable=False) as debian:
            debian.update()
            debian.apt("install", fedora.PACKAGES, "zypper", "rpm")
            module = fedora.c_module(debian)
            debian.put("/etc/zypp/repos.d/stand-ins.repo", REPOSITORY)
        repository = fedora.repository(folder, tmp_path_factory.mktemp("zypper"), [], httpd="apache2",
                                       theirs=[(OPENSUSE_NAME, module), (OLDER_NAME, module)])
        yield folder, suite, repository
    finally:
        machine.discard(folder)


@pytest.fixture
def opensuse(prepared, opensuse_rpm):
    """(machine, function that runs zypper, our package in it)."""
    folder, suite, repository = prepared
    with machine.Machine(folder, suite) as debian:
        subprocess.run(["cp", "-a", repository, f"/proc/{debian.first}/root{debian.root}/srv/stand-ins"], check=True)
        ours = f"/opt/{opensuse_rpm.name}"
        debian.put_file(opensuse_rpm, ours)
        yield debian, lambda arguments: debian.run(f"zypper --non-interactive {arguments}"), ours


def version(debian):
    return debian.run(f"rpm -q --qf '%{{VERSION}}' {OPENSUSE_NAME}")


def enabled(debian):
    return "wsgi" in debian.run("cat /etc/sysconfig/apache2").rstrip('"\n').split()


def test_zypper_installs_a_package_that_is_not_signed_when_it_is_told_to(opensuse):
    debian, zypper, ours = opensuse
    zypper(f"install --no-recommends --allow-unsigned-rpm {ours}")
    assert version(debian) != "5.0.2" and enabled(debian)
    zypper(f"remove {OPENSUSE_NAME}")
    assert not enabled(debian) and not any(debian.exists(path) for path in OPENSUSE_FILES)


def test_it_takes_the_place_of_both_packages_of_the_distribution_and_gives_it_back(opensuse):
    debian, zypper, ours = opensuse
    zypper(f"install {OLDER_NAME}")
    zypper(f"install --allow-unsigned-rpm {ours}")
    assert version(debian) != "5.0.2" and enabled(debian)
    assert "not installed" in debian.run(f"rpm -q {OLDER_NAME}", check=False)
    zypper(f"install --oldpackage {OPENSUSE_NAME}=5.0.2")
    assert version(debian) == "5.0.2" and enabled(debian)
    zypper(f"install --allow-unsigned-rpm {ours}")
    assert version(debian) != "5.0.2" and enabled(debian)


def test_a_distribution_upgrade_takes_the_distributions_unless_ours_is_locked(opensuse):
    debian, zypper, ours = opensuse
    zypper(f"install --allow-unsigned-rpm {ours}")
    zypper(f"addlock {OPENSUSE_NAME}")
    zypper("dist-upgrade")
    assert version(debian) != "5.0.2"
    zypper(f"removelock {OPENSUSE_NAME}")
    zypper("dist-upgrade")
    assert version(debian) == "5.0.2" and enabled(debian)
