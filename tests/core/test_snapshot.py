"""The snapshot's layout: what is refused, with path and rule, and what is the same."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from market.core.errors import InvalidRules, InvalidSnapshot
from market.core.rules import rules_from_json
from market.core.snapshot import (
    snapshot_bytes,
    snapshot_from_bytes,
    snapshot_from_json,
    snapshot_sha256,
)
from tests.books import (
    RULES,
    balance_need,
    book,
    branch,
    bus,
    local_need,
    path,
    shift,
    steps,
    store,
)

Json = dict[str, Any]


def _whole() -> Json:
    """Return a book with one of everything."""
    document = book(
        3,
        bids=[
            steps("curve", "a", "UP", (10, 1), (20, 2), window=(0, 2)),
            store("battery", "a", 2),
            shift("move", 2, labels_required=["x"], hardware="GPU", latency_max_ms=9.0),
        ],
        labels=["x"],
        paths=[path()],
        local_needs=[local_need(100)],
        balance_needs=[balance_need([1, 2, 3])],
        transfers=[{"id": "tie", "from_area": "03", "to_area": "02", "limit_kw": 5}],
    )
    document["network"]["buses"].append(bus("C", area="02"))
    document["network"]["branches"].append(branch("tie", "B", "C"))
    document["network"]["buses"].append(bus("D", area="09", island="60", slack=1.0))
    document["network"]["links"] = [{"id": "dc", "from": "B", "to": "D", "limit_kw": 0}]
    return document


def _at(document: Json, *route: str | int) -> Any:
    for name in route:
        document = document[name]  # type: ignore[index]
    return document


def _set(*route: str | int, to: Any) -> Callable[[Json], None]:
    return lambda document: _at(document, *route[:-1]).__setitem__(route[-1], to)


def _drop(*route: str | int) -> Callable[[Json], None]:
    return lambda document: _at(document, *route[:-1]).pop(route[-1])


def _again(*route: str | int) -> Callable[[Json], None]:
    return lambda document: _at(document, *route).append(copy.deepcopy(_at(document, *route)[0]))


NAN, INF = float("nan"), float("inf")
STEP = ("bids", 0, "curves", 0, "steps")

REFUSALS: list[tuple[Callable[[Json], None], str, str]] = [
    (_set("schema", to="wattbit-snapshot/1"), "schema", "one of wattbit-snapshot/2"),
    (_drop("network"), "network", "missing"),
    (_set("colour", to=1), "colour", "not an entry"),
    (_set("interval_count", to=2.0), "interval_count", "integer"),
    (_set("interval_count", to=True), "interval_count", "integer"),
    (_set("interval_h", to=0), "interval_h", "at least"),
    (_set("auction", to=""), "auction", "characters"),
    (_set("auction", to="a\nb"), "auction", "control"),
    (
        _set("rules", "payment", to="pay_as_hoped"),
        "rules.payment",
        "one of pay_as_clear, pay_as_bid",
    ),
    (_set("rules", "colour", to=1), "rules.colour", "not an entry"),
    (_set("rules", "gap_max_ratio", to=-1), "rules.gap_max_ratio", "at least 0"),
    (_set("rules", "price_tick_jpy_per_kwh", to=0), "rules.price_tick_jpy_per_kwh", "at least"),
    (_set("network", "convention", to="dc"), "network.convention", "reactance, series"),
    (_set("network", "buses", to={}), "network.buses", "array"),
    (_set("network", "buses", 0, "area", to=3), "network.buses[0].area", "text"),
    (_set("network", "buses", 1, "slack_share_ratio", to=0), "network.buses", "slack"),
    (_set("network", "buses", 0, "area", to="09"), "network.buses", "one synchronous island"),
    (_set("network", "branches", to=[branch("tie", "B", "C")]), "network.buses", "connected"),
    (
        _set("network", "branches", 0, "reactance_pu", to=0.0),
        "network.branches[0].reactance_pu",
        "not be zero",
    ),
    (_set("network", "branches", 0, "to", to="B"), "network.branches[0].to", "another bus"),
    (_set("network", "branches", 0, "to", to="D"), "network.branches[0].to", "island"),
    (_set("network", "branches", 0, "to", to="Z"), "network.branches[0].to", "known bus"),
    (_set("network", "links", 0, "to", to="B"), "network.links[0].to", "another bus"),
    (_set("network", "links", 0, "limit_kw", to=-1), "network.links[0].limit_kw", "at least 0"),
    (_set("transfers", 0, "to_area", to="09"), "transfers[0].to_area", "links"),
    (_set("transfers", 0, "to_area", to="03"), "transfers[0].to_area", "another area"),
    (_set("transfers", 0, "to_area", to="10"), "transfers[0].to_area", "known area"),
    (_set("transfers", 0, "element", to="none"), "transfers[0].element", "known element"),
    (_set("elements", 0, "branch", to="none"), "elements[0].branch", "known branch"),
    (_set("elements", 0, "sensitivity", to={}), "elements[0]", "either"),
    (
        lambda d: d["elements"][0].update(sensitivity={"Z": 1.0}) or d["elements"][0].pop("branch"),
        "elements[0].sensitivity.Z",
        "known place",
    ),
    (_set("elements", 0, "base_flow_kw", to=[1, 2]), "elements[0].base_flow_kw", "3 numbers"),
    (
        _set("elements", 0, "base_flow_kw", to=[1, 2, NAN]),
        "elements[0].base_flow_kw[2]",
        "finite",
    ),
    (_set("places", 0, "bus", to="Z"), "places[0].bus", "known bus"),
    (_set("places", 0, "loss_ratio", to=1.0), "places[0].loss_ratio", "at most 0.5"),
    (_again("places"), "places[2].id", "used once"),
    (_set("resources", 0, "place", to="Z"), "resources[0].place", "known place"),
    (_set("resources", 0, "limit_up_kw", to=INF), "resources[0].limit_up_kw", "finite"),
    (_set("resources", 0, "limit_up_kw", to=-0.1), "resources[0].limit_up_kw", "at least 0"),
    (_set("resources", 0, "labels", to=["x", "x"]), "resources[0].labels", "once"),
    (_set("paths", 0, "to_place", to="Z"), "paths[0].to_place", "known place"),
    (_set("local_needs", 0, "sign", to=0), "local_needs[0].sign", "1 or −1"),
    (_set("local_needs", 0, "element", to="Z"), "local_needs[0].element", "known element"),
    (_set("local_needs", 0, "need_kw", to=-1), "local_needs[0].need_kw", "at least 0"),
    (_set("balance_needs", 0, "area", to="10"), "balance_needs[0].area", "known area"),
    (_set("balance_needs", 0, "direction", to="up"), "balance_needs[0].direction", "UP, DOWN"),
    (
        _set("balance_needs", 0, "cap_jpy_per_kwh", to="45"),
        "balance_needs[0].cap_jpy_per_kwh",
        "a number",
    ),
    (_set("bids", 0, "form", to="PRISM"), "bids[0].form", "one of STEPS"),
    (_drop("bids", 0, "form"), "bids[0]", "form"),
    (_set("bids", 0, "resource", to="Z"), "bids[0].resource", "known resource"),
    (_set("bids", 0, "curves", 0, "last_t", to=3), "bids[0].curves[0].last_t", "at most 2"),
    (_set("bids", 0, "curves", 0, "first_t", to=-1), "bids[0].curves[0].first_t", "at least 0"),
    (_again("bids", 0, "curves"), "bids[0].curves", "one curve per half hour"),
    (
        lambda d: _at(d, "bids", 0, "curves").append(
            {"first_t": 2, "last_t": 2, "steps": [{"quantity_kw": 1, "ask_jpy_per_kwh": 1}]}
        ),
        "bids[0].curves",
        "one curve per half hour",
    ),
    (_set(*STEP, to=[]), "bids[0].curves[0].steps", "1 to 20"),
    (
        _set(*STEP, to=[{"quantity_kw": 1, "ask_jpy_per_kwh": 1}] * 21),
        "bids[0].curves[0].steps",
        "1 to 20",
    ),
    (
        _set(*STEP, 1, "ask_jpy_per_kwh", to=0.5),
        "bids[0].curves[0].steps[1].ask_jpy_per_kwh",
        "below the ask",
    ),
    (
        _set(*STEP, 0, "quantity_kw", to=True),
        "bids[0].curves[0].steps[0].quantity_kw",
        "a number",
    ),
    (
        _set(*STEP, 0, "quantity_kw", to=10**400),
        "bids[0].curves[0].steps[0].quantity_kw",
        "finite",
    ),
    (_set("bids", 1, "cycles_max", to=-1), "bids[1].cycles_max", "at least 0"),
    (_set("bids", 2, "labels_required", to="x"), "bids[2].labels_required", "array"),
    (_again("bids"), "bids[3].id", "used once"),
]


@pytest.mark.parametrize(("touch", "field", "rule"), REFUSALS, ids=[r[1] for r in REFUSALS])
def test_what_breaks_the_layout_is_refused_with_path_and_rule(
    touch: Callable[[Json], None], field: str, rule: str
) -> None:
    document = _whole()
    snapshot_from_json(document)
    touch(document)
    with pytest.raises(InvalidSnapshot) as refusal:
        snapshot_from_json(document)
    assert refusal.value.field == field
    assert rule in refusal.value.rule
    assert refusal.value.code == "invalid-snapshot"


def test_an_island_needs_one_slack_somewhere() -> None:
    document = _whole()
    document["network"]["buses"][3]["slack_share_ratio"] = 0.0
    with pytest.raises(InvalidSnapshot, match="slack"):
        snapshot_from_json(document)


@pytest.mark.parametrize(
    ("content", "field", "rule"),
    [
        (b'{"schema": 1, "schema": 2}', "schema", "occur once"),
        (b'{"a": NaN}', "document", "finite"),
        (b'{"a": -Infinity}', "document", "finite"),
        (b'{"a": 1', "document", "whole JSON"),
        (b"", "document", "whole JSON"),
        (b"\xff\xfe", "document", "UTF-8"),
        (b"[1]", "document", "object"),
        (b"[" * 100_000, "document", "nested"),
        (b'{"a": ' + b"9" * 5000 + b"}", "document", "finite"),
    ],
)
def test_what_is_no_clean_json_is_refused(content: bytes, field: str, rule: str) -> None:
    with pytest.raises(InvalidSnapshot) as refusal:
        snapshot_from_bytes(content)
    assert refusal.value.field == field
    assert rule in refusal.value.rule


def test_a_number_too_large_for_a_float_is_refused() -> None:
    content = json.dumps(_whole()).replace('"loss_ratio": 0.0', '"loss_ratio": 1e999', 1)
    with pytest.raises(InvalidSnapshot) as refusal:
        snapshot_from_bytes(content.encode())
    assert refusal.value.field == "places[0].loss_ratio"


def test_the_canonical_bytes_are_a_fixed_point() -> None:
    snapshot = snapshot_from_json(_whole())
    content = snapshot_bytes(snapshot)
    assert snapshot_bytes(snapshot_from_bytes(content)) == content
    assert b" " not in content
    assert len(snapshot_sha256(snapshot)) == 64


def test_order_defaults_and_scalars_do_not_change_the_bytes() -> None:
    document = _whole()
    turned = copy.deepcopy(document)
    for name in ("places", "resources", "bids", "paths"):
        turned[name].reverse()
    for name in ("buses", "branches"):
        turned["network"][name].reverse()
    turned["local_needs"][0]["need_kw"] = [100, 100.0, 1e2]
    turned["network"]["branches"][0]["tap_ratio"] = 1
    turned["elements"][0]["base_flow_kw"] = 1200
    turned["bids"][0]["destinations"][0]["ratio"] = 1
    turned = dict(reversed(turned.items()))
    assert json.dumps(turned) != json.dumps(document)
    assert snapshot_sha256(snapshot_from_json(turned)) == snapshot_sha256(
        snapshot_from_json(document)
    )


def test_minus_zero_is_zero() -> None:
    document = _whole()
    plain = snapshot_sha256(snapshot_from_json(document))
    document["paths"][0]["price_jpy_per_gb"] = -0.0
    assert snapshot_sha256(snapshot_from_json(document)) == plain


def test_a_change_that_means_something_changes_the_hash() -> None:
    document = _whole()
    plain = snapshot_sha256(snapshot_from_json(document))
    document["bids"][0]["curves"][0]["steps"][0]["ask_jpy_per_kwh"] = 1.0000000000000002
    assert snapshot_sha256(snapshot_from_json(document)) != plain


def test_arrays_are_read_only() -> None:
    snapshot = snapshot_from_json(_whole())
    for array in (
        snapshot.limit_up_kw,
        snapshot.books["STEPS"].quantity_kw,
        snapshot.elements.base_flow_kw,
    ):
        assert array.dtype == np.float64
        with pytest.raises(ValueError, match="read-only"):
            array[...] = 0.0


def test_slack_shares_are_normalised_per_island() -> None:
    document = book()
    document["network"]["buses"][0]["slack_share_ratio"] = 3.0
    snapshot = snapshot_from_json(document)
    assert snapshot.network.bus_slack_share_ratio.tolist() == [0.75, 0.25]


def test_rules_are_read_on_their_own() -> None:
    rules = rules_from_json(RULES)
    assert rules_from_json(rules.as_json()) == rules
    with pytest.raises(InvalidRules) as refusal:
        rules_from_json(RULES | {"iteration_limit": 0})
    assert refusal.value.field == "rules.iteration_limit"
