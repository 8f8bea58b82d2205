"""The readings that verifications of many sites and days stand on, fetched once."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from aggregator.core.baselines import INTERVAL_COUNT
from aggregator.core.loads import Bools, Loads
from aggregator.metering.binary import integers, rows_out
from aggregator.metering.calendar import day_start
from aggregator.metering.models import Meter, Quality
from aggregator.metering.selectors import HALF_HOUR_S, called_days

# A half hour is a row with an array of meters: a week of a large market is some ten million bytes.
DAYS_AT_ONCE = 7
QUALITY_BITS, STAGE_BITS = 2, 2
USABLE_MAX = int(Quality.ESTIMATED)

READINGS_SQL = """
SELECT extract(epoch FROM start_at)::bigint / 1800, array_agg(meter_id),
       array_agg(COALESCE((energy_kwh * 1000)::bigint, 0)),
       array_agg(((revision::integer << 2 | stage) << 2) | quality)
FROM metering_intervalreading
WHERE start_at >= %(start_at)s AND start_at < %(end_at)s AND meter_id = ANY(%(meters)s)
  AND available_at <= %(as_of)s
GROUP BY start_at
"""


@dataclass(frozen=True, kw_only=True)
class Source:
    """What meters said over a span of days, and on which of them resources were called.

    Attributes
    ----------
    row_of
        Where each resource lies in the loads.
    called
        Whether something was ordered of a resource on a day; shape (R, D).
    as_of
        Readings that became available later do not exist, nor calls that were noted later.
    """

    row_of: Mapping[UUID, int]
    loads: Loads
    called: Bools
    as_of: datetime


def source_read(
    *,
    resource_ids: Collection[UUID],
    reach_days: Mapping[UUID, int],
    days: tuple[date, date],
    overhang_days: int,
    as_of: datetime,
) -> Source:
    """Fetch what a span of delivery days stands on.

    Parameters
    ----------
    resource_ids
        Whose.
    reach_days
        How far the baseline of each looks back; of those that are not in it nothing before the
        span is read.
    days
        First and last delivery day.
    overhang_days
        How far beyond the last one a baseline may look.
    """
    ordered = sorted(resource_ids)
    row_of = {id_: row for row, id_ in enumerate(ordered)}
    meters = dict(Meter.objects.filter(resource_id__in=ordered).values_list("resource_id", "id"))
    reach = max(reach_days.values(), default=0)
    # one day more than the look-back: an early event's window lies on the evening before
    first_on = days[0] - timedelta(days=reach + 1)
    count = (days[1] - first_on).days + 1 + overhang_days
    shape = (len(ordered), count, INTERVAL_COUNT)
    values = np.zeros(shape, dtype=np.int64)
    codes = np.zeros(shape, dtype=np.int64)
    looking_back = {id_: row_of[id_] for id_ in meters if id_ in reach_days}
    for rows, since_on, until_on in (
        (looking_back, first_on, days[0]),
        ({id_: row_of[id_] for id_ in meters}, days[0], first_on + timedelta(days=count)),
    ):
        of_meter = {meters[id_]: row for id_, row in rows.items()}
        _fill(values, codes, of_meter, first_on, (since_on, until_on), as_of)
    stage = (codes >> QUALITY_BITS & (1 << STAGE_BITS) - 1).astype(np.int8)
    return Source(
        row_of=row_of,
        loads=Loads(
            first_on=first_on,
            values_wh=values,
            known=(stage > 0) & (codes & (1 << QUALITY_BITS) - 1 <= USABLE_MAX),
            stage=stage,
            revision=(codes >> QUALITY_BITS + STAGE_BITS).astype(np.int16),
        ),
        called=_called(ordered, row_of, (first_on, days[1]), count, as_of),
        as_of=as_of,
    )


def _fill(
    values: NDArray[np.int64],
    codes: NDArray[np.int64],
    of_meter: Mapping[int, int],
    first_on: date,
    span: tuple[date, date],
    as_of: datetime,
) -> None:
    """Read a span of days into the arrays: of several values of a half hour the one that prevails.

    The highest stage prevails, of that the latest revision; what is not usable counts nothing.
    """
    if not of_meter:
        return
    row_of = np.full(max(of_meter) + 1, -1, dtype=np.int64)
    row_of[list(of_meter)] = list(of_meter.values())
    width = values.shape[1] * INTERVAL_COUNT
    midnight = int(day_start(first_on).timestamp()) // HALF_HOUR_S
    flat_values, flat_codes = values.reshape(-1), codes.reshape(-1)
    since_on, until_on = span
    while since_on < until_on:
        next_on = min(since_on + timedelta(days=DAYS_AT_ONCE), until_on)
        for field, *arrays in rows_out(
            READINGS_SQL,
            {
                "start_at": day_start(since_on), "end_at": day_start(next_on),
                "meters": list(of_meter), "as_of": as_of,
            },
        ):  # fmt: skip
            slot = int.from_bytes(field or b"", "big") - midnight
            at = row_of[integers(arrays[0], 8)] * width + slot
            energy, code = integers(arrays[1], 8), integers(arrays[2], 4).astype(np.int64)
            quality = code & (1 << QUALITY_BITS) - 1
            # revisions are counted from 1: a half hour has two values only where one is higher
            if (code >> QUALITY_BITS + STAGE_BITS).max(initial=0) > 1:
                stage = code >> QUALITY_BITS & (1 << STAGE_BITS) - 1
                # what comes later in this order is what stays
                order = np.lexsort((code >> QUALITY_BITS + STAGE_BITS, stage))
                at, energy, code, quality = at[order], energy[order], code[order], quality[order]
            flat_values[at] = np.where(quality <= USABLE_MAX, energy, 0)
            flat_codes[at] = code
        since_on = next_on


def _called(
    ordered: Sequence[UUID],
    row_of: Mapping[UUID, int],
    span: tuple[date, date],
    count: int,
    as_of: datetime,
) -> Bools:
    first_on, last_on = span
    called = np.zeros((len(ordered), count), dtype=np.bool_)
    found = called_days(
        resource_ids=ordered,
        before_on=last_on + timedelta(days=1),
        lookback_days=(last_on - first_on).days + 1,
        as_of=as_of,
    )
    for resource_id, days in found.items():
        called[row_of[resource_id], [(day - first_on).days for day in days]] = True
    return called
