"""Read the bids of a basket into drafts: each checked as far as no auction is needed for it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from accounts.core.errors import NotFound, Refused
from accounts.core.numbers import name_of
from accounts.parties.models import Organisation
from market.registry.models import Portfolio, Resource, Site, WorkloadClass
from market.registry.selectors import resources_recent
from market.trading.bid_checks import (
    SUBJECTS,
    Draft,
    refuse_over_limits,
    refuse_strange_members,
    refuse_unfit,
    refuse_unknown_labels,
    refuse_unknown_movements,
)
from market.trading.contents import InvalidBid, content_bytes, content_canonical
from market.trading.models import BidForm, Mechanism
from market.trading.refusals import Refusals

CLIENT_ID_LENGTH_MAX = 64
MECHANISMS = frozenset(Mechanism.values)
Named = TypeVar("Named", Resource, Portfolio, Site)
HEAD_FIELDS = frozenset({"client_bid_id", "form", "mechanism"})
ENVELOPE_FIELDS = HEAD_FIELDS | {"resource"}


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
            for code, resource in resources_recent.of(resources).items()
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
    return Draft(
        client_bid_id=client_bid_id,
        form=str(form),
        mechanism=mechanism,
        resource=resource,
        portfolio=portfolio,
        site=site,
        workload_class=bid.get("workload_class"),
        workload_class_id=_workload_class_id(bid, resource, known, field),
        content=content,
        canonical=content_bytes(content),
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
