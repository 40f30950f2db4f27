"""A stock Django project in a virtualenv, configured as Django's and mod_wsgi's documentation have it."""

import re
import shutil

import pytest

from harness import interpreters, places
from harness.programs import session

REQUIREMENT = "django>=4.2,<5.3"
VIEWS = """
    import os
    import sys
    import time
    from django.conf import settings
    from django.contrib import admin
    from django.http import FileResponse, HttpResponse, JsonResponse, StreamingHttpResponse
    from django.urls import path
    from django.views.decorators.csrf import csrf_exempt

    def hello(request):
        return HttpResponse("Hello from Django", content_type="text/plain")

    def about(request):
        return JsonResponse({"prefix": sys.prefix, "executable": sys.executable, "path": request.path, "query": request.GET})

    @csrf_exempt
    def upload(request):
        file = request.FILES["file"]
        return JsonResponse({"name": file.name, "size": file.size, "title": request.POST["title"]})

    def stream(request):
        return StreamingHttpResponse(f"{number}\\n" for number in range(100))

    def patient(request):
        def parts():
            yield "first"
            for _ in range(1000):
                if os.path.exists(settings.BASE_DIR / request.GET["until"]):
                    break
                time.sleep(0.01)
            else:
                yield " in vain"
            yield " last"
        return StreamingHttpResponse(parts(), content_type="text/plain")

    def download(request):
        return FileResponse(open(settings.BASE_DIR / "data.bin", "rb"), as_attachment=True, filename="na\\u00efve.bin")

    def fail(request):
        raise RuntimeError("a view failed")

    urlpatterns = [path("hello/", hello), path("about/", about), path("upload/", upload), path("stream/", stream),
                   path("patient/", patient), path("download/", download), path("fail/", fail), path("admin/", admin.site.urls)]
"""
SETTINGS = """
ALLOWED_HOSTS = ["127.0.0.1"]
DEBUG = False
STATIC_ROOT = BASE_DIR / "static"
SECRET_KEY = "only for this test"
"""
LOGGING = """
LOGGING = {"version": 1, "disable_existing_loggers": False, "handlers": {"stderr": {"class": "logging.StreamHandler"}},
           "loggers": {"django": {"handlers": ["stderr"], "level": "WARNING"}}}
"""
DATA = bytes(range(256)) * 8000
USER = """
from django.contrib.auth.models import User
User.objects.create_superuser("admin", "admin@example.com", "a-password")
"""


def made_project(python):
    """`django-admin startproject mysite`, migrated, with an administrator; made once, then copied."""
    folder = places.cache_folder() / "django-project" / python.parent.parent.name
    with places.made_once(folder) as fresh:
        if fresh:
            fresh.mkdir()
            interpreters.run(python, "-m", "django", "startproject", "mysite", fresh)
            with open(fresh / "mysite" / "settings.py", "a") as settings:
                settings.write(SETTINGS)
            interpreters.run(python, "manage.py", "migrate", cwd=fresh)
            interpreters.run(python, "manage.py", "shell", "-c", USER, cwd=fresh)
            interpreters.run(python, "manage.py", "collectstatic", "--noinput", cwd=fresh)
    return folder


class TestDjango:
    @classmethod
    def configure(cls, site):
        cls.virtualenv = interpreters.virtualenv(interpreters.system(), REQUIREMENT)
        project = site.path("project")
        shutil.copytree(made_project(cls.virtualenv / "bin" / "python"), project)
        site.write("project/mysite/urls.py", VIEWS)
        with open(project / "mysite" / "settings.py", "a") as settings:
            settings.write(LOGGING)
        (project / "data.bin").write_bytes(DATA)
        project.chmod(0o777)  # SQLite writes its journal beside the database
        (project / "db.sqlite3").chmod(0o666)
        site.nothing_granted = True
        python = (f"WSGIPythonHome {cls.virtualenv}\nWSGIPythonPath {project}" if site.embedded else
                  f"WSGIDaemonProcess mysite python-home={cls.virtualenv} python-path={project}\nWSGIProcessGroup mysite")
        site.add(python, f"""
            Alias /static/ {project}/static/
            <Directory {project}/static>
                Require all granted
            </Directory>

            WSGIScriptAlias / {project}/mysite/wsgi.py

            <Directory {project}/mysite>
                <Files wsgi.py>
                    Require all granted
                </Files>
            </Directory>
        """)

    def test_a_view_is_served(self, server):
        assert server.get("/hello/").text == "Hello from Django"

    def test_it_runs_in_its_virtualenv(self, server):
        answer = server.get("/about/?a=1&a=2")
        assert f'"prefix": "{self.virtualenv}"' in answer.text
        assert '"query": {"a": "2"}' in answer.text or '"a": ["1", "2"]' in answer.text

    def test_an_upload_arrives(self, server, tmp_path):
        file = tmp_path / "picture.bin"
        file.write_bytes(bytes(range(256)) * 12_000)  # above 2.5 MB Django writes it to a file
        done = server.curl("/upload/", "-F", "title=A title", "-F", f"file=@{file}")
        assert done.stdout == '{"name": "picture.bin", "size": 3072000, "title": "A title"}', done.stderr

    def test_a_streaming_response_arrives(self, server):
        answer = server.get("/stream/")
        assert answer.complete and answer.text == "".join(f"{number}\n" for number in range(100))

    def test_a_part_of_a_stream_arrives_before_the_next_is_made(self, server, site):
        with server.keep_alive() as client:
            client.connection.request("GET", "/patient/?until=first-part-arrived")
            response = client.connection.getresponse()
            assert response.read(5) == b"first"
            site.write("project/first-part-arrived", "")
            assert response.read() == b" last"
        site.path("project/first-part-arrived").unlink()

    def test_a_file_is_downloaded(self, server):
        answer = server.get("/download/")
        assert (answer.status, answer.body) == (200, DATA)
        assert answer.headers["Content-Length"] == str(len(DATA))
        assert answer.headers["Content-Disposition"] == "attachment; filename*=utf-8''na%C3%AFve.bin"

    def test_a_redirect_adds_the_slash(self, server):
        answer = server.get("/hello")
        assert (answer.status, answer.headers["Location"]) == (301, "/hello/")

    def submit(self, browser, path: str, page: str = "", **fields: str):
        """Sends a form with the token of its page, which usually has the same path."""
        token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', browser.get(page or path).text)[1]
        return browser.form(path, csrfmiddlewaretoken=token, **fields)

    @pytest.fixture
    def administrator(self, server):
        """A browser in which the administrator has logged in."""
        browser = session(server)
        answer = self.submit(browser, "/admin/login/", username="admin", password="a-password", next="/admin/")
        assert (answer.status, answer.headers["Location"]) == (302, "/admin/")
        return browser

    def test_an_administrator_logs_in_and_out(self, administrator):
        assert "Site administration" in administrator.get("/admin/").text
        assert "Logged out" in self.submit(administrator, "/admin/logout/", page="/admin/").text
        answer = administrator.get("/admin/")
        assert (answer.status, answer.headers["Location"]) == (302, "/admin/login/?next=/admin/")

    def test_a_wrong_password_and_a_form_without_its_token_are_refused(self, server):
        browser = session(server)
        answer = self.submit(browser, "/admin/login/", username="admin", password="wrong", next="/admin/")
        assert answer.status == 200 and "Please enter the correct username and password" in answer.text
        assert browser.get("/admin/").status == 302
        answer = browser.form("/admin/login/", username="admin", password="a-password")
        assert answer.status == 403 and "CSRF verification failed" in answer.text
        server.log.expect(r"wsgi:error.*Forbidden \(CSRF token missing")

    def test_an_administrator_adds_changes_lists_and_deletes_a_group(self, administrator):
        def listed() -> dict[str, str]:
            """The names of the groups and where each is changed."""
            page = administrator.get("/admin/auth/group/").body.decode()
            return {name: path for path, name in re.findall(r'<th class="field-__str__"><a href="([^"?]+)[^"]*">([^<]+)</a>', page)}

        def save(path: str, **fields: str) -> None:
            answer = self.submit(administrator, path, **fields)
            assert (answer.status, answer.headers["Location"]) == (302, "/admin/auth/group/")

        assert listed() == {}
        save("/admin/auth/group/add/", name="Rédacteurs")
        save("/admin/auth/group/add/", name="Readers")
        groups = listed()
        assert list(groups) == ["Readers", "Rédacteurs"]
        save(groups["Rédacteurs"], name="Editors")
        assert listed() == {"Editors": groups["Rédacteurs"], "Readers": groups["Readers"]}
        for path in groups.values():
            save(path.replace("/change/", "/delete/"), post="yes")
        assert listed() == {}

    def test_static_files_come_from_apache(self, server):
        assert server.get("/static/admin/css/base.css").status == 200

    def test_nothing_but_the_script_is_granted(self, server):
        assert server.get("/static/../mysite/settings.py").status in (400, 403, 404)
        server.log.declare("wsgi:error.*Not Found: /mysite/settings.py")

    def test_a_page_that_is_not_there_is_djangos_404(self, server):
        answer = server.get("/nowhere/")
        assert answer.status == 404 and b"Not Found" in answer.body
        server.log.expect("wsgi:error.*Not Found: /nowhere/")

    def test_a_failing_view_is_a_500_with_its_traceback_in_the_log(self, server):
        answer = server.get("/fail/")
        assert answer.status == 500 and "<h1>Server Error (500)</h1>" in answer.text
        assert "RuntimeError" not in answer.text and "a view failed" not in answer.text
        for line in ("Internal Server Error: /fail/", "Traceback", r'urls.py", line \d+, in fail', "RuntimeError: a view failed"):
            server.log.expect(line)
        server.log.declare("wsgi:error")
        assert server.get("/hello/").status == 200
