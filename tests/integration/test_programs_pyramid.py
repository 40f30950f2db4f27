"""Pyramid in a virtualenv: routes, sessions, CSRF protection, uploads, responses of files, streams."""

import json

from harness.programs import session, virtualenv_or_skip

APPLICATION = """
    import sys
    from pyramid.config import Configurator
    from pyramid.csrf import get_csrf_token
    from pyramid.httpexceptions import HTTPForbidden, HTTPSeeOther
    from pyramid.response import FileResponse, Response
    from pyramid.session import SignedCookieSessionFactory

    def hello(request):
        return Response("Hello from Pyramid")

    def about(request):
        return {"prefix": sys.prefix, "url": request.url, "application": request.application_url,
                "route": request.route_path("about")}

    def token(request):
        return Response(get_csrf_token(request))

    def login(request):
        request.session["user"] = request.POST["user"]
        return HTTPSeeOther(request.route_url("me"))

    def me(request):
        if "user" not in request.session:
            raise HTTPForbidden("log in first")
        return Response(request.session["user"])

    def upload(request):
        field = request.POST["file"]
        return {"name": field.filename, "size": len(field.file.read())}

    def download(request):
        return FileResponse(__file__, request=request, content_type="text/plain")

    def stream(request):
        return Response(app_iter=(f"{number},".encode() for number in range(100)), content_type="text/plain")

    def fail(request):
        raise RuntimeError("a view failed")

    with Configurator() as config:
        config.set_session_factory(SignedCookieSessionFactory("only for this test"))
        config.set_default_csrf_options(require_csrf=True)
        for name, view, renderer in (("hello", hello, None), ("about", about, "json"), ("token", token, None), ("login", login, None),
                                     ("me", me, None), ("upload", upload, "json"), ("download", download, None),
                                     ("stream", stream, None), ("fail", fail, None)):
            config.add_route(name, "/" if name == "hello" else f"/{name}")
            config.add_view(view, route_name=name, renderer=renderer)
        application = config.make_wsgi_app()
"""


class TestPyramid:
    mpms = ("event",)

    @classmethod
    def configure(cls, site):
        cls.virtualenv = virtualenv_or_skip("pyramid>=2.0,<3", "setuptools<80")
        cls.script = site.write("pyramid_app.wsgi", APPLICATION)
        if site.embedded:
            site.add(f"WSGIPythonHome {cls.virtualenv}")
        site.add(site.daemon("pyramid", f"python-home={cls.virtualenv} threads=5"), f"WSGIScriptAlias /site {cls.script}")

    def test_a_view_is_served_from_its_virtualenv(self, server, site):
        assert server.get("/site/").text == "Hello from Pyramid"
        host = f"http://127.0.0.1:{site.port}"
        assert json.loads(server.get("/site/about").body) == {
            "prefix": str(self.virtualenv), "url": f"{host}/site/about", "application": f"{host}/site", "route": "/site/about"}

    def test_a_user_logs_in_with_a_token_and_is_known(self, server):
        browser = session(server)
        assert browser.get("/site/me").status == 403
        assert browser.form("/site/login", user="ann").status == 400  # no token
        token = browser.get("/site/token").text
        answer = browser.form("/site/login", user="änn", csrf_token=token)
        assert (answer.status, answer.headers["Location"].rpartition("/")[2]) == (303, "me")
        assert browser.get("/site/me").body.decode() == "änn"

    def test_a_file_is_uploaded(self, server):
        browser = session(server)
        token = browser.get("/site/token").text
        answer = browser.upload("/site/upload", "file", "big.bin", b"x" * 2_000_000, {"X-CSRF-Token": token})
        assert json.loads(answer.body) == {"name": "big.bin", "size": 2_000_000}

    def test_a_file_is_downloaded_by_the_servers_file_wrapper(self, server):
        answer = server.get("/site/download")
        assert answer.body == self.script.read_bytes()
        assert answer.headers["Content-Length"] == str(len(answer.body))
        assert server.get("/site/download", {"If-Modified-Since": answer.headers["Last-Modified"]}).status == 304

    def test_a_stream_arrives(self, server):
        answer = server.get("/site/stream")
        assert answer.complete and answer.text == "".join(f"{number}," for number in range(100))
        assert answer.headers["Transfer-Encoding"] == "chunked"

    def test_error_pages_are_the_frameworks_and_failures_are_logged(self, server):
        assert server.get("/site/nowhere").status == 404
        assert server.get("/site/fail").status == 500
        server.log.expect("RuntimeError: a view failed")
        server.log.declare("wsgi:error")
