"""One folder with one httpd.conf: what a test class writes down before its server starts."""

import itertools
import os
import pwd
import random
import socket
import textwrap
from pathlib import Path

from . import httpd_program, interpreters, places, under_test
from .log import ErrorLog

_numbers = itertools.count(1)
_ports = itertools.count(random.randrange(20000, 30000))  # below the range that the kernel gives to clients

APACHE_USER = "www-data"
AS_ROOT = os.geteuid() == 0

# Small pools: one child under event and worker until more than one is needed, a few under prefork.
MPM_SIZES = {
    "event": "StartServers 1\nServerLimit 4\nThreadsPerChild 10\nMaxRequestWorkers 40\nMinSpareThreads 1\nMaxSpareThreads 40",
    "prefork": "StartServers 2\nServerLimit 10\nMaxRequestWorkers 10\nMinSpareServers 1\nMaxSpareServers 5",
}
MPM_SIZES["worker"] = MPM_SIZES["event"]

# An event child that ends while a connection becomes idle or is closed. AH03093 was seen with either module; AH03092 and AH00468
# ("Bad file descriptor") so far with ours only: taken for the same race of httpd's, which is not proved.
ALWAYS_ALLOWED = [
    r"AH0309[23]: process_(socket|lingering_close): apr_pollset_add failure",
    r"Bad file descriptor: AH00468: error closing socket",
]
# The C module: now and then a process misses the signal to stop and is killed, or crashes while its interpreters end.
THEIRS_ALLOWED = [r"AH0004[56]: child process", r"AH00052: .* exit signal Segmentation fault"]
# What a Python without a lock says to a switch interval, or to interpreters with locks of their own.
WITHOUT_LOCK = ["WSGI020[2345]:"]


def free_port() -> int:
    """A port nobody listens on at the moment; the server's start tries again with another if that changes."""
    for port in _ports:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise AssertionError("itertools.count ended")


class Site:
    """The configuration, the scripts and the logs of one server."""

    def __init__(self, mpm: str = "event", mode: str = "daemon", module: Path | None = None):
        self.mpm = mpm
        self.mode = mode
        self.module = module or under_test.module()
        self.root = places.scratch_folder() / f"s{next(_numbers)}"
        self.port = free_port()
        self.apache_user = APACHE_USER if AS_ROOT else pwd.getpwuid(os.getuid()).pw_name
        self.mpm_sizes = MPM_SIZES[mpm]
        self.nothing_granted = False
        """Set by a test that brings its own <Directory> sections."""
        self._directives: list[str] = []
        self.launcher: list[str] = []
        """A program, with its arguments, that executes httpd."""
        self.at_end: list = []
        """What is called when the server of this site has stopped for good."""
        for name in ("", "run", "logs", "app", "www"):
            (self.root / name).mkdir()
        self.log = ErrorLog(self.root / "logs" / "error.log")
        self.log.allow(*ALWAYS_ALLOWED, *([] if under_test.OURS else THEIRS_ALLOWED))
        if interpreters.run_without_lock():
            self.log.allow(*WITHOUT_LOCK)
        self.logs = [self.log]

    @property
    def embedded(self) -> bool:
        return self.mode == "embedded"

    def one_child(self) -> None:
        """One Apache child, for applications that keep something in memory in embedded mode."""
        self.mpm_sizes = "StartServers 1\nServerLimit 1\n"
        self.mpm_sizes += "MaxRequestWorkers 1" if self.mpm == "prefork" else "ThreadsPerChild 10\nMaxRequestWorkers 10"
        self.log.allow("AH10159", "AH00161", "AH00287")  # httpd would rather have more

    def close(self) -> None:
        while self.at_end:
            self.at_end.pop()()

    # What is on the disk

    def path(self, name: str) -> Path:
        """A file of the application's folder."""
        return self.root / "app" / name

    def write(self, name: str, text: str, mode: int = 0o644) -> Path:
        """Writes a file of the application's folder, without the indentation of the test's source."""
        path = self.path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text).lstrip("\n"))
        path.chmod(mode)
        return path

    def another_log(self, name: str) -> ErrorLog:
        """The error log of a virtual host, checked like the main one."""
        log = ErrorLog(self.root / "logs" / name, allowed=self.log.allowed)
        self.logs.append(log)
        return log

    # What is in httpd.conf

    def add(self, *directives: str) -> None:
        self._directives += [textwrap.dedent(text).strip("\n") for text in directives]

    def daemon(self, group: str, options: str = "") -> str:
        """WSGIDaemonProcess and WSGIProcessGroup in daemon mode, and nothing in embedded mode."""
        if self.embedded:
            return ""
        return f"WSGIDaemonProcess {group} {options}\nWSGIProcessGroup {group}"

    def serve(self, script: str, *, at: str = "/", group: str = "app", options: str = "") -> None:
        """The usual case: one script at one place, in the mode of this site, in the main interpreter."""
        self.add(self.daemon(group, options), "WSGIApplicationGroup %{GLOBAL}", f"WSGIScriptAlias {at} {self.path(script)}")

    def configuration(self) -> str:
        identity = f"User {APACHE_USER}\nGroup {APACHE_USER}" if AS_ROOT else ""
        return "\n".join([
            f'ServerRoot "{self.root}"',
            f'DefaultRuntimeDir "{self.root}/run"',
            f'PidFile "{self.pid_file}"',
            f'DocumentRoot "{self.root}/www"',
            "ServerName localhost",
            f"Listen 127.0.0.1:{self.port}",
            httpd_program.load_modules(f"mpm_{self.mpm}", "authz_core", "env", "alias", "mime", "unixd", "log_config"),
            f"LoadModule wsgi_module {self.module}",
            identity,
            self.mpm_sizes,
            "TypesConfig /dev/null",
            "Timeout 20",
            f'ErrorLog "{self.log.path}"',
            "LogLevel notice wsgi:info",
            'LogFormat "%h %t \\"%r\\" %>s %b" common',
            f'CustomLog "{self.root}/logs/access.log" common',
            f'WSGISocketPrefix "{self.root}/run/w"',
            os.environ.get("WSGI_TEST_DIRECTIVES", ""),
            # As Debian has it: nothing is served that the configuration does not grant.
            "<Directory />\n    AllowOverride None\n    Require all denied\n</Directory>",
            "" if self.nothing_granted else f'<Directory "{self.root}">\n    Require all granted\n</Directory>',
            *self._directives,
            "",
        ])

    @property
    def pid_file(self) -> Path:
        return self.root / "run" / "httpd.pid"

    @property
    def configuration_file(self) -> Path:
        return self.root / "httpd.conf"

    def write_configuration(self) -> None:
        self.configuration_file.write_text(self.configuration())

    def undeclared(self) -> list[str]:
        return [f"{log.path.name}: {line}" for log in self.logs for line in log.undeclared()]
