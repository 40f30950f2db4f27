"""WSGIImportScript: scripts that are loaded before the first request."""

import os

import pytest

from harness.processes import wait_until

LOADED = """
    import os
    with open(os.path.dirname(__file__) + "/loaded", "a") as file:
        file.write(f"{os.path.basename(__file__)} {os.getpid()}\\n")
    count = 0

    def application(environ, start_response):
        global count
        count += 1
        start_response("200 OK", [])
        return [f"{os.getpid()} {count}".encode()]
"""
BROKEN = """
    raise RuntimeError("cannot be loaded")
"""


def writable(site, name):
    file = site.path(name)
    file.touch()
    file.chmod(0o666)
    return file


def loaded(site):
    return [line.split() for line in site.path("loaded").read_text().splitlines()]


class TestImportScript:
    @staticmethod
    def configure(site):
        writable(site, "loaded")
        first, second = site.write("first.wsgi", LOADED), site.write("second.wsgi", LOADED)
        group = "%{GLOBAL}" if site.embedded else "app"
        site.add("" if site.embedded else "WSGIDaemonProcess app\nWSGIDaemonProcess other", f"""
            WSGIImportScript {first} process-group={group} application-group=%{{GLOBAL}}
            WSGIImportScript {second} process-group={group} application-group=named
            WSGIScriptAlias / {first}
            WSGIProcessGroup {group}
            WSGIApplicationGroup %{{GLOBAL}}
        """)

    def test_scripts_are_loaded_in_order_before_a_request(self, server, site):
        wait_until(lambda: len(loaded(site)) >= 2, "both scripts are loaded")
        by_process = {}
        for script, pid in loaded(site):
            by_process.setdefault(pid, []).append(script)
        assert all(scripts == ["first.wsgi", "second.wsgi"] for scripts in by_process.values() if len(scripts) == 2)
        assert len(by_process) >= 1 and all(int(pid) != os.getpid() for pid in by_process)

    def test_only_the_processes_of_the_group_load_it(self, server, site):
        wait_until(lambda: len(loaded(site)) >= 2, "both scripts are loaded")
        if not site.embedded:
            assert len({pid for _, pid in loaded(site)}) == 1

    def test_the_application_is_the_module_that_was_loaded(self, server, site):
        pid = server.get("/").text.split()[0]
        assert [script for script, by in loaded(site) if by == pid].count("first.wsgi") == 1


class TestAScriptThatCannotBeLoaded:
    modes = ("daemon",)
    mpms = ("event",)

    def test_it_is_logged_and_the_next_one_is_loaded(self, new_server):
        server = new_server("event", "daemon")
        site = server.site
        writable(site, "loaded")
        broken, good = site.write("broken.wsgi", BROKEN), site.write("good.wsgi", LOADED)
        site.add("WSGIDaemonProcess app", f"""
            WSGIImportScript {site.path('missing.wsgi')} process-group=app application-group=%{{GLOBAL}}
            WSGIImportScript {broken} process-group=app application-group=%{{GLOBAL}}
            WSGIImportScript {good} process-group=app application-group=%{{GLOBAL}}
            WSGIScriptAlias / {good} process-group=app application-group=%{{GLOBAL}}
        """)
        server.start()
        wait_until(lambda: loaded(site), "the good script is loaded")
        server.log.expect(r"broken\.wsgi")
        server.log.expect(r"missing\.wsgi")
        server.log.expect("RuntimeError: cannot be loaded")
        server.log.declare("wsgi:error")
        assert server.get("/").status == 200


class TestPreloadedAliases:
    """A script alias with two literal groups is loaded early as well."""

    modes = ("daemon",)
    mpms = ("event",)

    @staticmethod
    def configure(site):
        writable(site, "loaded")
        early, late = site.write("early.wsgi", LOADED), site.write("late.wsgi", LOADED)
        site.add("WSGIDaemonProcess app", f"""
            WSGIScriptAlias /early {early} process-group=app application-group=named
            WSGIScriptAlias /late {late} process-group=app
        """)

    def test_only_an_alias_with_both_groups_is_loaded_early(self, server, site):
        wait_until(lambda: loaded(site), "a script is loaded")
        assert [script for script, _ in loaded(site)] == ["early.wsgi"]
        assert server.get("/late").status == 200
        assert [script for script, _ in loaded(site)] == ["early.wsgi", "late.wsgi"]


@pytest.mark.parametrize("host, accepted", [("other.test", False), ("first.test", True)])
def test_the_group_of_a_virtual_host_is_only_for_scripts_of_its_server_name(new_server, host, accepted):
    server = new_server("event", "daemon")
    script = server.site.write("first.wsgi", LOADED)
    server.site.add(f"""
        <VirtualHost *:1>
            ServerName first.test
            WSGIDaemonProcess app
        </VirtualHost>
        <VirtualHost *:2>
            ServerName {host}
            WSGIImportScript {script} process-group=app application-group=%{{GLOBAL}}
        </VirtualHost>
    """)
    status, text = server.configtest()
    assert (status == 0) == accepted, text
