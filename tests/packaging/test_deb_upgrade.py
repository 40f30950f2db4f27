"""The Debian package in the place of the distribution's own: upgrade, downgrade, and what else is installed."""

import os
import subprocess
from pathlib import Path

import pytest
from conftest import NAME, OURS
from test_deb_life_cycle import CONF, ENABLED, add_site, answers, error_log, loaded

# What administrators say to dpkg who keep their files.
KEEP = "-o Dpkg::Options::=--force-confold"
DJANGO = """
import os, sys
sys.path.insert(0, "/srv/django")
os.environ["DJANGO_SETTINGS_MODULE"] = "settings"
from django.core.wsgi import get_wsgi_application
application = get_wsgi_application()
"""
SETTINGS = """
SECRET_KEY = "test"
ALLOWED_HOSTS = ["*"]
ROOT_URLCONF = "urls"
DATABASES = {}
"""
URLS = """
from django.http import HttpResponse
from django.urls import path

def hello(request):
    return HttpResponse("Django for %s at %s" % (request.GET.get("name"), request.path))

urlpatterns = [path("hello", hello)]
"""
DJANGO_SITE = """
WSGIDaemonProcess django user=games group=games processes=2 threads=5 python-path=/srv/django
WSGIScriptAlias /django /srv/django/wsgi.py process-group=django application-group=%{GLOBAL}
<Directory /srv/django>
    Require all granted
</Directory>
"""

pytestmark = pytest.mark.skipif(not OURS, reason="is about our package")


def version_of(debian):
    """Return the version that is installed."""
    return debian.run(f"dpkg-query -W -f '${{Version}}' {NAME}")


def install(debian, package, options=KEEP):
    """Install, keeping edited configuration files."""
    debian.run(f"apt-get -qq -y --download-only --allow-downgrades install {package}", online=True)
    return debian.run(f"apt-get -qq -y {options} --allow-downgrades install {package}")


def test_a_django_site_and_edited_files_survive_the_upgrade_and_the_downgrade(debian, package):
    debian.apt("install", NAME, "python3-django")
    theirs = version_of(debian)
    for path, text in {"wsgi.py": DJANGO, "settings.py": SETTINGS, "urls.py": URLS}.items():
        debian.put(f"/srv/django/{path}", text)
    debian.put("/etc/apache2/conf-available/django.conf", DJANGO_SITE)
    debian.run("a2enconf -q django")
    # Edited as people do: a directive for the whole server, and the path of the module spelled otherwise.
    debian.run(f"sed -i 's|^</IfModule>|    WSGIPythonOptimize 1\\n</IfModule>|' {CONF}/wsgi.conf")
    debian.run(f"sed -i 's|/usr/lib/apache2/modules|/usr/lib/apache2//modules|' {CONF}/wsgi.load")
    debian.run("apache2ctl graceful")

    def serves():
        debian.wait("python3 -c 'import urllib.request; urllib.request.urlopen(\"http://127.0.0.1/django/hello\")' 2>/dev/null")
        answer = debian.get("/django/hello?name=us")
        assert (answer.status, answer.body) == (200, "Django for us at /django/hello")

    serves()
    for wanted in (package, f"{NAME}={theirs}", package):
        install(debian, wanted)
        assert (version_of(debian) == theirs) == (wanted != package)
        assert "WSGIPythonOptimize 1" in debian.run(f"cat {CONF}/wsgi.conf")
        assert "apache2//modules" in debian.run(f"cat {CONF}/wsgi.load")
        serves()
    changed = debian.run(f"dpkg --verify {NAME}", check=False)
    assert {line.split()[-1] for line in changed.splitlines()} == {f"{CONF}/wsgi.conf", f"{CONF}/wsgi.load"}
    assert [line for line in error_log(debian) if "wsgi" in line.lower()] == []


def test_a_module_that_the_administrator_disabled_stays_disabled_over_the_upgrade(debian, package):
    debian.apt("install", NAME)
    debian.run("a2dismod -q wsgi && service apache2 restart")
    install(debian, package)
    assert not debian.exists(ENABLED)
    assert not loaded(debian)
    install(debian, f"{NAME}={debian.run(f'apt-cache madison {NAME}').split('|')[1].strip()}")
    assert not debian.exists(ENABLED)


def test_unattended_upgrades_keep_ours(debian, package):
    debian.apt("install", package)
    assert "0 upgraded, 0 newly installed" in debian.run("apt-get -s dist-upgrade")
    assert NAME not in debian.run("apt-get -s dist-upgrade | grep ^Inst || true")


def other_python(default):
    """Return the prefix of a CPython of this machine that has a host and is not the default of the one inside, or None."""
    for prefix in sorted(Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")).glob("versions/3.*"), reverse=True):
        asked = subprocess.run([prefix / "bin/python3", "-c", "import sys; print('%d.%d' % sys.version_info[:2])"], capture_output=True, text=True)
        if asked.returncode == 0 and asked.stdout.strip() != default and (3, 10) <= tuple(map(int, asked.stdout.split("."))) <= (3, 14):
            return prefix
    return None


def test_a_virtual_environment_of_another_python_is_served_beside_the_default(debian, package):
    default = debian.run("python3 -c 'import sys; print(\"%d.%d\" % sys.version_info[:2])'").strip()
    prefix = other_python(default)
    if not prefix:
        pytest.skip(f"needs a CPython of another version than {default} in pyenv, to copy into the machine")
    where = f"/proc/{debian.first}/root{debian.root}/opt/python"
    # Without its tests it is small.
    subprocess.run(["cp", "-a", prefix, where], check=True)
    debian.run("rm -rf /opt/python/lib/python3*/test && chmod -R a+rX /opt/python")
    # Its programs look for the library where it was built.
    debian.run("echo /opt/python/lib >/etc/ld.so.conf.d/python.conf && ldconfig")
    debian.run("/opt/python/bin/python3 -m venv --without-pip /srv/venv")
    debian.apt("install", package)
    add_site(debian)
    debian.put("/srv/site/version.wsgi", '''
import sys

def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [f"{sys.version_info[0]}.{sys.version_info[1]} {sys.prefix}".encode()]
''')
    debian.put("/etc/apache2/conf-available/virtual.conf", """
WSGIDaemonProcess other user=games group=games python-home=/srv/venv
WSGIScriptAlias /other /srv/site/version.wsgi process-group=other application-group=%{GLOBAL}
WSGIScriptAlias /default /srv/site/version.wsgi process-group=site application-group=%{GLOBAL}
""")
    debian.run("a2enconf -q virtual && apache2ctl configtest && apache2ctl graceful")
    answers(debian)
    other = debian.run("/srv/venv/bin/python3 -c 'import sys; print(\"%d.%d\" % sys.version_info[:2])'").strip()
    assert debian.get("/other").body == f"{other} /srv/venv"
    assert debian.get("/default").body == f"{default} /usr"
    assert other != default


@pytest.mark.parametrize("name", ["embedded", "daemon"])
def test_the_tests_of_the_source_package_pass(debian, package, name):
    debian.apt("install", package)
    tests = Path(__file__).resolve().parents[2] / "debian/tests"
    subprocess.run(["cp", "-a", tests, f"/proc/{debian.first}/root{debian.root}/opt/tests"], check=True)
    said = debian.run(f"/opt/tests/{name}")
    assert said.splitlines()[-1].startswith(f"{name}: ") or f"\n{name}: " in said, said
    assert not debian.exists(f"/srv/autopkgtest-{name}")
