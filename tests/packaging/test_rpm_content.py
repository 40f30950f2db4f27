"""What is in the two .rpm, without installing them."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from conftest import MACHINE, newest
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
    # EL 9's for its other Pythons.
    assert relations(rpm, "conflicts") == {"python3.11-mod_wsgi", "python3.12-mod_wsgi"}
    assert query(rpm, "--qf", "%{NAME}\n") == [NAME]


def test_it_says_what_is_linked_in_and_under_which_licences(rpm, opensuse_rpm):
    def said(option):
        return subprocess.run([TOP / "packaging/copyright", option], capture_output=True, text=True, check=True).stdout

    bundled = [line.removeprefix("Provides:").strip() for line in said("--bundled").splitlines()]
    assert "bundled(crate(libc))" in said("--bundled")
    assert sorted(line for line in relations(rpm, "provides") if line.startswith("bundled(")) == sorted(bundled)
    for spec in (NAME, OPENSUSE_NAME):
        assert f"\nLicense:        {said('--licence')}" in (TOP / f"rpm/{spec}.spec").read_text()
    for package in (rpm, opensuse_rpm):
        assert query(package, "--qf", "%{LICENSE}\n") == said("--licence").splitlines()


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


class TestScripts:
    @pytest.fixture
    def run(self, tmp_path):
        """A function that runs scripts of a package as rpm does, and returns what they asked of the commands of the system."""
        for command in ("a2enmod", "httpd", "start_apache2", "systemctl"):
            helper = tmp_path / command
            helper.write_text(f'#!/bin/sh\necho "{command} $*" >>{tmp_path}/asked\n[ ! -e {tmp_path}/no-{command}-$1 ]\n')
            helper.chmod(0o755)

        def run(package, scripts):
            for script, argument in (words.split() for words in scripts.split(", ")):
                text = "\n".join(query(package, "--qf", f"%{{{script}}}\n"))
                here = re.sub(r"/usr/sbin/|/(?=(?:run/systemd|etc/sysconfig|var/lib/rpm-state)\b)", f"{tmp_path}/", text)
                path = f"{tmp_path}:{os.environ['PATH']}"
                subprocess.run(["sh", "-ec", here, "sh", argument], check=True, env={**os.environ, "PATH": path})
            assert not list(tmp_path.glob("var/lib/rpm-state/*"))
            asked = tmp_path / "asked"
            return asked.read_text().splitlines() if asked.exists() else []

        return run

    @staticmethod
    def with_systemd(folder):
        (folder / "run/systemd/system").mkdir(parents=True)
        (folder / "etc/sysconfig").mkdir(parents=True)

    def test_an_upgrade_restarts_fedoras_httpd(self, rpm, run, tmp_path):
        self.with_systemd(tmp_path)
        assert run(rpm, "POSTIN 2, POSTTRANS 1") == ["httpd -t", "systemctl try-restart httpd.service httpd@*.service"]

    @pytest.mark.parametrize(("scripts", "made", "asked"), [
        ("POSTIN 1, POSTTRANS 1", [], []),
        ("POSTIN 2, POSTTRANS 1", ["etc/sysconfig/httpd-disable-posttrans"], []),
        ("POSTIN 2, POSTTRANS 1", ["no-httpd--t"], ["httpd -t"]),
        # An upgrade that was broken off.
        ("POSTIN 2, POSTIN 1, POSTTRANS 1", [], []),
    ], ids=["first installation", "forbidden", "mistake in the configuration", "broken off"])
    def test_fedoras_httpd_is_not_restarted_otherwise(self, rpm, run, tmp_path, scripts, made, asked):
        self.with_systemd(tmp_path)
        for path in made:
            (tmp_path / path).touch()
        assert run(rpm, scripts) == asked

    def test_nothing_is_restarted_where_systemd_does_not_run(self, rpm, opensuse_rpm, run):
        assert run(rpm, "POSTIN 2, POSTTRANS 1") == []
        assert run(opensuse_rpm, "POSTIN 2, POSTTRANS 1") == []

    @pytest.mark.parametrize(("scripts", "enabled", "asked"), [
        ("POSTIN 1, POSTTRANS 1", False, ["-q wsgi", "wsgi"]), ("POSTIN 1, POSTTRANS 1", True, ["-q wsgi"]),
        ("POSTUN 0", True, ["-q wsgi", "-d wsgi"]), ("POSTUN 0", False, ["-q wsgi"]), ("POSTUN 1", True, []),
    ])
    def test_opensuses_list_of_modules_is_changed_when_it_comes_and_when_it_goes(self, opensuse_rpm, run, tmp_path, scripts, enabled, asked):
        self.with_systemd(tmp_path)
        if not enabled:
            (tmp_path / "no-a2enmod--q").touch()
        assert run(opensuse_rpm, scripts) == [f"a2enmod {words}" for words in asked]

    def test_an_upgrade_restarts_opensuses_httpd_where_the_module_is_enabled(self, opensuse_rpm, run, tmp_path):
        self.with_systemd(tmp_path)
        restarted = ["a2enmod -q wsgi", "start_apache2 -t", "systemctl try-restart apache2.service apache2@*.service"]
        assert run(opensuse_rpm, "POSTIN 2, POSTTRANS 1") == restarted
        (tmp_path / "no-start_apache2--t").touch()
        assert run(opensuse_rpm, "POSTIN 2, POSTTRANS 1") == [*restarted, *restarted[:2]]
        (tmp_path / "etc/sysconfig/services").write_text('DISABLE_RESTART_ON_UPDATE="yes"\n')
        assert run(opensuse_rpm, "POSTIN 2, POSTTRANS 1") == [*restarted, *restarted[:2], restarted[0]]
        (tmp_path / "no-a2enmod--q").touch()
        assert run(opensuse_rpm, "POSTIN 2, POSTTRANS 1") == [*restarted, *restarted[:2], restarted[0], restarted[0]]


def test_it_offers_no_library_to_others(either):
    assert not [line for line in relations(either, "provides") if ".so" in line]


def test_it_needs_no_newer_c_library_than_el_9_has(either):
    asked = [line for line in relations(either, "requires") if line.startswith("libc.so.6(GLIBC_")]
    assert asked
    assert max([int(part) for part in re.findall(r"\d+", line.split("GLIBC_")[1].split(")")[0])] for line in asked) <= [2, 34]


def test_it_has_no_trigger_and_its_debug_symbols_have_no_script(either):
    assert query(either, "--triggers") == []
    symbols = newest(f"{query(either, '--qf', '%{NAME}')[0]}-debuginfo-[0-9]*.{MACHINE}.rpm", "rpm")
    assert query(symbols, "--scripts") == [] and query(symbols, "--triggers") == []


def test_its_version_is_that_of_the_crates(either):
    crate = re.search(r'(?m)^version = "(.*)"', (TOP / "Cargo.toml").read_text()).group(1)
    assert query(either, "--qf", "%{VERSION}\n") == [crate]


@pytest.mark.parametrize("name", [NAME, OPENSUSE_NAME])
def test_rpmlint_finds_nothing(rpm, opensuse_rpm, name):
    if not shutil.which("rpmlint"):
        pytest.skip("needs rpmlint")
    symbols = newest(f"{name}-debuginfo-[0-9]*.{MACHINE}.rpm", "rpm")
    found = subprocess.run(["rpmlint", "--config", TOP / "rpm/rpmlint.toml", rpm if name == NAME else opensuse_rpm, symbols, TOP / f"rpm/{name}.spec"],
                           capture_output=True, text=True)
    assert re.search(r" 2 packages and 1 specfiles checked; 0 errors, 0 warnings", found.stdout), found.stdout + found.stderr
