"""The man pages: that they are well-formed, and that mod_wsgi.conf(5) names what httpd is told and what is documented."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

TOP = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """mod_wsgi.conf(5) as packaging/man makes it."""
    path = tmp_path_factory.mktemp("man") / "mod_wsgi.conf.5"
    path.write_text(subprocess.run([TOP / "packaging/man"], capture_output=True, text=True, check=True).stdout)
    return path


def registered():
    """Return the directives of the table that httpd gets."""
    return set(re.findall(r'c"<?(WSGI\w+)",', (TOP / "src/module/apache/command.rs").read_text()))


def options():
    """Return the options of WSGIDaemonProcess that the parser takes and that have an effect in this release."""
    text = (TOP / "src/core/daemon_options.rs").read_text()
    known = set(re.findall(r'(?m)^ +"([a-z]+(?:-[a-z]+)*)" =>', text))
    # Listed one on each line: those that are named in a warning only.
    return known - set(re.findall(r'(?m)^    "([a-z]+(?:-[a-z]+)*)",$', text))


def paragraphs(page):
    """Return the first line of each entry, without fonts."""
    heads = re.findall(r"(?m)^\.TP\n(.*)$", page.read_text())
    return [re.sub(r"\\f[BRI]|\\&", "", head).replace(r"\-", "-") for head in heads]


def test_it_has_an_entry_for_every_directive_and_for_no_other(page):
    named = {name for head in paragraphs(page) for name in re.findall(r"WSGI\w+", head)}
    assert registered() and named == registered()


def test_it_has_an_entry_for_every_option_of_daemon_processes(page):
    heads = " ".join(paragraphs(page))
    assert options() and [name for name in sorted(options()) if f"{name}=" not in heads] == []


def test_every_line_of_it_is_documented_with_a_meaning(page):
    bodies = re.findall(r"(?m)^\.TP\n.*\n(.*)$", page.read_text())
    assert bodies and all(re.match(r"\S.{10,}", body) for body in bodies)


@pytest.fixture(params=["mod_wsgi.8", "mod_wsgi.conf.5"])
def path(request, page):
    """One of the pages."""
    return page if request.param == page.name else TOP / "docs/man" / request.param


def test_every_directive_says_where_it_may_stand(page):
    entries = re.findall(r"(?ms)^\.TP\n(.*?)(?=^\.TP$|^\.SH |\Z)", page.read_text())
    directives = [entry for entry in entries if re.match(r"\\fB<?WSGI", entry)]
    assert directives and [entry.partition("\n")[0] for entry in directives if r"\fIContext\fR: " not in entry] == []


def test_a_difference_from_the_c_module_stands_with_its_directive_or_option(page):
    text = page.read_text().replace(r"\-", "-")
    for name in ("WSGISocketRotation", "WSGIPythonOptimize", "request-timeout=", "no-new-privileges=", "header-buffer-size="):
        entry = re.search(rf"(?ms)^\.TP\n\\fB{name}.*?(?=^\.TP$|^\.SH )", text)[0]
        assert "Differs from the C module" in entry or "not in the C module" in entry, name


def test_a_page_has_the_sections_that_readers_look_for(path):
    heads = re.findall(r'(?m)^\.SH "?([^"\n]+)', path.read_text())
    expected = ["NAME", "DESCRIPTION", "EXAMPLES", "FILES", "SEE ALSO"]
    if path.name == "mod_wsgi.8":
        expected = ["NAME", "SYNOPSIS", "DESCRIPTION", "EXAMPLES", "ENVIRONMENT", "FILES", "DIAGNOSTICS", "SEE ALSO"]
    assert [head for head in heads if head in expected] == expected


def test_mandoc_finds_no_mistake(path):
    if not shutil.which("mandoc"):
        pytest.skip("needs mandoc")
    checked = subprocess.run(["mandoc", "-T", "lint", "-W", "warning", path], capture_output=True, text=True)
    assert checked.returncode == 0 and checked.stdout == checked.stderr == "", checked.stdout + checked.stderr


def test_a_page_has_no_mistake(path):
    if not shutil.which("groff"):
        pytest.skip("needs groff")
    shown = subprocess.run(["groff", "-man", "-Tutf8", "-ww", path], capture_output=True, text=True)
    # Bold is struck twice, or an escape sequence.
    text = re.sub(r"\x1b\[[0-9;]*m|.\x08", "", shown.stdout)
    assert shown.stderr == "" and "\nNAME\n" in text and "\nSEE ALSO\n" in text
    # No Markdown is left.
    assert "`" not in text and "](" not in text and "| ---" not in text
