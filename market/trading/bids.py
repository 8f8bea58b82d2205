"""Submit and withdraw bids: all or nothing, exact, and fast enough for the last minute."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeVar
from uuid import UUID, uuid4

from django.db import transaction

from accounts.audit.services import entry_append
from accounts.core.errors import NotFound, Refused
from accounts.core.numbers import name_of
from accounts.fields.copying import rows_copy
from accounts.parties.models import Organisation
from market.core.offers.blocks import broken_links
from market.registry.models import Portfolio, Resource, Site, WorkloadClass
from market.registry.selectors import resources_by_code
from market.trading.bid_checks import (
    SUBJECTS,
    Draft,
    refuse_over_limits,
    refuse_strange_members,
    refuse_unfit,
    refuse_unknown_labels,
    refuse_unknown_movements,
    refuse_unsellable,
)
from market.trading.contents import (
    Content,
    InvalidBid,
    content_bytes,
    content_canonical,
    content_sha256,
)
from market.trading.gates import Expects, gate_enter
from market.trading.models import Auction, Bid, BidForm, BidState, Mechanism
from market.trading.refusals import Refusals
from market.trading.sealing import contents_open, contents_seal

BIDS_MAX = 5_000
BOOK_MAX = 20_000  # bids of one organisation in one auction
CLIENT_ID_LENGTH_MAX = 64
MECHANISMS = frozenset(Mechanism.values)
Named = TypeVar("Named", Resource, Portfolio, Site)
HEAD_FIELDS = frozenset({"client_bid_id", "form", "mechanism"})
ENVELOPE_FIELDS = HEAD_FIELDS | {"resource"}
BID_COLUMNS = (
    "id",
    "client_bid_id",
    "version",
    "auction_id",
    "organisation_id",
    "resource_id",
    "portfolio_id",
    "site_id",
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

    def put(self, draft: Draft, before: Bid | None, place: str) -> None:
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
                None if draft.resource is None else draft.resource.id,
                None if draft.portfolio is None else draft.portfolio.id,
                None if draft.site is None else draft.site.id,
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
    *,
    auction_id: UUID | str,
    organisation: Organisation,
    bids: Sequence[Mapping[str, Any]],
    expects: Expects | None = None,
) -> list[Receipt]:
    """Put bids into the book, each as a first version or superseding the one before.

    Parameters
    ----------
    auction_id
        Of the auction; a text is its code.
    bids
        Each with ``client_bid_id``, ``form``, ``mechanism``, the code of its ``resource``
        (``portfolio`` for PORTFOLIO, ``place`` for COMPUTE_REQUEST), optionally
        ``workload_class`` (kind), and the fields of its form as in docs/snapshot.md with
        exact numbers (``int``, ``Decimal`` or plain strings). ``parent`` of a block is the
        client id of another block of the bidder.

    expects
        Called with the current version of each bid that is replaced, 0 of a new one, which
        nobody changes meanwhile; what it raises stops the submission.

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
    RowsRefused
        Of several bids, each as above.
    """
    if not isinstance(bids, list | tuple) or not 1 <= len(bids) <= BIDS_MAX:
        raise InvalidBid(field="bids", value=bids, rule=f"a list of 1 to {BIDS_MAX}")
    # Reading the basket needs no lock: the gate is held for the writing only.
    drafts = drafts_of(organisation, bids)
    auction, moment = gate_enter(auction_id, bidder_id=organisation.id)
    refuse_unsellable(auction, organisation, drafts)
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
    if expects is not None:
        for draft in drafts:
            before = current.get(draft.client_bid_id)
            expects(0 if before is None else before.version)
    _refuse_broken_links(auction, organisation, drafts, current)
    basket = _Basket(auction=auction, organisation=organisation, moment=moment)
    for i, draft in enumerate(drafts):
        basket.put(draft, current.get(draft.client_bid_id), f"bids[{i}]")
    basket.store()
    return basket.receipts


def bid_submit(
    *, auction_id: UUID | str, organisation: Organisation, bid: Mapping[str, Any]
) -> Receipt:
    """Submit one bid; see :func:`bids_submit`."""
    return bids_submit(auction_id=auction_id, organisation=organisation, bids=[bid])[0]


@transaction.atomic
def bid_withdraw(
    *,
    auction_id: UUID | str,
    organisation: Organisation,
    client_bid_id: str,
    expects: Expects | None = None,
) -> None:
    """Take a bid out of the book before the gate; `expects` as of :func:`bids_submit`.

    Raises
    ------
    GateClosed
        At or after the gate: the bid stays in the book.
    NotFound
        If the organisation has no such bid in the book.
    """
    name_of(client_bid_id, field="client_bid_id", length_max=CLIENT_ID_LENGTH_MAX)
    auction, _ = gate_enter(auction_id, bidder_id=organisation.id)
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
    if expects is not None:
        expects(bid.version)
    if bid.form == BidForm.BLOCK:
        _refuse_orphans(auction, organisation, client_bid_id)
    Bid.objects.filter(id=bid.id).update(state=BidState.WITHDRAWN)
    entry_append(action="market.bid.withdrawn", subject=bid, organisation_id=organisation.id)


def _is_same(before: Bid, draft: Draft) -> bool:
    return (
        before.state == BidState.SUBMITTED
        and before.content_sha256 == draft.sha256
        and before.resource_id == (None if draft.resource is None else draft.resource.id)
        and before.portfolio_id == (None if draft.portfolio is None else draft.portfolio.id)
        and before.site_id == (None if draft.site is None else draft.site.id)
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


@dataclass(frozen=True, kw_only=True)
class _Known:
    """What the bids of a basket name, by code, in one query each."""

    resources: Mapping[str, Resource]
    classes: Mapping[tuple[Any, str], int]
    portfolios: Mapping[str, Portfolio]
    sites: Mapping[str, Site]


def drafts_of(organisation: Organisation, bids: Sequence[Any]) -> list[Draft]:
    """Read a basket as far as no auction is needed for it.

    Raises
    ------
    InvalidBid, NotFound, RowsRefused
        As :func:`bids_submit`.
    """
    known = _known(organisation, [bid for bid in bids if isinstance(bid, Mapping)])
    refusals = Refusals()
    drafts: list[Draft] = []
    seen: set[str] = set()
    for i, bid in enumerate(bids):
        try:
            draft = _draft(bid, f"bids[{i}]", known)
            if draft.client_bid_id in seen:
                raise InvalidBid(
                    field=f"bids[{i}].client_bid_id",
                    value=draft.client_bid_id,
                    rule="once in a basket",
                )
        except Refused as refusal:
            refusals.note(refusal)
        else:
            seen.add(draft.client_bid_id)
            drafts.append(draft)
    refusals.end()
    refuse_unknown_movements(organisation, drafts)
    refuse_unknown_labels(drafts)
    refuse_strange_members(drafts)
    return drafts


def _known(organisation: Organisation, bids: Sequence[Mapping[str, Any]]) -> _Known:
    def codes(name: str) -> set[str]:
        named = (bid.get(name) for bid in bids)
        return {code for code in named if isinstance(code, str) and code.isprintable()}

    resources, portfolios, places = codes("resource"), codes("portfolio"), codes("place")
    return _Known(
        # What the bidder does not operate is as unknown to it as what does not exist: a rule
        # about another's resource would tell its kind and its limits.
        resources={
            code: resource
            for code, resource in resources_by_code(resources).items()
            if resource.site.organisation_id == organisation.id
        },
        classes={
            (row.resource_id, row.kind): row.id
            for row in WorkloadClass.objects.filter(resource__code__in=resources)
        }
        if any("workload_class" in bid for bid in bids)
        else {},
        portfolios={
            row.code: row
            for row in Portfolio.objects.filter(organisation=organisation, code__in=portfolios)
        }
        if portfolios
        else {},
        sites={row.code: row for row in Site.objects.filter(code__in=places)} if places else {},
    )


def _draft(bid: object, field: str, known: _Known) -> Draft:
    if not isinstance(bid, Mapping):
        raise InvalidBid(field=field, value=bid, rule="an object")
    form = bid.get("form")
    subject = SUBJECTS.get(form, "resource") if isinstance(form, str) else "resource"
    envelope = ENVELOPE_FIELDS if subject == "resource" else HEAD_FIELDS | {subject}
    for name in sorted(envelope - bid.keys()):
        raise InvalidBid(field=f"{field}.{name}", value=None, rule="required")
    client_bid_id = name_of(
        bid["client_bid_id"], field=f"{field}.client_bid_id", length_max=CLIENT_ID_LENGTH_MAX
    )
    resource = portfolio = site = None
    if subject == "resource":
        resource = _named(known.resources, bid, subject, f"{field}.{subject}")
        refuse_unfit(resource, form, bid["mechanism"], field)
    elif subject == "portfolio":
        portfolio = _named(known.portfolios, bid, subject, f"{field}.{subject}")
    else:
        site = _named(known.sites, bid, subject, f"{field}.{subject}")
    mechanism = _mechanism(bid["mechanism"], str(form), field)
    offer = {
        name: value
        for name, value in bid.items()
        if name not in envelope and name != "workload_class"
    }
    content = content_canonical(str(form), offer, field=field)
    if resource is not None:
        refuse_over_limits(resource, str(form), content, field)
    canonical = content_bytes(content)
    return Draft(
        client_bid_id=client_bid_id,
        form=str(form),
        mechanism=mechanism,
        resource=resource,
        portfolio=portfolio,
        site=site,
        workload_class_id=_workload_class_id(bid, resource, known, field),
        content=content,
        canonical=canonical,
        sha256=content_sha256(canonical),
    )


def _named(known: Mapping[str, Named], bid: Mapping[str, Any], subject: str, field: str) -> Named:
    code = bid[subject]
    found = known.get(code) if isinstance(code, str) else None
    if found is None:
        raise NotFound(field=field, value=code, rule=f"a known {subject}")
    return found


def _mechanism(value: object, form: str, field: str) -> str:
    """Return the mechanism; of bids without a resource it is checked here."""
    is_request = form == BidForm.COMPUTE_REQUEST
    if (
        not isinstance(value, str)
        or value not in MECHANISMS
        or (is_request and value != Mechanism.COMPUTE)
    ):
        allowed = Mechanism.COMPUTE.value if is_request else ", ".join(Mechanism.values)
        raise InvalidBid(field=f"{field}.mechanism", value=value, rule=f"one of {allowed}")
    return value


def _workload_class_id(
    bid: Mapping[str, Any], resource: Resource | None, known: _Known, field: str
) -> int | None:
    kind = bid.get("workload_class")
    if kind is None:
        return None
    found = None if resource is None else known.classes.get((resource.id, str(kind)))
    if found is None:
        code = "no resource" if resource is None else resource.code
        raise NotFound(
            field=f"{field}.workload_class", value=kind, rule=f"a workload class of {code}"
        )
    return found


def _refuse_broken_links(
    auction: Auction,
    organisation: Organisation,
    drafts: Sequence[Draft],
    current: Mapping[str, Bid],
) -> None:
    """Refuse blocks whose parent is no block of the bidder's book, or that lead back to themselves.

    A basket may bring parent and child, and may break a link by replacing the parent.
    """
    replaced = {
        draft.client_bid_id
        for draft in drafts
        if draft.client_bid_id in current and current[draft.client_bid_id].form == BidForm.BLOCK
    }
    if not replaced and not any(draft.form == BidForm.BLOCK for draft in drafts):
        return
    given = {draft.client_bid_id for draft in drafts}
    blocks = {
        name: content
        for name, content in _blocks_in_book(auction, organisation).items()
        if name not in given
    }
    blocks |= {
        draft.client_bid_id: draft.content for draft in drafts if draft.form == BidForm.BLOCK
    }
    broken = broken_links(
        [
            {
                "id": name,
                "form": "BLOCK",
                "parent": content.get("parent"),
                "exclusive_group": content.get("exclusive_group"),
            }
            for name, content in blocks.items()
        ]
    )
    for i, draft in enumerate(drafts):
        if draft.client_bid_id in broken:
            raise InvalidBid(
                field=f"bids[{i}].parent",
                value=draft.content.get("parent"),
                rule=broken[draft.client_bid_id],
            )
    for name in sorted(broken):
        raise InvalidBid(
            field="bids", value=name, rule=f"a block of the book would be left: {broken[name]}"
        )


def _refuse_orphans(auction: Auction, organisation: Organisation, client_bid_id: str) -> None:
    for name, content in sorted(_blocks_in_book(auction, organisation).items()):
        if content.get("parent") == client_bid_id:
            raise InvalidBid(
                field="client_bid_id",
                value=client_bid_id,
                rule=f"no parent of a block in the book: withdraw {name} first",
            )


def _blocks_in_book(auction: Auction, organisation: Organisation) -> dict[str, Content]:
    """Contents of the bidder's own blocks by client id: it may read its own."""
    names = dict(
        Bid.objects.filter(
            auction=auction,
            organisation=organisation,
            state=BidState.SUBMITTED,
            form=BidForm.BLOCK,
        ).values_list("id", "client_bid_id")
    )
    return {names[bid_id]: content for bid_id, content in contents_open(names).items()}


def _refuse_overfull(auction: Auction, organisation: Organisation, count: int) -> None:
    held = Bid.objects.filter(
        auction=auction, organisation=organisation, state=BidState.SUBMITTED
    ).count()
    if held + count > BOOK_MAX:
        raise InvalidBid(
            field="bids", value=held + count, rule=f"at most {BOOK_MAX} bids in one auction"
        )
