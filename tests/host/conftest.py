"""Finds the Pythons of this machine, starts daemons with them, and a program that loads a host as an Apache child does."""

import glob
import json
import os
import re
import shutil
import struct
import subprocess
import textwrap

import pytest
from daemon import BUILT, Daemon, Group, launch_block

PLACES = ["/usr/bin/python3*", "/usr/local/bin/python3*", "/opt/*/bin/python3*", "~/.pyenv/versions/*/bin/python3*",
          "~/.local/share/uv/python/*/bin/python3*", "/opt/homebrew/bin/python3*"]
QUESTION = "import sys; print('%d.%d%s' % (*sys.version_info[:2], 't' if 't' in sys.abiflags else ''), sys.executable)"


def pythons():
    """One Python for each version there is a host for: WSGI_TEST_PYTHONS (paths), or what is found in the usual places."""
    named = os.environ.get("WSGI_TEST_PYTHONS", "").split()
    candidates = named or [shutil.which("python3"), *(path for place in PLACES for path in sorted(glob.glob(os.path.expanduser(place))))]
    found = {}
    for path in candidates:
        if not path or not re.search(r"python3(\.\d+t?)?$", path):
            continue
        answer = subprocess.run([path, "-c", QUESTION], capture_output=True, text=True)
        version, _, path = answer.stdout.strip().partition(" ")
        if answer.returncode == 0 and (BUILT / f"mod_wsgi_host.cpython-{version.replace('.', '')}.so").exists():
            found.setdefault(version, path)
    return dict(sorted(found.items(), key=lambda item: (len(item[0]), item[0])))


PYTHONS = pythons()


@pytest.fixture(scope="session", params=PYTHONS or [None])
def python(request):
    if request.param is None:
        pytest.fail("no Python that target/mod_wsgi has a host for; run packaging/compile first")
    return PYTHONS[request.param]


class Place:
    """A folder with scripts, and the processes of one group."""

    def __init__(self, python, folder):
        self.python, self.folder, self.daemons = python, folder, []
        self.version = next(version for version, path in PYTHONS.items() if path == python)
        self.group = Group(folder)

    def has_lock(self):
        """Whether threads run Python one at a time: not so in a free-threaded build, unless PYTHON_GIL=1 is set."""
        asked = subprocess.run([self.python, "-c", "import sys; print(getattr(sys, '_is_gil_enabled', lambda: True)())"],
                               capture_output=True, text=True, check=True)
        return asked.stdout.strip() == "True"

    def needs_lock(self):
        if not self.has_lock():
            pytest.skip(f"a thread of Python {self.version} has no lock to keep from the others")

    def script(self, text, name="app.wsgi"):
        path = self.folder / name
        path.write_text(textwrap.dedent(text))
        return path

    def start(self, **how):
        daemon = Daemon(how.pop("python", self.python), self.group, self.folder / f"log{len(self.daemons)}", **how)
        self.daemons.append(daemon)
        return daemon

    def close(self):
        for daemon in self.daemons:
            daemon.kill()
        self.group.close()


@pytest.fixture
def place(python, tmp_path):
    place = Place(python, tmp_path)
    yield place
    place.close()
    crit = [line for daemon in place.daemons for line in daemon.text().splitlines() if "WSGI7000" in line or "Fatal Python" in line]
    assert not crit, crit


FACTS = """
import json, os, sys, sysconfig
get = sysconfig.get_config_var
print(json.dumps([os.path.join(get("LIBDIR") or "", get("INSTSONAME") or get("LDLIBRARY") or ""), "%d%d%s" % (*sys.version_info[:2],
    "t" if "t" in sys.abiflags else ""), sys.base_prefix]))
"""


@pytest.fixture(scope="session")
def program(tmp_path_factory):
    compiler = shutil.which("cc")
    if not compiler:
        pytest.skip("there is no C compiler for the program that loads the host")
    program = tmp_path_factory.mktemp("embedded") / "embedded"
    source = os.path.join(os.path.dirname(__file__), "embedded.c")
    subprocess.run([compiler, "-O1", "-Wall", "-Werror", "-o", program, source, "-ldl", "-lpthread"], check=True)
    return program


@pytest.fixture
def run_steps(program, python, place):
    library, version, prefix = json.loads(subprocess.run([python, "-c", FACTS], capture_output=True, text=True, check=True).stdout)
    if not re.search(r"\.so(\.[\d.]+)?$", library):
        pytest.skip(f"{python} has no shared library to load")
    if not os.path.exists(library):
        library = os.path.basename(library)

    def run_steps(steps, threads=1, repeat=1, stop=None, **launch):
        home = [] if prefix == "/usr" else [("python_home", prefix)]
        (place.folder / "launch").write_bytes(launch_block(**{"process_group": b"", **dict(home), **launch}))
        content = b"".join(kind.encode() + struct.pack("=I", len(step)) + step for kind, step in steps)
        (place.folder / "steps").write_bytes(content)
        command = [program, library, BUILT / f"mod_wsgi_host.cpython-{version}.so", place.folder / "launch", place.folder / "steps",
                   str(threads), str(repeat), *[stop] * bool(stop)]
        done = subprocess.run(command, capture_output=True, text=True, errors="surrogateescape", timeout=60)
        return done.returncode, done.stdout, done.stderr
    return run_steps
