"""Homebrew's formula, as far as it can be checked without Homebrew."""

import hashlib
import re
import shutil
import subprocess
from pathlib import Path

import pytest

TOP = Path(__file__).resolve().parents[2]
FORMULA = TOP / "homebrew/Formula/mod_wsgi.rb"


def test_it_is_ruby():
    if not shutil.which("ruby"):
        pytest.skip("needs ruby")
    checked = subprocess.run(["ruby", "-wc", FORMULA], capture_output=True, text=True)
    assert checked.stdout == "Syntax OK\n" and checked.stderr == ""


def test_its_style_is_homebrews():
    if not shutil.which("rubocop"):
        pytest.skip("needs rubocop")
    checked = subprocess.run(["rubocop", "--config", TOP / "homebrew/.rubocop.yml", "--cache", "false", FORMULA], capture_output=True, text=True)
    assert checked.returncode == 0, checked.stdout


def test_its_parts_stand_in_homebrews_order():
    parts = re.findall(r"(?m)^  (desc|homepage|url|sha256|license|head|depends_on|uses_from_macos|def install|def caveats|test do)\b", FORMULA.read_text())
    order = ["desc", "homepage", "url", "sha256", "license", "head", "depends_on", "uses_from_macos", "def install", "def caveats", "test do"]
    assert sorted(parts, key=order.index) == parts and set(parts) == set(order)


def test_the_line_for_httpds_configuration_names_what_is_installed():
    text = FORMULA.read_text()
    assert '(lib/"httpd/modules").install "target/mod_wsgi/mod_wsgi.so"' in text
    caveats = re.search(r"(?ms)^  def caveats$(.*?)^  end$", text).group(1)
    assert "LoadModule wsgi_module #{opt_lib}/httpd/modules/mod_wsgi.so\n" in caveats
    # Where the module looks for the hosts: ../../mod_wsgi from its own folder.
    assert '(lib/"mod_wsgi").install' in text


def test_the_tap_that_is_made_has_the_checksum_of_the_archive_that_is_made():
    subprocess.run([TOP / "packaging/build", "brew"], check=True, capture_output=True)
    made = (TOP / "dist/homebrew/Formula/mod_wsgi.rb").read_text()
    archive = TOP / "dist" / re.search(r'(?m)^  url ".*/([^/"]+)"$', made).group(1)
    assert re.search(r'(?m)^  sha256 "(.*)"$', made).group(1) == hashlib.sha256(archive.read_bytes()).hexdigest()
    # The archive does not hold the formula, whose checksum would be another one then.
    listed = subprocess.run(["tar", "-tzf", archive], capture_output=True, text=True, check=True).stdout
    assert "/packaging/compile\n" in listed and "/homebrew" not in listed
