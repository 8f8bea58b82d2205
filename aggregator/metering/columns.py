"""Deliveries column by column, as bulk work counts, digests and writes them."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from aggregator.core.delivery import Cause
from aggregator.core.loads import Bools, Ints, kwh_of, wh_of
from aggregator.metering.binary import EPOCH_2000_US, numeric, rows_in
from aggregator.metering.counting import Row

CAUSES: Final = tuple(cause.value for cause in Cause)
HALF_HOUR: Final = timedelta(minutes=30)
HALF_HOUR_US: Final = 1_800_000_000
TABLE: Final = "metering_delivery"
ROWS_PER_BLOCK: Final = 16_384


@dataclass(frozen=True, kw_only=True, slots=True)
class Columns:
    """What counts on the awards of an auction, in order of award and half hour.

    Attributes
    ----------
    award
        The award's key, 16 bytes each.
    is_read, is_metered, is_based
        Whether a reading prevails, whether it is usable, and whether there is a baseline; what
        depends on them is 0 elsewhere.
    cause
        Its place in :data:`CAUSES`.
    """

    day_at: datetime
    award: NDArray[np.void]
    t: Ints
    ordered_wh: Ints
    delivered_wh: Ints
    over_wh: Ints
    baseline_wh: Ints
    metered_wh: Ints
    revision: Ints
    stage: Ints
    cause: Ints
    is_based: Bools
    is_metered: Bools
    is_read: Bools
    is_excused: Bools

    def __len__(self) -> int:
        """How many half hours of awards there are."""
        return len(self.t)

    @property
    def shortfall_kwh(self) -> Decimal:
        """What awards are short of in all."""
        return kwh_of(int((self.ordered_wh - self.delivered_wh).sum()))

    def update(self, digest: hashlib._Hash) -> None:
        """Feed a digest with everything, in an order and layout of its own."""
        for field in fields(self)[1:]:
            column = getattr(self, field.name)
            if field.name != "award":
                column = column.astype("<i8")
            digest.update(f"{field.name} {len(self)}\n".encode())
            digest.update(column.tobytes())

    def taken(self, which: Sequence[int] | NDArray[Any]) -> Columns:
        """Return some of the rows, in the order given."""
        parts = {field.name: getattr(self, field.name)[which] for field in fields(self)[1:]}
        return Columns(day_at=self.day_at, **parts)

    def values(self) -> list[tuple[Any, ...]]:
        """Return rows as tuples in the order of the table's columns; see ``DELIVERY_COLUMNS``."""
        return [
            (
                UUID(bytes=award), t, self.day_at + t * HALF_HOUR, kwh_of(ordered),
                kwh_of(baseline) if is_based else None, kwh_of(metered) if is_metered else None,
                kwh_of(delivered), kwh_of(ordered - delivered), kwh_of(over),
                revision if is_read else None, stage if is_read else None, CAUSES[cause],
                is_excused,
            )
            for (
                award, t, ordered, delivered, over, baseline, metered, revision, stage, cause,
                is_based, is_metered, is_read, is_excused,
            ) in zip(
                *(getattr(self, field.name).tolist() for field in fields(self)[1:]), strict=True
            )
        ]  # fmt: skip


def columns_of(rows: Sequence[Row], *, day_at: datetime) -> Columns:
    """Return rows of awards, one by one counted, as columns in their order."""
    readings = [(row.reading_revision or 0, row.reading_stage or 0) for row in rows]

    def whole(values: Sequence[Decimal | None]) -> Ints:
        return np.array([0 if kwh is None else wh_of(kwh) for kwh in values], dtype=np.int64)

    return Columns(
        day_at=day_at,
        award=keys_of([row.order.award_id for row in rows]),
        t=np.array([row.order.t for row in rows], dtype=np.int64),
        ordered_wh=whole([row.ordered_kwh for row in rows]),
        delivered_wh=whole([row.delivered_kwh for row in rows]),
        over_wh=whole([row.over_kwh for row in rows]),
        baseline_wh=whole([row.baseline_kwh for row in rows]),
        metered_wh=whole([row.metered_kwh for row in rows]),
        revision=np.array([revision for revision, _ in readings], dtype=np.int64),
        stage=np.array([stage for _, stage in readings], dtype=np.int64),
        cause=np.array([CAUSES.index(row.cause) for row in rows], dtype=np.int64),
        is_based=np.array([row.baseline_kwh is not None for row in rows], dtype=np.bool_),
        is_metered=np.array([row.metered_kwh is not None for row in rows], dtype=np.bool_),
        is_read=np.array([row.reading_stage is not None for row in rows], dtype=np.bool_),
        is_excused=np.array([row.is_excused for row in rows], dtype=np.bool_),
    )


def keys_of(ids: Sequence[UUID]) -> NDArray[np.void]:
    """Return keys as 16 bytes each."""
    return np.frombuffer(b"".join(id_.bytes for id_ in ids), dtype="V16")


def merged(parts: Sequence[Columns]) -> Columns:
    """Return all rows of some columns in order of award and half hour."""
    names = [field.name for field in fields(Columns)[1:]]
    joined = {name: np.concatenate([getattr(part, name) for part in parts]) for name in names}
    found = Columns(day_at=parts[0].day_at, **joined)
    high, low = found.award.view(">u8").reshape(-1, 2).T
    return found.taken(np.lexsort((found.t, low, high)))


def columns_write(found: Sequence[tuple[Columns, int]]) -> None:
    """Write deliveries, each under the verification named with them, inside its transaction."""
    blocks = []
    for columns, verification_id in found:
        shape = columns.cause * 8 + columns.is_based * 4 + columns.is_metered * 2 + columns.is_read
        for key in np.unique(shape):
            alike = np.flatnonzero(shape == key)
            for first in range(0, len(alike), ROWS_PER_BLOCK):
                part = columns.taken(alike[first : first + ROWS_PER_BLOCK])
                blocks.append((len(part), _encoded(part, verification_id)))
    if blocks:
        rows_in(TABLE, blocks)


def _encoded(part: Columns, verification_id: int) -> dict[str, NDArray[Any] | bytes | None]:
    """Return rows with the same nulls and the same cause as their fields on the wire."""
    day_us = int(part.day_at.timestamp()) * 1_000_000 - EPOCH_2000_US
    return {
        "verification_id": verification_id.to_bytes(8, "big"),
        "award_id": part.award,
        "t": part.t.astype(">i2"),
        "start_at": (day_us + part.t * HALF_HOUR_US).astype(">i8"),
        "ordered_kwh": numeric(part.ordered_wh),
        "baseline_kwh": numeric(part.baseline_wh) if part.is_based[0] else None,
        "metered_kwh": numeric(part.metered_wh) if part.is_metered[0] else None,
        "delivered_kwh": numeric(part.delivered_wh),
        "shortfall_kwh": numeric(part.ordered_wh - part.delivered_wh),
        "over_kwh": numeric(part.over_wh),
        "reading_revision": part.revision.astype(">i2") if part.is_read[0] else None,
        "reading_stage": part.stage.astype(">i2") if part.is_read[0] else None,
        "cause": CAUSES[int(part.cause[0])].encode(),
        "is_excused": part.is_excused.astype(">i1"),
    }
