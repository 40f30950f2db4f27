"""What is in the .rpm, without installing it."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from rpm_query import FILES, NAME, files, query, relations

TOP = Path(__file__).resolve().parents[2]


def test_it_holds_exactly_these_files(rpm):
    assert set(files(rpm)) == FILES


def test_every_file_belongs_to_root_and_only_root_may_write_it(rpm):
    for path, (mode, owner) in files(rpm).items():
        assert owner == "root/root", path
        assert mode == (0o755 if path.endswith(".so") else 0o644), path


def test_an_edited_fragment_is_kept_by_an_upgrade(rpm):
    assert query(rpm, "--configfiles") == ["/etc/httpd/conf.modules.d/10-wsgi-python3.conf"]
    flags = dict(line.rsplit(" ", 1) for line in query(rpm, "--qf", "[%{FILENAMES} %{FILEFLAGS:fflags}\n]"))
    assert flags["/etc/httpd/conf.modules.d/10-wsgi-python3.conf"] == "cn"


def test_it_asks_for_the_interface_of_httpd_and_for_any_python_that_has_a_host(rpm):
    wanted = relations(rpm, "requires")
    machine = query(rpm, "--qf", "%{ARCH}\n")[0]
    assert f"httpd-mmn = 20120211{'x8664' if machine == 'x86_64' else machine}" in wanted
    assert "python(abi) >= 3.10" in wanted
    # Neither httpd itself nor any one Python.
    assert not [line for line in wanted if re.match(r"httpd |libpython|python3", line)]


def test_it_takes_the_place_of_the_distributions_package(rpm):
    version = query(rpm, "--qf", "%{VERSION}-%{RELEASE}\n")[0]
    assert f"mod_wsgi = {version}" in relations(rpm, "provides")
    assert relations(rpm, "obsoletes") == {f"mod_wsgi < {version}"}
    assert query(rpm, "--qf", "%{NAME}\n") == [NAME]


def test_it_offers_no_library_to_others(rpm):
    assert not [line for line in relations(rpm, "provides") if ".so" in line]


def test_it_needs_no_newer_c_library_than_el_9_has(rpm):
    asked = [line for line in relations(rpm, "requires") if line.startswith("libc.so.6(GLIBC_")]
    assert asked
    assert max([int(part) for part in re.findall(r"\d+", line.split("GLIBC_")[1].split(")")[0])] for line in asked) <= [2, 34]


def test_it_runs_no_script(rpm):
    assert query(rpm, "--scripts") == [] and query(rpm, "--triggers") == []


def test_its_version_is_that_of_the_crates(rpm):
    crate = re.search(r'(?m)^version = "(.*)"', (TOP / "Cargo.toml").read_text()).group(1)
    assert query(rpm, "--qf", "%{VERSION}\n") == [crate]


def test_rpmlint_finds_no_error(rpm):
    if not shutil.which("rpmlint"):
        pytest.skip("needs rpmlint")
    found = subprocess.run(["rpmlint", "--config", TOP / "rpm/rpmlint.toml", rpm, TOP / "rpm/python3-mod_wsgi.spec"],
                           capture_output=True, text=True)
    assert re.search(r" 1 packages and 1 specfiles checked; 0 errors", found.stdout), found.stdout + found.stderr
