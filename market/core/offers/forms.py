"""All bid forms: how each is read, tabled and turned into columns. A new form is one line here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from market.core.offers import (
    blocks,
    capacity,
    compute,
    deferral,
    portfolios,
    renewables,
    shifts,
    steps,
    storage,
)
from market.core.offers.terms import Columns, FloatArray, Numbers, Terms
from market.core.reading import Reader


@dataclass(frozen=True)
class Form:
    """One bid form.

    Parameters
    ----------
    parse
        Reads and checks a bid; returns its canonical content.
    table
        Arrays of all canonical bids of the form, given row numbers of what they refer to.
    columns
        Columns of a table, given interval_h and interval_count.
    settled
        The form's columns with every state as its own equation leaves it, given interval_h; None
        where a form has no states.
    """

    parse: Callable[[Reader, Terms], dict[str, Any]]
    table: Callable[[list[dict[str, Any]], Numbers], Any]
    columns: Callable[[Any, float, int], Columns]
    settled: Callable[[Any, FloatArray, float], FloatArray] | None = None


FORMS: Final[Mapping[str, Form]] = {
    "STEPS": Form(steps.parse, steps.table, lambda t, h, _: steps.columns(t, interval_h=h)),
    "STORAGE": Form(
        storage.parse,
        storage.table,
        lambda t, h, _: storage.columns(t, interval_h=h),
        settled=storage.settled,
    ),
    "SHIFT": Form(
        shifts.parse,
        shifts.table,
        lambda t, h, count: shifts.columns(t, interval_h=h, interval_count=count),
    ),
    "BLOCK": Form(blocks.parse, blocks.table, lambda t, h, _: blocks.columns(t, interval_h=h)),
    "DEFERRAL": Form(
        deferral.parse,
        deferral.table,
        lambda t, h, _: deferral.columns(t, interval_h=h),
        settled=deferral.settled,
    ),
    "RENEWABLE": Form(
        renewables.parse, renewables.table, lambda t, h, _: renewables.columns(t, interval_h=h)
    ),
    "PORTFOLIO": Form(
        portfolios.parse, portfolios.table, lambda t, h, _: portfolios.columns(t, interval_h=h)
    ),
    "CAPACITY": Form(
        capacity.parse, capacity.table, lambda t, h, _: capacity.columns(t, interval_h=h)
    ),
    "COMPUTE_OFFER": Form(
        compute.parse_offer,
        compute.offer_table,
        lambda t, h, _: compute.offer_columns(t, interval_h=h),
    ),
    "COMPUTE_REQUEST": Form(
        compute.parse_request,
        compute.request_table,
        lambda t, h, count: compute.request_columns(t, interval_h=h, interval_count=count),
    ),
}
