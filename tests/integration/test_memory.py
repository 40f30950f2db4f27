"""The memory of a child and of a daemon stays flat over 50,000 requests of all kinds."""

import pytest

from harness.endurance import KINDS, MIB, mixed_requests, resident, send_mixed_requests, workers

WARM_UP = 10_000
ALL = 50_000
MOST = 2.0
"""MiB that a process may gain between the two: 52 bytes for each request. What the allocator keeps is up to 1 MiB, with either module."""


class TestMemory:
    @staticmethod
    def configure(site):
        mixed_requests(site)

    @pytest.mark.timeout(300)
    def test_it_is_flat_over_50_000_mixed_requests(self, server):
        assert send_mixed_requests(server, WARM_UP) >= WARM_UP - 4 * KINDS
        before = {pid: resident(pid) for pid in workers(server)}
        assert send_mixed_requests(server, ALL - WARM_UP) >= ALL - WARM_UP - 4 * KINDS
        after = {pid: resident(pid) for pid in workers(server)}
        assert set(after) == set(before), "a process was replaced"
        grown = {pid: (after[pid] - size) / MIB for pid, size in before.items()}
        assert max(grown.values()) < MOST, grown
