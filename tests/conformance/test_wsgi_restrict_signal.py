"""WSGIRestrictSignal: applications cannot install signal handlers, which would take httpd's signals away."""

SIGNALS = """
    import signal

    got = []

    def handler(number, frame):
        got.append(number)

    def install():
        try:
            signal.signal(signal.SIGUSR2, handler)
        except ValueError as error:  # not in the main thread: Python itself says so
            return type(error).__name__
        return "real" if signal.getsignal(signal.SIGUSR2) is handler else "intercepted"

    at_import = install()

    def application(environ, start_response):
        start_response("200 OK", [])
        return [f"{at_import} {install()} {callable(signal.signal)}".encode()]
"""


class TestUnset:
    mpms = ("event", "prefork")

    @staticmethod
    def configure(site):
        script = site.write("signals.wsgi", SIGNALS)
        site.add(site.daemon("app"), f"""
            WSGIScriptAlias /main {script} application-group=%{{GLOBAL}}
            WSGIScriptAlias /named {script} application-group=named
        """)

    def test_a_handler_is_not_installed_and_the_attempt_is_logged(self, server):
        for path in ("/main", "/named"):
            server.log.declare("wsgi:warn")
            assert server.get(path).text == "intercepted intercepted True"
        server.log.expect(r"[Ss]ignal.*12")

    def test_the_application_still_answers_afterwards(self, server):
        server.log.declare("wsgi:warn")
        for _ in range(3):
            assert server.get("/main").status == 200


class TestOff:
    """The handler is installed where Python allows it: in the main thread, when a script is imported early."""

    mpms = ("event",)
    modes = ("daemon",)

    @staticmethod
    def configure(site):
        script = site.write("signals.wsgi", SIGNALS)
        site.add("WSGIRestrictSignal Off", "WSGIDaemonProcess app",
                 f"WSGIScriptAlias / {script} process-group=app application-group=%{{GLOBAL}}")

    def test_a_handler_is_installed_at_import_and_python_refuses_it_in_a_thread(self, server):
        assert server.get("/").text == "real ValueError True"
