"""Makes what a compiler and a linker need of macOS, out of the wheel of ziglang: headers, and the list of libSystem's symbols."""

import re
import sys
import zipfile
from pathlib import Path

HEADERS = "ziglang/lib/libc/include/any-darwin-any/"
SYMBOLS = "ziglang/lib/libc/darwin/libSystem.tbd"
# Names under which programs ask for parts of libSystem.
PARTS = ("c", "m", "iconv", "pthread")


# The systems that matter, and the names under which lld knows them.
SYSTEMS = {"arm64e-macos": "arm64-macos", "x86_64-macos": "x86_64-macos"}


def those_that_matter(match):
    """Return a list of systems with those of SYSTEMS only."""
    systems = {name.strip() for name in match.group(2).split(",")}
    return f"{match.group(1)}[ {', '.join(ours for name, ours in SYSTEMS.items() if name in systems)} ]"


def main(wheel, folder):
    """Write usr/include and usr/lib, as Apple's SDK has them, into a new folder."""
    include, lib = Path(folder, "usr/include"), Path(folder, "usr/lib")
    lib.mkdir(parents=True)
    with zipfile.ZipFile(wheel) as files:
        for name in files.namelist():
            if name.startswith(HEADERS) and not name.endswith("/"):
                header = include / name.removeprefix(HEADERS)
                header.parent.mkdir(parents=True, exist_ok=True)
                header.write_bytes(files.read(name))
        symbols = files.read(SYMBOLS).decode()
    (lib / "libSystem.tbd").write_text(re.sub(r"(targets: +)\[([^]]*)\]", those_that_matter, symbols))
    for part in PARTS:
        (lib / f"lib{part}.tbd").symlink_to("libSystem.tbd")


if __name__ == "__main__":
    main(*sys.argv[1:])
