"""What /proc says about the processes of a server, and waiting for conditions."""

import os
import signal
import time
from pathlib import Path


def wait_until(condition, what: str, timeout: float = 10.0):
    """Returns the first true value of `condition()`; fails naming `what` when there is none in `timeout` seconds."""
    deadline = time.monotonic() + timeout
    while True:
        if value := condition():
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {timeout} s: {what}")
        time.sleep(0.02)


def _stat(pid: int) -> list[str]:
    """The fields of /proc/PID/stat after the command name: state, parent, process group, session, ..."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def is_alive(pid: int) -> bool:
    try:
        return _stat(pid)[0] not in "ZX"
    except (OSError, IndexError):
        return False


def of_session(session: int) -> list[int]:
    """Every living process in this session: httpd is started as a session leader, so that is all it started."""
    found = []
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                fields = _stat(int(entry))
            except (OSError, IndexError):
                continue
            if int(fields[3]) == session and fields[0] not in "ZX":
                found.append(int(entry))
    return sorted(found)


def parent_of(pid: int) -> int:
    return int(_stat(pid)[1])


def cpu_seconds(pid: int) -> float:
    """User and system time that the process has used so far."""
    fields = _stat(pid)
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def memory_kib(pid: int) -> dict[str, int]:
    """Rss and Pss in KiB (Pss shares out pages that several processes map)."""
    sizes = {}
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]:
        name, _, value = line.partition(":")
        if name in ("Rss", "Pss"):
            sizes[name] = int(value.split()[0])
    return sizes


def command_line(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").rstrip("\0").split("\0")


def maps(pid: int) -> str:
    return Path(f"/proc/{pid}/maps").read_text()


def status(pid: int, field: str) -> list[str]:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        name, _, value = line.partition(":")
        if name == field:
            return value.split()
    raise KeyError(field)


def descriptors(pid: int) -> dict[int, str]:
    """Open descriptors and what they point to, as /proc shows them: a path, socket:[inode], pipe:[inode], ..."""
    found = {}
    for entry in os.listdir(f"/proc/{pid}/fd"):
        try:
            found[int(entry)] = os.readlink(f"/proc/{pid}/fd/{entry}")
        except OSError:
            continue
    return found


def listening_tcp_sockets(pid: int) -> list[str]:
    """The local addresses (hex, as in /proc/net/tcp) of listening TCP sockets that the process holds."""
    listening = {}
    for table in ("tcp", "tcp6"):
        path = Path(f"/proc/{pid}/net/{table}")
        for line in path.read_text().splitlines()[1:] if path.exists() else []:  # tcp6 needs IPv6 in the kernel
            fields = line.split()
            if fields[3] == "0A":
                listening[f"socket:[{fields[9]}]"] = fields[1]
    return [listening[target] for target in descriptors(pid).values() if target in listening]


def memory(pid: int):
    """Everything a process has mapped and may read."""
    for line in open(f"/proc/{pid}/maps"):
        span, rights, *_, = line.split()
        if "r" not in rights or line.rstrip().endswith(("[vvar]", "[vsyscall]", "[vvar_vclock]")):
            continue
        start, end = (int(number, 16) for number in span.split("-"))
        with open(f"/proc/{pid}/mem", "rb", buffering=0) as source:
            source.seek(start)
            try:
                yield source.read(end - start)
            except OSError:
                continue


def holds(pid: int, *secrets: bytes) -> list[bool]:
    """Which of these stand in the memory of a process."""
    parts = list(memory(pid))
    return [any(secret in part for part in parts) for secret in secrets]


def kill(pid: int, number: int = signal.SIGKILL) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        pass
