"""Deferral, renewables and portfolios: what holds for every bid, and in every book."""

from __future__ import annotations

import copy
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
from tests.books import Result, balance_need, book, local_need, place, resource, steps

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


@st.composite
def books(draw: st.DrawFn) -> dict[str, Any]:
    """Draw the pocket A behind one line, with a bid of each form and a few curves beside them."""
    bids = [draw(deferrals()), draw(renewables()), draw(portfolios())]
    for number in range(draw(st.integers(1, 3))):
        prices = sorted(draw(st.lists(asks, min_size=1, max_size=2)))
        direction = draw(st.sampled_from(["UP", "DOWN"]))
        curve = [(draw(kilowatts), price) for price in prices]
        at = draw(st.sampled_from("abc"))
        bids.append(steps(f"curve{number}", at, direction, *curve, window=(0, T - 1)))
    document = book(
        T,
        places=[place("A", 0.04), place("B")],
        resources=[resource("a", "A", 250), resource("b", "B", 300), resource("c", "B", 500)],
        local_needs=[local_need(draw(series), cap=draw(st.sampled_from([20.0, 90.0])))],
        balance_needs=[
            balance_need(draw(series), cap=45.0),
            balance_need(draw(series), "DOWN", cap=9.0),
        ],
        bids=bids,
    )
    document["rules"] |= {"deviation_limit_kw": draw(st.sampled_from([0.0, 30.0]))}
    return document


def sold_kw(result: Result, bid: str, leg: str) -> Any:
    """Return what a leg of a bid was awarded at all its resources, (T,)."""
    legs = [item for item in result.json["awards"] if item["bid"] == bid and item["leg"] == leg]
    return sum((np.array(item["quantity_kw"]) for item in legs), start=np.zeros(T))


@settings(max_examples=12, deadline=None)
@given(books())
def test_awards_keep_within_deferrals_renewables_and_portfolios(document: dict[str, Any]) -> None:
    result = Result(document)
    deferral, plant, fleet = document["bids"][:3]
    window = slice(deferral["first_t"], deferral["last_t"] + 1)
    deferred_kw, rebound_kw = (sold_kw(result, "defer", leg) for leg in ("DEFERRED", "REBOUND"))
    assert (deferred_kw[window] <= deferral["arriving_kw"]).all()
    running_kw = np.array(deferral["arriving_kw"]) + rebound_kw[window]
    assert (running_kw <= np.array(deferral["service_limit_kw"]) + 1e-9).all()
    assert rebound_kw.max() <= deferral["rebound_limit_kw"]
    assert deferred_kw.sum() == pytest.approx(deferred_kw[window].sum())
    # Half a tick of each half hour, and 0.1 × that of each deferred one.
    owed_kw = (1 + deferral["extra_work_ratio"]) * deferred_kw.sum() - rebound_kw.sum()
    assert abs(owed_kw) <= 0.05 * T * 2.1 + 1e-9
    assert not ((deferred_kw > 0.1) & (rebound_kw > 0.1)).any()
    window = slice(plant["first_t"], plant["last_t"] + 1)
    assert (sold_kw(result, "sun", "CURTAILED")[window] <= plant["scheduled_kw"]).all()
    spare_kw = np.maximum(np.array(plant["available_kw"]) - plant["scheduled_kw"], 0)
    assert (sold_kw(result, "sun", "RELEASED")[window] <= spare_kw + 1e-9).all()
    offered_kw = np.zeros(T)
    for curve in fleet["curves"]:
        total_kw = sum(step["quantity_kw"] for step in curve["steps"])
        offered_kw[curve["first_t"] : curve["last_t"] + 1] = total_kw
    assert (sold_kw(result, "fleet", "PORTFOLIO") <= offered_kw + 1e-9).all()
    limits = {member["resource"]: member["limit_kw"] for member in fleet["members"]}
    for award in result.json["awards"]:
        if award["bid"] == "fleet":
            assert (np.array(award["quantity_kw"]) <= limits[award["resource"]]).all()


@settings(max_examples=8, deadline=None)
@given(books())
def test_useless_bids_of_these_forms_change_no_award_and_no_price(document: dict[str, Any]) -> None:
    useless = [copy.deepcopy(bid) | {"id": f"useless {bid['id']}"} for bid in document["bids"][:3]]
    useless[0]["ask_jpy_per_kwh"] = 100_000.0
    useless[1] |= {"curtail_jpy_per_kwh": 100_000.0, "release_jpy_per_kwh": 100_000.0}
    for curve in useless[2]["curves"]:
        for step in curve["steps"]:
            step["ask_jpy_per_kwh"] = 100_000.0
    without = Result(document).json
    beside = Result(document | {"bids": [*document["bids"], *useless]}).json
    assert beside["awards"] == without["awards"]
    for kind in ("needs", "areas", "places"):
        assert beside[kind] == without[kind]


@pytest.mark.parametrize(("number", "leg"), [(0, "DEFERRED"), (1, "CURTAILED"), (2, "PORTFOLIO")])
@settings(max_examples=6, deadline=None)
@given(books(), st.integers(1, 2000))
def test_asking_less_never_sells_less_of_these_forms(
    number: int, leg: str, document: dict[str, Any], sen: int
) -> None:
    cheaper = copy.deepcopy(document)
    mine = cheaper["bids"][number]
    if leg == "DEFERRED":
        # Never below what burning energy could earn; see deferrals().
        mine["ask_jpy_per_kwh"] = max(2.0, mine["ask_jpy_per_kwh"] - sen / 100)
    elif leg == "CURTAILED":
        mine["curtail_jpy_per_kwh"] = max(
            -mine["release_jpy_per_kwh"], mine["curtail_jpy_per_kwh"] - sen / 100
        )
    else:
        for curve in mine["curves"]:
            for step in curve["steps"]:
                step["ask_jpy_per_kwh"] -= sen / 100
    before, after = Result(document), Result(cheaper)
    # In total over the day; ties at the margin and ticks may move a tick per half hour and member.
    sold = [sold_kw(result, mine["id"], leg).sum() for result in (before, after)]
    assert sold[1] >= sold[0] - 3 * T * 0.1 - 1e-9
    assert after.json["objective_jpy"] >= before.json["objective_jpy"] - 1e-6


@settings(max_examples=6, deadline=None)
@given(books(), st.randoms(use_true_random=False))
def test_the_order_of_bids_and_members_changes_no_byte(document: dict[str, Any], dice: Any) -> None:
    turned = copy.deepcopy(document)
    for items in (turned["bids"], turned["bids"][2]["members"], turned["bids"][2]["curves"]):
        dice.shuffle(items)
    # All three lists were taken before the first was shuffled.
    assert Result(turned).content == Result(document).content


@pytest.mark.slow
@settings(max_examples=300, deadline=None)
@given(books())
def test_many_books_of_these_forms_have_a_verified_result(document: dict[str, Any]) -> None:
    Result(document)
