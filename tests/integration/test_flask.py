"""A Flask application in a virtualenv."""

import json

from harness import interpreters
from harness.programs import session

REQUIREMENT = "flask>=3,<4"
APPLICATION = """
    import os
    import sys
    from flask import Flask, Response, abort, jsonify, redirect, request, send_from_directory, session, stream_with_context, url_for

    app = Flask(__name__)
    app.secret_key = "only for this test"
    FILES = os.path.join(os.path.dirname(__file__), "files")

    @app.get("/")
    def hello():
        return "Hello from Flask"

    @app.get("/about")
    def about():
        return jsonify(prefix=sys.prefix, url=request.url, root=request.script_root)

    @app.post("/form")
    def form():
        return jsonify(request.form)

    @app.post("/json")
    def as_json():
        return jsonify(received=request.get_json())

    @app.get("/count")
    def count():
        session["count"] = session.get("count", 0) + 1
        return str(session["count"])

    @app.post("/login")
    def login():
        if request.form["password"] != "s\\u00e9same":
            abort(401)
        session["user"] = request.form["user"]
        return redirect(url_for("me"))

    @app.get("/me")
    def me():
        return session.get("user") or abort(403)

    @app.post("/logout")
    def logout():
        session.clear()
        return "goodbye"

    @app.post("/files")
    def upload():
        file = request.files["file"]
        file.save(os.path.join(FILES, os.path.basename(file.filename)))
        return redirect(url_for("download", name=file.filename), 303)

    @app.get("/files/<name>")
    def download(name):
        return send_from_directory(FILES, name, as_attachment=True)

    @app.get("/stream")
    def stream():
        return Response(stream_with_context(f"{number}," for number in range(50)), mimetype="text/plain")

    @app.get("/fail")
    def fail():
        raise RuntimeError("a view failed")

    @app.get("/log")
    def log():
        app.logger.warning("a warning of the application")
        return "logged"
"""
SCRIPT = """
    from site_app import app as application
"""


class TestFlask:
    @classmethod
    def configure(cls, site):
        cls.virtualenv = interpreters.virtualenv(interpreters.system(), REQUIREMENT)
        site.write("site_app.py", APPLICATION)
        site.path("files").mkdir()
        site.path("files").chmod(0o777)
        script = site.write("flask.wsgi", SCRIPT)
        if site.embedded:
            site.add(f"WSGIPythonHome {cls.virtualenv}", f"WSGIPythonPath {site.root}/app")
        site.add(site.daemon("flask", f"python-home={cls.virtualenv} python-path={site.root}/app threads=5"),
                 f"WSGIScriptAlias /site {script}")

    def test_a_view_is_served(self, server):
        assert server.get("/site/").text == "Hello from Flask"

    def test_it_runs_in_its_virtualenv_and_knows_its_mount_point(self, server, site):
        seen = json.loads(server.get("/site/about?x=1").body)
        assert seen == {"prefix": str(self.virtualenv), "root": "/site",
                        "url": f"http://127.0.0.1:{site.port}/site/about?x=1"}

    def test_forms_and_json_arrive(self, server):
        done = server.curl("/site/form", "-d", "name=value", "-d", "other=1")
        assert json.loads(done.stdout) == {"name": "value", "other": "1"}
        answer = server.post("/site/json", b'{"a": [1, 2]}', {"Content-Type": "application/json"})
        assert json.loads(answer.body) == {"received": {"a": [1, 2]}}

    def test_a_session_is_kept_in_its_cookie(self, server):
        cookie = ""
        for expected in ("1", "2", "3"):
            answer = server.get("/site/count", {"Cookie": cookie})
            assert answer.text == expected
            cookie = answer.headers["Set-Cookie"].partition(";")[0]

    def test_a_user_logs_in_is_known_and_logs_out(self, server):
        browser = session(server)
        assert browser.get("/site/me").status == 403
        assert browser.form("/site/login", user="ann", password="wrong").status == 401
        assert browser.get("/site/me").status == 403
        answer = browser.form("/site/login", user="änn", password="sésame")
        assert (answer.status, answer.headers["Location"]) == (302, "/site/me")
        assert browser.get("/site/me").body.decode() == "änn"
        assert session(server).get("/site/me").status == 403
        assert browser.form("/site/logout").text == "goodbye"
        assert browser.get("/site/me").status == 403

    def test_a_session_that_was_not_signed_is_nobodys(self, server):
        browser = session(server)
        browser.form("/site/login", user="ann", password="sésame")
        content, dot, signature = browser.cookies["session"].value.partition(".")
        forged = f"session={content[::-1]}{dot}{signature}"
        assert server.get("/site/me", {"Cookie": forged}).status == 403

    def test_a_file_is_uploaded_and_downloaded(self, server):
        browser, data = session(server), bytes(range(256)) * 4096
        answer = browser.upload("/site/files", "file", "data.bin", data)
        assert (answer.status, answer.headers["Location"]) == (303, "/site/files/data.bin")
        whole = browser.get("/site/files/data.bin")
        assert (whole.status, whole.body, whole.headers["Content-Length"]) == (200, data, str(len(data)))
        assert whole.headers["Content-Disposition"] == "attachment; filename=data.bin"
        part = browser.get("/site/files/data.bin", {"Range": "bytes=250-259"})
        assert (part.status, part.body) == (206, data[250:260])
        assert browser.get("/site/files/data.bin", {"If-None-Match": whole.headers["ETag"]}).status == 304

    def test_a_streamed_response_arrives(self, server):
        assert server.get("/site/stream").text == "".join(f"{number}," for number in range(50))

    def test_the_applications_log_is_in_the_error_log(self, server):
        assert server.get("/site/log").text == "logged"
        server.log.expect("a warning of the application")

    def test_a_failing_view_is_a_500_with_its_traceback_in_the_log(self, server):
        assert server.get("/site/fail").status == 500
        server.log.expect("RuntimeError: a view failed")
        server.log.declare("wsgi:error")
