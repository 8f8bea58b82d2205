"""Only resources that are prequalified are bid where the rules ask that."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

from accounts.core.errors import Refused
from market.registry.selectors import (
    ProductTerms,
    prequalified,
    product_terms_of,
    resources_by_code,
)
from market.trading.contents import capacity_peak_kw, quantity_peak_kw
from market.trading.models import Auction, BidForm
from market.trading.refusals import Refusals

if TYPE_CHECKING:
    from market.trading.bid_checks import Draft

# Computing is bought and sold, not flexibility.
_NO_FLEXIBILITY = (BidForm.COMPUTE_OFFER, BidForm.COMPUTE_REQUEST)
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
    asked = [one for i, draft in enumerate(drafts) for one in _asked_by(draft, i, terms)]
    ids = {code: row.id for code, row in resources_by_code(one.resource for one in asked).items()}
    fit = {
        product: prequalified(
            resource_ids=[ids[one.resource] for one in asked if one.product == product],
            product=product,
            at=auction.gate_closure_at,
        )
        for product in sorted({one.product for one in asked})
    }
    refusals = Refusals()
    for one in asked:
        most_kw = fit[one.product].get(ids[one.resource])
        if most_kw is None:
            rule = f"prequalified for {one.product} at the gate"
            refusals.note(NotPrequalified(field=one.field, value=one.resource, rule=rule))
        elif one.quantity_kw > most_kw:
            rule = f"at most the {most_kw} kW of {one.product} it is prequalified for"
            refusals.note(NotPrequalified(field=one.field, value=str(one.quantity_kw), rule=rule))
    refusals.end()


def _asked_by(draft: Draft, i: int, terms: ProductTerms) -> Iterator[_Asked]:
    if draft.form in _NO_FLEXIBILITY:
        return
    content = draft.content
    is_capacity = draft.form == BidForm.CAPACITY
    product = content["product"] if is_capacity else terms.energy_product
    if product is None or product not in terms.prequalified:
        return
    if draft.resource is not None:
        peak_kw = (
            capacity_peak_kw(content)
            if is_capacity
            else max(quantity_peak_kw(draft.form, content).values(), default=_ANY_KW)
        )
        yield _Asked(
            resource=draft.resource.code,
            field=f"bids[{i}].resource",
            product=product,
            quantity_kw=peak_kw,
        )
    for name in ("members", "destinations"):
        for j, row in enumerate(content.get(name, ())):
            yield _Asked(
                resource=row["resource"],
                field=f"bids[{i}].{name}[{j}].resource",
                product=product,
                quantity_kw=max(map(Decimal, row.get("limit_kw", ())), default=_ANY_KW),
            )
