"""What a close stands on, compared: lines, kept totals, items and transfers of each period."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from accounts.core.postings import close_items
from accounts.ledger.selectors import net_by_code
from aggregator.core.settlement import House
from aggregator.settlement.chains import runs_in_force
from aggregator.settlement.models import RunKind, SettlementItem, SettlementPeriod
from aggregator.settlement.parties import house_of_market
from aggregator.settlement.totals import runs_kept, totals_differing, totals_from_lines
from market.trading.models import Auction

CAUSE_KIND = "settlement.item"
Key = tuple[int, str]


@dataclass(frozen=True, kw_only=True)
class Difference:
    """Two places that should say the same and do not.

    Attributes
    ----------
    subject
        What it is about: a period and party, a document, a batch.
    rule
        What should hold.
    first, second
        What either place says, as text.
    """

    subject: str
    rule: str
    first: str
    second: str

    def __str__(self) -> str:
        return f"{self.subject}: {self.rule}: {self.first} ≠ {self.second}"


def differ(subject: object, rule: str, first: object, second: object) -> Iterator[Difference]:
    """Tell of two values if they are not equal."""
    if first != second:
        yield Difference(subject=str(subject), rule=rule, first=str(first), second=str(second))


def closes_differing() -> Iterator[Difference]:
    """Compare, of each period that was closed, lines, kept totals, items and transfers.

    A correction that is still to be posted counts from its own close on.
    """
    closed = SettlementPeriod.objects.filter(items__isnull=False).distinct()
    for period in closed.order_by("start_on"):
        house = house_of_market()
        items = _items(period)
        run_ids = sorted(runs_kept(_runs(period)))
        for run, account, item, counted, kept in totals_differing(run_ids=run_ids):
            subject = f"{period.label} run {run} account {account} {item}"
            yield from differ(subject, "total is lines [JPY]", kept, counted)
        yield from _compared(
            period, "item is lines, rounded [JPY]", items, _rounded(run_ids, house)
        )
        posted = net_by_code(period=period.label, cause_kind=CAUSE_KIND)
        own = {key: jpy for key, jpy in posted.items() if str(key[0]) != house.clearing}
        yield from _compared(period, "item is transfers [JPY]", items, own)


def _compared(
    period: SettlementPeriod, rule: str, first: dict[Key, int], second: dict[Key, int]
) -> Iterator[Difference]:
    for account, item in sorted(first.keys() | second.keys()):
        subject = f"{period.label} account {account} {item}"
        one, other = first.get((account, item), 0), second.get((account, item), 0)
        yield from differ(subject, rule, one, other)


def _runs(period: SettlementPeriod) -> list[int]:
    auctions = Auction.objects.filter(
        delivery_on__gte=period.start_on, delivery_on__lt=period.end_on
    )
    return [
        run.pk
        for auction in auctions.order_by("delivery_on", "code")
        for run in runs_in_force(auction=auction, kind=RunKind.FINAL)
    ]


def _items(period: SettlementPeriod) -> dict[Key, int]:
    """Return what the latest close brought each account and item to."""
    rows = SettlementItem.objects.filter(period=period)
    latest = rows.order_by("-close_number").values_list("close_number", flat=True)[0]
    return {(row.account_id, row.item): row.amount_jpy for row in rows.filter(close_number=latest)}


def _rounded(run_ids: list[int], house: House) -> dict[Key, int]:
    close = close_items(
        totals_from_lines(run_ids=run_ids),
        clearing=house.clearing,
        rounding=house.rounding,
    )
    return {(int(row.account), row.item): row.amount_jpy for row in close.items}
