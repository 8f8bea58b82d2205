"""Who bore what for which congestion: a period's lines by place and party, tied to the ledger."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import chain

from django.db import connection

from accounts.core.csvtext import Cell, csv_bytes
from accounts.core.errors import ensure
from accounts.ledger.statements import CODE_NAMES
from aggregator.settlement.chains import runs_in_force_of
from aggregator.settlement.models import RunKind, SettlementItem, SettlementPeriod
from market.trading.models import Auction

ROUNDING, UNPOSTED = "ROUNDING", "UNPOSTED"
HEADER = ("区分", "場所", "組織", "勘定", "項目", "コード", "負担（円）", "受取（円）")
PLACE_NAMES = {"ELEMENT": "設備", "AREA": "エリア", "SITE": "拠点", "MARKET": "市場全体"}

# A need names its element or area; a rent its element; what only an award tells, its area. Half
# hours are summed before they are joined.
COSTS_SQL = """
SELECT place.kind, place.code, moved.account_id, moved.item,
       sum(moved.received), sum(moved.paid)
FROM (
    SELECT account_id, item, award_id, need_id, element,
           sum(amount) FILTER (WHERE amount > 0) AS received,
           sum(amount) FILTER (WHERE amount < 0) AS paid
    FROM (
        SELECT payee_id AS account_id, item, award_id, need_id, element, amount_exact_jpy AS amount
        FROM settlement_settlementline WHERE run_id = ANY(%(runs)s)
          AND (%(accounts)s::bigint[] IS NULL OR payee_id = ANY(%(accounts)s::bigint[]))
        UNION ALL
        SELECT payer_id, item, award_id, need_id, element, -amount_exact_jpy
        FROM settlement_settlementline WHERE run_id = ANY(%(runs)s)
          AND (%(accounts)s::bigint[] IS NULL OR payer_id = ANY(%(accounts)s::bigint[]))
    ) AS line
    GROUP BY 1, 2, 3, 4, 5
) AS moved
LEFT JOIN trading_need need ON need.id = moved.need_id
LEFT JOIN registry_congestionpoint point ON point.id = need.congestion_point_id
LEFT JOIN clearing_award award ON award.id = moved.award_id
LEFT JOIN registry_resource resource ON resource.id = award.resource_id
LEFT JOIN registry_site site ON site.id = resource.site_id
CROSS JOIN LATERAL (
    SELECT CASE WHEN point.code IS NOT NULL THEN 'ELEMENT'
                WHEN need.area_id IS NOT NULL THEN 'AREA'
                WHEN moved.item = ANY(%(of_elements)s) AND moved.element IS NOT NULL THEN 'ELEMENT'
                WHEN moved.item = ANY(%(of_areas)s) AND moved.element IS NOT NULL THEN 'AREA'
                WHEN moved.item = ANY(%(of_sites)s) AND moved.element IS NOT NULL THEN 'SITE'
                WHEN site.area_id IS NOT NULL THEN 'AREA' ELSE 'MARKET' END AS kind,
           CASE WHEN point.code IS NOT NULL THEN point.code
                WHEN need.area_id IS NOT NULL THEN need.area_id
                WHEN moved.item = ANY(%(of_elements)s) AND moved.element IS NOT NULL
                  OR moved.item = ANY(%(of_areas)s) AND moved.element IS NOT NULL
                  OR moved.item = ANY(%(of_sites)s) AND moved.element IS NOT NULL
                THEN moved.element
                ELSE coalesce(site.area_id, '') END AS code
) AS place
GROUP BY 1, 2, 3, 4
"""
OF_ELEMENTS = ["CONGESTION_RENT", "LINK_RENT", "TRUNK_RENT"]
OF_AREAS = ["DEVIATION", "IMBALANCE_CAUSED"]
OF_SITES = ["ENVELOPE", "ENVELOPE_PENALTY"]


@dataclass(frozen=True, kw_only=True, order=True)
class CostRow:
    """What one account received and paid for one thing at one place in a period [JPY]."""

    place_kind: str
    place: str
    organisation: str
    account: str
    item: str
    received_exact_jpy: Decimal
    paid_exact_jpy: Decimal

    @property
    def net_exact_jpy(self) -> Decimal:
        """Return what was received less what was paid."""
        return self.received_exact_jpy - self.paid_exact_jpy


def cost_allocation(
    *, period: SettlementPeriod, account_ids: Collection[int] | None = None
) -> list[CostRow]:
    """Return who bore and got what for which congestion in a period.

    Parameters
    ----------
    period
        The period; its auctions count as they are settled now, corrections included.
    account_ids
        Only these accounts; all if omitted.

    Returns
    -------
    list of CostRow
        By place, party and item. What rounding to whole yen moves is a row of its own per
        account (ROUNDING), and so is what corrections have changed since the last close
        (UNPOSTED): with them each account's rows sum to what the ledger holds for the period.

    Raises
    ------
    BrokenInvariant
        If what all rows come to is not zero, when the whole market is asked for.
    """
    auctions = Auction.objects.filter(
        delivery_on__gte=period.start_on, delivery_on__lt=period.end_on
    )
    in_force = runs_in_force_of(auctions=auctions, kind=RunKind.FINAL).values()
    runs = [run.pk for run in chain.from_iterable(in_force)]
    with connection.cursor() as cursor:
        cursor.execute(
            COSTS_SQL,
            {
                "runs": runs,
                "accounts": None if account_ids is None else list(account_ids),
                "of_elements": OF_ELEMENTS,
                "of_areas": OF_AREAS,
                "of_sites": OF_SITES,
            },
        )
        found = cursor.fetchall()
    zero = Decimal(0)
    rows = [
        (kind, place, account, item, received or zero, -(paid or zero))
        for kind, place, account, item, received, paid in found
    ]
    if account_ids is None:
        ensure(sum(row[4] - row[5] for row in rows) == 0, "a cost allocation does not sum to zero")
    rows += _posted_rows(period, rows, account_ids)
    names = _names({row[2] for row in rows})
    return sorted(
        CostRow(
            place_kind=kind,
            place=place,
            organisation=names[account][0],
            account=names[account][1],
            item=item,
            received_exact_jpy=received,
            paid_exact_jpy=paid,
        )
        for kind, place, account, item, received, paid in rows
    )


Found = tuple[str, str, int, str, Decimal, Decimal]


def _posted_rows(
    period: SettlementPeriod, rows: Sequence[Found], account_ids: Collection[int] | None
) -> list[Found]:
    """Return what the ledger holds beyond the exact lines: roundings, and what is not posted."""
    items = SettlementItem.objects.filter(period=period)
    last = items.order_by("-close_number").values_list("close_number", flat=True).first()
    if last is None:
        return []
    exact: dict[tuple[int, str], Decimal] = defaultdict(Decimal)
    for _, _, account, item, received, paid in rows:
        exact[account, item] += received - paid
    closed = items.filter(close_number=last)
    if account_ids is not None:
        closed = closed.filter(account_id__in=account_ids)
    posted = {(row.account_id, row.item): row.amount_jpy for row in closed}
    left: dict[tuple[int, str], Decimal] = defaultdict(Decimal)
    clearing = _clearing_ids()
    for account, item in exact.keys() | posted.keys():
        difference = posted.get((account, item), 0) - exact.get((account, item), Decimal(0))
        name = ROUNDING if abs(difference) < 1 or item == ROUNDING else UNPOSTED
        if account not in clearing:
            left[account, name] += difference
    # An item's own account of clearing nets to nothing; its items do so all together.
    for account in clearing:
        net = sum((value for (id_, _), value in exact.items() if id_ == account), Decimal(0))
        ensure(net == 0, "the clearing account keeps money of a period")
    return [
        ("MARKET", "", account, item, max(value, Decimal(0)), max(-value, Decimal(0)))
        for (account, item), value in left.items()
        if value
    ]


def _clearing_ids() -> set[int]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT id FROM ledger_ledgeraccount WHERE kind = 'CLEARING'")
        return {row[0] for row in cursor}


def _names(account_ids: Collection[int]) -> dict[int, tuple[str, str]]:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT a.id, o.code, a.code FROM ledger_ledgeraccount a"
            " JOIN parties_organisation o ON o.id = a.organisation_id WHERE a.id = ANY(%s)",
            [list(account_ids)],
        )
        return {row[0]: (row[1], row[2]) for row in cursor}


def cost_allocation_csv(rows: Sequence[CostRow]) -> bytes:
    """Write a cost allocation as CSV: UTF-8 with BOM, one line each, exact yen."""
    lines: list[tuple[Cell, ...]] = [
        (
            PLACE_NAMES[row.place_kind],
            row.place,
            row.organisation,
            row.account,
            CODE_NAMES.get(row.item, row.item),
            row.item,
            row.paid_exact_jpy,
            row.received_exact_jpy,
        )
        for row in rows
    ]
    return csv_bytes(lines, header=HEADER)
