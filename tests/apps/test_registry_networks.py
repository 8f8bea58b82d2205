"""Networks: what is stored the engine can read and solve, and what was stored is never edited."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from decimal import Decimal
from typing import Any

import pytest
from django.db import IntegrityError, transaction

from accounts.core.errors import Refused
from market.registry.models import Branch, Bus, ControllableLink, GridModel, Ruleset
from market.registry.services import grid_model_create
from tests import cast

pytestmark = pytest.mark.django_db

Network = dict[str, Any]


def _bus(name: str, island: str = "50Hz", area: str = "03", share: float = 0.0) -> dict[str, Any]:
    return {"id": name, "area": area, "island": island, "slack_share_ratio": share}


def _branch(name: str, start: str, end: str, **changes: Any) -> dict[str, Any]:
    row = {"id": name, "from": start, "to": end, "resistance_pu": 0.0, "reactance_pu": 0.1}
    return row | {"rating_kw": 1_000.0} | changes


@pytest.fixture
def network() -> Network:
    """Return two islands of two buses, joined by a link, in areas that are registered."""
    grid_t = cast.organisation("grid-t", "TSO", "グリッドT送配電", "Grid-T")
    cast.area(tso=grid_t)
    cast.area("06", "関西", "Kansai", tso=grid_t)
    return {
        "name": "four",
        "convention": "reactance",
        "base_mva": Decimal(100),
        "source": "test",
        "buses": [
            _bus("a", share=1.0),
            _bus("b"),
            _bus("c", "60Hz", "06", share=1.0),
            _bus("d", "60Hz", "06"),
        ],
        "branches": [_branch("a-b", "a", "b"), _branch("c-d", "c", "d")],
        "links": [{"id": "dc", "from": "a", "to": "c", "rating_kw": 500.0}],
    }


def test_a_network_that_can_be_cleared_is_stored_once(network: Network) -> None:
    model = grid_model_create(**network)
    assert grid_model_create(**deepcopy(network)) == model
    assert (model.version, model.buses.count(), model.branches.count()) == (1, 4, 2)
    assert model.links.get().rating_kw == Decimal(500)


# Each edit makes one thing wrong; the refusal must name the place and the rule.
WRONG_NETWORKS: dict[str, tuple[Callable[[Network], Any], str, str]] = {
    "island in pieces": (lambda n: n["branches"].pop(), "buses", "connected by its branches"),
    "no slack": (
        lambda n: n["buses"][2].update(slack_share_ratio=0.0),
        "buses",
        "slack_share_ratio above 0",
    ),
    "area in two islands": (
        lambda n: n["buses"][1].update(area="06"),
        "buses",
        "each area within one synchronous island",
    ),
    "self loop": (
        lambda n: n["branches"].append(_branch("loop", "a", "a")),
        "branches[2].to",
        "another bus",
    ),
    "branch between islands": (
        lambda n: n["branches"].append(_branch("b-c", "b", "c")),
        "branches[2].to",
        "islands are joined by links",
    ),
    # 1/0.1 + 1/(−0.1) = 0: the pair carries nothing whatever the angle
    "singular": (
        lambda n: n["branches"].append(_branch("again", "a", "b", reactance_pu=-0.1)),
        "branches",
        "one flow",
    ),
    "empty bus": (lambda n: n["buses"].append({}), "buses[4].id", "missing"),
    "empty branch": (lambda n: n["branches"].append({}), "branches[2].id", "missing"),
    "empty link": (lambda n: n["links"].append({}), "links[1].id", "missing"),
    "bus is a text": (lambda n: n["buses"].append("e"), "buses[4]", "object"),
    "buses are no list": (lambda n: n.update(buses=7), "buses", "array"),
    "no buses": (lambda n: n.update(buses=[], branches=[], links=[]), "buses", "at least one"),
    "x NaN": (
        lambda n: n["branches"][0].update(reactance_pu=float("nan")),
        "branches[0].reactance_pu",
        "finite number",
    ),
    "x Decimal NaN": (
        lambda n: n["branches"][0].update(reactance_pu=Decimal("NaN")),
        "branches[0].reactance_pu",
        "finite number",
    ),
    "x text": (
        lambda n: n["branches"][0].update(reactance_pu="0.1"),
        "branches[0].reactance_pu",
        "number",
    ),
    "x vanishes in the database": (
        lambda n: n["branches"][0].update(reactance_pu=1e-12),
        "branches[0].reactance_pu",
        "not be zero",
    ),
    "x too large": (
        lambda n: n["branches"][0].update(reactance_pu=20_000.0),
        "branches[0].reactance_pu",
        "10000",
    ),
    "tap 0": (
        lambda n: n["branches"][0].update(tap_ratio=0.0),
        "branches[0].tap_ratio",
        "at least 0.01",
    ),
    "rating −1": (
        lambda n: n["branches"][1].update(rating_kw=-1.0),
        "branches[1].rating_kw",
        "at least 0",
    ),
    "link rating beyond the column": (
        lambda n: n["links"][0].update(rating_kw=1e15),
        "links[0].rating_kw",
        "at most",
    ),
    "base 0": (lambda n: n.update(base_mva=Decimal(0)), "base_mva", "at least 0.001"),
    "base None": (lambda n: n.update(base_mva=None), "base_mva", "number"),
    "bus twice": (lambda n: n["buses"].append(_bus("a")), "buses[4].id", "used once"),
    "branch twice": (
        lambda n: n["branches"].append(_branch("a-b", "a", "b")),
        "branches[2].id",
        "used once",
    ),
    "link twice": (lambda n: n["links"].append(n["links"][0]), "links[1].id", "used once"),
    "id too long": (lambda n: n["buses"].append(_bus("x" * 41)), "buses[4].code", "40"),
    "id a number": (lambda n: n["buses"][1].update(id=5), "buses[1].id", "text"),
    "kind unknown": (lambda n: n["branches"][0].update(kind="CABLE"), "branches[0].kind", "CABLE"),
    "latitude 91": (
        lambda n: n["buses"][0].update(latitude_deg=91),
        "buses[0].latitude_deg",
        "at most 90",
    ),
    "area unknown": (lambda n: n["buses"][0].update(area="99"), "buses[0].area", "area code"),
    "branch to nowhere": (lambda n: n["branches"][0].update(to="z"), "branches[0].to", "a bus"),
    "name None": (lambda n: n.update(name=None), "name", "text"),
    "source too long": (lambda n: n.update(source="s" * 201), "source", "200"),
}


@pytest.mark.parametrize("what", WRONG_NETWORKS)
def test_a_network_no_snapshot_could_carry_is_refused_whole(network: Network, what: str) -> None:
    edit, field, rule = WRONG_NETWORKS[what]
    edit(network)
    with pytest.raises(Refused, match=rule) as refused:
        grid_model_create(**network)
    assert refused.value.field == field
    assert not GridModel.objects.exists()


@pytest.mark.parametrize("model", [Ruleset, GridModel, Bus, Branch, ControllableLink])
def test_rules_and_networks_are_never_edited_whoever_tries(network: Network, model: Any) -> None:
    grid_model_create(**network)
    cast.ruleset()
    name = next(field.attname for field in model._meta.concrete_fields if not field.primary_key)
    for change in (
        lambda rows: rows.update(**{name: getattr(rows[0], name)}),
        lambda rows: rows._raw_delete(rows.db),
    ):
        with (
            pytest.raises(IntegrityError, match="rows are added, never changed"),
            transaction.atomic(),
        ):
            change(model.objects.all())
    assert model.objects.exists()
