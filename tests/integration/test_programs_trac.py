"""Trac in a virtualenv: logins by Apache, forms with tokens, attachments, a database, its own error pages."""

import base64
import hashlib
import os
import random
import re

import pytest

from harness import httpd_program, interpreters
from harness.programs import session, virtualenv_or_skip

APPLICATION = """
    import os

    os.environ["TRAC_ENV"] = os.path.join(os.path.dirname(__file__), "project")

    import trac.web.main

    application = trac.web.main.dispatch_request
"""
ANN = {"Authorization": "Basic " + base64.b64encode(b"ann:secret").decode()}
PASSWORDS = "ann:{SHA}" + base64.b64encode(hashlib.sha1(b"secret").digest()).decode() + "\n"


def make_project(site, virtualenv) -> None:
    """A Trac environment with a database of its own, in which ann may do everything."""
    project = site.path("project")
    trac_admin = (virtualenv / "bin" / "python", virtualenv / "bin" / "trac-admin", project)
    interpreters.run(*trac_admin, "initenv", "Project of this test", "sqlite:db/trac.db")
    interpreters.run(*trac_admin, "permission", "add", "ann", "TRAC_ADMIN")
    interpreters.run(*trac_admin, "config", "set", "attachment", "max_size", "10000000")
    for folder, _, files in os.walk(project):
        for path in (folder, *(os.path.join(folder, name) for name in files)):
            os.chmod(path, 0o777)


class TestTrac:
    mpms = ("event",)

    @classmethod
    def configure(cls, site):
        # pkg_resources, which Trac wants, has gone from later versions of setuptools.
        cls.virtualenv = virtualenv_or_skip("Trac==1.6", "setuptools<81")
        # It warns of its end, where no one has filtered that.
        site.log.allow("pkg_resources")
        script = site.write("trac.wsgi", APPLICATION)
        make_project(site, cls.virtualenv)
        passwords = site.write("passwords", PASSWORDS)
        if site.embedded:
            site.one_child()
            site.add(f"WSGIPythonHome {cls.virtualenv}")
        site.add(httpd_program.load_modules("authn_core", "authn_file", "auth_basic", "authz_user"),
                 site.daemon("trac", f"python-home={cls.virtualenv} threads=5"), "WSGIApplicationGroup %{GLOBAL}",
                 f"WSGIScriptAlias /projects/one {script}",
                 f'<Location /projects/one/login>\nAuthType Basic\nAuthName trac\nAuthUserFile "{passwords}"\n'
                 "Require valid-user\n</Location>")

    @pytest.fixture
    def ann(self, server):
        """A browser in which ann has logged in."""
        browser = session(server)
        assert browser.get("/projects/one/login").status == 401
        server.log.declare("auth_basic:error", "authz_core:error")
        answer = browser.get("/projects/one/login", ANN)
        assert answer.status in (302, 303) and "trac_auth" in browser.cookies
        assert browser.get("/projects/one/newticket").status == 200 and "trac_form_token" in browser.cookies
        return browser

    def token(self, browser) -> str:
        return browser.cookies["trac_form_token"].value

    def new_ticket(self, browser, summary: str) -> str:
        """The path of a ticket that has just been made."""
        answer = browser.form("/projects/one/newticket", __FORM_TOKEN=self.token(browser), field_summary=summary,
                              field_description="What '''happens'''.", field_type="defect", submit="Create ticket")
        assert answer.status in (302, 303), answer.text
        return re.search(r"/projects/one/ticket/\d+", answer.headers["Location"])[0]

    def attach(self, ann, ticket: str, data: bytes) -> str:
        """The path at which what has just been attached is downloaded."""
        place = ticket.replace("/projects/one/", "/projects/one/attachment/")
        boundary = "----of-this-test"
        fields = {"__FORM_TOKEN": self.token(ann), "action": "new", "realm": "ticket", "id": ticket.rpartition("/")[2], "description": ""}
        parts = [f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n' for name, value in fields.items()]
        file = f'--{boundary}\r\nContent-Disposition: form-data; name="attachment"; filename="data.bin"\r\n\r\n'
        body = ("".join(parts) + file).encode() + data + f"\r\n--{boundary}--\r\n".encode()
        answer = ann.request("POST", f"{place}/?action=new", body, {"Content-Type": f"multipart/form-data; boundary={boundary}"})
        assert answer.status in (302, 303), answer.text
        return place.replace("/attachment/", "/raw-attachment/") + "/data.bin"

    def test_the_start_page_knows_its_mount_point(self, server):
        answer = server.get("/projects/one")
        assert answer.status == 200 and "Project of this test" in answer.text
        assert 'href="/projects/one/wiki"' in answer.text

    def test_a_stranger_may_not_change_anything(self, server):
        stranger = session(server)
        assert stranger.get("/projects/one/admin").status in (403, 404)
        assert stranger.form("/projects/one/wiki/NewPage", action="edit", text="x", save="1").status in (400, 403)

    def test_a_user_whom_apache_let_in_is_known(self, ann):
        assert "logged in as" in ann.get("/projects/one/wiki").text
        assert ann.get("/projects/one/admin").status in (200, 302, 303)

    def test_a_ticket_is_made_changed_and_found(self, ann):
        ticket = self.new_ticket(ann, "It does not w\u00f6rk")
        page = ann.get(ticket)
        assert "It does not w\u00f6rk" in page.body.decode() and "<strong>happens</strong>" in page.text
        found = ann.get("/projects/one/query?format=csv&summary=~does+not&col=id&col=summary")
        assert found.headers["Content-Type"].startswith("text/csv") and "It does not w\u00f6rk" in found.body.decode()

    def test_a_page_is_written_and_its_history_kept(self, ann):
        path = "/projects/one/wiki/PageOfAnn"
        for version, text in enumerate(("first text", "second text")):
            answer = ann.form(path, __FORM_TOKEN=self.token(ann), action="edit", version=str(version), text=text, save="Submit changes")
            assert answer.status in (302, 303), answer.text
        assert "second text" in ann.get(path).text
        assert "first text" in ann.get(path + "?version=1").text
        assert ann.get(path + "?format=txt").body.strip() == b"second text"

    def test_a_file_is_attached_and_downloaded_whole(self, ann):
        data = hashlib.sha256(b"a").digest() * 6000
        found = ann.get(self.attach(ann, self.new_ticket(ann, "with a file"), data))
        assert (found.status, found.body) == (200, data)

    def test_a_file_of_megabytes_comes_whole_and_not_twice(self, ann, server):
        data = random.Random(1).randbytes(5_000_000)
        path = self.attach(ann, self.new_ticket(ann, "with a large file"), data)
        whole = ann.get(path)
        assert (whole.status, whole.complete, whole.headers["Content-Length"]) == (200, True, "5000000")
        assert hashlib.sha256(whole.body).digest() == hashlib.sha256(data).digest()
        again = ann.get(path, {"If-Modified-Since": whole.headers["Last-Modified"]})
        assert (again.status, again.body) == (304, b"")
        head = ann.request("HEAD", path)
        assert (head.status, head.headers["Content-Length"], head.body) == (200, "5000000", b"")

    def test_a_file_of_the_program_is_not_sent_twice(self, server):
        answer = server.get("/projects/one/chrome/common/css/trac.css")
        assert answer.status == 200 and answer.headers["Content-Type"].startswith("text/css") and len(answer.body) > 5000
        again = server.get("/projects/one/chrome/common/css/trac.css", {"If-Modified-Since": answer.headers["Last-Modified"]})
        assert (again.status, again.body) == (304, b"")

    def test_the_timeline_is_a_feed(self, ann):
        self.new_ticket(ann, "seen in the feed")
        feed = ann.get("/projects/one/timeline?ticket=on&format=rss&max=50")
        assert feed.headers["Content-Type"].startswith("application/rss+xml") and "seen in the feed" in feed.text

    def test_error_pages_are_the_programs(self, server):
        answer = server.get("/projects/one/nowhere")
        assert answer.status == 404 and "No handler matched request to /nowhere" in answer.text
        assert server.get("/projects/one/ticket/9999").status == 404
