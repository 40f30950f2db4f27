"""Makes the harness known to pytest: fixtures, markers and the log check live in harness/plugin.py."""

pytest_plugins = ["harness.plugin"]
