"""What counts on the orders of one day, all meters at once: readings and baselines in, rows out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

import numpy as np

from aggregator.core.baselines import INTERVAL_COUNT
from aggregator.core.delivery import Cause
from aggregator.core.delivery_bulk import deliver_in_bulk
from aggregator.core.loads import Bools, Ints
from aggregator.metering.columns import CAUSES, Columns, keys_of
from aggregator.metering.excuses import Excuse

HALF_HOUR = timedelta(minutes=30)
VOIDS = np.array([CAUSES.index(c) for c in (Cause.NONE, Cause.OPTED_OUT, Cause.REPLACED)])
EXCUSED, NOT_METERED = CAUSES.index(Cause.EXCUSED), CAUSES.index(Cause.NOT_METERED)


@dataclass(frozen=True, kw_only=True, slots=True)
class OrderedAward:
    """What one award orders on the day; `void` is its place among :data:`VOIDS`."""

    id: UUID
    auction_id: UUID
    resource_id: UUID
    site_id: UUID
    kind: str
    is_up: bool
    void: int
    slots: Ints
    ordered_wh: Ints


@dataclass(frozen=True, kw_only=True, slots=True)
class Shown:
    """What meters show in half hours ordered, beside their baselines; 0 where there is none.

    Attributes
    ----------
    is_read, is_metered
        Whether a reading prevails that may be counted, and whether it is usable.
    """

    baseline_wh: Ints
    metered_wh: Ints
    revision: Ints
    stage: Ints
    is_based: Bools
    is_metered: Bools
    is_read: Bools


def columns_counted(
    *,
    day_at: datetime,
    awards: Sequence[OrderedAward],
    award: Ints,
    t: Ints,
    resource: Ints,
    shown: Shown,
    excuses: Sequence[Excuse],
) -> Columns:
    """Count orders of one day, each against what its meter shows.

    Parameters
    ----------
    awards
        In order of resource and id.
    award, t, resource
        Of each half hour ordered: its place among the awards, when, and a number of its resource.
    """
    ordered_wh = np.concatenate([of.ordered_wh for of in awards])
    is_excused = _excused(excuses, day_at, awards, award, t)
    void = VOIDS[np.array([of.void for of in awards])[award]]
    is_known = shown.is_based & shown.is_metered
    delivered_wh, over_wh = _shared(
        resource * INTERVAL_COUNT + t,
        void > 0,
        np.array([of.is_up for of in awards])[award],
        ordered_wh,
        np.where(is_known, shown.baseline_wh - shown.metered_wh, 0),
        is_known,
    )
    cause = np.where(shown.is_metered, CAUSES.index(Cause.NONE), NOT_METERED)
    cause = np.where(is_excused, EXCUSED, cause)
    return Columns(
        day_at=day_at,
        award=keys_of([of.id for of in awards])[award],
        t=t,
        ordered_wh=ordered_wh,
        delivered_wh=delivered_wh,
        over_wh=over_wh,
        baseline_wh=shown.baseline_wh,
        metered_wh=shown.metered_wh,
        revision=shown.revision,
        stage=shown.stage,
        cause=np.where(void > 0, void, cause),
        is_based=shown.is_based,
        is_metered=shown.is_metered,
        is_read=shown.is_read,
        is_excused=is_excused,
    )


def _shared(
    place: Ints, is_void: Bools, is_up: Bools, ordered_wh: Ints, change_wh: Ints, is_known: Bools
) -> tuple[Ints, Ints]:
    """Share what each meter shows among its orders; what was declined takes no part."""
    delivered_wh, over_wh = np.zeros_like(ordered_wh), np.zeros_like(ordered_wh)
    taking = np.flatnonzero(~is_void)
    if len(taking):
        # orders of one place follow one another in the order of their awards
        _, first, group = np.unique(place[taking], return_index=True, return_inverse=True)
        delivered_wh[taking], over_wh[taking] = deliver_in_bulk(
            group=group.ravel(),
            is_up=is_up[taking],
            ordered_wh=ordered_wh[taking],
            change_wh=change_wh[taking][first],
            is_known=is_known[taking][first],
        )
    return delivered_wh, over_wh


def _excused(
    excuses: Sequence[Excuse],
    day_at: datetime,
    awards: Sequence[OrderedAward],
    award: Ints,
    t: Ints,
) -> Bools:
    found = np.zeros(len(t), dtype=np.bool_)
    for excuse in excuses:
        touched = np.array(
            [
                excuse.starts_at < day_at + (n + 1) * HALF_HOUR
                and excuse.ends_at > day_at + n * HALF_HOUR
                for n in range(INTERVAL_COUNT)
            ]
        )
        whose = np.array(
            [
                excuse.resource_id in (None, of.resource_id)
                and excuse.site_id in (None, of.site_id)
                for of in awards
            ]
        )
        found |= touched[t] & whose[award]
    return found
