"""WSGIRestrictProcess: the process groups that may be used in a place."""

GROUP = """
    def application(environ, start_response):
        start_response("200 OK", [])
        return [environ["mod_wsgi.process_group"].encode() or b"embedded"]
"""


class TestRestrictProcess:
    modes = ("daemon",)

    @staticmethod
    def configure(site):
        script = site.write("group.wsgi", GROUP)
        site.add("WSGIDaemonProcess one", "WSGIDaemonProcess two", "WSGIRestrictProcess one")
        places = {"/server": "", "/wider": "WSGIRestrictProcess one two %{GLOBAL}", "/narrower": "WSGIRestrictProcess",
                  "/case": "WSGIRestrictProcess TWO", "/embedded": "WSGIRestrictProcess %{GLOBAL}"}
        for place, line in places.items():
            for group in ("one", "two"):
                site.add(f"WSGIScriptAlias {place}/{group} {script} process-group={group}")
            site.add(f"WSGIScriptAlias {place}/global {script} process-group=%{{GLOBAL}}")
            if line:
                site.add(f"<Location {place}>\n{line}\n</Location>")

    def allowed(self, server, place):
        seen = {group: server.get(f"{place}/{group}") for group in ("one", "two", "global")}
        assert {answer.status for answer in seen.values()} <= {200, 500}
        refused = [group for group, answer in seen.items() if answer.status == 500]
        if refused:
            server.log.expect("wsgi:error")
        names = {"global": b"embedded"}
        assert all(answer.body == names.get(group, group.encode()) for group, answer in seen.items() if answer.status == 200)
        return [group for group, answer in seen.items() if answer.status == 200]

    def test_only_a_named_group_is_allowed(self, server):
        assert self.allowed(server, "/server") == ["one"]

    def test_an_inner_place_replaces_the_list(self, server):
        assert self.allowed(server, "/wider") == ["one", "two", "global"]

    def test_without_names_nothing_is_allowed(self, server):
        assert self.allowed(server, "/narrower") == []

    def test_embedded_mode_is_allowed_by_its_token_only(self, server):
        assert self.allowed(server, "/embedded") == ["global"]

    def test_case_does_not_matter(self, server):
        assert self.allowed(server, "/case") == ["two"]

    def test_the_log_names_the_group(self, server):
        assert server.get("/server/two").status == 500
        server.log.expect(r"wsgi:error.*two")
