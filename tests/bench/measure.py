"""Runs wrk against a server, and reads from /proc what its processes used meanwhile."""

import contextlib
import json
import os
import re
import shutil
import subprocess
import textwrap
from dataclasses import dataclass
from pathlib import Path

from harness import processes, under_test
from harness.server import Server
from harness.site import Site

from .other_servers import SERVERS
from .rows import ROWS, Row

# wrk reads its settings from Lua; the report goes to standard error as JSON.
SCRIPT = """
wrk.method = {method}
wrk.body = {body}
{headers}
done = function(summary, latency, requests)
    local errors = summary.errors
    io.stderr:write(string.format('{{"requests": %d, "microseconds": %d, "p50": %d, "p99": %d, "errors": %d}}\\n',
        summary.requests, summary.duration, latency:percentile(50), latency:percentile(99),
        errors.connect + errors.read + errors.write + errors.status + errors.timeout))
end
"""

# Ours with something switched on: what stands in front of the script, and a directive.
SWITCHED_ON = {
    "recording": ("import mod_wsgi\nmod_wsgi.start_recording_metrics()\n", ""),
    "traced": ("", "WSGITraceContext On"),
}


@dataclass
class Measurement:
    per_second: float
    cpu_microseconds: float
    """User and system time of the parent, the children and the daemons, per request."""
    p50_ms: float
    p99_ms: float
    memory_mib: float
    """Proportional set size of all those processes after the round."""
    largest_mib: float
    """Resident set size of the largest of them."""
    errors: int


def lua_string(text: str) -> str:
    return json.dumps(text) if len(text) < 1000 else f'string.rep({json.dumps(text[0])}, {len(text)})'


def wrk_script(row: Row, folder: Path) -> None:
    headers = "\n".join("wrk.headers[%s] = %s" % tuple(map(lua_string, line.split(": ", 1))) for line in row.request_headers)
    body = lua_string(row.request_body) if row.request_body else "nil"
    (folder / "wrk.lua").write_text(SCRIPT.format(method=lua_string(row.method), body=body, headers=headers))


@contextlib.contextmanager
def running(mode: str, row: str, names: list[str], groups: int = 1):
    """A server for each name, all with the same configuration; all run, one at a time is measured. A name is a module's, that of
    another server, or says what is switched on in ours. With several groups the requests go to the first one, and the others are idle."""
    servers = []
    try:
        for name in names:
            in_front, directive = SWITCHED_ON.get(name, ("", ""))
            module = under_test.module("ours" if name in SERVERS or name in SWITCHED_ON else name)
            site = Site("event", mode, module)
            site.write("bench.wsgi", in_front + textwrap.dedent(ROWS[row].script))
            site.add(directive)
            site.path("bench.bin").write_bytes(b"x" * ROWS[row].file_size)
            # One child with enough threads for all connections, so that pools are alike in every round.
            site.mpm_sizes = "ThreadLimit 128\nStartServers 1\nServerLimit 1\nThreadsPerChild 128\nMaxRequestWorkers 128\nMaxRequestsPerChild 0"
            site.add("MaxKeepAliveRequests 0", "LogLevel warn")
            wrk_script(ROWS[row], site.root)
            if name in SERVERS:
                servers.append(SERVERS[name](site).start())
            else:
                site.serve("bench.wsgi", options="processes=1 threads=15")
                for number in range(2, groups + 1):
                    site.add(f"WSGIDaemonProcess group{number} processes=1 threads=15",
                             f"WSGIScriptAlias /group{number} {site.path('bench.wsgi')} process-group=group{number} application-group=%{{GLOBAL}}")
                servers.append(Server(site).start())
            measure(servers[-1], 4, 1)
        yield servers
    finally:
        for server in servers:
            server.stop()


def cpu_seconds(server: Server) -> float:
    return sum(processes.cpu_seconds(pid) for pid in server.processes())


def pin(server: Server, core: int) -> None:
    """Has all threads that the server has now, and those which they start, run on that core."""
    for pid in server.processes():
        for thread in Path(f"/proc/{pid}/task").iterdir():
            with contextlib.suppress(ProcessLookupError):
                os.sched_setaffinity(int(thread.name), {core})


def measure(server: Server, connections: int, seconds: int, core: int | None = None) -> Measurement:
    """One round. With a core, wrk runs on that one."""
    wrk = shutil.which("wrk")
    if not wrk:
        raise SystemExit("the benchmark needs wrk (apt-get install wrk)")
    before = cpu_seconds(server)
    done = subprocess.run(
        [wrk, "-t1", f"-c{connections}", f"-d{seconds}s", "-s", str(server.site.root / "wrk.lua"),
         f"http://127.0.0.1:{server.site.port}/"], capture_output=True, text=True,
        preexec_fn=None if core is None else lambda: os.sched_setaffinity(0, {core}))
    used = cpu_seconds(server) - before
    found = re.search(r"^\{.*\}$", done.stderr, re.MULTILINE)
    if not found:
        raise SystemExit(f"wrk failed:\n{done.stdout}{done.stderr}")
    report = json.loads(found[0])
    requests = max(report["requests"], 1)
    memory = [processes.memory_kib(pid) for pid in server.processes()]
    return Measurement(
        per_second=report["requests"] / (report["microseconds"] / 1e6),
        cpu_microseconds=used * 1e6 / requests,
        p50_ms=report["p50"] / 1000,
        p99_ms=report["p99"] / 1000,
        memory_mib=sum(one["Pss"] for one in memory) / 1024,
        largest_mib=max(one["Rss"] for one in memory) / 1024,
        errors=report["errors"],
    )
