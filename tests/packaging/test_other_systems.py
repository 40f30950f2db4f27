"""What runs on systems other than Debian, with stand-ins for their programs: dnf, zypper, a forge's runner, macOS."""

import ast
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

TOP = Path(__file__).resolve().parents[2]
COMMON = (TOP / "packaging/common.sh").read_text()
BASH = shutil.which("bash")
# What runs inside of a container: EL 9 has Python 3.9 as python3, Ubuntu 22.04 has 3.10.
IN_A_CONTAINER = ["packaging/copyright", "packaging/man", "packaging/sbom"]


class StandIns:
    """A folder of programs to be first, or alone, in PATH; each can write down how it was called."""

    def __init__(self, folder):
        self.folder = folder
        self.log = folder / "log"
        (folder / "bin").mkdir()
        self.log.touch()

    def add(self, name, text="", records=True):
        """Put a program there, a shell script."""
        path = self.folder / "bin" / name
        path.unlink(missing_ok=True)
        note = f'printf "%s " {name} "$@" >>"{self.log}"; printf "\\n" >>"{self.log}"\n' if records else ""
        path.write_text(f"#!{BASH}\n{note}{text}\n")
        path.chmod(0o755)

    def borrow(self, *names):
        """Put programs of this machine there."""
        for name in names:
            (self.folder / "bin" / name).symlink_to(shutil.which(name))

    def run(self, *command, alone=False, cwd=TOP, **environment):
        """Run a command with these programs and nothing from our own environment that would matter."""
        path = str(self.folder / "bin") if alone else f"{self.folder / 'bin'}:/usr/bin:/bin"
        return subprocess.run(command, cwd=cwd, capture_output=True, text=True,
                              env={"PATH": path, "HOME": str(self.folder), "LC_ALL": "C.UTF-8", **environment})

    def calls(self, name=""):
        """Return how the programs were called, and forget it."""
        lines = [line.strip() for line in self.log.read_text().splitlines()]
        self.log.write_text("")
        return [line for line in lines if line.startswith(name)]


@pytest.fixture
def stand_ins(tmp_path):
    """Only what every system has, to begin with."""
    made = StandIns(tmp_path)
    made.borrow("uname")
    return made


# What rpm and its front ends do of all that: a file for each package that is there.
RPM = 'name=${@: -1}; [ "$1 $2 $3" = "-q --quiet --whatprovides" ] && [ -e "$INSTALLED/$name" ]'
INSTALL = 'while [ $# -gt 0 ] && [ "$1" != install ]; do shift; done; shift; for name; do case $name in -*) ;; *) >"$INSTALLED/$name" ;; esac; done'
SYSTEM_NEED = 'set -euo pipefail; top=$PWD; . packaging/common.sh; system_need "to test" $BUILD_PACKAGES $RPM_PACKAGES'


def system(stand_ins, installer, user="0"):
    """Make it a system with that installer instead of apt, and return what runs system_need there."""
    installed = stand_ins.folder / "installed"
    installed.mkdir()
    stand_ins.add("rpm", RPM, records=False)
    stand_ins.add("id", f"echo {user}", records=False)
    stand_ins.add(installer, INSTALL)
    return lambda: stand_ins.run(BASH, "-c", SYSTEM_NEED, alone=True, INSTALLED=str(installed))


@pytest.mark.parametrize(("installer", "options", "httpd"), [
    ("dnf", "-y -q --setopt=install_weak_deps=0 install", "httpd-devel"),
    ("zypper", "--quiet --non-interactive install --no-recommends", "apache2-devel"),
])
def test_what_is_missing_is_installed_once_by_the_names_of_that_system(stand_ins, installer, options, httpd):
    need = system(stand_ins, installer)
    (stand_ins.folder / "installed/gcc").touch()
    first = need()
    assert first.returncode == 0, first.stderr
    assert stand_ins.calls() == [f"{installer} {options} glibc-devel make {httpd} clang-devel python3 rpm-build binutils gzip"]
    again = need()
    assert (again.returncode, again.stdout, stand_ins.calls()) == (0, "", []), again.stderr


def test_who_is_not_root_is_told_what_to_type(stand_ins):
    refused = system(stand_ins, "dnf", user="1000")()
    assert refused.returncode == 1 and "Run first: dnf install gcc glibc-devel" in refused.stderr
    assert stand_ins.calls() == []


def test_an_unknown_system_is_told_the_names_of_debian(stand_ins):
    refused = stand_ins.run(BASH, "-c", SYSTEM_NEED, alone=True)
    assert refused.returncode == 1 and "install by hand what Debian calls: gcc libc6-dev make apache2-dev" in refused.stderr


@pytest.mark.parametrize("name", IN_A_CONTAINER)
def test_scripts_in_a_container_take_the_python_of_the_oldest_platform(name):
    tree = ast.parse((TOP / name).read_text(), feature_version=(3, 9))
    imported = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    imported |= {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    # tomllib came with 3.11.
    assert imported <= {"datetime", "json", "os", "pathlib", "re", "shutil", "subprocess", "sys"}


def test_nothing_in_a_container_calls_a_script_that_needs_a_newer_python():
    for path in [TOP / "packaging/build", TOP / "packaging/compile", *(TOP / "packaging/kinds").iterdir()]:
        called = set(re.findall(r"packaging/(\w[\w-]*)", re.sub(r"(?s)usage\(\) \{.*?\n\}", "", path.read_text())))
        python = {name for name in called if (TOP / "packaging" / name).is_file() and "python3" in (TOP / "packaging" / name).open().readline()}
        # Its name stands in a message.
        assert {f"packaging/{name}" for name in python - {"set-version"}} <= set(IN_A_CONTAINER), path.name


VERSION = re.search(r'(?m)^rust = "(.*)"', (TOP / "packaging/platforms.toml").read_text()).group(1)


@pytest.fixture
def runner(stand_ins):
    """A runner of a forge: Ubuntu with podman and Docker's runc, cgroups of the second version, Rust, no Debian mirror."""
    stand_ins.add("apt-get", "echo Ubuntu")
    stand_ins.add("podman", '[ "$1 $2" != "image exists" ]')
    stand_ins.add("newuidmap")
    stand_ins.add("stat", "echo cgroup2fs", records=False)
    stand_ins.add("cargo")
    stand_ins.add("rustc", f'case $1 in --version) echo "rustc {VERSION} (x)" ;; -vV) echo "host: x86_64-unknown-linux-gnu" ;; *) echo /opt/rust ;; esac',
                  records=False)
    # The one that can read the matrix.
    (stand_ins.folder / "bin/python3").symlink_to(sys.executable)
    project = stand_ins.folder / "project"
    for name in ("packaging", "containers"):
        shutil.copytree(TOP / name, project / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(TOP / "Cargo.toml", project)
    return stand_ins, project


def test_on_a_forge_a_package_of_debian_is_built_from_the_pinned_image(runner):
    stand_ins, project = runner
    done = stand_ins.run("packaging/build", "deb", "--no-sbom", "--platform", "debian-12", cwd=project, PYTHONS="3.11")
    assert done.returncode == 0, done.stderr
    calls = stand_ins.calls()
    # Only asked where its packages come from: nothing is installed, Docker's runc stays.
    assert [call for call in calls if call.startswith("apt-get")] == ["apt-get indextargets --format $(LABEL) Created-By: Packages"]
    made = next(call for call in calls if call.startswith("podman build"))
    assert re.search(r"--build-arg BASE=docker\.io/library/debian@sha256:[0-9a-f]{64} --build-arg SNAPSHOT=\d{8}T000000Z", made), made
    run = next(call for call in calls if call.startswith("podman run"))
    assert "--network none " in run and " --env PYTHONS=3.11 " in run
    assert re.search(r" localhost/mod_wsgi/debian-12:[0-9a-f]{12}-image packaging/build deb --no-sbom$", run), run


def test_the_tools_are_built_in_the_container_and_kept_for_each_platform(runner):
    stand_ins, project = runner
    stand_ins.run("packaging/build", "deb", "--platform", "debian-12", cwd=project)
    calls = stand_ins.calls()
    fetched = {call.split()[-1] for call in calls if call.startswith("cargo info")}
    assert not [call for call in calls if call.startswith("cargo install")]
    # The same tools as the scripts inside ask for.
    scripts = "".join(path.read_text() for path in [TOP / "packaging/build", *(TOP / "packaging/kinds").iterdir()])
    assert fetched == {f"{name}@{version}" for name, version in re.findall(r"cargo_tool (\S+) ([\d.]+)", scripts)}
    run = next(call for call in calls if call.startswith("podman run"))
    assert f"--volume {project}/target/tools/debian-12:/usr/src/mod_wsgi/target/tools " in run
    # What is there is not fetched again.
    kept = "".join(f'"{tool.replace("@", " ")} (registry)" = []\n' for tool in fetched)
    (project / "target/tools/debian-12/.crates.toml").write_text(kept)
    stand_ins.run("packaging/build", "deb", "--platform", "debian-12", cwd=project)
    assert [call for call in stand_ins.calls("cargo")] == ["cargo fetch --quiet --locked"]


@pytest.mark.parametrize("key", ["digest", "snapshot"])
def test_another_digest_or_day_makes_another_image(runner, key):
    stand_ins, project = runner

    def image():
        stand_ins.run("containers/run", "--image-only", "debian-12", cwd=project)
        return re.search(r"--tag (\S+)", next(call for call in stand_ins.calls() if call.startswith("podman build"))).group(1)

    before = image()
    assert image() == before
    matrix = project / "packaging/platforms.toml"
    matrix.write_text(re.sub(rf'(?m)^({key} = ".*?)\d(\D*")$', r"\g<1>x\2", matrix.read_text(), count=1))
    assert image() != before


def test_hybrid_cgroups_get_runc(runner):
    stand_ins, project = runner
    stand_ins.add("stat", "echo tmpfs", records=False)
    stand_ins.add("runc")
    stand_ins.run("containers/run", "debian-12", "true", cwd=project)
    assert stand_ins.calls("podman --runtime runc run --rm ")


def test_base_is_refused_without_a_platform_and_when_it_is_no_base():
    refused = subprocess.run([TOP / "packaging/build", "deb", "--base", "image"], capture_output=True, text=True)
    assert refused.returncode == 1 and "--base is for the container of a --platform" in refused.stderr
    refused = subprocess.run([TOP / "containers/run", "--base", "imag", "debian-12", "true"], capture_output=True, text=True)
    assert refused.returncode == 1 and "what is the base 'imag'?" in refused.stderr


# What bash 4 and newer know and macOS's bash 3.2 does not.
NEWER = re.compile(r"\b(mapfile|readarray|coproc)\b|declare -[Ag]|local -[An]|\$\{\w+(,|\^)|\$\{\w+@|&>>|\|&|;;?&|\[-\d+\]|\$\{\w+:\s*-\d|printf '%\(|"
                   r"\*\*/|shopt|BASHPID|EPOCH(REAL|)SECONDS|wait -n")
# An array without elements is an unset variable for it.
ARRAY = re.compile(r"\$\{\w+\[@\]\}")


def functions_of(text, *names):
    """Return shell functions and those of common.sh that they call."""
    found = {}
    wanted = list(names)
    while wanted:
        name = wanted.pop()
        match = re.search(rf"(?ms)^{name}\(\) (\{{.*?(?:^\}}|\}})$)", text)
        if name in found or not match:
            continue
        found[name] = match.group(1)
        wanted += re.findall(r"\b[a-z_]+\b", match.group(1))
    return found


def test_what_compiles_on_macos_keeps_to_its_bash():
    compile_script = re.sub(r"(?m)^\s*#.*$", "", (TOP / "packaging/compile").read_text())
    used = functions_of(COMMON, *set(re.findall(r"\b[a-z_]+\b", compile_script)))
    assert {"need_rust", "die", "say", "step", "python_config"} <= set(used) and "apt_need" not in used
    for name, text in {"packaging/compile": compile_script, **used}.items():
        assert not NEWER.search(text), f"{name}: {NEWER.search(text).group()}"
        assert not ARRAY.search(text), f"{name}: {ARRAY.search(text).group()}"
    # It reads the rest, too, without running it: what has to be quoted in $( ) there.
    assert not re.search(r"\$\([^)]*\bcase\b", compile_script + COMMON)


def test_compiling_on_macos(stand_ins):
    stand_ins.borrow("bash", "cat", "cmp", "cp", "cut", "dirname", "env", "head", "ls", "mkdir", "mv", "rm", "sed", "sort")
    stand_ins.add("uname", "echo Darwin", records=False)
    stand_ins.add("rustc", f'echo "rustc {VERSION} (x)"', records=False)
    # Apple's: no option but these two, and readlink's only one.
    stand_ins.add("strip", '[ "$1 $2" = "-S -o" ] && [ $# = 4 ] && cp "$4" "$3"')
    stand_ins.add("readlink", f'[ "$1" = -f ] && [ $# = 2 ] && exec {shutil.which("readlink")} -f "$2"', records=False)
    stand_ins.add("cargo", 'directory=target; crate=mod_wsgi\nwhile [ $# -gt 0 ]; do case $1 in --target-dir) directory=$2; shift ;; -p) crate=$2; shift ;; esac; shift; done\n'
                  'mkdir -p "$directory/release"; echo "$CFLAGS" >"$directory/release/lib$crate.dylib"')
    project = stand_ins.folder / "project"
    shutil.copytree(TOP / "packaging", project / "packaging", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("Cargo.toml", "src/host/mod_wsgi_daemon.py"):
        (project / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(TOP / name, project / name)
    done = stand_ins.run(BASH, "packaging/compile", alone=True, cwd=project, PYTHONS="3.14")
    assert done.returncode == 0, done.stderr
    made = {path.name: path.read_text() for path in (project / "target/mod_wsgi").iterdir()}
    assert set(made) == {"mod_wsgi.so", "mod_wsgi_host.cpython-314.so", "mod_wsgi_daemon.py"}
    assert "-fstack-clash-protection" not in made["mod_wsgi.so"] and "-ffile-prefix-map" in made["mod_wsgi.so"]
    assert len(stand_ins.calls("strip")) == 2
