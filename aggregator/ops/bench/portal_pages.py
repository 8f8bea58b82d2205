"""Which address of the portals is opened by whom, on the books of :mod:`portal_books`."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from accounts.parties.models import Organisation
from aggregator.control.models import Alarm
from aggregator.dispatch.models import DispatchInstruction
from aggregator.ops.bench.portal_books import TODAY, key
from aggregator.settlement.models import SettlementLine
from market.trading.models import Need

TRADER, PLANNER, DESK, CLERK, ADMIN, NOBODY = (
    "inzai-trader", "grid-w-planner", "desk", "settlement", "inzai-admin", "",
)  # fmt: skip
# of the first page of each portal: what a person waits for in the morning
FIRST_PAGES: Final = {
    "/dc/": TRADER, "/tso/": PLANNER, "/desk/": DESK, "/money/closes/": CLERK,
    "/results/": NOBODY, "/day/{today}/": NOBODY,
}  # fmt: skip
PAGES: Final = {
    TRADER: (
        "/dc/", "/dc/position.json", "/dc/position.csv", "/dc/bids/", "/dc/bids/?page=100",
        "/dc/bids/?auction={open}&state=SUBMITTED", "/dc/bids/template.csv",
        "/dc/bids/{open}/upload/", "/dc/bids/{open}/{draft}/", "/dc/bids/{open}/{draft}/confirm/",
        "/dc/bids/{open}/{draft}/curve.json", "/dc/bids/{open}/{draft}/effect.json",
        "/dc/bids/{open}/{draft}/past.json", "/dc/bids/{open}/{draft}/bid.csv",
        "/dc/bids/{shut}/{bid}/",
        "/dc/awards/", "/dc/awards/?auction={shut}&outcome=REJECTED", "/dc/awards/{bid_id}/",
        "/dc/instructions/", "/dc/instructions/{order}/", "/dc/deliveries/",
        "/dc/deliveries/{verified}/{resource}/", "/dc/deliveries/{verified}/{resource}/chart.json",
        "/dc/sites/", "/dc/sites/{site}/", "/dc/sites/{site}/edit/", "/dc/new-site/",
        "/dc/resources/{resource}/edit/", "/dc/resources/{resource}/units/", "/dc/standing/",
        "/dc/business-case/",
        "/money/statements/", "/money/statements/{party}/{month}/",
        "/money/statements/{party}/{month}/lines/?day={verified_on}", "/money/lines/{line}/",
        "/money/documents/", "/money/disputes/", "/money/disputes/new/?line={line}",
        "/statements/", "/statements/{party}.csv",
        "/team/notices/", "/team/preferences/", "/team/webhooks/", "/team/webhooks/new/",
    ),
    PLANNER: (
        "/tso/", "/tso/network/{today}/", "/tso/network/{tomorrow}/",
        "/tso/auctions/{open}/needs/new/", "/tso/auctions/{open}/needs/upload/",
        "/tso/auctions/{open}/needs.csv", "/tso/needs/{need}/", "/tso/needs/{need}/withdraw/",
        "/tso/approvals/", "/tso/results/{today}/", "/tso/results/{today}/lines.csv",
        "/tso/results/{today}/certificate.json", "/tso/calls/", "/tso/connections/",
        "/tso/connections/new/", "/tso/costs/{month}/", "/tso/models/", "/tso/models/new/",
        "/day/{today}/",
    ),
    DESK: (
        "/desk/", "/desk/state.json", "/desk/alarms/", "/desk/alarms/{alarm}/", "/desk/auctions/",
        "/desk/auctions/new/", "/desk/auctions/{open}/", "/desk/auctions/{open}/close/",
        "/desk/instructions/", "/desk/instructions/{order}/", "/desk/instructions/{order}/stop/",
        "/desk/calls/", "/desk/drills/", "/desk/drills/new/", "/desk/jobs/",
        "/day/{today}/", "/tso/", "/tso/network/{today}/",
    ),
    CLERK: (
        "/money/statements/", "/money/statements/?organisation={party}",
        "/money/closes/", "/money/closes/reconcile/", "/money/payments/", "/money/payments/new/",
        "/money/banks/", "/money/banks/new/", "/money/disputes/", "/money/documents/",
    ),
    ADMIN: ("/team/", "/team/invite/", "/team/keys/", "/team/keys/new/"),
    NOBODY: (
        "/day/{today}/", "/day/{today}/need.json", "/day/{today}/price.json",
        "/day/{today}/loading.json", "/day/{today}/network.json", "/day/{today}/needs.csv",
        "/results/", "/results/verify/", "/results/downloads/", "/results/{today}/",
        "/results/{today}/prices.csv", "/results/{today}/certificate.json", "/login/",
    ),
}  # fmt: skip


def places() -> dict[str, str]:
    """Return what stands for the names in braces."""
    verified_on = TODAY - timedelta(days=10)
    party = Organisation.objects.get(code="inzai")
    own = SettlementLine.objects.filter(
        payee__organisation=party, run__auction__delivery_on=verified_on
    )
    order = DispatchInstruction.objects.filter(organisation=party, award_id=key("award0-2")).get()
    need = Need.objects.filter(auction_id=key("auction1"), organisation__code="grid-w").order_by(
        "code"
    )[0]
    tomorrow = TODAY + timedelta(days=1)
    return {
        "today": TODAY.isoformat(),
        "tomorrow": tomorrow.isoformat(),
        "open": f"DA-{tomorrow.isoformat()}-B",
        "shut": f"DA-{TODAY.isoformat()}-B",
        "verified": f"DA-{verified_on.isoformat()}-B",
        "verified_on": verified_on.isoformat(),
        "draft": "bench-1",
        "bid": f"{TODAY.isoformat()}-000001",
        "bid_id": str(key("bid0-1")),
        "order": str(order.id),
        "site": "site-00002",
        "resource": "site-00002-resource",
        "party": party.code,
        "month": (TODAY.replace(day=1) - timedelta(days=1)).replace(day=1).isoformat(),
        "line": str(own.order_by("id").values_list("id", flat=True)[0]),
        "need": str(need.id),
        "alarm": str(Alarm.objects.filter(state="RAISED").order_by("id")[0].id),
    }
