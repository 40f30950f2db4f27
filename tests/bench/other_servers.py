"""Other ways to run a WSGI application behind Apache: mod_proxy_uwsgi to uWSGI, mod_proxy_http to Granian. Both are installed
from PyPI into environments of their own; compiling uWSGI takes a minute, once."""

import os
import signal
import subprocess
import time

from harness import httpd_program, interpreters, processes
from harness.server import Server
from harness.site import Site, free_port


class Behind(Server):
    """An httpd that hands requests to a server of its own, which ends with it."""

    def __init__(self, site: Site, command: list[str]):
        super().__init__(site)
        self.command, self.application = command, None

    def start(self) -> "Behind":
        log = open(self.site.root / "logs" / "application.log", "wb")
        self.application = subprocess.Popen(self.command, cwd=self.site.path(""), stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                            start_new_session=True, env={"PATH": "/usr/local/bin:/usr/bin:/bin"})
        super().start()
        end = time.monotonic() + 20
        while self.get("/").status != 200:
            if time.monotonic() > end:
                raise SystemExit(f"{self.command[0]} does not answer:\n{(self.site.root / 'logs' / 'application.log').read_text()}")
            time.sleep(0.1)
        return self

    def processes(self) -> list[int]:
        return super().processes() + processes.of_session(self.application.pid)

    def stop(self, timeout: float = 20.0) -> float:
        took = super().stop(timeout)
        if self.application:
            os.kill(self.application.pid, signal.SIGINT)
            try:
                self.application.wait(10)
            except subprocess.TimeoutExpired:
                os.killpg(self.application.pid, signal.SIGKILL)
                self.application.wait()
        return took


def uwsgi(site: Site) -> Behind:
    environment = interpreters.virtualenv(interpreters.system(), "uwsgi")
    path = site.root / "run" / "uwsgi.sock"
    site.add(httpd_program.load_modules("proxy", "proxy_uwsgi"), f'ProxyPass "/" "unix:{path}|uwsgi://localhost/"')
    return Behind(site, [f"{environment}/bin/uwsgi", "--uwsgi-socket", str(path), "--chmod-socket=666", "--wsgi-file", "bench.wsgi",
                         "--master", "--processes=1", "--threads=15", "--disable-logging", "--die-on-term", "--need-app"])


def granian(site: Site) -> Behind:
    environment = interpreters.virtualenv(interpreters.system(), "granian")
    port = free_port()
    # Granian imports a module by name.
    site.path("bench.wsgi").replace(site.path("bench.py"))
    site.add(httpd_program.load_modules("proxy", "proxy_http"),
             f'ProxyPass "/" "http://127.0.0.1:{port}/" enablereuse=on', f'ProxyPassReverse "/" "http://127.0.0.1:{port}/"')
    return Behind(site, [f"{environment}/bin/granian", "--interface", "wsgi", "--host", "127.0.0.1", "--port", str(port), "--workers", "1",
                         "--blocking-threads", "15", "--no-access-log", "--log-level", "warning", "bench:application"])


SERVERS = {"uwsgi": uwsgi, "granian": granian}
