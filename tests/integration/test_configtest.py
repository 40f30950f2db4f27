"""`apachectl configtest` warns of what would fail at the first request; the C module lets it through to the client."""

import pytest

from harness import interpreters
from harness.site import APACHE_USER

HELLO = """
    def application(environ, start_response):
        start_response("200 OK", [])
        return [b"hello"]
"""
WHY = "the C module does not look"


class Configuration:
    """A site whose configuration is only looked at."""

    def __init__(self, server):
        self.server = server

    def __call__(self) -> str:
        """Runs configtest, which has to accept the configuration, and returns its warnings."""
        status, text = self.server.configtest()
        assert status == 0 and "Syntax OK" in text, text
        return text.replace("Syntax OK", "").strip()


@pytest.fixture
def warnings(new_server):
    server = new_server("event", "daemon")
    server.site.write("hello.wsgi", HELLO)
    return Configuration(server)


@pytest.fixture
def site(warnings):
    return warnings.server.site


@pytest.mark.ours_only(WHY)
class TestConfigtest:
    def test_a_good_configuration_has_no_warning(self, site, warnings):
        site.serve("hello.wsgi")
        assert warnings() == ""

    def test_slow_requests_without_a_service_to_report_to_are_named(self, site, warnings):
        site.serve("hello.wsgi")
        site.add("WSGISlowRequests 2")
        assert "WSGI7069" in (text := warnings()) and "WSGITelemetryService" in text
        site.add(f"WSGITelemetryService unix:{site.root}/socket")
        assert warnings() == ""

    def test_a_group_that_exists_nowhere_is_named(self, site, warnings):
        site.add("WSGIProcessGroup nowhere", f"WSGIScriptAlias / {site.path('hello.wsgi')}")
        assert "WSGI0151" in (text := warnings()) and "'nowhere'" in text and "WSGIDaemonProcess" in text

    def test_a_group_of_an_alias_that_exists_nowhere_is_named(self, site, warnings):
        site.add("WSGIDaemonProcess here", f"WSGIScriptAlias / {site.path('hello.wsgi')} process-group=nowhere")
        assert "WSGI0151" in (text := warnings()) and "'nowhere'" in text

    def test_a_virtualenv_without_python_is_named(self, site, warnings):
        site.serve("hello.wsgi", options=f"python-home={site.root}/www")
        text = warnings()
        assert str(site.root / "www") in text and "'app'" in text and "WSGI7" in text

    def test_a_virtualenv_that_does_not_exist_is_named(self, site, warnings):
        site.serve("hello.wsgi", options=f"python-home={site.root}/no-such-venv")
        assert "no-such-venv" in (text := warnings()) and "'app'" in text

    def test_a_script_that_does_not_exist_is_named(self, site, warnings):
        site.serve("nowhere.wsgi")
        assert "WSGI0135" in (text := warnings()) and "nowhere.wsgi" in text

    @pytest.mark.root_only("only root can make a file that the group's user cannot read")
    def test_a_script_that_the_groups_user_cannot_read_is_named_with_the_user(self, site, warnings):
        site.write("secret.wsgi", HELLO, mode=0o600)
        site.serve("secret.wsgi")
        text = warnings()
        assert "WSGI0105" in text and "secret.wsgi" in text and APACHE_USER in text

    @pytest.mark.root_only("only root can make a folder that the group's user cannot enter")
    def test_the_first_folder_that_refuses_is_named(self, site, warnings):
        site.write("private/deep/hello.wsgi", HELLO)
        site.path("private").chmod(0o700)
        site.serve("private/deep/hello.wsgi", options="user=nobody")
        text = warnings()
        assert "WSGI0105" in text and f"'{site.path('private')}'" in text and "nobody" in text

    @pytest.mark.root_only("only root can make a virtualenv that the group's user cannot enter")
    def test_a_virtualenv_that_the_groups_user_cannot_enter_is_named(self, site, warnings):
        secret = site.root / "secret"
        secret.mkdir(mode=0o700)
        interpreters.run(interpreters.system(), "-m", "venv", "--without-pip", secret / "venv")
        site.serve("hello.wsgi", options=f"python-home={secret}/venv")
        text = warnings()
        assert f"'{secret}'" in text and APACHE_USER in text
