"""The README's two commands, each in a clean Debian to which only Rust has been added. Run by tests/nightly."""

import os
import re
import subprocess
from pathlib import Path

import machine
import pytest
from conftest import SUITES

SOURCE = "/usr/src/mod_wsgi"
VERSION = re.search(r'(?m)^version = "(.*)"', (machine.TOP / "Cargo.toml").read_text()).group(1)
PATH = f"/opt/rust/bin:{machine.ENVIRONMENT['PATH']}"
CERTIFICATES = "/etc/ssl/certs/ca-certificates.crt"
# Settings of this machine that its registries need: where certificates and indexes are.
LENT = {name: value for name, value in os.environ.items() if re.match(r"(PIP|CARGO)_(INDEX|CERT|DEFAULT|HTTP|REGISTR)", name)}


@pytest.fixture(params=SUITES)
def bare(request):
    """A minimal Debian on disk with the toolchain of this machine in /opt/rust and a clone of the last commit."""
    if reason := machine.why_not():
        pytest.skip(reason)
    sysroot = subprocess.run(["rustc", "--print", "sysroot"], capture_output=True, text=True, check=True).stdout.strip()
    folder = machine.unpack(request.param)
    try:
        (folder / "opt/rust").mkdir()
        subprocess.run(["cp", "-a", f"{sysroot}/bin", f"{sysroot}/lib", folder / "opt/rust"], check=True)
        subprocess.run(["git", "clone", "--quiet", machine.TOP, f"{folder}{SOURCE}"], check=True)
        (folder / "etc/ssl/certs").mkdir(parents=True, exist_ok=True)
        Path(f"{folder}{CERTIFICATES}").write_bytes(Path(CERTIFICATES).read_bytes())
        with machine.Machine(folder, request.param, disposable=False) as debian:
            yield debian
    finally:
        machine.discard(folder)


@pytest.fixture
def ordinary_user(bare):
    """The name of a user who may call sudo, to whom the clone belongs."""
    bare.run("apt-get -qq update && apt-get -qq install -y --no-install-recommends sudo", online=True)
    bare.run("useradd --create-home --shell /bin/bash ordinary")
    bare.run("echo 'ordinary ALL=(ALL) NOPASSWD: ALL' >/etc/sudoers.d/ordinary && chmod 440 /etc/sudoers.d/ordinary")
    bare.run(f"chown -R ordinary: {SOURCE}")
    return "ordinary"


def run(debian, command, user=None):
    """Run a command of the project with the network of this machine, showing what it prints."""
    home = {}
    if user:
        command = f"exec setpriv --reuid {user} --regid {user} --init-groups {command}"
        home = {"HOME": f"/home/{user}", "USER": user, "LOGNAME": user}
    printed = debian.run(f"cd {SOURCE} && {command}", online=True, PATH=PATH, **LENT, **home)
    print(printed)
    return printed


def apache_processes(debian):
    """Return the numbers, as this machine has them, of the Apache processes inside."""
    inside = os.readlink(f"/proc/{debian.first}/ns/pid")
    found = set()
    for process in Path("/proc").iterdir():
        try:
            if os.readlink(process / "ns/pid") == inside and (process / "comm").read_text() == "apache2\n":
                found.add(process.name)
        except OSError:
            continue
    return found


def listening(debian):
    """Return the addresses on which Apache listens in the network of this machine."""
    shown = subprocess.run(["ss", "-Hltnp"], capture_output=True, text=True, check=True).stdout
    processes = apache_processes(debian)
    return {line.split()[3] for line in shown.splitlines() if processes & set(re.findall(r"pid=(\d+)", line))}


def test_quickstart_serves_both_modes_on_the_loopback_and_removes_everything(bare):
    before = bare.run("dpkg-query -W -f '${binary:Package}\\n'")
    printed = run(bare, "packaging/quickstart")
    assert f"Hello from embedded mode: mod_wsgi {VERSION}" in printed
    assert f"Hello from daemon process group 'quickstart': mod_wsgi {VERSION}" in printed
    assert printed.rstrip().splitlines()[-1].endswith("packaging/quickstart --remove")
    assert not bare.exists("/usr/sbin/policy-rc.d")
    addresses = listening(bare)
    assert len(addresses) == 1 and addresses.pop().startswith("127.0.0.1:")
    again = run(bare, "packaging/quickstart")
    assert again.count("Hello from") == 2
    run(bare, "packaging/quickstart --remove")
    assert apache_processes(bare) == set()
    assert bare.run("dpkg-query -W -f '${binary:Package}\\n'") == before
    assert not bare.exists("/var/lib/mod_wsgi-quickstart")


def test_run_passes_with_nothing_but_rust(bare):
    printed = run(bare, "tests/run")
    assert re.search(r"\n\d+ passed, 0 failed, \d+ skipped\n?$", printed)


def test_both_commands_as_an_ordinary_user_with_sudo(bare, ordinary_user):
    before = bare.run("dpkg-query -W -f '${binary:Package}\\n'")
    printed = run(bare, "packaging/quickstart", ordinary_user)
    assert printed.count("Hello from") == 2 and printed.count(f"user {ordinary_user}") == 2
    addresses = listening(bare)
    assert len(addresses) == 1 and addresses.pop().startswith("127.0.0.1:")
    run(bare, "packaging/quickstart --remove", ordinary_user)
    assert apache_processes(bare) == set()
    assert bare.run("dpkg-query -W -f '${binary:Package}\\n'") == before
    assert not bare.exists(f"/home/{ordinary_user}/.local/state/mod_wsgi-quickstart")
    printed = run(bare, "tests/run", ordinary_user)
    assert re.search(r"\n\d+ passed, 0 failed, \d+ skipped\n?$", printed)
