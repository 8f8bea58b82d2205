"""What each party received and paid in a period, item by item and day by day."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from django.db import connection, transaction
from django.db.models import Max

from accounts.ledger.services import ledger_account_open
from accounts.parties.models import Organisation
from accounts.parties.selectors import aggregator
from aggregator.core.documents import Part
from aggregator.core.taxing import DocumentRules, document_rules_from_mapping, treatment_of
from aggregator.metering.limits import bulk_limits_set
from aggregator.settlement.models import (
    RunKind,
    SettlementItem,
    SettlementPeriod,
    SettlementRun,
)
from aggregator.settlement.parties import MEMBER_CODE
from market.registry.selectors import ruleset_on
from market.trading.models import Auction

# Lines of one award (or need, or element) in one half hour are added first: what a correction
# takes back then makes the amount it corrects smaller, and is no payment the other way.
PARTS_SQL = """
WITH line AS (
    SELECT side.account_id, side.way, l.item, l.award_id, l.need_id, l.element, l.t,
           a.delivery_on, l.amount_exact_jpy,
           COALESCE(l.quantity_gb, l.quantity_kwh, 0) AS quantity
    FROM settlement_settlementline l
    JOIN settlement_settlementrun r ON r.id = l.run_id
    JOIN trading_auction a ON a.id = r.auction_id
    CROSS JOIN LATERAL (VALUES (l.payee_id, 1), (l.payer_id, -1)) AS side(account_id, way)
    WHERE l.run_id = ANY(%(runs)s) AND side.account_id = ANY(%(accounts)s)
), place AS (
    SELECT account_id, item, delivery_on, sum(way * amount_exact_jpy) AS amount,
           sum(way * quantity) AS quantity
    FROM line GROUP BY account_id, item, delivery_on, award_id, need_id, element, t
)
SELECT account_id, item, amount > 0, delivery_on, abs(sum(amount)), abs(sum(quantity))
FROM place WHERE amount <> 0
GROUP BY account_id, item, amount > 0, delivery_on
ORDER BY account_id, item, amount > 0, delivery_on
"""


@dataclass(frozen=True, kw_only=True)
class PartySums:
    """One party's period: what the ledger was given per item, and the exact parts behind it."""

    organisation: Organisation
    account_id: int
    posted_jpy: dict[str, int]
    parts: tuple[Part, ...]


def document_rules_of(period: SettlementPeriod) -> DocumentRules:
    """Return the rules of a period's documents: those of its last day."""
    ruleset = ruleset_on(period.end_on - timedelta(days=1))
    return document_rules_from_mapping(ruleset.rules.get("documents", {}))


def runs_settled(period: SettlementPeriod) -> list[int]:
    """Return the runs that a period stands on: each auction's latest final and its corrections."""
    auctions = Auction.objects.filter(
        delivery_on__gte=period.start_on, delivery_on__lt=period.end_on
    )
    runs = SettlementRun.objects.filter(
        auction__in=auctions, kind__in=[RunKind.FINAL, RunKind.CORRECTION]
    ).order_by("auction_id", "id")
    found: dict[UUID, list[int]] = {}
    for run in runs:
        if run.kind == RunKind.FINAL:  # a later final stands alone
            found[run.auction_id] = [run.pk]
        else:
            found[run.auction_id].append(run.pk)
    return [pk for chain in found.values() for pk in chain]


def close_latest(period: SettlementPeriod) -> int:
    """Return the number of a period's latest close; 0 if there is none."""
    latest = SettlementItem.objects.filter(period=period).aggregate(Max("close_number"))
    return int(latest["close_number__max"] or 0)


def items_posted(period: SettlementPeriod) -> tuple[int, dict[int, dict[str, int]]]:
    """Return the number of the latest close, and per account and item what it stands at."""
    close_number = close_latest(period)
    rows = SettlementItem.objects.filter(period=period, close_number=close_number)
    posted: dict[int, dict[str, int]] = defaultdict(dict)
    for row in rows.order_by("account_id", "item"):
        posted[row.account_id][row.item] = row.amount_jpy
    return close_number, dict(posted)


def parties_of(period: SettlementPeriod) -> tuple[int, list[PartySums]]:
    """Return what there is to state of a period, party by party, by code.

    Returns
    -------
    tuple
        Number of the latest close, and the sums of each organisation but the house.
    """
    close_number, posted = items_posted(period)
    organisations = Organisation.objects.exclude(id=aggregator().id).filter(
        ledger_accounts__in=list(posted), ledger_accounts__code=MEMBER_CODE
    )
    accounts = {
        member_account_id(organisation): organisation
        for organisation in organisations.order_by("code")
    }
    parts = _parts(runs_settled(period), list(accounts))
    return close_number, [
        PartySums(
            organisation=organisation,
            account_id=account_id,
            posted_jpy=posted[account_id],
            parts=tuple(parts.get(account_id, ())),
        )
        for account_id, organisation in accounts.items()
    ]


def member_account_id(organisation: Organisation) -> int:
    """Return the account through which an organisation pays and is paid."""
    account = ledger_account_open(
        organisation=organisation, code=MEMBER_CODE, name="参加者勘定", kind="MEMBER"
    )
    return int(account.id)


def _parts(run_ids: list[int], account_ids: list[int]) -> dict[int, list[Part]]:
    parts: dict[int, list[Part]] = defaultdict(list)
    # every line of a month is read
    with transaction.atomic(), connection.cursor() as cursor:
        bulk_limits_set()
        cursor.execute(PARTS_SQL, {"runs": run_ids, "accounts": account_ids})
        for account_id, item, is_received, supply_on, amount_jpy, quantity in cursor:
            has_unit = bool(treatment_of(item).unit and quantity)
            parts[account_id].append(
                Part(
                    item=item,
                    is_received=is_received,
                    supply_on=supply_on,
                    amount_exact_jpy=amount_jpy,
                    quantity=quantity if has_unit else None,
                )
            )
    return parts
