"""A directive in several places at once: the innermost counts, and what is not said there is taken from outside.

httpd's order, from outside: server, virtual host, <Directory>, .htaccess, <Location>.
"""

import json
import os

import pytest

PLACES = ("server", "virtual_host", "directory", "htaccess", "location")
SCRIPT = """
    import json
    import time

    loaded = time.time()

    def make(name):
        def answer(environ, start_response):
            seen = {key: environ["mod_wsgi." + key] for key in ("process_group", "application_group")}
            seen |= {"callable": name, "address": environ["REMOTE_ADDR"], "authorization": "HTTP_AUTHORIZATION" in environ,
                     "loaded": loaded, "file": __file__}
            status = "503 Later" if environ["QUERY_STRING"] else "200 OK"
            start_response(status, [("Content-Type", "application/json"), ("X-Method", environ["REQUEST_METHOD"])])
            return [json.dumps(seen).encode()]
        return answer

    for place in PLACES:
        globals()["of_" + place] = make("of_" + place)
""".replace("PLACES", repr(PLACES))
SWITCHES = ("WSGIPassAuthorization", "WSGIScriptReloading", "WSGIErrorOverride", "WSGIChunkedRequest", "WSGIMapHEADToGET")
HEADERS = {"Authorization": "Bearer x", "X-Real-IP": "192.0.2.1", "X-Client-IP": "192.0.2.2"}


def lines(site, place: str, on: bool) -> str:
    """Every directive that may stand in this place."""
    said = [f"{switch} {'On' if on else 'Off'}" for switch in SWITCHES]
    said += [f"WSGICallableObject of_{place}", f"WSGITrustedProxyHeaders {'X-Real-IP' if on else 'X-Client-IP'}"]
    if place != "htaccess":
        said.append(f"WSGIApplicationGroup in_{place}")
        if not site.embedded:
            said += [f"WSGIProcessGroup {place}", f"WSGIRestrictProcess {place}"]
    return "\n".join(said)


class Merging:
    """Switches are on in every second place. /directory has lines in the places as far as <Directory>, and so on."""

    mpms = ("event",)
    first_is_on = True

    @classmethod
    def on(cls, place: str) -> bool:
        return (PLACES.index(place) % 2 == 0) == cls.first_is_on

    @classmethod
    def configure(cls, site):
        said = {place: lines(site, place, cls.on(place)) for place in PLACES}
        if not site.embedded:
            site.add(*(f"WSGIDaemonProcess {place}" for place in PLACES))
        for name in ("bare", "partly", "directory", "directory/below", "htaccess", "htaccess/below", "location"):
            site.write(f"{name}/show.wsgi", SCRIPT)
            site.add(f"WSGIScriptAlias /{name.replace('/', '-')} {site.path(name)}/show.wsgi")
        for name in ("directory", "htaccess", "location"):
            site.add(f"<Directory {site.path(name)}>\nAllowOverride FileInfo\n{said['directory']}\n</Directory>")
        for name in ("htaccess", "location"):
            site.write(f"{name}/.htaccess", said["htaccess"] + "\n")
        site.add(f"<Location /location>\n{said['location']}\n</Location>")
        site.add(f"<Directory {site.path('partly')}>\nWSGICallableObject of_directory\n</Directory>")
        site.add('ErrorDocument 503 "told by Apache"', said["server"])
        site.add(f"<VirtualHost *:{site.port}>\nServerName silent.test\n</VirtualHost>")
        site.add(f"<VirtualHost *:{site.port}>\nServerName own.test\n{said['virtual_host']}\n</VirtualHost>")

    def shown(self, connection, path, headers):
        answer = connection.get(path, headers)
        assert answer.status == 200, answer
        return json.loads(answer.body)

    def seen(self, server, host, path):
        headers = {"Host": host} | HEADERS
        with server.keep_alive() as connection:
            seen = self.shown(connection, path, headers)
            later = os.stat(seen["file"]).st_mtime + 5
            os.utime(seen.pop("file"), (later, later))
            seen["reloaded"] = self.shown(connection, path, headers)["loaded"] != seen.pop("loaded")
        seen["head"] = server.request("HEAD", path, headers=headers).headers["X-Method"]
        seen["chunked"] = server.post(path, iter([b"body"]), headers).status
        server.log.declare("wsgi:error.*hunked")
        if not server.site.embedded:
            seen["error"] = server.get(f"{path}?fails", headers).body == b"told by Apache"
        return seen

    def expected(self, site, place):
        on = self.on(place)
        groups = "directory" if place == "htaccess" else place
        seen = {
            "process_group": "" if site.embedded else groups, "application_group": f"in_{groups}", "callable": f"of_{place}",
            "reloaded": on, "address": "192.0.2.1" if on else "192.0.2.2", "authorization": on, "head": "GET" if on else "HEAD",
            "chunked": 200 if on else 411,
        }
        return seen if site.embedded else seen | {"error": on}

    @pytest.mark.parametrize("host, path, place", [
        ("silent.test", "/bare", "server"), ("own.test", "/bare", "virtual_host"), ("own.test", "/directory", "directory"),
        ("silent.test", "/directory", "directory"), ("own.test", "/htaccess", "htaccess"), ("own.test", "/location", "location")])
    def test_the_innermost_place_counts(self, server, site, host, path, place):
        assert self.seen(server, host, path) == self.expected(site, place)

    @pytest.mark.parametrize("path, place", [("/directory-below", "directory"), ("/htaccess-below", "htaccess")])
    def test_a_folder_below_says_the_same(self, server, site, path, place):
        assert self.seen(server, "own.test", path) == self.expected(site, place)

    def test_what_a_place_does_not_say_comes_from_outside(self, server, site):
        expected = self.expected(site, "virtual_host") | {"callable": "of_directory"}
        assert self.seen(server, "own.test", "/partly") == expected


class TestOnOutside(Merging):
    pass


class TestOffOutside(Merging):
    first_is_on = False


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
