"""The cast's day once it is settled, for tests of the doors to delivery and money."""

from __future__ import annotations

from aggregator.dispatch.served import needs_served_note
from aggregator.metering.verifications import verification_execute
from aggregator.settlement.closes import period_close, period_of_auction_ensure
from aggregator.settlement.models import SettlementLine, SettlementRun
from aggregator.settlement.runs import settlement_run_execute
from market.clearing.models import AwardInterval
from tests import cast, settled_day


def verified_day() -> cast.MarketDay:
    """Return the day of :mod:`tests.settled_day`, metered, verified, with the needs it served."""
    day = settled_day.published(settled_day.settled_places())
    settled_day.metered(day)
    needs_served_note(
        auction=day.auction,
        intervals={
            award.id: list(AwardInterval.objects.filter(award=award, quantity_kw__gt=0))
            for award in day.awards.values()
        },
    )
    verification_execute(auction_id=day.auction.id, stage="FINAL")
    return day


def run_day() -> tuple[cast.MarketDay, SettlementRun]:
    """Return it with its settlement, not closed yet."""
    day = verified_day()
    return day, settlement_run_execute(auction_id=day.auction.id)


def closed_day() -> cast.MarketDay:
    """Return it closed: its money is posted."""
    day, _ = run_day()
    period_close(period_id=period_of_auction_ensure(auction=day.auction).pk)
    return day


def lines_between(run: SettlementRun, code: str, item: str) -> list[SettlementLine]:
    """Return lines of an item that an organisation pays or is paid, in their order."""
    return [
        line
        for line in SettlementLine.objects.filter(run=run, item=item)
        .select_related("payer__organisation", "payee__organisation")
        .order_by("id")
        if code in (line.payer.organisation.code, line.payee.organisation.code)
    ]
