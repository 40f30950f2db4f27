"""Starts, reloads and stops the httpd of a site, always by process id, and leaves no process behind."""

import os
import signal
import subprocess
import time
from functools import cache
from pathlib import Path

from . import httpd_program, interpreters, processes
from .client import Client
from .site import Site, free_port

READY = "resuming normal operations"


@cache
def environment() -> dict[str, str]:
    """What apachectl gives to httpd on Debian: nothing of the caller's environment gets in. The Python that stands for the
    distribution's comes first in PATH."""
    python = interpreters.for_everybody(interpreters.system()).parent
    search = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    return {"LANG": "C", "PATH": search if python == Path("/usr/bin") else f"{python}:{search}"}


class Server:
    """One httpd. Attributes that are not here are the client's: server.get("/")."""

    def __init__(self, site: Site):
        self.site = site
        self.log = site.log
        self.process: subprocess.Popen | None = None
        self.extra_environment: dict[str, str] = {}

    @property
    def client(self) -> Client:
        return Client(self.site.port)

    def __getattr__(self, name: str):
        if name in ("get", "post", "request", "raw", "curl", "connect", "keep_alive"):
            return getattr(self.client, name)
        raise AttributeError(name)

    @property
    def pid(self) -> int:
        """The Apache parent."""
        assert self.process is not None, "the server was not started"
        return self.process.pid

    def processes(self) -> list[int]:
        """The parent, its children and the daemon processes."""
        return processes.of_session(self.pid)

    def _command(self, *options: str) -> list[str]:
        return [httpd_program.program(), "-d", str(self.site.root), "-f", str(self.site.configuration_file), *options]

    def configtest(self) -> tuple[int, str]:
        """What `apachectl configtest` answers: exit status and text."""
        self.site.write_configuration()
        done = subprocess.run(self._command("-t"), env=environment(), capture_output=True, text=True, timeout=20)
        return done.returncode, done.stdout + done.stderr

    def start(self) -> "Server":
        for attempt in range(3):
            self.site.write_configuration()
            with open(self.site.root / "logs" / "console.log", "w+") as console:
                self.process = subprocess.Popen(
                    [*self.site.launcher, *self._command("-DFOREGROUND")], env=environment() | self.extra_environment, cwd="/",
                    stdin=subprocess.DEVNULL, stdout=console, stderr=console, start_new_session=True)
            if self._came_up():
                return self
            said = (self.site.root / "logs" / "console.log").read_text() + self.log.text()
            if "Address already in use" not in said or attempt == 2:
                raise AssertionError(f"httpd did not start:\n{said}")
            self.site.port = free_port()
        return self

    def _came_up(self) -> bool:
        def decided():
            return self.process.poll() is not None or READY in self.log.text()
        processes.wait_until(decided, "httpd starts or gives up", 20)
        return self.process.poll() is None

    # Signals, as apachectl sends them

    def _reload(self, number: int) -> None:
        """Returns when the parent has read its configuration again; requests are served before and after."""
        self.site.write_configuration()
        before = self._whole_log().count(READY)
        os.kill(self.pid, number)
        processes.wait_until(lambda: self._whole_log().count(READY) > before, "httpd reads its configuration again", 20)

    def _whole_log(self) -> str:
        return self.log.path.read_text(errors="replace") if self.log.path.exists() else ""

    def graceful(self) -> None:
        self._reload(signal.SIGUSR1)

    def restart(self) -> None:
        self._allow_what_httpd_does_to_its_children()
        self._reload(signal.SIGHUP)

    def _allow_what_httpd_does_to_its_children(self) -> None:
        """httpd: when an event child is told to end at once, its main thread closes the sockets of connections that a
        worker may be freeing at the same moment (close_worker_sockets in event.c). Observed with 2.4.71, with every
        mod_wsgi; crashes under worker and prefork, and of event children at any other time, still count.
        """
        if self.site.mpm == "event":
            self.log.allow(r"AH0005[12]: child pid \d+ exit signal Segmentation fault")

    def stop(self, timeout: float = 20.0) -> float:
        """Stops httpd as apachectl does and returns how long that took; whatever is left then is an error."""
        if self.process is None:
            return 0.0
        self._allow_what_httpd_does_to_its_children()
        if self.site.mpm == "event" and self.site.mode == "embedded":
            # A child that crashes so tells its applications nothing: let its workers free what clients have just closed.
            time.sleep(0.05)
        began = time.monotonic()
        session = self.process.pid
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(timeout)
            processes.wait_until(lambda: not processes.of_session(session), "all processes of the server end", timeout)
        finally:
            left = {pid: processes.command_line(pid) for pid in processes.of_session(session)}
            for pid in left:
                processes.kill(pid)
            self.process.wait(5)
            self.process = None
        assert not left, f"processes left behind after stop: {left}"
        return time.monotonic() - began
