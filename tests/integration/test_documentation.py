"""What the documents promise about the source, and the source about the documents."""

import os
import re
import tomllib
from pathlib import Path

import pytest

from harness.places import REPOSITORY

DIRECTIVES = tomllib.loads((REPOSITORY / "tests" / "conformance" / "directives.toml").read_text())["directive"]
SECTIONS = tomllib.loads((REPOSITORY / "tests" / "conformance" / "pep-3333.toml").read_text())["section"]
COMMANDS = REPOSITORY / "src" / "module" / "apache" / "command.rs"
NUMBER = re.compile(r"WSGI\d{4}")


def read(*parts: str) -> str:
    return REPOSITORY.joinpath(*parts).read_text()


def registered() -> set[str]:
    """The names in the module's table of directives."""
    return set(re.findall(r'c"(<?WSGI\w+)"', COMMANDS.read_text()))


def documents() -> list[Path]:
    """Every Markdown file of the repository, but for what is built or fetched."""
    found = []
    for folder, folders, files in os.walk(REPOSITORY):
        folders[:] = [name for name in folders if name not in ("target", "dist", "vendor") and name[0] != "."]
        found += [Path(folder) / name for name in files if name.endswith(".md")]
    return sorted(found)


def without_code(text: str) -> str:
    """A document without its blocks and its code, in which a bracket is no link."""
    return re.sub(r"`[^`\n]*`", "", re.sub(r"(?m)^    .*$", "", text))


def anchors(text: str) -> set[str]:
    """What the headings of a document are called in links, by GitHub's rules."""
    heads = re.findall(r"(?m)^#+ (.*)$", text)
    return {re.sub(r"[^\w -]", "", head.replace("`", "").lower()).replace(" ", "-") for head in heads}


def rows(document: str, before: str | None = None) -> list[dict[str, str]]:
    """The rows of a document's tables that have a column "since", each by its columns."""
    found, header = [], None
    for line in (read("docs", document).partition(before)[0] if before else read("docs", document)).splitlines():
        cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
        if not cells:
            header = None
        elif header is None:
            header = cells
        elif "since" in header and not cells[0].startswith("---"):
            found.append(dict(zip(header, cells, strict=True)))
    return found


@pytest.mark.ours_only("it reads this repository")
class TestLinks:
    def test_there_are_documents(self):
        assert {"README.md", "docs/install.md", "tests/README.md"} <= {str(file.relative_to(REPOSITORY)) for file in documents()}

    @pytest.mark.parametrize("file", documents(), ids=lambda file: str(file.relative_to(REPOSITORY)))
    def test_every_link_within_the_repository_leads_somewhere(self, file):
        broken = []
        for link in re.findall(r"\]\(([^)\s]+)\)", without_code(file.read_text())):
            path, _, anchor = link.partition("#")
            target = (file.parent / path).resolve() if path else file
            if re.match(r"[a-z]+:", link):
                continue
            if not target.exists() or (anchor and anchor not in anchors(target.read_text())):
                broken.append(link)
        assert broken == []

    @pytest.mark.parametrize("file", documents(), ids=lambda file: str(file.relative_to(REPOSITORY)))
    def test_every_row_of_a_table_has_the_columns_of_its_header(self, file):
        wrong, header = [], None
        for line in file.read_text().splitlines():
            if not line.startswith("|"):
                header = None
                continue
            cells = len(re.split(r"(?<!\\)\|", line.rstrip())) - 2
            header = header or cells
            if cells != header:
                wrong.append(line[:80])
        assert wrong == []


@pytest.mark.ours_only("it reads this repository")
class TestDocumentation:
    def numbers_of_the_source(self) -> set[str]:
        return {number for file in (REPOSITORY / "src").rglob("*") if file.suffix in (".rs", ".py", ".c", ".h")
                for number in NUMBER.findall(file.read_text())}

    def test_every_log_number_of_the_source_is_explained(self):
        assert sorted(self.numbers_of_the_source() - set(NUMBER.findall(read("docs", "errors.md")))) == []

    def test_every_log_number_that_is_explained_is_of_the_source(self):
        explained = set(re.findall(r"^\| (WSGI\d{4}) ", read("docs", "errors.md"), re.MULTILINE))
        assert sorted(explained - self.numbers_of_the_source()) == []

    def test_every_directive_that_is_not_there_is_named_as_a_difference(self):
        missing = {directive["name"] for directive in DIRECTIVES} - {f"{name}>" if name[0] == "<" else name for name in registered()}
        named = set(re.findall(r"`(<?WSGI\w+>?)`", read("docs", "differences.md").partition("## Configuration")[0]))
        assert sorted(missing - named) == []
        assert sorted(named & registered()) == []

    def test_every_test_that_the_differences_name_exists(self):
        tests = [file for folder in ("conformance", "integration", "host", "packaging")
                 for file in (REPOSITORY / "tests" / folder).rglob("test_*.py")]
        names = {file.name for file in tests} | {name for file in tests for name in re.findall(r"def test_(\w+)", file.read_text())}
        names |= {name for file in (REPOSITORY / "src").rglob("*.rs") for name in re.findall(r"fn (\w+)\(\)", file.read_text())}
        promised = {name for line in read("docs", "differences.md").splitlines() if line.startswith("|")
                    for name in re.findall(r"`(\w+(?:\.py)?)`", line.split("|")[-2])}
        assert sorted(promised - names) == []

    def test_every_member_of_the_module_is_explained(self):
        stubs, page = read("stubs", "mod_wsgi-stubs", "__init__.pyi"), read("docs", "python-api.md")
        members = re.findall(r"^(?:def |class )?([a-zA-Z]\w*)(?=[(:])", stubs, re.MULTILINE)
        figures = re.findall(r"^    (\w+): ", stubs, re.MULTILINE)
        assert [name for name in members if f"`{name}" not in page] == []
        # Of a time X, X_min_us, X_max_us and X_buckets go without saying; of a thread the names are cut short.
        plain = [name for name in figures if not re.search(r"_(min_us|max_us|buckets)$|^request_threads_|^status_\dxx$", name)]
        assert [name for name in plain if f"`{name}`" not in page] == []

    def test_the_reasons_for_the_end_of_a_process_are_those_of_the_c_module_and_explained(self):
        of_the_c_module = {
            "shutdown_signal", "graceful_signal", "eviction_signal", "maximum_requests", "restart_interval", "inactivity_timeout",
            "request_timeout", "startup_timeout", "deadlock_timeout", "cpu_time_limit", "signal_pipe_error", "script_reload"}
        given = set(re.findall(r'^    \w+ = "(\w+)", "', read("src", "host", "daemon", "reason.rs"), re.MULTILINE))
        counted = read("src", "core", "board.rs").partition("ENDS: ")[2].partition("];")[0]
        sentence = read("docs", "python-api.md").partition("\n`shutdown_reason` is ")[2].partition(";")[0]
        assert given == of_the_c_module == set(re.findall(r"`(\w+)`", sentence))
        assert given <= set(re.findall(r'"(\w+)"', counted))

    def test_every_option_of_a_daemon_is_explained_twice(self):
        options = re.findall(r'^            "([a-z-]+)" =>', read("src", "core", "daemon_options.rs"), re.MULTILINE)
        assert len(options) >= 45
        for document in ("directives.md", "daemon-mode.md"):
            explained = set(re.findall(r"`([a-z-]+)(?:=[^`]*)?`", read("docs", document)))
            assert [name for name in options if name not in explained] == [], document

    def test_the_place_of_every_directive_is_that_of_the_conformance_tests(self):
        words = {
            ("server",): "server", ("server", "virtual host"): "server, host", ("server", "virtual host", "directory"): "place",
            ("server", "virtual host", "directory", ".htaccess"): ".htaccess (X)", ("directory", ".htaccess"): "folder (X)"}
        known = {directive["name"].rstrip(">"): directive for directive in DIRECTIVES}
        for row in rows("directives.md", before="## Options of WSGIDaemonProcess"):
            for name in re.findall(r"`(<?WSGI\w+)", row["directive"]):
                directive = known.pop(name)
                expected = words[tuple(directive["contexts"])].replace("X", directive.get("override", ""))
                # A section of its own has no context of its own in the conformance tests.
                assert row["where"].replace(", section", "") == expected, name
                since = directive.get("since")
                assert row["since"] == (str(since[0]) if since else ""), name
        assert sorted(known) == []

    def test_every_difference_names_a_test(self):
        rows = [line for line in read("docs", "differences.md").splitlines() if line.startswith("| ") and not line.startswith(("| ---", "| what |"))]
        assert len(rows) > 30
        assert [row for row in rows if not re.search(r"`[\w/]+(?:\.py)?`", row.split("|")[-2])] == []

    def test_every_directive_has_its_entry_for_the_conformance_tests(self):
        assert sorted(registered() - {directive["name"].rstrip(">") for directive in DIRECTIVES}) == []

    def sources(self, file: str) -> set[str]:
        """The sections of PEP 3333 that the first lines of a conformance test name, without regard to their line ends."""
        first = " ".join(read("tests", "conformance", file).split('"""')[1].split())
        return {name for text in re.findall(r'PEP 3333, ((?:"[^"]+"(?:, | and )?)+)', first) for name in re.findall(r'"([^"]+)"', text)}

    def test_every_section_of_pep_3333_has_a_file_of_conformance_tests_or_a_reason(self):
        assert len(SECTIONS) == 22 and all(("file" in section) != ("why" in section) for section in SECTIONS)
        assert [section for section in SECTIONS if "file" in section and section["name"] not in self.sources(section["file"])] == []

    def test_every_section_that_a_conformance_test_names_is_one(self):
        folder = REPOSITORY / "tests" / "conformance"
        named = {name for file in folder.glob("test_*.py") for name in self.sources(file.name)}
        assert named - {section["name"] for section in SECTIONS} == set()
