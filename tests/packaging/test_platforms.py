"""The matrix of platforms, and what has to agree with it."""

import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest

TOP = Path(__file__).resolve().parents[2]
MATRIX = tomllib.loads((TOP / "packaging/platforms.toml").read_text())
PLATFORMS = MATRIX["platform"]
IN_CONTAINERS = [platform for platform in PLATFORMS if platform["package"] != "brew"]


def printed(*arguments):
    """Return what packaging/platforms prints."""
    return subprocess.run([TOP / "packaging/platforms", *arguments], capture_output=True, text=True, check=True).stdout


def test_the_readme_has_the_table_of_the_matrix():
    assert printed("table") in (TOP / "README.md").read_text()


def test_every_platform_says_all_that_is_asked_of_it():
    for platform in PLATFORMS:
        wanted = {"name", "title", "package", "layout", "python", "arch", "builds", "tests"}
        assert wanted <= set(platform), platform["name"]
        assert platform["tests"] in ("ci", "nightly", "none") and platform["package"] in ("deb", "rpm", "brew")
    assert len({platform["name"] for platform in PLATFORMS}) == len(PLATFORMS)


def test_one_platform_builds_the_package_of_each_kind():
    built = [platform["package"] for platform in PLATFORMS if platform["builds"]]
    assert sorted(built) == ["brew", "deb", "rpm"]


@pytest.mark.parametrize("platform", IN_CONTAINERS, ids=lambda platform: platform["name"])
def test_a_platform_has_its_containerfile(platform):
    text = (TOP / f"containers/{platform['name']}.Containerfile").read_text()
    assert text.startswith(f"# {platform['title']}: ") and "\nARG BASE\nFROM ${BASE}\n" in text
    # What common.sh would install otherwise, which a container without a network cannot.
    common = (TOP / "packaging/common.sh").read_text()
    wanted = set(re.search(r'BUILD_PACKAGES="(.*)"', common).group(1).split())
    if platform["package"] == "deb":
        wanted |= set(re.search(r'DEB_PACKAGES="(.*)"', common).group(1).split())
    else:
        wanted |= set(re.search(r'RPM_PACKAGES="(.*)"', common).group(1).split())
        names = dict(re.findall(r"(?m)^ +([a-z0-9-]+)\) say ([a-z-]+) ;;$", common))
        names["apache2-dev"] = "apache2-devel" if platform["layout"] == "opensuse" else "httpd-devel"
        wanted = {names.get(name, name) for name in wanted}
    assert wanted <= set(re.findall(r"[\w.+-]+", text)), wanted


def test_there_is_no_containerfile_without_a_platform():
    assert {path.stem for path in (TOP / "containers").glob("*.Containerfile")} == {platform["name"] for platform in IN_CONTAINERS}


def test_every_image_is_pinned():
    assert [platform["name"] for platform in IN_CONTAINERS if not re.fullmatch(r"sha256:[0-9a-f]{64}", platform["digest"])] == []


def test_an_image_without_a_digest_is_refused(tmp_path):
    for name in ("containers", "packaging"):
        shutil.copytree(TOP / name, tmp_path / name)
    matrix = tmp_path / "packaging/platforms.toml"
    matrix.write_text(re.sub(r'digest = ".+"', 'digest = ""', matrix.read_text(), count=1))
    name = IN_CONTAINERS[0]["name"]
    refused = subprocess.run([tmp_path / "containers/run", "--base", "image", "--image-only", name], capture_output=True, text=True)
    assert refused.returncode != 0 and f"has no digest for {name}" in refused.stderr, refused.stderr


def test_every_host_is_for_a_python_that_the_matrix_may_name():
    hosts = re.search(r'(?m)^export ALL_PYTHONS="(.*)"$', (TOP / "packaging/common.sh").read_text()).group(1).split()
    assert {platform["python"] for platform in PLATFORMS} <= set(hosts)
