"""A stock Django project in a virtualenv, configured as Django's and mod_wsgi's documentation have it."""

import http.cookiejar
import re
import shutil
import textwrap
import urllib.parse
import urllib.request

from harness import interpreters, places

REQUIREMENT = "django>=4.2,<5.3"
VIEWS = """
    import sys
    from django.contrib import admin
    from django.http import HttpResponse, JsonResponse, StreamingHttpResponse
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

    def fail(request):
        raise RuntimeError("a view failed")

    urlpatterns = [path("hello/", hello), path("about/", about), path("upload/", upload), path("stream/", stream),
                   path("fail/", fail), path("admin/", admin.site.urls)]
"""
SETTINGS = """
ALLOWED_HOSTS = ["127.0.0.1"]
DEBUG = False
STATIC_ROOT = BASE_DIR / "static"
SECRET_KEY = "only for this test"
"""
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
            (fresh / "mysite" / "urls.py").write_text(textwrap.dedent(VIEWS))
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

    def test_a_redirect_adds_the_slash(self, server):
        answer = server.get("/hello")
        assert (answer.status, answer.headers["Location"]) == (301, "/hello/")

    def test_an_administrator_logs_in(self, server, site):
        base = f"http://127.0.0.1:{site.port}"
        browser = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar()))
        page = browser.open(f"{base}/admin/", timeout=20).read().decode()
        token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', page)[1]
        form = {"username": "admin", "password": "a-password", "next": "/admin/", "csrfmiddlewaretoken": token}
        answer = browser.open(f"{base}/admin/login/", urllib.parse.urlencode(form).encode(), timeout=20)
        assert answer.url == f"{base}/admin/" and "Site administration" in answer.read().decode()

    def test_static_files_come_from_apache(self, server):
        assert server.get("/static/admin/css/base.css").status == 200

    def test_nothing_but_the_script_is_granted(self, server):
        assert server.get("/static/../mysite/settings.py").status in (400, 403, 404)

    def test_a_page_that_is_not_there_is_djangos_404(self, server):
        answer = server.get("/nowhere/")
        assert answer.status == 404 and b"Not Found" in answer.body
        server.log.declare("wsgi:error.*Not Found: /nowhere/")

    def test_a_failing_view_is_a_500_with_its_traceback_in_the_log(self, server):
        assert server.get("/fail/").status == 500
        # Without DEBUG Django mails tracebacks to ADMINS; its default logging tells the console only with DEBUG.
        server.log.declare("wsgi:error")
        assert server.get("/hello/").status == 200
