"""The life of the .rpm: installed by dnf beside an httpd of Fedora's layout, upgraded, removed."""

import re
import subprocess
from pathlib import Path

import fedora
import machine
import pytest
from conftest import SUITES
from rpm_query import FILES, NAME
from test_deb_life_cycle import APPLICATION, SITE, uid

CONF = "/etc/httpd/conf.modules.d/10-wsgi-python3.conf"
TOP = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def prepared(rpm, tmp_path_factory):
    """(folder, repository) of a Debian with what the stand-ins stand for, never changed by a test."""
    if reason := machine.why_not() or fedora.why_not():
        pytest.skip(reason)
    folder = machine.unpack(SUITES[0])
    try:
        with machine.Machine(folder, SUITES[0], disposable=False) as debian:
            debian.update()
            debian.apt("install", fedora.PACKAGES)
        # Python's library is there with python3 in Fedora.
        with machine.Machine(folder, SUITES[0], disposable=False) as debian:
            debian.apt("install", "libpython3." + debian.run("python3 -c 'import sys; print(sys.version_info[1])'").strip())
        repository = fedora.repository(folder, tmp_path_factory.mktemp("fedora"), [rpm])
        yield folder, repository
    finally:
        machine.discard(folder)


@pytest.fixture
def fedora_machine(prepared, tmp_path):
    """(machine, dnf) with httpd installed and running."""
    folder, repository = prepared
    with machine.Machine(folder, SUITES[0]) as debian:
        dnf = fedora.Dnf(debian, repository, tmp_path)
        dnf("install", "httpd")
        debian.run("mkdir -p /var/www/html && httpd -k start")
        debian.wait("[ -s /run/httpd/httpd.pid ]")
        yield debian, dnf


def restart(debian):
    """Restart httpd, as an administrator does after the installation: the package does not."""
    debian.run("httpd -t && cp /run/httpd/httpd.pid /run/ended.pid && kill -TERM $(cat /run/ended.pid)")
    # Its pid file goes before its sockets.
    debian.wait("! kill -0 $(cat /run/ended.pid) 2>/dev/null")
    debian.run("httpd -k start")
    debian.wait("[ -s /run/httpd/httpd.pid ]")


def add_site(debian, version="one"):
    """Put the application into place."""
    debian.put("/srv/site/app.wsgi", APPLICATION.replace("VERSION", version))
    debian.put("/etc/httpd/conf.d/site.conf", SITE)


def answers(debian, version="one"):
    """Check that both modes serve the application, each as the user it should."""
    embedded, daemon = debian.get("/embedded"), debian.get("/daemon")
    assert (embedded.status, embedded.body) == (200, f"|/embedded|{uid(debian, 'www-data')}|{version}")
    assert (daemon.status, daemon.body) == (200, f"site|/daemon|{uid(debian, 'games')}|{version}")


def error_log(debian):
    """Return what httpd logged at `warn` or worse."""
    return [line for line in debian.run("cat /var/log/httpd/error_log").splitlines() if re.search(r":(warn|error|crit|alert|emerg)\]", line)]


def next_release(folder):
    """Return the same package with a higher release."""
    overwrite = folder / "next.toml"
    overwrite.write_text(re.sub(r'(?m)^release = ".*"', 'release = "2"', (TOP / "target/rpm/python3-mod_wsgi.toml").read_text()))
    subprocess.run([TOP / "target/tools/bin/cargo-generate-rpm", "--package", "src/module", "--output", f"{folder}/", "--auto-req",
                    "find-requires", "--metadata-overwrite", overwrite, "--metadata-overwrite", folder / "changed.toml"],
                   cwd=TOP, check=True, capture_output=True)
    return next(folder.glob("*-2.*.rpm"))


def test_dnf_installs_it_by_name_and_it_serves_in_both_modes(fedora_machine):
    debian, dnf = fedora_machine
    assert debian.get("/").status == 404
    dnf("install", NAME)
    assert dnf.rpm("-V", NAME) == ""
    add_site(debian)
    restart(debian)
    answers(debian)
    assert error_log(debian) == []
    # The sockets are where SELinux's policy lets httpd make them.
    assert debian.run("find / -xdev -type s -name '*wsgi*'").split()[0].startswith("/run/httpd/")


def test_a_changed_application_is_served_after_a_graceful_restart(fedora_machine):
    debian, dnf = fedora_machine
    dnf("install", NAME)
    add_site(debian)
    restart(debian)
    answers(debian)
    add_site(debian, "two")
    debian.run("httpd -k graceful")
    answers(debian, "two")


def test_it_is_found_under_the_name_that_the_distributions_package_provides(fedora_machine):
    debian, dnf = fedora_machine
    dnf("install", "mod_wsgi")
    assert dnf.rpm("-q", "--qf", "%{NAME}", "--whatprovides", "mod_wsgi") == NAME


def test_an_upgrade_keeps_an_edited_fragment_and_the_running_httpd(fedora_machine, tmp_path):
    debian, dnf = fedora_machine
    dnf("install", NAME)
    add_site(debian)
    restart(debian)
    debian.run(f"echo '# ours' >>{CONF}")
    # A package whose fragment differs, too, as that of a later release may.
    changed = tmp_path / "10-wsgi-python3.conf"
    changed.write_text((TOP / "rpm/10-wsgi-python3.conf").read_text() + "# changed\n")
    manifest = (TOP / "src/module/Cargo.toml").read_text()
    assets = re.search(r"(?ms)^\[package\.metadata\.generate-rpm\].*?(assets = \[.*?^\])", manifest).group(1)
    (tmp_path / "changed.toml").write_text(assets.replace('source = "rpm/10-wsgi-python3.conf"', f'source = "{changed}"'))
    newer = next_release(tmp_path)
    dnf.rpm("-U", str(newer))
    assert dnf.rpm("-q", "--qf", "%{RELEASE}", NAME) == "2"
    assert "# ours" in debian.run(f"cat {CONF}")
    assert "# changed" in debian.run(f"cat {CONF}.rpmnew")
    answers(debian)
    restart(debian)
    answers(debian)
    # And back.
    dnf("downgrade", NAME)
    assert dnf.rpm("-q", "--qf", "%{RELEASE}", NAME) == "1"
    restart(debian)
    answers(debian)


def test_a_disabled_fragment_stays_disabled_over_a_reinstallation(fedora_machine):
    debian, dnf = fedora_machine
    dnf("install", NAME)
    # What an administrator does who does not want it loaded: removing the file would bring it back.
    debian.run(f": >{CONF}")
    dnf("reinstall", NAME)
    assert debian.run(f"cat {CONF}") == ""
    restart(debian)
    assert "wsgi_module" not in debian.run("httpd -M")


def test_removal_leaves_httpd_running_and_nothing_but_an_edited_fragment(fedora_machine):
    debian, dnf = fedora_machine
    search = r"find / -xdev \( -path /proc -o -path /var/lib/rpm -o -path '/var/cache/*' \) -prune -o -name '*wsgi*' -print"
    before = set(debian.run(search).splitlines())
    dnf("install", NAME)
    debian.run(f"echo '# ours' >>{CONF}")
    dnf("remove", NAME)
    restart(debian)
    assert "wsgi_module" not in debian.run("httpd -M")
    # cargo-generate-rpm cannot own folders, so some stay behind, empty.
    left = {path for path in set(debian.run(search).splitlines()) - before if debian.run(f"find {path} -type f") != ""}
    assert left == {f"{CONF}.rpmsave"}
    assert not any(debian.exists(path) for path in FILES)


def test_rpm_refuses_it_without_httpd(prepared, tmp_path):
    folder, repository = prepared
    with machine.Machine(folder, SUITES[0]) as debian:
        dnf = fedora.Dnf(debian, repository, tmp_path)
        dnf("install", "system")
        said = dnf.rpm("-i", "--test", str(next(repository.glob("python3-mod_wsgi-[0-9]*.rpm"))), check=False)
        assert "httpd-mmn = 20120211" in said and "is needed by" in said
        assert "python(abi)" not in said
