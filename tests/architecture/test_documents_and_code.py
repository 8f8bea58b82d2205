"""What the documents say of the code is so: states, commands, paths and tests they name."""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.core.management import get_commands
from django.db import connection

from tests.architecture.repository import ROOT, files, python_files

READMES = (Path("README.md"), Path("docs/README.ja.md"))
STATES = Path("docs/states.md")
DECISIONS = Path("docs/adr")
PARTS = ("## Context", "## Decision", "## What we give up", "## How it is checked")
FENCED = re.compile(r"```.*?```", flags=re.DOTALL)
PATH_NAMED = re.compile(r"`([\w-]+/[\w/.-]*)`")
OUR_FOLDERS = ("accounts", "market", "aggregator", "tests", "deploy", "docs")

Edges = set[tuple[str, str]]


def _text(path: Path) -> str:
    return (ROOT / path).read_text(encoding="utf-8")


def _pages() -> list[Path]:
    return [path for path in files() if path.suffix == ".md"]


def _state_sections() -> Iterator[tuple[str, str | None, Edges]]:
    """Table in the database, dotted name of the dict if one is named, and the edges."""
    for section in _text(STATES).split("\n## ")[1:]:
        table = re.search(r"^Table `(\w+)`", section, flags=re.MULTILINE)
        if table is None:
            continue
        dotted = re.search(r"edges\s+from\s+`([\w.]+)`", section)
        edges = set(re.findall(r"^\| ([A-Z_]+) \| ([A-Z_]+) \|", section, flags=re.MULTILINE))
        yield table[1], dotted[1] if dotted else None, edges


def _code_edges(dotted: str) -> Edges:
    module, _, name = dotted.rpartition(".")
    table = getattr(importlib.import_module(module), name)
    return {(str(before), str(after)) for before, to in table.items() for after in to}


@pytest.mark.parametrize(
    ("dotted", "edges"),
    [(dotted, edges) for _, dotted, edges in _state_sections() if dotted],
    ids=[dotted for _, dotted, _ in _state_sections() if dotted],
)
def test_a_table_of_states_is_the_one_in_the_code(dotted: str, edges: Edges) -> None:
    assert edges == _code_edges(dotted)


def test_every_table_of_moves_in_the_code_is_documented() -> None:
    defined = {
        f"{str(path.with_suffix('')).replace('/', '.')}.{name}"
        for path in python_files(with_tests=False)
        for name in re.findall(r"^(\w*TRANSITIONS)\b", _text(path), flags=re.MULTILINE)
    }
    assert {dotted for _, dotted, _ in _state_sections() if dotted} == defined


@pytest.mark.django_db
def test_the_database_lets_states_move_as_documented() -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT tgrelid::regclass::text, pg_get_triggerdef(pg_trigger.oid) FROM pg_trigger
            JOIN pg_proc ON pg_proc.oid = tgfoid
            WHERE NOT tgisinternal AND proname = 'guard_transitions'
            """
        )
        guarded = {
            table: set(re.findall(r"'([A-Z_]+)>([A-Z_]+)'", definition))
            for table, definition in cursor.fetchall()
        }
    documented = {table: edges for table, _, edges in _state_sections()}
    # a move to the same state is none to a trigger: it compares old and new
    moves = {table: {(a, b) for a, b in edges if a != b} for table, edges in documented.items()}
    assert guarded == {table: moves.get(table) for table in guarded}


@pytest.mark.parametrize("readme", READMES, ids=str)
def test_every_command_a_readme_names_exists(readme: Path) -> None:
    named = set(re.findall(r"manage\.py ([a-z_]+)", _text(readme)))
    assert {"demo", "test"} <= named
    assert named - get_commands().keys() == set()


def test_the_two_readmes_name_the_same_commands() -> None:
    english, japanese = (
        sorted(set(re.findall(r"`python3 (manage\.py [^`]+)`", _text(readme))))
        for readme in READMES
    )
    assert english == japanese


def test_every_path_a_page_names_exists() -> None:
    known = {str(path) for path in files()}
    known |= {str(parent) for path in files() for parent in path.parents}
    lost = [
        f"{page}: {name}"
        for page in _pages()
        for name in PATH_NAMED.findall(FENCED.sub("", _text(page)))
        if name.split("/")[0] in OUR_FOLDERS and name.rstrip("/") not in known
    ]
    assert lost == []


def test_every_test_a_page_names_exists() -> None:
    written = "\n".join(_text(path) for path in python_files() if path.parts[0] == "tests")
    defined = set(re.findall(r"def (test_\w+)", written))
    lost = [
        f"{page}: {name}"
        for page in _pages()
        for name in re.findall(r"`(test_\w+)`", _text(page))
        if name not in defined
    ]
    assert lost == []


def _decisions() -> list[Path]:
    return sorted(path for path in files() if path.parent == DECISIONS and path.name != "README.md")


def test_decisions_are_numbered_without_a_gap() -> None:
    numbers = [int(path.name[:4]) for path in _decisions()]
    assert numbers == list(range(1, len(numbers) + 1))


def test_a_decision_says_what_it_costs_and_how_it_is_checked() -> None:
    wanting = [
        f"{path}: {part}"
        for path in _decisions()
        for part in PARTS
        if f"\n{part}\n" not in _text(path)
    ]
    assert wanting == []


def test_a_decision_is_listed_under_its_own_title() -> None:
    index = _text(DECISIONS / "README.md")
    listed = re.findall(r"^\| \[(\d{4})\]\(([^)]+)\) \| (.+) \|$", index, flags=re.MULTILINE)
    expected = []
    for path in _decisions():
        heading = _text(path).splitlines()[0]
        number, _, title = heading.removeprefix("# ").partition(" ")
        expected.append((number, path.name, title))
    assert listed == expected


def test_pictures_ask_no_other_host_for_anything() -> None:
    asking = [
        f"{path}: {address}"
        for path in files()
        if path.suffix == ".svg"
        for address in re.findall(r"(?:href|src|url)\s*[=(]\s*[\"']?(\w+://[^\"')]+)", _text(path))
    ]
    assert asking == []
