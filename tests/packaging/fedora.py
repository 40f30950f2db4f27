"""A machine that looks like Fedora, or like openSUSE, to our .rpm: Debian's httpd under their paths and names, installed by dnf.

What the package depends on is real: the interface of httpd, a C library, a Python. Not theirs are the builds of the
three, systemd and SELinux, and openSUSE's zypper; for those their systems are needed.
"""

import shutil
import subprocess
from pathlib import Path

SPECS = Path(__file__).resolve().parent / "fedora"
TOOLS = ("dnf", "rpm", "rpmbuild", "createrepo_c")
# What of Debian stands in for what.
PACKAGES = "apache2-bin python3"


def why_not():
    """Return why no repository for dnf can be made here, or None."""
    missing = [tool for tool in TOOLS if not shutil.which(tool)]
    return f"needs {', '.join(missing)}" if missing else None


def libraries(root):
    """Return what the libraries of a Debian provide, in rpm's words."""
    found = []
    for pattern in ("libc.so.6", "libm.so.6", "libgcc_s.so.1", "ld-linux-*.so.*"):
        found += [str(path) for path in (root / "usr/lib").glob(f"*-linux-gnu/{pattern}")]
    shown = subprocess.run(["/usr/lib/rpm/find-provides"], input="\n".join(found), capture_output=True, text=True, check=True)
    return sorted(set(shown.stdout.split()))


def repository(root, folder, packages, httpd="httpd"):
    """Make a repository in `folder` of `packages` and of stand-ins, that of httpd by its name, for those of a distribution."""
    python = subprocess.run(["chroot", root, "python3", "-c", "import sys; print('%d.%d' % sys.version_info[:2])"],
                            capture_output=True, text=True, check=True).stdout.strip()
    provides = "\n".join(f"Provides: {name}" for name in [*libraries(root), "rtld(GNU_HASH)", "/bin/sh", f"python(abi) = {python}"])
    top = folder / "rpmbuild"
    for name in (httpd, "system"):
        spec = folder / f"{name}.spec"
        spec.parent.mkdir(parents=True, exist_ok=True)
        spec.write_text((SPECS / f"{name}.spec").read_text().replace("@PROVIDES@", provides))
        done = subprocess.run(["rpmbuild", "-bb", "--define", f"_topdir {top}", "--define", "_libdir /usr/lib64",
                               "--define", f"_sourcedir {SPECS}", "--define", "_buildshell /bin/bash", spec],
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        if done.returncode:
            raise RuntimeError(done.stdout)
    where = folder / "repository"
    where.mkdir()
    for package in [*top.glob("RPMS/*/*.rpm"), *packages]:
        shutil.copy(package, where)
    index(where)
    return where


def index(folder):
    """Write the index of a repository."""
    subprocess.run(["createrepo_c", "--quiet", folder], check=True)


class Dnf:
    """dnf and rpm of this machine, acting on a root folder in the namespaces of a machine."""

    def __init__(self, debian, repository, scratch):
        self.debian = debian
        self.repository = repository
        for name in ("cache", "log", "persist"):
            (scratch / name).mkdir(parents=True, exist_ok=True)
        options = {"reposdir": "/nonexistent", "cachedir": scratch / "cache", "logdir": scratch / "log", "persistdir": scratch / "persist",
                   "gpgcheck": 0, "install_weak_deps": 0, "metadata_expire": 0}
        self.command = ["dnf", "-y", "--quiet", f"--installroot={debian.root}", "--releasever=1", "--noplugins",
                        *(f"--setopt={name}={value}" for name, value in options.items()),
                        f"--repofrompath=local,file://{repository}", "--repo=local"]

    def _run(self, command, check=True):
        # With --root this works within a chroot, too: the root of the namespace is another one there.
        join = ["nsenter", "--target", str(self.debian.first), "--root", "--mount", "--net"]
        done = subprocess.run([*join, *command], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        if check and done.returncode:
            raise RuntimeError(f"{' '.join(map(str, command))}: exit {done.returncode}\n{done.stdout}")
        return done.stdout

    def __call__(self, *arguments):
        """Run dnf."""
        return self._run([*self.command, *arguments])

    def rpm(self, *arguments, check=True):
        """Run rpm and return what it printed."""
        return self._run(["rpm", "--root", self.debian.root, *arguments], check)
