"""WSGIRestrictEmbedded: no application in Apache's own processes."""

import pytest

from harness import processes

HELLO = """
    def application(environ, start_response):
        start_response("200 OK", [])
        return [environ["mod_wsgi.process_group"].encode()]
"""


class TestRestrictEmbedded:
    modes = ("daemon",)

    @staticmethod
    def configure(site):
        script = site.write("hello.wsgi", HELLO)
        site.add("WSGIRestrictEmbedded On", "WSGIDaemonProcess app", f"""
            WSGIScriptAlias /daemon {script} process-group=app
            WSGIScriptAlias /embedded {script} process-group=%{{GLOBAL}}
            WSGIScriptAlias /default {script}
        """)

    def test_daemon_mode_is_served(self, server):
        assert server.get("/daemon").body == b"app"

    def test_embedded_mode_is_a_500_with_one_line(self, server):
        for path in ("/embedded", "/default"):
            assert server.get(path).status == 500
        server.log.expect(r"wsgi:error.*[Ee]mbedded")

    @pytest.mark.ours_only("the C module is linked with Python, which is in every process of Apache")
    def test_there_is_no_python_in_apaches_children(self, server):
        assert server.get("/daemon").status == 200
        apaches = [pid for pid in server.processes() if "/mod_mpm_" in processes.maps(pid)]
        assert len(apaches) >= 2
        assert [pid for pid in apaches if "libpython" in processes.maps(pid)] == []
