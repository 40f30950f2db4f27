"""The steps of the release's workflow, run in order on a clone, as far as a machine without a forge can run them. Slow: it
compiles three times in a container.

What is not as on the forge: the base is made with mmdebstrap instead of pulled from a registry, one architecture and one Python
are built, and the packages of the other platforms, and what publishes the release, are stand-ins.
"""

import os
import platform
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import test_workflows as workflows

TOP = Path(__file__).resolve().parents[3]
ARCH = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine())
MISSING = [tool for tool in ("mmdebstrap", "rustup", "git") if not shutil.which(tool)]


@pytest.fixture
def clone(tmp_path):
    """The last commit as the forge checks a tag out: that commit only, detached, and the tag."""
    folder = tmp_path / "project"
    version = re.search(r'(?m)^version = "(.*)"', (TOP / "Cargo.toml").read_text()).group(1)
    git = ["git", "-C", folder, "-c", "advice.detachedHead=false"]
    subprocess.run(["git", "clone", "--quiet", "--no-local", "--depth", "1", f"file://{TOP}", folder], check=True)
    subprocess.run([*git, "tag", f"v{version}"], check=True)
    subprocess.run([*git, "checkout", "--quiet", f"v{version}"], check=True)
    # What is installed and fetched here already.
    (folder / "target").mkdir()
    for name in ("tools", "cache"):
        (TOP / "target" / name).mkdir(exist_ok=True)
        (folder / "target" / name).symlink_to((TOP / "target" / name).resolve())
    return folder, version


def run(step, folder, **environment):
    """Run a step as the forge does: with bash, and an end at the first command that fails."""
    done = subprocess.run(["bash", "-e"], input=step["run"].replace("--base image", "--base mmdebstrap"), cwd=folder, text=True,
                          env={**os.environ, **environment}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    print(done.stdout)
    assert done.returncode == 0, f"{step['run']}\n{done.stdout}"
    return done.stdout


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to make a Debian in a folder")
@pytest.mark.skipif("GITHUB_ACTIONS" in os.environ, reason="this is the forge, which runs these very steps itself, and a container, where podman may not work")
@pytest.mark.skipif(bool(MISSING), reason=f"needs {', '.join(MISSING)}")
@pytest.mark.skipif(ARCH is None, reason=f"no package is built on {platform.machine()}")
def test_the_steps_of_a_release(clone, tmp_path):
    yaml = pytest.importorskip("yaml", reason="needs the Python package yaml to read workflows")
    folder, version = clone
    content = yaml.safe_load((TOP / ".github/workflows/release.yml").read_text())
    steps = {name: [step for step in job["steps"] if "run" in step] for name, job in content["jobs"].items()}

    output = tmp_path / "output"
    for step in steps["matrix"]:
        run(step, folder, GITHUB_OUTPUT=str(output))
    assert set(line.split("=")[0] for line in output.read_text().splitlines()) == set(content["jobs"]["matrix"]["outputs"])

    _, job, rows = next(found for found in workflows.jobs(content) if found[0] == "package")
    row = next(row for row in rows if row["package"] == "deb" and row["arch"] == ARCH)
    environment = workflows.environment(job, row)
    install, *build = steps["package"]
    assert install["run"] == 'rustup toolchain install "$RUSTUP_TOOLCHAIN" --profile minimal'
    if f"{environment['RUSTUP_TOOLCHAIN']}-" not in subprocess.run(["rustup", "toolchain", "list"], capture_output=True, text=True).stdout:
        run(install, folder, **environment)
    said = [run(step, folder, PYTHONS="3.11", **environment) for step in build]
    assert "are the same, byte for byte" in said[1]
    dist = folder / "dist"
    deb = f"libapache2-mod-wsgi-py3_{version}-1_{ARCH}.deb"
    assert {path.name for path in dist.iterdir()} == {deb, deb.replace("py3_", "py3-dbgsym_"), f"mod_wsgi-{version}-{platform.machine()}.cdx.json"}

    # What the other jobs hand on.
    refused = subprocess.run(["packaging/release-check", "--tag", f"v{version}"], cwd=folder, capture_output=True, text=True)
    for name in re.findall(r"dist/ holds no (\S+\.(?:deb|rpm|cdx\.json))\n", refused.stderr):
        (dist / name).write_text("a stand-in")
    programs = tmp_path / "programs"
    programs.mkdir()
    (programs / "gh").write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" >{tmp_path}/gh\n')
    (programs / "gh").chmod(0o755)
    _, *publish = steps["release"]
    for step in publish:
        run(step, folder, GITHUB_REF_NAME=f"v{version}", PATH=f"{programs}:{os.environ['PATH']}", RUSTUP_TOOLCHAIN=environment["RUSTUP_TOOLCHAIN"])
    published = (tmp_path / "gh").read_text().splitlines()
    assert published[:4] == ["release", "create", f"v{version}", "--verify-tag"]
    files = [word for word in published if word.startswith("dist/")]
    assert {Path(name).name for name in files} >= {deb, "SHA256SUMS", "mod_wsgi.rb", f"mod_wsgi-{version}.tar.gz"}
    assert all((folder / name).is_file() for name in files) and len({Path(name).name for name in files}) == len(files)
