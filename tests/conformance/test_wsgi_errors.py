"""wsgi.errors, print and sys.stderr. Source: PEP 3333, "Input and Error Streams"; the reference's "Logging streams"."""

import pytest

APPLICATION = """
    import sys

    def application(environ, start_response):
        errors, what = environ["wsgi.errors"], environ["PATH_INFO"]
        if what == "/lines":
            errors.write("first line\\nsecond line\\n")
            errors.writelines(["third line\\n", "fourth line\\n"])
            errors.flush()
        if what == "/pieces":
            errors.write("one line ")
            errors.write("in two pieces\\n")
        if what == "/partial":
            errors.write("a line without an end")
        if what == "/stderr":
            print("printed to stderr", file=sys.stderr)
        if what == "/unicode":
            errors.write("snow \\u2603 man\\n")
        if what == "/format":
            errors.write("%s %n %d 100%\\n")
        if what == "/long":
            errors.write("x" * 3000 + " end\\n")
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [b"done"]
"""


class TestErrors:
    @staticmethod
    def configure(site):
        site.another_log("second.log")
        site.write("errors.wsgi", APPLICATION)
        site.serve("errors.wsgi")
        site.add(f"""
            <VirtualHost *:{site.port}>
                ServerName first.test
            </VirtualHost>
            <VirtualHost *:{site.port}>
                ServerName second.test
                ErrorLog {site.root}/logs/second.log
            </VirtualHost>
        """)

    def logged(self, server, path, *patterns, host="first.test"):
        """Asks for a path and returns the log in which all these lines have appeared, each as its own record."""
        log = server.site.logs[1] if host == "second.test" else server.log
        assert server.get(path, {"Host": host}).body == b"done"
        for pattern in patterns:
            log.expect(r"^\[[^\]]+\] \[wsgi:error\] .*" + pattern)
        return log

    def test_every_line_is_a_record_of_its_own(self, server):
        log = self.logged(server, "/lines", "first line$", "second line$", "third line$", "fourth line$")
        assert len([line for line in log.lines() if ":error]" in line]) == 4

    @pytest.mark.since((6, 1, 1), "older versions end a record with every write")
    def test_a_line_may_be_written_in_pieces(self, server):
        self.logged(server, "/pieces", "one line in two pieces$")

    def test_a_line_without_an_end_is_logged_at_the_end_of_the_request(self, server):
        self.logged(server, "/partial", "a line without an end$")

    def test_lines_are_in_the_log_of_the_virtual_host(self, server):
        log = self.logged(server, "/lines", "first line$", "second line$", "third line$", "fourth line$", host="second.test")
        assert len([line for line in log.lines() if ":error]" in line]) == 4
        assert not server.log.find("first line")

    def test_sys_stderr_is_logged_during_a_request(self, server):
        self.logged(server, "/stderr", "printed to stderr$", host="second.test")
        assert not server.log.find("printed to stderr")

    def test_text_is_logged_as_utf_8(self, server):
        # Apache escapes what is not ASCII.
        self.logged(server, "/unicode", r"snow \\xe2\\x98\\x83 man$")

    def test_percent_signs_are_only_text(self, server):
        self.logged(server, "/format", "%s %n %d 100%$")

    def test_a_long_line_is_logged_whole(self, server):
        self.logged(server, "/long", "x{3000} end$")


class TestStreamsOfPython:
    """What Python's own modules write: warnings, logging, tracebacks of threads."""

    @staticmethod
    def configure(site):
        site.write("streams.wsgi", """
            import logging
            import threading
            import warnings

            logging.basicConfig(format="%(levelname)s %(message)s")
            print("printed at import")

            def fail():
                raise ValueError("in a thread")

            def application(environ, start_response):
                what = environ["PATH_INFO"]
                if what == "/warning":
                    warnings.warn("this is going away")
                if what == "/logging":
                    logging.getLogger("app").warning("logged %s", "once")
                if what == "/thread":
                    thread = threading.Thread(target=fail)
                    thread.start()
                    thread.join()
                if what == "/print":
                    print("printed", "as one", sep=" ", end=" line\\n")
                    print("flushed", flush=True)
                start_response("200 OK", [])
                return [b"done"]
        """)
        site.serve("streams.wsgi")
        site.log.allow("wsgi:error")

    @pytest.mark.parametrize("what, line", [
        ("/warning", "UserWarning: this is going away$"), ("/logging", "WARNING logged once$"),
        ("/thread", "ValueError: in a thread$"), ("/print", "printed as one line$"), ("/print", "flushed$"), ("/", "")])
    def test_each_line_is_logged_at_level_error(self, server, what, line):
        assert server.get(what).body == b"done"
        if line:
            server.log.expect(r"^\[[^\]]+\] \[wsgi:error\] .*" + line)


class TestLinesAtTheEndOfAProcess:
    SCRIPT = """
        import atexit

        def last_words():
            for number in range(200):
                print(f"last word {number}.")
            print("the very last one has no end", end="")

        atexit.register(last_words)

        def application(environ, start_response):
            start_response("200 OK", [])
            return [b"done"]
    """

    @pytest.mark.since((6, 1, 1), "older versions do not run exit functions in daemon processes")
    @pytest.mark.parametrize("mode", ["embedded", "daemon"])
    def test_none_is_lost(self, new_server, mode):
        server = new_server("event", mode)
        server.site.write("last.wsgi", self.SCRIPT)
        server.site.serve("last.wsgi")
        server.site.log.allow("wsgi:error")
        server.start()
        assert server.get("/").body == b"done"
        server.stop()
        said = [line.rpartition("last word ")[2] for line in server.log.lines() if "last word " in line]
        assert said == [f"{number}." for number in range(200)]
        assert server.log.find("the very last one has no end")
