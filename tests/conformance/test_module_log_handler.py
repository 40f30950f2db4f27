"""`mod_wsgi.LogHandler`: records of Python's logging in Apache's error log, at their level, with file, line and request."""

import re

import pytest

pytestmark = pytest.mark.since((6, 1, 1), "older versions have no LogHandler")

LOGS = """
    import logging, threading
    import mod_wsgi

    class Counting(mod_wsgi.LogHandler):
        formatted = 0

        def format(self, record):
            Counting.formatted += 1
            return super().format(record)

    class Failing(mod_wsgi.LogHandler):
        handled = 0

        def format(self, record):
            raise ValueError("no format")

        def handleError(self, record):
            Failing.handled += 1

    def logger(name, handler):
        logger = logging.getLogger(name)
        logger.setLevel(1)
        logger.propagate = False
        logger.addHandler(handler)
        return logger

    log, failing = logger("app", Counting()), logger("failing", Failing())
    log.warning("loaded at the start")

    def application(environ, start_response):
        what = environ["PATH_INFO"].strip("/")
        answer = b""
        if what.startswith("level-"):
            log.log(int(what[6:]), "at %s", what)
        elif what == "lines":
            log.error("first\\n\\nthird\\n")
            log.error("")
        elif what == "umlaut":
            log.error("gr\\u00fc\\u00df \\u4f60")
        elif what == "thread":
            thread = threading.Thread(target=lambda: log.error("from a thread"))
            thread.start()
            thread.join()
        elif what == "place":
            log.error("%d%% of the place", 100)  # line
        elif what == "failing":
            failing.error("never seen")
            answer = str(Failing.handled).encode()
        elif what == "traceback":
            try:
                1 / 0
            except ZeroDivisionError:
                log.exception("it went wrong")
        elif what == "dropped":
            before = Counting.formatted
            log.debug("dropped")
            answer = str(Counting.formatted - before).encode()
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [answer]
"""
LINE = next(number for number, line in enumerate(LOGS.strip("\n").splitlines(), 1) if "# line" in line)


class TestLogHandler:
    @staticmethod
    def configure(site):
        site.write("logs.wsgi", LOGS)
        site.add("LogLevel notice wsgi:info", 'ErrorLogFormat "[%t] [%m:%l] <%F> {%L} [client\\ %a] %M"')
        site.serve("logs.wsgi", options="threads=2")
        site.log.allow("loaded at the start")

    @pytest.mark.parametrize("number, level", [(60, "crit"), (50, "crit"), (45, "error"), (40, "error"), (35, "warn"), (30, "warn"),
                                               (25, "info"), (20, "info")])
    def test_levels_become_those_of_apache(self, server, number, level):
        server.get(f"/level-{number}")
        assert f"[wsgi:{level}]" in server.log.expect(f"at level-{number}$")

    def test_what_apache_would_drop_is_not_even_formatted(self, server):
        assert server.get("/dropped").text == "0"
        server.get("/level-20")
        server.log.expect("at level-20")
        assert not server.log.find("dropped")

    def test_every_line_is_a_record(self, server):
        server.get("/lines")
        server.log.expect("third$")
        server.log.declare("wsgi:error")
        texts = [re.sub(r"^.*\[script [^]]*\] ?", "", line) for line in server.log.lines() if "wsgi:error" in line]
        assert texts == ["first", "", "third"]

    def test_text_of_any_language_arrives(self, server):
        server.get("/umlaut")
        server.log.declare("wsgi:error")
        line = server.log.expect("gr.*")
        assert "gr\u00fc\u00df \u4f60" in line or r"gr\xc3\xbc\xc3\x9f \xe4\xbd\xa0" in line, "httpd may escape what is not ASCII"

    def test_a_record_of_a_request_has_its_client_its_id_and_its_script(self, server, site):
        server.get("/place")
        line = server.log.expect("100% of the place$")
        assert re.search(r"\{[\w@/+-]{8,}\} \[client 127\.0\.0\.1:\d+\]", line), line
        assert f"[script {site.path('logs.wsgi')}]" in line

    def test_file_and_line_of_the_caller_are_what_f_shows(self, server, site):
        server.get("/place")
        assert f"logs.wsgi({LINE})>" in server.log.expect("100% of the place$"), "httpd shows the name without its folder"

    def test_a_thread_of_the_application_logs_for_the_server(self, server):
        server.get("/thread")
        line = server.log.expect("from a thread$")
        assert "[client" not in line and "[script" not in line
        assert "wsgi:error" in line

    def test_a_traceback_follows_line_by_line(self, server):
        server.get("/traceback")
        server.log.declare("wsgi:error")
        for pattern in ("it went wrong$", "Traceback", "ZeroDivisionError: division by zero$"):
            assert "[wsgi:error]" in server.log.expect(pattern)

    def test_a_record_that_cannot_be_formatted_is_given_to_handle_error(self, server):
        assert int(server.get("/failing").text) >= 1
        assert not server.log.find("never seen")


class TestBeforeRequests:
    mpms = ("event",)

    @staticmethod
    def configure(site):
        group = "%{GLOBAL}" if site.embedded else "app"
        site.add(site.daemon("app"),
                 f"WSGIScriptAlias / {site.write('logs.wsgi', LOGS)} process-group={group} application-group=%{{GLOBAL}}")
        site.log.allow("loaded at the start")

    def test_records_of_the_start_are_in_the_server_s_log(self, server, site):
        server.get("/")
        line = next(line for line in site.log.path.read_text().splitlines() if line.endswith("loaded at the start"))
        assert "[wsgi:warn]" in line and "[client" not in line


class TestLevelOfAVirtualHost:
    mpms = ("event",)

    @staticmethod
    def configure(site):
        log = site.another_log("debug.log")
        site.write("logs.wsgi", LOGS)
        daemon = "" if site.embedded else "WSGIDaemonProcess app\nWSGIProcessGroup app"
        site.add(f"""
            {daemon}
            WSGIApplicationGroup %{{GLOBAL}}
            WSGIScriptAlias / {site.path('logs.wsgi')}
            <VirtualHost *>
                ServerName quiet
            </VirtualHost>
            <VirtualHost *>
                ServerName debug
                ErrorLog {log.path}
                LogLevel wsgi:debug
            </VirtualHost>
        """)
        site.log.allow("loaded at the start")

    def test_each_host_has_its_level_and_its_log(self, server, site):
        assert server.get("/dropped", {"Host": "quiet"}).text == "0"
        assert server.get("/dropped", {"Host": "debug"}).text == "1"
        debug = site.logs[1]
        assert "[wsgi:debug]" in debug.expect("dropped$")
        assert not server.log.find("dropped$")
