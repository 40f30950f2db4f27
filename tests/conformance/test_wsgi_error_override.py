"""WSGIErrorOverride: Apache's error documents in place of a daemon's error responses."""

import pytest

STATUS = """
    def application(environ, start_response):
        start_response(environ["QUERY_STRING"].replace("+", " "), [("Content-Type", "text/x-own"), ("X-Own", "yes")])
        return [b"of the application"]
"""


class TestErrorOverride:
    @staticmethod
    def configure(site):
        script = site.write("status.wsgi", STATUS)
        (site.root / "www" / "sorry.txt").write_text("of Apache")
        site.add(site.daemon("app"), "Alias /sorry.txt " + str(site.root / "www" / "sorry.txt"),
                 "ErrorDocument 404 /sorry.txt", 'ErrorDocument 503 "told inline"', f"""
            WSGIScriptAlias /off {script}
            WSGIScriptAlias /on {script}
            <Location /on>
                WSGIErrorOverride On
            </Location>
        """)

    @pytest.mark.parametrize("status", ["404 Gone+Fishing", "503 Later", "599 Far+Out"])
    def test_off_leaves_the_response_alone(self, server, status):
        answer = server.get("/off?" + status.replace(" ", "+"))
        assert (answer.status, answer.reason) == (int(status[:3]), status[4:].replace("+", " "))
        assert (answer.body, answer.headers["X-Own"]) == (b"of the application", "yes")

    def test_on_puts_apaches_document_in_its_place(self, server, site):
        expected = {"404": b"of Apache", "503": b"told inline"}
        for status, document in expected.items():
            answer = server.get(f"/on?{status}+Whatever")
            assert answer.status == int(status)
            assert answer.body == (b"of the application" if site.embedded else document)

    def test_on_leaves_other_statuses_alone(self, server):
        for status in ("200", "302", "399"):
            answer = server.get(f"/on?{status}+Whatever")
            assert (answer.status, answer.body) == (int(status), b"of the application")

    def test_a_status_that_has_no_document_has_apaches_own_page(self, server, site):
        answer = server.get("/on?403+Whatever")
        assert answer.status == 403
        assert (b"of the application" in answer.body) == site.embedded

    def test_the_connection_stays_in_step(self, server):
        with server.keep_alive() as connection:
            for _ in range(5):
                assert connection.get("/on?404+Whatever").status == 404
                assert connection.get("/on?200+OK").body == b"of the application"
