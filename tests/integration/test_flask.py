"""A Flask application in a virtualenv."""

import json

from harness import interpreters

REQUIREMENT = "flask>=3,<4"
APPLICATION = """
    import sys
    from flask import Flask, Response, jsonify, request, session, stream_with_context

    app = Flask(__name__)
    app.secret_key = "only for this test"

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

    def test_a_streamed_response_arrives(self, server):
        assert server.get("/site/stream").text == "".join(f"{number}," for number in range(50))

    def test_the_applications_log_is_in_the_error_log(self, server):
        assert server.get("/site/log").text == "logged"
        server.log.expect("a warning of the application")

    def test_a_failing_view_is_a_500_with_its_traceback_in_the_log(self, server):
        assert server.get("/site/fail").status == 500
        server.log.expect("RuntimeError: a view failed")
        server.log.declare("wsgi:error")
