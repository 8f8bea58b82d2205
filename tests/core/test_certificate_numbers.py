"""No number of a result can be changed unnoticed, wherever it stands."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from market.core.certificate import verify_document
from market.core.errors import ResultUnverified
from market.core.snapshot import snapshot_bytes, snapshot_from_json, snapshot_sha256
from tests.books import Result
from tests.rich_books import called_book, carried_book, rich_book

Json = dict[str, Any]
Path = tuple[str | int, ...]

BOOKS = {"rich": rich_book, "carried": carried_book, "called": called_book}
CLAIMS = ("change_at_jpy_per_kwh", "change_at_jpy_per_kw", "deciding")
"""What an explanation says that nobody can prove: the audit tells only outcome and margin again."""


def _numbers(node: Any, path: Path = ()) -> Iterator[tuple[Path, float]]:
    if isinstance(node, dict):
        for name, value in node.items():
            yield from _numbers(value, (*path, name))
    elif isinstance(node, list):
        for position, value in enumerate(node):
            yield from _numbers(value, (*path, position))
    elif isinstance(node, (int, float)) and not isinstance(node, bool):
        yield path, node


def _set(node: Any, path: Path, value: float) -> None:
    for step in path[:-1]:
        node = node[step]
    node[path[-1]] = value


def _is_refused(snapshot: Json, result: Json, digest: str) -> bool:
    try:
        return not verify_document(snapshot, result, digest).passed
    except ResultUnverified:
        return True


def _unnoticed(document: Json, *, every: int) -> list[Path]:
    """Return the numbers of a result that can be raised or lowered by one unit unnoticed."""
    snapshot = snapshot_from_json(document)
    published = json.loads(snapshot_bytes(snapshot))
    result, digest = Result(document).json, snapshot_sha256(snapshot)
    del result["certificate"]
    numbers = [
        (path, value)
        for path, value in _numbers(result)
        if path[0] != "explanations" or not set(CLAIMS) & set(path)
    ]
    assert _is_refused(published, result, digest) is False
    found = []
    for position, (path, value) in enumerate(numbers[::every]):
        _set(result, path, value + (1 if position % 2 else -1))
        if not _is_refused(published, result, digest):
            found.append(path)
        _set(result, path, value)
    return found


@pytest.mark.parametrize("name", BOOKS)
def test_no_number_can_be_changed_by_one_unit(name: str) -> None:
    assert _unnoticed(BOOKS[name](), every=7) == []


@pytest.mark.slow
@pytest.mark.parametrize("name", BOOKS)
def test_not_one_number_can_be_changed_by_one_unit(name: str) -> None:
    book: Callable[[], Json] = BOOKS[name]
    assert _unnoticed(book(), every=1) == []
