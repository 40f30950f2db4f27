"""The CPythons of this machine, and virtual environments made from them, where every user can run them.

Interpreters are found in /usr/bin, in pyenv's folder of the current user, and in WSGI_TEST_PYTHONS (executables,
separated by colons). One that other users cannot reach is copied, with its library, into the cache.
"""

import hashlib
import os
import re
import shutil
import subprocess
from functools import cache
from pathlib import Path

from . import places

HOSTED = ((3, 10), (3, 14))
"""The oldest and the newest version that mod_wsgi hosts."""

NOT_COPIED = shutil.ignore_patterns("__pycache__", "test", "tests", "site-packages", "*.a", "idlelib", "turtledemo",
                                    "share", "include", "lib2to3", "tkinter")


def run(*command, **options) -> str:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, env=environment, **options)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(map(str, command))} failed:\n{done.stdout}{done.stderr}")
    return done.stdout.strip()


@cache
def version_of(python: Path) -> tuple[int, int]:
    major, minor = run(python, "-c", "import sys; print(*sys.version_info[:2])").split()
    return int(major), int(minor)


@cache
def is_free_threaded(python: Path) -> bool:
    return run(python, "-c", "import sys; print('t' in sys.abiflags)") == "True"


def run_without_lock() -> bool:
    """Whether the tests of this run have a free-threaded Python, and WSGI_TEST_DIRECTIVES let it be one."""
    return "WSGIFreeThreading On" in os.environ.get("WSGI_TEST_DIRECTIVES", "") and is_free_threaded(system())


@cache
def system() -> Path:
    """The distribution's python3, which is also the Python of Debian's C module."""
    return Path(os.environ.get("WSGI_TEST_PYTHON", "/usr/bin/python3"))


@cache
def all_found() -> dict[tuple[int, int], Path]:
    """Every CPython 3 by version, the distribution's first; not yet copied."""
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    candidates = [system(), *map(Path, filter(None, os.environ.get("WSGI_TEST_PYTHONS", "").split(":")))]
    for folder in (Path("/usr/bin"), Path("/usr/local/bin"), *sorted(pyenv.glob("*/bin"))):
        candidates += [path for path in sorted(folder.glob("python3.*")) if re.fullmatch(r"python3\.\d+", path.name)]
    found: dict[tuple[int, int], Path] = {}
    for python in candidates:
        if python.exists():
            found.setdefault(version_of(python), python)
    return found


def hosted() -> dict[tuple[int, int], Path]:
    return {version: python for version, python in all_found().items() if HOSTED[0] <= version <= HOSTED[1]}


def with_locks_of_their_own() -> Path:
    """A Python whose sub-interpreters can have locks of their own: the oldest one. Without one the test is skipped."""
    newer = {version: python for version, python in hosted().items() if version >= (3, 12)}
    if not newer:
        # The benchmarks use the rest of this without it.
        import pytest
        pytest.skip("needs a CPython of at least 3.12, found none; name one in WSGI_TEST_PYTHONS")
    return newer[min(newer)]


def unsupported() -> dict[tuple[int, int], Path]:
    return {version: python for version, python in all_found().items() if version < HOSTED[0]}


@cache
def for_everybody(python: Path) -> Path:
    """The same interpreter where every user can run it: itself, or a copy of its tree."""
    real = python.resolve()
    if places.everybody_may_enter(real.parent):
        return python
    prefix = Path(run(python, "-c", "import sys; print(sys.base_prefix)"))
    copy = places.cache_folder() / "pythons" / prefix.name
    with places.made_once(copy) as fresh:
        if fresh:
            shutil.copytree(prefix, fresh, symlinks=True, ignore=NOT_COPIED)
            for file in [*(fresh / "bin").iterdir(), *(fresh / "lib").glob("libpython*")]:
                if file.is_file() and not file.is_symlink():
                    _look_for_libraries_beside(file, prefix / "lib")
            run("chmod", "-R", "a+rX", fresh)
    return copy / "bin" / real.name


def _look_for_libraries_beside(file: Path, library_folder: Path) -> None:
    """Replaces an absolute run path by one relative to the file, within the space that the old one took."""
    old, new = os.fsencode(library_folder), b"$ORIGIN/../lib"
    content = file.read_bytes()
    if not content.startswith(b"\x7fELF") or b"\0" + old + b"\0" not in content:
        return
    if len(new) > len(old):
        raise RuntimeError(f"no room for a relative run path in {file}")
    file.write_bytes(content.replace(b"\0" + old + b"\0", b"\0" + new.ljust(len(old), b"\0") + b"\0"))


def virtualenv(python: Path, *requirements: str) -> Path:
    """A virtual environment with these packages, made once and then taken from the cache."""
    base = for_everybody(python)
    version = ".".join(map(str, version_of(base)))
    key = hashlib.sha256(repr((str(base), sorted(requirements))).encode()).hexdigest()[:12]
    folder = places.cache_folder() / "venvs" / f"{version}-{key}"
    with places.made_once(folder) as fresh:
        if fresh:
            if requirements:
                run(base, "-m", "venv", fresh)
                run(fresh / "bin" / "pip", "install", "--quiet", *requirements)
            else:
                run(base, "-m", "venv", "--without-pip", fresh)
            run("chmod", "-R", "a+rX", fresh)
    return folder
