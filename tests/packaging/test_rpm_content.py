"""What is in the two .rpm, without installing them."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from rpm_query import FILES, NAME, OPENSUSE_FILES, OPENSUSE_NAME, files, query, relations

TOP = Path(__file__).resolve().parents[2]


@pytest.fixture(params=["rpm", "opensuse_rpm"])
def either(request):
    return request.getfixturevalue(request.param)


def test_it_holds_exactly_these_files(rpm, opensuse_rpm):
    assert set(files(rpm)) == FILES
    assert set(files(opensuse_rpm)) == OPENSUSE_FILES


def test_every_file_belongs_to_root_and_only_root_may_write_it(either):
    for path, (mode, owner) in files(either).items():
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


class TestOpenSuse:
    def test_it_asks_for_the_interface_of_httpd_and_for_any_python_that_has_a_host(self, opensuse_rpm):
        wanted = relations(opensuse_rpm, "requires")
        assert {"apache2", "apache_mmn_20120211", "suse_maintenance_mmn_0", "python(abi) >= 3.10", "/bin/sh"} <= wanted
        assert not [line for line in wanted if re.match(r"httpd|libpython|python3", line)]

    def test_it_takes_the_place_of_the_distributions_package(self, opensuse_rpm):
        version = query(opensuse_rpm, "--qf", "%{VERSION}-%{RELEASE}\n")[0]
        assert {f"mod_wsgi = {version}", f"apache2-mod_wsgi-python3 = {version}"} <= relations(opensuse_rpm, "provides")
        assert relations(opensuse_rpm, "obsoletes") == {f"apache2-mod_wsgi-python3 < {version}"}
        assert query(opensuse_rpm, "--qf", "%{NAME}\n") == [OPENSUSE_NAME]

    @pytest.mark.parametrize(("script", "argument", "enabled", "asked"), [
        ("POSTIN", "1", False, ["-q wsgi", "wsgi"]), ("POSTIN", "1", True, ["-q wsgi"]), ("POSTIN", "2", False, []),
        ("POSTUN", "0", True, ["-q wsgi", "-d wsgi"]), ("POSTUN", "0", False, ["-q wsgi"]), ("POSTUN", "1", True, []),
    ])
    def test_its_scripts_change_what_httpd_loads_when_it_comes_and_when_it_goes(self, opensuse_rpm, tmp_path, script, argument, enabled, asked):
        text = "\n".join(query(opensuse_rpm, "--qf", f"%{{{script}}}\n"))
        helper = tmp_path / "a2enmod"
        helper.write_text(f'#!/bin/sh\necho "$@" >>{tmp_path}/asked\n[ "$1" != -q ] || exit {0 if enabled else 1}\n')
        helper.chmod(0o755)
        assert "/usr/sbin/a2enmod" in text
        subprocess.run(["sh", "-ec", text.replace("/usr/sbin/a2enmod", str(helper)), "sh", argument], check=True)
        assert ((tmp_path / "asked").read_text().splitlines() if (tmp_path / "asked").exists() else []) == asked


def test_it_offers_no_library_to_others(either):
    assert not [line for line in relations(either, "provides") if ".so" in line]


def test_it_needs_no_newer_c_library_than_el_9_has(either):
    asked = [line for line in relations(either, "requires") if line.startswith("libc.so.6(GLIBC_")]
    assert asked
    assert max([int(part) for part in re.findall(r"\d+", line.split("GLIBC_")[1].split(")")[0])] for line in asked) <= [2, 34]


def test_fedoras_runs_no_script_and_none_has_a_trigger(rpm, either):
    assert query(rpm, "--scripts") == [] and query(either, "--triggers") == []


def test_its_version_is_that_of_the_crates(either):
    crate = re.search(r'(?m)^version = "(.*)"', (TOP / "Cargo.toml").read_text()).group(1)
    assert query(either, "--qf", "%{VERSION}\n") == [crate]


@pytest.mark.parametrize("name", [NAME, OPENSUSE_NAME])
def test_rpmlint_finds_no_error(rpm, opensuse_rpm, name):
    if not shutil.which("rpmlint"):
        pytest.skip("needs rpmlint")
    found = subprocess.run(["rpmlint", "--config", TOP / "rpm/rpmlint.toml", rpm if name == NAME else opensuse_rpm, TOP / f"rpm/{name}.spec"],
                           capture_output=True, text=True)
    assert re.search(r" 1 packages and 1 specfiles checked; 0 errors", found.stdout), found.stdout + found.stderr
