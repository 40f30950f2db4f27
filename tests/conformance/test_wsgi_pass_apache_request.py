"""WSGIPassApacheRequest: httpd's request_rec as a capsule, for C code in embedded mode."""

SHOW = """
    def application(environ, start_response):
        start_response("200 OK", [])
        return [type(environ.get("apache.request_rec")).__name__.encode()]
"""


class TestPassApacheRequest:
    @staticmethod
    def configure(site):
        script = site.write("show.wsgi", SHOW)
        site.add(site.daemon("app"), f"""
            WSGIScriptAlias /default {script}
            WSGIScriptAlias /on {script}
            WSGIScriptAlias /on/off {script}
            <Location /on>
                WSGIPassApacheRequest On
            </Location>
            <Location /on/off>
                WSGIPassApacheRequest Off
            </Location>
        """)

    def test_with_on_there_is_a_capsule_in_embedded_mode_only(self, server, site):
        assert server.get("/on").text == ("PyCapsule" if site.embedded else "NoneType")

    def test_without_it_and_with_off_there_is_none(self, server):
        assert server.get("/default").text == "NoneType"
        assert server.get("/on/off").text == "NoneType"
