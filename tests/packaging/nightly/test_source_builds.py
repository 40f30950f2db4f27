"""The source packages build in a clean system without a network, as a distribution builds them."""

import subprocess

import machine
import pytest
from conftest import ARCHITECTURE, NAME, SUITES, newest
from rpm_query import FILES, NAME as RPM_NAME, OPENSUSE_FILES, OPENSUSE_NAME, files

# A Rust that is new enough is Debian's own from 13 on; Debian 12 has it under another name.
RUST = {"bookworm": "cargo-web rustc-web"}


@pytest.fixture(params=SUITES)
def builder(request):
    """(machine, suite) on disk, which nothing else uses."""
    if reason := machine.why_not():
        pytest.skip(reason)
    folder = machine.unpack(request.param)
    try:
        with machine.Machine(folder, request.param, disposable=False) as debian:
            debian.update()
            yield debian, request.param
    finally:
        machine.discard(folder)


def test_dpkg_buildpackage_makes_the_package_from_the_dsc(builder):
    debian, suite = builder
    debian.apt("install", "build-essential", "debhelper", "apache2-dev", "libclang-dev", "python3", "dpkg-dev", RUST.get(suite, "cargo rustc"))
    debian.run("mkdir /build")
    dsc = newest("mod-wsgi_*.dsc", "source")
    for path in [dsc, *dsc.parent.glob("mod-wsgi_*.tar.*")]:
        debian.put_file(path, f"/build/{path.name}")
    debian.run(f"cd /build && dpkg-source -x {dsc.name} source")
    printed = debian.run("cd /build/source && DEB_BUILD_OPTIONS=parallel=2 dpkg-buildpackage -us -uc -b")
    assert "test result: ok" in printed
    made = debian.run(f"ls /build/{NAME}_*.deb").strip()
    # Both packages, side by side: what this machine built, and what the clean one did.
    theirs = debian.run(f"dpkg-deb -c {made} | awk '{{print $6}}' | sort").split()
    ours = subprocess.run(["dpkg-deb", "-c", newest(f"{NAME}_*_{ARCHITECTURE}.deb", "deb")], capture_output=True, text=True, check=True).stdout
    assert theirs == sorted(line.split()[5] for line in ours.splitlines())
    assert debian.run(f"ls /build/{NAME}-dbgsym_*.deb")


@pytest.mark.parametrize(("name", "wanted", "documents"), [
    (RPM_NAME, FILES, "/usr/share/doc"), (OPENSUSE_NAME, OPENSUSE_FILES, "/usr/share/doc/packages"),
])
def test_rpmbuild_makes_the_package_from_the_two_archives(builder, tmp_path, name, wanted, documents):
    debian, suite = builder
    if suite == "bookworm":
        pytest.skip("Debian 12's Rust has another name, which the spec does not know")
    debian.apt("install", "rpm", "gcc", "apache2-dev", "libclang-dev", "python3", "cargo", "rustc", "xz-utils", "make")
    sources = "/build/SOURCES"
    debian.run(f"mkdir -p {sources}")
    for pattern in ("mod_wsgi-*[0-9].tar.gz", "mod_wsgi-*-vendor.tar.xz"):
        path = newest(pattern, "source")
        debian.put_file(path, f"{sources}/{path.name}")
    debian.put_file(machine.TOP / f"rpm/{name}.spec", f"/build/{name}.spec")
    # --nodeps: what the spec needs is there as packages of Debian.
    debian.run("rpmbuild -bb --nodeps --define '_topdir /build' --define '_libdir /usr/lib64' --define '_docdir_fmt %%{NAME}' --define '_buildshell /bin/bash'"
               f" --define '_defaultdocdir {documents}' /build/{name}.spec")
    made = debian.run(f"ls /build/RPMS/*/{name}-[0-9]*.rpm").strip()
    copy = tmp_path / "made.rpm"
    copy.write_bytes(open(f"/proc/{debian.first}/root{debian.root}{made}", "rb").read())
    theirs = {path if path.endswith(".gz") or "/man/" not in path else f"{path}.gz" for path in files(copy)
              if not path.startswith("/usr/lib/.build-id/")}
    assert theirs == wanted
