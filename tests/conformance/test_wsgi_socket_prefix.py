"""WSGISocketPrefix: where the sockets of daemon processes are."""

import stat

import pytest

HELLO = """
    def application(environ, start_response):
        start_response("200 OK", [])
        return [b"hello"]
"""


class TestSocketPrefix:
    modes = ("daemon",)
    mpms = ("event",)

    @staticmethod
    def configure(site):
        site.write("hello.wsgi", HELLO)
        (site.root / "sockets").mkdir()
        site.serve("hello.wsgi")
        site.add(f"WSGISocketPrefix {site.root}/sockets/s")

    def test_the_sockets_names_begin_with_it(self, server, site):
        assert server.get("/").body == b"hello"
        sockets = [path for path in (site.root / "sockets").iterdir() if stat.S_ISSOCK(path.stat().st_mode)]
        assert len(sockets) == 1 and sockets[0].name.startswith("s.")

    @pytest.mark.root_only("the socket's owner is only another user if Apache is started by root")
    def test_the_socket_belongs_to_apaches_user_and_to_nobody_else(self, server, site):
        socket = next(path for path in (site.root / "sockets").iterdir() if stat.S_ISSOCK(path.stat().st_mode))
        assert socket.owner() == site.apache_user
        assert stat.S_IMODE(socket.stat().st_mode) & 0o077 == 0


class TestARelativePrefix:
    modes = ("daemon",)
    mpms = ("event",)

    @staticmethod
    def configure(site):
        site.write("hello.wsgi", HELLO)
        site.serve("hello.wsgi")
        site.add("WSGISocketPrefix run/relative")

    def test_it_is_below_serverroot(self, server, site):
        assert server.get("/").body == b"hello"
        assert list((site.root / "run").glob("relative.*"))


class TestAFolderThatDoesNotExist:
    @pytest.mark.ours_only("the C module starts, and every request fails")
    def test_apache_does_not_start_and_says_why(self, new_server):
        server = new_server("event", "daemon")
        server.site.write("hello.wsgi", HELLO)
        server.site.serve("hello.wsgi")
        server.site.add(f"WSGISocketPrefix {server.site.root}/nowhere/s")
        with pytest.raises(AssertionError, match="did not start"):
            server.start()
        server.log.expect(rf"WSGI7052.*{server.site.root}/nowhere/s")
        server.log.declare("AH00016|AH00020")
