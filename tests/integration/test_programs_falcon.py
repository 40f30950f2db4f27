"""Falcon in a virtualenv: resources, tokens, media, streams, error responses."""

import json

from harness.programs import session, virtualenv_or_skip

APPLICATION = """
    import hashlib
    import hmac
    import sys
    import falcon

    class About:
        def on_get(self, request, response):
            response.media = {"prefix": sys.prefix, "url": request.url, "root": request.root_path, "params": request.params}

    class Items:
        items = {}

        def on_get(self, request, response, name):
            if name not in self.items:
                raise falcon.HTTPNotFound(title="no such item")
            response.data = self.items[name]
            response.content_type = "application/octet-stream"

        def on_put(self, request, response, name):
            self.items[name] = request.bounded_stream.read()
            response.status = falcon.HTTP_201
            response.location = request.relative_uri

        def on_delete(self, request, response, name):
            self.items.pop(name)
            response.status = falcon.HTTP_204

    class Media:
        def on_post(self, request, response):
            response.media = {"received": request.get_media()}

    def token(name):
        return name + ":" + hmac.digest(b"only for this test", name.encode(), hashlib.sha256).hex()

    class Login:
        def on_post(self, request, response):
            sent = request.get_media()
            if sent["password"] != "s\\u00e9same":
                raise falcon.HTTPUnauthorized(title="wrong password", challenges=["Bearer"])
            response.media = {"token": token(sent["user"])}
            response.set_cookie("token", token(sent["user"]), path="/api", secure=False)

        def on_delete(self, request, response):
            response.unset_cookie("token", path="/api")
            response.status = falcon.HTTP_204

    def authenticate(request, response, resource, params):
        shown = (request.auth or "").partition("Bearer ")[2] or request.cookies.get("token", "")
        user = shown.partition(":")[0]
        if not hmac.compare_digest(shown, token(user)):
            raise falcon.HTTPUnauthorized(title="log in first", challenges=["Bearer"])
        request.context.user = user

    class Me:
        @falcon.before(authenticate)
        def on_get(self, request, response):
            response.media = {"user": request.context.user}

    class Stream:
        def on_get(self, request, response):
            response.content_type = "text/plain"
            response.stream = (f"{number},".encode() for number in range(200))

    class Fail:
        def on_get(self, request, response):
            raise RuntimeError("a resource failed")

    application = falcon.App()
    for path, resource in {"/about": About(), "/items/{name}": Items(), "/media": Media(), "/login": Login(), "/me": Me(),
                           "/stream": Stream(), "/fail": Fail()}.items():
        application.add_route(path, resource)
"""


class TestFalcon:
    mpms = ("event",)

    @classmethod
    def configure(cls, site):
        cls.virtualenv = virtualenv_or_skip("falcon>=3.1,<5")
        script = site.write("falcon_app.wsgi", APPLICATION)
        if site.embedded:
            site.one_child()  # what is put is in its memory
            site.add(f"WSGIPythonHome {cls.virtualenv}")
        site.add(site.daemon("falcon", f"python-home={cls.virtualenv} threads=5"), "WSGIApplicationGroup %{GLOBAL}",
                 "WSGIPassAuthorization On", f"WSGIScriptAlias /api {script}")

    def test_it_runs_in_its_virtualenv_and_knows_its_mount_point(self, server, site):
        seen = json.loads(server.get("/api/about?a=1&b=x%20y").body)
        assert seen == {"prefix": str(self.virtualenv), "url": f"http://127.0.0.1:{site.port}/api/about?a=1&b=x%20y",
                        "root": "/api", "params": {"a": "1", "b": "x y"}}

    def test_an_item_is_put_got_and_deleted(self, server):
        data = bytes(range(256)) * 1000
        with server.keep_alive() as connection:
            answer = connection.request("PUT", "/api/items/one", data)
            assert (answer.status, answer.headers["Location"]) == (201, "/api/items/one")
            assert connection.get("/api/items/one").body == data
            assert connection.request("DELETE", "/api/items/one").status == 204
            assert connection.get("/api/items/one").status == 404

    @staticmethod
    def log_in(browser, password):
        sent = json.dumps({"user": "ann", "password": password}).encode()
        return browser.request("POST", "/api/login", sent, {"Content-Type": "application/json"})

    def test_a_user_logs_in_and_is_known_by_a_token(self, server):
        answer = server.get("/api/me")
        assert (answer.status, answer.headers["WWW-Authenticate"]) == (401, "Bearer")
        assert self.log_in(server, "wrong").status == 401
        token = json.loads(self.log_in(server, "sésame").body)["token"]
        assert json.loads(server.get("/api/me", {"Authorization": f"Bearer {token}"}).body) == {"user": "ann"}
        forged = token.replace("ann:", "eve:")
        assert server.get("/api/me", {"Authorization": f"Bearer {forged}"}).status == 401

    def test_a_browser_logs_in_is_known_by_a_cookie_and_logs_out(self, server):
        browser = session(server)
        assert self.log_in(browser, "wrong").status == 401
        assert browser.get("/api/me").status == 401
        assert self.log_in(browser, "sésame").status == 200
        assert json.loads(browser.get("/api/me").body) == {"user": "ann"}
        assert browser.request("DELETE", "/api/login").status == 204
        assert browser.get("/api/me").status == 401

    def test_json_comes_back(self, server):
        sent = {"text": "ä€", "list": [1, 2.5, None, True]}
        answer = server.post("/api/media", json.dumps(sent).encode(), {"Content-Type": "application/json"})
        assert json.loads(answer.body) == {"received": sent}

    def test_json_that_is_none_is_a_400_of_the_framework(self, server):
        answer = server.post("/api/media", b"{", {"Content-Type": "application/json"})
        assert answer.status == 400 and "title" in json.loads(answer.body)

    def test_a_stream_arrives(self, server):
        assert server.get("/api/stream").text == "".join(f"{number}," for number in range(200))

    def test_methods_and_urls_that_are_not_there_are_answered_by_the_framework(self, server):
        answer = server.request("PATCH", "/api/items/one")
        assert answer.status == 405 and "PUT" in answer.headers["Allow"]
        assert server.get("/api/nowhere").status == 404

    def test_a_failure_is_a_500_with_its_traceback_in_the_log(self, server):
        assert server.get("/api/fail").status == 500
        server.log.expect("RuntimeError: a resource failed")
        server.log.declare("wsgi:error")

    def test_a_session_of_several_requests_uses_one_connection(self, server):
        browser = session(server)
        assert [browser.get("/api/about").status for _ in range(20)] == [200] * 20
