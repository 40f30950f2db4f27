"""What each file that names the version has to say: CHANGELOG.md and Cargo.toml are the sources, the others follow.

Used by packaging/set-version, which writes it, and packaging/release-check, which compares.
"""

import re
import textwrap
from datetime import datetime
from email.utils import format_datetime, parsedate_to_datetime
from pathlib import Path

TOP = Path(__file__).resolve().parent.parent
AUTHOR = "The mod_wsgi authors <mod_wsgi@example.org>"
CRATES = ("mod_wsgi", "mod_wsgi_core", "mod_wsgi_host")


class ReleaseError(Exception):
    """A file cannot follow; the text says why."""


def read(name):
    """Return a file of the project."""
    return (TOP / name).read_text()


def replaced(name, pattern, replacement, text=None):
    """Return a file's text with one place replaced."""
    text = read(name) if text is None else text
    new, count = re.subn(pattern, lambda _: replacement, text, count=1, flags=re.M | re.S)
    if not count:
        raise ReleaseError(f"{name} has nothing like {pattern}")
    return new


def current_version():
    """Return the version in Cargo.toml."""
    return re.search(r'(?m)^version = "(.*)"', read("Cargo.toml")).group(1)


def current_date():
    """Return the time of the newest entry in debian/changelog."""
    return parsedate_to_datetime(re.search(r"(?m)^ -- .*>  (.*)$", read("debian/changelog")).group(1))


def notes(version):
    """Return what CHANGELOG.md says of a version, one text for each point."""
    section = re.search(rf"(?ms)^## {re.escape(version)}$(.*?)(?=^## |\Z)", read("CHANGELOG.md"))
    if not section:
        raise ReleaseError(f"CHANGELOG.md has no section '## {version}'")
    points = re.findall(r"(?ms)^- (.*?)(?=^- |^\S|\Z)", section.group(1))
    if not points:
        raise ReleaseError(f"CHANGELOG.md says nothing of {version}")
    return [re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", " ".join(point.split())) for point in points]


def wrapped(points, first, rest):
    """Return the points as lines of a changelog."""
    return "\n".join(textwrap.fill(point, 78, initial_indent=first, subsequent_indent=rest, break_long_words=False, break_on_hyphens=False)
                     for point in points)


def debian_changelog(version, when):
    """Return debian/changelog with an entry for the version in front."""
    entry = (f"mod-wsgi ({version}-1) unstable; urgency=medium\n\n{wrapped(notes(version), '  * ', '    ')}\n\n"
             f" -- {AUTHOR}  {format_datetime(when)}\n")
    older = read("debian/changelog")
    if older.startswith(f"mod-wsgi ({version}-"):
        older = re.sub(r"(?s)\A.*?^ -- [^\n]*\n", "", older, count=1, flags=re.M)
    return entry + ("\n" + older.lstrip("\n") if older.strip() else "")


def spec(version, when):
    """Return the spec with the version and an entry in its changelog."""
    name = "rpm/python3-mod_wsgi.spec"
    text = replaced(name, r"^Version: .*?$", f"Version:        {version}")
    text = replaced(name, r"^Release: .*?$", "Release:        1%{?dist}", text)
    entry = f"* {when:%a %b %d %Y} {AUTHOR} - {version}-1\n{wrapped(notes(version), '- ', '  ')}\n"
    head, older = text.split("%changelog\n")
    older = re.sub(rf"(?ms)\A\* [^\n]* - {re.escape(version)}-\d+\n.*?(?=^\* |\Z)", "", older).lstrip("\n")
    return f"{head}%changelog\n{entry}" + (f"\n{older}" if older else "")


def cargo_lock(version, name, crates):
    """Return a lock file with the version of our own crates in it."""
    text = read(name)
    for crate in crates:
        text = replaced(name, rf'^name = "{crate}"\nversion = "[^"]*"', f'name = "{crate}"\nversion = "{version}"', text)
    return text


def debian_news(version, when):
    """Return debian/NEWS with the date of the changelog: debhelper leaves out what is older than that."""
    text = read("debian/NEWS")
    if text.startswith(f"mod-wsgi ({version}-"):
        text = re.sub(r"(?m)^ -- .*$", f" -- {AUTHOR}  {format_datetime(when)}", text, count=1)
    return text


def files(version, when: datetime):
    """Return {name: text} of every file that has to change for a version."""
    archive = f"releases/download/v{version}/mod_wsgi-{version}.tar.gz"
    return {
        "Cargo.toml": replaced("Cargo.toml", r'^version = "[^"]*"', f'version = "{version}"'),
        "Cargo.lock": cargo_lock(version, "Cargo.lock", CRATES),
        # What is fuzzed is a workspace of its own.
        "tests/fuzz/Cargo.lock": cargo_lock(version, "tests/fuzz/Cargo.lock", ("mod_wsgi_core",)),
        "debian/changelog": debian_changelog(version, when),
        "debian/NEWS": debian_news(version, when),
        "rpm/python3-mod_wsgi.spec": spec(version, when),
        # openSUSE keeps what has changed in a file of its own.
        "rpm/apache2-mod_wsgi.spec": replaced("rpm/apache2-mod_wsgi.spec", r"^Version: .*?$", f"Version:        {version}"),
        "homebrew/Formula/mod_wsgi.rb": replaced("homebrew/Formula/mod_wsgi.rb", r'releases/download/[^"]*', archive),
        "docs/man/mod_wsgi.8": replaced("docs/man/mod_wsgi.8", r"^\.TH .*?$",
                                        f'.TH MOD_WSGI 8 {when:%Y-%m-%d} "mod_wsgi {version}" "System administration"'),
        "stubs/pyproject.toml": replaced("stubs/pyproject.toml", r'^version = "[^"]*"', f'version = "{version}"'),
        "README.md": re.sub(r"libapache2-mod-wsgi-py3_[0-9.]+-1_amd64\.deb", f"libapache2-mod-wsgi-py3_{version}-1_amd64.deb", read("README.md")),
    }
