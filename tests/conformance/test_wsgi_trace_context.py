"""WSGITraceContext: which trace a request belongs to. Source: W3C Trace Context, and docs/monitoring.md."""

import json
import re

import pytest

from harness.processes import wait_until

pytestmark = pytest.mark.ours_only("the C module has no such directive")

APPLICATION = """
    import json

    def application(environ, start_response):
        if environ["PATH_INFO"] == "/say":
            print("what the application says", file=environ["wsgi.errors"])
        start_response("200 OK", [("Content-Type", "application/json")])
        return [json.dumps([environ.get("HTTP_TRACEPARENT"), environ.get("mod_wsgi.traceparent")]).encode()]
"""
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT = f"00-{TRACE}-00f067aa0ba902b7-01"
MADE = re.compile(r"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-01")


class TestTraceContext:
    @staticmethod
    def configure(site):
        site.write("trace.wsgi", APPLICATION)
        site.serve("trace.wsgi")
        for value in ("On", "Accept", "Off"):
            site.add(f"<Location /{value.lower()}>", f"WSGITraceContext {value}", "</Location>")

    def ask(self, server, path, traceparent=None):
        headers = {"traceparent": traceparent} if traceparent else {}
        return json.loads(server.get(path, headers=headers).body)

    def test_without_it_the_header_is_one_like_others(self, server):
        for path in ("/", "/off"):
            assert self.ask(server, path) == [None, None]
            assert self.ask(server, path, PARENT) == [PARENT, None]
            assert self.ask(server, path, "nonsense") == ["nonsense", None]

    @pytest.mark.parametrize("path", ["/on", "/accept"])
    def test_the_clients_trace_is_taken(self, server, path):
        assert self.ask(server, path, PARENT) == [PARENT, PARENT]

    def test_on_begins_a_trace_where_there_is_none(self, server):
        header, ours = self.ask(server, "/on")
        assert MADE.fullmatch(ours) and header == ours
        assert self.ask(server, "/on")[1] != ours

    @pytest.mark.parametrize("wrong", ["nonsense", PARENT.upper(), PARENT.replace(TRACE, "0" * 32), PARENT + "-more", "ff" + PARENT[2:]])
    def test_on_replaces_what_is_not_valid(self, server, wrong):
        header, ours = self.ask(server, "/on", wrong)
        assert MADE.fullmatch(ours) and header == ours and ours != PARENT

    def test_accept_begins_none(self, server):
        assert self.ask(server, "/accept") == [None, None]


class TestInLogsAndFigures:
    mpms = ("event",)

    @staticmethod
    def configure(site):
        site.write("trace.wsgi", APPLICATION)
        site.serve("trace.wsgi")
        site.add("WSGITraceContext On", "<Location /figures>\nSetHandler wsgi-metrics\n</Location>",
                 'ErrorLogFormat "[%t] [%-m:%l] [pid %P] [trace %{trace_id}n] %M"',
                 f'CustomLog "{site.root}/logs/traces.log" "%U %{{traceparent}}n"')

    def test_log_formats_have_it_as_a_note(self, server, site):
        server.log.declare("what the application says")
        server.get("/say", headers={"traceparent": PARENT})
        server.log.expect(rf"\[trace {TRACE}\] .*what the application says")
        # httpd writes it after it has sent the response.
        wait_until(lambda: f"/say {PARENT}\n" in (site.root / "logs" / "traces.log").read_text(), "the request is logged")

    def test_the_buckets_of_request_times_have_exemplars(self, server, site):
        server.get("/", headers={"traceparent": PARENT})
        lines = [line for line in server.get("/figures").text.splitlines() if " # " in line]
        assert any(re.fullmatch(r'wsgi_request_duration_seconds_bucket\{le="[^"]+",group="[^"]+"\} \d+ '
                                rf'# \{{trace_id="{TRACE}"\}} [0-9.e-]+ \d+\.\d+', line) for line in lines), lines
