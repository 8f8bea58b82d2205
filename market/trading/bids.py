"""Submit and withdraw bids: all or nothing, exact, and fast enough for the last minute."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

from django.db import connection, transaction

from accounts.audit.services import entry_append
from accounts.core.errors import NotFound
from accounts.core.numbers import name_of
from accounts.fields.copying import rows_copy
from accounts.parties.models import Organisation
from market.registry.models import (
    STORAGE_KINDS,
    Bus,
    OpticalPath,
    Resource,
    ResourceKind,
    WorkloadClass,
)
from market.registry.selectors import resources_by_code, resources_sellable_by
from market.trading.contents import (
    Content,
    InvalidBid,
    content_bytes,
    content_canonical,
    content_sha256,
    quantity_peak_kw,
)
from market.trading.gates import gate_enter
from market.trading.models import Auction, Bid, BidForm, BidState, Mechanism
from market.trading.sealing import contents_seal

BIDS_MAX = 5_000
BOOK_MAX = 20_000  # bids of one organisation in one auction
CLIENT_ID_LENGTH_MAX = 64
_Fits = Mapping[str, tuple[str, ...]]
_LOAD: _Fits = {
    "STEPS": (Mechanism.DEFERRAL, Mechanism.POWER_CAP, Mechanism.STOP),
    "SHIFT": (Mechanism.SPATIAL,),
}
_STORE: _Fits = {"STEPS": (Mechanism.BATTERY,), "STORAGE": (Mechanism.BATTERY,)}
_GENERATION: _Fits = {"STEPS": (Mechanism.RENEWABLE,)}
# What each kind of resource can be bid as: form, then mechanisms.
FITS: dict[str, _Fits] = {
    ResourceKind.DC_LOAD: _LOAD,
    ResourceKind.PV: _GENERATION,
    ResourceKind.WIND: _GENERATION,
    **dict.fromkeys(map(str, STORAGE_KINDS), _STORE),
}
# Advisory locks of bidders; taken after the gate's, before rows. Numbers are never reused.
BIDDER_LOCK_CLASS = 2602
ENVELOPE_FIELDS = frozenset({"client_bid_id", "resource", "form", "mechanism"})
BID_COLUMNS = (
    "id",
    "client_bid_id",
    "version",
    "auction_id",
    "organisation_id",
    "resource_id",
    "workload_class_id",
    "form",
    "mechanism",
    "state",
    "supersedes_id",
    "received_at",
    "content_sha256",
)


@dataclass(frozen=True, kw_only=True)
class Receipt:
    """What a bidder gets for a bid that is in the book."""

    bid_id: UUID
    client_bid_id: str
    version: int
    received_at: datetime
    content_sha256: str
    is_new: bool


@dataclass(frozen=True, kw_only=True)
class _Draft:
    client_bid_id: str
    resource: Resource
    workload_class_id: int | None
    form: str
    mechanism: str
    content: Content
    canonical: bytes
    sha256: str


@dataclass(kw_only=True)
class _Basket:
    """What one call adds to the book, gathered row by row and stored at once."""

    auction: Auction
    organisation: Organisation
    moment: datetime
    receipts: list[Receipt] = field(default_factory=list)
    rows: list[tuple[Any, ...]] = field(default_factory=list)
    contents: list[tuple[UUID, bytes]] = field(default_factory=list)
    superseded: list[UUID] = field(default_factory=list)

    def put(self, draft: _Draft, before: Bid | None, place: str) -> None:
        """Add a draft as a new version, unless it repeats the version `before`."""
        if before is not None and before.auction_id != self.auction.id:
            raise InvalidBid(
                field=f"{place}.client_bid_id",
                value=draft.client_bid_id,
                rule="already used in another auction",
            )
        if before is not None and _is_same(before, draft):
            self.receipts.append(_receipt(before))
            return
        is_alive = before is not None and before.state == BidState.SUBMITTED
        supersedes_id = before.id if before is not None and is_alive else None
        if supersedes_id is not None:
            self.superseded.append(supersedes_id)
        receipt = Receipt(
            bid_id=uuid4(),
            client_bid_id=draft.client_bid_id,
            version=1 if before is None else before.version + 1,
            received_at=self.moment,
            content_sha256=draft.sha256,
            is_new=True,
        )
        self.rows.append(
            (
                receipt.bid_id,
                receipt.client_bid_id,
                receipt.version,
                self.auction.id,
                self.organisation.id,
                draft.resource.id,
                draft.workload_class_id,
                draft.form,
                draft.mechanism,
                BidState.SUBMITTED.value,
                supersedes_id,
                self.moment,
                draft.sha256,
            )
        )
        self.contents.append((receipt.bid_id, draft.canonical))
        self.receipts.append(receipt)

    def store(self) -> None:
        """Write what is new, and say so in the audit trail."""
        if not self.rows:
            return
        Bid.objects.filter(id__in=self.superseded).update(state=BidState.SUPERSEDED)
        rows_copy(Bid, BID_COLUMNS, self.rows)
        contents_seal(self.contents)
        entry_append(
            action="market.bid.submitted",
            subject=self.auction,
            organisation_id=self.organisation.id,
            detail={"bids": len(self.rows), "superseded": len(self.superseded)},
        )


@transaction.atomic
def bids_submit(
    *, auction_id: UUID, organisation: Organisation, bids: Sequence[Mapping[str, Any]]
) -> list[Receipt]:
    """Put bids into the book, each as a first version or superseding the one before.

    Parameters
    ----------
    bids
        Each with ``client_bid_id``, ``resource`` (code), ``form``, ``mechanism``, optionally
        ``workload_class`` (kind), and the fields of its form as in docs/snapshot.md with
        exact numbers (``int``, ``Decimal`` or plain strings).

    Returns
    -------
    list of Receipt
        In the order of `bids`. An offer equal to the current version is not stored
        again: its receipt has ``is_new=False``, so a retry is harmless.

    Raises
    ------
    GateClosed
        At or after the gate.
    InvalidBid, NotFound
        Naming the path (``bids[3].curves[0]…``), the value and the rule; none is stored.
    """
    if not isinstance(bids, list | tuple) or not 1 <= len(bids) <= BIDS_MAX:
        raise InvalidBid(field="bids", value=bids, rule=f"a list of 1 to {BIDS_MAX}")
    # Reading the basket needs no lock: the gate is held for the writing only.
    drafts = _drafts(organisation, bids)
    auction, moment = gate_enter(auction_id)
    _take_turn(organisation)
    _refuse_unsellable(auction, organisation, drafts)
    _refuse_overfull(auction, organisation, len(drafts))
    current = {
        bid.client_bid_id: bid
        for bid in Bid.objects.select_for_update()
        .filter(
            organisation=organisation,
            client_bid_id__in=[draft.client_bid_id for draft in drafts],
        )
        .order_by("client_bid_id", "version")
    }
    basket = _Basket(auction=auction, organisation=organisation, moment=moment)
    for i, draft in enumerate(drafts):
        basket.put(draft, current.get(draft.client_bid_id), f"bids[{i}]")
    basket.store()
    return basket.receipts


def bid_submit(*, auction_id: UUID, organisation: Organisation, bid: Mapping[str, Any]) -> Receipt:
    """Submit one bid; see :func:`bids_submit`."""
    return bids_submit(auction_id=auction_id, organisation=organisation, bids=[bid])[0]


@transaction.atomic
def bid_withdraw(*, auction_id: UUID, organisation: Organisation, client_bid_id: str) -> None:
    """Take a bid out of the book before the gate.

    Raises
    ------
    GateClosed
        At or after the gate: the bid stays in the book.
    NotFound
        If the organisation has no such bid in the book.
    """
    name_of(client_bid_id, field="client_bid_id", length_max=CLIENT_ID_LENGTH_MAX)
    auction, _ = gate_enter(auction_id)
    bid = (
        Bid.objects.select_for_update()
        .filter(
            auction=auction,
            organisation=organisation,
            client_bid_id=client_bid_id,
            state=BidState.SUBMITTED,
        )
        .first()
    )
    if bid is None:
        raise NotFound(field="client_bid_id", value=client_bid_id, rule="a bid in the book")
    Bid.objects.filter(id=bid.id).update(state=BidState.WITHDRAWN)
    entry_append(action="market.bid.withdrawn", subject=bid, organisation_id=organisation.id)


def _take_turn(organisation: Organisation) -> None:
    """One basket of an organisation at a time, so that twin requests see each other's bids."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_advisory_xact_lock(%s, hashtext(%s))",
            [BIDDER_LOCK_CLASS, str(organisation.id)],
        )


def _is_same(before: Bid, draft: _Draft) -> bool:
    return (
        before.state == BidState.SUBMITTED
        and before.content_sha256 == draft.sha256
        and before.resource_id == draft.resource.id
        and before.form == draft.form
        and before.mechanism == draft.mechanism
        and before.workload_class_id == draft.workload_class_id
    )


def _receipt(bid: Bid) -> Receipt:
    return Receipt(
        bid_id=bid.id,
        client_bid_id=bid.client_bid_id,
        version=bid.version,
        received_at=bid.received_at,
        content_sha256=bid.content_sha256,
        is_new=False,
    )


def _drafts(organisation: Organisation, bids: Sequence[Any]) -> list[_Draft]:
    named = (bid.get("resource") for bid in bids if isinstance(bid, Mapping))
    codes = {code for code in named if isinstance(code, str) and code.isprintable()}
    resources = resources_by_code(codes)
    classes = {
        (row.resource_id, row.kind): row.id
        for row in WorkloadClass.objects.filter(resource__code__in=codes)
    }
    drafts = [_draft(bid, f"bids[{i}]", resources, classes) for i, bid in enumerate(bids)]
    seen: set[str] = set()
    for i, draft in enumerate(drafts):
        if draft.client_bid_id in seen:
            raise InvalidBid(
                field=f"bids[{i}].client_bid_id",
                value=draft.client_bid_id,
                rule="once in a basket",
            )
        seen.add(draft.client_bid_id)
    _check_movements(organisation, drafts)
    return drafts


def _draft(
    bid: object,
    field: str,
    resources: Mapping[str, Resource],
    classes: Mapping[tuple[Any, str], int],
) -> _Draft:
    if not isinstance(bid, Mapping):
        raise InvalidBid(field=field, value=bid, rule="an object")
    for name in sorted(ENVELOPE_FIELDS - bid.keys()):
        raise InvalidBid(field=f"{field}.{name}", value=None, rule="required")
    client_bid_id = name_of(
        bid["client_bid_id"], field=f"{field}.client_bid_id", length_max=CLIENT_ID_LENGTH_MAX
    )
    resource = resources.get(bid["resource"]) if isinstance(bid["resource"], str) else None
    if resource is None:
        raise NotFound(field=f"{field}.resource", value=bid["resource"], rule="a known resource")
    form, mechanism = bid["form"], bid["mechanism"]
    _refuse_unfit(resource, form, mechanism, field)
    kind = bid.get("workload_class")
    workload_class_id = None if kind is None else classes.get((resource.id, str(kind)))
    if kind is not None and workload_class_id is None:
        raise NotFound(
            field=f"{field}.workload_class", value=kind, rule=f"a workload class of {resource.code}"
        )
    offer = {
        name: value
        for name, value in bid.items()
        if name not in ENVELOPE_FIELDS and name != "workload_class"
    }
    content = content_canonical(form, offer, field=field)
    _refuse_over_limits(resource, form, content, field)
    canonical = content_bytes(content)
    return _Draft(
        client_bid_id=client_bid_id,
        resource=resource,
        workload_class_id=workload_class_id,
        form=form,
        mechanism=mechanism,
        content=content,
        canonical=canonical,
        sha256=content_sha256(canonical),
    )


def _refuse_unfit(resource: Resource, form: object, mechanism: object, field: str) -> None:
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


def _refuse_over_limits(resource: Resource, form: str, content: Content, field: str) -> None:
    limits: dict[str, Decimal] = {"UP": resource.limit_up_kw, "DOWN": resource.limit_down_kw}
    for direction, peak_kw in quantity_peak_kw(form, content).items():
        if peak_kw > limits[direction]:
            raise InvalidBid(
                field=f"{field}.quantity_kw",
                value=str(peak_kw),
                rule=f"at most {limits[direction]} kW {direction} of resource {resource.code}",
            )
    if form == BidForm.STORAGE:
        _refuse_beyond_store(resource, content, field)


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


def _check_movements(organisation: Organisation, drafts: Sequence[_Draft]) -> None:
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
    for i, draft in shifts:
        for j, row in enumerate(draft.content["destinations"]):
            field = f"bids[{i}].destinations[{j}]"
            there = resources.get(row["resource"])
            path = paths.get(row["path"])
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
            if there.id == draft.resource.id:
                raise InvalidBid(
                    field=f"{field}.resource", value=row["resource"], rule="another resource"
                )
            if path is None or (path.from_site_id, path.to_site_id) != (
                draft.resource.site_id,
                there.site_id,
            ):
                raise NotFound(
                    field=f"{field}.path",
                    value=row["path"],
                    rule="a path from the bid's site to the destination's",
                )


def _refuse_unsellable(
    auction: Auction, organisation: Organisation, drafts: Sequence[_Draft]
) -> None:
    """Refuse what the organisation may not sell, or what the auction's network does not know."""
    destinations = {
        row["resource"]
        for draft in drafts
        if draft.form == BidForm.SHIFT
        for row in draft.content["destinations"]
    }
    codes = destinations | {draft.resource.code for draft in drafts}
    sellable = dict(
        resources_sellable_by(organisation, on=auction.delivery_on)
        .filter(code__in=codes)
        .values_list("code", "site__bus_code")
    )
    buses = set(
        Bus.objects.filter(
            grid_model=auction.grid_model_id, code__in=set(sellable.values())
        ).values_list("code", flat=True)
    )
    for i, draft in enumerate(drafts):
        own = [(draft.resource.code, f"bids[{i}].resource")]
        if draft.form == BidForm.SHIFT:
            own += [
                (row["resource"], f"bids[{i}].destinations[{j}].resource")
                for j, row in enumerate(draft.content["destinations"])
            ]
        for code, field_path in own:
            if code not in sellable:
                # The same answer for another's resource as for none: existence is no oracle.
                raise NotFound(field=field_path, value=code, rule="a known resource")
            if sellable[code] not in buses:
                raise NotFound(
                    field=field_path, value=code, rule="at a bus of the auction's grid model"
                )


def _refuse_overfull(auction: Auction, organisation: Organisation, count: int) -> None:
    held = Bid.objects.filter(
        auction=auction, organisation=organisation, state=BidState.SUBMITTED
    ).count()
    if held + count > BOOK_MAX:
        raise InvalidBid(
            field="bids", value=held + count, rule=f"at most {BOOK_MAX} bids in one auction"
        )
