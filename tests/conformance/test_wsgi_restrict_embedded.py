"""WSGIRestrictEmbedded: no application in Apache's own processes."""

from harness import processes

HELLO = """
    import os

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

    def test_there_is_no_python_in_apaches_children(self, server):
        assert server.get("/daemon").status == 200
        children = [pid for pid in server.processes() if processes.parent_of(pid) == server.pid]
        daemons = {pid for pid in children if "python" in processes.command_line(pid)[0] or "wsgi" in processes.command_line(pid)[0]}
        assert [pid for pid in set(children) - daemons if "/encodings/" in " ".join(processes.descriptors(pid).values())] == []
