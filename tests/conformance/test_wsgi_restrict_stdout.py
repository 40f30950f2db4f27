"""WSGIRestrictStdout: an application that prints is told so; otherwise it prints into the error log."""

PRINT = """
    import sys

    def application(environ, start_response):
        start_response("200 OK", [])
        try:
            print("printed in " + environ["PATH_INFO"])
            sys.stdout.flush()
            return [b"printed"]
        except OSError as error:
            return [f"{type(error).__name__} {error}".encode()]
"""


class Common:
    mpms = ("event", "prefork")

    @staticmethod
    def served(site, value):
        script = site.write("print.wsgi", PRINT)
        site.add(value, site.daemon("app"), f"""
            WSGIScriptAlias /main {script} application-group=%{{GLOBAL}}
            WSGIScriptAlias /named {script} application-group=named
        """)


class TestOn(Common):
    @staticmethod
    def configure(site):
        Common.served(site, "WSGIRestrictStdout On")
        # Python flushes sys.stdout when it ends, and is refused like everybody.
        site.log.allow("Exception ignored in", "Traceback", 'File "<mod_wsgi>"', "OSError: sys.stdout")

    def test_printing_is_an_oserror_that_names_the_stream(self, server):
        for path in ("/main", "/named"):
            answer = server.get(path).text
            assert answer.startswith("OSError ") and "stdout" in answer


class TestOff(Common):
    @staticmethod
    def configure(site):
        Common.served(site, "WSGIRestrictStdout Off")

    def test_what_is_printed_is_in_the_error_log(self, server):
        for path in ("/main", "/named"):
            assert server.get(path + "/here").body == b"printed"
        server.log.expect("printed in /here")


class TestUnset(Common):
    @staticmethod
    def configure(site):
        Common.served(site, "")

    def test_what_is_printed_is_in_the_error_log(self, server):
        assert server.get("/main/here").body == b"printed"
        server.log.expect("printed in /here")
