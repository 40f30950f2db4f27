"""docs/monitoring/alerts.yml: every rule fires when it should and stays quiet when it should, by Debian's promtool and Prometheus.

promtool has the rules evaluated over series that are written down here, minutes in a moment; then a Prometheus reads real groups
that are in trouble.
"""

import re
import subprocess
import threading
import time

import pytest
import yaml

from harness import places
from harness.processes import wait_until
from harness.prometheus import RULES, Prometheus

pytestmark = pytest.mark.ours_only("the C module has no such figures")

OF_IT = {"job": "apache", "instance": "here"}


def series(name, values, **labels):
    """One series; what `values` means: a+bxN begins with a, and grows N times by b, once in 15 seconds."""
    shown = ",".join(f'{key}="{value}"' for key, value in (OF_IT | labels).items())
    return {"series": f"{name}{{{shown}}}", "values": values}


def requests(group="app", **growth):
    """Requests of a group by the class of their status, in 15 seconds."""
    growth = {f"status_{digit}xx": 0 for digit in "12345"} | growth
    return [series("wsgi_requests_total", f"0+{more}x80", group=group, status=status.removeprefix("status_"))
            for status, more in growth.items()]


def processes(ready, group="app", **others):
    states = dict.fromkeys(("starting", "retiring", "failed"), "0x80") | others | {"ready": ready}
    return [series("wsgi_processes", values, group=group, state=state) for state, values in states.items()]


def active(requests, threads, group="app"):
    return [series("wsgi_requests_active", requests, group=group), series("wsgi_threads", threads, group=group)]


def queue(at_once, half_a_second, two_seconds, group="app"):
    """Requests that waited less than 1 ms, from 250 to 500 ms, and from 1 to 2.5 s, in 15 seconds."""
    bounds = {"0.001": at_once, "0.25": at_once, "0.5": at_once + half_a_second, "1.0": at_once + half_a_second,
              "2.5": at_once + half_a_second + two_seconds, "+Inf": at_once + half_a_second + two_seconds}
    return [series("wsgi_queue_duration_seconds_bucket", f"0+{more}x80", group=group, le=bound) for bound, more in bounds.items()]


def ends(group="app", **counts):
    reasons = dict.fromkeys(("reload", "crash", "out_of_memory", "exit", "failed_start", "maximum_requests", "deadlock_timeout",
                             "request_timeout", "restart_interval", "shutdown_signal", "script_reload"), "0x80") | counts
    return [series("wsgi_process_ends_total", values, group=group, reason=reason) for reason, values in reasons.items()]


ONCE = "0x20 1x60"
"""It has happened once, after five minutes."""

# The rule, what Prometheus has read, when it is asked, and the groups that it warns of then.
CASES = {
    "no process is ready": ("WsgiGroupNotRunning", processes("0x80", failed="1x80"), "2m", ["app"]),
    "the last process has ended": ("WsgiGroupNotRunning", processes("2x20 0x60"), "8m", ["app"]),
    "it is not told before a minute": ("WsgiGroupNotRunning", processes("0x80"), "45s", []),
    "a group that starts again within a minute": ("WsgiGroupNotRunning", processes("1x20 0x2 1x60", starting="0x20 1x2 0x60"), "6m", []),
    "one of two processes": ("WsgiGroupNotRunning", processes("1x80", failed="1x80"), "10m", []),
    "one group of two": ("WsgiGroupNotRunning", processes("0x80", "sick") + processes("2x80", "well"), "10m", ["sick"]),
    "one request in ten": ("WsgiServerErrors", requests(status_2xx=90, status_5xx=10), "12m", ["app"]),
    "nothing but errors": ("WsgiServerErrors", requests(status_5xx=1), "12m", ["app"]),
    "one request in ten of embedded mode": ("WsgiServerErrors", requests("%{GLOBAL}", status_2xx=90, status_5xx=10), "12m", ["%{GLOBAL}"]),
    "errors of five minutes are too few": ("WsgiServerErrors", requests(status_2xx=90, status_5xx=10), "4m", []),
    "one request in thirty": ("WsgiServerErrors", requests(status_2xx=29, status_5xx=1), "15m", []),
    "errors of clients": ("WsgiServerErrors", requests(status_4xx=100), "15m", []),
    "no request at all": ("WsgiServerErrors", requests(), "15m", []),
    "errors of one group among requests of another": (
        "WsgiServerErrors", requests("small", status_5xx=1) + requests("large", status_2xx=1000), "12m", ["small"]),
    "every thread is busy": ("WsgiGroupSaturated", active("15x80", "15x80"), "6m", ["app"]),
    "requests wait": ("WsgiGroupSaturated", active("40x80", "15x80"), "6m", ["app"]),
    "one thread is free": ("WsgiGroupSaturated", active("14x80", "15x80"), "15m", []),
    "every thread was busy for four minutes": ("WsgiGroupSaturated", active("15x16 3x60", "15x80"), "6m", []),
    "neither threads nor requests": ("WsgiGroupSaturated", active("0x80", "0x80"), "15m", []),
    "one request in ten waits for seconds": ("WsgiQueueTime", queue(90, 0, 10), "12m", ["app"]),
    "one request in fifty waits for seconds": ("WsgiQueueTime", queue(98, 0, 2), "15m", []),
    "all wait for less than half a second": ("WsgiQueueTime", queue(0, 100, 0), "15m", []),
    "nothing waits, since nothing comes": ("WsgiQueueTime", queue(0, 0, 0), "15m", []),
    "seconds of waiting for less than five minutes": ("WsgiQueueTime", queue(90, 0, 10), "4m", []),
    **{f"a process has ended: {reason}": ("WsgiProcessesCrash", ends(**{reason: ONCE}), "6m", ["app"])
       for reason in ("crash", "out_of_memory", "exit", "failed_start", "deadlock_timeout")},
    **{f"a process was replaced: {reason}": ("WsgiProcessesCrash", ends(**{reason: "0+1x80"}), "15m", [])
       for reason in ("reload", "maximum_requests", "restart_interval", "shutdown_signal", "script_reload")},
    "a crash that is long over": ("WsgiProcessesCrash", ends(crash=ONCE), "18m", []),
    "crashes before Prometheus looked": ("WsgiProcessesCrash", ends(crash="7x80"), "6m", []),
}


@pytest.fixture(scope="module")
def promtool():
    try:
        program = places.debian_package("prometheus") / "usr/bin/promtool"
    except RuntimeError as error:
        pytest.skip(f"no promtool to try the alert rules with: {error}")
    return program


def rules():
    return {rule["alert"]: rule for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]}


def expected(rule, group):
    """An alert of a group as Prometheus passes it on, with what its texts say of the group."""
    texts = {name: text.replace("{{ $labels.group }}", group) for name, text in rule["annotations"].items()}
    return {"exp_labels": OF_IT | {"group": group} | rule["labels"], "exp_annotations": texts}


def evaluate(promtool, folder, alert, given, at, groups):
    """What promtool says of one case: exit status and text. Of all other rules it has to be quiet."""
    told = [{"eval_time": at, "alertname": name, "exp_alerts": [expected(rule, group) for group in groups if name == alert]}
            for name, rule in rules().items()]
    test = {"rule_files": [str(RULES)], "evaluation_interval": "15s",
            "tests": [{"interval": "15s", "input_series": given, "alert_rule_test": told}]}
    file = folder / "test.yml"
    file.write_text(yaml.safe_dump(test))
    done = subprocess.run([promtool, "test", "rules", file], capture_output=True, text=True, timeout=60)
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize("case", CASES)
def test_a_rule_fires_for_the_groups_that_are_in_trouble_and_for_no_other(promtool, tmp_path, case):
    status, said = evaluate(promtool, tmp_path, *CASES[case])
    assert status == 0, said


def test_promtool_notices_an_alert_that_is_missing_and_one_that_should_not_be(promtool, tmp_path):
    """Else all of the above would mean nothing."""
    alert, given, at, groups = CASES["no process is ready"]
    status, said = evaluate(promtool, tmp_path, alert, given, at, [])
    assert status != 0 and "WsgiGroupNotRunning" in said
    alert, given, at, groups = CASES["one of two processes"]
    status, said = evaluate(promtool, tmp_path, alert, given, at, ["app"])
    assert status != 0 and "WsgiGroupNotRunning" in said


def test_every_rule_has_a_case_that_fires_and_one_that_does_not():
    for wanted in (True, False):
        assert {alert for alert, _, _, groups in CASES.values() if bool(groups) == wanted} == set(rules())


def test_every_figure_of_a_rule_is_one_that_apache_tells():
    """The names above are made up; those in the rules have to be those of the page."""
    told = (places.REPOSITORY / "docs" / "monitoring.md").read_text()
    for rule in rules().values():
        for name in re.findall(r"wsgi_\w+", rule["expr"]):
            assert f"`{name.removesuffix('_bucket')}`" in told, name


APPLICATION = """
    import time

    def application(environ, start_response):
        if environ["PATH_INFO"] == "/sleep":
            time.sleep(0.4)
        status = "500 On Purpose" if environ["PATH_INFO"] == "/fail" else "200 OK"
        start_response(status, [("Content-Type", "text/plain")])
        return [b"ok"]
"""
CRASHES = """
    import os, signal
    os.kill(os.getpid(), signal.SIGSEGV)
"""


def in_seconds(text):
    """The rules with a look back of seconds, and without a wait: the rest of them is as it is shipped."""
    short = re.sub(r"\n +for: \w+", "", text)
    assert short != text and "[5m]" in short and "[10m]" in short
    return short.replace("[5m]", "[6s]").replace("[10m]", "[20s]")


def test_they_fire_for_real_groups_in_trouble(new_server, tmp_path):
    """What Apache tells has the labels and values that the rules look for."""
    server = new_server("event", "daemon")
    site = server.site
    application, crashes = site.write("app.wsgi", APPLICATION), site.write("crashes.wsgi", CRASHES)
    site.add("<Location /figures>\nSetHandler wsgi-metrics\n</Location>")
    for name, script in {"well": application, "small": application, "faulty": application, "broken": crashes}.items():
        site.add(f"WSGIDaemonProcess {name} threads={1 if name == 'small' else 4}",
                 f"WSGIScriptAlias /{name} {script} process-group={name} application-group=%{{GLOBAL}}")
    site.log.allow("WSGI7056", "WSGI7063", "exit signal Segmentation fault")
    server.start()
    rules = tmp_path / "alerts.yml"
    rules.write_text(in_seconds(RULES.read_text()))
    prometheus = Prometheus(tmp_path, site.port, rules)
    stopped = threading.Event()

    def ask(path):
        while not stopped.is_set():
            server.get(path)
            time.sleep(0.02)
    clients = [threading.Thread(target=ask, args=(path,)) for path in ["/small/sleep"] * 4 + ["/faulty/fail", "/faulty/", "/well/"]]

    def firing():
        alerts = (prometheus.ask("alerts") or {"alerts": []})["alerts"]
        return {(alert["labels"]["alertname"], alert["labels"]["group"]) for alert in alerts if alert["state"] == "firing"}
    expected = {("WsgiGroupNotRunning", "broken"), ("WsgiProcessesCrash", "broken"), ("WsgiServerErrors", "faulty"),
                ("WsgiGroupSaturated", "small"), ("WsgiQueueTime", "small")}
    try:
        for client in clients:
            client.start()
        wait_until(lambda: expected <= firing(), "all of them fire", 60)
        assert firing() == expected
    finally:
        stopped.set()
        for client in clients:
            client.join()
        prometheus.stop()
