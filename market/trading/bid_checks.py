"""What a bid may be: fit for its resource, within its limits, sellable, readable by the engine."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from uuid import UUID

from accounts.core.errors import NotFound, Refused
from accounts.fields import HALF_HOURS_COUNT
from accounts.parties.models import Organisation, OrganisationKind
from market.core.offers.terms import Terms
from market.core.parsing import bid_parse
from market.core.reading import Reader
from market.core.timegrid import INTERVAL_H
from market.registry.models import (
    STORAGE_KINDS,
    Bus,
    OpticalPath,
    Portfolio,
    Resource,
    ResourceKind,
    Site,
)
from market.registry.selectors import resources_by_code, resources_sellable_by
from market.trading.contents import (
    Content,
    InvalidBid,
    capacity_peak_kw,
    quantity_peak_kw,
    resources_named,
)
from market.trading.models import Auction, BidForm, Mechanism
from market.trading.prequalified import refuse_unqualified
from market.trading.refusals import Refusals
from market.trading.snapshot_rows import bid_row, resource_row

_Fits = Mapping[str, tuple[str, ...]]
_LESS_LOAD = (Mechanism.DEFERRAL, Mechanism.POWER_CAP, Mechanism.STOP)
_LOAD: _Fits = {
    "STEPS": _LESS_LOAD,
    "BLOCK": _LESS_LOAD,
    "SHIFT": (Mechanism.SPATIAL,),
    "DEFERRAL": (Mechanism.DEFERRAL,),
    "CAPACITY": _LESS_LOAD,
    "COMPUTE_OFFER": (Mechanism.COMPUTE,),
}
_STORE: _Fits = dict.fromkeys(("STEPS", "BLOCK", "STORAGE", "CAPACITY"), (Mechanism.BATTERY,))
_GENERATION: _Fits = dict.fromkeys(
    ("STEPS", "BLOCK", "RENEWABLE", "CAPACITY"), (Mechanism.RENEWABLE,)
)
# What each kind of resource can be bid as: form, then mechanisms.
FITS: dict[str, _Fits] = {
    ResourceKind.DC_LOAD: _LOAD,
    ResourceKind.PV: _GENERATION,
    ResourceKind.WIND: _GENERATION,
    **dict.fromkeys(map(str, STORAGE_KINDS), _STORE),
}
# What forms name in their envelope instead of one resource.
SUBJECTS: dict[str, str] = {"PORTFOLIO": "portfolio", "COMPUTE_REQUEST": "place"}
# Forms whose checks below are all the engine asks; the others it reads once here, by itself.
KNOWN_TO_FIT = frozenset({"STEPS", "STORAGE", "SHIFT"})
BUSES_KNOWN_MAX = 100_000
_buses_known: set[tuple[UUID, str]] = set()
RULE_OF_BUS = "at a bus of the auction's grid model"


@dataclass(frozen=True, kw_only=True, slots=True)
class Draft:
    """One bid of a basket, read and checked on its own."""

    client_bid_id: str
    form: str
    mechanism: str
    resource: Resource | None
    portfolio: Portfolio | None
    site: Site | None
    workload_class: str | None
    workload_class_id: int | None
    content: Content
    canonical: bytes


def refuse_unfit(resource: Resource, form: object, mechanism: object, field: str) -> None:
    """Refuse forms and mechanisms that the kind of resource cannot have."""
    fits = FITS.get(resource.kind, {})
    if not isinstance(form, str) or form not in fits:
        raise InvalidBid(
            field=f"{field}.form",
            value=form,
            rule=f"for {resource.kind} one of {', '.join(fits)}",
        )
    mechanisms = fits[form]
    if mechanism not in mechanisms:
        raise InvalidBid(
            field=f"{field}.mechanism",
            value=mechanism,
            rule=f"for {form} of {resource.kind} one of {', '.join(mechanisms)}",
        )


def refuse_over_limits(resource: Resource, form: str, content: Content, field: str) -> None:
    """Refuse quantities beyond what the resource can change."""
    for direction, peak_kw in quantity_peak_kw(form, content).items():
        _refuse_over(resource, direction, peak_kw, f"{field}.quantity_kw")
    if form == BidForm.STORAGE:
        _refuse_beyond_store(resource, content, field)


def _refuse_over(resource: Resource, direction: str, peak_kw: Decimal, field: str) -> None:
    limit_kw = resource.limit_up_kw if direction == "UP" else resource.limit_down_kw
    if peak_kw > limit_kw:
        raise InvalidBid(
            field=field,
            value=str(peak_kw),
            rule=f"at most {limit_kw} kW {direction} of resource {resource.code}",
        )


def _refuse_beyond_store(resource: Resource, content: Content, field: str) -> None:
    """Refuse to sell more than the registered store holds, or any of its reserve."""
    store = getattr(resource, "storage", None)
    if store is None:
        raise InvalidBid(
            field=f"{field}.resource",
            value=resource.code,
            rule="a resource with a registered store",
        )
    if Decimal(content["reserve_kwh"]) < store.reserve_kwh:
        raise InvalidBid(
            field=f"{field}.reserve_kwh",
            value=content["reserve_kwh"],
            rule=f"at least the {store.reserve_kwh} kWh that are never sold",
        )
    for name, high in (
        ("energy_limit_kwh", store.energy_kwh),
        ("charge_limit_kw", store.charge_kw),
        ("discharge_limit_kw", store.discharge_kw),
        ("charge_efficiency_ratio", store.charge_efficiency_ratio),
        ("discharge_efficiency_ratio", store.discharge_efficiency_ratio),
    ):
        if Decimal(content[name]) > high:
            raise InvalidBid(
                field=f"{field}.{name}",
                value=content[name],
                rule=f"at most the registered {high} of {resource.code}",
            )


def refuse_unknown_movements(organisation: Organisation, drafts: Sequence[Draft]) -> None:
    """Every destination and path of a shift exists, and the path joins the two sites."""
    shifts = [(i, draft) for i, draft in enumerate(drafts) if draft.form == BidForm.SHIFT]
    if not shifts:
        return
    wanted = [row for _, draft in shifts for row in draft.content["destinations"]]
    resources = resources_by_code(row["resource"] for row in wanted)
    paths = {
        path.code: path
        for path in OpticalPath.objects.filter(code__in={row["path"] for row in wanted})
    }
    refusals = Refusals()
    for i, draft in shifts:
        try:
            for j, row in enumerate(draft.content["destinations"]):
                field = f"bids[{i}].destinations[{j}]"
                there, path = resources.get(row["resource"]), paths.get(row["path"])
                _refuse_movement(organisation, draft, there, path, row, field)
        except Refused as refusal:
            refusals.note(refusal)
    refusals.end()


def _refuse_movement(
    organisation: Organisation,
    draft: Draft,
    there: Resource | None,
    path: OpticalPath | None,
    row: Mapping[str, str],
    field: str,
) -> None:
    here = draft.resource
    if (
        there is None
        or there.site.organisation_id != organisation.id
        or there.kind != ResourceKind.DC_LOAD
    ):
        raise NotFound(
            field=f"{field}.resource",
            value=row["resource"],
            rule="a computing load of the bidder",
        )
    if here is None or there.id == here.id:
        raise InvalidBid(field=f"{field}.resource", value=row["resource"], rule="another resource")
    if path is None or (path.from_site_id, path.to_site_id) != (here.site_id, there.site_id):
        raise NotFound(
            field=f"{field}.path",
            value=row["path"],
            rule="a path from the bid's site to the destination's",
        )


def refuse_unknown_labels(drafts: Sequence[Draft]) -> None:
    """Refuse a label that no site has: most likely it is misspelt, and nothing could run."""
    required = {
        label: f"bids[{i}].labels_required"
        for i, draft in enumerate(drafts)
        for label in draft.content.get("labels_required", ())
    }
    refusals = Refusals()
    for label in sorted(required):
        if not Site.objects.filter(labels__contains=[label]).exists():
            refusals.note(
                NotFound(field=required[label], value=label, rule="a label that some site has")
            )
    refusals.end()


def refuse_strange_members(drafts: Sequence[Draft]) -> None:
    """Every member of a portfolio bid belongs to it, fits the mechanism and can do as much."""
    portfolios = [(i, draft) for i, draft in enumerate(drafts) if draft.portfolio is not None]
    if not portfolios:
        return
    resources = resources_by_code(
        row["resource"] for _, draft in portfolios for row in draft.content["members"]
    )
    belongs = set(
        Portfolio.objects.filter(
            id__in={draft.portfolio.id for _, draft in portfolios if draft.portfolio is not None}
        ).values_list("id", "resources__code")
    )
    refusals = Refusals()
    for i, draft in portfolios:
        portfolio_id = None if draft.portfolio is None else draft.portfolio.id
        try:
            for j, row in enumerate(draft.content["members"]):
                is_member = (portfolio_id, row["resource"]) in belongs
                member = resources.get(row["resource"]) if is_member else None
                _refuse_member(draft, member, row, f"bids[{i}].members[{j}]")
        except Refused as refusal:
            refusals.note(refusal)
    refusals.end()


def _refuse_member(
    draft: Draft, member: Resource | None, row: Mapping[str, Any], field: str
) -> None:
    if member is None:
        raise NotFound(
            field=f"{field}.resource", value=row["resource"], rule="a resource of the portfolio"
        )
    refuse_unfit(member, "STEPS", draft.mechanism, field)
    peak_kw = max(map(Decimal, row["limit_kw"]))
    _refuse_over(member, draft.content["direction"], peak_kw, f"{field}.limit_kw")


def refuse_unsellable(
    auction: Auction, organisation: Organisation, drafts: Sequence[Draft]
) -> None:
    """Refuse what the organisation may not sell, or what the auction's network does not know."""
    named = [
        (code, f"bids[{i}].{field}")
        for i, draft in enumerate(drafts)
        for code, field in _resources_of(draft)
    ]
    sellable = _sellable(auction, organisation, drafts, {code for code, _ in named})
    sites = [
        (draft.site, f"bids[{i}].place") for i, draft in enumerate(drafts) if draft.site is not None
    ]
    buses = _buses_of(
        auction.grid_model_id, {*sellable.values(), *(site.bus_code for site, _ in sites)}
    )
    refusals = Refusals()
    for code, field in named:
        if code not in sellable:
            # The same answer for another's resource as for none: existence is no oracle.
            refusals.note(NotFound(field=field, value=code, rule="a known resource"))
        elif sellable[code] not in buses:
            refusals.note(NotFound(field=field, value=code, rule=RULE_OF_BUS))
    for site, field in sites:
        if site.bus_code not in buses:
            refusals.note(NotFound(field=field, value=site.code, rule=RULE_OF_BUS))
        elif organisation.kind != OrganisationKind.COMPUTE_CUSTOMER:
            refusals.note(
                InvalidBid(field=field, value=organisation.code, rule="asked by a compute customer")
            )
    refusals.end()
    refuse_unqualified(auction, drafts)
    refuse_unreadable(auction, drafts)


def _buses_of(grid_model_id: UUID, codes: set[str]) -> set[str]:
    """Return those codes that a grid model has a bus of.

    A bus that is there stays: grid models only ever get successors. So what was found once is
    not asked for again.
    """
    found = {code for code in codes if (grid_model_id, code) in _buses_known}
    if found == codes:
        return found
    rows = Bus.objects.filter(grid_model=grid_model_id, code__in=codes - found)
    new = set(rows.values_list("code", flat=True))
    if len(_buses_known) + len(new) > BUSES_KNOWN_MAX:
        _buses_known.clear()
    _buses_known.update((grid_model_id, code) for code in new)
    return found | new


def _sellable(
    auction: Auction, organisation: Organisation, drafts: Sequence[Draft], codes: set[str]
) -> dict[str, str]:
    """Return the bus of each resource that may be sold; asked for is only what is not at hand."""
    at_hand = {
        draft.resource.code: draft.resource.site.bus_code
        for draft in drafts
        if draft.resource is not None
        and draft.resource.retired_at is None
        and draft.resource.site.retired_at is None
        and draft.resource.site.organisation_id
        == draft.resource.site.facility_owner_id
        == organisation.id
    }
    others = codes - at_hand.keys()
    if not others:
        return at_hand
    return at_hand | dict(
        resources_sellable_by(organisation, on=auction.delivery_on)
        .filter(code__in=others)
        .values_list("code", "site__bus_code")
    )


def _resources_of(draft: Draft) -> Iterable[tuple[str, str]]:
    if draft.resource is not None:
        yield draft.resource.code, "resource"
    yield from resources_named(draft.content)


def refuse_unreadable(auction: Auction, drafts: Sequence[Draft]) -> None:
    """Refuse what the snapshot would: the engine reads each bid of the richer forms now."""
    rich = [(i, draft) for i, draft in enumerate(drafts) if draft.form not in KNOWN_TO_FIT]
    if not rich:
        return
    products = {row["id"]: row for row in auction.ruleset.rules.get("products", ())}
    own = [draft.resource for _, draft in rich if draft.resource is not None]
    members = resources_by_code(
        code for _, draft in rich for code, _ in resources_named(draft.content)
    )
    terms = Terms(
        interval_count=HALF_HOURS_COUNT,
        interval_h=INTERVAL_H,
        resources={row.code: resource_row(row) for row in (*members.values(), *own)},
        paths={},
        places={draft.site.code: {} for _, draft in rich if draft.site is not None},
        products=products,
    )
    refusals = Refusals()
    for i, draft in rich:
        try:
            if draft.form == BidForm.CAPACITY:
                _refuse_over_capacity(draft, products, f"bids[{i}]")
            row = bid_row(draft.client_bid_id, draft, draft.content)
            bid_parse(Reader(row, f"bids[{i}]", InvalidBid), terms)
        except Refused as refusal:
            refusals.note(refusal)
    refusals.end()


def _refuse_over_capacity(
    draft: Draft, products: Mapping[str, Mapping[str, str]], field: str
) -> None:
    product = products.get(draft.content["product"])
    if product is None:
        raise NotFound(
            field=f"{field}.product",
            value=draft.content["product"],
            rule="a capacity product of the auction's rules",
        )
    if draft.resource is not None:
        peak_kw = capacity_peak_kw(draft.content)
        _refuse_over(draft.resource, product["direction"], peak_kw, f"{field}.offers")
