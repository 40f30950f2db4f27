"""Every number of the configuration: what is none, or is out of its range, is refused with file and line. The C module takes what it can
read of it, so that `threads=1.5` and `threads=1x` are 1, and `threads=abc` is 0. Source: docs/differences.md.
"""

import re

import pytest

from harness.places import REPOSITORY

pytestmark = pytest.mark.ours_only("the C module reads as much of a text as is a number")

RANGES = {
    "processes": (1, 512), "threads": (0, 65533), "stack-size": (1, 2**32 - 1), "memory-limit": (0, 2**63 - 1),
    "virtual-memory-limit": (0, 2**63 - 1), "cpu-priority": (-20, 20),
    **dict.fromkeys(("maximum-requests", "listen-backlog", "response-flush-delay", "send-buffer-size", "receive-buffer-size",
                     "header-buffer-size", "response-buffer-size", "startup-timeout", "shutdown-timeout", "deadlock-timeout",
                     "inactivity-timeout", "request-timeout", "interrupt-timeout", "graceful-timeout", "eviction-timeout",
                     "restart-interval", "connect-timeout", "socket-timeout", "queue-timeout", "response-socket-timeout",
                     "cpu-time-limit"), (0, 2**31 - 1)),
}
"""The least and the most that the options of whole numbers take."""
GAPS = {"send-buffer-size": 511, "receive-buffer-size": 511, "header-buffer-size": 8191, "response-buffer-size": 65535}
"""Sizes up to which only 0 is taken, for the default."""
NO_NUMBERS = ["abc", "", '""', '" "', "x5", "5x", "5s", "5m", "5K", "1.5", "5.", ".5", "1e3", "0x10", "0b1", "1_000", "1,000", "5,5", "5;",
              "5-1", '"5 6"', '" 5"', '"5 "', "--5", "On", "nan", "inf", "-inf", "\u0665", "\uff15", "5\u00a0", "99999999999999999999",
              "1" + 400 * "0"]
OCTAL = ["abc", '""', "8", "0o22", "0x1f", "-022", "+022", "1000", "022x", "0.22", '"022 "', "7777777777777777777777"]
FRACTIONS = ["abc", "x5", "5s", "5x", "1.5.5", "1,5", "0x10", "--5", "-1", "-0.001", "nan", "NaN", "inf", "-inf", "infinity", "1e999",
             '"0.5 "', '"0.5 s"', '" "', "\u0665"]
POSITIVE = [*FRACTIONS, "0", "0.0", "-0"]
DIRECTIVES = {
    "WSGIPythonOptimize": [*NO_NUMBERS, "3", "-1", "256", "257", "4294967296"],
    "WSGIPythonHashSeed": [*NO_NUMBERS, "-1", "4294967296", "Random", "random1"],
    "WSGISwitchInterval": POSITIVE,
    "WSGISlowRequests": FRACTIONS,
    "WSGITelemetryService": [f"unix:/run/telemetry interval={number}" for number in [*POSITIVE, "0.49", '""']],
}
TAKEN = {"WSGIPythonOptimize": ["0", "2"], "WSGIPythonHashSeed": ["0", "4294967295"], "WSGISwitchInterval": ["0.001", "10"],
         "WSGISlowRequests": ["0", "0.5", "30"], "WSGITelemetryService": ["unix:/run/telemetry interval=0.5"]}


def beyond(option: str) -> list[str]:
    """Whole numbers that this option does not take."""
    least, most = RANGES[option]
    wrong = {least - 1, most + 1, -1, -5, 2**31, -2**31, 2**32 + 1, 2**64, 2**64 + 5, 2**63}
    if option in GAPS:
        wrong |= {1, GAPS[option]}
    return [str(number) for number in wrong if not least <= number <= most or number in (1, GAPS.get(option))]


@pytest.fixture
def refusal(new_server):
    """refusal(lines) is what configtest says of the last of these lines, behind file and line; empty if nothing is wrong."""
    site = (server := new_server("event", "daemon")).site
    kept = list(site._directives)

    def run(*lines: str) -> str:
        site._directives = [*kept, *lines]
        status, text = server.configtest()
        if status == 0:
            return ""
        number = len(site.configuration().splitlines())
        place = f"AH00526: Syntax error on line {number} of {site.configuration_file}:\n"
        assert place in text, (lines, text)
        return text.partition(place)[2].strip()

    return run


def accepted_by(refusal, before: str, values: list[str], named: str) -> list[str]:
    """Which of these are not refused with a sentence that names `named`."""
    said = {value: refusal(before + value) for value in values}
    return [f"{value}: {text}" for value, text in said.items() if named not in text]


def numeric_options() -> dict[str, str]:
    """The options whose value the source reads as a number, and with what."""
    source = (REPOSITORY / "src" / "core" / "daemon_options.rs").read_text()
    readers = r"(whole|octal|priority|buffer|positive_seconds|seconds)\("
    return {name: found[1] for name, body in re.findall(r'^ {12}"([a-z-]+)" => (.*?)(?=^ {12}\S|\Z)', source, re.MULTILINE | re.DOTALL)
            if (found := re.search(readers, body))}


def test_no_number_is_left_out():
    options = numeric_options()
    assert len(options) >= 28
    assert set(options) == {*RANGES, "umask", "switch-interval"}


class TestOptions:
    @pytest.mark.parametrize("option", RANGES)
    def test_what_is_no_whole_number_of_its_range_is_refused_with_its_line(self, refusal, option):
        # A minus is no mistake for a nice value.
        wrong = NO_NUMBERS + beyond(option) + ([] if option == "cpu-priority" else ["-0"])
        assert accepted_by(refusal, f"WSGIDaemonProcess site {option}=", wrong, f"WSGIDaemonProcess: {option} must be") == []

    @pytest.mark.parametrize("option", RANGES)
    def test_the_least_and_the_most_are_taken(self, refusal, option):
        least, most = RANGES[option]
        for number in (least, most, f"00{most}", *([GAPS[option] + 1] if option in GAPS else [])):
            assert refusal(f"WSGIDaemonProcess site {option}={number}") == "", number

    @pytest.mark.parametrize("option, wrong, taken", [("umask", OCTAL, ["0", "022", "0777"]),
                                                      ("switch-interval", POSITIVE, ["0.005", "5"])])
    def test_other_numbers_are_refused_with_their_line(self, refusal, option, wrong, taken):
        assert accepted_by(refusal, f"WSGIDaemonProcess site {option}=", wrong, f"WSGIDaemonProcess: {option} must be") == []
        assert [number for number in taken if refusal(f"WSGIDaemonProcess site {option}={number}")] == []

    def test_the_wrong_one_of_many_is_named(self, refusal):
        said = refusal("WSGIDaemonProcess site processes=2 threads=5 request-timeout=1m graceful-timeout=abc")
        assert "request-timeout" in said and "'1m'" in said and "graceful" not in said


class TestDirectives:
    @pytest.mark.parametrize("directive", DIRECTIVES)
    def test_what_is_no_number_of_its_range_is_refused_with_its_line(self, refusal, directive):
        assert accepted_by(refusal, f"{directive} ", DIRECTIVES[directive], directive) == []

    @pytest.mark.parametrize("directive", TAKEN)
    def test_the_least_and_the_most_are_taken(self, refusal, directive):
        assert [value for value in TAKEN[directive] if refusal(f"{directive} {value}")] == []


def test_the_file_that_is_named_is_the_one_where_it_stands(new_server):
    server = new_server("event", "daemon")
    path = server.site.write("more.conf", "# a line\n\nWSGIDaemonProcess fine threads=5\nWSGIDaemonProcess site \\\n    threads=5x\n")
    server.site.add(f"Include {path}")
    status, text = server.configtest()
    assert status != 0 and f"AH00526: Syntax error on line 5 of {path}:\nWSGIDaemonProcess: threads must be" in text
