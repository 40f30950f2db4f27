"""Bodies of any size go through in constant memory. Here 512 MB; tests/endurance has the same with more than 4 GB."""

import pytest

from harness import under_test
from harness.endurance import MIB, check_large_bodies, large_bodies

SIZE = 512 * MIB


class TestLargeBodies:
    mpms = ("event",)

    @staticmethod
    def configure(site):
        large_bodies(site)

    @pytest.mark.parametrize("what", ["upload", "download", "echo"])
    def test_memory_does_not_follow_the_size(self, server, site, what):
        if what == "echo" and not under_test.OURS and not site.embedded:
            pytest.skip("the C module in daemon mode sends the whole body before it looks at the response, and locks up")
        check_large_bodies(server, what, SIZE)
