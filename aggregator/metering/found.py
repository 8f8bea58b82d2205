"""Baselines of a day column by column, as bulk work finds, digests and stores them."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from uuid import UUID

import numpy as np

from accounts.fields.copying import rows_copy
from aggregator.core.baseline_variants import Variant
from aggregator.core.baselines import INTERVAL_COUNT
from aggregator.core.baselines_bulk import Found
from aggregator.core.loads import Bools, Ints, kwh_of, wh_of
from aggregator.metering.baselines import FoundBaseline
from aggregator.metering.models import Baseline, DeliveryVerification

COLUMNS = (
    "id", "verification_id", "resource_id", "delivery_on", "revision", "method", "variant",
    "baseline_kwh", "adjustment_kwh", "days_used", "reason", "computed_at", "is_locked",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True, slots=True)
class FoundColumns:
    """The baselines of some resources on a day, in order of their ids.

    Attributes
    ----------
    values_wh
        Shape (R, 48); 0 where there is none.
    is_based
        Whether there is one.
    is_locked
        Whether the one that is stored stands.
    """

    resource_ids: Sequence[UUID]
    values_wh: Ints
    adjustment_wh: Ints
    is_based: Bools
    is_locked: Bools
    methods: list[str]
    variants: list[str]
    reasons: list[str]
    days_used: list[Sequence[date]]

    def put(self, n: int, found: FoundBaseline) -> None:
        """Note the baseline of one resource, or why there is none."""
        self.methods[n], self.variants[n], self.reasons[n] = (
            found.method, found.variant, found.reason,
        )  # fmt: skip
        if found.baseline is not None:
            self.is_based[n] = True
            self.values_wh[n] = [wh_of(kwh) for kwh in found.baseline.baseline_kwh]
            self.adjustment_wh[n] = wh_of(found.baseline.adjustment_kwh)
            self.days_used[n] = found.baseline.days_used

    def put_all(self, places: Sequence[int], variant: Variant, found: Found, day: date) -> None:
        """Note those that were found together."""
        where = np.array(places)[found.is_found]
        self.is_based[where] = True
        self.values_wh[where] = found.values_wh[found.is_found]
        self.adjustment_wh[where] = found.adjustment_wh[found.is_found]
        days_back = found.days_back[found.is_found].tolist()
        for n, back in zip(where.tolist(), days_back, strict=True):
            self.methods[n], self.variants[n] = str(variant.method), variant.name
            self.days_used[n] = [day - timedelta(days=k) for k in back]

    def update(self, digest: hashlib._Hash) -> None:
        """Feed a digest with whose baselines these are and what they say."""
        digest.update(b"".join(id_.bytes for id_ in self.resource_ids))
        digest.update(self.is_based.tobytes())
        digest.update(self.values_wh.astype("<i8").tobytes())


def found_columns(resource_ids: Sequence[UUID]) -> FoundColumns:
    """Return room for the baselines of some resources, nothing found yet."""
    count = len(resource_ids)
    return FoundColumns(
        resource_ids=resource_ids,
        values_wh=np.zeros((count, INTERVAL_COUNT), dtype=np.int64),
        adjustment_wh=np.zeros(count, dtype=np.int64),
        is_based=np.zeros(count, dtype=np.bool_),
        is_locked=np.zeros(count, dtype=np.bool_),
        methods=[""] * count,
        variants=[""] * count,
        reasons=[""] * count,
        days_used=[()] * count,
    )


def found_write(
    found: FoundColumns,
    *,
    verification: DeliveryVerification,
    delivery_on: date,
    computed_at: datetime,
    is_final: bool,
) -> None:
    """Store what a verification found; a final one locks it, and what is locked stays.

    Inside the transaction that writes the verification. A preliminary one that says what is
    stored already is not stored again.
    """
    known = {
        row.resource_id: row
        for row in Baseline.objects.filter(
            resource_id__in=found.resource_ids, delivery_on=delivery_on
        ).order_by("revision")
    }
    rows = []
    for n, resource_id in enumerate(found.resource_ids):
        earlier = known.get(resource_id)
        if earlier is not None and (
            earlier.is_locked or (not is_final and _is_same(earlier, found, n))
        ):
            continue
        rows.append(
            (
                uuid.uuid4(),
                verification.pk,
                resource_id,
                delivery_on,
                1 if earlier is None else earlier.revision + 1,
                found.methods[n],
                found.variants[n],
                _array(found.values_wh[n]) if found.is_based[n] else None,
                kwh_of(int(found.adjustment_wh[n])),
                list(found.days_used[n]),
                found.reasons[n],
                computed_at,
                is_final,
            )
        )
    if rows:
        rows_copy(Baseline, COLUMNS, rows)


def _is_same(row: Baseline, found: FoundColumns, n: int) -> bool:
    if row.baseline_kwh is None:
        return not found.is_based[n] and row.reason == found.reasons[n]
    return (
        bool(found.is_based[n])
        and [wh_of(kwh) for kwh in row.baseline_kwh] == found.values_wh[n].tolist()
        and wh_of(row.adjustment_kwh) == found.adjustment_wh[n]
        and list(row.days_used) == list(found.days_used[n])
    )


def _array(values_wh: Ints) -> str:
    """Write whole Wh as an array of kWh, the way PostgreSQL reads one."""
    return "{" + ",".join(f"{wh}e-3" for wh in values_wh.tolist()) + "}"
