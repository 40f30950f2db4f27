"""WSGIPythonWarnings: filters of Python's warnings."""

FLAGS = """
    import sys
    import warnings

    def outcome():
        try:
            warnings.warn("a warning", UserWarning)
        except UserWarning:
            return "raised"
        return "not raised"

    def application(environ, start_response):
        start_response("200 OK", [])
        return [repr((sys.warnoptions, outcome())).encode()]
"""


class TestWarnings:
    mpms = ("event",)

    @staticmethod
    def configure(site):
        script = site.write("flags.wsgi", FLAGS)
        site.add("WSGIPythonWarnings error::UserWarning", "WSGIPythonWarnings ignore::ImportWarning", site.daemon("app"), f"""
            WSGIScriptAlias /main {script} application-group=%{{GLOBAL}}
            WSGIScriptAlias /named {script} application-group=named
        """)

    def test_the_filters_are_given_to_python_in_order(self, server):
        expected = repr((["error::UserWarning", "ignore::ImportWarning"], "raised"))
        assert [server.get(path).text for path in ("/main", "/named")] == [expected, expected]
