"""Whether apt can satisfy the package's relations on Ubuntu, of which nothing can be fetched where these tests run.

Stand-ins that hold names and versions only; apt is asked what it would install. The names are those of Ubuntu's package search
(packages.ubuntu.com), and so are the versions of apache2-bin; the others' are about what these releases have, and nobody has looked them up. What this cannot show: that
the package works there.
"""

import subprocess

import pytest
from conftest import NAME

RELEASES = {
    "22.04": {"apache2-bin": "2.4.52-1ubuntu4", "python3": "3.10.4", "libpython3.10": "3.10.4", "libc6": "2.35", "libgcc-s1": "12"},
    # The name is that of the transition to 64 bits of time; no Debian with this Python was released.
    "24.04": {"apache2-bin": "2.4.58-1ubuntu8", "python3": "3.12.3", "libpython3.12t64": "3.12.3", "libc6": "2.39", "libgcc-s1": "12"},
    "26.04": {"apache2-bin": "2.4.66-2ubuntu2", "python3": "3.14.3", "libpython3.14": "3.14.4", "libc6": "2.43", "libgcc-s1": "12"},
}


def planned(folder, deb, packages):
    """Return what apt would do to install the package where these packages can be had."""
    own = subprocess.run(["dpkg-deb", "-f", deb], capture_output=True, text=True, check=True).stdout.strip()
    architecture = subprocess.run(["dpkg-deb", "-f", deb, "Architecture"], capture_output=True, text=True, check=True).stdout.strip()
    stanzas = [f"{own}\nFilename: ./ours.deb\nSize: 1"]
    for name, version in packages.items():
        provides = "Provides: apache2-api-20120211\n" if name == "apache2-bin" else ""
        stanzas.append(f"Package: {name}\nVersion: {version}\nArchitecture: {architecture}\n{provides}Description: -\nFilename: ./{name}.deb\nSize: 1")
    repository, state = folder / "repository", folder / "state"
    for path in (repository, state / "lists/partial", state / "cache/archives/partial"):
        path.mkdir(parents=True)
    (repository / "Packages").write_text("\n\n".join(stanzas) + "\n")
    (folder / "sources.list").write_text(f"deb [trusted=yes] file:{repository} ./\n")
    (state / "status").write_text("")
    # apt of this machine with nothing of this machine.
    (folder / "apt.conf").write_text(f"""
Dir::State "{state}"; Dir::State::status "{state}/status"; Dir::Cache "{state}/cache"; Dir::Etc::sourcelist "{folder}/sources.list";
Dir::Etc::sourceparts "-"; Dir::Etc::preferences "-"; Dir::Etc::preferencesparts "-"; Dir::Etc::parts "-"; Dir::Etc::main "-";
APT::Architecture "{architecture}"; APT::Architectures "{architecture}"; APT::Sandbox::User ""; Debug::NoLocking "true";
""")
    environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "APT_CONFIG": str(folder / "apt.conf"), "LC_ALL": "C"}
    subprocess.run(["apt-get", "-qq", "update"], env=environment, check=True, capture_output=True)
    return subprocess.run(["apt-get", "-s", "install", NAME], env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True).stdout


@pytest.mark.parametrize("release", RELEASES)
def test_apt_installs_it_with_the_library_of_the_default_python(deb, tmp_path, release):
    plan = planned(tmp_path, deb, RELEASES[release])
    installed = {line.split()[1] for line in plan.splitlines() if line.startswith("Inst ")}
    assert installed == {NAME, *RELEASES[release]}, plan


@pytest.mark.parametrize("release", RELEASES)
def test_apt_refuses_it_without_that_library(deb, tmp_path, release):
    without = {name: version for name, version in RELEASES[release].items() if not name.startswith("libpython")}
    assert "Inst " not in planned(tmp_path, deb, without)
