"""Bottle in a virtualenv: routes, forms, files, cookies, streams, error pages."""

import json

from harness.programs import session, virtualenv_or_skip

APPLICATION = """
    import sys
    import bottle
    from bottle import Bottle, abort, request, response, static_file

    app = Bottle()
    SECRET = "only for this test"

    @app.get("/")
    def hello():
        return "Hello from Bottle"

    @app.get("/about")
    def about():
        return {"prefix": sys.prefix, "url": request.url, "script": request.script_name, "query": dict(request.query)}

    @app.post("/login")
    def login():
        if request.forms.getunicode("password") != "s\\u00e9same":
            abort(401, "wrong password")
        response.set_cookie("user", request.forms.getunicode("user"), secret=SECRET, path="/")
        return "welcome"

    @app.get("/me")
    def me():
        return request.get_cookie("user", secret=SECRET) or abort(403, "nobody")

    @app.post("/upload")
    def upload():
        file = request.files.get("file")
        data = file.file.read()
        return {"name": file.filename, "size": len(data), "sum": sum(data) % 65536}

    @app.get("/file/<name>")
    def file(name):
        return static_file(name, root=__file__.rpartition("/")[0])

    @app.get("/stream")
    def stream():
        for number in range(100):
            yield f"{number}\\n"

    @app.get("/fail")
    def fail():
        raise RuntimeError("a view failed")

    @app.error(404)
    def missing(error):
        return "nothing here"
"""
SCRIPT = "from bottle_app import app as application\n"


class TestBottle:
    mpms = ("event",)

    @classmethod
    def configure(cls, site):
        cls.virtualenv = virtualenv_or_skip("bottle>=0.12,<0.14")
        site.write("bottle_app.py", APPLICATION)
        site.write("data.bin", "0123456789" * 1000)
        script = site.write("bottle.wsgi", SCRIPT)
        if site.embedded:
            site.add(f"WSGIPythonHome {cls.virtualenv}", f"WSGIPythonPath {site.root}/app")
        site.add(site.daemon("bottle", f"python-home={cls.virtualenv} python-path={site.root}/app threads=5"),
                 f"WSGIScriptAlias /site {script}")

    def test_a_view_is_served_from_its_virtualenv(self, server, site):
        assert server.get("/site/").text == "Hello from Bottle"
        about = json.loads(server.get("/site/about?x=1").body)
        assert about == {"prefix": str(self.virtualenv), "url": f"http://127.0.0.1:{site.port}/site/about?x=1",
                         "script": "/site/", "query": {"x": "1"}}

    def test_a_user_logs_in_and_is_known(self, server):
        browser = session(server)
        assert browser.get("/site/me").status == 403
        assert browser.form("/site/login", user="ann", password="wrong").status == 401
        assert browser.form("/site/login", user="ann", password="sésame").text == "welcome"
        assert browser.get("/site/me").text == "ann"

    def test_a_file_is_uploaded(self, server):
        data = bytes(range(256)) * 4096
        answer = session(server).upload("/site/upload", "file", "data.bin", data)
        assert json.loads(answer.body) == {"name": "data.bin", "size": len(data), "sum": sum(data) % 65536}

    def test_a_file_is_downloaded_whole_and_in_part(self, server):
        whole = server.get("/site/file/data.bin")
        assert (whole.status, whole.body) == (200, b"0123456789" * 1000)
        part = server.get("/site/file/data.bin", {"Range": "bytes=5-14"})
        assert (part.status, part.body) == (206, b"5678901234")
        assert server.get("/site/file/data.bin", {"If-Modified-Since": whole.headers["Last-Modified"]}).status == 304

    def test_a_stream_arrives(self, server):
        assert server.get("/site/stream").text == "".join(f"{number}\n" for number in range(100))

    def test_error_pages_are_the_applications(self, server):
        answer = server.get("/site/nowhere")
        assert (answer.status, answer.text) == (404, "nothing here")
        assert server.get("/site/fail").status == 500
        server.log.expect("RuntimeError: a view failed")
        server.log.declare("wsgi:error")
