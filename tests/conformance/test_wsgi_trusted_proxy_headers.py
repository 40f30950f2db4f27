"""WSGITrustedProxyHeaders: headers of a proxy in front that are believed, and what becomes of the others."""

import json

import pytest

SHOW = """
    import json

    def application(environ, start_response):
        start_response("200 OK", [("Content-Type", "application/json")])
        return [json.dumps({name: value for name, value in environ.items() if isinstance(value, str)}).encode()]
"""
CLIENT = ("X-Forwarded-For", "X-Client-IP", "X-Real-IP")
HOST = ("X-Forwarded-Host", "X-Host")
SCRIPT = ("X-Script-Name", "X-Forwarded-Script-Name")
SCHEME_WORDS = ("X-Forwarded-Proto", "X-Forwarded-Scheme", "X-Scheme")
SCHEME_FLAGS = ("X-Forwarded-HTTPS", "X-Forwarded-SSL", "X-HTTPS")
SERVER = ("X-Forwarded-Server",)
PORT = ("X-Forwarded-Port",)
CATEGORIES = (CLIENT, HOST, SCRIPT, SCHEME_WORDS + SCHEME_FLAGS, SERVER, PORT)
ALL = [header for category in CATEGORIES for header in category]
VALUE = {**{name: "192.0.2.7" for name in CLIENT}, **{name: "front.test:8443" for name in HOST},
         **{name: "/front" for name in SCRIPT}, **{name: "https" for name in SCHEME_WORDS},
         **{name: "On" for name in SCHEME_FLAGS}, "X-Forwarded-Server": "server.test", "X-Forwarded-Port": "8443"}
EFFECT = {CLIENT: {"REMOTE_ADDR": "192.0.2.7"}, HOST: {"HTTP_HOST": "front.test:8443"},
          SCRIPT: {"SCRIPT_NAME": "/front", "mod_wsgi.mount_point": "/front"},
          CATEGORIES[3]: {"wsgi.url_scheme": "https"}, SERVER: {"SERVER_NAME": "server.test"}, PORT: {"SERVER_PORT": "8443"}}


def variable(header: str) -> str:
    return "HTTP_" + header.upper().replace("-", "_")


def environ(server, path, headers=None) -> dict:
    answer = server.get(path, headers)
    assert answer.status == 200, answer
    return json.loads(answer.body)


def category_of(header):
    return next(category for category in CATEGORIES if header in category)


class TestOneHeaderEach:
    """A place for each header, named like it, in which that header alone is believed."""

    mpms = ("event",)

    @staticmethod
    def configure(site):
        site.write("show.wsgi", SHOW)
        site.serve("show.wsgi")
        for header in ALL:
            site.add(f"<Location /{header}>\nWSGITrustedProxyHeaders {header}\n</Location>")

    @pytest.mark.parametrize("header", ALL)
    def test_a_believed_header_has_its_effect(self, server, header):
        seen = environ(server, f"/{header}", {header: VALUE[header]})
        effect = EFFECT[category_of(header)]
        assert {name: seen[name] for name in effect} == effect
        assert seen[variable(header)] == VALUE[header]

    @pytest.mark.parametrize("header", ALL)
    def test_others_that_tell_of_the_same_thing_are_removed(self, server, header):
        category = category_of(header)
        seen = environ(server, f"/{header}", {name: VALUE[name] for name in ALL})
        assert [name for name in ALL if name in category and variable(name) in seen] == [header]

    @pytest.mark.parametrize("header", ALL)
    def test_others_that_tell_of_something_else_have_no_effect_and_stay(self, server, header):
        others = [name for name in ALL if name not in category_of(header)]
        plain = environ(server, f"/{header}")
        seen = environ(server, f"/{header}", {name: VALUE[name] for name in others})
        names = [name for category, effect in EFFECT.items() if header not in category for name in effect]
        assert {name: seen.get(name) for name in names} == {name: plain.get(name) for name in names}
        assert all(seen[variable(name)] == VALUE[name] for name in others)

    @pytest.mark.parametrize("header", ALL)
    def test_a_spoofed_header_is_removed_when_the_believed_one_is_absent(self, server, header):
        others = [name for name in category_of(header) if name != header]
        seen = environ(server, f"/{header}", {name: VALUE[name] for name in others})
        assert [name for name in others if variable(name) in seen] == []
        for name, value in EFFECT[category_of(header)].items():
            assert seen.get(name) != value

    @pytest.mark.parametrize("header", SCHEME_WORDS)
    def test_a_scheme_is_https_or_http_in_any_case(self, server, header):
        for value, scheme in {"https": "https", "HTTPS": "https", "http": "http", "Http": "http", "ftp": "http", "on": "http"}.items():
            assert environ(server, f"/{header}", {header: value})["wsgi.url_scheme"] == scheme, value

    @pytest.mark.parametrize("header", SCHEME_FLAGS)
    def test_a_scheme_is_a_flag(self, server, header):
        for value, scheme in {"On": "https", "on": "https", "TRUE": "https", "1": "https", "off": "http", "false": "http",
                              "0": "http", "yes": "http", "https": "http"}.items():
            assert environ(server, f"/{header}", {header: value})["wsgi.url_scheme"] == scheme, value

    @pytest.mark.parametrize("header", ALL)
    def test_a_name_with_underscores_is_not_the_header(self, server, header):
        seen = environ(server, f"/{header}", {header.replace("-", "_"): VALUE[header]})
        assert variable(header) not in seen
        for name, value in EFFECT[category_of(header)].items():
            assert seen.get(name) != value

    def test_a_proxy_header_never_becomes_http_proxy(self, server):
        for name in ("Proxy", "PROXY", "proxy"):
            assert "HTTP_PROXY" not in environ(server, "/X-Real-IP", {name: "http://192.0.2.1/"})

    def test_the_names_before_the_proxys_words_are_kept(self, server):
        seen = environ(server, "/X-Script-Name/x", {"X-Script-Name": "/front"})
        assert (seen["mod_wsgi.script_name"], seen["SCRIPT_NAME"]) == ("", "/front")
        assert seen["PATH_INFO"] == seen["mod_wsgi.path_info"] == "/X-Script-Name/x"


class TestForwardedForWithoutNamedProxies:
    mpms = ("event",)

    @staticmethod
    def configure(site):
        site.write("show.wsgi", SHOW)
        site.serve("show.wsgi")
        site.add("WSGITrustedProxyHeaders X-Forwarded-For")

    @pytest.mark.parametrize("value, address", [
        ("192.0.2.1", "192.0.2.1"),
        ("192.0.2.1, 198.51.100.2", "192.0.2.1"),
        (" ,, 192.0.2.1 ,198.51.100.2", "192.0.2.1"),
        ("2001:db8::1, 192.0.2.1", "2001:db8::1"),
    ])
    def test_the_first_address_is_the_client(self, server, value, address):
        seen = environ(server, "/", {"X-Forwarded-For": value})
        assert seen["REMOTE_ADDR"] == address
        assert seen["HTTP_X_FORWARDED_FOR"] == value.strip()

    @pytest.mark.parametrize("value", [",", " , ,"])
    def test_a_list_without_addresses_changes_nothing(self, server, value):
        assert environ(server, "/", {"X-Forwarded-For": value})["REMOTE_ADDR"] == "127.0.0.1"


class TestSeveralHeaders:
    @staticmethod
    def configure(site):
        site.write("show.wsgi", SHOW)
        site.serve("show.wsgi")
        site.add("WSGITrustedProxyHeaders X-Forwarded-For X-Forwarded-Host", "WSGITrustedProxyHeaders x-forwarded-proto",
                 "<Location /inner>\nWSGITrustedProxyHeaders X-Real-IP X-Forwarded-For\n</Location>",
                 "<Location /meaningless>\nWSGITrustedProxyHeaders X-Of-No-Meaning\n</Location>")

    def test_lines_in_one_place_add_up(self, server):
        seen = environ(server, "/", {"X-Forwarded-For": "192.0.2.1", "X-Forwarded-Host": "front.test", "X-Forwarded-Proto": "https"})
        assert (seen["REMOTE_ADDR"], seen["HTTP_HOST"], seen["wsgi.url_scheme"]) == ("192.0.2.1", "front.test", "https")

    def test_an_inner_place_replaces_the_list(self, server):
        seen = environ(server, "/inner", {"X-Real-IP": "192.0.2.1", "X-Forwarded-Host": "front.test"})
        assert seen["REMOTE_ADDR"] == "192.0.2.1" and seen["HTTP_HOST"] != "front.test"

    def test_of_two_believed_headers_the_one_that_is_configured_last_wins(self, server):
        seen = environ(server, "/inner", {"X-Real-IP": "192.0.2.1", "X-Forwarded-For": "198.51.100.1"})
        assert seen["REMOTE_ADDR"] == "198.51.100.1"
        assert "HTTP_X_REAL_IP" not in seen

    def test_a_name_of_no_meaning_has_no_effect(self, server):
        seen = environ(server, "/meaningless", {"X-Of-No-Meaning": "x", "X-Forwarded-For": "192.0.2.1"})
        assert (seen["REMOTE_ADDR"], seen["HTTP_X_OF_NO_MEANING"]) == ("127.0.0.1", "x")

    def test_hop_by_hop_tricks_do_not_bring_a_spoofed_header_in(self, server):
        answer = server.raw(b"GET /inner HTTP/1.1\r\nHost: x\r\nConnection: close, X-Real-IP\r\nX-Client-IP: 192.0.2.66\r\n\r\n")
        seen = json.loads(answer.partition(b"\r\n\r\n")[2].split(b"\r\n")[-1] or answer[answer.index(b"{"):answer.rindex(b"}") + 1])
        assert "HTTP_X_CLIENT_IP" not in seen and seen["REMOTE_ADDR"] == "127.0.0.1"


class TestANameWithAnUnderscoreInTheConfiguration:
    mpms = ("event",)

    @staticmethod
    def configure(site):
        site.write("show.wsgi", SHOW)
        site.serve("show.wsgi")
        site.add("WSGITrustedProxyHeaders X_Forwarded_For X-Real-IP")

    @pytest.mark.ours_only("the C module crashes at the first request")
    def test_it_means_nothing_and_the_others_are_believed(self, server):
        assert environ(server, "/", {"X-Real-IP": "192.0.2.1"})["REMOTE_ADDR"] == "192.0.2.1"
