"""What stands beside the packages in dist/: sums, debug symbols, the list of what is linked in; and the libraries' hardening."""

import hashlib
import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from conftest import ARCHITECTURE, BINUTILS, COMPILED, MACHINE, NAME, newest

TOP = Path(__file__).resolve().parents[2]
DIST = TOP / "dist"
LIBRARIES = ["mod_wsgi.so", *(f"mod_wsgi_host.cpython-{version}.so" for version in ("310", "311", "312", "313", "314", "314t"))]
# What the README promises.
INSTALLED_LIMIT = 15 * 1024 * 1024


def readelf(*arguments):
    """Return what readelf prints."""
    return subprocess.run(["readelf", "--wide", *arguments], capture_output=True, text=True, check=True).stdout


def build_ids():
    """Return {build id: library} of what packaging/compile made."""
    return {re.search(r"Build ID: ([0-9a-f]+)", readelf("--notes", COMPILED / name)).group(1): name for name in LIBRARIES}


@pytest.fixture(scope="module")
def dbgsym(tmp_path_factory):
    """The debug symbols for Debian as a folder."""
    folder = tmp_path_factory.mktemp("dbgsym") / "package"
    subprocess.run(["dpkg-deb", "-R", newest(f"{NAME}-dbgsym_*_{ARCHITECTURE}.deb", "deb"), folder], check=True)
    return folder


def test_every_file_in_dist_has_its_sum():
    listed = dict(reversed(line.split("  ")) for line in (DIST / "SHA256SUMS").read_text().splitlines())
    files = {path.name for path in DIST.iterdir() if path.is_file() and path.name != "SHA256SUMS"}
    assert set(listed) == files
    for name, checksum in listed.items():
        assert hashlib.sha256((DIST / name).read_bytes()).hexdigest() == checksum, name


def test_the_same_files_make_the_same_packages():
    kept = [*DIST.glob("*.deb"), *DIST.glob("*.rpm"), *DIST.glob("*.cdx.json")]
    before = {path: path.read_bytes() for path in kept}
    assert {path.suffix for path in before} == {".deb", ".rpm", ".json"}
    subprocess.run([TOP / "packaging/build", "deb", "rpm", "--no-compile", "--arch", ARCHITECTURE], check=True, capture_output=True)
    assert [path.name for path in kept if path.read_bytes() != before[path]] == []


def test_there_is_debug_information_for_every_library(dbgsym):
    folder = dbgsym / "usr/lib/debug/.build-id"
    found = {f"{path.parent.name}{path.stem}": path for path in folder.glob("*/*.debug")}
    assert set(found) == set(build_ids())
    for path in found.values():
        assert ".debug_line" in readelf("--sections", path), path
    control = (dbgsym / "DEBIAN/control").read_text()
    assert set(re.search(r"(?m)^Build-Ids: (.*)$", control).group(1).split()) == set(found)
    assert re.search(rf"(?m)^Depends: {NAME} \(= ", control)


def test_a_debugger_finds_the_line_of_a_function_with_the_debug_symbols(dbgsym):
    # The address of the record's hook function, looked up in the debug information alone.
    identity = next(key for key, name in build_ids().items() if name == "mod_wsgi.so")
    debug = dbgsym / f"usr/lib/debug/.build-id/{identity[:2]}/{identity[2:]}.debug"
    symbols = subprocess.run([f"{BINUTILS}nm", debug], capture_output=True, text=True, check=True).stdout
    address = next(line.split()[0] for line in symbols.splitlines() if re.search(r" t .*hook_handler", line))
    place = subprocess.run([f"{BINUTILS}addr2line", "--exe", debug, address], capture_output=True, text=True, check=True).stdout
    assert place.startswith("/usr/src/mod_wsgi/src/"), place


def test_lintian_finds_no_error_in_the_debug_symbols():
    if not shutil.which("lintian"):
        pytest.skip("needs lintian")
    found = subprocess.run(["lintian", "--allow-root", "--fail-on", "none", newest(f"{NAME}-dbgsym_*_{ARCHITECTURE}.deb", "deb")],
                           capture_output=True, text=True)
    assert [line for line in found.stdout.splitlines() if re.match(r"[EW]: ", line)] == []


def test_the_debug_information_for_fedora_is_the_same(dbgsym):
    rpm = newest(f"python3-mod_wsgi-debuginfo-*.{MACHINE}.rpm", "rpm")
    listed = subprocess.run(["rpm", "-qp", "--qf", "[%{FILENAMES} %{FILEDIGESTS}\n]", rpm], capture_output=True, text=True, check=True).stdout
    for path, digest in (line.split() for line in listed.splitlines()):
        assert hashlib.sha256((dbgsym / path.removeprefix("/")).read_bytes()).hexdigest() == digest, path
    assert len(listed.splitlines()) == len(LIBRARIES)


def test_the_list_of_what_is_linked_in_names_every_crate_with_its_checksum():
    document = json.loads(newest(f"mod_wsgi-*-{MACHINE}.cdx.json", "deb").read_text())
    assert document["bomFormat"] == "CycloneDX"
    named = {(component["name"], component["version"]) for component in document["components"]}
    tree = subprocess.run(
        ["cargo", "tree", "--locked", "-p", "mod_wsgi", "-p", "mod_wsgi_host", "-e", "normal,no-proc-macro", "--prefix", "none"],
        cwd=TOP, capture_output=True, text=True, check=True,
    ).stdout
    linked = {(line.split()[0], line.split()[1].removeprefix("v")) for line in tree.splitlines() if line.strip()}
    assert linked <= named
    for component in document["components"]:
        assert component["name"].startswith("mod_wsgi") or component["hashes"][0]["alg"] == "SHA-256", component["name"]
        assert component["licenses"], component["name"]
    references = {component["bom-ref"] for component in document["components"]} | {"package"}
    assert {edge["ref"] for edge in document["dependencies"]} <= references
    assert str(TOP) not in json.dumps(document)


@pytest.mark.parametrize("library", LIBRARIES)
def test_a_library_is_hardened(library):
    path = COMPILED / library
    headers, dynamic = readelf("--program-headers", path), readelf("--dynamic", path)
    # Relocations are read-only before anything of it runs.
    assert "GNU_RELRO" in headers and re.search(r"BIND_NOW|\bNOW\b", dynamic)
    # No page is ever writable and executable: SELinux forbids it.
    assert not re.search(r"LOAD .* RWE ", headers)
    if not shutil.which("hardening-check"):
        pytest.skip("needs hardening-check for the rest")
    # The rest of what it looks for is about C, of which there is only a shim of a few calls: rustc puts no arrays on the stack that C
    # would protect, calls no function that the C library has a checked variant of, and does not mark its functions.
    checked = subprocess.run(["hardening-check", path], capture_output=True, text=True).stdout
    for what in ("Position Independent Executable", "Read-only relocations", "Immediate binding"):
        assert f" {what}: yes" in checked, checked


def test_the_package_is_as_large_as_the_readme_says(deb):
    told = re.search(r"Size of the package: ([\d.]+) MB", (TOP / "README.md").read_text())
    assert told, "README.md tells no size"
    assert abs(deb.stat().st_size / 1e6 - float(told[1])) < 0.15, f"README.md says {told[0]}, it is {deb.stat().st_size / 1e6:.2f} MB"


def test_an_installation_is_small(unpacked):
    size = sum(path.stat().st_size for path in unpacked.rglob("*") if path.is_file() and "DEBIAN" not in path.parts)
    assert size < INSTALLED_LIMIT
    told = re.search(r"(?m)installed: (\d+) to (\d+) MB", (TOP / "README.md").read_text())
    assert told, "README.md tells no size"
    least, most = map(int, told.groups())
    assert least <= size / 1e6 <= most, f"README.md says {told[0]}, it is {size / 1e6:.1f} MB"
