"""The packages as a distribution builds them, from debian/ and from the spec, are those that packaging/build makes.

What was compiled is taken from target/, so that this takes seconds; tests/nightly compiles both from their sources,
without a network.
"""

import os
import re
import shutil
import subprocess
from email import message_from_string
from pathlib import Path

import pytest
import rpm_query
from conftest import MACHINE, NAME, newest

TOP = Path(__file__).resolve().parents[2]
PROFILE = "pkg.mod-wsgi.nocompile"
# Where a maintainer script looks for Apache's helper, and what stands in for it here.
HELPER = "/usr/share/apache2/apache2-maintscript-helper"
STAND_IN = """
apache2_invoke() { echo "$@"; }
apache2_has_module() { echo "has $1"; }
apache2_reload() { echo "$1 in $APACHE2_MAINTSCRIPT_METHOD"; }
"""


@pytest.fixture(scope="module")
def sources(tmp_path_factory):
    """A copy of what is in the repository, with target/mod_wsgi and target/unstripped."""
    folder = tmp_path_factory.mktemp("sources") / "mod-wsgi"
    folder.mkdir()
    listed = subprocess.run(["git", "-c", f"safe.directory={TOP}", "ls-files", "-co", "--exclude-standard", "-z"],
                            cwd=TOP, capture_output=True, text=True, check=True).stdout
    for name in filter(None, listed.split("\0")):
        if (TOP / name).exists():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(TOP / name, folder / name)
    for name in ("mod_wsgi", "unstripped"):
        shutil.copytree(TOP / "target" / name, folder / "target" / name)
    return folder


@pytest.fixture(scope="module")
def distributions_deb(sources):
    """The package that dpkg-buildpackage makes."""
    if not shutil.which("dh"):
        pytest.skip("needs debhelper")
    # -d: rustup's Rust is no package of Debian.
    done = subprocess.run(["dpkg-buildpackage", "-us", "-uc", "-b", "-d", f"-P{PROFILE}"], cwd=sources,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert done.returncode == 0, done.stdout
    return next(sources.parent.glob(f"{NAME}_*.deb"))


@pytest.fixture(scope="module", params=[rpm_query.NAME, rpm_query.OPENSUSE_NAME])
def rpms(request, sources, tmp_path_factory):
    """The package that packaging/build makes, and the one that rpmbuild makes."""
    if not shutil.which("rpmbuild"):
        pytest.skip("needs rpmbuild")
    top, name = tmp_path_factory.mktemp("rpmbuild"), request.param
    # What Debian's rpmbuild has otherwise than theirs.
    theirs = {"_topdir": top, "_libdir": "/usr/lib64", "_buildshell": "/bin/bash", "_docdir_fmt": "%%{NAME}"}
    if name == rpm_query.OPENSUSE_NAME:
        theirs["_defaultdocdir"] = "/usr/share/doc/packages"
    defined = [word for name, value in theirs.items() for word in ("--define", f"{name} {value}")]
    done = subprocess.run(["rpmbuild", "-bb", "--build-in-place", "--without", "compile", "--without", "vendor", *defined,
                           f"rpm/{name}.spec"], cwd=sources, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert done.returncode == 0, done.stdout
    return newest(f"{name}-[0-9]*.{MACHINE}.rpm", "rpm"), next(top.glob(f"RPMS/*/{name}-[0-9]*.rpm"))


def control(deb):
    """Return the fields of a package."""
    fields = message_from_string(subprocess.run(["dpkg-deb", "-f", deb], capture_output=True, text=True, check=True).stdout)
    return {name: [part.strip() for part in value.split(",")] for name, value in fields.items() if name != "Installed-Size"}


def deb_files(deb):
    """Return {path: (mode, owner)} of everything in a package."""
    shown = subprocess.run(["dpkg-deb", "-c", deb], capture_output=True, text=True, check=True).stdout
    rows = [line.split(maxsplit=5) for line in shown.splitlines()]
    return {row[5]: (row[0], row[1]) for row in rows}


def calls(script, argument, folder):
    """Return what a maintainer script asks of Apache's helper."""
    helper = folder / "helper"
    helper.write_text(STAND_IN)
    text = script.read_text()
    assert HELPER in text
    (folder / "script").write_text(text.replace(HELPER, str(helper)))
    return subprocess.run(["sh", folder / "script", argument], capture_output=True, text=True, check=True, env=os.environ).stdout


class TestDeb:
    def test_both_hold_the_same_files_with_the_same_modes(self, deb, distributions_deb):
        assert deb_files(deb) == deb_files(distributions_deb)

    def test_both_have_the_same_fields(self, deb, distributions_deb):
        ours, theirs = control(deb), control(distributions_deb)
        for fields in (ours, theirs):
            fields["Depends"] = sorted(fields["Depends"])
        assert ours == theirs

    def test_both_have_the_same_configuration_files_and_scripts(self, deb, distributions_deb, tmp_path):
        folders = []
        for number, package in enumerate((deb, distributions_deb)):
            folders.append(tmp_path / str(number))
            subprocess.run(["dpkg-deb", "-e", package, folders[-1]], check=True)
        names = [{path.name for path in folder.iterdir()} for folder in folders]
        assert names[0] == names[1]
        assert sorted((folders[0] / "conffiles").read_text().split()) == sorted((folders[1] / "conffiles").read_text().split())
        triggers = [[line for line in (folder / "triggers").read_text().splitlines() if not line.startswith("#")] for folder in folders]
        assert triggers == [["interest-noawait /usr/bin/python3"]] * 2

    @pytest.mark.parametrize(("script", "argument"), [
        ("postinst", "configure"), ("postinst", "abort-upgrade"), ("postinst", "abort-remove"), ("postinst", "triggered"),
        ("prerm", "remove"), ("prerm", "upgrade"), ("prerm", "deconfigure"), ("prerm", "failed-upgrade"),
        ("postrm", "purge"), ("postrm", "remove"), ("postrm", "upgrade"), ("postrm", "disappear"),
    ])
    def test_both_ask_the_same_of_apaches_helper(self, deb, distributions_deb, script, argument, tmp_path):
        asked = []
        for package in (deb, distributions_deb):
            subprocess.run(["dpkg-deb", "-e", package, tmp_path / "control"], check=True)
            asked.append(calls(tmp_path / "control" / script, argument, tmp_path))
        assert asked[0] == asked[1]

    def test_lintian_finds_no_error_in_the_distributions(self, distributions_deb):
        if not shutil.which("lintian"):
            pytest.skip("needs lintian")
        changes = next(distributions_deb.parent.glob("*.changes"))
        found = subprocess.run(["lintian", "--allow-root", "--fail-on", "none", changes], capture_output=True, text=True)
        # Its distribution is the one in debian/changelog, its maintainer an address that nobody has: not an upload.
        problems = [line for line in found.stdout.splitlines() if re.match(r"[EW]: ", line)]
        assert [line for line in problems if not re.search(r"bogus-mail-host|bad-distribution-in-changes-file", line)] == []

    def test_the_tests_for_installed_packages_are_named_and_executable(self, sources):
        named = re.search(r"(?m)^Tests: (.*)$", (sources / "debian/tests/control").read_text()).group(1).split()
        assert named == ["embedded", "daemon"]
        assert all(os.access(sources / "debian/tests" / name, os.X_OK) for name in [*named, "serve"])


class TestRpm:
    def test_both_hold_the_same_files_with_the_same_modes(self, rpms):
        ours, distributions = rpms
        theirs = {path: about for path, about in rpm_query.files(distributions).items()
                  # Links by build id, which cargo-generate-rpm cannot make; gdb finds debug information without them.
                  if not path.startswith("/usr/lib/.build-id/")}
        # Debian's rpmbuild may fail to compress man pages; Fedora's does it.
        theirs = {path if path.endswith(".gz") or "/man/" not in path else f"{path}.gz": about for path, about in theirs.items()}
        assert rpm_query.files(ours) == theirs

    @pytest.mark.parametrize("kind", ["requires", "provides", "obsoletes", "conflicts", "recommends", "suggests"])
    def test_both_have_the_same_relations(self, rpms, kind):
        assert rpm_query.relations(rpms[0], kind) == rpm_query.relations(rpms[1], kind)

    def test_both_have_the_same_configuration_files_and_scripts(self, rpms):
        for question in ("--configfiles", "--scripts", "--triggers"):
            ours, theirs = ("\n".join(rpm_query.query(rpm, question)).strip() for rpm in rpms)
            assert ours == theirs

    def test_both_have_the_same_name_version_summary_and_licence(self, rpms):
        what = "%{NAME} %{VERSION} %{RELEASE} %{ARCH} %{SUMMARY} %{LICENSE} %{URL}\n"
        assert rpm_query.query(rpms[0], "--qf", what) == rpm_query.query(rpms[1], "--qf", what)

    def test_the_changelog_begins_with_this_version(self, rpms):
        name, version = rpm_query.query(rpms[1], "--qf", "%{NAME}\n%{VERSION}-%{RELEASE}\n")
        if name == rpm_query.OPENSUSE_NAME:
            pytest.skip("openSUSE keeps what has changed in a file of its own; CHANGELOG.md is in the package")
        assert rpm_query.query(rpms[1], "--changelog")[0].endswith(f" {version}")


def test_no_source_has_what_a_distributions_rust_lacks(sources):
    """`if let … && …`, which only newer compilers take; nightly builds with Debian's own show the rest."""
    minimum = re.search(r'(?m)^rust-version = "1\.(\d+)"', (sources / "Cargo.toml").read_text()).group(1)
    chains = [str(path.relative_to(sources)) for path in sorted((sources / "src").rglob("*.rs"))
              if re.search(r"\b(?:if|while) let [^{;]*?\n? *&& [^{;]*\{", path.read_text())]
    assert int(minimum) >= 88 or chains == []
