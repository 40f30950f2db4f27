"""The crates compile and link for other systems; nothing of that is run."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

TOP = Path(__file__).resolve().parents[3]
MISSING = [tool for tool in ("mmdebstrap", "unshare", "cargo") if not shutil.which(tool)]
HOSTS = 4


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to make a Debian in a folder and to go into it")
@pytest.mark.skipif(bool(MISSING), reason=f"needs {', '.join(MISSING)}")
@pytest.mark.parametrize(("target", "module", "host"), [
    ("aarch64-unknown-linux-gnu", "libmod_wsgi.so: arm64", "libmod_wsgi_host.so: arm64"),
    ("aarch64-apple-darwin", "libmod_wsgi.dylib: arm64", "libmod_wsgi_host.dylib: arm64"),
    ("x86_64-apple-darwin", "libmod_wsgi.dylib: x86-64", "libmod_wsgi_host.dylib: x86-64"),
    ("x86_64-pc-windows-gnu", "mod_wsgi.dll: x86-64", "mod_wsgi_host.dll: x86-64"),
])
def test_module_and_hosts_link_for(target, module, host):
    ours = {name: value for name, value in os.environ.items() if name != "PYTHONS"}
    done = subprocess.run(
        [TOP / "packaging/cross-check", target], env=ours, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )
    assert done.returncode == 0, done.stdout
    looked_at = re.findall(r"(?m)^(\S+: \S+), exports (.*?), and ", done.stdout)
    exports = [(module, "wsgi_module")] + [(host, "PyInit_mod_wsgi_host mod_wsgi_host_embedded")] * HOSTS
    assert looked_at == exports, done.stdout
