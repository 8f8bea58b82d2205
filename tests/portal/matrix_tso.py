"""The grid operators' addresses: their planners, and the market's desk where it may look."""

from __future__ import annotations

from tests import cast

SEES = (302, 404, 404, 404, 200, 200)
PLANS = (302, 404, 404, 404, 200, 404)
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
    "/tso/results/": (302, 404, 404, 404, 302, 302),
    "/tso/results/2026-11-25/": SEES,
    "/tso/results/2026-11-25/lines.csv": SEES,
    "/tso/results/2026-11-25/certificate.json": SEES,
}


def names(day: cast.MarketDay) -> dict[str, str]:
    """Make a request for a need's publication."""
    from accounts.approvals.kinds import NEED_PUBLISH
    from accounts.approvals.services import approval_request

    need = day.needs["local"]
    asked = approval_request(
        kind=NEED_PUBLISH,
        organisation=day.places.people.grid_t,
        subject=need,
        content={"need": str(need.id)},
        maker="user:1",
        detail={"auction": day.auction.code, "code": need.code, "value_jpy": "1200"},
    )
    return {"auction": day.auction.code, "need": str(need.id), "request": str(asked.id)}
