"""WSGITrustedProxies: whose headers are believed. CVE-2022-2255 was that headers of others were not removed."""

import json

import pytest

from test_wsgi_trusted_proxy_headers import ALL, CLIENT, EFFECT, PORT, SERVER, SHOW, VALUE, environ, variable

TRUSTED = {
    "address": "127.0.0.1", "bits": "127.0.0.0/8", "netmask": "127.0.0.0/255.0.0.0", "partial": "127.0",
    "list": "192.0.2.0/24 127.0.0.1", "half": "0.0.0.0/1",
}
LEFT = pytest.mark.since((6, 1, 1), "older versions leave X-Forwarded-Server and X-Forwarded-Port")
EACH = [pytest.param(header, marks=LEFT) if header in SERVER + PORT else header for header in ALL]
UNTRUSTED = {"address": "127.0.0.2", "bits": "192.0.2.0/24", "netmask": "10.0.0.0/255.0.0.0", "partial": "10.1", "v6": "::1"}


class TestThePeer:
    """Places under /trusted and /untrusted, named like the form of the address."""

    mpms = ("event",)

    @staticmethod
    def configure(site):
        site.write("show.wsgi", SHOW)
        site.serve("show.wsgi")
        site.add("WSGITrustedProxyHeaders " + " ".join(ALL))
        for place, forms in {"trusted": TRUSTED, "untrusted": UNTRUSTED}.items():
            for form, addresses in forms.items():
                site.add(f"<Location /{place}/{form}>\nWSGITrustedProxies {addresses}\n</Location>")

    @pytest.mark.parametrize("form", TRUSTED)
    def test_a_trusted_peer_is_believed(self, server, form):
        seen = environ(server, f"/trusted/{form}", {"X-Real-IP": "198.51.100.1", "X-Forwarded-Proto": "https"})
        assert (seen["REMOTE_ADDR"], seen["wsgi.url_scheme"]) == ("198.51.100.1", "https")

    @LEFT
    @pytest.mark.parametrize("form", UNTRUSTED)
    def test_every_header_of_another_peer_is_removed_and_has_no_effect(self, server, form):
        plain = environ(server, f"/untrusted/{form}")
        seen = environ(server, f"/untrusted/{form}", VALUE)
        assert [name for name in ALL if variable(name) in seen] == []
        for effect in EFFECT.values():
            assert {name: seen.get(name) for name in effect} == {name: plain.get(name) for name in effect}

    @pytest.mark.parametrize("header", EACH)
    def test_one_header_alone_of_another_peer_is_removed(self, server, header):
        """CVE-2022-2255: X-Client-IP came through."""
        seen = environ(server, "/untrusted/bits", {header: VALUE[header]})
        assert variable(header) not in seen

    @pytest.mark.parametrize("header", EACH)
    def test_a_repeated_or_underscored_header_of_another_peer_is_removed(self, server, header):
        value, odd = VALUE[header], header.replace("-", "_")
        answer = server.raw(f"GET /untrusted/bits HTTP/1.0\r\n{header}: {value}\r\n{header.lower()}: {value}\r\n"
                            f"{odd}: {value}\r\n\r\n".encode())
        assert variable(header) not in json.loads(answer.partition(b"\r\n\r\n")[2])


@pytest.mark.ours_only("the C module refuses it")
def test_every_ipv4_address_may_be_trusted(new_server):
    server = new_server("event", "daemon")
    server.site.write("show.wsgi", SHOW)
    server.site.serve("show.wsgi")
    server.site.add("WSGITrustedProxyHeaders X-Real-IP", "WSGITrustedProxies 0.0.0.0/0")
    server.start()
    assert environ(server, "/", {"X-Real-IP": "198.51.100.1"})["REMOTE_ADDR"] == "198.51.100.1"


class TestForwardedFor:
    mpms = ("event",)

    @staticmethod
    def configure(site):
        site.write("show.wsgi", SHOW)
        site.serve("show.wsgi")
        site.add("WSGITrustedProxyHeaders X-Forwarded-For", "WSGITrustedProxies 127.0.0.1 10.0.0.0/8 2001:db8::/32")

    @pytest.mark.parametrize("value, address, rest", [
        ("192.0.2.1", "192.0.2.1", "192.0.2.1"),
        ("192.0.2.1, 10.0.0.1", "192.0.2.1", "192.0.2.1, 10.0.0.1"),
        ("198.51.100.66, 192.0.2.1, 10.0.0.1", "192.0.2.1", "192.0.2.1, 10.0.0.1"),
        ("198.51.100.66, 192.0.2.1, 10.0.0.2, 10.0.0.1", "192.0.2.1", "192.0.2.1, 10.0.0.2, 10.0.0.1"),
        ("10.0.0.3, 10.0.0.1", "10.0.0.3", "10.0.0.3, 10.0.0.1"),
        ("198.51.100.66, 192.0.2.1", "192.0.2.1", "192.0.2.1"),
        ("nonsense, 10.0.0.1", "nonsense", "nonsense, 10.0.0.1"),
        ("192.0.2.1,10.0.0.1", "192.0.2.1", "192.0.2.1, 10.0.0.1"),
        ("192.0.2.1, 2001:db8::5", "192.0.2.1", "192.0.2.1, 2001:db8::5"),
    ])
    def test_the_client_is_left_of_the_proxies_that_are_trusted(self, server, value, address, rest):
        seen = environ(server, "/", {"X-Forwarded-For": value})
        assert (seen["REMOTE_ADDR"], seen["HTTP_X_FORWARDED_FOR"]) == (address, rest)

    def test_a_repeated_header_is_one_list(self, server):
        answer = server.raw(b"GET / HTTP/1.0\r\nX-Forwarded-For: 198.51.100.66\r\nX-Forwarded-For: 192.0.2.1\r\n\r\n")
        assert json.loads(answer.partition(b"\r\n\r\n")[2])["REMOTE_ADDR"] == "192.0.2.1"

    def test_headers_that_tell_of_the_same_are_removed_from_a_trusted_peer_too(self, server):
        seen = environ(server, "/", {name: "192.0.2.9" for name in CLIENT})
        assert [name for name in CLIENT if variable(name) in seen] == ["X-Forwarded-For"]
