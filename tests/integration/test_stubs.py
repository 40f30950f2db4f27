"""mod_wsgi-stubs: what editors are told of the modules mod_wsgi and apache is what they hold."""

import os
import re
import shutil
import subprocess

import pytest

from harness.places import REPOSITORY
from harness.programs import virtualenv_or_skip

pytestmark = pytest.mark.ours_only("the stubs are of our release")

STUBS = REPOSITORY / "stubs"
MYPY = "mypy==1.18.2"
USES = """
import logging
import apache
import mod_wsgi

@mod_wsgi.subscribe_events
def told(event: str, **payload: object) -> dict[str, object] | None:
    return {"application_object": payload["application_object"]} if event == "request_started" else None

mod_wsgi.subscribe_shutdown(lambda event, **payload: None)
mod_wsgi.event_callbacks.remove(told)
mod_wsgi.start_recording_metrics()
logging.getLogger().addHandler(mod_wsgi.LogHandler(logging.INFO))

def busiest() -> float:
    figures = mod_wsgi.request_metrics()
    assert figures is not None
    number: int = figures["request_count"] + len(figures["server_time_buckets"])
    queue: float | None = figures["queue_time"]
    board = mod_wsgi.server_metrics()
    workers = [worker["status"] for process in board["processes"] for worker in process["workers"]] if board else []
    return max(figures["request_threads_busy_time"]) + number + (queue or 0.0) + len(workers)

def send(name: str) -> mod_wsgi.FileWrapper:
    try:
        return mod_wsgi.FileWrapper(open(name, "rb"), 4096)
    except mod_wsgi.RequestTimeout:
        mod_wsgi.request_data()["failed"] = True
        raise

major, minor, patch = mod_wsgi.version
description: str = apache.description + mod_wsgi.process_group
"""
WRONG = """
import mod_wsgi

mod_wsgi.subscribe_events(5)
mod_wsgi.request_metrics()["request_count"]
mod_wsgi.FileWrapper("text")
mod_wsgi.no_such_member
"""
COMPARE = """
    import contextlib, io, os

    def application(environ, start_response):
        from mypy import stubtest
        os.environ["MYPYPATH"] = {folder!r}
        os.chdir({scratch!r})
        said = io.StringIO()
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
            status = stubtest.test_stubs(stubtest.parse_options(["mod_wsgi", "apache", "--concise"]))
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [str(status).encode() + b"\\n" + said.getvalue().encode()]
"""


@pytest.fixture(scope="module")
def environment():
    return virtualenv_or_skip(MYPY)


def search_path(folder):
    """The stubs under the names of their modules, where mypy finds them without their being installed."""
    for name in ("mod_wsgi", "apache"):
        shutil.copytree(STUBS / f"{name}-stubs", folder / name)
    return folder


def mypy(environment, folder, text):
    (folder / "program.py").write_text(text)
    done = subprocess.run([environment / "bin" / "python", "-m", "mypy", "--strict", "--cache-dir", folder / "cache", "program.py"],
                          cwd=folder, env=os.environ | {"MYPYPATH": str(folder)}, capture_output=True, text=True)
    return done.stdout + done.stderr


class TestStubs:
    def test_a_program_that_uses_every_kind_of_member_passes(self, environment, tmp_path):
        assert "Success: no issues found" in mypy(environment, search_path(tmp_path), USES)

    def test_a_wrong_use_is_found_line_by_line(self, environment, tmp_path):
        said = mypy(environment, search_path(tmp_path), WRONG)
        assert re.findall(r"program\.py:(\d+): error", said) == ["4", "5", "6", "7"], said

    def test_they_are_of_this_release(self):
        version = re.search(r'^version = "(.*)"$', (REPOSITORY / "Cargo.toml").read_text(), re.MULTILINE)[1]
        assert f'version = "{version}"' in (STUBS / "pyproject.toml").read_text()

    def test_they_tell_what_is_there_and_nothing_else(self, environment, new_server):
        server = new_server("event", "daemon")
        site = server.site
        folder, scratch = site.root / "stubs", site.root / "scratch"
        folder.mkdir()
        scratch.mkdir()
        scratch.chmod(0o777)
        search_path(folder)
        site.write("compare.wsgi", COMPARE.format(folder=str(folder), scratch=str(scratch)))
        site.serve("compare.wsgi", options=f"threads=1 python-home={environment}")
        server.start()
        answer = server.get("/", timeout=120)
        assert answer.text.startswith("0\n"), answer.text
