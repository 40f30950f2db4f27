"""What the client and the error log get when an application fails. Source: PEP 3333, "Error Handling"."""

import pytest

from harness import under_test

APPLICATION = """
    def inner():
        raise RuntimeError("the reason of the failure")

    def after_data():
        yield b"some data"
        inner()

    def before_data():
        inner()
        yield b"never"

    def application(environ, start_response):
        what = environ["PATH_INFO"].strip("/")
        if what == "raise":
            inner()
        if what == "exit":
            raise SystemExit(3)
        if what == "nothing-started":
            return [b"data without start_response"]
        if what == "none":
            start_response("200 OK", [])
            return None
        if what == "bad-status":
            start_response("abc", [])
        if what == "after-write":
            start_response("200 OK", [("Content-Type", "text/plain")])(b"written")
            inner()
        if what == "bad-header":
            start_response("200 OK", [("X-Bad", "a\\r\\nX-Injected: yes")])
        start_response("200 OK", [("Content-Type", "text/plain")])
        if what == "text":
            return ["text is not bytes"]
        if what == "length":
            return [b"fine"]
        return {"after": after_data, "before": before_data, "fine": lambda: [b"fine"]}[what]()
"""
NEVER_STARTED = """
    import a_module_that_does_not_exist
"""
BROKEN = """
    def application(environ, start_response)
        pass
"""
NO_CALLABLE = """
    app = None
"""
# The C module 6.1.1 logs the exception without its traceback (observed with Python 3.11).
LOGS_TRACEBACKS = under_test.OURS or under_test.version() < (6,)


class TestExceptions:
    @staticmethod
    def configure(site):
        for name, text in dict(fails=APPLICATION, imports=NEVER_STARTED, broken=BROKEN, nocallable=NO_CALLABLE).items():
            site.write(f"{name}.wsgi", text)
            site.add(f"WSGIScriptAlias /{name} {site.path(name + '.wsgi')}")
        site.add(site.daemon("app"), "WSGIApplicationGroup %{GLOBAL}")

    def fails(self, server, what, *lines):
        """Asks for `what`, expects a 500 and these lines in the log, and that the next request is served."""
        answer = server.get(f"/fails/{what}")
        assert answer.status == 500 and b"Internal Server Error" in answer.body
        for line in lines:
            server.log.expect(line)
        server.log.declare("wsgi:error")
        assert server.get("/fails/fine").body == b"fine"

    def test_an_exception_is_a_500_and_a_traceback_in_the_log(self, server, site):
        traceback = ["Traceback", rf'File "{site.path("fails.wsgi")}", line 2, in inner'] if LOGS_TRACEBACKS else []
        self.fails(server, "raise", *traceback, "RuntimeError: the reason of the failure")

    def test_an_exception_before_the_first_item_is_a_500(self, server):
        self.fails(server, "before", "RuntimeError: the reason of the failure")

    def test_systemexit_does_not_end_the_process(self, server):
        self.fails(server, "exit", "SystemExit")

    def test_data_without_start_response_is_a_500(self, server):
        self.fails(server, "nothing-started", "wsgi:error")

    def test_a_result_that_is_not_iterable_is_a_500(self, server):
        self.fails(server, "none", "TypeError")

    def test_text_instead_of_bytes_is_a_500(self, server):
        self.fails(server, "text", "TypeError")

    def test_a_bad_status_is_a_500(self, server):
        self.fails(server, "bad-status", "ValueError")

    def test_a_line_break_in_a_header_is_a_500_and_never_sent(self, server):
        assert b"X-Injected" not in server.raw(b"GET /fails/bad-header HTTP/1.0\r\n\r\n")
        self.fails(server, "bad-header", "ValueError")

    def test_a_failure_after_data_leaves_the_response_visibly_truncated(self, server, site):
        answer = server.get("/fails/after")
        assert (answer.status, answer.body) == (200, b"some data")
        server.log.expect("RuntimeError: the reason of the failure")
        server.log.declare("wsgi:error")
        if under_test.OURS or site.embedded:  # the C module in daemon mode ends such a response as if it were complete
            assert not answer.complete
        assert server.get("/fails/fine").body == b"fine"

    @pytest.mark.ours_only("the C module appends its error page in embedded mode, and ends the response as if complete in daemon mode")
    def test_a_failure_after_write_leaves_the_response_visibly_truncated(self, server):
        answer = server.get("/fails/after-write")
        assert (answer.status, answer.body, answer.complete) == (200, b"written", False)
        server.log.expect("RuntimeError: the reason of the failure")
        server.log.declare("wsgi:error")
        assert server.get("/fails/fine").body == b"fine"

    def test_a_script_that_cannot_be_imported_is_a_500_each_time(self, server):
        for _ in range(2):
            assert server.get("/imports").status == 500
        server.log.expect("ModuleNotFoundError: No module named 'a_module_that_does_not_exist'")
        server.log.declare("wsgi:error")

    def test_a_syntax_error_in_the_script_is_named_in_the_log(self, server, site):
        assert server.get("/broken").status == 500
        server.log.expect(rf"{site.path('broken.wsgi')}")
        server.log.expect("SyntaxError")
        server.log.declare("wsgi:error")

    def test_a_script_without_the_callable_is_an_error_that_names_it(self, server, site):
        assert server.get("/nocallable").status == (404 if site.embedded else 500)
        assert "application" in server.log.expect(r"nocallable\.wsgi.*application")
        server.log.declare("wsgi:error")


class TestVirtualHosts:
    @staticmethod
    def configure(site):
        site.another_log("second.log")
        site.write("fails.wsgi", APPLICATION)
        site.serve("fails.wsgi")
        site.add(f"""
            <VirtualHost *:{site.port}>
                ServerName first.test
            </VirtualHost>
            <VirtualHost *:{site.port}>
                ServerName second.test
                ErrorLog {site.root}/logs/second.log
            </VirtualHost>
        """)

    @pytest.mark.parametrize("what", ["raise", "before", "after"])
    def test_a_traceback_is_in_the_log_of_the_virtual_host(self, server, site, what):
        main, second = site.logs
        server.get(f"/{what}", {"Host": "second.test"})
        second.expect("RuntimeError: the reason of the failure")
        second.declare("wsgi:error")
        assert not main.find("RuntimeError")
