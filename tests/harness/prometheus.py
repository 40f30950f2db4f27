"""A real Prometheus, Debian's: reads the figures of a server and answers questions about them."""

import json
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request

import pytest

from . import places
from .site import free_port

CONFIGURATION = """
global: {{scrape_interval: 500ms, scrape_timeout: 400ms, evaluation_interval: 500ms}}
scrape_configs:
  - job_name: apache
    metrics_path: /figures
    static_configs: [{{targets: ["127.0.0.1:{port}"]}}]
rule_files: ["{rules}"]
"""

RULES = places.REPOSITORY / "docs" / "monitoring" / "alerts.yml"
COUNTERS = '{__name__=~"wsgi_.*_(total|bucket|count|sum)"}'
"""Prometheus knows what kind each family is, and calls a counter that goes back a reset."""


class Prometheus:
    """Debian's package on a loopback port, unpacked and not installed."""

    def __init__(self, folder, scraped, rules=RULES):
        try:
            self.program = places.debian_package("prometheus") / "usr/bin/prometheus"
        except RuntimeError as error:
            pytest.skip(f"no Prometheus to scrape with: {error}")
        self.port = free_port()
        configuration = folder / "prometheus.yml"
        configuration.write_text(CONFIGURATION.format(port=scraped, rules=rules))
        self.log = open(folder / "prometheus.log", "w+")
        self.process = subprocess.Popen(
            [self.program, f"--config.file={configuration}", f"--storage.tsdb.path={folder}/data",
             f"--web.listen-address=127.0.0.1:{self.port}", "--enable-feature=exemplar-storage"],
            stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log)

    def said(self):
        self.log.seek(0)
        return self.log.read()

    def ask(self, path, **arguments):
        address = f"http://127.0.0.1:{self.port}/api/v1/{path}?{urllib.parse.urlencode(arguments)}"
        try:
            with urllib.request.urlopen(address, timeout=10) as answer:
                return json.load(answer)["data"]
        except urllib.error.HTTPError as error:
            # While it starts it is not available; a question that it does not understand is a fault of the test.
            assert error.code >= 500, error.read().decode()
            return None
        except (urllib.error.URLError, ConnectionError):
            assert self.process.poll() is None, self.said()
            return None

    def series(self, query):
        """Labels and the values over the last minutes of each series of a query."""
        now = time.time()
        data = self.ask("query_range", query=query, start=now - 120, end=now, step=1)
        return [(one["metric"], [float(value) for _, value in one["values"]]) for one in data["result"]] if data else []

    def samples(self, selector):
        """Labels of each series and every sample of it that was scraped, by its time: all of one scrape have the same one."""
        data = self.ask("query", query=f"{selector}[10m]")
        return [(one["metric"], {time: float(value) for time, value in one["values"]}) for one in data["result"]] if data else []

    def resets(self):
        """How often each counter has gone back, as rate() and increase() see it: the most of a series of each name."""
        names = {metric["__name__"] for metric, _ in self.samples(COUNTERS)}
        return {name: self.ask("query", query=f"max(resets({name}[10m]))")["result"][0]["value"][1] for name in names}

    def value(self, query):
        data = self.ask("query", query=query)
        return sum(float(one["value"][1]) for one in data["result"]) if data else 0

    def stop(self):
        self.process.terminate()
        self.process.wait(20)
        self.log.close()
