"""The life of the .rpm: installed by dnf beside an httpd of Fedora's layout, upgraded, removed."""

import re
import shutil
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
# EL 9's Pythons, and its package for one that is not its python3.
EL9_PYTHONS = {"python3": "3.9", "python3.11": "3.11", "python3.12": "3.12"}
EL9_OTHER = "python3.12-mod_wsgi"


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
            theirs = fedora.c_module(debian)
        # Python's library is there with python3 in Fedora.
        with machine.Machine(folder, SUITES[0], disposable=False) as debian:
            debian.apt("install", f"libpython{fedora.python_of(folder)}")
        repository = fedora.repository(folder, tmp_path_factory.mktemp("fedora"), [rpm], theirs=[(NAME, theirs)])
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


@pytest.fixture
def el9(prepared, rpm, tmp_path):
    """dnf of a machine with the Pythons of EL 9, httpd and its default Python installed."""
    folder, _ = prepared
    repository = fedora.repository(folder, tmp_path / "el9", [rpm], pythons=EL9_PYTHONS, theirs=[(EL9_OTHER, fedora.found_c_module(folder))])
    with machine.Machine(folder, SUITES[0]) as debian:
        dnf = fedora.Dnf(debian, repository, tmp_path)
        dnf("install", "httpd", "python3")
        yield dnf


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


def assets():
    """Return what is in the package, as cargo-generate-rpm reads it."""
    manifest = (TOP / "src/module/Cargo.toml").read_text()
    return re.search(r"(?ms)^\[package\.metadata\.generate-rpm\].*?(assets = \[.*?^\])", manifest).group(1)


def next_release(folder, changed=""):
    """Return the package with a higher release, and with what is `changed` of its metadata."""
    overwrite = folder / "next.toml"
    overwrite.write_text(re.sub(r'(?m)^release = ".*"', 'release = "2"', (TOP / "target/rpm/python3-mod_wsgi.toml").read_text()))
    (folder / "changed.toml").write_text(changed)
    subprocess.run([TOP / "target/tools/bin/cargo-generate-rpm", "--package", "src/module", "--output", f"{folder}/", "--auto-req",
                    "find-requires", "--payload-compress", "none", "--metadata-overwrite", overwrite, "--metadata-overwrite", folder / "changed.toml"],
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
    newer = next_release(tmp_path, assets().replace('source = "rpm/10-wsgi-python3.conf"', f'source = "{changed}"'))
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


def version(dnf, name=NAME):
    """Return the version of a package that is installed."""
    return dnf.rpm("-q", "--qf", "%{VERSION}", name)


def test_a_site_survives_the_upgrade_from_the_distributions_package_and_the_way_back(fedora_machine, tmp_path):
    debian, dnf = fedora_machine
    dnf("install", f"{NAME}-5.0.2")
    add_site(debian)
    debian.run(f"echo '# ours' >>{CONF}")
    restart(debian)
    answers(debian)
    dnf("upgrade", NAME)
    ours = version(dnf)
    assert ours != "5.0.2"
    # What runs goes on until httpd is restarted.
    answers(debian)
    assert "# ours" in debian.run(f"cat {CONF}")
    assert "Loads mod_wsgi" in debian.run(f"cat {CONF}.rpmnew")
    assert [line.split()[-1] for line in dnf.rpm("-V", NAME, check=False).splitlines()] == [CONF]
    restart(debian)
    answers(debian)
    # Where the children of the C module were slow to end, httpd itself has said so.
    assert [line for line in error_log(debian) if "[wsgi:" in line] == []
    assert not debian.exists("/usr/bin/mod_wsgi-express-3")
    dnf("downgrade", NAME)
    assert version(dnf) == "5.0.2"
    restart(debian)
    answers(debian)
    dnf("upgrade", NAME)
    assert version(dnf) == ours
    # With the repository of ours taken out.
    without = tmp_path / "without"
    shutil.copytree(dnf.repository, without, ignore=shutil.ignore_patterns("repodata", f"{NAME}-{ours}-*"))
    fedora.index(without)
    fedora.Dnf(debian, without, tmp_path / "without-dnf")("distro-sync", NAME)
    assert version(dnf) == "5.0.2"
    restart(debian)
    answers(debian)
    assert "# ours" in debian.run(f"cat {CONF}")


def test_a_reload_after_the_upgrade_from_the_distributions_package_serves_with_ours(fedora_machine):
    """As logrotate does at night, where nobody has restarted httpd."""
    debian, dnf = fedora_machine
    dnf("install", f"{NAME}-5.0.2")
    add_site(debian)
    restart(debian)
    answers(debian)
    dnf("upgrade", NAME)
    add_site(debian, "two")
    debian.run("httpd -k graceful")
    debian.wait("grep -q mod_wsgi_host /proc/[0-9]*/maps")
    answers(debian, "two")


def test_an_upgrade_asks_for_a_restart_and_serves_after_it(fedora_machine, tmp_path):
    debian, dnf = fedora_machine
    dnf("install", NAME)
    add_site(debian)
    restart(debian)
    answers(debian)
    # Stands in for systemd. It only notes: rpm runs outside of the machine's process namespace.
    debian.put("/usr/bin/systemctl", '#!/bin/sh\necho "$@" >>/run/asked\n', 0o755)
    debian.run("mkdir -p /run/systemd/system")
    dnf.rpm("-U", str(next_release(tmp_path)))
    assert dnf.rpm("-q", "--qf", "%{RELEASE}", NAME) == "2"
    assert debian.run("cat /run/asked") == "try-restart httpd.service httpd@*.service\n"
    restart(debian)
    answers(debian)
    assert error_log(debian) == []


def test_el_9_gets_a_python_that_there_is_a_host_for(el9):
    el9("install", NAME)
    brought = [name for name in EL9_PYTHONS if el9.rpm("-q", name, check=False).startswith(f"{name}-")]
    assert len(brought) == 2 and "python3" in brought
    # One that is there already is enough.
    el9("remove", NAME, *(set(brought) - {"python3"}))
    el9("install", "python3.11", NAME)
    assert "not installed" in el9.rpm("-q", "python3.12", check=False)


def test_el_9s_package_for_another_python_gives_way_only_when_that_is_asked_for(el9):
    el9("install", EL9_OTHER)
    el9("upgrade")
    assert version(el9, EL9_OTHER) == "5.0.2"
    with pytest.raises(RuntimeError, match=f"(?s)conflicts with.*{EL9_OTHER}|{EL9_OTHER}.*conflicts with"):
        el9("install", NAME)
    el9("swap", EL9_OTHER, NAME)
    assert "not installed" in el9.rpm("-q", EL9_OTHER, check=False)
    assert version(el9) != "5.0.2"
    el9("swap", NAME, EL9_OTHER)
    assert version(el9, EL9_OTHER) == "5.0.2"


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
    search = r"find / -xdev \( -path /proc -o -path /opt -o -path /var/lib/rpm -o -path '/var/cache/*' \) -prune -o -name '*wsgi*' -print"
    before = set(debian.run(search).splitlines())
    dnf("install", NAME)
    debian.run(f"echo '# ours' >>{CONF}")
    dnf("remove", NAME)
    restart(debian)
    assert "wsgi_module" not in debian.run("httpd -M")
    # cargo-generate-rpm cannot own folders (its `dir = true` fails, as of 0.21.1), so some stay behind, empty.
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
