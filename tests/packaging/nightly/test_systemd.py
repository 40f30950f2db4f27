"""Apache as systemd's service: what an administrator does with systemctl, apt and logrotate, and what units forbid. Run by tests/nightly,
because each test boots a Debian."""

import re
import threading

import machine
import pytest
import systemd_machine
from conftest import NAME, SUITES
from systemd_site import (
    APPLICATION, BAD, Load, add_site, answers, ask, both_run_without, daemons, drop_in, errors, is_well, main_pid, until,
)


@pytest.fixture(scope="session", params=SUITES)
def bootable(request):
    """(folder, suite) of a Debian with systemd and apache2, never changed by a test."""
    if reason := systemd_machine.why_not():
        pytest.skip(reason)
    suite = request.param
    folder = machine.unpack(suite)
    try:
        with machine.Machine(folder, suite, disposable=False) as debian:
            # Nothing starts before systemd does.
            debian.put("/usr/sbin/policy-rc.d", "#!/bin/sh\nexit 101\n", 0o755)
            debian.update()
            systemd_machine.prepare(debian)
            debian.apt("install", "apache2", "python3", "python3-venv", "logrotate")
            debian.run("rm /usr/sbin/policy-rc.d && rm -f /var/log/apache2/*")
        yield folder, suite
    finally:
        machine.discard(folder)


@pytest.fixture
def debian(bootable):
    """A machine of its own for each test, booted, with apache2.service active."""
    with systemd_machine.SystemdMachine(*bootable) as debian:
        assert debian.unit("ActiveState") == "active"
        yield debian


@pytest.fixture
def package(debian, deb):
    """What to give to apt."""
    debian.put_file(deb, f"/opt/{deb.name}")
    return f"/opt/{deb.name}"


@pytest.fixture
def site(debian, package):
    """The package is installed and the site is served."""
    debian.apt("install", package)
    add_site(debian)
    debian.run("systemctl restart apache2")
    return debian


def test_installation_restarts_the_service_which_then_serves_both_modes(debian, package):
    before = main_pid(debian)
    debian.apt("install", package)
    assert main_pid(debian) != before
    is_well(debian)
    add_site(debian)
    debian.run("systemctl reload apache2")
    answers(debian)
    assert len(daemons(debian)) == 2
    is_well(debian)
    assert errors(debian) == []


def test_sockets_are_in_the_run_directory_and_files_in_tmp_are_the_services_own(site):
    assert re.fullmatch(r"(/run/apache2/wsgi\.\S+\n)+", site.run("find / -xdev -type s -name '*wsgi*'; find /run /tmp -type s -name '*wsgi*'"))
    assert site.unit("PrivateTmp") == "yes"
    ask(site, "/daemon/tmp")
    assert ask(site, "/embedded")["tmp"] == ["written"]
    assert not site.exists("/tmp/written")


def test_a_reload_under_load_loses_nothing_and_new_processes_serve(site):
    site.run("systemctl reload apache2")
    before = set(site.processes())
    parent = main_pid(site)
    with Load(site) as load:
        for _ in range(5):
            site.run("systemctl reload apache2; sleep 1")
    assert set(load.answers) == {"200"}, load.answers
    assert load.answers["200"] > 100
    until(lambda: not (before - {parent}) & set(site.processes()), "the processes of before end")
    assert load.pids - before
    assert main_pid(site) == parent
    answers(site)
    is_well(site)
    assert errors(site) == []


def test_a_restart_under_load_ends_every_process_in_time(site):
    before = set(site.processes())
    with Load(site) as load:
        site.run("sleep 1; timeout 20 systemctl restart apache2")
        assert not before & set(site.processes())
    assert load.answers["200"] > 100
    answers(site)
    assert len(daemons(site)) == 2
    is_well(site)


@pytest.mark.parametrize("busy", [False, True], ids=["idle", "busy"])
def test_a_stop_ends_every_process_and_is_no_failure(site, busy):
    if busy:
        site.run("nohup sh -c 'python3 -c \"import urllib.request as u; u.urlopen(\\\"http://127.0.0.1/daemon/long?100\\\")\"' >/dev/null 2>&1 & sleep 1")
    before = set(site.processes())
    # httpd waits ten seconds for a child that is busy, then shutdown-timeout is five.
    took = float(site.run("start=$(date +%s.%N); systemctl stop apache2; echo \"$(date +%s.%N) $start\" | awk '{ print $1 - $2 }'"))
    assert took < (25 if busy else 5)
    assert (site.unit("ActiveState"), site.unit("SubState"), site.unit("Result")) == ("inactive", "dead", "success")
    assert [line for line in site.journal() if BAD.search(line)] == []
    assert site.run(f"for pid in {' '.join(map(str, before))}; do [ ! -e /proc/$pid ] || echo $pid; done") == ""
    assert site.run("find /run/apache2 -type s") == ""
    site.run("systemctl start apache2")
    answers(site)


def test_a_reinstallation_restarts_the_service_and_an_upgrade_does(site, package):
    for action in ("reinstall", "upgrade"):
        parent, before = main_pid(site), set(site.processes())
        if action == "upgrade":
            # As an upgrade from an earlier version of this package.
            site.run("sed -i '/^Package: libapache2-mod-wsgi-py3$/,/^$/s/^Version: .*/Version: 6.9-1/' /var/lib/dpkg/status")
            site.apt("install", package)
        else:
            site.apt("reinstall", package)
        assert main_pid(site) != parent
        assert not before & set(site.processes())
        answers(site)
        is_well(site)
    assert errors(site) == []


def test_a_killed_daemon_is_replaced_within_the_unit(site):
    victim = min(daemons(site))
    site.run(f"kill -KILL {victim}")
    until(lambda: both_run_without(site, victim), "another process runs")
    answers(site)
    is_well(site)
    assert any("WSGI7055" in line and str(victim) in line for line in site.run("cat /var/log/apache2/error.log").splitlines())


def test_an_apache_that_was_killed_is_started_again_and_leaves_no_daemon(site):
    before = set(site.processes())
    site.run(f"kill -KILL {main_pid(site)}")
    # The unit has Restart=on-abort.
    until(lambda: site.unit("NRestarts") == "1" and site.unit("SubState") == "running", "systemd starts Apache again")
    assert not before & set(site.processes())
    answers(site)
    assert len(daemons(site)) == 2
    assert [line for line in site.journal() if "left-over process" in line] == []


def test_rotated_logs_are_let_go_by_every_process(site):
    ask(site, "/daemon/log?before"), ask(site, "/embedded/log?before")
    with Load(site) as load:
        site.run("logrotate --force /etc/logrotate.d/apache2")
    assert set(load.answers) == {"200"}, load.answers
    old = site.run("cat /var/log/apache2/error.log.1")
    assert old.count("before") == 2
    # Processes of before finish their requests first.
    site.wait("! find /proc/[0-9]*/fd -lname '/var/log/apache2/*.1' -o -lname '/var/log/apache2/*(deleted)' 2>/dev/null | grep -q .")
    for mode in ("daemon", "embedded"):
        ask(site, f"/{mode}/log?after-{mode}")
    new = site.run("cat /var/log/apache2/error.log")
    assert "after-daemon" in new and "after-embedded" in new
    group = daemons(site)
    assert group
    for pid in group:
        assert "/var/log/apache2/error.log\n" in site.run(f"readlink /proc/{pid}/fd/* | sort -u")
    is_well(site)


def test_purging_leaves_nothing_and_the_service_running(debian, package):
    find = "find / -xdev \\( -path /proc -o -path /opt -o -path /var/cache/apt \\) -prune -o -name '*wsgi*' -print; find /run -name '*wsgi*'"
    before = debian.run(find)
    debian.apt("install", package)
    add_site(debian)
    debian.run("systemctl reload apache2")
    answers(debian)
    debian.run("a2disconf -q site && rm -r /srv/site /etc/apache2/conf-available/site.conf")
    debian.apt("purge", NAME)
    assert debian.run(find) == before
    assert debian.get("/").status == 200
    assert not daemons(debian)
    is_well(debian)


# Other distributions' units

# Fedora's and RHEL's httpd.service, without mod_systemd, which Debian does not have. RHEL 10 has ProtectHome=read-only, too.
FEDORA = """
Type=exec
ExecStart=
ExecStart=/bin/sh -c '. /etc/apache2/envvars && exec /usr/sbin/apache2 -DFOREGROUND'
ExecReload=
ExecReload=/usr/sbin/apachectl graceful
ExecStop=
KillSignal=SIGWINCH
KillMode=mixed
PrivateTmp=true
OOMPolicy=continue
""".split("\n")

# What systemd.exec(5) offers to a service whose children change their user; openSUSE adds the first ten to services, Fedora's
# proposal SystemdSecurityHardening most of them.
HARDENED = """
ProtectSystem=full
ProtectHome=read-only
PrivateDevices=yes
ProtectHostname=yes
ProtectClock=yes
ProtectKernelTunables=yes
ProtectKernelModules=yes
ProtectKernelLogs=yes
ProtectControlGroups=yes
RestrictRealtime=yes
DevicePolicy=closed
KeyringMode=private
LockPersonality=yes
MemoryDenyWriteExecute=yes
NoNewPrivileges=yes
PrivateTmp=yes
ProtectProc=invisible
ProcSubset=pid
RemoveIPC=yes
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6
RestrictNamespaces=yes
RestrictSUIDSGID=yes
SystemCallArchitectures=native
SystemCallFilter=@system-service
OOMPolicy=continue
UMask=0027
""".split("\n")

# What Gentoo's hardened unit has besides.
CAPABILITIES = """
CapabilityBoundingSet=CAP_CHOWN CAP_SETGID CAP_SETUID CAP_DAC_OVERRIDE CAP_KILL CAP_NET_BIND_SERVICE CAP_IPC_LOCK
SecureBits=noroot-locked
""".split("\n")


def serves_for_long(debian):
    """Check both modes, a reload, a changed script, a killed daemon and a stop."""
    answers(debian)
    before = daemons(debian)
    assert len(before) == 2
    debian.run("systemctl reload apache2")
    until(lambda: both_run_without(debian, *before), "the processes of a reload run")
    debian.put("/srv/site/app.wsgi", APPLICATION.replace("VERSION", "two"))
    answers(debian, "two")
    victim = min(daemons(debian))
    debian.run(f"kill -KILL {victim}")
    until(lambda: both_run_without(debian, victim), "another process runs")
    answers(debian, "two")
    is_well(debian)
    assert [line for line in errors(debian) if "WSGI7055" not in line] == []
    debian.run("systemctl stop apache2")
    assert (debian.unit("ActiveState"), debian.unit("Result")) == ("inactive", "success")
    assert [line for line in debian.journal() if BAD.search(line)] == []


@pytest.mark.parametrize("home", ["", "/srv/venv"], ids=["distribution", "virtualenv"])
@pytest.mark.parametrize("unit", ["fedora", "hardened", "capabilities"])
def test_a_hardened_unit_serves_both_modes(debian, package, unit, home):
    debian.apt("install", package)
    options = "memory-limit=500000000"
    if home:
        debian.run(f"python3 -m venv --without-pip {home}")
        options += f" python-home={home}"
    add_site(debian, options)
    drop_in(debian, *{"fedora": FEDORA + HARDENED, "hardened": HARDENED, "capabilities": HARDENED + CAPABILITIES}[unit])
    if home:
        assert ask(debian, "/daemon")["prefix"] == home
    # The kernel here does what the unit asks for.
    for said in answers(debian):
        status, mounts = (debian.run(f"cat /proc/{said['pid']}/{name}") for name in ("status", "mountinfo"))
        assert "NoNewPrivs:\t1\n" in status and "Seccomp:\t2\n" in status
        assert re.search(r" /usr ro,", mounts) and re.search(r" /etc ro,", mounts) and re.search(r" /home ro,", mounts)
    serves_for_long(debian)


@pytest.mark.parametrize("unit, seconds", [("debian", 5), ("fedora", 15)])
@pytest.mark.parametrize("mode", ["embedded", "daemon"])
def test_requests_finish_when_the_service_is_stopped(site, unit, seconds, mode):
    # Under Debian's unit httpd kills its children after ten seconds.
    if unit == "fedora":
        drop_in(site, *FEDORA)
    answer = {}
    running = threading.Thread(target=lambda: answer.update(ask(site, f"/{mode}/long?{seconds}")))
    running.start()
    site.run("sleep 1.5; systemctl stop apache2")
    running.join()
    assert answer["version"] == "one"
    assert (site.unit("ActiveState"), site.unit("Result")) == ("inactive", "success")
    assert [line for line in site.journal() if BAD.search(line)] == []


def test_a_virtual_environment_in_a_home_folder_needs_a_unit_that_lets_it_be_read(debian, package):
    debian.apt("install", package)
    debian.run("python3 -m venv --without-pip /home/venv")
    add_site(debian, "python-home=/home/venv")
    drop_in(debian, "ProtectHome=read-only")
    assert ask(debian, "/daemon")["prefix"] == "/home/venv"
    drop_in(debian, "ProtectHome=yes")
    assert debian.get("/daemon").status == 503
    assert ask(debian, "/embedded")["group"] == ""
    assert any("/home/venv" in line for line in errors(debian))


def test_a_unit_whose_files_are_read_only_needs_the_folders_of_apache(site):
    drop_in(site, "ProtectSystem=strict", "ReadWritePaths=/run/apache2 /run/lock /var/log/apache2")
    serves_for_long(site)


def test_sockets_in_tmp_work_and_are_seen_by_the_service_only(site):
    site.run("echo 'WSGISocketPrefix /tmp/wsgi' >>/etc/apache2/conf-available/site.conf; systemctl restart apache2")
    answers(site)
    site.run("systemctl reload apache2")
    answers(site)
    assert site.run("find /run /tmp -name 'wsgi.*' -not -path '/tmp/systemd-private-*'") == ""
    is_well(site)


def test_telemetry_reaches_a_receiver_in_run_and_none_in_tmp(site):
    listen = """
import os, socket, sys
receiver = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
receiver.bind(sys.argv[1])
os.chmod(sys.argv[1], 0o666)
receiver.settimeout(8)
try:
    print(len(receiver.recv(65536)) > 0)
except TimeoutError:
    print(None)
"""
    for folder, arrives in ("/run", "True\n"), ("/tmp", "None\n"):
        add_site(site)
        site.run(f"echo 'WSGITelemetryService unix:{folder}/telemetry interval=0.5' >>/etc/apache2/conf-available/site.conf")
        drop_in(site, *HARDENED)
        answers(site)
        assert site.run('python3 -c "$1" "$2"', listen, f"{folder}/telemetry") == arrives


def test_limits_of_the_unit_are_those_of_daemon_processes(site):
    drop_in(site, "LimitNOFILE=2000:3000")
    group = daemons(site)
    assert len(group) == 2
    for pid in group:
        assert re.search(r"^Max open files +2000 +3000 ", site.run(f"cat /proc/{pid}/limits"), re.MULTILINE)


def test_a_stop_that_systemd_gives_less_time_than_a_process_has_is_a_failure(debian, package):
    debian.apt("install", package)
    add_site(debian, "shutdown-timeout=20")
    drop_in(debian, "TimeoutStopSec=4")
    debian.run("nohup sh -c 'python3 -c \"import urllib.request as u; u.urlopen(\\\"http://127.0.0.1/daemon/long?100\\\")\"' >/dev/null 2>&1 & sleep 1")
    debian.run("systemctl stop apache2")
    assert debian.unit("Result") == "timeout"
    assert any("SIGKILL" in line for line in debian.journal())


def test_a_unit_without_unix_sockets_does_not_start_and_the_log_says_why(site):
    site.put("/etc/systemd/system/apache2.service.d/test.conf", "[Service]\nRestrictAddressFamilies=AF_INET AF_INET6\n")
    site.run("systemctl daemon-reload; systemctl restart apache2", check=False)
    site.wait("systemctl is-failed apache2")
    assert any("WSGI7052" in line for line in errors(site))


def test_a_unit_that_forbids_priorities_keeps_a_group_with_cpu_priority_from_starting(debian, package):
    debian.apt("install", package)
    add_site(debian, "memory-limit=500000000 cpu-priority=5")
    filtered = ["SystemCallFilter=@system-service", "SystemCallFilter=~@resources"]
    for lines, code in (filtered, "WSGI7056"), ([*filtered, "SystemCallErrorNumber=EPERM"], "WSGI7053"):
        debian.run("truncate --size 0 /var/log/apache2/error.log")
        drop_in(debian, *lines)
        assert debian.get("/daemon").status == 503
        assert any(code in line for line in errors(debian))
        assert ask(debian, "/embedded")["group"] == ""
    add_site(debian, "memory-limit=500000000")
    drop_in(debian, *filtered)
    answers(debian)


@pytest.mark.parametrize("line", ["PrivateUsers=yes", "SystemCallFilter=~@privileged"])
def test_a_unit_whose_apache_cannot_become_its_user_does_not_serve(site, line):
    site.put("/etc/systemd/system/apache2.service.d/test.conf", f"[Service]\n{line}\n")
    site.run("systemctl daemon-reload; systemctl restart apache2", check=False)
    assert not site.succeeds("python3 -c 'import urllib.request as u; u.urlopen(\"http://127.0.0.1/daemon\", timeout=5)'")
