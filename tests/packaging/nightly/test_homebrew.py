"""The formula's `install` and `test` run, in Homebrew's folders on a Debian, with httpd and APR compiled as Homebrew does.

A stand-in for Homebrew's language runs them, tests/packaging/brew.rb. Not Homebrew's are the builds of Python and Rust,
which are Debian's, the wrappers of compilers and the sandbox; of macOS nothing is here. Slow: compiles httpd, the module, the hosts.
"""

import os
import re
import subprocess
import sys

import machine
import pytest
from conftest import MATRIX, newest

FORMULA = machine.TOP / "homebrew/Formula/mod_wsgi.rb"
PYTHON = re.search(r'depends_on "python@(.*)"', FORMULA.read_text()).group(1)
# The Debian whose Python is the one that the formula depends on.
SUITE = next((platform["suite"] for platform in MATRIX if platform["python"] == PYTHON and "suite" in platform), None)
# A source archive that holds those of httpd and APR.
HTTPD = "2.4.69"
SOURCES = machine.CACHE / f"mod_wsgi_httpd-{HTTPD}.1.tar.gz"
PREFIX = "/home/linuxbrew/.linuxbrew"
CARGO_HOME = "/home/linuxbrew/.cache/Homebrew/cargo_cache"

# As root: the formulas that ours depends on, each with its link in opt. $1 is the prefix, $2 the version of Python.
DEPENDENCIES = r"""
set -e
keg() { mkdir -p "$1/Cellar/$2/$3" "$1/opt"; ln -s "../Cellar/$2/$3" "$1/opt/$2"; }
build() { (cd "/build/$1" && shift && ./configure --quiet "$@" && make -s -j2 && make -s install) >/build/log 2>&1 || { tail /build/log; exit 1; }; }
cd /build
tar -xzf sources.tar.gz --strip-components=1
for name in apr apr-util httpd; do
    set -- "$1" "$2" "$(ls upstream | sed -n "s/^$name-\([0-9.]*\)\.tar\.gz$/\1/p")" "$name"
    mkdir "$name"
    tar -xzf "upstream/$name-$3.tar.gz" -C "$name" --strip-components=1
    keg "$1" "$name" "$3"
done
build apr --prefix="$1/opt/apr"
build apr-util --prefix="$1/opt/apr-util" --with-apr="$1/opt/apr"
sed -i 's/^\(User\|Group\) daemon/\1 _www/' httpd/docs/conf/httpd.conf.in
build httpd --enable-layout=Slackware-FHS --prefix="$1/opt/httpd" --sbindir="$1/opt/httpd/bin" --sysconfdir="$1/etc/httpd" \
    --datadir="$1/var/www" --localstatedir="$1/var" --enable-mpms-shared=all --enable-mods-shared=few --enable-unixd --with-mpm=prefork \
    --with-port=8080 --with-apr="$1/opt/apr" --with-apr-util="$1/opt/apr-util"

keg "$1" "python@$2" "$("python$2" -c 'import platform; print(platform.python_version())')"
mkdir "$1/opt/python@$2/bin" "$1/opt/python@$2/lib" "$1/bin"
cp "/usr/bin/python$2" "$1/opt/python@$2/bin/"
cp -a "/usr/lib/python$2" /usr/lib/*-linux-gnu/"libpython$2.so.1.0" "$1/opt/python@$2/lib/"
ln -s "../opt/python@$2/bin/python$2" "$1/bin/python$2"
ln -s "python$2" "$1/bin/python3"

keg "$1" rust 1
mkdir "$1/opt/rust/bin"
ln -s /usr/bin/cargo /usr/bin/rustc "$1/opt/rust/bin/"
ln -s "$(ls -d /usr/lib/llvm-*)" "$1/opt/llvm"
rm -r /build

# Who installs a formula owns the folders, but not what the other formulas have installed.
useradd --home-dir /home/linuxbrew --no-create-home linuxbrew
find /home/linuxbrew ! -path "$1/Cellar/*/*" ! -path "$1/opt/llvm" -exec chown -h linuxbrew: {} +
"""


def sources():
    """Return the archive with the sources of httpd and APR, from PyPI; pip compiles what it downloads, so this is kept."""
    if not SOURCES.exists():
        SOURCES.parent.mkdir(parents=True, exist_ok=True)
        subprocess.run([sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-binary", "mod_wsgi-httpd", "--dest",
                        SOURCES.parent, f"mod_wsgi-httpd=={HTTPD}.1"], check=True)
    return SOURCES


def brew(debian, command, check=True):
    """Run a command as the user who may install, who is not root."""
    user = "exec setpriv --reuid linuxbrew --regid linuxbrew --init-groups --no-new-privs"
    lent = {name: os.environ[name] for name in ("PYTHONS",) if name in os.environ}
    return debian.run(f"cd /home/linuxbrew && {user} {command}", check=check, HOME="/home/linuxbrew", HOMEBREW_PREFIX=PREFIX,
                      CARGO_HOME=CARGO_HOME, **lent)


@pytest.fixture(scope="module")
def installed():
    """A Debian with Homebrew's folders, in which the formula has been installed."""
    if not SUITE:
        pytest.skip(f"no Debian in packaging/platforms.toml has the Python {PYTHON} of the formula")
    if reason := machine.why_not():
        pytest.skip(reason)
    folder = machine.unpack(SUITE)
    try:
        with machine.Machine(folder, SUITE, disposable=False) as debian:
            debian.update()
            debian.apt("install", "ruby", "cargo", "rustc", "gcc", "libc6-dev", "make", "libclang-dev", "libpcre2-dev", "libexpat1-dev", "libcrypt-dev", "curl",
                       f"python{PYTHON}", f"libpython{PYTHON}", "xz-utils")
            debian.run(f"mkdir -p /build {CARGO_HOME}")
            debian.put_file(sources(), "/build/sources.tar.gz")
            # What cargo would download.
            debian.put_file(newest("mod_wsgi-*-vendor.tar.xz", "source"), "/vendor.tar.xz")
            debian.run(f"tar -xJf /vendor.tar.xz -C {CARGO_HOME} && cd {CARGO_HOME} && "
                       f"sed 's|^directory = .*|directory = \"{CARGO_HOME}/vendor\"|' vendor/config.toml >config.toml")
            debian.run(DEPENDENCIES, PREFIX, PYTHON)
            debian.put_file(newest("mod_wsgi-*[0-9].tar.gz", "source"), "/mod_wsgi.tar.gz")
            debian.put_file(FORMULA, "/mod_wsgi.rb")
            debian.put_file(machine.TOP / "tests/packaging/brew.rb", "/brew.rb")
            print(brew(debian, "ruby /brew.rb install /mod_wsgi.rb /mod_wsgi.tar.gz"))
            yield debian
    finally:
        machine.discard(folder)


def get(debian, path):
    """Return what Apache answers on Homebrew's port."""
    return debian.run(f"curl --silent --show-error --fail --retry 5 --retry-connrefused http://localhost:8080{path}")


def running(debian):
    """Return the names of the processes in the machine that are of a server."""
    return set(debian.run("cat /proc/[0-9]*/comm").split()) & {"httpd", "python3", f"python{PYTHON}"}


def test_the_test_of_the_formula_passes_and_leaves_no_process(installed):
    brew(installed, "ruby /brew.rb test /mod_wsgi.rb")
    installed.wait("! grep -qx 'httpd\\|python.*' /proc/[0-9]*/comm")
    assert running(installed) == set()


def test_the_test_of_the_formula_fails_without_the_hosts(installed):
    hosts = f"{PREFIX}/opt/mod_wsgi/lib/mod_wsgi"
    installed.run(f"mv {hosts} {hosts}.away")
    try:
        with pytest.raises(machine.MachineError, match="/embedded: pid [0-9]+ exit 22"):
            brew(installed, "ruby /brew.rb test /mod_wsgi.rb")
    finally:
        installed.run(f"mv {hosts}.away {hosts}")


def test_what_is_told_after_the_installation_serves_on_port_8080(installed):
    told = brew(installed, "ruby /brew.rb caveats /mod_wsgi.rb")
    configuration, line, venv = re.fullmatch(
        r"Add this line to (\S+):\n  (LoadModule .*)\nand then:\n  brew services restart httpd\n.*\n  (.* -m venv) PATH\n", told).groups()
    brew(installed, f"{venv} --without-pip /home/linuxbrew/venv")
    installed.put("/home/linuxbrew/app.wsgi", """\
import os, sys, mod_wsgi
def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [f"{mod_wsgi.process_group or 'embedded'} {os.path.realpath(sys.prefix)}".encode()]
""")
    site = f"""
{line}
WSGIDaemonProcess site python-home=/home/linuxbrew/venv
WSGIScriptAlias /site /home/linuxbrew/app.wsgi process-group=site application-group=%{{GLOBAL}}
WSGIScriptAlias /embedded /home/linuxbrew/app.wsgi application-group=%{{GLOBAL}}
<Directory /home/linuxbrew>
    Require all granted
</Directory>
"""
    # As the service of httpd is started.
    service = f"env PATH={PREFIX}/bin:{PREFIX}/sbin:/usr/bin:/bin:/usr/sbin:/sbin {PREFIX}/opt/httpd/bin/httpd"
    # The user that Homebrew's configuration names is macOS's.
    assert "bad user name _www" in brew(installed, f"{service} -t", check=False)
    installed.run('sed -i "s/^\\(User\\|Group\\) _www/\\1 linuxbrew/" "$1" && printf %s "$2" >>"$1"', configuration, site)
    brew(installed, f"{service} -t")
    python = f"{PREFIX}/opt/python@{PYTHON}"
    for _ in range(2):
        brew(installed, f"{service} -k start")
        try:
            assert get(installed, "/site") == "site /home/linuxbrew/venv"
            # Without a virtual environment the Python is Homebrew's, since that is the first in the service's PATH.
            assert get(installed, "/embedded").startswith(f"embedded {PREFIX}/Cellar/python@{PYTHON}/")
        finally:
            brew(installed, f"{service} -k stop")
            installed.wait("! grep -qx httpd /proc/[0-9]*/comm")
        # Again, when Python has been upgraded: the folder of the earlier version goes, and the link in opt leads to the new one.
        installed.run('old=$(readlink -e "$1") && mv "$old" "${old}_1" && ln -sfn "${old}_1" "$1"', python)
        # And with the module from where Homebrew links those of all formulas.
        installed.run('sed -i "s|^\\(LoadModule wsgi_module\\) .*|\\1 $2/lib/httpd/modules/mod_wsgi.so|" "$1"', configuration, PREFIX)
