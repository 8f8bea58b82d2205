"""Needs: what grid operators ask for, where, how much of it at most for how much."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import pairwise
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import Max

from accounts.audit.services import entry_append
from accounts.core.errors import NotFound, Refused
from accounts.core.numbers import decimals_of
from accounts.fields import HALF_HOURS_COUNT, KW_MAX, PRICE_MAX_JPY_PER_KWH
from accounts.parties.models import Organisation, OrganisationKind
from market.registry.models import Area, Bus, CongestionPoint, MarketProduct
from market.trading import proposals
from market.trading.gates import Expects, conditions_enter
from market.trading.models import (
    STEPS_MAX,
    Auction,
    BaseFlow,
    Direction,
    Need,
    NeedKind,
    NeedPricing,
    NeedState,
    NeedStep,
)

KW_HIGH = Decimal(KW_MAX)
PRICE_HIGH = Decimal(PRICE_MAX_JPY_PER_KWH)
CODE = re.compile(r"[A-Za-z0-9._-]{1,60}", re.ASCII)
CAP_OF_ENERGY = "cap_jpy_per_kwh"
CAP_OF_CAPACITY = "cap_jpy_per_kw_30min"


class InvalidNeed(Refused):
    """The need breaks a rule."""


@dataclass(frozen=True, kw_only=True)
class NeedDetails:
    """Where, which way, how much and at most for how much; arrays of 48.

    Either `quantity_kw` and a cap, or `steps`, each a mapping of both: a demand curve whose caps
    do not rise. The cap is per kWh, of CAPACITY per kW and half hour.
    """

    code: str
    kind: str
    direction: str
    quantity_kw: Any = None
    cap_jpy_per_kwh: Any = None
    cap_jpy_per_kw_30min: Any = None
    steps: Any = None
    pricing: str = NeedPricing.AUCTION
    congestion_point: str | None = None
    flow_sign: int | None = None
    area_code: str | None = None
    product: str | None = None


@transaction.atomic
def need_publish(
    *,
    auction_id: UUID | str,
    organisation: Organisation,
    details: NeedDetails,
    expects: Expects | None = None,
    is_by_order: bool = False,
) -> Need:
    """Publish a need, or its next revision if the code is known; until the gate only.

    One that, with what the operator published for the auction without approval, is worth more than
    the ruleset's ``need_approval_limit_jpy`` comes back PROPOSED: it is in no book and nobody else
    sees it until a second person of the operator approves it
    (:func:`market.trading.proposals.need_approve`). The revision in force stays so meanwhile.

    Parameters
    ----------
    expects
        Called with the revision in force, or None, which nobody changes meanwhile; what it raises
        stops the publication.
    is_by_order
        Whether what serves the need is tentative until its buyer orders it.

    Raises
    ------
    GateClosed
        At or after the gate.
    InvalidNeed, NotFound
        Naming field, value and rule; nothing is stored.
    """
    auction, moment = conditions_enter(auction_id)
    if organisation.kind != OrganisationKind.TSO:
        raise InvalidNeed(field="organisation", value=organisation.code, rule="a grid operator")
    if type(details.code) is not str or not CODE.fullmatch(details.code):
        raise InvalidNeed(
            field="code", value=details.code, rule="1 to 60 letters, digits, dots, dashes"
        )
    place = _need_place(auction, organisation, details)
    steps = _need_steps(details)
    curve = [step.quantity_kw for step in steps]
    before = (
        Need.objects.select_for_update(of=("self",))
        .filter(
            auction=auction,
            organisation=organisation,
            code=details.code,
            state=NeedState.PUBLISHED,
        )
        .first()
    )
    if expects is not None:
        expects(before)
    proposals.proposal_drop(
        auction=auction, organisation=organisation, code=details.code, reason="a later revision"
    )
    value_jpy = proposals.value_jpy(
        (of.quantity_kw, next(iter(of.cap.values())), details.kind) for of in steps
    )
    alone_jpy = proposals.published_alone_jpy(auction, organisation, but=details.code)
    is_proposed = proposals.takes_two_people(auction.ruleset.rules, alone_jpy + value_jpy)
    if before is not None and not is_proposed:
        Need.objects.filter(id=before.id).update(state=NeedState.SUPERSEDED)
    need = Need.objects.create(
        auction=auction,
        organisation=organisation,
        kind=details.kind,
        code=details.code,
        direction=details.direction,
        pricing=details.pricing,
        quantity_kw=[sum(of_t, Decimal(0)) for of_t in zip(*curve, strict=True)],
        **steps[0].cap,
        revision=_next_revision(auction, organisation, details.code),
        supersedes=None if is_proposed else before,
        available_at=moment,
        is_by_order=is_by_order,
        state=NeedState.PROPOSED if is_proposed else NeedState.PUBLISHED,
        **place,
    )
    if len(steps) > 1:
        NeedStep.objects.bulk_create(
            NeedStep(need=need, number=number, quantity_kw=step.quantity_kw, **step.cap)
            for number, step in enumerate(steps, start=1)
        )
    if is_proposed:
        proposals.proposal_request(need, value_jpy=value_jpy)
    else:
        proposals.published_tell(need)
    return need


@dataclass(frozen=True, kw_only=True)
class _Step:
    quantity_kw: list[Decimal]
    cap: dict[str, list[Decimal]]


def _need_steps(details: NeedDetails) -> list[_Step]:
    """Read the demand curve: one step, or several whose caps do not rise."""
    if details.pricing not in NeedPricing.values:
        raise InvalidNeed(field="pricing", value=details.pricing, rule="AUCTION or POSTED")
    name, other = CAP_OF_ENERGY, CAP_OF_CAPACITY
    if details.kind == NeedKind.CAPACITY:
        name, other = other, name
    if getattr(details, other) is not None:
        raise InvalidNeed(field=other, value=details.kind, rule=f"{name} for needs of this kind")
    if details.steps is None:
        single = {"quantity_kw": details.quantity_kw, name: getattr(details, name)}
        return [_need_step(single, name, "")]
    if details.quantity_kw is not None or getattr(details, name) is not None:
        raise InvalidNeed(field="steps", value=None, rule="either steps, or a quantity and a cap")
    most = 1 if details.pricing == NeedPricing.POSTED else STEPS_MAX
    given = details.steps
    if not isinstance(given, list | tuple) or not 1 <= len(given) <= most:
        raise InvalidNeed(field="steps", value=given, rule=f"a list of 1 to {most} steps")
    steps = [_need_step(step, name, f"steps[{i}].") for i, step in enumerate(given)]
    for i, (before, after) in enumerate(pairwise(steps), start=1):
        _refuse_rise(before.cap[name], after.cap[name], f"steps[{i}].{name}")
    return steps


def _refuse_rise(before: Sequence[Decimal], after: Sequence[Decimal], field: str) -> None:
    for t, (high, low) in enumerate(zip(before, after, strict=True)):
        if low > high:
            raise InvalidNeed(field=f"{field}[{t}]", value=str(low), rule="caps do not rise")


def _need_step(step: object, cap: str, path: str) -> _Step:
    if not isinstance(step, Mapping) or step.keys() != {"quantity_kw", cap}:
        raise InvalidNeed(
            field=path.rstrip("."), value=step, rule=f"an object of quantity_kw and {cap}"
        )
    return _Step(
        quantity_kw=decimals_of(
            step["quantity_kw"],
            field=f"{path}quantity_kw",
            count=HALF_HOURS_COUNT,
            low=Decimal(0),
            high=KW_HIGH,
            places=1,
        ),
        cap={
            cap: decimals_of(
                step[cap],
                field=f"{path}{cap}",
                count=HALF_HOURS_COUNT,
                low=Decimal(0),
                high=PRICE_HIGH,
                places=2,
            )
        },
    )


def _next_revision(auction: Auction, organisation: Organisation, code: str) -> int:
    last = Need.objects.filter(auction=auction, organisation=organisation, code=code).aggregate(
        last=Max("revision")
    )["last"]
    return (last or 0) + 1


def _need_place(
    auction: Auction, organisation: Organisation, details: NeedDetails
) -> Mapping[str, Any]:
    if details.direction not in Direction.values:
        raise InvalidNeed(field="direction", value=details.direction, rule="UP or DOWN")
    if details.kind != NeedKind.CAPACITY and details.product is not None:
        raise InvalidNeed(field="product", value=details.product, rule="for capacity only")
    if details.kind == NeedKind.LOCAL:
        return _local_place(auction, organisation, details)
    if details.kind not in (NeedKind.BALANCE, NeedKind.CAPACITY):
        raise InvalidNeed(field="kind", value=details.kind, rule="LOCAL, BALANCE or CAPACITY")
    area = Area.objects.filter(code=details.area_code).first()
    if area is None:
        raise NotFound(field="area_code", value=details.area_code, rule="a known area code")
    if (
        area.tso_id != organisation.id
        or details.congestion_point is not None
        or details.flow_sign is not None
    ):
        raise InvalidNeed(
            field="area_code", value=details.area_code, rule="the operator's own area, no element"
        )
    refuse_without_bus(auction, area.code, "area_code")
    if details.kind == NeedKind.BALANCE:
        return {"area": area}
    return {"area": area, "product": _product(auction, details)}


def _product(auction: Auction, details: NeedDetails) -> MarketProduct:
    """Return the capacity product asked for; its direction is the need's."""
    known = {row["id"]: row for row in auction.ruleset.rules.get("products", ())}
    if not isinstance(details.product, str) or details.product not in known:
        raise NotFound(
            field="product",
            value=details.product,
            rule="a capacity product of the auction's rules",
        )
    direction = known[details.product]["direction"]
    if details.direction != direction:
        raise InvalidNeed(
            field="direction", value=details.direction, rule=f"{direction}, as the product"
        )
    return MarketProduct.objects.get(code=details.product)


def _local_place(
    auction: Auction, organisation: Organisation, details: NeedDetails
) -> Mapping[str, Any]:
    point = CongestionPoint.objects.filter(
        grid_model=auction.grid_model, code=details.congestion_point
    ).first()
    if point is None:
        raise NotFound(
            field="congestion_point",
            value=details.congestion_point,
            rule="a monitored element of the auction's grid model",
        )
    if organisation.id not in (point.owner_id, point.co_owner_id):
        raise InvalidNeed(
            field="congestion_point",
            value=details.congestion_point,
            rule="an element of this grid operator",
        )
    if (
        type(details.flow_sign) is not int
        or details.flow_sign not in (-1, 1)
        or details.area_code is not None
    ):
        raise InvalidNeed(field="flow_sign", value=details.flow_sign, rule="+1 or -1, no area")
    if not BaseFlow.objects.filter(auction=auction, congestion_point=point).exists():
        raise InvalidNeed(
            field="congestion_point",
            value=details.congestion_point,
            rule="an element whose forecast flow is published for this auction",
        )
    return {"congestion_point": point, "flow_sign": details.flow_sign}


def refuse_without_bus(auction: Auction, area_code: str, field: str) -> None:
    """Refuse an area that the auction's network has no bus in."""
    if not Bus.objects.filter(grid_model=auction.grid_model_id, area=area_code).exists():
        raise InvalidNeed(
            field=field, value=area_code, rule="an area with buses in the auction's grid model"
        )


@transaction.atomic
def need_withdraw(
    *,
    auction_id: UUID | str,
    organisation: Organisation,
    code: str,
    expects: Expects | None = None,
) -> None:
    """Take a need back before the gate, published or proposed or both.

    `expects` as of :func:`need_publish`.
    """
    auction, _ = conditions_enter(auction_id)
    is_dropped = proposals.proposal_drop(
        auction=auction, organisation=organisation, code=code, reason="taken back"
    )
    need = Need.objects.filter(
        auction=auction, organisation=organisation, code=code, state=NeedState.PUBLISHED
    ).first()
    if need is None and not is_dropped:
        raise NotFound(field="code", value=code, rule="a need of this operator")
    if expects is not None:
        expects(need)
    if need is None:
        return
    Need.objects.filter(id=need.id).update(state=NeedState.WITHDRAWN)
    entry_append(action="market.need.withdrawn", subject=need, organisation_id=organisation.id)
