"""A receiver of telemetry datagrams for tests: binds the socket, reads all that comes, decodes it."""

import os
import socket
import struct
import threading
from dataclasses import dataclass
from pathlib import Path

from .processes import wait_until

KINDS = {2: "sample", 4: "slow", 5: "started", 6: "stopping", 7: "stopped", 8: "gc_snapshot", 9: "gc_event"}
PHASES = ("server", "queue", "daemon", "application", "request", "gil_wait", "input_read", "output_write")
NAMES = {
    1: "mod_wsgi_version", 2: "python_version", 3: "apache_version", 4: "mpm_name", 5: "hostname", 6: "process_group",
    7: "process_parent_pid", 8: "interpreter_name", 10: "sample_period", 11: "telemetry_interval", 12: "slow_requests_threshold",
    13: "switch_interval", 20: "request_count", 21: "request_throughput", 22: "capacity_utilization", 30: "cpu_user_utilization",
    31: "cpu_system_utilization", 32: "cpu_utilization", 40: "memory_rss", 41: "memory_max_rss", 50: "request_threads_maximum",
    51: "request_threads_started", 52: "request_threads_active", 100: "input_bytes_total", 101: "input_reads_total",
    102: "output_bytes_total", 103: "output_writes_total", 110: "request_threads_completed", 111: "request_threads_busy_time",
    112: "request_threads_cpu_time", 113: "request_threads_current_elapsed", 114: "request_threads_max_duration",
    130: "shutdown_reason", 131: "process_uptime", 132: "lifetime_request_count", 133: "active_requests_at_decision",
    134: "active_requests_at_exit", 135: "graceful_drain", 200: "slow_record_state", 201: "slow_start_stamp", 202: "slow_duration",
    203: "slow_thread_id", 204: "slow_log_id", 205: "slow_server_pid", 210: "slow_method", 211: "slow_scheme", 212: "slow_hostname",
    213: "slow_script_name", 214: "slow_path_info", 215: "slow_protocol", 216: "slow_peer_ip", 217: "slow_user_agent",
    220: "slow_server_time", 221: "slow_queue_time", 222: "slow_daemon_time", 223: "slow_application_time", 224: "slow_gil_wait_time",
    225: "slow_gil_wait_count", 230: "slow_input_bytes", 231: "slow_input_reads", 232: "slow_output_bytes", 233: "slow_output_writes",
    234: "slow_input_read_time", 235: "slow_output_write_time", 240: "slow_status", 250: "slow_cpu_user_time",
    251: "slow_cpu_system_time", 260: "slow_active_at_start", 261: "slow_active_at_completion", 315: "gc_is_enabled",
    316: "gc_freeze_count", 317: "gc_dropped_events", 320: "gc_event_start_stamp", 321: "gc_event_duration",
    322: "gc_event_generation", 323: "gc_event_collected", 324: "gc_event_uncollectable",
    **{60 + at: f"{phase}_time" for at, phase in enumerate(PHASES)},
    **{70 + at: f"{phase}_min" for at, phase in enumerate(PHASES)},
    **{80 + at: f"{phase}_max" for at, phase in enumerate(PHASES)},
    **{90 + at: f"{phase}_time_buckets" for at, phase in enumerate(PHASES)},
    **{120 + at: f"status_{at + 1}xx_total" for at in range(5)},
    **{300 + 3 * group + at: f"gc_{name}{at}" for group, name in
       enumerate(("count", "threshold", "collections", "collected", "uncollectable")) for at in range(3)},
}


@dataclass
class Datagram:
    kind: str
    pid: int
    sequence: int
    stamp: float
    fields: dict
    raw: bytes

    def __getitem__(self, name: str):
        return self.fields[name]

    @classmethod
    def of(cls, raw: bytes) -> "Datagram":
        magic, version, kind, flags, pid, sequence, stamp = struct.unpack_from("<4sBBHIId", raw)
        assert (magic, version, flags) == (b"WSGI", 1, 0)
        fields, at = {}, 24
        while at < len(raw):
            number, tag = struct.unpack_from("<HB", raw, at)
            at += 3
            if tag in (1, 2):
                (value,) = struct.unpack_from("<Q" if tag == 1 else "<d", raw, at)
                at += 8
            else:
                (length,) = struct.unpack_from("<H", raw, at)
                layout = {4: f"<{length}s", 5: f"<{length}i", 6: f"<{length}d"}[tag]
                value = struct.unpack_from(layout, raw, at + 2)
                value = value[0].decode() if tag == 4 else list(value)
                at += 2 + struct.calcsize(layout)
            name = NAMES[number]
            assert name not in fields, f"{name} is there twice"
            assert value != "", f"{name} is empty"
            fields[name] = value
        return cls(KINDS[kind], pid, sequence, stamp, fields, raw)


class Receiver:
    """Reads everything that is sent to its socket; `reads=False` binds it only."""

    def __init__(self, path: Path, reads: bool = True):
        self.path = path
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(str(path))
        os.chmod(path, 0o666)
        self._datagrams: list[Datagram] = []
        self.errors: list[str] = []
        self.thread = threading.Thread(target=self._read, daemon=True)
        if reads:
            self.thread.start()

    def _read(self) -> None:
        while raw := self.socket.recv(65536):
            try:
                self._datagrams.append(Datagram.of(raw))
            except Exception as error:
                self.errors.append(f"{error!r} in {raw.hex()}")

    def close(self) -> None:
        if self.thread.is_alive():
            # An empty datagram ends the thread.
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as end:
                end.sendto(b"", str(self.path))
            self.thread.join(5)
        self.socket.close()

    def all(self, kind: str | None = None, pid: int | None = None) -> list[Datagram]:
        assert self.errors == []
        return [one for one in list(self._datagrams) if kind in (None, one.kind) and pid in (None, one.pid)]

    def wait(self, kind: str, condition=lambda datagram: True, after: int = 0, timeout: float = 20.0) -> Datagram:
        """The first datagram of a kind that a condition is true of, among those behind the first `after` datagrams."""
        def found():
            return next((one for one in self.all()[after:] if one.kind == kind and condition(one)), None)
        return wait_until(found, f"a datagram {kind}", timeout)

    def now(self) -> int:
        """How many have come so far."""
        return len(self.all())


def receive(site, options: str = "interval=0.5", reads: bool = True) -> Receiver:
    """Has the processes of a site report to a receiver, which is closed with the site."""
    receiver = Receiver(site.root / "telemetry.sock", reads)
    site.receiver = receiver
    site.at_end.append(receiver.close)
    site.add(f"WSGITelemetryService unix:{receiver.path} {options}")
    return receiver
