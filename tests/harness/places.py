"""Where things are: the repository, the cache that survives a run, and the scratch folder of this run.

Apache's children and the daemon processes run as unprivileged users, so everything they read is in a folder
that everybody may enter.
"""

import atexit
import contextlib
import fcntl
import os
import shutil
import stat
import subprocess
import tempfile
from functools import cache
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
BUILT_MODULE = REPOSITORY / "target" / "mod_wsgi"


def everybody_may_enter(folder: Path) -> bool:
    """True if every folder on the way down to `folder` has the search bit for others."""
    return all(part.stat().st_mode & stat.S_IXOTH for part in [folder, *folder.parents])


@cache
def cache_folder() -> Path:
    """target/cache; if this user cannot write there or others cannot read there, one under the temporary folder."""
    wanted = os.environ.get("WSGI_TEST_CACHE")
    folder = Path(wanted) if wanted else REPOSITORY / "target" / "cache"
    with contextlib.suppress(PermissionError):
        folder.mkdir(parents=True, exist_ok=True)
        if everybody_may_enter(folder) and os.access(folder, os.W_OK):
            return folder
    folder = Path(tempfile.gettempdir()) / f"mod_wsgi-test-cache.{os.getuid()}"
    folder.mkdir(mode=0o755, exist_ok=True)
    if folder.is_symlink() or folder.stat().st_uid != os.getuid():
        raise RuntimeError(f"{folder} belongs to another user; set WSGI_TEST_CACHE to a folder of yours")
    return folder


@cache
def scratch_folder() -> Path:
    """A new folder for this run, removed at its end unless WSGI_TEST_KEEP is set.

    The name is short because Unix socket paths below it must fit into sun_path (104 to 108 bytes).
    """
    folder = Path(tempfile.mkdtemp(prefix="mw.", dir=os.environ.get("WSGI_TEST_SCRATCH", "/tmp")))
    folder.chmod(0o755)
    if os.environ.get("WSGI_TEST_KEEP"):
        print(f"\nscratch folder kept: {folder}")
    else:
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


@contextlib.contextmanager
def made_once(folder: Path):
    """Yields a temporary folder to fill if `folder` is not there yet, else None; parallel workers wait.

    Virtual environments and copied interpreters contain their own path, so the folder is filled in place
    and a stamp beside it says that it is complete.
    """
    stamp = folder.with_name(folder.name + ".complete")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with open(folder.with_name(folder.name + ".lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if stamp.exists() and folder.exists():
            yield None
            return
        shutil.rmtree(folder, ignore_errors=True)
        yield folder
        stamp.touch()


def debian_package(name: str, folder_name: str | None = None) -> Path:
    """The files of a package of this Debian, downloaded and unpacked, never installed."""
    folder = cache_folder() / (folder_name or name)
    with made_once(folder) as fresh:
        if fresh:
            fresh.mkdir()
            download = subprocess.run(["apt-get", "download", name], cwd=fresh, capture_output=True, text=True)
            packages = list(fresh.glob("*.deb"))
            if not packages:
                raise RuntimeError(f"apt-get download {name} failed: {download.stderr.strip()}")
            subprocess.run(["dpkg-deb", "-x", packages[0], fresh / "root"], check=True)
            packages[0].unlink()
            subprocess.run(["chmod", "-R", "a+rX", fresh], check=True)
    return folder / "root"
