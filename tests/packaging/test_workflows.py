"""The description of CI for a public forge: that it is well-formed and calls commands that are there."""

import json
import re
import subprocess
from pathlib import Path

import pytest

TOP = Path(__file__).resolve().parents[2]
WORKFLOWS = sorted((TOP / ".github/workflows").glob("*.yml"))


@pytest.fixture(params=WORKFLOWS, ids=lambda path: path.stem)
def workflow(request):
    """(text, content) of a workflow."""
    yaml = pytest.importorskip("yaml", reason="needs the Python package yaml to read workflows")
    text = request.param.read_text()
    return text, yaml.safe_load(text)


def test_every_job_runs_somewhere_and_has_steps(workflow):
    _, content = workflow
    assert content["jobs"]
    for name, job in content["jobs"].items():
        assert job["runs-on"] and job["steps"], name
        for needed in [job.get("needs", [])] if isinstance(job.get("needs", []), str) else job.get("needs", []):
            assert needed in content["jobs"]


def test_no_job_may_write_but_the_one_that_releases(workflow):
    _, content = workflow
    assert content["permissions"] == {"contents": "read"}
    assert [name for name, job in content["jobs"].items() if "permissions" in job] in ([], ["release"])


def test_it_calls_commands_of_this_project_that_are_there(workflow):
    text, _ = workflow
    called = set(re.findall(r"(?<![\w/.])((?:packaging|tests|containers|\.ci)/[\w-]+)", text))
    assert called
    for command in called:
        assert (TOP / command).stat().st_mode & 0o100, command


def test_the_release_builds_every_package_on_both_architectures():
    rows = json.loads(subprocess.run([TOP / "packaging/platforms", "packages"], capture_output=True, text=True, check=True).stdout)
    assert {(row["package"], row["arch"]) for row in rows} == {(package, arch) for package in ("deb", "rpm") for arch in ("amd64", "arm64")}
