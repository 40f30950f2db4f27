"""WSGIDaemonProcess: what its options make of a daemon process."""

import json
import os
import pwd
import threading

import pytest

from harness import interpreters, processes, under_test

APPLICATION = """
    import json
    import locale
    import os
    import sys
    import time

    def application(environ, start_response):
        if environ["PATH_INFO"] == "/slow":
            time.sleep(0.5)
        mask = os.umask(0)
        os.umask(mask)
        start_response("200 OK", [("Content-Type", "application/json")])
        return [json.dumps({
            "pid": os.getpid(), "uid": os.getuid(), "gid": os.getgid(), "euid": os.geteuid(), "groups": os.getgroups(),
            "cwd": os.getcwd(), "umask": mask, "path": sys.path, "prefix": sys.prefix, "argv": sys.argv,
            "LANG": os.environ.get("LANG"), "LC_ALL": os.environ.get("LC_ALL"), "HOME": os.environ.get("HOME"),
            "locale": locale.setlocale(locale.LC_CTYPE), "version": sys.version_info[:2],
            "multithread": environ["wsgi.multithread"], "multiprocess": environ["wsgi.multiprocess"],
            "process group": environ["mod_wsgi.process_group"],
        }).encode()]
"""


class DaemonClass:
    """Only daemon mode; `group` is one WSGIDaemonProcess at a path of its name."""

    modes = ("daemon",)

    @staticmethod
    def group(site, name, options=""):
        site.write("app.wsgi", APPLICATION)
        site.add(f"""
            WSGIDaemonProcess {name} {options}
            WSGIScriptAlias /{name} {site.path('app.wsgi')} process-group={name} application-group=%{{GLOBAL}}
        """)

    @staticmethod
    def ask(server, path):
        answer = server.get(path)
        assert answer.status == 200, answer
        return json.loads(answer.body)


class TestProcessesAndThreads(DaemonClass):
    @classmethod
    def configure(cls, site):
        if site.mpm == "prefork":  # a child for each of the requests that are sent at once
            site.mpm_sizes = "StartServers 10\nMinSpareServers 8\nMaxSpareServers 10\nServerLimit 16\nMaxRequestWorkers 16"
        cls.group(site, "usual")
        cls.group(site, "several", "processes=2 threads=3")
        cls.group(site, "single", "processes=1 threads=1")

    def in_parallel(self, server, path, number):
        results = []
        threads = [threading.Thread(target=lambda: results.append(self.ask(server, path))) for _ in range(number)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return results

    def test_flags_follow_the_numbers(self, server):
        def flags(group):
            seen = self.ask(server, group)
            return seen["multithread"], seen["multiprocess"]
        assert flags("/usual") == (True, False)
        assert flags("/several") == (True, True)
        assert flags("/single") == (False, True)

    def test_two_processes_with_three_threads_serve_six_requests_at_once(self, server):
        results = self.in_parallel(server, "/several/slow", 8)
        assert len(results) == 8
        assert len({one["pid"] for one in results}) == 2

    def test_one_thread_serves_one_request_after_the_other(self, server):
        assert len({one["pid"] for one in self.in_parallel(server, "/single/slow", 3)}) == 1


class TestProcessState(DaemonClass):
    @classmethod
    def configure(cls, site):
        cls.group(site, "plain")
        cls.group(site, "home", f"home={site.root}/app")
        cls.group(site, "umask", "umask=0027")
        cls.group(site, "titled", "display-name=%{GROUP}")
        cls.group(site, "named", "display-name=my-own-name")
        cls.group(site, "language", "lang='C.UTF-8' locale='C.UTF-8'")
        cls.group(site, "backlog", "listen-backlog=10")

    def test_home_is_the_working_directory_and_first_on_the_path(self, server, site):
        seen = self.ask(server, "/home")
        assert (seen["cwd"], seen["path"][0]) == (f"{site.root}/app", f"{site.root}/app")

    def test_umask_is_set(self, server):
        assert self.ask(server, "/umask")["umask"] == 0o027

    def test_display_name_is_the_title_of_the_process(self, server):
        for group, title in (("titled", "(wsgi:titled)"), ("named", "my-own-name")):
            words = processes.command_line(self.ask(server, f"/{group}")["pid"])
            assert words[0].startswith(title), words

    def test_lang_and_locale_are_set(self, server):
        seen = self.ask(server, "/language")
        assert (seen["LANG"], seen["LC_ALL"], seen["locale"]) == ("C.UTF-8", "C.UTF-8", "C.UTF-8")

    def test_listen_backlog_is_accepted(self, server):
        assert self.ask(server, "/backlog")["process group"] == "backlog"

    def test_the_user_is_that_of_apache_unless_told_otherwise(self, server, site):
        assert self.ask(server, "/plain")["uid"] == pwd.getpwnam(site.apache_user).pw_uid

    def test_the_path_holds_nothing_of_mod_wsgi_itself(self, server, site):
        # A folder with mod_wsgi.so in it would make `import mod_wsgi` find Apache's module.
        path = self.ask(server, "/plain")["path"]
        assert "" not in path and str(site.module.parent) not in path, path

    def test_argv_names_mod_wsgi(self, server):
        assert self.ask(server, "/plain")["argv"] == ["mod_wsgi"]


@pytest.mark.root_only("only Apache started by root can change the user")
class TestUser(DaemonClass):
    other = pwd.getpwnam("daemon")  # a user whose home exists: without home= the process starts in it

    @classmethod
    def configure(cls, site):
        cls.group(site, "user", "user=daemon")
        cls.group(site, "both", f"user=daemon group=#{cls.other.pw_gid}")
        cls.group(site, "numeric", f"user=#{cls.other.pw_uid}")

    def test_the_process_runs_as_the_named_user(self, server):
        seen = self.ask(server, "/user")
        assert (seen["uid"], seen["euid"]) == (self.other.pw_uid, self.other.pw_uid)
        assert processes.status(seen["pid"], "Uid") == [str(self.other.pw_uid)] * 4

    def test_a_number_names_a_user_too(self, server):
        assert self.ask(server, "/numeric")["uid"] == self.other.pw_uid

    def test_the_group_is_that_of_apache_unless_told_otherwise(self, server, site):
        assert self.ask(server, "/user")["gid"] == pwd.getpwnam(site.apache_user).pw_gid
        assert self.ask(server, "/both")["gid"] == self.other.pw_gid

    def test_nothing_of_root_is_left(self, server):
        seen = self.ask(server, "/both")
        assert 0 not in seen["groups"]
        assert int(processes.status(seen["pid"], "CapEff")[0], 16) == 0

    def test_the_working_directory_is_the_home_of_the_user(self, server):
        assert self.ask(server, "/user")["cwd"] == os.path.realpath(self.other.pw_dir)

    def test_home_in_the_environment_is_that_of_the_user(self, server):
        assert self.ask(server, "/user")["HOME"] == self.other.pw_dir


class TestPython(DaemonClass):
    mpms = ("event", "prefork")

    @classmethod
    def configure(cls, site):
        cls.virtualenv = interpreters.virtualenv(interpreters.system())
        site.write("one/only_here.py", "")
        site.write("two/only_there.py", "")
        cls.group(site, "venv", f"python-home={cls.virtualenv}")
        cls.group(site, "path", f"python-path={site.path('one')}:{site.path('two')}")

    def test_python_home_is_the_virtualenv(self, server):
        seen = self.ask(server, "/venv")
        major, minor = seen["version"]
        assert seen["prefix"] == str(self.virtualenv)
        threaded = "t" if interpreters.is_free_threaded(interpreters.system()) else ""
        assert f"{self.virtualenv}/lib/python{major}.{minor}{threaded}/site-packages" in seen["path"]

    def test_python_path_comes_first_in_order(self, server, site):
        assert self.ask(server, "/path")["path"][:2] == [str(site.path("one")), str(site.path("two"))]


class TestMistakes:
    """An option that makes no sense is refused by configtest, which names the file and the line."""

    def refused(self, server, directive):
        server.site.add(directive)
        status, text = server.configtest()
        assert status != 0, text
        return text

    @pytest.mark.parametrize("options", ["colour=red", "threads=-1", "processes=0", "umask=9", "home=relative",
                                         "listen-backlog=-5", "threads"])
    def test_a_bad_option_is_refused_with_file_and_line(self, new_server, options):
        text = self.refused(new_server(), f"WSGIDaemonProcess app {options}")
        assert "Syntax error on line" in text and "httpd.conf" in text
        assert "WSGI" in text or options.partition("=")[0] in text

    def test_more_supplementary_groups_than_the_system_takes_are_refused(self, new_server):
        """The group itself is one of them."""
        most = os.sysconf("SC_NGROUPS_MAX")
        server = new_server()
        server.site.add(f"WSGIDaemonProcess most supplementary-groups={','.join(['#1'] * (most - 1))}")
        assert server.configtest()[0] == 0
        text = self.refused(server, f"WSGIDaemonProcess more supplementary-groups={','.join(['#1'] * most)}")
        assert "Syntax error on line" in text and "supplementary" in text

    def test_a_group_may_not_be_defined_twice(self, new_server):
        text = self.refused(new_server(), "WSGIDaemonProcess app\nWSGIDaemonProcess app")
        assert "Syntax error on line" in text

    @pytest.mark.skipif(os.geteuid() != 0, reason="user= has an effect only when Apache is started by root")
    def test_a_user_that_does_not_exist_is_refused(self, new_server):
        text = self.refused(new_server(), "WSGIDaemonProcess app user=nobody-of-that-name")
        assert "nobody-of-that-name" in text
        if under_test.OURS:  # the C module leaves it to Apache, which names neither file nor line
            assert "Syntax error on line" in text and "httpd.conf" in text
