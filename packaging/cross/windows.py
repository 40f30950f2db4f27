"""Makes what a compiler and a linker need of httpd for Windows: its headers, and an import library for each of its three DLLs.

The headers are Debian's, with those in which APR says what Windows is out of APR's own sources. A DLL exports what its
headers declare.
"""

import re
import subprocess
import sys
import tarfile
from pathlib import Path

COMPILER = "x86_64-w64-mingw32-"
DEBIAN = Path("/usr/include/apache2")
# Sources, and the DLL that is made of them. What APR calls NAME.hw is NAME.h on Windows.
LIBRARIES = {"apr": "libapr-1", "apr-util": "libaprutil-1"}
HTTPD = "libhttpd"
# How a declaration says that it is a DLL's.
IMPORTED = "__attribute__((dllimport))"
# What httpd has for Unix only, or as its configure script finds it there.
OURS = {
    "os.h": '#include <apr.h>\n#include <ap_config.h>\n#define PLATFORM "Win32"\n',
    "ap_config_auto.h": "",
}
UNIX = ["unixd.h"]


def headers(sources, include):
    """Write the headers; answer which DLL has what each of them declares."""
    owners = {}
    for header in DEBIAN.glob("*.h"):
        if header.name not in UNIX:
            (include / header.name).write_bytes(header.read_bytes())
            owners[header.name] = HTTPD
    for name, text in OURS.items():
        (include / name).write_text(text)
    for source, library in LIBRARIES.items():
        # Beside each archive lies its signature.
        (archive,) = (file for file in Path(sources).glob(f"{source}_*.orig.tar.*") if file.suffix != ".asc")
        found = {}
        with tarfile.open(archive) as files:
            for member in files:
                place = Path(member.name)
                if member.isfile() and place.parts[1:-1] == ("include",) and place.suffix in (".h", ".hw"):
                    found[place.suffix, place.stem] = files.extractfile(member).read()
        # Those for Windows last.
        for (_suffix, stem), content in sorted(found.items()):
            (include / f"{stem}.h").write_bytes(content)
            owners[f"{stem}.h"] = library
    return owners


def declarations(include, wrapper):
    """Yield the header, the name, and whether it is data, of everything that headers declare as a DLL's."""
    text = subprocess.run(
        [f"{COMPILER}gcc", "-E", f"-I{include}", wrapper], stdout=subprocess.PIPE, text=True, check=True,
    ).stdout
    place, statement = None, ""
    for line in text.splitlines():
        if line.startswith("#"):
            mark = re.match(r'# \d+ "(.*?)"', line)
            place = Path(mark[1]) if mark else place
            continue
        statement += line + " "
        if not line.rstrip().endswith((";", "{", "}")):
            continue
        for part in statement.split(";") if place and place.parent == include else []:
            _before, mark, declared = part.rpartition(IMPORTED)
            if mark:
                declared = re.sub(r"__attribute__\s*\(\((?:[^()]|\([^()]*\))*\)\)", " ", declared)
                head, parenthesis, _rest = declared.partition("(")
                yield place.name, re.findall(r"\w+", head.partition("[")[0])[-1], not parenthesis
        statement = ""


def main(sources, wrapper, folder):
    """Write include and lib, as httpd for Windows has them, into a new folder."""
    include, lib = Path(folder, "include"), Path(folder, "lib")
    include.mkdir(parents=True)
    lib.mkdir()
    owners = headers(sources, include)
    exports = {library: set() for library in owners.values()}
    for header, name, is_data in declarations(include, wrapper):
        exports[owners[header]].add(f"{name} DATA" if is_data else name)
    for library, names in exports.items():
        (lib / f"{library}.def").write_text("\n".join([f"LIBRARY {library}.dll", "EXPORTS", *sorted(names)]) + "\n")
        # It makes files of its own where it stands.
        subprocess.run([f"{COMPILER}dlltool", "-d", f"{library}.def", "-l", f"{library}.lib"], cwd=lib, check=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
