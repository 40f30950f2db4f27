"""What goes wrong around a group: its socket, its folder, strangers on it, a process that stands still, memory of Apache."""

import contextlib
import os
import pwd
import random
import re
import signal
import socket
import ssl
import struct
import subprocess
import textwrap
import time
import urllib.request
from pathlib import Path

import pytest

from harness import httpd_program, interpreters, processes
from harness.site import AS_ROOT

VERSION = re.search(r'(?m)^version = "(.*)"', (Path(__file__).resolve().parents[2] / "Cargo.toml").read_text()).group(1)

APPLICATION = """
    import os

    def application(environ, start_response):
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [str(os.getpid()).encode()]
"""


def configure(site, options="threads=3"):
    site.write("pid.wsgi", APPLICATION)
    site.serve("pid.wsgi", options=options)


def process_of(server):
    answer = server.get("/")
    assert answer.status == 200, answer
    return int(answer.body)


def socket_file(site):
    (found,) = (site.root / "run").glob("w.*.sock")
    return found


pytestmark = pytest.mark.ours_only("the wire and the socket files are ours")


class TestSocketFile:
    modes = ("daemon",)
    configure = staticmethod(configure)

    def test_a_removed_one_is_told_and_made_anew_by_a_reload(self, server, site):
        process = process_of(server)
        socket_file(site).unlink()
        # Connections that are open go on; the next one cannot be made, which closing all of them shows.
        os.kill(process, signal.SIGTERM)
        processes.wait_until(lambda: server.get("/").status == 503, "a new connection is needed")
        server.log.declare("WSGI0117: .*cannot be reached.*a reload makes one that is gone anew")
        server.graceful()
        processes.wait_until(lambda: server.get("/").status == 200, "it is there again")
        server.log.allow("WSGI0117")


@contextlib.contextmanager
def read_only(folder):
    """Nobody can make a file there meanwhile, nor remove one; for root that needs a mount."""
    if AS_ROOT:
        subprocess.run(["mount", "--bind", folder, folder], check=True)
        subprocess.run(["mount", "-o", "remount,bind,ro", folder], check=True)
    else:
        folder.chmod(0o555)
    try:
        yield
    finally:
        if AS_ROOT:
            subprocess.run(["umount", folder], check=True)
        else:
            folder.chmod(0o755)


class TestFolderThatCannotBeWritten:
    """That of the sockets, since Apache has been started."""

    def start(self, server):
        configure(server.site)
        folder = server.site.root / "sockets"
        folder.mkdir()
        server.site.add(f'WSGISocketPrefix "{folder}/w"')
        server.start()
        return folder, process_of(server)

    def test_a_reload_keeps_the_socket_that_is_there(self, new_server):
        server = new_server()
        folder, before = self.start(server)
        with read_only(folder):
            for _ in range(2):
                server.graceful()
                processes.wait_until(lambda: process_of(server) != before, "the new generation serves")
                before = process_of(server)
        server.stop()
        assert list(folder.iterdir()) == [], "it is removed at the end"

    def test_a_reload_that_cannot_make_it_anew_says_why_and_apache_goes_on(self, new_server):
        server = new_server()
        folder, _ = self.start(server)
        (server.site.root / "www" / "file.txt").write_text("static")
        server.site.add(f"Alias /static {server.site.root}/www")
        (path,) = folder.glob("w.*.sock")
        path.unlink()
        server.log.allow("WSGI0117")
        with read_only(folder):
            server.log.declare("WSGI7052")
            server.graceful()
            said = server.log.expect("WSGI7052: daemon process group 'app': ")
            assert str(path) in said and ("Read-only" if AS_ROOT else "denied") in said
            # The old generation has its connections as long as there is no other one; without one there is 503 at once.
            processes.wait_until(lambda: server.get("/static/file.txt").body == b"static", "the new configuration is served")
            begun = time.monotonic()
            assert server.get("/").status in (200, 503)
            assert time.monotonic() - begun < 3
        server.graceful()
        processes.wait_until(lambda: server.get("/").status == 200, "it is there again")
        assert server.log.text().count("WSGI7052") == 1

    def test_a_group_that_comes_with_a_reload_gets_503_until_another_one_can_make_its_socket(self, new_server):
        server = new_server()
        folder, _ = self.start(server)
        server.site.add("WSGIDaemonProcess late", f"WSGIScriptAlias /late {server.site.path('pid.wsgi')} process-group=late application-group=%{{GLOBAL}}")
        # The first alias that matches counts.
        server.site._directives.insert(0, server.site._directives.pop())
        server.site._directives.insert(0, server.site._directives.pop())
        server.log.allow("WSGI7063: no process of group 'late' runs")
        with read_only(folder):
            server.graceful()
            server.log.expect("WSGI7052: daemon process group 'late': .*requests for it get 503 until a reload can make it")
            processes.wait_until(lambda: server.get("/late").status == 503, "the new configuration is served")
            assert server.get("/").status == 200, "another group is not concerned"
        server.graceful()
        processes.wait_until(lambda: server.get("/late").status == 200, "it is there")


class TestStrangers:
    modes = ("daemon",)
    configure = staticmethod(configure)

    def connect(self, site):
        stranger = socket.socket(socket.AF_UNIX)
        stranger.settimeout(10)
        stranger.connect(str(socket_file(site)))
        return stranger

    def test_garbage_and_silence_cost_nothing(self, server, site):
        before = process_of(server)
        noise = random.Random(7)
        silent = [self.connect(site) for _ in range(10)]
        for _ in range(200):
            with self.connect(site) as stranger:
                try:
                    stranger.sendall(noise.randbytes(noise.randrange(1, 400)))
                    stranger.shutdown(socket.SHUT_WR)
                    while stranger.recv(4096):
                        pass
                except (BrokenPipeError, ConnectionResetError):
                    pass
        server.log.allow("WSGI7018", "WSGI7019")
        assert process_of(server) == before
        for stranger in silent:
            stranger.close()

    @pytest.mark.skipif(not AS_ROOT, reason="needs root: only root can be somebody else")
    def test_another_user_cannot_connect(self, server, site):
        connect = f"import socket; socket.socket(socket.AF_UNIX).connect({str(socket_file(site))!r})"
        denied = subprocess.run(["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "python3", "-c", connect],
                                capture_output=True, text=True, env={"PATH": "/usr/bin:/bin"})
        assert denied.returncode != 0 and "Permission" in denied.stderr

    @pytest.mark.skipif(not AS_ROOT, reason="needs root: only root can be somebody else")
    def test_another_user_whom_the_file_lets_in_gets_no_answer(self, server, site):
        """Rights of files may be wrong: a daemon asks the kernel who connects."""
        before, path = process_of(server), socket_file(site)
        greeting = b"WSGI\x01\x00" + VERSION.encode()
        greeting = struct.pack("<BBHI", 1, 0, 0, len(greeting)) + greeting
        ask = f"""
            import os, socket
            connection = socket.socket(socket.AF_UNIX)
            connection.settimeout(10)
            connection.connect({str(path)!r})
            try:
                connection.sendall({greeting!r})
                answer = connection.recv(4096)
            except (BrokenPipeError, ConnectionResetError):
                answer = b""
            print(os.getuid(), os.getpid(), answer)
        """
        rights = {place: place.stat().st_mode for place in (path, path.parent, site.root, site.root.parent)}

        def answer(*identity):
            done = subprocess.run([*identity, "python3", "-c", textwrap.dedent(ask)], capture_output=True, text=True,
                                  env={"PATH": "/usr/bin:/bin"}, timeout=20)
            assert done.returncode == 0, done.stderr
            return done.stdout.split(maxsplit=2)
        try:
            for place in rights:
                place.chmod(0o777)
            user, process, said = answer("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups")
            assert (user, said.strip()) == ("65534", "b''")
            server.log.expect(f"WSGI7017: a connection of user 65534 .process {process}., who is not Apache's user, was closed")
            assert "WSGI7019: " in answer()[2], "root is told that its release is another one"
            server.log.expect("WSGI7019")
        finally:
            for place, mode in rights.items():
                place.chmod(mode & 0o7777)
        assert process_of(server) == before
        assert sum("WSGI7017" in line for line in server.log.lines()) == 1


class TestStoppedProcess:
    modes = ("daemon",)

    @staticmethod
    def configure(site):
        configure(site, "threads=3 socket-timeout=2")

    def test_requests_to_it_get_504_and_it_serves_when_it_goes_on(self, server, site):
        stopped = process_of(server)
        os.kill(stopped, signal.SIGSTOP)
        try:
            processes.wait_until(lambda: processes.status(stopped, "State")[0] == "T", "all its threads stand still")
            begun = time.monotonic()
            assert server.get("/").status == 504
            assert time.monotonic() - begun < 6
            server.log.declare("WSGI0145")
        finally:
            os.kill(stopped, signal.SIGCONT)
        assert process_of(server) == stopped


class TestGroupThatCannotStart:
    @pytest.mark.parametrize("broken", ["missing", "empty"])
    def test_clients_are_told_at_once_and_it_serves_without_a_restart_when_it_is_mended(self, new_server, broken):
        server = new_server()
        home = server.site.root / "home"
        if broken == "empty":
            home.mkdir()
        script = server.site.path("pid.wsgi")
        server.site.add("WSGIDaemonProcess sound",
                        f"WSGIScriptAlias /sound {script} process-group=sound application-group=%{{GLOBAL}}")
        configure(server.site, f"python-home={home}")
        server.log.allow("WSGI7063: no process of group 'app' runs")
        server.start()
        said = server.log.expect("daemon process group 'app': .*requests for it get 503, and the start is tried again in 2 seconds")
        assert str(home) in said
        for _ in range(5):
            begun = time.monotonic()
            answer = server.get("/")
            assert time.monotonic() - begun < 1
            assert answer.status == 503 and int(answer.headers["Retry-After"]) > 0
            assert server.get("/sound").status == 200, "another group is not concerned"
        if broken == "empty":
            home.rmdir()
        home.symlink_to(interpreters.virtualenv(interpreters.system()))
        processes.wait_until(lambda: server.get("/").status == 200, "the group serves after the time it waits", 20)
        assert server.log.text().count("resuming normal operations") == 1
        said = [line for line in server.log.lines() if "daemon process group 'app': " in line and "tried again" in line]
        assert len(said) == 1, said


    @pytest.mark.root_only("only root starts processes of other users")
    def test_a_home_folder_that_is_not_there_is_named_with_the_user(self, new_server):
        server = new_server()
        home = pwd.getpwnam("nobody").pw_dir
        if os.path.exists(home):
            pytest.skip(f"nobody has a home folder here, {home}")
        configure(server.site, "user=nobody")
        server.log.allow("WSGI7063: no process of group 'app' runs")
        server.start()
        said = server.log.expect("WSGI0009: daemon process group 'app': .*requests for it get 503")
        assert f"'{home}'" in said and "nobody" in said and "set home=" in said
        assert server.get("/").status == 503


class TestProcessThatDiesAtItsStart:
    def test_it_is_tried_after_2_4_and_8_seconds_and_clients_are_told_at_once_meanwhile(self, new_server):
        server = new_server()
        program = server.site.root / "home" / "bin" / "python3"
        program.parent.mkdir(parents=True)
        program.write_text("#!/bin/sh\nsleep 0.3\nexit 42\n")
        program.chmod(0o755)
        configure(server.site, f"python-home={program.parents[1]}")
        server.log.allow("WSGI7063: no process of group 'app' runs", "WSGI7056: .* ended before it was ready: exit status 42")
        server.start()

        def times(what):
            """When lines with these words were logged, in seconds of the day."""
            stamps = (line.split("]")[0].split()[3] for line in server.log.lines() if what in line)
            return [sum(float(part) * unit for part, unit in zip(stamp.split(":"), (3600, 60, 1))) for stamp in stamps]
        asked, waited, answers = time.monotonic(), [], []
        while len(times("ended before it was ready")) < 4:
            begun = time.monotonic()
            answers.append(server.get("/"))
            waited.append(time.monotonic() - begun)
            assert begun < asked + 30, server.log.text()
            time.sleep(0.05)
        assert {answer.status for answer in answers} == {503} and len(answers) > 100
        assert all(answer.headers["Retry-After"] == "10" for answer in answers)
        # One that comes while a process is just being tried waits for what becomes of it, and looks every second.
        assert len([seconds for seconds in waited if seconds > 0.5]) <= 4 and max(waited) < 2.5, sorted(waited)[-6:]
        said = [line for line in server.log.lines() if "ended before it was ready" in line]
        assert [re.search(r"the start is tried again in (\d+) seconds, later every 30$", line)[1] for line in said] == ["2", "4", "8", "16"]
        starts, ends = times("is starting with"), times("ended before it was ready")
        waits = [(start - end) % 86400 for start, end in zip(starts[1:], ends)]
        assert len(starts) == 4 and waits == [pytest.approx(wanted + 0.5, abs=1) for wanted in (2, 4, 8)], waits
        assert min(wait - wanted for wait, wanted in zip(waits, (2, 4, 8))) >= -0.01, "not before its time"


class TestRights:
    modes = ("daemon",)

    @staticmethod
    def configure(site):
        script = site.write("pid.wsgi", APPLICATION)
        site.add("WSGIDaemonProcess locked", "WSGIDaemonProcess open no-new-privileges=Off")
        for group in ("locked", "open"):
            site.add(f"WSGIScriptAlias /{group} {script} process-group={group} application-group=%{{GLOBAL}}")

    def status(self, server, path, field):
        return processes.status(int(server.get(path).body), field)[0]

    def test_a_process_cannot_gain_rights_unless_its_group_may(self, server):
        assert self.status(server, "/locked", "NoNewPrivs") == "1"
        assert self.status(server, "/open", "NoNewPrivs") == "0"
        for kind in ("CapEff", "CapPrm", "CapInh", "CapAmb"):
            assert int(self.status(server, "/locked", kind), 16) == 0

    @pytest.mark.skipif(not AS_ROOT, reason="needs root: only root has capabilities to give up")
    def test_its_bounding_set_is_empty(self, server):
        assert int(self.status(server, "/locked", "CapBnd"), 16) == 0
        assert int(self.status(server, "/open", "CapBnd"), 16) != 0


@pytest.mark.skipif(not AS_ROOT, reason="needs root: only root reads the memory of Apache")
class TestSecrets:
    """What Apache alone must know: the key of its certificate, and what stands in its configuration."""

    modes = ("daemon",)

    @staticmethod
    def configure(site):
        configure(site)
        key, certificate = site.root / "key.pem", site.root / "certificate.pem"
        subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", certificate, "-days", "1",
                        "-subj", "/CN=localhost"], check=True, capture_output=True)
        key.chmod(0o600)
        site.add(httpd_program.load_modules("socache_shmcb", "ssl"), "SSLEngine On", f"SSLCertificateFile {certificate}",
                 f"SSLCertificateKeyFile {key}", "SetEnv KEPT_FROM_DAEMONS word-of-the-configuration-7261")

    @staticmethod
    def forms_of_the_key(site):
        """Its secret numbers, with the last byte first as they stand in memory and with the first one as in a file, and its text."""
        key = site.root / "key.pem"
        told = subprocess.run(["openssl", "rsa", "-in", key, "-noout", "-text"], check=True, capture_output=True, text=True).stdout
        forms = {}
        for name in ("privateExponent", "prime1", "prime2", "exponent1", "exponent2", "coefficient"):
            digits = re.search(rf"^{name}:\n((?: +[0-9a-f:]+\n)+)", told, re.M)[1]
            number = bytes.fromhex("".join(digits.split()).replace(":", "")).lstrip(b"\0")
            assert len(number) > 100
            # A part will do: it is no matter in how many pieces a number lies.
            forms |= {f"{name} in memory": number[::-1][8:72], f"{name} in a file": number[-72:-8]}
        text = key.read_bytes().splitlines()
        return forms | {f"line {at} of the file": text[at] for at in (1, len(text) // 2, len(text) - 3)}

    def test_a_daemon_holds_neither_key_nor_configuration(self, server, site):
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        process = int(urllib.request.urlopen(f"https://127.0.0.1:{site.port}/", context=context, timeout=20).read())
        forms, word = self.forms_of_the_key(site), b"word-of-the-configuration-" + b"7261"

        def held(pid):
            return {name for name, there in zip(forms, processes.holds(pid, *forms.values())) if there}
        assert {"prime1 in memory", "prime2 in memory"} <= held(server.pid), "the search finds what is there"
        assert processes.holds(server.pid, word) == [True]
        assert held(process) == set()
        # The word travels in the environ of the request, so it may not be asked for; the name of the directive may.
        assert processes.holds(process, b"SSLCertificateKeyFile") == [False]


@pytest.mark.skipif(not AS_ROOT, reason="needs root: only root mounts a small file system")
class TestFullFileSystem:
    """A folder with room for one more file, and then none."""

    @staticmethod
    def mounted(site, options):
        folder = site.root / "small"
        folder.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"mode=0755,{options}", "tmpfs", folder], check=True)
        return folder

    def test_a_socket_that_has_no_room_keeps_apache_from_starting_and_says_so(self, new_server):
        server = new_server()
        folder = self.mounted(server.site, "size=64k,nr_inodes=1")
        try:
            configure(server.site)
            server.site.add(f'WSGISocketPrefix "{folder}/w"')
            server.log.allow("WSGI7052", "AH00020", "emerg", "alert", "crit")
            with pytest.raises(AssertionError) as refused:
                server.start()
            assert "WSGI7052" in str(refused.value) and "No space left" in str(refused.value) and "has it room" in str(refused.value)
        finally:
            subprocess.run(["umount", folder], check=True)

    def test_a_full_log_stops_no_request(self, new_server):
        server = new_server()
        folder = self.mounted(server.site, "size=256k")
        try:
            server.site.write("log.wsgi", """
                import sys
                def application(environ, start_response):
                    print("x" * 4000, file=sys.stderr)
                    start_response("200 OK", [])
                    return [b"ok"]
            """)
            server.site.serve("log.wsgi")
            server.site.add(f'<VirtualHost *:{server.site.port}>\nErrorLog "{folder}/error.log"\n</VirtualHost>')
            server.start()
            assert [server.get("/").body for _ in range(150)] == [b"ok"] * 150
            assert folder.joinpath("error.log").stat().st_size > 200_000
        finally:
            server.stop()
            subprocess.run(["umount", folder], check=True)


class TestStop:
    def test_stop_gives_requests_the_time_of_shutdown_timeout(self, new_server):
        """httpd ends its children, and with them the connections; what an application does it still finishes."""
        server = new_server()
        server.site.write("work.wsgi", """
            import os
            import time
            def application(environ, start_response):
                place = os.path.join(os.path.dirname(__file__), "done")
                open(place, "w").write("begun")
                time.sleep(5)
                open(place, "w").write("finished")
                start_response("200 OK", [])
                return [b"ok"]
        """)
        (server.site.path("")).chmod(0o777)
        server.site.serve("work.wsgi", options="shutdown-timeout=15")
        server.start()
        done = server.site.path("done")
        with server.connect() as connection:
            connection.sendall(b"GET / HTTP/1.0\r\n\r\n")
            processes.wait_until(lambda: done.exists() and done.read_text() == "begun", "the request runs")
            server.log.allow("AH0004[56]")  # httpd has to end the child that waits for the answer
            assert 3.5 < server.stop() < 15, "APR would have waited for three seconds"
        assert done.read_text() == "finished"
