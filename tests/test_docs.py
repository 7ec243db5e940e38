"""What the documents say of the code: files that they name are there, modules are all listed, commands can be given."""

from __future__ import annotations

import re
import shlex
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command

from gadfly.cli.main import app

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "src" / "gadfly"
DIARY = ROOT / "docs" / "notebook.md"  # dated: what it says was so on its day
DOCUMENTS = sorted(
    [
        *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md")),
        *(path for path in (ROOT / "docs").glob("*.md") if path != DIARY),
        *PACKAGE.glob("testbed/bundled/*/README.md"),
    ]
)
MADE = ("OUT/", "RUN/", "runs/", "modes/")  # by the commands that a document speaks of


def code_of(document: Path) -> list[str]:
    """What stands in a document as code: between backticks, or on indented and fenced lines."""
    text = document.read_text(encoding="utf-8")
    fenced = re.findall(r"^```\w*\n(.*?)^```", text, flags=re.S | re.M)
    indented = re.findall(r"^ {4}(.*)$", text, flags=re.M)
    return [*re.findall(r"`([^`\n]+)`", text), *(line for block in fenced for line in block.splitlines()), *indented]


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_files_that_are_named_are_there(document: Path) -> None:
    """A path with a folder in it, from the root, the package, the tests or the document's own folder; each link."""
    text = document.read_text(encoding="utf-8")
    named = [match for code in code_of(document) for match in re.findall(r"[\w.-]+(?:/[\w.*-]+)+\.\w+", code)]
    links = [
        link.partition("#")[0] for link in re.findall(r"\]\(([^)]+)\)", text) if not link.startswith(("http", "#"))
    ]
    for path in [*links, *(one for one in named if not one.startswith(MADE))]:
        places = (ROOT, PACKAGE, ROOT / "tests", document.parent)
        assert any(list(place.glob(path)) for place in places), path


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_sections_that_are_linked_to_are_there(document: Path) -> None:
    text = document.read_text(encoding="utf-8")
    for path, _, section in (link.partition("#") for link in re.findall(r"\]\(([^)]*#[^)]+)\)", text)):
        if not path.startswith("http"):
            headings = re.findall(r"^#+ (.+)$", (document.parent / path).read_text("utf-8") if path else text, re.M)
            assert section in {re.sub(r"[^\w -]", "", one).lower().replace(" ", "-") for one in headings}, section


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_modules_that_are_named_are_there(document: Path) -> None:
    for code in code_of(document):
        for dotted in re.findall(r"^gadfly(?:\.\w+)+$", code):
            place = ROOT / "src" / dotted.replace(".", "/")
            assert place.is_dir() or place.with_suffix(".py").is_file(), dotted


def test_the_readme_lists_every_module_and_package() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8").partition("## Where things are")[2]
    listed = re.findall(r"^  ([a-z_]+(?:/|\.py)) ", text, flags=re.M)
    there = {path.name for path in PACKAGE.glob("*.py")} - {"__init__.py"}
    there |= {f"{path.parent.name}/" for path in PACKAGE.glob("*/__init__.py")}
    assert sorted(listed) == sorted(there)


def test_the_architecture_has_the_layers_that_are_kept() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    contract = project["tool"]["importlinter"]["contracts"][0]
    assert contract["type"] == "layers"
    kept = [frozenset(re.findall(r"\w+", layer)) for layer in contract["layers"]]
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8").partition("## The layers")[2]
    block = re.findall(r"^```\n(.*?)^```", text, flags=re.S | re.M)[0]
    layers = [line.split("  ")[0] for line in block.splitlines() if not line.startswith(" ")]
    assert [frozenset(re.findall(r"\w+", layer)) for layer in layers] == kept


def commands(document: Path) -> Iterator[list[str]]:
    """The commands that a document gives, as words: what follows `gadfly` up to a remark or the code's end."""
    for code in code_of(document):
        line = code.removeprefix("$ ").removeprefix(".venv/bin/")
        if line.startswith("gadfly "):
            words = re.split(r"  #|\s\|", line)[0].replace("…", "").replace("\\", "")
            yield shlex.split(words)[1:]


@pytest.mark.parametrize("document", [*DOCUMENTS, ROOT / "CHANGELOG.md"], ids=lambda path: str(path.relative_to(ROOT)))
def test_commands_that_are_given_exist_with_their_options(document: Path) -> None:
    for words in commands(document):
        command: object = get_command(app)
        while isinstance(command, TyperGroup) and words and not words[0].startswith("-"):
            assert words[0] in command.commands, words
            command, words = command.commands[words[0]], words[1:]
        assert isinstance(command, (TyperCommand, TyperGroup))
        known = {name for parameter in command.params for name in parameter.opts} | {"--help"}
        given = [re.split("[=,;.:)]", word)[0] for word in words if word.startswith("-")]
        assert set(given) <= known, (command.name, given)
