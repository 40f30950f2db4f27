"""The life of the Debian package: installed by apt on a clean Debian, upgraded, disabled, removed and purged."""

import re

import pytest
from conftest import NAME, OURS

CONF = "/etc/apache2/mods-available"
ENABLED = "/etc/apache2/mods-enabled/wsgi.load"
# State of a2enmod's record of who switched what.
STATE = "/var/lib/apache2/module"

APPLICATION = '''
import os, sys
import mod_wsgi

def application(environ, start_response):
    body = "%s|%s|%s|VERSION" % (mod_wsgi.process_group, environ["SCRIPT_NAME"], os.getuid())
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body.encode()]
'''

# What people have today, in both modes.
SITE = """
WSGIDaemonProcess site user=games group=games processes=2 threads=5 display-name=%{GROUP}
WSGIScriptAlias /embedded /srv/site/app.wsgi
WSGIScriptAlias /daemon /srv/site/app.wsgi process-group=site application-group=%{GLOBAL}
<Directory /srv/site>
    Require all granted
</Directory>
"""


def add_site(debian, version="one"):
    """Put the application into place; Apache has to reload then."""
    debian.put("/srv/site/app.wsgi", APPLICATION.replace("VERSION", version))
    debian.put("/etc/apache2/conf-available/site.conf", SITE)
    debian.run("a2enconf -q site")


def remove_site(debian):
    """Take the application out of the configuration."""
    debian.run("a2disconf -q site")


def uid(debian, user):
    """Return a user's number."""
    return debian.run(f"id -u {user}").strip()


def answers(debian, version="one"):
    """Check that both modes serve the application, each as the user it should."""
    embedded, daemon = debian.get("/embedded"), debian.get("/daemon")
    assert (embedded.status, embedded.body) == (200, f"|/embedded|{uid(debian, 'www-data')}|{version}")
    assert (daemon.status, daemon.body) == (200, f"site|/daemon|{uid(debian, 'games')}|{version}")


def loaded(debian):
    """Tell whether the running Apache has the module, once its configuration and its memory agree."""
    configured = "wsgi_module" in debian.run("apache2ctl -M 2>/dev/null")
    mapped = "grep -q modules/mod_wsgi.so /proc/$(cat /var/run/apache2/apache2.pid)/maps"
    debian.wait(mapped if configured else f"! {mapped}")
    return configured


def error_log(debian):
    """Return what Apache logged at `warn` or worse."""
    return [line for line in debian.run("cat /var/log/apache2/error.log").splitlines() if re.search(r":(warn|error|crit|alert|emerg)\]", line)]


def test_installation_enables_the_module_and_restarts_apache(debian, package):
    assert not loaded(debian)
    debian.apt("install", package)
    assert debian.exists(ENABLED)
    assert loaded(debian)
    assert debian.get("/").status == 200


def test_an_installed_package_serves_an_application_in_both_modes(debian, package):
    debian.apt("install", package)
    add_site(debian)
    debian.run("apache2ctl configtest && apache2ctl graceful")
    answers(debian)
    assert error_log(debian) == []


def test_a_changed_application_is_served_after_a_graceful_restart(debian, package):
    debian.apt("install", package)
    add_site(debian)
    debian.run("apache2ctl graceful")
    answers(debian)
    add_site(debian, "two")
    debian.run("apache2ctl graceful")
    answers(debian, "two")
    debian.run("apache2ctl restart")
    answers(debian, "two")
    debian.run("apache2ctl stop")
    # The brackets keep the shell that runs this from finding itself.
    debian.wait("! pgrep --full '[w]sgi:site'")


def test_the_module_stays_disabled_when_the_administrator_disabled_it(debian, package):
    debian.apt("install", package)
    debian.run("a2dismod -q wsgi && service apache2 restart")
    assert not loaded(debian)
    debian.apt("reinstall", package)
    assert not debian.exists(ENABLED)
    assert not loaded(debian)
    debian.run("a2enmod -q wsgi && apache2ctl graceful")
    assert loaded(debian)


def test_an_edited_conffile_survives_a_reinstallation(debian, package):
    debian.apt("install", package)
    debian.run(f"echo '# ours' >> {CONF}/wsgi.conf")
    debian.apt("reinstall", package)
    assert "# ours" in debian.run(f"cat {CONF}/wsgi.conf")


def test_removal_disables_the_module_and_a_new_installation_enables_it_again(debian, package):
    debian.apt("install", package)
    debian.apt("remove", NAME)
    assert not debian.exists(ENABLED)
    assert not debian.exists("/usr/lib/apache2/modules/mod_wsgi.so")
    assert debian.exists(f"{CONF}/wsgi.conf")
    assert not loaded(debian)
    assert debian.get("/").status == 200
    debian.apt("install", package)
    assert debian.exists(ENABLED)


def test_purging_leaves_nothing(debian, package):
    before = set(debian.run("find / -xdev -path /proc -prune -o -name '*wsgi*' -print").splitlines())
    debian.apt("install", package)
    add_site(debian)
    debian.run("apache2ctl graceful")
    answers(debian)
    remove_site(debian)
    debian.apt("purge", NAME)
    debian.run("rm -r /srv/site /etc/apache2/conf-available/site.conf")
    after = set(debian.run("find / -xdev -path /proc -prune -o -name '*wsgi*' -print").splitlines())
    kept = {path for path in after - before if not path.startswith(("/opt/", "/var/cache/apt/"))}
    assert kept == set()
    assert debian.run(f"find {STATE} -name wsgi") == ""


@pytest.mark.skipif(not OURS, reason="is about our package")
def test_it_takes_the_place_of_the_distributions_package_under_the_same_configuration(debian, package):
    debian.apt("install", NAME)
    add_site(debian)
    debian.run("apache2ctl graceful")
    answers(debian)
    version = debian.run(f"dpkg-query -W -f '${{Version}}' {NAME}")
    debian.apt("install", package)
    assert debian.run(f"dpkg-query -W -f '${{Version}}' {NAME}") != version
    # The package itself has restarted Apache.
    answers(debian)
    assert debian.exists(ENABLED)
    assert debian.run(f"dpkg --verify {NAME}") == ""
    left = debian.run("ls /usr/lib/apache2/modules | grep mod_wsgi").split()
    assert left == ["mod_wsgi.so"]
    assert [line for line in error_log(debian) if "wsgi" in line.lower()] == []
    # And back.
    debian.run(f"apt-get -qq -y --download-only --allow-downgrades install {NAME}={version}", online=True)
    debian.run(f"apt-get -qq -y --allow-downgrades install {NAME}={version}")
    answers(debian)


@pytest.mark.skipif(not OURS, reason="is about our package")
def test_a_removed_distributions_package_leaves_the_way_free(debian, package):
    debian.apt("install", NAME)
    debian.apt("remove", NAME)
    debian.apt("install", package)
    assert loaded(debian)


def test_a_broken_configuration_does_not_stop_the_running_apache(debian, package):
    debian.put("/etc/apache2/conf-enabled/broken.conf", "NoSuchDirective on\n")
    debian.apt("install", package)
    assert debian.get("/").status == 200


def daemons(debian):
    """Return the numbers of the daemon processes."""
    return set(debian.run("pgrep --full '[w]sgi:site' || true").split())


@pytest.mark.skipif(not OURS, reason="the distribution's own waits for its next version")
def test_a_change_of_the_default_python_lets_new_processes_load_it(debian, package):
    debian.apt("install", package)
    add_site(debian)
    debian.run("apache2ctl graceful")
    answers(debian)
    parent, before = debian.run("cat /var/run/apache2/apache2.pid"), daemons(debian)
    assert len(before) == 2
    # The link /usr/bin/python3 is in it.
    debian.apt("reinstall", "python3-minimal")
    debian.wait(f"! kill -0 {' '.join(before)} 2>/dev/null")
    answers(debian)
    assert len(daemons(debian)) == 2 and daemons(debian).isdisjoint(before)
    # A reload, which loses no request, not a restart.
    assert debian.run("cat /var/run/apache2/apache2.pid") == parent
    assert error_log(debian) == []


@pytest.mark.skipif(not OURS, reason="the distribution's own waits for its next version")
def test_a_change_of_the_default_python_leaves_a_broken_configuration_and_a_disabled_module_alone(debian, package):
    debian.apt("install", package)
    debian.put("/etc/apache2/conf-enabled/broken.conf", "NoSuchDirective on\n")
    said = debian.apt("reinstall", "python3-minimal")
    assert "Your configuration is broken" in said
    assert debian.get("/").status == 200
    debian.run("rm /etc/apache2/conf-enabled/broken.conf && a2dismod -q wsgi && service apache2 restart")
    resumed = "grep -c 'resuming normal operations' /var/log/apache2/error.log"
    before = debian.run(resumed)
    debian.apt("reinstall", "python3-minimal")
    assert debian.run(resumed) == before
    assert not loaded(debian)
    assert debian.run("dpkg --audit") == ""
