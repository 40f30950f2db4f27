"""A directive in several places at once: the innermost counts, and what is not said there is taken from outside.

httpd's order, from outside: server, virtual host, <Directory>, .htaccess, <Location>.
"""

import contextlib
import json
import os
import time
from base64 import b64encode
from pathlib import Path

import pytest

from harness import httpd_program, under_test
from harness.processes import wait_until

PLACES = ("server", "virtual_host", "directory", "htaccess", "location")
SCRIPT = """
    import json
    import os
    import time

    loaded = time.time()

    def make(name):
        def answer(environ, start_response):
            asked = environ["QUERY_STRING"]
            seen = {key: environ["mod_wsgi." + key] for key in ("process_group", "application_group")}
            seen |= {"callable": name, "address": environ["REMOTE_ADDR"], "host": environ["HTTP_HOST"],
                     "authorization": "HTTP_AUTHORIZATION" in environ, "trace": "mod_wsgi.traceparent" in environ,
                     "capsule": type(environ.get("apache.request_rec")).__name__ == "PyCapsule",
                     "loaded": loaded, "file": __file__, "pid": os.getpid()}
            status = "503 Later" if asked == "fails" else "200 OK"
            start_response(status, [("Content-Type", "application/json"), ("X-Method", environ["REQUEST_METHOD"])])
            if asked == "file":
                return environ["wsgi.file_wrapper"](open(environ["LARGE_FILE"], "rb"))
            return [json.dumps(seen).encode()]
        return answer

    application = make("application")
    for place in PLACES:
        globals()["of_" + place] = make("of_" + place)
        globals()["dispatched_in_" + place] = make("dispatched_in_" + place)
""".replace("PLACES", repr(PLACES))
DISPATCH = """
    def callable_object(environ):
        return "dispatched_in_{}" if environ["QUERY_STRING"] == "dispatched" else None
"""
LARGE = 3_000_000
"""Bytes of a file; a process reads less than half of that to load Python and a script."""
CASES = [
    ("silent.test", "/bare", "server"), ("own.test", "/bare", "virtual_host"), ("own.test", "/directory", "directory"),
    ("silent.test", "/directory", "directory"), ("own.test", "/htaccess", "htaccess"), ("own.test", "/location", "location"),
    ("own.test", "/directory-below", "directory"), ("own.test", "/htaccess-below", "htaccess")]
"""Which place is the innermost that says something, for a virtual host and a path."""


class Places:
    """Directives in every place: /directory has lines in the places as far as <Directory>, and so on."""

    mpms = ("event",)
    override = "FileInfo"
    partly = "WSGICallableObject of_directory"
    """What is said of the folder `partly`, where all else comes from outside."""

    @classmethod
    def configure(cls, site):
        said = {place: "\n".join(cls.lines(site, place)) for place in PLACES}
        if not site.embedded:
            site.add(*(f"WSGIDaemonProcess {place}" for place in PLACES), "WSGIProcessGroup server")
        site.path("large").write_bytes(b"x" * LARGE)
        site.add(f"SetEnv LARGE_FILE {site.path('large')}")
        for name in ("bare", "partly", "directory", "directory/below", "htaccess", "htaccess/below", "location"):
            cls.serve(site, f"/{name.replace('/', '-')}", site.write(f"{name}/show.wsgi", SCRIPT))
        for name in ("directory", "htaccess", "location"):
            site.add(f"<Directory {site.path(name)}>\nAllowOverride {cls.override}\n{said['directory']}\n</Directory>")
        for name in ("htaccess", "location"):
            site.write(f"{name}/.htaccess", said["htaccess"] + "\n")
        site.add(f"<Location /location>\n{said['location']}\n</Location>")
        site.add(f"<Directory {site.path('partly')}>\n{cls.partly}\n</Directory>")
        site.add('ErrorDocument 503 "told by Apache"', said["server"])
        site.add(f"<VirtualHost *:{site.port}>\nServerName silent.test\n</VirtualHost>")
        site.add(f"<VirtualHost *:{site.port}>\nServerName own.test\n{said['virtual_host']}\n</VirtualHost>")

    @classmethod
    def lines(cls, site, place: str) -> list[str]:
        """What is said in this place."""
        raise NotImplementedError

    @classmethod
    def serve(cls, site, path, script):
        site.add(f"WSGIScriptAlias {path} {script}")

    def shown(self, connection, path, headers):
        answer = connection.get(path, headers)
        assert answer.status == 200, answer
        return json.loads(answer.body)


SWITCHES = ["WSGIPassAuthorization", "WSGIScriptReloading", "WSGIErrorOverride", "WSGIChunkedRequest", "WSGIMapHEADToGET",
            "WSGIEnableSendfile"]
if under_test.OURS:
    SWITCHES += ["WSGITraceContext", "WSGIServerTiming"]
HEADERS = {"Authorization": "Bearer x", "X-Real-IP": "192.0.2.1", "X-Client-IP": "192.0.2.2"}


def bytes_read(pids) -> dict[int, int]:
    """By read() and sendfile(), but not by way of a map. A process that was replaced, and ends, sends nothing."""
    sizes = {}
    for pid in pids:
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            sizes[pid] = int(Path(f"/proc/{pid}/io").read_text().partition("rchar:")[2].split()[0])
    return sizes


class Merging(Places):
    """Switches are on in every second place."""

    first_is_on = True

    @classmethod
    def on(cls, place: str) -> bool:
        return (PLACES.index(place) % 2 == 0) == cls.first_is_on

    @classmethod
    def lines(cls, site, place):
        on = cls.on(place)
        said = [f"{switch} {'On' if on else 'Off'}" for switch in SWITCHES]
        said += [f"WSGICallableObject of_{place}", f"WSGITrustedProxyHeaders {'X-Real-IP' if on else 'X-Client-IP'}"]
        if place != "htaccess":
            dispatch = site.write(f"dispatch_{place}.py", DISPATCH.format(place))
            said += [f"WSGIApplicationGroup in_{place}", f"WSGIDispatchScript {dispatch}", f"WSGIPassApacheRequest {'On' if on else 'Off'}"]
            if not site.embedded:
                said += [f"WSGIProcessGroup {place}", f"WSGIRestrictProcess {place}"]
        return said

    def sendfile_is_used(self, server, path, headers, application: int) -> bool:
        """Whether the process that sends a large file has read it; where the kernel may not send it, httpd maps it."""
        site = server.site
        # The C module's daemon sends it through its socket, and the child reads that in any case.
        pids = server.processes() if under_test.OURS or site.embedded else [application]
        before = bytes_read(pids)
        assert server.get(f"{path}?file", headers).body == b"x" * LARGE
        grown = sum(size - before[pid] for pid, size in bytes_read(before).items())
        return grown >= LARGE

    def seen(self, server, host, path):
        headers = {"Host": host} | HEADERS
        with server.keep_alive() as connection:
            seen = self.shown(connection, path, headers)
            later = os.stat(seen["file"]).st_mtime + 5
            os.utime(seen.pop("file"), (later, later))
            seen["reloaded"] = self.shown(connection, path, headers)["loaded"] != seen.pop("loaded")
            seen["dispatched"] = self.shown(connection, f"{path}?dispatched", headers)["callable"]
        seen["head"] = server.request("HEAD", path, headers=headers).headers["X-Method"]
        seen["chunked"] = server.post(path, iter([b"body"]), headers).status
        server.log.declare("wsgi:error.*hunked")
        seen["sendfile"] = self.sendfile_is_used(server, path, headers, self.shown(server, path, headers)["pid"])
        if under_test.OURS:
            seen["timing"] = server.get(path, headers).headers["Server-Timing"] is not None
        if not server.site.embedded:
            seen["error"] = server.get(f"{path}?fails", headers).body == b"told by Apache"
        return {name: value for name, value in seen.items() if name not in ("host", "pid")}

    def expected(self, site, place):
        on = self.on(place)
        # What cannot be said in .htaccess is taken from here.
        routes = "directory" if place == "htaccess" else place
        seen = {
            "process_group": "" if site.embedded else routes, "application_group": f"in_{routes}", "callable": f"of_{place}",
            "dispatched": f"dispatched_in_{routes}", "capsule": site.embedded and self.on(routes),
            "reloaded": on, "address": "192.0.2.1" if on else "192.0.2.2", "authorization": on, "head": "GET" if on else "HEAD",
            "chunked": 200 if on else 411, "sendfile": on, "trace": on and under_test.OURS,
        }
        if under_test.OURS:
            seen["timing"] = on
        return seen if site.embedded else seen | {"error": on}

    @pytest.mark.parametrize("host, path, place", CASES)
    def test_the_innermost_place_counts(self, server, site, host, path, place):
        assert self.seen(server, host, path) == self.expected(site, place)

    def test_what_a_place_does_not_say_comes_from_outside(self, server, site):
        expected = self.expected(site, "virtual_host") | {"callable": "of_directory"}
        assert self.seen(server, "own.test", "/partly") == expected


class TestOnOutside(Merging):
    pass


class TestOffOutside(Merging):
    first_is_on = False


class TestTrustedProxies(Places):
    """The more a place is outside, the more proxies it trusts, so that a list that is added to another shows."""

    partly = "WSGITrustedProxies 127.0.0.1"
    proxies = [f"10.0.0.{number}" for number in range(1, 7)]

    @classmethod
    def lines(cls, site, place):
        number = PLACES.index(place)
        said = [f"WSGITrustedProxies 127.0.0.1 {' '.join(cls.proxies[:5 - number])}", f"WSGICallableObject of_{place}"]
        return [*said, f"WSGITrustedProxyHeaders X-Forwarded-For {('X-Forwarded-Host', 'X-Host')[number % 2]}"]

    def seen(self, server, host, path):
        """The address that is taken for the client's, and the header that the host is taken from."""
        headers = {"Host": host, "X-Forwarded-For": ", ".join(reversed(self.proxies)), "X-Forwarded-Host": "forwarded", "X-Host": "host"}
        seen = self.shown(server, path, headers)
        return seen["address"], seen["host"]

    @staticmethod
    def expected(place):
        number = PLACES.index(place)
        return f"10.0.0.{6 - number}", ("forwarded", "host")[number % 2]

    @pytest.mark.parametrize("host, path, place", CASES)
    def test_the_lists_of_the_innermost_place_count(self, server, host, path, place):
        assert self.seen(server, host, path) == self.expected(place)

    def test_a_list_that_a_place_does_not_say_comes_from_outside(self, server):
        assert self.seen(server, "own.test", "/partly") == ("10.0.0.1", "host")


class IgnoreActivity(Places):
    """A process group for each case, so that each has a clock of its own."""

    modes = ("daemon",)
    first_is_on = True

    @classmethod
    def configure(cls, site):
        super().configure(site)
        script = site.write("start/show.wsgi", SCRIPT)
        for host, path, _ in CASES:
            site.add(f"WSGIScriptAlias /start/{host}{path} {script} {cls.group(host, path)}")
        site.add("<Location /start>\nWSGIIgnoreActivity Off\n</Location>")

    @classmethod
    def group(cls, host, path) -> str:
        return f"process-group={host}{path.replace('/', '-')} application-group=%{{GLOBAL}}"

    @classmethod
    def serve(cls, site, path, script):
        for host in ("silent.test", "own.test"):
            if any((host, path) == case[:2] for case in CASES):
                site.add(f"WSGIDaemonProcess {host}{path.replace('/', '-')} threads=1 inactivity-timeout=3",
                         f"WSGIScriptAlias {path}/of-{host} {script} {cls.group(host, path)}")

    @classmethod
    def lines(cls, site, place):
        on = (PLACES.index(place) % 2 == 0) == cls.first_is_on
        return [f"WSGIIgnoreActivity {'On' if on else 'Off'}"]

    def test_the_innermost_place_says_whether_requests_keep_a_process(self, server):
        """All processes are asked over and over; those that end are idle all the same."""
        def pid(case, path):
            return self.shown(server, path, {"Host": case[0]})["pid"]

        ignored = {case for case in CASES if "On" in self.lines(server.site, case[2])[0]}
        first = {case: pid(case, f"/start/{case[0]}{case[1]}") for case in CASES}
        ended = set()

        def asked():
            ended.update(case for case in CASES if pid(case, f"{case[1]}/of-{case[0]}") != first[case])
            return ended >= ignored
        wait_until(asked, "every process whose requests are ignored is replaced", 20)
        # One that is not replaced had as much time as the others, and some more.
        until = time.monotonic() + 1
        while time.monotonic() < until:
            asked()
        assert ended == ignored


class TestIgnoreActivityOnOutside(IgnoreActivity):
    pass


class TestIgnoreActivityOffOutside(IgnoreActivity):
    first_is_on = False


ACCESS = """
    def allow_access(environ, host):
        return environ["HTTP_X_PLACE"] == "{0}"

    def check_password(environ, user, password):
        return password == "{0}"

    def groups_for_user(environ, user):
        return ["{0}"] if user == "{0}" else []
"""


class TestScriptsOfAccess(Places):
    """Scripts that let in who says the name of their own place: in a header, as a password, and as a user."""

    override = "AuthConfig"
    partly = ""

    @classmethod
    def configure(cls, site):
        site.add(httpd_program.load_modules("authn_core", "auth_basic", "authz_user"))
        super().configure(site)
        site.write("htaccess/below/.htaccess", f"WSGIAccessScript {site.path('location.py')}\n")
        site.log.allow("authz_core:error", "auth_basic:error", "access_compat:error", "wsgi:error")

    @classmethod
    def lines(cls, site, place):
        if place in ("server", "virtual_host"):
            return []  # these directives cannot stand there
        script = site.write(f"{place}.py", ACCESS.format(place))
        return ["AuthType Basic", "AuthName x", "AuthBasicProvider wsgi", f"Require wsgi-group {place}",
                *(f"WSGI{kind}Script {script}" for kind in ("Access", "AuthUser", "AuthGroup"))]

    def status(self, server, path, header, user, password):
        credentials = b64encode(f"{user}:{password}".encode()).decode()
        return server.get(path, {"X-Place": header, "Authorization": f"Basic {credentials}"}).status

    @pytest.mark.parametrize("path, place", [("/directory", "directory"), ("/directory-below", "directory"), ("/htaccess", "htaccess"),
                                             ("/location", "location")])
    def test_the_scripts_of_the_innermost_place_decide(self, server, path, place):
        assert self.status(server, path, place, place, place) == 200
        for other in {"directory", "htaccess", "location"} - {place}:
            wrong = [self.status(server, path, *[other if at == number else place for at in range(3)]) for number in range(3)]
            assert wrong == [403, 401, 401]

    def test_a_script_that_a_place_does_not_name_comes_from_outside(self, server):
        """Below /htaccess there is a .htaccess that names another access script, and nothing else."""
        assert self.status(server, "/htaccess-below", "location", "htaccess", "htaccess") == 200
        assert self.status(server, "/htaccess-below", "htaccess", "htaccess", "htaccess") == 403
        assert self.status(server, "/htaccess-below", "location", "location", "htaccess") == 401
        assert self.status(server, "/htaccess-below", "location", "htaccess", "location") == 401


NAME = """
    import os

    def application(environ, start_response):
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [os.path.basename(__file__).encode()]

    handle_request = application
"""


class TestAliases:
    mpms = ("event",)

    @staticmethod
    def configure(site):
        of_server, of_host, longer = (site.write(name, NAME) for name in ("server.wsgi", "host.wsgi", "longer.wsgi"))
        site.add(site.daemon("app"), f"""
            WSGIScriptAlias /same {of_server}
            WSGIScriptAlias /longer/name {longer}
            WSGIScriptAlias /of-server {of_server}
            <VirtualHost *:{site.port}>
                ServerName silent.test
            </VirtualHost>
            <VirtualHost *:{site.port}>
                ServerName own.test
                WSGIScriptAlias /same {of_host}
                WSGIScriptAlias /longer {of_host}
            </VirtualHost>
            <VirtualHost *:{site.port}>
                ServerName everything.test
                WSGIScriptAlias / {of_host}
            </VirtualHost>
        """)

    def answers(self, server, host, path):
        return server.get(path, {"Host": host}).text

    def test_a_virtual_host_without_any_has_those_of_the_server(self, server):
        assert self.answers(server, "silent.test", "/same") == "server.wsgi"
        assert self.answers(server, "silent.test", "/longer/name") == "longer.wsgi"

    def test_those_of_a_virtual_host_come_first_even_if_one_of_the_server_is_longer(self, server):
        assert self.answers(server, "own.test", "/same") == "host.wsgi"
        assert self.answers(server, "own.test", "/longer/name") == "host.wsgi"
        assert self.answers(server, "everything.test", "/of-server") == "host.wsgi"

    def test_those_of_the_server_follow(self, server):
        assert self.answers(server, "own.test", "/of-server") == "server.wsgi"


class TestHandlerScripts:
    """A name that is said again inside is replaced, the others stay."""

    mpms = ("event",)

    @staticmethod
    def configure(site):
        scripts = {place: site.write(f"{place}.py", NAME) for place in ("server", "virtual_host", "directory")}
        (site.root / "www" / "inner").mkdir()
        for folder in ("", "inner/"):
            for name in ("everywhere", "outside", "server"):
                (site.root / "www" / f"{folder}page.{name}").write_text("a page")
        site.add(site.daemon("app"), f"""
            WSGIHandlerScript everywhere {scripts['server']}
            WSGIHandlerScript outside {scripts['server']}
            WSGIHandlerScript server {scripts['server']}
            AddHandler everywhere .everywhere
            AddHandler outside .outside
            AddHandler server .server
            <Directory {site.root}/www/inner>
                WSGIHandlerScript everywhere {scripts['directory']}
            </Directory>
            <VirtualHost *:{site.port}>
                ServerName silent.test
            </VirtualHost>
            <VirtualHost *:{site.port}>
                ServerName own.test
                WSGIHandlerScript everywhere {scripts['virtual_host']}
                WSGIHandlerScript outside {scripts['virtual_host']}
            </VirtualHost>
        """)

    @pytest.mark.parametrize("host, path, script", [
        ("silent.test", "/page.everywhere", "server"), ("silent.test", "/page.server", "server"),
        ("own.test", "/page.everywhere", "virtual_host"), ("own.test", "/page.outside", "virtual_host"),
        ("own.test", "/page.server", "server"),
        ("silent.test", "/inner/page.everywhere", "directory"), ("silent.test", "/inner/page.outside", "server"),
        ("own.test", "/inner/page.everywhere", "directory"), ("own.test", "/inner/page.outside", "virtual_host"),
        ("own.test", "/inner/page.server", "server")])
    def test_the_innermost_script_of_a_name_answers(self, server, host, path, script):
        answer = server.get(path, {"Host": host})
        assert (answer.status, answer.text) == (200, f"{script}.py")
