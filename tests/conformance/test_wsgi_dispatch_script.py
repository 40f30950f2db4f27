"""WSGIDispatchScript: a script in the Apache child chooses process group, application group and callable."""

import json

import pytest

DISPATCH = """
    def asked(environ, name):
        if "HTTP_PROXY" in environ:
            raise KeyError("HTTP_PROXY is there")
        return environ.get("HTTP_X_" + name)

    def process_group(environ):
        value = asked(environ, "PROCESS")
        if value == "raise":
            raise RuntimeError("the dispatch script failed")
        if value == "number":
            return 5
        return value

    def application_group(environ):
        return asked(environ, "APPLICATION")

    def callable_object(environ):
        value = asked(environ, "CALLABLE")
        return value.encode() if value else None
"""
SHOW = """
    import json

    def application(environ, start_response, called="application"):
        start_response("200 OK", [("Content-Type", "application/json")])
        names = "process_group", "application_group", "callable_object"
        return [json.dumps([environ["mod_wsgi." + name] for name in names] + [called]).encode()]

    def other(environ, start_response):
        return application(environ, start_response, "other")
"""


class TestDispatch:
    @staticmethod
    def configure(site):
        dispatch, script = site.write("dispatch.py", DISPATCH), site.write("show.wsgi", SHOW)
        group = "%{GLOBAL}" if site.embedded else "one"
        site.add("" if site.embedded else "WSGIDaemonProcess one\nWSGIDaemonProcess two", f"""
            WSGIScriptAlias /plain {script}
            WSGIScriptAlias /dispatched {script}
            WSGIScriptAlias /option {script} application-group=fixed
            WSGIProcessGroup {group}
            WSGIApplicationGroup %{{GLOBAL}}
            <LocationMatch ^/(dispatched|option)>
                WSGIDispatchScript {dispatch}
            </LocationMatch>
        """)

    def seen(self, server, path, **asked):
        answer = server.get(path, {f"X-{name}": value for name, value in asked.items()})
        assert answer.status == 200, answer
        return json.loads(answer.body)

    def test_without_an_answer_nothing_changes(self, server, site):
        group = "" if site.embedded else "one"
        assert self.seen(server, "/dispatched") == self.seen(server, "/plain") == [group, "", "application", "application"]

    def test_the_functions_choose(self, server, site):
        chosen = self.seen(server, "/dispatched", Application="named", Callable="other")
        assert chosen[1:] == ["named", "other", "other"]
        if not site.embedded:
            assert self.seen(server, "/dispatched", Process="two")[0] == "two"
            assert self.seen(server, "/dispatched", Process="%{GLOBAL}")[0] == ""

    def test_their_choice_wins_over_the_option_of_an_alias(self, server):
        assert self.seen(server, "/option")[1] == "fixed"
        assert self.seen(server, "/option", Application="chosen")[1] == "chosen"

    @pytest.mark.parametrize("name", ["Proxy", "proxy", "PROXY"])
    def test_a_proxy_header_is_no_variable_of_the_dispatch_script(self, server, name):
        """CVE-2016-5385. Each of the three functions would fail if it saw it."""
        answer = server.get("/dispatched", {name: "http://192.0.2.1/", "X-Application": "named", "X-Callable": "other"})
        assert answer.status == 200 and json.loads(answer.body)[1:] == ["named", "other", "other"]

    def test_a_choice_is_expanded(self, server, site):
        assert self.seen(server, "/dispatched", Application="%{SERVER}")[1] == f"localhost:{site.port}"

    def test_elsewhere_it_is_not_asked(self, server):
        assert self.seen(server, "/plain", Application="named")[1] == ""

    @pytest.mark.parametrize("value, error", [("raise", "RuntimeError: the dispatch script failed"), ("number", "TypeError")])
    def test_a_function_that_fails_is_a_500_with_its_traceback(self, server, value, error):
        assert server.get("/dispatched", {"X-Process": value}).status == 500
        server.log.expect(error)
        server.log.declare("wsgi:error")

    def test_a_group_that_does_not_exist_is_a_500(self, server):
        assert server.get("/dispatched", {"X-Process": "nowhere"}).status == 500
        server.log.expect("wsgi:error.*nowhere")


class TestAScriptThatCannotBeLoaded:
    """The request goes on as if there were none, and the log says why."""

    @staticmethod
    def configure(site):
        site.write("show.wsgi", SHOW)
        site.serve("show.wsgi")
        for name, text in {"raises": "raise LookupError('while it is loaded')\n", "broken": "def (\n"}.items():
            site.write(f"{name}.py", text)
        for name in ("raises", "broken", "missing"):
            site.add(f"<Location /{name}>\nWSGIDispatchScript {site.path(name)}.py\n</Location>")

    @pytest.mark.parametrize("name, error", [
        ("raises", "LookupError: while it is loaded"), ("broken", "SyntaxError"), ("missing", "No such file")])
    def test_the_request_is_served_where_the_configuration_says(self, server, site, name, error):
        answer = server.get(f"/{name}")
        assert (answer.status, json.loads(answer.body)) == (200, ["" if site.embedded else "app", "", "application", "application"])
        server.log.expect(error)
        server.log.expect(rf"wsgi:error.*{name}\.py")
        server.log.declare("wsgi:error")
        assert server.get("/elsewhere").status == 200
