"""Only resources that are prequalified are bid where the rules ask that."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING
from uuid import UUID

from accounts.clock.recent import Recent
from accounts.core.errors import Refused
from market.registry.selectors import (
    ProductTerms,
    prequalified,
    prequalified_then,
    product_terms_of,
    resources_by_code,
    resources_recent,
)
from market.trading.contents import Content, capacity_peak_kw, quantity_peak_kw
from market.trading.models import Auction, Bid, BidForm
from market.trading.refusals import Refusals
from market.trading.sealing import contents_open

if TYPE_CHECKING:
    from market.trading.bid_checks import Draft

# Computing is bought and sold, not flexibility.
_NO_FLEXIBILITY = (BidForm.COMPUTE_OFFER, BidForm.COMPUTE_REQUEST)
# Forms whose content says more of it than their envelope does.
_NAMING_MORE = (BidForm.CAPACITY, BidForm.PORTFOLIO, BidForm.SHIFT)
_ANY_KW = Decimal(0)


class NotPrequalified(Refused):
    """A resource that is not prequalified for the product at the gate, or not for so much."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Asked:
    """What a bid asks of one resource: at most so much of a product."""

    resource: str
    field: str
    product: str
    quantity_kw: Decimal


_Fit = tuple[UUID, str, datetime]


def _fit(asked: Iterable[_Fit]) -> dict[_Fit, Decimal]:
    """Return how much [kW] each (resource, product, moment) is fit for, where it is."""
    together: dict[tuple[str, datetime], set[UUID]] = {}
    for resource_id, product, at in asked:
        together.setdefault((product, at), set()).add(resource_id)
    return {
        (resource_id, product, at): most_kw
        for (product, at), resource_ids in together.items()
        for resource_id, most_kw in prequalified(
            resource_ids=resource_ids, product=product, at=at
        ).items()
    }


_fit_recent: Recent[_Fit, Decimal] = Recent(_fit)


def refuse_unqualified(auction: Auction, drafts: Sequence[Draft]) -> None:
    """Refuse bids of resources that are not prequalified at the gate, where the rules ask it.

    A ΔkW bid needs its own product, every other bid of flexibility the one that stands for
    energy. Members of a portfolio and destinations of a shift need it too.

    Raises
    ------
    NotPrequalified, RowsRefused
        Naming resource and product.
    """
    terms = product_terms_of(auction.ruleset)
    if not terms.prequalified:
        return
    asked = [
        one
        for i, draft in enumerate(drafts)
        for one in _asked_by(
            draft.form,
            None if draft.resource is None else draft.resource.code,
            draft.content,
            terms,
            place=f"bids[{i}].",
        )
    ]
    ids = {code: row.id for code, row in resources_recent.of(one.resource for one in asked).items()}
    fit = _fit_recent.of((ids[one.resource], one.product, auction.gate_closure_at) for one in asked)
    refusals = Refusals()
    for one in asked:
        most_kw = fit.get((ids[one.resource], one.product, auction.gate_closure_at))
        if most_kw is None:
            rule = f"prequalified for {one.product} at the gate"
            refusals.note(NotPrequalified(field=one.field, value=one.resource, rule=rule))
        elif one.quantity_kw > most_kw:
            rule = f"at most the {most_kw} kW of {one.product} it is prequalified for"
            refusals.note(NotPrequalified(field=one.field, value=str(one.quantity_kw), rule=rule))
    refusals.end()


def bids_unqualified(auction: Auction, bids: Iterable[Bid]) -> dict[UUID, str]:
    """Return the bids of a closed book that lost their prequalification before the gate.

    The same whenever it is asked: what happens after the gate does not count.

    Parameters
    ----------
    bids
        With their resources; not read unless the rules ask prequalification.

    Returns
    -------
    dict
        The reason by id; empty where the rules do not ask prequalification.
    """
    terms = product_terms_of(auction.ruleset)
    if not terms.prequalified:
        return {}
    bids = list(bids)
    contents = contents_open([bid.id for bid in bids if bid.form in _NAMING_MORE])
    asked_by = {
        bid.id: list(
            _asked_by(
                bid.form,
                None if bid.resource is None else bid.resource.code,
                contents.get(bid.id),
                terms,
            )
        )
        for bid in bids
    }
    asked = [one for of_bid in asked_by.values() for one in of_bid]
    ids = _ids_of(asked)
    fit = {
        product: prequalified_then(
            resource_ids=resource_ids, product=product, at=auction.gate_closure_at
        )
        for product, resource_ids in _by_product(asked, ids).items()
    }
    lost = {}
    for bid_id, of_bid in asked_by.items():
        unfit = [one for one in of_bid if ids[one.resource] not in fit[one.product]]
        if unfit:
            first = unfit[0]
            lost[bid_id] = (
                f"{first.field}: {first.resource} was not prequalified for {first.product} "
                "at the gate"
            )
    return lost


def _ids_of(asked: Sequence[_Asked]) -> dict[str, UUID]:
    return {code: row.id for code, row in resources_by_code(one.resource for one in asked).items()}


def _by_product(asked: Sequence[_Asked], ids: Mapping[str, UUID]) -> dict[str, set[UUID]]:
    found: dict[str, set[UUID]] = {}
    for one in asked:
        found.setdefault(one.product, set()).add(ids[one.resource])
    return found


def _asked_by(
    form: str, resource: str | None, content: Content | None, terms: ProductTerms, place: str = ""
) -> Iterator[_Asked]:
    """Yield what a bid asks of resources; without its content, of its own one alone."""
    if form in _NO_FLEXIBILITY:
        return
    content = content or {}
    is_capacity = form == BidForm.CAPACITY
    product = content.get("product") if is_capacity else terms.energy_product
    if product is None or product not in terms.prequalified:
        return
    if resource is not None:
        yield _Asked(
            resource=resource,
            field=f"{place}resource",
            product=product,
            quantity_kw=_peak_kw(form, content),
        )
    for name in ("members", "destinations"):
        for j, row in enumerate(content.get(name, ())):
            yield _Asked(
                resource=row["resource"],
                field=f"{place}{name}[{j}].resource",
                product=product,
                quantity_kw=max(map(Decimal, row.get("limit_kw", ())), default=_ANY_KW),
            )


def _peak_kw(form: str, content: Content) -> Decimal:
    if not content:
        return _ANY_KW
    if form == BidForm.CAPACITY:
        return capacity_peak_kw(content)
    return max(quantity_peak_kw(form, content).values(), default=_ANY_KW)
