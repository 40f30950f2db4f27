"""Debian's source package as the archive's maintainers and build machines use it. Slow: packs the crates, builds many times.

What was compiled is taken from target/; test_source_builds.py compiles it.
"""

import functools
import hashlib
import http.server
import json
import os
import re
import shutil
import subprocess
import threading

import pytest
from conftest import NAME, newest

PROFILE = "pkg.mod-wsgi.nocompile"
# lintian of an older Debian does not know the newest policy. The address is nobody's, the distribution that of the changelog: no upload.
NOT_HERE = r"newer-standards-version|bogus-mail-host|bad-distribution-in-changes-file"


def run(command, folder, **environment):
    """Run a command; return what it printed."""
    done = subprocess.run(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env={**os.environ, **environment})
    assert done.returncode == 0, done.stdout
    return done.stdout


def tree(folder):
    """Return {path: digest} of a source tree without what was compiled."""
    files = (path for path in folder.rglob("*") if path.is_file() and path.relative_to(folder).parts[0] != "target")
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


@pytest.fixture(scope="module")
def dsc():
    """The newest source package."""
    if not shutil.which("dh"):
        pytest.skip("needs debhelper")
    return newest("mod-wsgi_*.dsc", "source")


@pytest.fixture
def source(dsc, tmp_path):
    """The source package, unpacked beside its archives, with target/."""
    for path in [dsc, *dsc.parent.glob("mod-wsgi_*.tar.*")]:
        shutil.copy(path, tmp_path)
    run(["dpkg-source", "-x", dsc.name, "source"], tmp_path)
    for name in ("mod_wsgi", "unstripped"):
        shutil.copytree(f"{dsc.parent.parent}/target/{name}", tmp_path / "source/target" / name)
    return tmp_path / "source"


def build(source, *arguments, options="", profiles=""):
    """Build the package; return its file and what was printed."""
    # -d: rustup's Rust is no package of Debian.
    printed = run(["dpkg-buildpackage", "-us", "-uc", "-d", *(arguments or ["-b"])], source,
                  DEB_BUILD_OPTIONS=options, DEB_BUILD_PROFILES=f"{PROFILE} {profiles}".strip())
    return max(source.parent.glob(f"{NAME}_*.deb"), key=lambda path: path.stat().st_mtime), printed


def content(deb):
    """Return the paths in a package."""
    return {line.split()[5] for line in run(["dpkg-deb", "-c", deb], "/").splitlines()}


def field(deb, name):
    """Return a field of a package."""
    return run(["dpkg-deb", "-f", deb, name], "/").strip()


class TestContent:
    def test_every_crate_has_a_paragraph_in_copyright_and_every_licence_its_text(self, source):
        text = (source / "debian/copyright").read_text()
        crates = {path.parent.name for path in (source / "vendor").glob("*/Cargo.toml")}
        assert crates and {path.name for path in (source / "vendor").iterdir()} == crates | {"config.toml"}
        assert set(re.findall(r"(?m)^Files: vendor/([^/\s]+)/\*$", text)) == crates
        paragraphs = text.split("\n\n")
        told = [re.search(r"(?m)^License: (.*)$", part).group(1) for part in paragraphs if part.startswith("Files: ")]
        given = {re.match(r"License: (.*)\n .", part).group(1) for part in paragraphs if part.startswith("License: ")}
        assert {name for licence in told for name in re.split(r",? and | or ", licence)} == given

    def test_it_holds_no_program_and_no_library_that_somebody_else_has_built(self, source):
        magic = (b"\x7fELF", b"\0asm", b"!<arch>", b"MZ", b"\xca\xfe\xba\xbe", b"\xcf\xfa\xed\xfe")
        assert [str(path) for path in (source / "vendor").rglob("*") if path.is_file() and path.read_bytes()[:8].startswith(magic)] == []

    def test_lintian_has_nothing_to_say(self, dsc):
        if not shutil.which("lintian"):
            pytest.skip("needs lintian")
        found = subprocess.run(["lintian", "--allow-root", "--fail-on", "none", "--tag-display-limit", "0", "--info", "--pedantic", dsc],
                               capture_output=True, text=True).stdout
        problems = [line for line in found.splitlines() if re.match("[EWIP]: ", line)]
        # What newer lintians call old, Debian 12 needs: see debian/control.
        old = r"older-debian-watch-file-standard|package-uses-old-debhelper|redundant-priority-optional|redundant-rules-requires-root"
        assert [line for line in problems if not re.search(f"{NOT_HERE}|{old}", line)] == [], found

    def test_packing_it_again_gives_the_same(self, dsc, source):
        kept = {path.name: path.read_bytes() for path in source.parent.glob("mod-wsgi_*.debian.tar.xz")}
        shutil.rmtree(source / "target")
        run(["dpkg-buildpackage", "-S", "-us", "-uc", "-d"], source)
        assert {path.name: path.read_bytes() for path in source.parent.glob("mod-wsgi_*.debian.tar.xz")} == kept
        assert (source.parent / dsc.name).read_bytes() == dsc.read_bytes()

    def test_watch_finds_both_archives_of_a_newer_release(self, source):
        if not shutil.which("uscan"):
            pytest.skip("needs uscan")
        host, newer = source.parent / "host", "99.1.0"
        files = [f"mod_wsgi-{newer}.tar.gz", f"mod_wsgi-{newer}-vendor.tar.xz"]
        (host / "download").mkdir(parents=True)
        (source.parent / "got").mkdir()
        for name, path in zip(files, (newest("mod_wsgi-*[0-9].tar.gz", "source"), newest("mod_wsgi-*-vendor.tar.xz", "source"))):
            shutil.copy(path, host / "download" / name)
        handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=host)
        with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
            threading.Thread(target=server.serve_forever, daemon=True).start()
            base = f"http://127.0.0.1:{server.server_port}"
            text = (source / "debian/watch").read_text()
            project = re.search(r"https://github\.com/(\S+?)/releases/download/v", text).group(1)
            assert project in (source / "debian/control").read_text()
            # The list of releases as the forge answers it: nothing but its addresses matters.
            listed = [{"browser_download_url": f"https://github.com/{project}/releases/download/v{newer}/{name}"} for name in files]
            (host / "releases").write_text(json.dumps(listed).replace(f"https://github.com/{project}/releases/download/v{newer}", f"{base}/download"))
            text = re.sub(r"https://api\.github\.com/\S+", f"{base}/releases", text)
            text = text.replace(f"https://github.com/{project}/releases/download/v[\\d.]+", f"{base}/download")
            (source / "debian/watch").write_text(text)
            run(["uscan", "--verbose", "--download", "--destdir", source.parent / "got"], source, no_proxy="127.0.0.1", http_proxy="")
            server.shutdown()
        # uscan packs every component as the first is packed.
        got = {path.name for path in (source.parent / "got").iterdir()}
        assert {f"mod-wsgi_{newer}.orig.tar.gz", f"mod-wsgi_{newer}.orig-vendor.tar.gz"} <= got


class TestBuild:
    def test_building_twice_gives_the_same_and_cleaning_restores_the_tree(self, source):
        before = tree(source)
        first = build(source)[0].read_bytes()
        second = build(source)[0].read_bytes()
        assert first == second
        # Without the profile this removes target/, too.
        run(["debian/rules", "clean"], source)
        assert not (source / "target").exists() and tree(source) == before
        # It refuses a tree that has changed.
        run(["dpkg-buildpackage", "-S", "-us", "-uc", "-d"], source)

    def test_lintian_has_nothing_to_say_of_all_that_is_uploaded(self, source):
        if not shutil.which("lintian"):
            pytest.skip("needs lintian")
        build(source)
        changes = next(source.parent.glob("*.changes"))
        found = subprocess.run(["lintian", "--allow-root", "--fail-on", "none", "--tag-display-limit", "0", "--info", changes],
                               capture_output=True, text=True).stdout
        assert [line for line in found.splitlines() if re.match("[EWI]: ", line) and not re.search(NOT_HERE, line)] == [], found

    def test_a_binary_only_rebuild_has_a_version_of_its_own_and_names_its_source(self, source):
        changelog = source / "debian/changelog"
        text = changelog.read_text()
        version = re.match(r"mod-wsgi \((.*?)\)", text).group(1)
        date = re.search(r"(?m)^ -- (.*)$", text).group(1)
        changelog.write_text(f"mod-wsgi ({version}+b1) sid; urgency=low, binary-only=yes\n\n  * Rebuilt.\n\n -- {date}\n\n{text}")
        deb, _ = build(source)
        assert field(deb, "Version") == f"{version}+b1" and field(deb, "Source") == f"mod-wsgi ({version})"
        architecture = field(deb, "Architecture")
        assert f"./usr/share/doc/{NAME}/changelog.Debian.{architecture}.gz" in content(deb)
        assert list(source.parent.glob(f"{NAME}-dbgsym_*+b1_*.deb"))

    def test_no_debug_symbols_are_made_when_none_are_wanted(self, source):
        build(source, options="noautodbgsym")
        assert list(source.parent.glob("*-dbgsym_*")) == []

    @pytest.mark.parametrize("how", [{"options": "nodoc"}, {"profiles": "nodoc"}])
    def test_without_documentation_there_is_still_a_copyright_file(self, source, how):
        deb, _ = build(source, **how)
        paths = content(deb)
        assert f"./usr/share/doc/{NAME}/copyright" in paths
        if "options" in how:
            assert not [path for path in paths if "/man/" in path]
        linked = subprocess.run(["dpkg-deb", "--fsys-tarfile", deb], capture_output=True, check=True).stdout
        assert b"Files: crates/" in linked

    def test_its_buildinfo_names_the_packages_and_what_they_were_built_with(self, source):
        deb, _ = build(source)
        text = next(source.parent.glob("*.buildinfo")).read_text()
        assert hashlib.sha256(deb.read_bytes()).hexdigest() in text and f"Binary: {NAME} {NAME}-dbgsym" in text
        assert re.search(r"(?m)^ apache2-dev \(= ", text)


@pytest.mark.parametrize(("options", "profiles", "expected"), [
    ("", "", ["1", "true", "tests"]), ("nocheck", "", ["1", "true"]), ("", "nocheck", ["1", "true"]),
    ("parallel=3 terse", "", ["3", "tests"]), ("terse parallel", PROFILE, ["1"]),
])
def test_the_options_of_a_build_reach_cargo(tmp_path, dsc, options, profiles, expected):
    shutil.copytree(dsc.parent.parent / "debian", tmp_path / "debian")
    (tmp_path / "show.mk").write_text('include debian/rules\nshow:\n\t@echo $$CARGO_BUILD_JOBS $$CARGO_TERM_VERBOSE $(if $(test),tests)\n')
    assert run(["make", "-s", "-f", "show.mk", "show"], tmp_path, DEB_BUILD_OPTIONS=options, DEB_BUILD_PROFILES=profiles).split() == expected
