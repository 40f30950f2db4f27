"""A site in both modes on a Debian that systemd has booted, and what is asked of it there."""

import json
import re
import threading
import time

APPLICATION = '''
import json, os, sys, time
import mod_wsgi

def application(environ, start_response):
    if environ["PATH_INFO"] == "/long":
        time.sleep(float(environ["QUERY_STRING"]))
    elif environ["PATH_INFO"] == "/tmp":
        open("/tmp/written", "a").close()
    elif environ["PATH_INFO"] == "/log":
        print(environ["QUERY_STRING"], file=environ["wsgi.errors"], flush=True)
    body = json.dumps({"group": mod_wsgi.process_group, "user": os.getuid(), "pid": os.getpid(), "prefix": sys.prefix,
                       "tmp": os.listdir("/tmp"), "version": "VERSION"}).encode()
    start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
    return [body]
'''

SITE = """
ServerName localhost
WSGIDaemonProcess site user=games group=games processes=2 threads=5 display-name=%{GROUP} OPTIONS
WSGIScriptAlias /embedded /srv/site/app.wsgi
WSGIScriptAlias /daemon /srv/site/app.wsgi process-group=site application-group=%{GLOBAL}
<Directory /srv/site>
    Require all granted
</Directory>
"""

# Asks both modes from eight threads, a connection for each request, until a file appears; prints what the answers were.
LOAD = '''
import collections, json, os, threading, urllib.error, urllib.request

answers = collections.Counter()
pids = set()

def ask(path):
    while not os.path.exists("/opt/enough"):
        try:
            with urllib.request.urlopen("http://127.0.0.1" + path, timeout=30) as answer:
                pids.add(json.load(answer)["pid"])
                answers[answer.status] += 1
        except urllib.error.HTTPError as error:
            answers[error.code] += 1
        except OSError as error:
            answers[repr(error)] += 1

threads = [threading.Thread(target=ask, args=[path]) for path in ("/embedded", "/daemon") * 4]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
print(json.dumps({"answers": answers, "pids": sorted(pids)}))
'''

# What systemd writes of a service that it had to help to end, and of processes that were none of its own.
BAD = re.compile(r"left-over process|SIGKILL|timed out|status=9/KILL|Failed (with|to start|to reload)|failed with")


def add_site(debian, options="", version="one"):
    """Put the application and its configuration into place; Apache has to reload then."""
    debian.put("/srv/site/app.wsgi", APPLICATION.replace("VERSION", version))
    debian.put("/etc/apache2/conf-available/site.conf", SITE.replace("OPTIONS", options))
    debian.run("a2enconf -q site")


def drop_in(debian, *lines):
    """Add settings to the unit, and restart it with them."""
    debian.put("/etc/systemd/system/apache2.service.d/test.conf", "\n".join(["[Service]", *lines, ""]))
    debian.run("systemctl daemon-reload && systemctl restart apache2")
    debian.wait("python3 -c 'import socket; socket.create_connection((\"127.0.0.1\", 80))' 2>&1")


def ask(debian, path):
    """Return what the application says of the process that answers."""
    answer = debian.get(path)
    assert answer.status == 200, answer
    return json.loads(answer.body)


def answers(debian, version="one"):
    """Check that both modes serve, each as its user, from processes in the unit's control group; return what they say."""
    embedded, daemon = ask(debian, "/embedded"), ask(debian, "/daemon")
    assert (embedded["group"], daemon["group"]) == ("", "site")
    assert (embedded["version"], daemon["version"]) == (version, version)
    for said, user in (embedded, "www-data"), (daemon, "games"):
        assert str(said["user"]) == debian.run(f"id -u {user}").strip()
    assert {embedded["pid"], daemon["pid"]} <= set(debian.processes())
    return embedded, daemon


def daemons(debian):
    """Return the numbers of the daemon processes in the unit's control group."""
    return {pid for pid, command in debian.processes().items() if "wsgi:site" in command}


def until(condition, what, seconds=20):
    """Wait for a condition."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        time.sleep(0.1)


def both_run_without(debian, *gone):
    """Tell whether the group has its two processes and none of those."""
    group = daemons(debian)
    return len(group) == 2 and not group & set(gone)


def main_pid(debian):
    return int(debian.unit("MainPID"))


def is_well(debian):
    """Check that the unit is active and that systemd has nothing to complain about."""
    assert (debian.unit("ActiveState"), debian.unit("SubState")) == ("active", "running")
    assert [line for line in debian.journal() if BAD.search(line)] == []


def errors(debian):
    """Return what Apache logged at `warn` or worse."""
    return [line for line in debian.run("cat /var/log/apache2/error.log").splitlines() if re.search(r":(warn|error|crit|alert|emerg)\]", line)]


class Load:
    """Requests for both modes while the block runs; afterwards `answers` counts statuses and errors."""

    def __init__(self, debian):
        self.debian = debian
        self.said = None

    def __enter__(self):
        self.debian.run("rm -f /opt/enough")
        self.thread = threading.Thread(target=self.run)
        self.thread.start()
        return self

    def run(self):
        self.said = self.debian.run('python3 -c "$1"', LOAD)

    def __exit__(self, *_):
        self.debian.run("sleep 1; touch /opt/enough")
        self.thread.join()
        result = json.loads(self.said)
        self.answers, self.pids = result["answers"], set(result["pids"])
