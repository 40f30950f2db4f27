"""The shared libraries as files: what they export, what they link, and that httpd may load them again and again."""

import re
import subprocess

import pytest
from conftest import BINUTILS, COMPILED as BUILT

HOSTS = [f"mod_wsgi_host.cpython-{version}.so" for version in ("310", "311", "312", "313", "314", "314t")]


@pytest.fixture(scope="module")
def module():
    """The module that packaging/compile made."""
    path = BUILT / "mod_wsgi.so"
    if not path.exists():
        pytest.fail(f"{path} is missing: run packaging/compile or, for another architecture, packaging/build --arch")
    return path


def readelf(*arguments):
    """Return what readelf prints."""
    return subprocess.run(["readelf", "--wide", *arguments], capture_output=True, text=True, check=True).stdout


def exported(path):
    """Return the names that a shared library offers to others."""
    shown = subprocess.run([f"{BINUTILS}nm", "--dynamic", "--defined-only", path], capture_output=True, text=True, check=True).stdout
    return {line.split()[-1].split("@")[0] for line in shown.splitlines()}


def needed(path):
    """Return the libraries that a shared library links."""
    return set(re.findall(r"\(NEEDED\).*\[(.*)\]", readelf("--dynamic", path)))


def test_the_module_exports_its_record_and_nothing_else(module):
    assert exported(module) == {"wsgi_module"}


def test_the_module_is_called_mod_wsgi_c(module):
    # Debian's and everybody's <IfModule mod_wsgi.c> asks for this name.
    assert b"\0mod_wsgi.c\0" in module.read_bytes()


def test_the_module_links_neither_python_nor_anything_that_the_c_library_does_not_bring(module):
    assert needed(module) <= {"libc.so.6", "libm.so.6", "libgcc_s.so.1", "ld-linux-x86-64.so.2", "ld-linux-aarch64.so.1"}


def test_the_module_stays_mapped_when_httpd_unloads_it(module):
    assert "NODELETE" in readelf("--dynamic", module)


def test_there_is_a_host_for_every_python_and_a_start_script(module):
    files = {path.name for path in BUILT.iterdir()}
    assert {path for path in files if path.startswith("mod_wsgi_host.")} == set(HOSTS)
    assert "mod_wsgi_daemon.py" in files


@pytest.mark.parametrize("host", HOSTS)
def test_a_host_exports_little_and_links_no_python(module, host):
    names = exported(BUILT / host)
    assert names and all(re.match(r"(PyInit_)?_?mod_wsgi", name) for name in names), names
    assert not [library for library in needed(BUILT / host) if "python" in library]


@pytest.mark.parametrize("file", ["mod_wsgi.so", *HOSTS])
def test_no_file_searches_for_libraries_in_a_place_of_its_own(module, file):
    assert not re.search(r"RPATH|RUNPATH", readelf("--dynamic", BUILT / file))


@pytest.mark.parametrize("file", ["mod_wsgi.so", *HOSTS])
def test_no_file_has_an_executable_stack_or_relocations_in_its_text(module, file):
    assert re.search(r"GNU_STACK\s+\S+ \S+ \S+ \S+ \S+ RW ", readelf("--program-headers", BUILT / file))
    assert "TEXTREL" not in readelf("--dynamic", BUILT / file)
