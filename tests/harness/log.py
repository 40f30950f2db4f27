"""Reads error logs, and finds the lines that no test declared."""

import re
from dataclasses import dataclass, field
from pathlib import Path

from .processes import wait_until

LEVEL = re.compile(r"^\[[^\]]+\] \[(?P<module>\w*):(?P<level>\w+)\]")
SERIOUS = {"warn", "error", "crit", "alert", "emerg"}
# httpd reports a crashed child at level notice, and glibc and Rust write to stderr without a level.
ALWAYS_SERIOUS = re.compile(r"exit signal|AddressSanitizer|double free|corrupted|panicked at|Fatal Python error")


def is_serious(line: str) -> bool:
    found = LEVEL.match(line)
    return bool(found and found["level"] in SERIOUS) or bool(ALWAYS_SERIOUS.search(line))


@dataclass
class ErrorLog:
    """One error log file; a position in it marks where the running test began."""

    path: Path
    start: int = 0
    allowed: list[str] = field(default_factory=list)
    declared: list[str] = field(default_factory=list)

    def text(self) -> str:
        """What was logged since the running test began."""
        if not self.path.exists():
            return ""
        with open(self.path, "rb") as file:
            file.seek(self.start)
            return file.read().decode(errors="replace")

    def lines(self) -> list[str]:
        return self.text().splitlines()

    def begin(self) -> None:
        """A new test begins here: earlier lines are no longer its concern."""
        self.start = self.path.stat().st_size if self.path.exists() else 0
        self.declared.clear()

    def allow(self, *patterns: str) -> None:
        """Serious lines that match one of these may appear at any time in this server's life."""
        self.allowed.extend(patterns)

    def declare(self, *patterns: str) -> None:
        """Serious lines that match one of these may appear during the running test."""
        self.declared.extend(patterns)

    def expect(self, pattern: str, timeout: float = 5.0) -> str:
        """Waits for a line that matches, declares it, and returns it."""
        self.declare(pattern)
        return wait_until(lambda: self.find(pattern), f"a line matching {pattern!r} in {self.path}", timeout)

    def find(self, pattern: str) -> str:
        return next((line for line in self.lines() if re.search(pattern, line)), "")

    def undeclared(self) -> list[str]:
        known = self.allowed + self.declared
        return [line for line in self.lines()
                if is_serious(line) and not any(re.search(pattern, line) for pattern in known)]
