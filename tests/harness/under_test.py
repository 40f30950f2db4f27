"""Which mod_wsgi the tests load: `ours` from the build tree, or the C module.

WSGI_UNDER_TEST=ours|theirs|pip chooses. `theirs` is Debian's package, unpacked and never installed;
WSGI_THEIRS=/path/to/mod_wsgi.so takes another build of the C module instead. `pip` is the release that pip compiles.
"""

import os
import re
import shutil
import subprocess
from functools import cache
from pathlib import Path

from . import interpreters, places

UNDER_TEST = os.environ.get("WSGI_UNDER_TEST", "ours")
OURS = UNDER_TEST == "ours"
THEIRS_PACKAGE = "libapache2-mod-wsgi-py3"

if UNDER_TEST not in ("ours", "theirs", "pip"):
    raise RuntimeError(f"WSGI_UNDER_TEST is {UNDER_TEST!r}; it must be ours, theirs or pip")


@cache
def module(which: str = UNDER_TEST) -> Path:
    """The mod_wsgi.so to load, in a folder that Apache's children can read."""
    return {"ours": ours, "theirs": theirs, "pip": pip}[which]()


@cache
def version() -> tuple[int, ...]:
    """The version that the module under test announces in the server's banner, read from its strings."""
    if OURS:
        return (7, 0, 0)
    found = re.search(rb"\0([4-9])\.(\d+)\.(\d+)\0", module().read_bytes())  # 3.x.y would be Python's
    return tuple(map(int, found.groups())) if found else (0,)


def ours() -> Path:
    built = Path(os.environ.get("WSGI_OURS", places.BUILT_MODULE / "mod_wsgi.so"))
    if not built.exists():
        raise RuntimeError(f"{built} does not exist: run packaging/compile first, or set WSGI_UNDER_TEST=theirs")
    copy = places.scratch_folder() / "module"
    shutil.copytree(built.parent, copy)
    subprocess.run(["chmod", "-R", "a+rX", copy], check=True)
    return copy / built.name


PIP_RELEASE = "mod_wsgi==6.1.1"
"""The release of the C module that our behaviour is taken from; Debian's is older."""


def pip() -> Path:
    """That release, compiled by pip for the distribution's Python; needs apache2-dev and python3-dev."""
    # A cached wheel may be for another Python of the same version.
    made = interpreters.virtualenv(interpreters.system(), "--no-cache-dir", PIP_RELEASE)
    return next(made.glob("lib/python3*/site-packages/mod_wsgi/server/*.so"))


def theirs() -> Path:
    if given := os.environ.get("WSGI_THEIRS"):
        return Path(given)
    root = places.debian_package(THEIRS_PACKAGE, "theirs")
    built = sorted(root.rglob("mod_wsgi.so*"), key=lambda path: path.is_symlink())
    return built[0]
