"""The crates compile and link for other systems; nothing of that is run."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

TOP = Path(__file__).resolve().parents[3]
MISSING = [tool for tool in ("mmdebstrap", "unshare", "cargo") if not shutil.which(tool)]


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to make a Debian in a folder and to go into it")
@pytest.mark.skipif(bool(MISSING), reason=f"needs {', '.join(MISSING)}")
@pytest.mark.parametrize("target", ["aarch64-apple-darwin"])
def test_module_and_hosts_link_for(target):
    ours = {name: value for name, value in os.environ.items() if name != "PYTHONS"}
    done = subprocess.run(
        [TOP / "packaging/cross-check", target], env=ours, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )
    assert done.returncode == 0, done.stdout
    looked_at = re.findall(r"(?m)^(libmod_wsgi\w*)\.dylib: arm64, exports", done.stdout)
    assert looked_at == ["libmod_wsgi"] + ["libmod_wsgi_host"] * 3, done.stdout
