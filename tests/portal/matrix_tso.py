"""The grid operators' addresses: their planners, and the market's desk where it may look."""

from __future__ import annotations

from aggregator.dispatch.models import FlexibleConnection
from tests import cast
from tests.portal.matrix_desk import reserved_of

SEES = (302, 404, 404, 404, 200, 200)
PLANS = (302, 404, 404, 404, 200, 404)
NOBODYS = (302, 404, 404, 404, 404, 404)
NOTHING = "00000000-0000-0000-0000-000000000007"
MATRIX = {
    "/tso/": SEES,
    "/tso/network/": (302, 404, 404, 404, 302, 302),
    "/tso/network/2026-11-25/": SEES,
    "/tso/network/2026-11-24/": (302, 404, 404, 404, 404, 404),
    "/tso/auctions/{auction}/needs/new/": PLANS,
    "/tso/auctions/{auction}/needs/new/?element=NONE": (302, 404, 404, 404, 404, 404),
    "/tso/auctions/{auction}/needs/upload/": PLANS,
    "/tso/auctions/{auction}/needs.csv": SEES,
    "/tso/needs/{need}/": PLANS,
    "/tso/needs/{need}/withdraw/": PLANS,
    "/tso/approvals/": SEES,
    "/tso/approvals/{request}/": (302, 404, 404, 404, 200, 404),
    "/tso/calls/": SEES,
    "/tso/calls/?format=csv": SEES,
    "/tso/calls/{reserved}/": SEES,
    "/tso/results/": (302, 404, 404, 404, 302, 302),
    "/tso/results/2026-11-25/": SEES,
    "/tso/results/2026-11-25/lines.csv": SEES,
    "/tso/results/2026-11-25/certificate.json": SEES,
    "/tso/connections/": SEES,
    "/tso/connections/?state=LOST&format=csv": SEES,
    "/tso/connections/new/": PLANS,
    "/tso/connections/new/{site}/": PLANS,
    "/tso/connections/{connection}/": SEES,
    "/tso/connections/{connection}/limits/new/": PLANS,
    "/tso/connections/{connection}/close/": PLANS,
    f"/tso/connections/{NOTHING}/": NOBODYS,
    f"/tso/connections/new/{NOTHING}/": NOBODYS,
    # the desk reads no statements: that is settlement's
    "/tso/costs/": (302, 404, 404, 404, 302, 404),
    "/tso/costs/2026-10-01/": PLANS,
    "/tso/costs/2026-10-01/costs.csv": PLANS,
    "/tso/costs/2026-10-02/": NOBODYS,
    "/tso/models/": SEES,
    "/tso/models/new/": PLANS,
}


def names(day: cast.MarketDay) -> dict[str, str]:
    """Make a request for a need's publication, a conditional connection and a period."""
    from datetime import date

    from accounts.approvals.kinds import NEED_PUBLISH
    from accounts.approvals.services import approval_request
    from aggregator.settlement.closes import period_open

    need = day.needs["local"]
    asked = approval_request(
        kind=NEED_PUBLISH,
        organisation=day.places.people.grid_t,
        subject=need,
        content={"need": str(need.id)},
        maker="user:1",
        detail={"auction": day.auction.code, "code": need.code, "value_jpy": "1200"},
    )
    period_open(start_on=date(2026, 10, 1), end_on=date(2026, 11, 1))
    return {
        "reserved": str(reserved_of(day).id),
        "auction": day.auction.code,
        "need": str(need.id),
        "request": str(asked.id),
        "connection": str(connection_of(day).id),
        "site": str(day.places.sites["shiroi"].id),
    }


def connection_of(day: cast.MarketDay) -> FlexibleConnection:
    """Open a conditional connection of the first site: 1,000 kW firm and 2,000 kW besides."""
    from decimal import Decimal

    from accounts.parties.sight import sight_of
    from aggregator.dispatch.connections import connection_open

    return connection_open(
        site=day.places.sites["inzai"],
        firm_kw=Decimal(1_000),
        flexible_kw=Decimal(2_000),
        heartbeat_s=60,
        failsafe_s=180,
        by=sight_of(day.places.people.planner),
    )
