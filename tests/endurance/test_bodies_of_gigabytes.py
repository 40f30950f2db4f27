"""Bodies of more than 4 GB, which no number of 32 bits counts, go through in constant memory. Run by tests/nightly."""

import pytest

from harness import under_test
from harness.endurance import MIB, check_large_bodies, large_bodies

SIZE = 4096 * MIB + MIB


class TestBodiesOfGigabytes:
    mpms = ("event",)

    @staticmethod
    def configure(site):
        large_bodies(site)
        site.add("LimitRequestBody 0")  # httpd 2.4.53 and later: 1 GB unless told otherwise

    @pytest.mark.timeout(900)
    @pytest.mark.parametrize("what", ["upload", "download", "echo"])
    def test_memory_does_not_follow_the_size(self, server, site, what):
        if what == "echo" and not under_test.OURS and not site.embedded:
            pytest.skip("the C module in daemon mode sends the whole body before it looks at the response, and locks up")
        check_large_bodies(server, what, SIZE)
