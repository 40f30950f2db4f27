"""A machine that looks like Fedora, or like openSUSE, to our .rpm: Debian's httpd under their paths and names, installed by dnf.

What the package depends on is real: the interface of httpd, a C library, a Python. Not theirs are the builds of the
three, systemd and SELinux; for those their systems are needed. zypper is in nightly/test_zypper.py.
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


def python_of(root):
    """Return the version of a Debian's Python, as in `3.11`."""
    asked = ["chroot", root, "python3", "-c", "import sys; print('%d.%d' % sys.version_info[:2])"]
    return subprocess.run(asked, capture_output=True, text=True, check=True).stdout.strip()


def c_module(debian):
    """Return the C module of a Debian, which stands for that of a distribution; not installed."""
    debian.run("mkdir -p /opt/theirs && cd /opt/theirs && apt-get -qq download libapache2-mod-wsgi-py3 && dpkg -x *.deb .", online=True)
    return found_c_module(debian.root)


def found_c_module(root):
    """Return the C module that `c_module` has put into a root."""
    # mod_wsgi.so itself is a link with an absolute target.
    return next(Path(root).glob("opt/theirs/usr/lib/apache2/modules/mod_wsgi.so-*"))


def build(name, folder, provides="", **defined):
    """Build the packages of a stand-in's spec below `folder`."""
    spec = folder / f"{name}.spec"
    folder.mkdir(parents=True, exist_ok=True)
    spec.write_text((SPECS / f"{name}.spec").read_text().replace("@PROVIDES@", provides))
    given = {"_topdir": folder / "rpmbuild", "_libdir": "/usr/lib64", "_sourcedir": SPECS, "_buildshell": "/bin/bash", **defined}
    done = subprocess.run(["rpmbuild", "-bb", *(word for key, value in given.items() for word in ("--define", f"{key} {value}")), spec],
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode:
        raise RuntimeError(done.stdout)


def repository(root, folder, packages, httpd="httpd", pythons=None, theirs=()):
    """Make a repository in `folder` of `packages` and of stand-ins, that of httpd by its name, for those of a distribution.

    `pythons` are packages of Python and their versions instead of the one there is, `theirs` the names of the
    distribution's own mod_wsgi and of the C module that they hold.
    """
    here = python_of(root)
    # zypper does nothing to a system without the package glibc.
    names = [*libraries(root), "rtld(GNU_HASH)", "/bin/sh", "glibc", *([] if pythons else [f"python(abi) = {here}"])]
    build(httpd, folder)
    build("system", folder, "\n".join(f"Provides: {name}" for name in names))
    for package, version in (pythons or {}).items():
        build("python", folder, package=package, python=version)
    for package, module in theirs:
        build("mod_wsgi", folder, package=package, module=module, python=here)
    where = folder / "repository"
    where.mkdir()
    for package in [*folder.glob("rpmbuild/RPMS/*/*.rpm"), *packages]:
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
