"""What else Debian has that wants the distribution's package."""

import re

from conftest import NAME
from test_deb_upgrade import version_of


def test_every_package_that_wants_the_distributions_stays_installable(debian, package):
    shown = debian.run(f"apt-cache rdepends --no-suggests --no-conflicts --no-breaks --no-replaces --no-enhances {NAME}")
    wanting = sorted({line.strip(" |\n") for line in shown.splitlines()[2:]} - {NAME})
    assert wanting
    debian.apt("install", package)
    ours = version_of(debian)
    refused = []
    for name in wanting:
        plan = debian.run(f"apt-get -s --no-install-recommends install {name} || true")
        possible = f"Inst {name} " in plan
        # What cannot be installed with the distribution's own does not count.
        if not possible and f"Inst {name} " in debian.run(f"apt-get -s --no-install-recommends install {name} {NAME}- || true"):
            possible = True
        if not possible or re.search(rf"(?m)^(Remv|Inst) {NAME} ", plan):
            refused.append(f"{name}:\n{plan}")
    assert refused == [] and version_of(debian) == ours
    print(f"installable with ours: {' '.join(wanting)}")
