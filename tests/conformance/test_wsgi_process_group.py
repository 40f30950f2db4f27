"""WSGIProcessGroup: which daemon processes an application runs in, and the words it is made of."""

import pytest

from harness import httpd_program

GROUP = """
    def application(environ, start_response):
        start_response("200 OK", [])
        return [environ["mod_wsgi.process_group"].encode() or b"embedded"]
"""


class TestProcessGroup:
    modes = ("daemon",)

    @staticmethod
    def configure(site):
        script = site.write("group.wsgi", GROUP)
        site.add(httpd_program.load_modules("setenvif"), "SetEnvIf X-Group (.+) CHOSEN=$1")
        groups = {
            "/literal": "one", "/global": "%{GLOBAL}", "/env": "%{ENV:CHOSEN}", "/setenv": "%{ENV:FIXED}",
            "/server": "%{SERVER}", "/host": "%{HOST}", "/resource": "%{RESOURCE}", "/unknown": "%{UNKNOWN}",
            "/unset": "%{ENV:NOWHERE}", "/inside": "on%{ENV:FIXED}", "/default": "",
        }
        site.add("SetEnv FIXED two")
        names = ["one", "two", f"localhost:{site.port}", f"127.0.0.1:{site.port}", f"localhost:{site.port}|/resource"]
        site.add(*[f'WSGIDaemonProcess "{name}"' for name in names])
        for place, group in groups.items():
            site.add(f"WSGIScriptAlias {place} {script}")
            if group:
                site.add(f"<Location {place}>\nWSGIProcessGroup {group}\n</Location>")

    def group(self, server, path, headers=None):
        answer = server.get(path, headers)
        assert answer.status == 200, answer
        return answer.text

    def test_a_literal_name_is_that_group(self, server):
        assert self.group(server, "/literal") == "one"

    def test_global_and_nothing_said_are_embedded_mode(self, server):
        assert self.group(server, "/global") == "embedded"
        assert self.group(server, "/default") == "embedded"

    def test_env_takes_the_name_from_a_variable(self, server):
        assert self.group(server, "/setenv") == "two"
        assert self.group(server, "/env", {"X-Group": "one"}) == "one"
        assert self.group(server, "/env", {"X-Group": "two"}) == "two"

    def test_a_variable_may_hold_a_token(self, server):
        assert self.group(server, "/env", {"X-Group": "%{GLOBAL}"}) == "embedded"

    def test_server_host_and_resource_are_names_of_the_request(self, server, site):
        assert self.group(server, "/server") == f"localhost:{site.port}"
        assert self.group(server, "/host", {"Host": f"127.0.0.1:{site.port}"}) == f"127.0.0.1:{site.port}"
        assert self.group(server, "/resource") == f"localhost:{site.port}|/resource"

    @pytest.mark.parametrize("path, named", [("/unknown", r"%{UNKNOWN}"), ("/unset", r"%{ENV:NOWHERE}"),
                                             ("/inside", r"on%{ENV:FIXED}")])
    def test_what_is_no_group_is_a_500_that_names_it(self, server, path, named):
        assert server.get(path).status == 500
        assert named in server.log.expect("wsgi:error")

    def test_a_name_from_the_client_that_is_no_group_is_a_500(self, server):
        for name in ("nowhere", "ONE", "one two", "../one", "x" * 5000):
            assert server.get("/env", {"X-Group": name}).status == 500
            server.log.expect("wsgi:error")


class TestPlaces:
    modes = ("daemon",)
    mpms = ("event",)

    @staticmethod
    def configure(site):
        script = site.write("group.wsgi", GROUP)
        site.add("WSGIDaemonProcess outer", "WSGIDaemonProcess inner", "WSGIDaemonProcess host", f"""
            WSGIScriptAlias /plain {script}
            WSGIScriptAlias /within {script}
            WSGIScriptAlias /option {script} process-group=host
            WSGIProcessGroup outer
            <VirtualHost *:{site.port}>
                ServerName first.test
                <Location /within>
                    WSGIProcessGroup inner
                </Location>
                <Location /option>
                    WSGIProcessGroup inner
                </Location>
            </VirtualHost>
            <VirtualHost *:{site.port}>
                ServerName second.test
                WSGIProcessGroup host
                WSGIDaemonProcess private
                WSGIScriptAlias /private {script} process-group=private
            </VirtualHost>
            <VirtualHost *:{site.port}>
                ServerName third.test
                WSGIScriptAlias /private {script} process-group=private
            </VirtualHost>
        """)

    def group(self, server, host, path):
        return server.get(path, {"Host": host}).text

    def test_the_innermost_place_wins_and_an_aliass_option_over_all(self, server):
        assert self.group(server, "first.test", "/plain") == "outer"
        assert self.group(server, "first.test", "/within") == "inner"
        assert self.group(server, "first.test", "/option") == "host"
        assert self.group(server, "second.test", "/plain") == "host"

    def test_a_group_of_a_virtual_host_serves_that_host_only(self, server):
        assert self.group(server, "second.test", "/private") == "private"
        assert server.get("/private", {"Host": "third.test"}).status == 500
        server.log.expect("wsgi:error.*private")
