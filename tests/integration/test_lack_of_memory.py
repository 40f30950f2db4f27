"""A daemon process that the kernel kills for lack of memory: the log says so, and figures count it so."""

import fcntl
import os
import re
import signal
import tempfile
from pathlib import Path

import pytest

from harness import processes

pytestmark = pytest.mark.ours_only("the C module does not say how a process ended, and has no figures")

ROOM = 64 << 20
APPLICATION = """
    import os

    def application(environ, start_response):
        if environ["PATH_INFO"] == "/fill":
            held = [bytearray(b"x" * (4 << 20)) for _ in range(64)]
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [str(os.getpid()).encode()]
"""


class ControlGroup:
    """A control group for memory with room for ROOM bytes, of either version; it is at the root, since below a group that
    has processes version 2 limits nothing."""

    def __init__(self):
        root = Path("/sys/fs/cgroup")
        version_2 = (root / "cgroup.controllers").exists()
        above = root if version_2 else root / "memory"
        if not above.is_dir() or version_2 and "memory" not in (root / "cgroup.subtree_control").read_text().split():
            pytest.skip(f"needs a controller of memory in {root}, and there is none: nothing can run out of memory here")
        self.folder = above / f"mod_wsgi-test-{os.getpid()}"
        try:
            self.folder.mkdir()
        except OSError as error:
            pytest.skip(f"needs a control group of its own, to let a process run out of memory: {error}")
        names = ("memory.max", "memory.swap.max") if version_2 else ("memory.limit_in_bytes", "memory.memsw.limit_in_bytes")
        for name, most in zip(names, (ROOM, 0 if version_2 else ROOM)):
            if (self.folder / name).exists():  # the second one only where the kernel counts what is swapped out
                (self.folder / name).write_text(str(most))

    def take(self, pid):
        (self.folder / "cgroup.procs").write_text(str(pid))

    def remove(self):
        processes.wait_until(lambda: not (self.folder / "cgroup.procs").read_text(), "nobody is in the control group")
        self.folder.rmdir()


@pytest.mark.root_only("only root makes a control group")
class TestLackOfMemory:
    modes = ("daemon",)
    mpms = ("event", "prefork")

    @pytest.fixture(autouse=True)
    def _one_at_a_time(self):
        """The kernel counts for the whole machine, and tests run side by side."""
        with open(Path(tempfile.gettempdir()) / "mod_wsgi-test-lack-of-memory", "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    @staticmethod
    def configure(site):
        site.write("app.wsgi", APPLICATION)
        site.add("<Location /figures>\nSetHandler wsgi-metrics\n</Location>")
        site.serve("app.wsgi", options="threads=2")

    @staticmethod
    def ends(server):
        """How many processes have ended, by reason."""
        found = re.findall(r'^wsgi_process_ends_total\{.*?reason="(\w+)".*?\} (\d+)$', server.get("/figures").text, re.M)
        return {reason: int(number) for reason, number in found if int(number)}

    def test_the_log_and_the_figures_say_so_and_not_of_a_process_that_somebody_kills(self, server):
        before = int(server.get("/").body)
        group = ControlGroup()
        try:
            group.take(before)
            assert server.get("/fill").status == 502, "it ran in the process that was killed"
            server.log.declare("WSGI0146", r"AH00052: .*Killed")
            said = server.log.expect(f"WSGI7055: daemon process {before} of group 'app' has ended: ")
            assert "signal 9 (SIGKILL)" in said and "the kernel has killed for lack of memory meanwhile" in said
            assert "with it a request that it ran" in said and "another one is started" in said
        finally:
            processes.kill(before)
            group.remove()
        assert self.ends(server) == {"out_of_memory": 1}
        # The kernel's count is of the whole machine and never goes back: what was before its start is no matter to a process.
        after = int(server.get("/").body)
        assert after != before
        os.kill(after, signal.SIGKILL)
        said = server.log.expect(f"WSGI7055: daemon process {after} of group 'app' has ended: ")
        assert "signal 9 (SIGKILL)" in said and "memory" not in said
        assert self.ends(server) == {"out_of_memory": 1, "crash": 1}
        assert server.get("/").status == 200
