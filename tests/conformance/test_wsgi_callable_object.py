"""WSGICallableObject: the name of the application within its script."""

SCRIPT = """
    def make(name):
        def answer(environ, start_response):
            start_response("200 OK", [("Content-Type", "text/plain")])
            return [f"{name} {environ['mod_wsgi.callable_object']}".encode()]
        return answer

    application, app, create = make("application"), make("app"), make("create")
"""


class TestCallableObject:
    @staticmethod
    def configure(site):
        script = site.write("names.wsgi", SCRIPT)
        site.add(site.daemon("app"), f"""
            WSGIApplicationGroup %{{GLOBAL}}
            WSGICallableObject app
            WSGIScriptAlias /server {script}
            WSGIScriptAlias /option {script} callable-object=create
            WSGIScriptAlias /folder {script}
            WSGIScriptAlias /missing {script} callable-object=nowhere
            <Location /folder>
                WSGICallableObject application
            </Location>
        """)

    def test_the_directive_names_the_callable(self, server):
        assert server.get("/server").body == b"app app"

    def test_the_option_of_the_alias_wins(self, server):
        assert server.get("/option").body == b"create create"

    def test_the_inner_section_wins(self, server):
        assert server.get("/folder").body == b"application application"

    def test_a_name_that_is_not_in_the_script_is_an_error_that_names_it(self, server, site):
        assert server.get("/missing").status == (404 if site.embedded else 500)
        server.log.expect(r"wsgi:error.*nowhere")
        server.log.declare("wsgi:error")
