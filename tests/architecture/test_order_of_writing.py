"""Rows told apart by moment and id have ids in the order in which they were written."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from uuid import RFC_4122, UUID

from django.apps import apps
from django.db.models import Model, UUIDField

from accounts.fields.keys import uuid7

MOMENTS = ("_at", "at")
# Their moment is not when the row was written, or `docs/api.md` promises no order among twins.
OTHERWISE = {
    "dispatch.DispatchInstruction",  # by when it starts
    "ledger.Transfer",  # its id is derived from what it is for
    "trading.Bid",  # within a basket the receipt's leaf numbers are the order
}


def _orders(model: type[Model]) -> Iterator[list[str]]:
    yield [str(name).removeprefix("-") for name in model._meta.ordering]
    for index in model._meta.indexes:
        yield [name.removeprefix("-") for name in index.fields]


def test_ids_of_rows_listed_by_moment_and_id_are_in_order_of_writing() -> None:
    wrong = set()
    for model in apps.get_models():
        key = model._meta.pk
        if not isinstance(key, UUIDField) or key.default is uuid7:
            continue
        for names in _orders(model):
            if names[-1:] == ["id"] and len(names) > 1 and names[-2].endswith(MOMENTS):
                wrong.add(model._meta.label)
    assert wrong == OTHERWISE


def test_ids_rise_one_by_one_and_say_when() -> None:
    before_ms = time.time_ns() // 1_000_000
    ids = [uuid7() for _ in range(20_000)]  # more than there are ticks in the time they take
    assert ids == sorted(ids)
    assert len(set(ids)) == len(ids)
    assert {(one.version, one.variant) for one in ids} == {(7, RFC_4122)}
    assert before_ms <= ids[0].int >> 80 <= time.time_ns() // 1_000_000


def test_threads_share_no_tick() -> None:
    def made(_: int) -> list[UUID]:
        return [uuid7() for _ in range(2_000)]

    with ThreadPoolExecutor(4) as pool:
        ids = [one for batch in pool.map(made, range(4)) for one in batch]
    assert len({one.int >> 64 for one in ids}) == 8_000
