"""pytest fixtures and markers.

A test class has a static method `configure(site)` and tests that take `server`. It runs once for every combination
of its class attributes `mpms` and `modes`; the server starts once per combination.
"""

import pytest

from . import interpreters, under_test
from .server import Server
from .site import AS_ROOT, Site

MPMS = ("event", "worker", "prefork")
MODES = ("embedded", "daemon")


def pytest_report_header():
    return f"mod_wsgi under test: {under_test.UNDER_TEST} ({under_test.module()})"


def pytest_generate_tests(metafunc):
    if "server" in metafunc.fixturenames:
        mpms = getattr(metafunc.cls, "mpms", MPMS)
        modes = getattr(metafunc.cls, "modes", MODES)
        combinations = [(mpm, mode) for mpm in mpms for mode in modes]
        metafunc.parametrize("server", combinations, indirect=True, scope="class",
                             ids=[f"{mpm}-{mode}" for mpm, mode in combinations])


def pytest_collection_modifyitems(items):
    for item in items:
        # With pytest-xdist and --dist loadgroup, the tests of one server stay with one worker.
        if "server" in item.fixturenames:
            item.add_marker(pytest.mark.xdist_group(item.nodeid.partition("::test")[0] + item.callspec.id))
        if (marker := item.get_closest_marker("ours_only")) and not under_test.OURS:
            item.add_marker(pytest.mark.skip(reason=f"ours only: {marker.args[0]}"))
        if (marker := item.get_closest_marker("since")) and under_test.version() < marker.args[0]:
            item.add_marker(pytest.mark.skip(reason=f"the C module before {marker.args[0]} differs: {marker.args[1]}"))
        if (marker := item.get_closest_marker("root_only")) and not AS_ROOT:
            item.add_marker(pytest.mark.skip(reason=f"needs root: {marker.args[0]}"))
        if (marker := item.get_closest_marker("needs_lock")) and interpreters.run_without_lock():
            item.add_marker(pytest.mark.skip(reason=f"this Python runs without a lock: {marker.args[0]}"))


class LogCheck:
    """The sites whose logs are checked at the end of the running test."""

    def __init__(self):
        self.sites: list[Site] = []

    def begin(self) -> None:
        for site in self.sites:
            for log in site.logs:
                log.begin()

    def verify(self) -> None:
        lines = [line for site in self.sites for line in site.undeclared()]
        assert not lines, "log lines that no test declared:\n" + "\n".join(lines)


@pytest.fixture(scope="session")
def log_check():
    return LogCheck()


@pytest.fixture(scope="class")
def server(request, log_check):
    """The running server of this class, for one MPM and one mode."""
    site = Site(*request.param)
    request.cls.configure(site)
    running = Server(site)
    log_check.sites.append(site)
    try:
        running.start()
        yield running
    finally:
        # Stopping is part of what is tested: its log lines count too.
        for log in site.logs:
            log.begin()
        try:
            running.stop()
            log_check.verify()
        finally:
            site.close()
            log_check.sites.remove(site)


@pytest.fixture
def site(server):
    return server.site


@pytest.fixture
def new_server(log_check):
    """Makes servers that one test alone uses: new_server(mpm, mode) has a site to configure and is not started."""
    made: list[Server] = []

    def make(mpm: str = "event", mode: str = "daemon") -> Server:
        made.append(Server(Site(mpm, mode)))
        log_check.sites.append(made[-1].site)
        return made[-1]

    yield make
    try:
        for one in made:
            one.stop()
        log_check.verify()
    finally:
        for one in made:
            one.stop()
            one.site.close()
            log_check.sites.remove(one.site)


@pytest.fixture(autouse=True)
def log_lines_are_declared(request, log_check):
    """Fails a test in which a warning, an error or a crash was logged that it did not declare."""
    if "server" in request.fixturenames:
        request.getfixturevalue("server")
    log_check.begin()
    yield
    if "new_server" not in request.fixturenames:
        log_check.verify()
