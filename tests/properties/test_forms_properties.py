"""Deferral, renewables and portfolios: what holds for every bid, and in every book."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from market.core.audit.block import Market
from market.core.audit.forms import FORMS as AUDIT_FORMS
from market.core.errors import InvalidSnapshot
from market.core.offers.forms import FORMS
from market.core.offers.terms import Numbers, Terms
from market.core.reading import Reader

T = 4
H = 0.5
RESOURCES = {name: {"id": name, "place": name} for name in "abc"}

kilowatts = st.integers(0, 3000).map(lambda tenths: tenths / 10)
asks = st.integers(-2000, 6000).map(lambda sen: sen / 100)
series = st.lists(kilowatts, min_size=T, max_size=T)


@st.composite
def deferrals(draw: st.DrawFn, name: str = "defer") -> dict[str, Any]:
    first = draw(st.sampled_from([0, 0, 1, T - 1]))
    last = draw(st.integers(max(first, T - 2), T - 1))
    arriving_kw, spare_kw = draw(series)[first : last + 1], draw(series)[first : last + 1]
    return {
        "id": name,
        "form": "DEFERRAL",
        "resource": draw(st.sampled_from("abc")),
        "first_t": first,
        "last_t": last,
        "arriving_kw": arriving_kw,
        "slack_count": draw(st.sampled_from([1, 1, 2, T])),
        "service_limit_kw": [kw + more for kw, more in zip(arriving_kw, spare_kw, strict=True)],
        "rebound_limit_kw": draw(kilowatts),
        "extra_work_ratio": draw(st.sampled_from([0.0, 0.1])),
        # Above what burning energy could earn, so that no binary is needed (see the stores of
        # test_clearing_properties).
        "ask_jpy_per_kwh": draw(st.integers(200, 3000).map(lambda sen: sen / 100)),
    }


@st.composite
def renewables(draw: st.DrawFn, name: str = "sun") -> dict[str, Any]:
    first = draw(st.integers(0, T - 1))
    last = draw(st.integers(first, T - 1))
    curtail = draw(asks)
    return {
        "id": name,
        "form": "RENEWABLE",
        "resource": draw(st.sampled_from("abc")),
        "first_t": first,
        "last_t": last,
        "available_kw": draw(series)[first : last + 1],
        "scheduled_kw": draw(series)[first : last + 1],
        "curtail_jpy_per_kwh": curtail,
        "release_jpy_per_kwh": max(-curtail, draw(asks)),
    }


@st.composite
def portfolios(draw: st.DrawFn, name: str = "fleet") -> dict[str, Any]:
    cut = draw(st.integers(0, T - 1))
    windows = [(0, cut - 1), (cut, T - 1)] if cut else [(0, T - 1)]
    members = draw(st.lists(st.sampled_from("abc"), min_size=1, max_size=3, unique=True))
    return {
        "id": name,
        "form": "PORTFOLIO",
        "direction": draw(st.sampled_from(["UP", "DOWN"])),
        "members": [{"resource": member, "limit_kw": draw(series)} for member in members],
        "curves": [
            {
                "first_t": first,
                "last_t": last,
                "steps": [
                    {"quantity_kw": draw(kilowatts), "ask_jpy_per_kwh": ask}
                    for ask in sorted(draw(st.lists(asks, min_size=1, max_size=3)))
                ],
            }
            for first, last in windows
            if draw(st.booleans())
        ],
    }


@pytest.mark.parametrize("bids", [deferrals(), renewables(), portfolios()], ids=str)
@settings(max_examples=40, deadline=None)
@given(st.data())
def test_the_audit_reads_a_bid_as_the_model_does(bids: Any, data: st.DataObject) -> None:
    document = data.draw(bids)
    terms = Terms(interval_count=T, interval_h=H, resources=RESOURCES, paths={})
    form = FORMS[document["form"]]
    bid = form.parse(Reader(document, "bid", InvalidSnapshot), terms)
    numbers = Numbers(terms, {"a": 0, "b": 1, "c": 2}, {}, {}, {})
    model = form.columns(form.table([bid], numbers), H, T)
    market = Market({"interval_h": H, "interval_count": T})
    audit = AUDIT_FORMS[document["form"]](bid, market)
    assert list(audit.families) == list(model.families)
    for name, part in model.families.items():
        family = audit.families[name]
        assert family.lower == pytest.approx(model.lower_kw[part], rel=1e-12)
        assert family.upper == pytest.approx(model.upper_kw[part], rel=1e-12, abs=1e-9)
        assert family.cost_jpy == pytest.approx(model.cost_jpy[part], rel=1e-12)
    assert list(audit.rows) == list(model.own)
    for name, own in model.own.items():
        rows = audit.rows[name]
        matrix = np.zeros(own.matrix.shape)
        for term in rows.terms:
            at = model.families[term.family].start + term.column
            np.add.at(matrix, (term.row, at), term.coefficient)
        assert matrix == pytest.approx(own.matrix.toarray(), rel=1e-12)
        assert rows.rhs == pytest.approx(own.rhs, rel=1e-12)
        assert rows.is_equal == own.is_equal
    sold, read = (np.zeros((3, T, 2, model.count)) for _ in range(2))
    for leg in model.legs:
        side = int(leg.direction == "UP")
        np.add.at(sold, (leg.resource, leg.t, side, leg.column), leg.kw_per_unit)
    for leg in audit.legs:
        at = model.families[leg.family].start + leg.column
        side = int(leg.direction == "UP")
        np.add.at(read, (numbers.resources[leg.resource], leg.t, side, at), leg.kw_per_unit)
    assert (read == sold).all()
    known = {leg.name for leg in model.legs if len(leg.column)}
    assert {leg.name for leg in audit.legs if len(leg.column)} == known
    pairs = [
        (model.families[one].start + k, model.families[other].start + k)
        for one, other in audit.exclusive
        for k in range(len(audit.families[one].upper))
    ]
    assert pairs == [tuple(pair) for pair in model.exclusive.tolist()]
