"""docs/install.md for Debian, word by word: each of its blocks is a file to save or commands to run, and every command has to succeed.

In nightly because every Debian goes through the whole section twice. What stands behind "# prints" has to be printed, at the latest after
some seconds: until the new processes are ready the earlier ones answer.
"""

import re
import subprocess
import time

import pytest
from conftest import NAME
from machine import TOP
from test_repository import URL, repositories, serve, with_libraries  # noqa: F401: fixtures

SECTION = (TOP / "docs/install.md").read_text().partition("\n## Debian, Ubuntu\n")[2].partition("\n## ")[0]
# How the paragraphs begin that say one of two ways to the same.
WAYS = {"repository": "With a repository", "package": "With a package"}
# What the guide asks apt for besides. The machine has no way to Debian's repository while the guide runs.
THERE = ("apache2", "curl", "adduser", "procps", "python3-venv")


def blocks():
    """Return each block of the section with the paragraph before it."""
    found, text = [], ""
    for paragraph in SECTION.split("\n\n"):
        if not re.match("    ", paragraph):
            text, fresh = " ".join(paragraph.split()), True
        elif fresh:
            found.append([text, re.sub("(?m)^    ", "", paragraph)])
            fresh = False
        else:
            found[-1][1] += re.sub("(?m)^    ", "", f"\n\n{paragraph}")
    return found


@pytest.fixture
def at_the_start(request, with_libraries, deb, way):  # noqa: F811
    """A machine with the package in /opt/guide/dist, or the repository at URL."""
    debian = with_libraries
    debian.run("cp -a /opt/kept/* /etc/apt/sources.list.d/ 2>/dev/null; true")
    debian.apt("install", *THERE)
    debian.run("rm -f /etc/apt/sources.list.d/*; mkdir -p /opt/guide/dist")
    debian.put("/etc/apt/apt.conf.d/99test", 'APT::Get::Assume-Yes "true";\nAPT::Get::List-Cleanup "0";\nDir::Etc::sourcelist "/dev/null";\n')
    if way == "repository":
        serve(debian, request.getfixturevalue("repositories"))
    else:
        debian.put_file(deb, f"/opt/guide/dist/{deb.name}")
    return debian


@pytest.mark.parametrize("way", WAYS)
def test_the_section_can_be_followed_to_its_end(at_the_start, deb, way):
    debian = at_the_start
    version, architecture = subprocess.run(["dpkg-deb", "-f", deb, "Version", "Architecture"], capture_output=True, text=True,
                                           check=True).stdout.split("\n")[:2]
    values = {"REPOSITORY": URL, "VERSION": version.partition(": ")[2], "_ARCH": f"_{architecture.partition(': ')[2]}"}
    checked = []
    for before, block in blocks():
        if any(before.startswith(begin) for name, begin in WAYS.items() if name != way):
            continue
        for name, value in values.items():
            block = block.replace(name, value)
        if place := re.search(r"[Ss]ave as `([^`]+)`:$|and as `([^`]+)`:$", before):
            debian.put(place[1] or place[2], block + "\n")
            continue
        for line in block.splitlines():
            command, _, expected = line.partition("# prints ")
            printed, end = debian.run(f"cd /opt/guide && {command}"), time.monotonic() + 20
            while expected not in printed and time.monotonic() < end:
                time.sleep(0.2)
                printed = debian.run(f"cd /opt/guide && {command}")
            print(f"$ {command}\n{printed}")
            assert expected in printed, f"{command} printed {printed!r}\n{debian.run('tail -n 30 /var/log/apache2/*.log; ps -eo pid,user,args')}"
            checked += [expected] if expected else []
    assert len(checked) == 4 and not debian.exists("/usr/lib/apache2/modules/mod_wsgi.so")
    assert debian.run(f"dpkg-query -W -f '${{db:Status-Status}}' {NAME}") == "config-files"
    assert debian.get("/").status == 200


def test_every_block_of_the_section_is_taken():
    assert len(blocks()) == len(re.findall(r"(?m)^(?!    ).*\n\n    ", SECTION)) > 10
