"""CherryPy as a WSGI application in a virtualenv: its engine, sessions, logins, uploads, downloads, streams."""

import json

from harness.programs import session, virtualenv_or_skip

APPLICATION = """
    import os
    import sys
    import cherrypy
    from cherrypy.lib.static import serve_file

    class Root:
        @cherrypy.expose
        def index(self):
            return "Hello from CherryPy"

        @cherrypy.expose
        @cherrypy.tools.json_out()
        def about(self, **query):
            return {"prefix": sys.prefix, "url": cherrypy.url(), "query": query}

        @cherrypy.expose
        def count(self):
            cherrypy.session["count"] = cherrypy.session.get("count", 0) + 1
            return str(cherrypy.session["count"])

        @cherrypy.expose
        @cherrypy.tools.allow(methods=["POST"])
        def login(self, user, password):
            if password != "s\\u00e9same":
                raise cherrypy.HTTPError(401, "wrong password")
            cherrypy.session.regenerate()
            cherrypy.session["user"] = user
            raise cherrypy.HTTPRedirect("me")

        @cherrypy.expose
        def me(self):
            if "user" not in cherrypy.session:
                raise cherrypy.HTTPError(403, "log in first")
            return cherrypy.session["user"]

        @cherrypy.expose
        def logout(self):
            cherrypy.lib.sessions.expire()
            cherrypy.session.delete()
            return "goodbye"

        @cherrypy.expose
        def download(self):
            return serve_file(os.path.join(os.path.dirname(__file__), "data.bin"), "application/octet-stream", "attachment")

        @cherrypy.expose
        @cherrypy.tools.json_out()
        def upload(self, file):
            return {"name": file.filename, "size": len(file.file.read())}

        @cherrypy.expose
        @cherrypy.config(**{"response.stream": True})
        def stream(self):
            return (f"{number}," for number in range(100))

        @cherrypy.expose
        def redirect(self):
            raise cherrypy.HTTPRedirect("about")

        @cherrypy.expose
        def fail(self):
            raise RuntimeError("a handler failed")

    cherrypy.config.update({"environment": "embedded", "engine.autoreload.on": False, "log.screen": False})
    application = cherrypy.Application(Root(), script_name=None, config={
        "/": {"tools.sessions.on": True, "tools.sessions.locking": "early"}})
"""


class TestCherryPy:
    mpms = ("event",)

    @classmethod
    def configure(cls, site):
        cls.virtualenv = virtualenv_or_skip("cherrypy>=18.8,<19")
        script = site.write("cherrypy_app.wsgi", APPLICATION)
        site.write("data.bin", "0123456789" * 200_000)
        if site.embedded:
            # Sessions are in memory: one process.
            site.one_child()
            site.add(f"WSGIPythonHome {cls.virtualenv}")
        site.add(site.daemon("cherrypy", f"python-home={cls.virtualenv} threads=5"), "WSGIApplicationGroup %{GLOBAL}",
                 f"WSGIScriptAlias /site {script}")

    def test_a_page_is_served_from_its_virtualenv(self, server, site):
        assert server.get("/site/").text == "Hello from CherryPy"
        assert json.loads(server.get("/site/about?a=1&a=2").body) == {
            "prefix": str(self.virtualenv), "url": f"http://127.0.0.1:{site.port}/site/about", "query": {"a": ["1", "2"]}}

    def test_a_session_is_kept_in_memory(self, server):
        browser = session(server)
        assert [browser.get("/site/count").text for _ in range(4)] == ["1", "2", "3", "4"]
        assert session(server).get("/site/count").text == "1"

    def test_a_user_logs_in_is_known_and_logs_out(self, server):
        browser = session(server)
        assert browser.get("/site/login?user=ann&password=x").status == 405
        assert browser.get("/site/me").status == 403
        assert browser.form("/site/login", user="ann", password="wrong").status == 401
        assert browser.get("/site/me").status == 403
        stranger = browser.cookies["session_id"].value
        answer = browser.form("/site/login", user="änn", password="sésame")
        assert (answer.status, answer.headers["Location"].rpartition("/site/")[2]) == (303, "me")
        assert browser.cookies["session_id"].value != stranger
        assert browser.get("/site/me").body.decode() == "änn"
        assert session(server).get("/site/me").status == 403
        assert browser.get("/site/logout").text == "goodbye"
        assert browser.get("/site/me").status == 403

    def test_a_file_is_downloaded_whole_and_in_part(self, server):
        whole = server.get("/site/download")
        assert (whole.status, whole.body) == (200, b"0123456789" * 200_000)
        assert whole.headers["Content-Disposition"].startswith('attachment; filename="data.bin"')
        part = server.get("/site/download", {"Range": "bytes=5-14"})
        assert (part.status, part.body, part.headers["Content-Range"]) == (206, b"5678901234", "bytes 5-14/2000000")
        assert server.get("/site/download", {"If-Modified-Since": whole.headers["Last-Modified"]}).status == 304

    def test_a_file_is_uploaded(self, server):
        answer = session(server).upload("/site/upload", "file", "big.bin", b"x" * 1_500_000)
        assert json.loads(answer.body) == {"name": "big.bin", "size": 1_500_000}

    def test_a_stream_arrives(self, server):
        assert server.get("/site/stream").text == "".join(f"{number}," for number in range(100))

    def test_a_redirect_knows_the_mount_point(self, server, site):
        answer = server.get("/site/redirect")
        assert (answer.status, answer.headers["Location"]) == (303, f"http://127.0.0.1:{site.port}/site/about")

    def test_errors_are_the_frameworks_pages(self, server):
        assert server.get("/site/nowhere").status == 404
        answer = server.get("/site/fail")
        assert answer.status == 500 and b"CherryPy" in answer.body
        server.log.declare("wsgi:error")
