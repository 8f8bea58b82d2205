"""What a close stands on, compared: lines, kept totals, items and transfers of each period."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain

from django.db.models import F, Max, Window

from accounts.core.postings import close_items
from accounts.ledger.selectors import net_by_code
from aggregator.core.settlement import House
from aggregator.settlement.chains import runs_in_force_of
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
    periods = list(closed.order_by("start_on"))
    if not periods:
        return
    house, items = house_of_market(), _items(periods)
    runs = _runs(periods)
    kept = runs_kept([run_id for run_ids in runs.values() for run_id in run_ids])
    differing = defaultdict(list)
    for one in totals_differing(run_ids=sorted(kept)):
        differing[one[0]].append(one)
    for period in periods:
        run_ids = sorted(kept.intersection(runs[period.pk]))
        for run, account, item, counted, told in chain(*map(differing.__getitem__, run_ids)):
            subject = f"{period.label} run {run} account {account} {item}"
            yield from differ(subject, "total is lines [JPY]", told, counted)
        rounded = _rounded(run_ids, house)
        yield from _compared(period, "item is lines, rounded [JPY]", items[period.pk], rounded)
        posted = net_by_code(period=period.label, cause_kind=CAUSE_KIND)
        own = {key: jpy for key, jpy in posted.items() if str(key[0]) != house.clearing}
        yield from _compared(period, "item is transfers [JPY]", items[period.pk], own)


def _compared(
    period: SettlementPeriod, rule: str, first: dict[Key, int], second: dict[Key, int]
) -> Iterator[Difference]:
    for account, item in sorted(first.keys() | second.keys()):
        subject = f"{period.label} account {account} {item}"
        one, other = first.get((account, item), 0), second.get((account, item), 0)
        yield from differ(subject, rule, one, other)


def _runs(periods: Sequence[SettlementPeriod]) -> dict[int, list[int]]:
    """Return period to the runs that say what is owed for its auctions."""
    auctions = Auction.objects.filter(
        delivery_on__gte=periods[0].start_on, delivery_on__lt=max(row.end_on for row in periods)
    )
    in_force = runs_in_force_of(auctions=auctions, kind=RunKind.FINAL)
    return {
        period.pk: [
            run.pk
            for auction in auctions
            if period.start_on <= auction.delivery_on < period.end_on
            for run in in_force[auction.pk]
        ]
        for period in periods
    }


def _items(periods: Sequence[SettlementPeriod]) -> dict[int, dict[Key, int]]:
    """Return period to what its latest close brought each account and item to."""
    latest = Window(Max("close_number"), partition_by=[F("period_id")])
    rows = SettlementItem.objects.filter(period__in=periods).annotate(latest=latest)
    found: dict[int, dict[Key, int]] = {period.pk: {} for period in periods}
    for row in rows.filter(close_number=F("latest")):
        found[row.period_id][row.account_id, row.item] = row.amount_jpy
    return found


def _rounded(run_ids: list[int], house: House) -> dict[Key, int]:
    close = close_items(
        totals_from_lines(run_ids=run_ids),
        clearing=house.clearing,
        rounding=house.rounding,
    )
    return {(int(row.account), row.item): row.amount_jpy for row in close.items}
