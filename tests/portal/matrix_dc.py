"""Addresses of a data-centre operator's pages: anonymous, owner, rival, stranger, planner, desk."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

from accounts.parties.sight import sight_of
from aggregator.dispatch.models import DispatchInstruction, InstructionInterval, InstructionState
from aggregator.dispatch.units import unit_add
from aggregator.portal.drafts import DraftText, draft_save
from market.registry.models import WorkloadClass
from market.trading.models import StandingBid
from tests import cast

SELLERS = (302, 200, 200, 200, 404, 404)
OWN = (302, 200, 404, 404, 404, 404)
POSTED = (302, 405, 405, 405, 404, 404)
NOWHERE = (302, 404, 404, 404, 404, 404)
BID = "/dc/bids/{auction}/inzai-draft/"

MATRIX = {
    "/dc/": SELLERS,
    "/dc/position.json": SELLERS,
    "/dc/position.csv": SELLERS,
    "/dc/price.json": (302, 200, 200, 404, 404, 404),
    "/dc/price.json?site=inzai-dc-1": OWN,
    "/dc/bids/": SELLERS,
    "/dc/bids/?auction={auction}&state=SUBMITTED": SELLERS,
    "/dc/bids/?page=9": NOWHERE,
    "/dc/bids/template.csv": SELLERS,
    "/dc/bids/{auction}/bids.csv": SELLERS,
    "/dc/bids/NONE/bids.csv": NOWHERE,
    "/dc/bids/{auction}/new/": POSTED,
    "/dc/bids/{auction}/yesterday/": POSTED,
    "/dc/bids/{auction}/copied/": (302, 302, 302, 302, 404, 404),
    "/dc/bids/{auction}/upload/": SELLERS,
    "/dc/bids/NONE/upload/": NOWHERE,
    BID: OWN,
    "/dc/bids/{auction}/inzai-defer-1125/": OWN,
    "/dc/bids/{auction}/shiroi-cap-1125/": (302, 404, 200, 404, 404, 404),
    BID + "check/": POSTED,
    BID + "confirm/": OWN,
    BID + "copy/": POSTED,
    BID + "withdraw/": POSTED,
    BID + "restore/": POSTED,
    BID + "discard/": POSTED,
    BID + "bid.csv": OWN,
    BID + "curve.json": OWN,
    BID + "effect.json": OWN,
    BID + "past.json": NOWHERE,  # no day before this one was published
    "/dc/awards/": SELLERS,
    "/dc/awards/?auction=NONE": NOWHERE,
    "/dc/awards/{bid}/": OWN,
    "/dc/instructions/": SELLERS,
    "/dc/instructions/{instruction}/": OWN,
    "/dc/deliveries/": SELLERS,
    "/dc/deliveries/?auction=NONE": NOWHERE,
    "/dc/deliveries/{auction}/inzai-dc-1-load/": NOWHERE,  # nothing is verified yet
    "/dc/deliveries/{auction}/inzai-dc-1-load/chart.json": NOWHERE,
    "/dc/business-case/": SELLERS,
    "/dc/business-case/?subject=inzai-dc-1-battery|BATTERY|": OWN,
    "/dc/business-case/?subject=inzai-dc-1-load|DEFERRAL|TRAINING": OWN,
    "/dc/business-case/?subject=NONE||": NOWHERE,
    "/dc/sites/": SELLERS,
    "/dc/sites/inzai-dc-1/": OWN,
    "/dc/sites/shiroi-dc-1/": (302, 404, 200, 404, 404, 404),
    "/dc/new-site/": SELLERS,
    "/dc/sites/inzai-dc-1/edit/": OWN,
    "/dc/sites/inzai-dc-1/retire/": OWN,
    "/dc/sites/inzai-dc-1/new-resource/": OWN,
    "/dc/resources/inzai-dc-1-load/edit/": OWN,
    "/dc/resources/inzai-dc-1-load/retire/": OWN,
    "/dc/resources/inzai-dc-1-load/new-work/": OWN,
    "/dc/resources/inzai-dc-1-load/units/": OWN,
    "/dc/units/{unit}/retire/": OWN,
    "/dc/resources/inzai-dc-1-load/classes/TRAINING/GPU/": OWN,
    "/dc/standing/": SELLERS,
    "/dc/standing/{standing}/pause/": POSTED,
}


def names(day: cast.MarketDay) -> dict[str, str]:
    """Make a draft, an instruction, a class of work and a standing bid of the owner's."""
    owner, inzai = day.places.people.owner, day.places.people.inzai_dc
    draft_save(
        organisation=inzai, author_id=owner.pk, kind="BID", subject=day.auction.code,
        name="inzai-draft", version=None,
        text=DraftText(
            head={"form": "STEPS", "resource": "inzai-dc-1-load", "mechanism": "DEFERRAL"},
            fields={"direction": "UP", "t_first": "34", "t_end": "40", "kw_0": "1000",
                    "ask_0": "28"},
        ),
    )  # fmt: skip
    award = day.awards["inzai-battery-up"]
    start = day.auction.delivery_start + timedelta(hours=17)
    instruction = DispatchInstruction.objects.create(
        award=award, bid=award.bid, organisation=inzai, resource=award.resource, direction="UP",
        starts_at=start, ends_at=start + timedelta(hours=3), send_at=start - timedelta(hours=30),
        respond_by_at=start - timedelta(hours=1), state=InstructionState.SENT,
        sent_at=start - timedelta(hours=30),
    )  # fmt: skip
    InstructionInterval.objects.bulk_create(
        InstructionInterval(
            instruction=instruction, t=t, start_at=day.auction.delivery_start
            + timedelta(minutes=30 * t), quantity_kw=6_000,
        )
        for t in range(34, 40)
    )  # fmt: skip
    WorkloadClass.objects.create(
        resource=day.places.resources["inzai-load"], kind="TRAINING", pool="GPU", power_kw=9_000,
        slack_h=6, value_jpy_per_kwh=240,
    )  # fmt: skip
    unit = unit_add(
        resource=day.places.resources["inzai-load"], code="row-1", rank=1,
        limit_up_kw=Decimal(900), limit_down_kw=Decimal(900), by=sight_of(owner),
    )  # fmt: skip
    standing = StandingBid.objects.create(
        organisation=inzai, code="inzai-every-day", valid_from_on=day.auction.delivery_on,
        weekdays=[0, 1, 2, 3, 4, 5, 6], content_mac=b"0" * 32,
    )  # fmt: skip
    return {
        "auction": day.auction.code,
        "bid": str(award.bid_id),
        "instruction": str(instruction.id),
        "standing": str(standing.id),
        "unit": str(unit.id),
    }
