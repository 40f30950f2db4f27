"""The repositories for apt and dnf, offered by a web server inside of a throw-away machine."""

import os
import re
import subprocess
from pathlib import Path

import fedora
import machine
import pytest
from conftest import MATRIX, NAME, SUITES

TOP = Path(__file__).resolve().parents[3]
URL = "http://127.0.0.1:8000"
KEY = "mod_wsgi test key <test@example.org>"


@pytest.fixture(scope="module")
def repositories(tmp_path_factory, deb, rpm):
    """The folder that packaging/repo makes, signed with a key that is made for this."""
    if reason := machine.why_not() or fedora.why_not():
        pytest.skip(reason)
    home = tmp_path_factory.mktemp("gnupg")
    home.chmod(0o700)
    environment = {**os.environ, "GNUPGHOME": str(home)}
    folder = tmp_path_factory.mktemp("repo") / "tree"
    try:
        subprocess.run(["gpg", "--batch", "--passphrase", "", "--quick-generate-key", KEY, "rsa3072", "sign", "1d"],
                       env=environment, check=True, capture_output=True)
        made = subprocess.run([TOP / "packaging/repo", folder, "--key", "test@example.org", "--url", URL],
                              env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        assert made.returncode == 0, made.stdout
        yield folder
    finally:
        subprocess.run(["gpgconf", "--kill", "all"], env=environment, check=True)


def serve(debian, folder):
    """Offer a folder inside the machine."""
    subprocess.run(["cp", "-a", folder, f"/proc/{debian.first}/root{debian.root}/srv/repository"], check=True)
    debian.run(f"python3 -m http.server --bind 127.0.0.1 8000 --directory /srv/repository >/dev/null 2>&1 &")
    debian.wait(f"python3 -c 'import urllib.request; urllib.request.urlopen(\"{URL}/mod_wsgi.asc\")' 2>/dev/null")


# Only the new repository: the machine has no way to Debian's.
UPDATE = "apt-get -q update -o Dir::Etc::sourcelist=/dev/null -o APT::Get::List-Cleanup=0 -o Acquire::Retries=0"


@pytest.fixture
def with_libraries(debian):
    """A machine that needs nothing else from Debian."""
    debian.apt("install", "libpython3." + debian.run("python3 -c 'import sys; print(sys.version_info[1])'").strip())
    # Its own sources may not answer without a network; they are not asked.
    debian.run("mkdir -p /opt/kept && mv /etc/apt/sources.list.d/* /opt/kept/ 2>/dev/null; true")
    return debian


def test_apt_installs_it_by_name(repositories, with_libraries, deb):
    debian = with_libraries
    serve(debian, repositories)
    debian.run("cp /srv/repository/mod_wsgi.sources /etc/apt/sources.list.d/")
    debian.run(UPDATE)
    version = subprocess.run(["dpkg-deb", "-f", deb, "Version"], capture_output=True, text=True, check=True).stdout.strip()
    offered = debian.run(f"apt-cache policy {NAME}")
    assert f"Candidate: {version}" in offered and URL in offered
    debian.run(f"apt-get -qq -y install {NAME}={version}")
    assert debian.run(f"dpkg-query -W -f '${{Version}}' {NAME}") == version
    # The debug symbols come from there, too.
    debian.run(f"apt-get -qq -y install {NAME}-dbgsym")
    assert "wsgi_module" in debian.run("apache2ctl -M 2>/dev/null")


def test_apt_refuses_it_with_another_key_or_changed_content(repositories, with_libraries):
    debian = with_libraries
    serve(debian, repositories)
    debian.run("sed '/^Signed-By:/,$d' /srv/repository/mod_wsgi.sources >/etc/apt/sources.list.d/mod_wsgi.sources")
    refused = debian.run(UPDATE, check=False)
    assert re.search(r"NO_PUBKEY|not signed|couldn't be verified|not available", refused), refused
    debian.run("cp /srv/repository/mod_wsgi.sources /etc/apt/sources.list.d/")
    debian.run("cd /srv/repository/apt/dists/stable/main/binary-$(dpkg --print-architecture) && sed -i 's/^Version: /Version: 9/' Packages && gzip -9nkf Packages")
    refused = debian.run(UPDATE, check=False)
    assert re.search(r"Hash Sum mismatch|unexpected size", refused), refused


def test_dnf_installs_it_by_name_after_checking_both_signatures(repositories, tmp_path):
    folder = machine.unpack(SUITES[0])
    try:
        with machine.Machine(folder, SUITES[0], disposable=False) as debian:
            debian.update()
            debian.apt("install", fedora.PACKAGES)
        stand_ins = fedora.repository(folder, tmp_path / "stand-ins", [])
        with machine.Machine(folder, SUITES[0]) as debian:
            serve(debian, repositories)
            (tmp_path / "repos").mkdir()
            (tmp_path / "repos/mod_wsgi.repo").write_text((repositories / "mod_wsgi.repo").read_text())
            dnf = fedora.Dnf(debian, stand_ins, tmp_path / "dnf")
            dnf.command.append("--repo=mod_wsgi")
            dnf.command += [f"--setopt=reposdir={tmp_path / 'repos'}", "--setopt=mod_wsgi.gpgcheck=1"]
            dnf("install", "python3-mod_wsgi")
            assert dnf.rpm("-q", "python3-mod_wsgi").startswith("python3-mod_wsgi-")
            assert "digests signatures OK" in dnf.rpm("--checksig", *map(str, repositories.glob("rpm/*/python3-mod_wsgi-[0-9]*.rpm")))
            # A package that was changed after it was signed.
            dnf("remove", "python3-mod_wsgi")
            debian.run("for f in /srv/repository/rpm/*/repodata/repomd.xml; do echo ' ' >>$f; done")
            with pytest.raises(RuntimeError, match="(?i)gpg|signature|repomd"):
                dnf("--refresh", "install", "python3-mod_wsgi")
    finally:
        machine.discard(folder)


def test_dnf5_and_rpm_6_install_it_by_name_after_checking_both_signatures(repositories, rpm, tmp_path):
    """As Fedora does since 41 and 43; with what rpm 6 wants by itself, and Fedora from 45 on: nothing that is not signed."""
    # Not with the plugin that offers again, from a folder, what was installed once.
    dnf5 = "dnf5 -y --releasever=43 --disable-plugin=local"
    suite = next(platform["suite"] for platform in MATRIX if platform["name"] == "debian-14")
    folder = machine.unpack(suite)
    try:
        with machine.Machine(folder, suite, disposable=False) as debian:
            debian.update()
            debian.apt("install", fedora.PACKAGES, "dnf5", "rpm")
        stand_ins = fedora.repository(folder, tmp_path / "stand-ins", [])
        with machine.Machine(folder, suite) as debian:
            serve(debian, repositories)
            subprocess.run(["cp", "-a", stand_ins, f"/proc/{debian.first}/root{debian.root}/srv/stand-ins"], check=True)
            debian.put("/etc/yum.repos.d/stand-ins.repo", "[stand-ins]\nname=stand-ins\nbaseurl=file:///srv/stand-ins\ngpgcheck=0\n")
            debian.run("cp /srv/repository/mod_wsgi.repo /etc/yum.repos.d/")
            debian.put("/etc/rpm/macros.signed", "%_pkgverify_level all\n")
            assert "Importing OpenPGP key" in debian.run(f"{dnf5} install python3-mod_wsgi 2>&1")
            assert debian.run("rpm -q python3-mod_wsgi").startswith("python3-mod_wsgi-") and debian.run("rpm -V python3-mod_wsgi") == ""
            signed = f"/srv/repository/rpm/*/{rpm.name}"
            assert debian.run(f"rpmkeys -K {signed}").strip().endswith("digests signatures OK")
            # The file that packaging/build makes is not signed: rpm refuses it, and can be told otherwise.
            debian.run(f"{dnf5} remove python3-mod_wsgi 2>&1")
            debian.put_file(rpm, "/opt/unsigned.rpm")
            assert "does not verify: no signature" in debian.run("rpm -i --nodeps --test /opt/unsigned.rpm 2>&1", check=False)
            assert debian.run("rpm -i --nodeps --nosignature --test /opt/unsigned.rpm") == ""
            # An index that was changed after it was signed.
            debian.run("for f in /srv/repository/rpm/*/repodata/repomd.xml; do echo ' ' >>$f; done")
            refused = debian.run(f"{dnf5} --refresh install python3-mod_wsgi 2>&1", check=False)
            assert re.search(r"(?i)gpg|signature|openpgp", refused) and not debian.succeeds("rpm -q python3-mod_wsgi"), refused
    finally:
        machine.discard(folder)
