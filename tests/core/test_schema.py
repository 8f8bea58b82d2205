"""The published JSON Schemas say what the reader and the certificate say."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from market.core.audit.layout import check_layout
from market.core.clearing import clear
from market.core.errors import InvalidRules, InvalidSnapshot
from market.core.parsing import document_from_json
from market.core.results import result_bytes
from market.core.snapshot import snapshot_from_bytes
from tests.architecture.repository import ROOT
from tests.mixed_books import market

SCHEMAS = ROOT / "docs" / "schema"
SEEDS = range(4)
RESULT_SEEDS = (1, 2, 6, 7)


def validator(name: str) -> jsonschema.Draft202012Validator:
    schema = json.loads((SCHEMAS / f"{name}-2.schema.json").read_bytes())
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


SNAPSHOT = validator("snapshot")
RESULT = validator("result")


def examples() -> list[Path]:
    return sorted((ROOT / "docs" / "examples").glob("*.json"))


def is_read(document: dict[str, Any]) -> bool:
    try:
        document_from_json(document)
    except (InvalidSnapshot, InvalidRules):
        return False
    return True


@pytest.mark.parametrize("path", examples(), ids=lambda path: path.stem)
def test_documented_examples_fit(path: Path) -> None:
    document = json.loads(path.read_bytes())
    assert list(SNAPSHOT.iter_errors(document)) == []
    assert is_read(document)


@pytest.mark.parametrize("seed", SEEDS)
def test_books_of_every_form_fit_as_sent_and_in_canonical_form(seed: int) -> None:
    document = market(seed)
    assert list(SNAPSHOT.iter_errors(document)) == []
    assert list(SNAPSHOT.iter_errors(document_from_json(document))) == []


def places_of(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the path of every entry of every object, one of each list per set of keys."""
    if isinstance(value, dict):
        for name, entry in value.items():
            yield (*path, name)
            yield from places_of(entry, (*path, name))
    if isinstance(value, list):
        seen: set[tuple[Any, ...]] = set()
        for index, entry in enumerate(value):
            kind = (*sorted(entry), entry.get("form")) if isinstance(entry, dict) else ()
            if kind not in seen:
                seen.add(kind)
                yield from places_of(entry, (*path, index))


def changed(document: dict[str, Any], path: tuple[Any, ...], *value: Any) -> dict[str, Any]:
    """Return a copy with an entry replaced, or, with no value, taken out."""
    copied = copy.deepcopy(document)
    entry: Any = copied
    for step in path[:-1]:
        entry = entry[step]
    if value:
        entry[path[-1]] = value[0]
    else:
        del entry[path[-1]]
    return copied


# What only the reader can know: whether ids are known, and what hangs on other entries.
REFERENCES = {
    *("bus", "place", "area", "from", "to", "element", "branch", "resource", "path", "product"),
    *("from_area", "to_area", "from_place", "to_place", "island", "parent", "hardware", "id"),
    *("owner", "labels_required", "sensitivity", "labels", "branches", "reactance_pu"),
}


def test_what_may_be_left_out_is_the_same() -> None:
    document = market(0)
    for path in places_of(document):
        # whole lists are referred to from elsewhere, which no schema sees
        if len(path) > 1 and path[-1] not in REFERENCES:
            without = changed(document, path)
            assert SNAPSHOT.is_valid(without) == is_read(without), path


@pytest.mark.parametrize("value", [None, "x", {"a": 1}, [None]])
def test_a_value_of_the_wrong_kind_is_refused_by_both(value: Any) -> None:
    document = market(0)
    for path in places_of(document):
        other = changed(document, path, value)
        fits, is_taken = SNAPSHOT.is_valid(other), is_read(other)
        if path[-1] in REFERENCES:
            assert fits or not is_taken, path
        else:
            assert fits == is_taken, path


def test_an_unknown_key_is_refused_by_both_everywhere() -> None:
    document = market(1)
    for path in places_of(document):
        if isinstance(path[-1], str) and "sensitivity" not in path[:-1]:
            other = changed(document, (*path[:-1], "colour"), "red")
            assert not SNAPSHOT.is_valid(other), path
            assert not is_read(other), path


@pytest.fixture(scope="module")
def results() -> list[dict[str, Any]]:
    """Return results of books with every form, with certificates, as published."""
    contents = [json.dumps(market(seed)).encode() for seed in RESULT_SEEDS]
    contents += [path.read_bytes() for path in examples()]
    return [json.loads(result_bytes(clear(snapshot_from_bytes(one)))) for one in contents]


def test_published_results_fit(results: list[dict[str, Any]]) -> None:
    for result in results:
        assert list(RESULT.iter_errors(result)) == []


def test_what_a_result_must_have_is_the_same(results: list[dict[str, Any]]) -> None:
    # names of ids and families are free; all other keys stand in both
    free = {"raw", "sensitivity_kw_per_kw", "certificate"}
    result = results[0]
    for path in places_of(result):
        if free & set(path) or path[0] in ("payments", "explanations"):
            continue
        for other in (changed(result, path), changed(result, (*path[:-1], "colour"), "red")):
            assert not RESULT.is_valid(other), path
            with pytest.raises(ValueError, match=r"missing|unknown"):
                check_layout(other)
