"""Put what the bulk statements need beside their positions: weights, prices, calls, stand-ins."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.db import connection

from accounts.core.errors import NotFound
from accounts.core.money import sum_exact_jpy
from aggregator.core.causes import (
    StandInPosition,
    change_penalty_jpy,
    stand_in_jpy_per_kwh,
    stand_in_lines,
)
from aggregator.core.delivery import Direction as OrderedDirection
from aggregator.core.settlement import Line, Share
from aggregator.core.terms import SettlementRules
from aggregator.settlement.models import SettlementRun
from aggregator.settlement.results import PublishedResult
from market.clearing.models import Award, ClearingPrice, Leg, PriceKind
from market.trading.models import Direction, NeedKind
from market.trading.sealing import contents_open

ZERO = Decimal(0)
HALF_HOURS = 48


@dataclass(frozen=True, kw_only=True)
class StandInSides:
    """Lines of stand-ins as they are and, of a correction, as they were.

    Attributes
    ----------
    changed
        Award half hours that differ by what stands in for them alone.
    """

    now: tuple[Line, ...] = ()
    before: tuple[Line, ...] = ()
    changed: int = 0


def inputs_stage(
    *,
    run: SettlementRun,
    result: PublishedResult,
    rules: SettlementRules,
    decided: Collection[tuple[UUID, int]] = (),
) -> StandInSides:
    """Fill the scratch tables of one run; its deliveries or changes are noted already.

    Stand-ins of award half hours that a decided dispute has settled are left out.
    """
    stand_ins = _stand_ins_stage(run, result, rules, frozenset(decided))
    _weights_stage(run, result, is_of_every_up=rules.negawatt_borne_by == "BUYER")
    _capacity_stage(run, result)
    _losses_stage(run, result)
    _negawatt_stage(run, result)
    if rules.imbalance_borne_by != "NOBODY":
        _imbalance_stage(run, result)
    return stand_ins


INSERTS = {
    "settlement_weight": "INSERT INTO settlement_weight VALUES (%s, %s, %s, %s, %s, %s, %s, %s)",
    "settlement_call": "INSERT INTO settlement_call VALUES (%s, %s, %s, %s)",
    "settlement_negawatt": "INSERT INTO settlement_negawatt VALUES (%s, %s, %s, %s, %s)",
    "settlement_imbalance": "INSERT INTO settlement_imbalance VALUES (%s, %s, %s, %s, %s)",
    "settlement_standin": "INSERT INTO settlement_standin VALUES (%s, %s, %s, %s, %s, %s, %s)",
    "settlement_loss": "INSERT INTO settlement_loss VALUES (%s, %s, %s)",
}


def _rows_insert(table: str, rows: Sequence[Sequence[Any]]) -> None:
    if not rows:
        return
    with connection.cursor() as cursor:
        cursor.executemany(INSERTS[table], rows)
        cursor.execute(f"ANALYZE {table}")


PLACES_SQL = """
SELECT DISTINCT site.id, site.code, site.area_id, a.direction, d.t
FROM ({rows}) AS d
JOIN clearing_award a ON a.id = d.award_id
JOIN registry_resource r ON r.id = a.resource_id
JOIN registry_site site ON site.id = r.site_id
WHERE d.is_short OR (%(every_up)s AND a.direction = 'UP')
ORDER BY 1, 4, 5
"""
SETTLED_ROWS_SQL = """
SELECT award_id, t, shortfall_kwh > 0 AS is_short FROM deliveries_effective(%(verification)s)
"""
CHANGED_ROWS_SQL = """
SELECT award_id, t, old_short_kwh > 0 OR new_short_kwh > 0 AS is_short FROM settlement_change
WHERE run_id = %(run)s
"""


def _weights_stage(run: SettlementRun, result: PublishedResult, *, is_of_every_up: bool) -> None:
    """Weigh the needs behind each place and half hour where anything is to be shared."""
    rows_sql = SETTLED_ROWS_SQL if run.corrects_id is None else CHANGED_ROWS_SQL
    with connection.cursor() as cursor:
        cursor.execute(
            PLACES_SQL.format(rows=rows_sql),
            {"verification": run.verification_id, "run": run.pk, "every_up": is_of_every_up},
        )
        places = cursor.fetchall()
    rows = []
    for site_id, site, area, direction, t in places:
        shares = result.credits(site=site, area=area, direction=direction, t=t)
        rows += _weight_rows(run, f"{site_id}:{direction}", t, shares)
    _rows_insert("settlement_weight", rows)


def _weight_rows(
    run: SettlementRun, place: str, t: int, shares: Sequence[Share]
) -> list[tuple[Any, ...]]:
    total = sum_exact_jpy([share.weight for share in shares])
    return [
        (run.pk, place, t, share.need, int(share.account), share.weight, n, total)
        for n, share in enumerate(shares)
    ]


def _capacity_stage(run: SettlementRun, result: PublishedResult) -> None:
    """Note V1 and V2 of the awards assessed, and weigh who bought their capacity."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT DISTINCT award_id FROM settlement_assessed WHERE run_id = %s", [run.pk]
        )
        award_ids = [row[0] for row in cursor]
    if not award_ids:
        return
    awards = list(Award.objects.filter(id__in=award_ids).select_related("resource__site"))
    contents = contents_open({award.bid_id for award in awards})
    calls = []
    for award in awards:
        offered = contents.get(award.bid_id, {})
        if "v1_jpy_per_kwh" not in offered:
            raise NotFound(field="bid", value=str(award.bid_id), rule="an opened offer of capacity")
        v1, v2 = (Decimal(str(offered[name])) for name in ("v1_jpy_per_kwh", "v2_jpy_per_kwh"))
        calls.append((run.pk, award.id, v1, v2))
    _rows_insert("settlement_call", calls)
    bought = capacity_buyers(result)
    rows = []
    for product, area in sorted(
        {(str(award.product_id), award.resource.site.area_id) for award in awards}
    ):
        for t in range(48):
            shares = buyers_at(bought, product, area, t)
            rows += _weight_rows(run, f"{product}:{area}", t, shares)
    _rows_insert("settlement_weight", rows)


def capacity_buyers(
    result: PublishedResult,
) -> dict[tuple[str, str, int], tuple[Share, ...]]:
    """Return who bought a product in an area and half hour, by what they pay; "" is any area.

    Where nothing is paid for it, what was served weighs.
    """
    found: dict[tuple[str, str, int], list[tuple[str, str, Decimal, Decimal]]] = defaultdict(list)
    for row in result.document["needs"]:
        if row["kind"] != NeedKind.CAPACITY:
            continue
        party = result.parties.need(row["id"])
        for t, served_kw in enumerate(row["served_kw"]):
            if not served_kw:
                continue
            kw = Decimal(str(served_kw))
            paid = kw * Decimal(str(row["price_jpy_per_kw"][t]))
            for area in (str(party.need.area_id), ""):
                key = (str(party.need.product_id), area, t)
                found[key].append((row["id"], party.buyer, paid, kw))
    return {
        key: tuple(
            Share(account=buyer, weight=paid if any(r[2] for r in rows) else kw, need=need)
            for need, buyer, paid, kw in sorted(rows)
        )
        for key, rows in found.items()
    }


def buyers_at(
    bought: Mapping[tuple[str, str, int], tuple[Share, ...]], product: str, area: str, t: int
) -> tuple[Share, ...]:
    """Return who bought a product in an area; without one, those who bought it in any."""
    return bought.get((product, area, t)) or bought.get((product, "", t), ())


def _losses_stage(run: SettlementRun, result: PublishedResult) -> None:
    """Note what is lost on the way to each site, as the terms of the auction have it."""
    terms = result.parties.terms
    _rows_insert(
        "settlement_loss",
        [(run.pk, site_id, ratio) for site_id, ratio in terms.loss_ratios.items()],
    )


def _negawatt_stage(run: SettlementRun, result: PublishedResult) -> None:
    """Note what each retailer is owed per kWh that its customers' load was cut by."""
    terms = result.parties.terms
    cut = (
        Award.objects.filter(run=result.run, direction=Direction.UP)
        .exclude(leg=Leg.RESERVED)
        .order_by("resource_id")
        .values_list("resource_id", flat=True)
        .distinct()
    )
    rows: list[tuple[Any, ...]] = []
    for resource_id in cut:
        row = terms.compensations.get(resource_id)
        if row is None:
            continue
        slots = [None] if row.area is None else list(range(HALF_HOURS))
        for t in slots:
            account, price = terms.compensation_at(resource_id, t or 0) or ("", ZERO)
            rows.append((run.pk, resource_id, int(account), t, price))
    _rows_insert("settlement_negawatt", rows)


def _imbalance_price(run: SettlementRun) -> Decimal:
    """Return the reference price of imbalance: what the rules price deviations at."""
    clearing = run.auction.ruleset.rules.get("clearing", {})
    return Decimal(str(clearing.get("deviation_price_jpy_per_kwh", 0)))


def _imbalance_stage(run: SettlementRun, result: PublishedResult) -> None:
    """Note the price of imbalance in each area."""
    price = _imbalance_price(run)
    rows = [
        (run.pk, area["id"], int(result.parties.imbalance(area["id"])), t, price)
        for area in result.document["areas"]
        for t in range(48)
    ]
    _rows_insert("settlement_imbalance", rows)


STAND_INS_SQL = """
SELECT s.award_id, s.instruction_id, s.t, s.start_at, s.delivered_kwh,
       i.replacement_price_jpy_per_kwh, n.organisation_id, n.direction, r.site_id, s.covered_kwh,
       n.resource_id, lost_site.code, lost_site.area_id, a.direction,
       CASE WHEN i.is_added THEN n.payer_id END,
       CASE WHEN still.is_asked THEN s.ordered_kwh ELSE 0 END,
       CASE WHEN i.is_added AND a.leg = 'RESERVED' THEN a.product_id END
FROM stand_ins_effective(%s) s
JOIN dispatch_dispatchinstruction n ON n.id = s.instruction_id
JOIN dispatch_instructioninterval i ON i.instruction_id = s.instruction_id AND i.t = s.t
JOIN registry_resource r ON r.id = n.resource_id
JOIN clearing_award a ON a.id = s.award_id
JOIN registry_resource lost ON lost.id = a.resource_id
JOIN registry_site lost_site ON lost_site.id = lost.site_id
LEFT JOIN deliveries_effective(%s) d
  ON d.award_id = s.award_id AND d.t = s.t AND d.shortfall_kwh > 0
CROSS JOIN LATERAL (
    SELECT n.takes_over_at IS NOT NULL AND NOT i.is_added AND NOT s.is_excused
           AND s.cause NOT IN ('OPTED_OUT', 'REPLACED', 'EXCUSED') AS is_asked
) AS still
WHERE (s.delivered_kwh > 0 OR still.is_asked) AND (d.award_id IS NOT NULL OR i.is_added)
ORDER BY s.award_id, s.t, s.instruction_id
"""


def _stand_ins_stage(
    run: SettlementRun,
    result: PublishedResult,
    rules: SettlementRules,
    decided: frozenset[tuple[UUID, int]],
) -> StandInSides:
    """Note what stand-ins are paid, now and as it was settled before."""
    if not _has_stand_ins(run):
        return StandInSides()
    now = _stand_in_lines(run, run.verification_id, result, rules, decided, sign=1)
    if run.corrects is None:
        return StandInSides(now=now)
    before = _stand_in_lines(run, run.corrects.verification_id, result, rules, decided, sign=-1)
    return StandInSides(now=now, before=before, changed=_stand_in_changes_stage(run))


# What stands in changes what the buyers of the lost award are credited, though the award's own
# delivery is what it was.
STAND_IN_CHANGE_SQL = """
INSERT INTO settlement_change (
    run_id, award_id, t, start_at, ordered_kwh, old_short_kwh, new_short_kwh, old_excused,
    new_excused)
SELECT paid.run_id, d.award_id, d.t, d.start_at, d.ordered_kwh, d.shortfall_kwh,
       d.shortfall_kwh, d.is_excused, d.is_excused
FROM (
    SELECT run_id, award_id, t FROM settlement_standin WHERE run_id = %(run)s
    GROUP BY 1, 2, 3 HAVING sum(sign * pay_jpy) <> 0 OR sum(sign * covered_kwh) <> 0
) AS paid
JOIN deliveries_effective(%(verification)s) d
  ON d.award_id = paid.award_id AND d.t = paid.t
WHERE NOT EXISTS (
    SELECT 1 FROM settlement_change c
    WHERE c.run_id = paid.run_id AND c.award_id = paid.award_id AND c.t = paid.t)
"""


def _stand_in_changes_stage(run: SettlementRun) -> int:
    """Note the lost awards of which the stand-ins alone are paid otherwise than before."""
    with connection.cursor() as cursor:
        cursor.execute(STAND_IN_CHANGE_SQL, {"run": run.pk, "verification": run.verification_id})
        return int(cursor.rowcount)


def _has_stand_ins(run: SettlementRun) -> bool:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT EXISTS (SELECT 1 FROM verification_chain(%s) c"
            " JOIN metering_standindelivery s ON s.verification_id = c.id)",
            [run.verification_id],
        )
        return bool(cursor.fetchone()[0])


def _stand_in_lines(
    run: SettlementRun,
    verification_id: int,
    result: PublishedResult,
    rules: SettlementRules,
    decided: frozenset[tuple[UUID, int]],
    *,
    sign: int,
) -> tuple[Line, ...]:
    with connection.cursor() as cursor:
        cursor.execute(STAND_INS_SQL, [verification_id, verification_id])
        found = [row for row in cursor.fetchall() if (row[0], row[2]) not in decided]
    market = _market_prices(result, {row[8] for row in found})
    # who bought a capacity bears what stands in for its call, as they bear the call itself
    bought = capacity_buyers(result) if any(row[16] is not None for row in found) else {}
    imbalance_price = _imbalance_price(run) if rules.imbalance_borne_by != "NOBODY" else None
    lines: list[Line] = []
    sums: dict[tuple[UUID, int, Any], list[tuple[Decimal, Decimal]]] = defaultdict(list)
    for row in found:
        award, t, start_at, kwh, covered_kwh = row[0], row[2], row[3], row[4], row[9]
        position = _stand_in_position(row, result, market, bought, imbalance_price)
        lines += stand_in_lines(position, rules=rules, house=result.parties.house)
        if position.payers:
            continue  # beyond the award there is no shortfall that it would be set against
        paid_jpy = stand_in_jpy_per_kwh(position, rules) * kwh
        penalty_jpy = change_penalty_jpy(position, rules)
        sums[award, t, start_at].append((paid_jpy - penalty_jpy, covered_kwh))
    _rows_insert(
        "settlement_standin",
        [
            (
                run.pk, sign, award, t, start_at,
                sum_exact_jpy([jpy for jpy, _ in of_award]),
                sum((kwh for _, kwh in of_award), ZERO),
            )
            for (award, t, start_at), of_award in sums.items()
        ],
    )  # fmt: skip
    return tuple(lines)


def _stand_in_position(
    row: Sequence[Any],
    result: PublishedResult,
    market: Mapping[tuple[UUID, int], Decimal],
    bought: Mapping[tuple[str, str, int], tuple[Share, ...]],
    imbalance_price: Decimal | None,
) -> StandInPosition:
    award, instruction, t, _, kwh, ask, organisation, direction, site, _, resource = row[:11]
    lost_site, lost_area, lost_direction, payer, changed_kwh, product = row[11:]
    payers = buyers_at(bought, str(product), lost_area, t) if product is not None else ()
    if not payers and payer is not None:
        payers = (Share(account=result.parties.account_of(payer), weight=Decimal(1)),)
    way = 1 if direction == Direction.UP else -1
    compensation = result.parties.terms.compensation_at(resource, t)
    return StandInPosition(
        award=str(award),
        instruction=str(instruction),
        t=t,
        seller=result.parties.account_of(organisation),
        delivered_kwh=kwh,
        ask_jpy_per_kwh=ask or ZERO,
        market_jpy_per_kwh=way * market.get((site, t), ZERO),
        direction=OrderedDirection(direction),
        splits=result.parties.splits_of(site),
        compensation=compensation,
        credits=()
        if compensation is None
        else result.credits(site=lost_site, area=lost_area, direction=lost_direction, t=t),
        payers=payers,
        imbalance=None
        if imbalance_price is None or not changed_kwh
        else (lost_area, result.parties.imbalance(lost_area), imbalance_price),
        changed_kwh=changed_kwh,
    )


def _market_prices(result: PublishedResult, site_ids: set[UUID]) -> dict[tuple[UUID, int], Decimal]:
    rows = ClearingPrice.objects.filter(
        run=result.run, kind=PriceKind.PLACE, site_id__in=site_ids
    ).values_list("site_id", "t", "price_jpy_per_kwh")
    return {(site_id, t): price for site_id, t, price in rows}
