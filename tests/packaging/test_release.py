"""packaging/set-version and packaging/release-check, on a copy of the project."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

TOP = Path(__file__).resolve().parents[2]
FOLLOWERS = ["Cargo.toml", "Cargo.lock", "tests/fuzz/Cargo.lock", "debian/changelog", "rpm/python3-mod_wsgi.spec", "rpm/apache2-mod_wsgi.spec", "homebrew/Formula/mod_wsgi.rb",
             "docs/man/mod_wsgi.8", "stubs/pyproject.toml", "README.md"]
PACKAGES = [f"{name}{part}-7.1.0-1.{machine}.rpm" for name in ("python3-mod_wsgi", "apache2-mod_wsgi") for part in ("", "-debuginfo") for machine in ("x86_64", "aarch64")]
PACKAGES += [f"libapache2-mod-wsgi-py3{part}_7.1.0-1_{arch}.deb" for part in ("", "-dbgsym") for arch in ("amd64", "arm64")]
PACKAGES += [f"mod_wsgi-7.1.0-{machine}.cdx.json" for machine in ("x86_64", "aarch64")]
DAY = {"SOURCE_DATE_EPOCH": "1900000000"}


@pytest.fixture
def project(tmp_path):
    """A copy of what the two commands read, as a repository with one commit."""
    folder = tmp_path / "project"
    for name in [*FOLLOWERS, "CHANGELOG.md", "debian/NEWS"]:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(TOP / name, folder / name)
    shutil.copytree(TOP / "packaging", folder / "packaging", ignore=shutil.ignore_patterns("__pycache__"))
    (folder / ".gitignore").write_text("__pycache__/\n/dist/\n")
    commit(folder)
    return folder


def run(folder, *command):
    """Run a command in a folder."""
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, env={**os.environ, **DAY, "PYTHONDONTWRITEBYTECODE": "1"})


def commit(folder):
    """Commit everything."""
    for command in (["init", "-q"], ["add", "-A"],
                    ["-c", "user.name=test", "-c", "user.email=test@example.org", "commit", "-qm", "test", "--allow-empty"]):
        assert run(folder, "git", *command).returncode == 0


def add_notes(folder, version="7.1.0", text="- Something that [docs](docs/x.md) explains,\n  in two lines.\n- And more.\n"):
    """Write of a new version into CHANGELOG.md."""
    path = folder / "CHANGELOG.md"
    path.write_text(path.read_text().replace("\n## ", f"\n## {version}\n\nFor everybody:\n\n{text}\n## ", 1))


def set_version(folder, version="7.1.0"):
    """Run packaging/set-version."""
    return run(folder, "packaging/set-version", version)


def test_a_version_is_set_everywhere(project):
    add_notes(project)
    done = set_version(project)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == FOLLOWERS
    assert (project / "debian/changelog").read_text().startswith(
        "mod-wsgi (7.1.0-1) unstable; urgency=medium\n\n  * Something that docs explains, in two lines.\n  * And more.\n\n -- ")
    assert "mod-wsgi (7.0.0-1)" in (project / "debian/changelog").read_text()
    assert "\n- Something that docs explains, in two lines.\n- And more.\n\n* " in (project / "rpm/python3-mod_wsgi.spec").read_text()
    assert (project / "Cargo.lock").read_text().count('version = "7.1.0"') >= 3
    parsed = subprocess.run(["dpkg-parsechangelog", "-l", project / "debian/changelog", "-S", "Version"], capture_output=True, text=True)
    assert (parsed.stdout, parsed.stderr) == ("7.1.0-1\n", "")
    assert run(project, "packaging/release-check").returncode == 0


def test_setting_it_again_changes_nothing(project):
    add_notes(project)
    set_version(project)
    assert set_version(project).stdout == ""


def test_a_version_without_notes_is_refused_and_nothing_is_written(project):
    refused = set_version(project, "7.1.0")
    assert refused.returncode != 0 and "CHANGELOG.md has no section '## 7.1.0'" in refused.stderr
    assert run(project, "git", "status", "--porcelain").stdout == ""


@pytest.mark.parametrize(("name", "old", "new"), [
    ("Cargo.lock", 'name = "mod_wsgi"\nversion = "7.1.0"', 'name = "mod_wsgi"\nversion = "7.0.9"'),
    ("tests/fuzz/Cargo.lock", 'name = "mod_wsgi_core"\nversion = "7.1.0"', 'name = "mod_wsgi_core"\nversion = "7.0.9"'),
    ("debian/changelog", "(7.1.0-1)", "(7.0.9-1)"),
    ("debian/changelog", "And more.", "And less."),
    ("rpm/python3-mod_wsgi.spec", "Version:        7.1.0", "Version:        7.0.9"),
    ("rpm/python3-mod_wsgi.spec", "- And more.", "- And less."),
    ("rpm/apache2-mod_wsgi.spec", "Version:        7.1.0", "Version:        7.0.9"),
    ("homebrew/Formula/mod_wsgi.rb", "v7.1.0", "v7.0.9"),
    ("docs/man/mod_wsgi.8", "mod_wsgi 7.1.0", "mod_wsgi 7.0.9"),
])
def test_a_file_that_disagrees_is_refused(project, name, old, new):
    add_notes(project)
    set_version(project)
    path = project / name
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new, 1))
    refused = run(project, "packaging/release-check")
    assert refused.returncode == 1 and f"{name} is not what" in refused.stderr


def test_a_tag_that_is_not_the_version_or_not_the_last_commit_is_refused(project):
    add_notes(project)
    set_version(project)
    commit(project)
    run(project, "git", "tag", "v7.0.9")
    said = run(project, "packaging/release-check", "--tag", "v7.0.9")
    assert said.returncode == 1 and "the tag v7.0.9 is not v7.1.0" in said.stderr
    run(project, "git", "tag", "v7.1.0")
    commit(project)
    assert "names another commit" in run(project, "packaging/release-check", "--tag", "v7.1.0").stderr
    (project / "README.md").write_text("changed")
    assert "not everything is committed" in run(project, "packaging/release-check", "--tag", "v7.1.0").stderr


def test_a_release_needs_pinned_images_and_its_packages(project):
    add_notes(project)
    set_version(project)
    matrix = project / "packaging/platforms.toml"
    pinned = matrix.read_text()
    matrix.write_text(re.sub(r'digest = ".*"', 'digest = ""', pinned))
    assert "has no digest" in run(project, "packaging/release-check", "--tag", "v7.1.0").stderr
    matrix.write_text(pinned)
    commit(project)
    run(project, "git", "tag", "v7.1.0")
    said = run(project, "packaging/release-check", "--tag", "v7.1.0").stderr
    assert "has no digest" not in said and "dist/ holds no python3-mod_wsgi-7.1.0-1.aarch64.rpm" in said
    dist = project / "dist"
    (dist / "homebrew/Formula").mkdir(parents=True)
    for name in [*PACKAGES, "mod_wsgi-7.1.0.tar.gz"]:
        (dist / name).write_text(name)
    sums = run(dist, "sh", "-c", "sha256sum mod* lib* pyth* apache2*").stdout
    (dist / "SHA256SUMS").write_text(sums)
    archive = re.search(r"(\w+)  mod_wsgi-7.1.0.tar.gz", sums).group(1)
    (dist / "homebrew/Formula/mod_wsgi.rb").write_text(f'sha256 "{archive}"')
    passed = run(project, "packaging/release-check", "--tag", "v7.1.0")
    assert (passed.returncode, passed.stdout) == (0, "7.1.0: all files agree\n"), passed.stderr
    (dist / "another.rpm").write_text("of another version")
    assert "SHA256SUMS says nothing of another.rpm" in run(project, "packaging/release-check", "--tag", "v7.1.0").stderr
    (dist / "another.rpm").unlink()
    (dist / "mod_wsgi-7.1.0.tar.gz").write_text("another")
    refused = run(project, "packaging/release-check", "--tag", "v7.1.0").stderr
    assert "SHA256SUMS is wrong about mod_wsgi-7.1.0.tar.gz" in refused and "has not the checksum" in refused


def test_no_other_file_holds_the_version():
    """What is not made to follow would be forgotten. Texts, and tests that set versions, may name one that was."""
    if not (TOP / ".git").exists():
        pytest.skip("this is no clone, so it has no list of the files of the project")
    version = re.search(r'(?m)^version = "(.*)"', (TOP / "Cargo.toml").read_text()).group(1)
    listed = subprocess.run(["git", "-c", f"safe.directory={TOP}", "ls-files", "-z"], cwd=TOP, capture_output=True, text=True, check=True).stdout.split("\0")
    named = re.compile(rf"(?<![\d.]){re.escape(version)}(?![\d.])")
    holding = {name for name in listed if name and (TOP / name).is_file() and named.search((TOP / name).read_text(errors="replace"))}
    assert {name for name in holding if not re.match(r"tests/packaging/test_|debian/NEWS$|[\w/-]+\.md$", name)} <= set(FOLLOWERS)


def test_the_news_of_a_version_are_as_new_as_its_changelog(project):
    """Else debhelper leaves them out of the package."""
    news = project / "debian/NEWS"
    older = news.read_text()
    news.write_text(re.sub(r"\(.*?\)", "(7.1.0-1)", older, count=1) + "\n" + older)
    add_notes(project)
    set_version(project)
    dates = [re.search(r"(?m)^ -- .*>  (.*)$", (project / f"debian/{name}").read_text()).group(1) for name in ("NEWS", "changelog")]
    assert dates[0] == dates[1] and "2030" in dates[0]
    assert news.read_text().endswith(older)
