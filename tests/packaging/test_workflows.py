"""The description of CI for a public forge: that it is well-formed and calls commands that are there, in a way they take."""

import functools
import json
import re
import shlex
import shutil
import subprocess
import sys
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


def jobs(content):
    """Return the jobs, each with the rows of its matrix: what the workflow computes is what packaging/platforms prints."""
    for name, job in content["jobs"].items():
        matrix = job.get("strategy", {}).get("matrix", {})
        if "include" in matrix:
            output = re.fullmatch(r"\$\{\{ fromJSON\(needs\.matrix\.outputs\.(\w+)\) \}\}", matrix["include"]).group(1)
            assert f"{output}=$(packaging/platforms {output})" in content["jobs"]["matrix"]["steps"][-1]["run"]
            yield name, job, json.loads(printed(output))
        else:
            yield name, job, [{key: value} for key, values in matrix.items() for value in values] or [{}]


@functools.cache
def printed(*arguments):
    """Return what packaging/platforms prints."""
    return subprocess.run([TOP / "packaging/platforms", *arguments], capture_output=True, text=True, check=True).stdout


def environment(job, row):
    """Return the variables of a job for one row of its matrix."""
    values = {f"matrix.{key}": value for key, value in row.items()} | {"needs.matrix.outputs.rust": printed("get", "-", "rust").strip()}
    return {name: re.sub(r"\$\{\{ ([\w.]+) \}\}", lambda found: values[found.group(1)], text) for name, text in job.get("env", {}).items()}


def test_it_is_what_the_schema_of_workflows_allows():
    pytest.importorskip("check_jsonschema", reason="needs the Python package check-jsonschema")
    checked = subprocess.run([sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.github-workflows", *WORKFLOWS],
                             capture_output=True, text=True)
    assert checked.returncode == 0, checked.stdout + checked.stderr


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


def test_every_action_is_named_by_its_commit(workflow):
    text, content = workflow
    used = [step["uses"] for job in content["jobs"].values() for step in job["steps"] if "uses" in step]
    # A tag can be moved to something else. The comment is what tools go by that look for a newer one.
    assert len(re.findall(r"uses: actions/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+\n", text)) == len(used) > 0
    for job in content["jobs"].values():
        for step in job["steps"]:
            if "actions/checkout@" in step.get("uses", ""):
                assert step["with"]["persist-credentials"] is False


def test_no_shell_gets_text_from_outside_the_file(workflow):
    _, content = workflow
    assert [step["run"] for job in content["jobs"].values() for step in job["steps"] if "${{" in step.get("run", "")] == []


def test_the_steps_are_in_the_language_of_the_shell_that_runs_them(workflow):
    _, content = workflow
    for name, job in content["jobs"].items():
        # What the forge calls without being told: in a container sh, else bash; neither fails for a command before a pipe.
        shell = "sh" if "container" in job else "bash"
        for script in [step["run"] for step in job["steps"] if "run" in step]:
            read = subprocess.run([shell, "-n"], input=script, capture_output=True, text=True)
            assert read.returncode == 0, f"{name}: {read.stderr}"
            assert "|" not in re.sub(r"\|\||\"[^\"]*\"", "", script), f"{name}: {script}"
            assert not re.search(r"(export|printf|echo) .*\$\(", script), f"{name}, whose failure nobody sees: {script}"
            if shell == "sh":
                assert not re.search(r"\[\[|<\(|\bmapfile\b|\bsource\b|\w+=\(", script), f"{name}: {script}"


def test_a_container_buries_orphans_and_may_make_namespaces_and_git_takes_its_files(workflow):
    _, content = workflow
    for job in content["jobs"].values():
        if "container" in job:
            assert job["container"]["options"].split() == ["--privileged", "--init"]
            scripts = [step.get("run", step.get("uses", "")) for step in job["steps"]]
            assert "git" in scripts[0].split() and scripts[1].startswith("actions/checkout@")
            # Cloning asks for the folder .git, which the name of the project would not cover.
            assert scripts[2] == "git config --global --add safe.directory '*'"


def test_commands_take_the_arguments_they_are_given(workflow):
    """Each is called with --help behind what it is given: it reads the rest first, and refuses what it does not know."""
    _, content = workflow
    called = 0
    for _, job, rows in jobs(content):
        for row in rows:
            for script in [step["run"] for step in job["steps"] if "run" in step]:
                for line in re.findall(r"(?m)^(?:\w+=\S+ )*((?:packaging|tests|\.ci)/.*)$", script):
                    words = subprocess.run(["bash", "-c", f"printf '%s\\n' {line}"], env={"PATH": "/usr/bin:/bin", **environment(job, row)},
                                           capture_output=True, text=True, check=True).stdout.splitlines()
                    if words[0] == "packaging/release-check":
                        assert words[1:] in ([], ["--tag", ""])
                        continue
                    helped = subprocess.run([*words, "--help"], cwd=TOP, capture_output=True, text=True)
                    assert helped.returncode == 0 and helped.stdout.startswith("Usage: "), f"{line}: {helped.stderr}"
                    called += 1
    assert called


def test_the_package_job_builds_from_the_pinned_image_and_hands_on_what_has_a_name_of_its_own(tmp_path):
    yaml = pytest.importorskip("yaml", reason="needs the Python package yaml to read workflows")
    content = yaml.safe_load((TOP / ".github/workflows/release.yml").read_text())
    _, job, rows = next(found for found in jobs(content) if found[0] == "package")
    scripts = [step["run"] for step in job["steps"] if "run" in step]
    assert [shlex.split(script)[-2:] for script in scripts if script.startswith("packaging/")] == [["--base", "image"]] * 2
    together = tmp_path / "together/dist"
    together.mkdir(parents=True)
    for row in rows:
        machine = {"amd64": "x86_64", "arm64": "aarch64"}[row["arch"]]
        names = {"deb": [f"libapache2-mod-wsgi-py3_7_{row['arch']}.deb"], "rpm": [f"python3-mod_wsgi-7.{machine}.rpm", f"apache2-mod_wsgi-7.{machine}.rpm"]}
        dist = tmp_path / f"{row['platform']}-{row['arch']}" / "dist"
        dist.mkdir(parents=True)
        for name in [*names[row["package"]], "SHA256SUMS", f"mod_wsgi-7-{machine}.cdx.json"]:
            (dist / name).write_text(name)
        last = subprocess.run(["bash", "-e"], input=scripts[-1], cwd=dist.parent, env={"PATH": "/usr/bin:/bin", **environment(job, row)}, text=True)
        assert last.returncode == 0
        for path in dist.iterdir():
            assert not (together / path.name).exists(), path.name
            shutil.copy(path, together)
    assert len(list(together.iterdir())) == 2 + 4 + 2 and not (together / "SHA256SUMS").exists()


def test_the_release_builds_every_package_on_both_architectures():
    rows = json.loads(printed("packages"))
    assert {(row["package"], row["arch"]) for row in rows} == {(package, arch) for package in ("deb", "rpm") for arch in ("amd64", "arm64")}


def test_every_night_builds_in_the_container_of_every_platform():
    rows = json.loads(printed("containers"))
    assert {row["platform"] for row in rows} == {path.stem for path in (TOP / "containers").glob("*.Containerfile")}
    assert {row["arch"] for row in rows} == {"amd64", "arm64"}


def test_the_steps_for_macos_load_the_module(tmp_path):
    """With the Apache of this machine where Homebrew's would be, and the module that was compiled here."""
    yaml = pytest.importorskip("yaml", reason="needs the Python package yaml to read workflows")
    apache = shutil.which("apache2", path="/usr/sbin") or pytest.skip("needs Debian's apache2-bin")
    module = TOP / "target/mod_wsgi/mod_wsgi.so"
    if not module.exists():
        pytest.fail("target/mod_wsgi/mod_wsgi.so is missing: run packaging/compile")
    for name in ("bin", "programs", "lib/httpd/modules", "packaging", "target"):
        (tmp_path / name).mkdir(parents=True)
    programs = {
        "programs/brew": f'[ "$1" = --prefix ] && echo {tmp_path}',
        "packaging/compile": f'for tool in "$APXS" "$APR_CONFIG" "$APU_CONFIG"; do [ -x "$tool" ]; done && [ "$LIBCLANG_PATH" = {tmp_path}/lib ] && '
                             f'mkdir target/mod_wsgi && cp {module} target/mod_wsgi/',
        "bin/apxs": "", "bin/apr-1-config": "", "bin/apu-1-config": "",
        # What Debian has built in.
        "bin/httpd": f'for word; do shift; case $word in "LoadModule unixd"*) word="ServerName localhost" ;; esac; set -- "$@" "$word"; done; exec {apache} "$@"',
    }
    for name, text in programs.items():
        (tmp_path / name).write_text(f"#!/bin/sh -e\n{text}\n")
        (tmp_path / name).chmod(0o755)
    (tmp_path / "lib/httpd/modules/mod_mpm_prefork.so").symlink_to("/usr/lib/apache2/modules/mod_mpm_prefork.so")
    steps = yaml.safe_load((TOP / ".github/workflows/nightly.yml").read_text())["jobs"]["macos"]["steps"]
    done = subprocess.run(["bash", "-e"], input=steps[-1]["run"], cwd=tmp_path, env={"PATH": f"{tmp_path}/programs:/usr/bin:/bin"}, capture_output=True, text=True)
    assert done.returncode == 0 and "wsgi_module (shared)" in done.stdout, done.stdout + done.stderr
