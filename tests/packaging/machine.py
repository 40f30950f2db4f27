"""A small Debian machine in a folder: a chroot with a network, processes and mounts of its own.

Everything runs inside one set of namespaces that dies with its first process, so a server that a maintainer script
starts cannot reach this machine's ports, and nothing stays mounted or running afterwards.

WSGI_PACKAGING_ARCHITECTURE names another architecture than this machine's, arm64: then it is Debian for that one, in an
emulator of its processor.
"""

import os
import shutil
import socket
import subprocess
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

TOP = Path(__file__).resolve().parents[2]
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or TOP / "target/cache") / "mod_wsgi"
ENVIRONMENT = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME": "/root",
    "LANG": "C.UTF-8",
    "DEBIAN_FRONTEND": "noninteractive",
}
# Debian's names of architectures, with what the kernel calls them.
MACHINES = {"amd64": "x86_64", "arm64": "aarch64"}
NATIVE = {machine: name for name, machine in MACHINES.items()}.get(os.uname().machine, os.uname().machine)
ARCHITECTURE = os.environ.get("WSGI_PACKAGING_ARCHITECTURE") or NATIVE
# Behind the name of what is kept in the cache of another architecture.
OTHER = "" if ARCHITECTURE == NATIVE else f"-{ARCHITECTURE}"
EMULATOR = f"/usr/bin/qemu-{MACHINES.get(ARCHITECTURE, ARCHITECTURE)}-static"
# How the kernel knows a program of arm64: the beginning of its ELF header, and which bits of that count.
ARM64_MAGIC = (r"\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\xb7\x00",
               r"\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff")
# The names under which a proxy for downloads is handed on.
PROXIES = [name for name in os.environ if name.lower() in ("http_proxy", "https_proxy", "no_proxy")]

# What the first process of a machine does first. $1 root, $2 scratch or "", $3 the folder of packages.
PREPARE = """
set -e
ip link set lo up
root=$1
if [ -n "$2" ]; then
    mount -t tmpfs tmpfs "$2"
    mkdir "$2/upper" "$2/work" "$2/root"
    mount -t overlay -o "lowerdir=$1,upperdir=$2/upper,workdir=$2/work" overlay "$2/root"
    root=$2/root
else
    # A root that is a mount lets what runs inside make namespaces, too.
    mount --bind "$1" "$1"
fi
mount -t proc proc "$root/proc"
mkdir -p "$root/dev/shm"
mount -t tmpfs tmpfs "$root/dev/shm"
mount --bind "$3" "$root/var/cache/apt/archives"
"""

# Then it waits.
WAIT = """
echo started
# The first process inherits the orphans. It ignores their end, so the kernel buries them: whoever waits for the end of
# Apache sees it.
exec env --ignore-signal=CHLD sleep infinity
"""

# A request from inside the machine, with nothing but the Python that the package depends on.
FETCH = """
import sys, urllib.error, urllib.request
try:
    answer = urllib.request.urlopen(sys.argv[1], timeout=30)
except urllib.error.HTTPError as error:
    answer = error
sys.stdout.write("%d\\n" % answer.status)
sys.stdout.flush()
sys.stdout.buffer.write(answer.read())
"""


class MachineError(Exception):
    """A command inside the machine failed; the text holds what it printed."""


@dataclass
class Answer:
    """What Apache answered."""

    status: int
    body: str


def why_not():
    """Return why no machine can be made here, or None."""
    if os.geteuid() != 0:
        return "needs root for chroot and namespaces"
    for tool in ("mmdebstrap", "setpriv", "unshare", "nsenter", "ip"):
        if not shutil.which(tool):
            return f"needs {tool}"
    if OTHER and ARCHITECTURE != "arm64":
        return f"WSGI_PACKAGING_ARCHITECTURE is {ARCHITECTURE}, and arm64 is the only other architecture"
    if OTHER and not (os.access(EMULATOR, os.X_OK) and shutil.which("arch-test")):
        return f"needs {EMULATOR}, of Debian's qemu-user-static, and arch-test"
    tried = subprocess.run(["unshare", "--net", "--mount", "--pid", "--fork", "true"], capture_output=True, text=True)
    if tried.returncode:
        return f"cannot make namespaces here: {tried.stderr.strip()}"
    return None


@contextmanager
def emulation():
    """Let the kernel run programs of the architecture in its emulator, if it is not this machine's own."""
    name = f"mod_wsgi-{ARCHITECTURE}-{os.getpid()}"
    if not OTHER:
        yield
        return
    folder = tempfile.mkdtemp(prefix="mod_wsgi-binfmt-", dir="/var/tmp")
    subprocess.run(["mount", "-t", "binfmt_misc", "binfmt_misc", folder], check=True)
    try:
        # F: the emulator is opened now, so that it works within any root.
        Path(folder, "register").write_text(f":{name}:M::{ARM64_MAGIC[0]}:{ARM64_MAGIC[1]}:{EMULATOR}:F")
        yield
    finally:
        entry = Path(folder, name)
        if entry.exists():
            entry.write_text("-1")
        subprocess.run(["umount", folder], check=True)
        os.rmdir(folder)


def debian_sources(suite):
    """Return the sources.list of `suite` on the mirrors that this machine itself uses."""
    formats = "$(LABEL)|$(REPO_URI)|$(COMPONENT)"
    listed = subprocess.run(
        ["apt-get", "indextargets", "--format", formats, "Created-By: Packages"],
        capture_output=True, text=True, check=True,
    ).stdout
    lines = []
    for line in sorted(set(listed.splitlines())):
        label, uri, component = line.split("|")
        if component != "main" or label not in ("Debian", "Debian-Security"):
            continue
        lines.append(f"deb {uri} {suite}{'-security' if label == 'Debian-Security' else ''} main")
    if not lines:
        raise MachineError("this machine's apt knows no Debian mirror, run apt-get update first")
    return "\n".join(lines) + "\n"


def base_tarball(suite):
    """Return the tarball of a minimal `suite`, made once and kept in the cache."""
    tarball = CACHE / f"base-{suite}{OTHER}.tar"
    if not tarball.exists():
        CACHE.mkdir(parents=True, exist_ok=True)
        unfinished = tarball.with_suffix(f".{os.getpid()}.tar")
        # A mirror that lags behind has an expired Release file; signatures are checked all the same.
        made = subprocess.run(
            ["mmdebstrap", "--quiet", "--variant=minbase", f"--architectures={ARCHITECTURE}", "--include=ca-certificates",
             '--aptopt=Acquire::Languages "none"', '--aptopt=Acquire::Check-Valid-Until "false"',
             suite, str(unfinished), "-"],
            input=debian_sources(suite), capture_output=True, text=True,
        )
        if made.returncode:
            unfinished.unlink(missing_ok=True)
            raise MachineError(f"mmdebstrap {suite} failed:\n{made.stderr}")
        unfinished.rename(tarball)
    return tarball


def unpack(suite):
    """Return a new folder with a minimal `suite` in it; `discard` removes it."""
    # Not below /tmp, which may be small memory; the mode lets www-data pass.
    folder = Path(tempfile.mkdtemp(prefix=f"mod_wsgi-{suite}-", dir="/var/tmp"))
    folder.chmod(0o755)
    tarball = base_tarball(suite)
    subprocess.run(["tar", "--extract", "--numeric-owner", "--file", tarball, "--directory", folder], check=True)
    return folder


def discard(folder):
    """Remove a folder, but never through something that is still mounted in it."""
    mounted = [line.split()[1] for line in Path("/proc/self/mounts").read_text().splitlines()]
    still = [point for point in mounted if point.startswith(f"{folder}/")]
    if still:
        raise MachineError(f"still mounted, not removed: {still}")
    shutil.rmtree(folder)


class Machine:
    """A running machine on `root`; with `disposable`, whatever it writes is kept in memory and forgotten."""

    start = PREPARE + WAIT
    more_arguments = ()
    """What `start` gets as $4 and on."""

    def __init__(self, root, suite, disposable=True):
        self.suite = suite
        self.archives = CACHE / f"debs-{suite}{OTHER}"
        (self.archives / "partial").mkdir(parents=True, exist_ok=True)
        self.scratch = tempfile.mkdtemp(prefix="mod_wsgi-scratch-", dir="/var/tmp") if disposable else ""
        self.root = f"{self.scratch}/root" if disposable else str(root)
        shutil.copy("/etc/resolv.conf", f"{root}/etc/resolv.conf")
        # Apache looks its own name up, which without a network takes a minute to fail.
        Path(f"{root}/etc/hosts").write_text(f"127.0.0.1 localhost {socket.gethostname()}\n")
        self.process = subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", "unshare", "--net", "--mount", "--pid", "--fork", "--kill-child",
             "sh", "-c", self.start, "machine", str(root), self.scratch, str(self.archives), *self.more_arguments],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True,
        )
        if self.process.stdout.readline() != "started\n":
            self.stop()
            raise MachineError("the machine did not start")
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        self.first = int(children[0])

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def stop(self):
        """End every process of the machine and forget what it wrote."""
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()
        if self.scratch:
            os.rmdir(self.scratch)

    def run(self, command, *arguments, check=True, online=False, **environment):
        """Run a shell command as root and return what it printed; `online` lends it this machine's network."""
        join = ["nsenter", "--target", str(self.first), "--root", "--mount", "--pid"] + ([] if online else ["--net"])
        lent = {name: os.environ[name] for name in PROXIES} if online else {}
        done = subprocess.run(
            [*join, "chroot", self.root, "/bin/sh", "-c", command, "sh", *arguments],
            env={**ENVIRONMENT, **lent, **environment}, cwd="/",
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )
        if check and done.returncode:
            raise MachineError(f"{command}: exit {done.returncode}\n{done.stdout}")
        return done.stdout

    def succeeds(self, command):
        """Tell whether a shell command exits with 0."""
        try:
            self.run(command)
        except MachineError:
            return False
        return True

    def wait(self, command, seconds=30):
        """Wait until a shell command exits with 0."""
        self.run('for _ in $(seq "$2"); do eval "$1" >/dev/null && exit; sleep 0.1; done; exit 1', command, str(seconds * 10))

    def apt(self, action, *packages):
        """Let apt act, downloads first and alone: maintainer scripts start servers, and must not have our network."""
        quiet = "apt-get -qq -y -o Dpkg::Use-Pty=0 -o APT::Keep-Downloaded-Packages=true --no-install-recommends"
        names = " ".join(packages)
        if action in ("install", "reinstall"):
            self.run(f"{quiet} --download-only {action} {names}", online=True)
        return self.run(f"{quiet} {action} {names}")

    def update(self):
        """Fetch the lists of packages."""
        self.run("apt-get -qq update", online=True)

    def put(self, path, text, mode=0o644):
        """Write a file."""
        self.run('mkdir -p "$(dirname "$1")" && printf %s "$2" > "$1" && chmod "$3" "$1"', path, text, f"{mode:o}")

    def put_file(self, source, path):
        """Copy a file of this machine in; the folder has to exist."""
        with open(source, "rb") as file:
            subprocess.run(
                ["nsenter", "--target", str(self.first), "--root", "--mount", "chroot", self.root, "dd", "status=none", f"of={path}"],
                stdin=file, check=True, cwd="/",
            )

    def exists(self, path):
        """Tell whether a path exists, be it a dangling link."""
        return self.succeeds(f"[ -e {path} ] || [ -L {path} ]")

    def get(self, path, port=80):
        """Ask Apache for a path."""
        status, _, body = self.run('python3 -c "$1" "$2"', FETCH, f"http://127.0.0.1:{port}{path}").partition("\n")
        return Answer(int(status), body)
