"""Count again what became known of several auctions, set by set.

:func:`~aggregator.metering.outcomes.outcome_of` says what counts at each place; a property test
holds the two equal. As in whole looks, resources with shifts, stand-ins, capacity held ready or an
instruction taken back go that way here, too, and so does a resource nobody looked at before.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

import numpy as np
from django.db import connection
from numpy.typing import NDArray

from aggregator.core.baselines import INTERVAL_COUNT
from aggregator.core.loads import Ints
from aggregator.dispatch.services import OTHER_END
from aggregator.metering.affected import (
    LOOKED_SQL,
    WANTED_SQL,
    Look,
    Masks,
    looks_parameters,
    places_affected,
    places_of,
)
from aggregator.metering.binary import Field, integers, rows_out
from aggregator.metering.bulk import bound_sql
from aggregator.metering.bulk_counting import OrderedAward, Shown, columns_counted
from aggregator.metering.columns import CAUSES, Columns, keys_of
from aggregator.metering.delivery_rules import delivery_rules
from aggregator.metering.excuses import Excuse, excuses_within
from aggregator.metering.models import Quality, VerificationStage
from aggregator.metering.outcome_rows import differing
from aggregator.metering.outcomes import Outcome, outcome_of

# No energy of one half hour is near it: stands for null in an array of whole Wh.
NULL_WH: Final = -(2**62)
BOUND_SQL: Final = f"""
WITH {LOOKED_SQL}, {WANTED_SQL}
{bound_sql("JOIN wanted w ON w.n = l.n AND w.resource_id = {resource}")}
"""
# Of each award at a place that is wanted: its half hours, the readings that prevail in them, the
# locked baseline, and of the auction's own what counts until now.
ORDERED_SQL: Final = f"""
WITH {LOOKED_SQL}, {WANTED_SQL},
chain AS MATERIALIZED (
    SELECT l.n, array_agg(c.id) AS ids
    FROM looked l CROSS JOIN LATERAL verification_chain(l.verification_id) c GROUP BY l.n
)
SELECT w.n, a.id, a.auction_id, a.resource_id, r.site_id, convert_to(r.kind, 'UTF8'),
       a.direction = 'UP',
       CASE WHEN d.state = 'OPTED_OUT' THEN 1::smallint WHEN d.state = 'REPLACED' THEN 2
            WHEN d.state = 'CANCELLED' THEN 1 ELSE 0 END,
       b.id IS NOT NULL, i.slots, i.ordered_wh, i.based_wh, i.metered_wh, i.code,
       old.slots, old.in_turn, old.ordered_wh, old.delivered_wh, old.over_wh, old.based_wh,
       old.metered_wh, old.said
FROM wanted w
JOIN looked l ON l.n = w.n
JOIN trading_auction u ON u.delivery_on = l.delivery_on
 AND u.state IN ('PUBLISHED', 'PUBLISHED_BY_FALLBACK', 'SETTLED')
JOIN clearing_award a ON a.auction_id = u.id AND a.resource_id = w.resource_id
JOIN clearing_clearingrun c ON c.id = a.run_id AND c.state = 'PUBLISHED'
JOIN registry_resource r ON r.id = a.resource_id
LEFT JOIN metering_meter m ON m.resource_id = a.resource_id
LEFT JOIN metering_baseline b
  ON b.resource_id = a.resource_id AND b.delivery_on = l.delivery_on AND b.is_locked
LEFT JOIN dispatch_dispatchinstruction d ON d.award_id = a.id AND d.version = 1
JOIN LATERAL (
    SELECT array_agg(i.t) AS slots, array_agg((i.quantity_kw * 500)::bigint) AS ordered_wh,
           array_agg(coalesce((b.baseline_kwh[i.t + 1] * 1000)::bigint, %(null)s)) AS based_wh,
           array_agg(coalesce(n.wh, 0)) AS metered_wh, array_agg(coalesce(n.code, 0)) AS code
    FROM clearing_awardinterval i
    LEFT JOIN LATERAL (
        SELECT coalesce((n.energy_kwh * 1000)::bigint, 0) AS wh,
               (n.revision::integer << 2 | n.stage) << 2 | n.quality AS code
        FROM metering_intervalreading n
        WHERE n.meter_id = m.id AND n.start_at = i.start_at AND n.available_at <= %(as_of)s
          AND n.start_at >= %(first_at)s AND n.start_at < %(last_at)s
        ORDER BY n.stage DESC, n.revision DESC LIMIT 1
    ) AS n ON true
    WHERE i.award_id = a.id AND i.quantity_kw > 0 AND w.mask >> i.t & 1 = 1
) AS i ON i.slots IS NOT NULL
LEFT JOIN LATERAL (
    SELECT array_agg(o.t) AS slots, array_agg(o.verification_id) AS in_turn,
           array_agg((o.ordered_kwh * 1000)::bigint) AS ordered_wh,
           array_agg((o.delivered_kwh * 1000)::bigint) AS delivered_wh,
           array_agg((o.over_kwh * 1000)::bigint) AS over_wh,
           array_agg(coalesce((o.baseline_kwh * 1000)::bigint, %(null)s)) AS based_wh,
           array_agg(coalesce((o.metered_kwh * 1000)::bigint, %(null)s)) AS metered_wh,
           array_agg(((coalesce(o.reading_revision, 0)::bigint << 4
                       | coalesce(o.reading_stage, 0)) << 4
                      | array_position(%(causes)s::text[], o.cause::text)) << 1
                     | o.is_excused::integer) AS said
    FROM chain
    JOIN metering_delivery o ON o.verification_id = ANY(chain.ids) AND o.award_id = a.id
    WHERE chain.n = w.n AND w.mask >> o.t & 1 = 1
) AS old ON a.auction_id = l.auction_id
ORDER BY w.n, a.resource_id, a.id
"""  # noqa: S608 - constants of our own
OLD_COLUMNS: Final = (
    "t", "in_turn", "ordered_wh", "delivered_wh", "over_wh", "based_wh", "metered_wh", "said",
)  # fmt: skip
OLD_BYTES: Final = (2, 8, 8, 8, 8, 8, 8, 8)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Asked:
    """One award at places to be counted again, in one look."""

    award: OrderedAward
    is_locked: bool
    baseline_wh: Ints
    metered_wh: Ints
    code: Ints
    old: Mapping[str, Ints]


def outcomes_corrected(looks: Sequence[Look], *, as_of: datetime) -> list[Outcome]:
    """Count what became known of several auctions since they were looked at, writing nothing.

    A reading that is not to be paid on yet is none yet.

    Returns
    -------
    list of Outcome
        Of each look, in their order, what counts otherwise than before; mostly nothing.
    """
    masks = places_affected(looks) if looks else {}
    if not masks:
        return [_nothing(look, as_of) for look in looks]
    bound = _bound(looks, masks)
    asked = _asked(looks, {key: masks[key] for key in masks if key not in bound}, as_of)
    unseen = {
        (number, row.award.resource_id)
        for number, rows in asked.items()
        for row in rows
        if not row.is_locked
    }
    alone = {key: masks[key] for key in bound | unseen}
    excuses = excuses_within(
        starts_at=min(look.day_at for look in looks),
        ends_at=max(look.day_at for look in looks) + timedelta(days=1),
        as_of=as_of,
    )
    found = []
    for look in looks:
        outcome = _nothing(look, as_of)
        if places := places_of(look.number, alone):
            outcome = outcome_of(
                look.auction, stage=VerificationStage.FINAL, as_of=as_of, places=places,
                is_patient=True,
            )  # fmt: skip
            outcome = differing(outcome, look.before)
        rows = [
            row
            for row in asked.get(look.number, ())
            if (look.number, row.award.resource_id) not in unseen
        ]
        found.append(replace(outcome, columns=_changed(look, rows, excuses)))
    return found


def _nothing(look: Look, as_of: datetime) -> Outcome:
    return Outcome(auction=look.auction, stage=VerificationStage.FINAL, as_of=as_of)


def _bound(looks: Sequence[Look], masks: Masks) -> set[tuple[int, UUID]]:
    """Return what depends on more than its own meter."""
    parameters = looks_parameters(looks, masks) | {"other_end": f"%{OTHER_END}%"}
    with connection.cursor() as cursor:
        cursor.execute(BOUND_SQL, parameters)
        return {(number, resource_id) for number, resource_id in cursor}


def _asked(looks: Sequence[Look], masks: Masks, as_of: datetime) -> dict[int, list[_Asked]]:
    """Return the orders at the places, with what they are held against, by look."""
    found: dict[int, list[_Asked]] = defaultdict(list)
    if not masks:
        return found
    parameters = looks_parameters(looks, masks) | {
        "as_of": as_of, "null": NULL_WH, "causes": list(CAUSES),
    }  # fmt: skip
    for row in rows_out(ORDERED_SQL, parameters):
        id_, of_auction, resource_id, site_id = (UUID(bytes=bytes(f or b"")) for f in row[1:5])
        award = OrderedAward(
            id=id_,
            auction_id=of_auction,
            resource_id=resource_id,
            site_id=site_id,
            kind=bytes(row[5] or b"").decode(),
            is_up=bytes(row[6] or b"") == b"\x01",
            void=int.from_bytes(row[7] or b"", "big"),
            slots=integers(row[9], 2).astype(np.int64),
            ordered_wh=integers(row[10], 8),
        )
        found[int.from_bytes(row[0] or b"", "big")].append(
            _Asked(
                award=award,
                is_locked=bytes(row[8] or b"") == b"\x01",
                baseline_wh=integers(row[11], 8),
                metered_wh=integers(row[12], 8),
                code=integers(row[13], 4).astype(np.int64),
                old=_old(row[14:]),
            )
        )
    return found


def _old(fields: Sequence[Field]) -> dict[str, Ints]:
    return {
        name: integers(field, size).astype(np.int64)
        for name, field, size in zip(OLD_COLUMNS, fields, OLD_BYTES, strict=True)
    }


def _changed(look: Look, rows: Sequence[_Asked], excuses: Sequence[Excuse]) -> Columns | None:
    """Count the orders of one look, and keep the auction's own that count otherwise than before."""
    mine = [row.award.auction_id == look.auction.id for row in rows]
    if not any(mine):
        return None
    owned = {row.award.resource_id for row, is_own in zip(rows, mine, strict=True) if is_own}
    rows = [row for row in rows if row.award.resource_id in owned]
    awards = [row.award for row in rows]
    award = np.repeat(np.arange(len(rows)), [len(row.award.slots) for row in rows])
    t = _joined([row.award.slots for row in rows])
    baseline_wh = _joined([row.baseline_wh for row in rows])
    code = _joined([row.code for row in rows])
    place = {id_: n for n, id_ in enumerate(sorted(owned))}
    stage = code >> 2 & 3
    is_read = stage >= max(1, int(delivery_rules(look.auction.ruleset.rules).pay_stage))
    is_metered = is_read & (code & 3 <= int(Quality.ESTIMATED))
    counted = columns_counted(
        day_at=look.day_at,
        awards=awards,
        award=award,
        t=t,
        resource=np.array([place[row.award.resource_id] for row in rows])[award],
        shown=Shown(
            baseline_wh=np.where(baseline_wh == NULL_WH, 0, baseline_wh),
            metered_wh=np.where(is_metered, _joined([row.metered_wh for row in rows]), 0),
            revision=np.where(is_read, code >> 4, 0),
            stage=np.where(is_read, stage, 0),
            is_based=baseline_wh != NULL_WH,
            is_metered=is_metered,
            is_read=is_read,
        ),
        excuses=excuses,
    )
    own = np.flatnonzero(np.array([a.auction_id == look.auction.id for a in awards])[award])
    differs = _differs(counted.taken(own), award[own], rows)
    taken = own[differs]
    if not len(taken):
        return None
    changed = counted.taken(taken)
    high, low = keys_of([of.id for of in awards]).view(">u8").reshape(-1, 2)[award[taken]].T
    return changed.taken(np.lexsort((changed.t, low, high)))


def _differs(counted: Columns, award: Ints, rows: Sequence[_Asked]) -> NDArray[np.bool_]:
    """Tell which rows say otherwise than the newest of their award and half hour."""
    old = {name: _joined([row.old[name] for row in rows]) for name in OLD_COLUMNS}
    key = np.repeat(np.arange(len(rows)), [len(row.old["t"]) for row in rows])
    key = key * INTERVAL_COUNT + old["t"]
    # along a chain ids grow: of one key the last stays
    order = np.lexsort((old["in_turn"], key))
    newest = np.full(len(rows) * INTERVAL_COUNT, -1, dtype=np.int64)
    newest[key[order]] = order
    at = newest[award * INTERVAL_COUNT + counted.t]
    differs: NDArray[np.bool_] = at < 0
    if not len(order):
        return differs
    said = (
        (counted.revision << 4 | counted.stage) << 4 | counted.cause + 1
    ) << 1 | counted.is_excused
    now: dict[str, Any] = {
        "ordered_wh": counted.ordered_wh,
        "delivered_wh": counted.delivered_wh,
        "over_wh": counted.over_wh,
        "based_wh": np.where(counted.is_based, counted.baseline_wh, NULL_WH),
        "metered_wh": np.where(counted.is_metered, counted.metered_wh, NULL_WH),
        "said": said,
    }
    for name, values in now.items():
        differs |= old[name][at] != values
    return differs


def _joined(parts: Sequence[Ints]) -> Ints:
    return np.concatenate(parts) if parts else np.zeros(0, dtype=np.int64)
