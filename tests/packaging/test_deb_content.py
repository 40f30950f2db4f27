"""What is in the Debian package, without installing it."""

import hashlib
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from conftest import NAME

TOP = Path(__file__).resolve().parents[2]
HOSTS = [f"/usr/lib/mod_wsgi/mod_wsgi_host.cpython-{version}.so" for version in ("310", "311", "312", "313", "314", "314t")]
FILES = {
    "/etc/apache2/mods-available/wsgi.conf",
    "/etc/apache2/mods-available/wsgi.load",
    "/usr/lib/apache2/modules/mod_wsgi.so",
    *HOSTS,
    "/usr/lib/mod_wsgi/mod_wsgi_daemon.py",
    f"/usr/share/doc/{NAME}/NEWS.Debian.gz",
    f"/usr/share/doc/{NAME}/README.Debian",
    f"/usr/share/doc/{NAME}/changelog.Debian.gz",
    f"/usr/share/doc/{NAME}/changelog.gz",
    f"/usr/share/doc/{NAME}/copyright",
    f"/usr/share/lintian/overrides/{NAME}",
    "/usr/share/man/man5/mod_wsgi.conf.5.gz",
    "/usr/share/man/man8/mod_wsgi.8.gz",
}


def field(deb, name):
    """Return a field of the package's control file."""
    return subprocess.run(["dpkg-deb", "-f", deb, name], capture_output=True, text=True, check=True).stdout.strip()


def listing(deb):
    """Return {path: (mode, owner)} of the package."""
    shown = subprocess.run(["dpkg-deb", "-c", deb], capture_output=True, text=True, check=True).stdout
    rows = [line.split(maxsplit=5) for line in shown.splitlines()]
    return {row[5].removeprefix("."): (row[0], row[1]) for row in rows}


def test_it_holds_exactly_these_files(deb):
    assert {path for path, (mode, _) in listing(deb).items() if not mode.startswith("d")} == FILES


def test_every_file_belongs_to_root_and_only_root_may_write_it(deb):
    for path, (mode, owner) in listing(deb).items():
        assert owner == "root/root", path
        assert mode == ("drwxr-xr-x" if mode.startswith("d") else "-rw-r--r--"), path


def test_the_fragments_of_apache_are_conffiles(unpacked):
    assert set((unpacked / "DEBIAN/conffiles").read_text().split()) == {path for path in FILES if path.startswith("/etc/")}


def test_the_load_fragment_is_one_line_with_the_absolute_path(unpacked):
    text = (unpacked / "etc/apache2/mods-available/wsgi.load").read_text()
    assert text == "LoadModule wsgi_module /usr/lib/apache2/modules/mod_wsgi.so\n"


def test_the_conf_fragment_sets_nothing(unpacked):
    lines = [line.strip() for line in (unpacked / "etc/apache2/mods-available/wsgi.conf").read_text().splitlines()]
    assert [line for line in lines if line and not line.startswith("#")] == ["<IfModule mod_wsgi.c>", "</IfModule>"]


def test_its_fields_are_those_of_the_distributions_package(deb):
    assert field(deb, "Package") == NAME
    assert field(deb, "Section") == "httpd"
    assert field(deb, "Conflicts") == "libapache2-mod-wsgi"
    assert field(deb, "Provides") == "httpd-wsgi3"
    depends = field(deb, "Depends").split(", ")
    assert {"apache2-api-20120211", "apache2-bin (>= 2.4.16)", "python3 (>= 3.10~)"} <= set(depends)
    assert [clause for clause in depends if clause.startswith("libc6 (>= ")], depends
    # On each Debian exactly the library of its default python3 is asked for.
    assert "python3 (>= 3.12~) | python3 (<< 3.11~) | libpython3.11" in depends
    assert "python3 (>= 3.14~) | python3 (<< 3.13~) | libpython3.13" in depends


def test_it_needs_no_newer_c_library_than_debian_12_has(deb):
    wanted = re.search(r"libc6 \(>= ([0-9.]+)\)", field(deb, "Depends")).group(1)
    assert [int(part) for part in wanted.split(".")] <= [2, 36]


def test_its_version_is_that_of_the_crates_and_sorts_above_the_distributions(deb):
    version = field(deb, "Version")
    crate = re.search(r'(?m)^version = "(.*)"', (TOP / "Cargo.toml").read_text()).group(1)
    assert version.startswith(f"{crate}-")
    assert subprocess.run(["dpkg", "--compare-versions", version, "gt", "6.99-1"]).returncode == 0


@pytest.mark.parametrize("script", ["postinst", "prerm", "postrm"])
def test_a_maintainer_script_acts_only_through_apaches_helper(unpacked, script):
    path = unpacked / "DEBIAN" / script
    assert os.access(path, os.X_OK)
    commands = [line for line in path.read_text().splitlines() if not line.strip().startswith("#")]
    assert not [line for line in commands if re.search(r"a2(en|dis)mod|systemctl|invoke-rc|apache2ctl", line)]
    assert [line for line in commands if "apache2_invoke" in line]


def test_every_file_outside_etc_has_its_right_checksum(unpacked):
    sums = dict(reversed(line.split("  ")) for line in (unpacked / "DEBIAN/md5sums").read_text().splitlines())
    assert {f"/{path}" for path in sums} == {path for path in FILES if not path.startswith("/etc/")}
    for path, checksum in sums.items():
        assert hashlib.md5((unpacked / path).read_bytes()).hexdigest() == checksum, path


def test_copyright_names_every_linked_crate(unpacked):
    text = (unpacked / f"usr/share/doc/{NAME}/copyright").read_text()
    tree = subprocess.run(
        ["cargo", "tree", "--locked", "-p", "mod_wsgi", "-p", "mod_wsgi_host", "-e", "normal,no-proc-macro", "--prefix", "none"],
        cwd=TOP, capture_output=True, text=True, check=True,
    ).stdout
    crates = {tuple(line.split()[:2]) for line in tree.splitlines() if line and "mod_wsgi" not in line.split()[0]}
    assert crates
    for name, version in crates:
        assert f"Files: crates/{name}-{version.removeprefix('v')}/*\n" in text
    named = set(re.findall(r"(?m)^License: (.*)$", text))
    assert all(licence in named for label in named for licence in label.split(" and "))


def test_no_file_names_the_folder_it_was_built_in(unpacked):
    for path in FILES:
        assert str(TOP).encode() not in (unpacked / path.removeprefix("/")).read_bytes(), path


def test_lintian_finds_nothing_that_it_does_not_find_in_the_distributions_package(deb):
    if not shutil.which("lintian"):
        pytest.skip("needs lintian")
    found = subprocess.run(["lintian", "--allow-root", "--fail-on", "none", "--tag-display-limit", "0", "--info", "--pedantic", deb],
                           capture_output=True, text=True)
    problems = [line for line in found.stdout.splitlines() if re.match(r"[EWIP]: ", line)]
    assert problems == [], found.stdout
