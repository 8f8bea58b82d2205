"""DC power flow: conventions, slack, phase shift, and sensitivities against flows."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from market.core.clearing import clear
from market.core.errors import InvalidSnapshot
from market.core.network import bus_sensitivity, dc_flow_kw, sensitivity, susceptance_pu
from market.core.snapshot import snapshot_from_json
from tests.books import Result, balance_need, book, branch, bus, local_need, place, resource, steps


def _ring(convention: str = "reactance", **third: Any) -> dict[str, Any]:
    """Return three buses in a ring of equal reactances, slack at C."""
    branches = [branch("ab", "A", "B"), branch("bc", "B", "C"), branch("ac", "A", "C")]
    branches[2] |= third
    return book(
        network={
            "convention": convention,
            "base_mva": 100.0,
            "buses": [bus("A"), bus("B"), bus("C", slack=1.0)],
            "branches": branches,
        },
        elements=[
            {"id": name, "branch": name, "rating_kw": 1000.0, "base_flow_kw": 0.0}
            for name in ("ab", "bc", "ac")
        ],
        places=[place("A"), place("B"), place("C")],
        resources=[resource("a", "A"), resource("b", "B"), resource("c", "C")],
    )


def test_a_ring_splits_flow_by_reactance() -> None:
    snapshot = snapshot_from_json(_ring())
    found = sensitivity(snapshot).place
    # From A to C: 2/3 over the direct branch, 1/3 over the two others in series.
    assert found[snapshot.elements.ids.index("ac")] == pytest.approx([2 / 3, 1 / 3, 0], abs=1e-12)
    assert found[snapshot.elements.ids.index("ab")] == pytest.approx([1 / 3, -1 / 3, 0], abs=1e-12)


def test_both_susceptance_conventions_are_as_named() -> None:
    for convention, expected in (("reactance", 10.0), ("series", 0.1 / (0.1**2 + 0.2**2))):
        network = snapshot_from_json(_ring(convention, resistance_pu=0.2)).network
        # The branch ac has x = 0.1 and r = 0.2: 1/x = 10, x/(r² + x²) = 2.
        assert susceptance_pu(network)[network.branch_ids.index("ac")] == pytest.approx(expected)


def test_a_tap_divides_the_susceptance() -> None:
    network = snapshot_from_json(_ring(tap_ratio=1.25)).network
    assert susceptance_pu(network)[network.branch_ids.index("ac")] == pytest.approx(8.0)


def test_the_slack_takes_an_imbalance_in_the_ratio_of_its_shares() -> None:
    document = _ring()
    document["network"]["buses"] = [
        bus("A", slack=0.25),
        bus("B", slack=0.25),
        bus("C", slack=0.5),
    ]
    network = snapshot_from_json(document).network
    # All buses inject alike their share of what the slack takes away: nothing flows.
    flow_kw = dc_flow_kw(network, np.array([[25.0], [25.0], [50.0]]))
    assert flow_kw == pytest.approx(np.zeros((3, 1)), abs=1e-9)
    rows = bus_sensitivity(network, np.arange(3))
    assert rows @ network.bus_slack_share_ratio == pytest.approx(np.zeros(3), abs=1e-12)


def test_a_phase_shifter_drives_flow_round_a_ring() -> None:
    network = snapshot_from_json(_ring(shift_deg=3.0)).network
    flow_kw = dc_flow_kw(network, np.zeros((3, 1)))[:, 0]
    ac, ab = network.branch_ids.index("ac"), network.branch_ids.index("ab")
    # Loop of three 0.1 p.u.: 3° in rad ÷ 0.3 p.u. × 100 MVA × 1,000 kW/MW, against branch ac.
    expected_kw = np.deg2rad(3.0) / 0.3 * 100_000
    assert flow_kw[ac] == pytest.approx(-expected_kw)
    assert flow_kw[ab] == pytest.approx(expected_kw)


def test_sensitivities_are_what_a_power_flow_finds() -> None:
    rng = np.random.default_rng(7)  # noqa: TID251 - seeded
    count = 12
    buses = [
        bus(f"n{n:02}", island="50" if n < 8 else "60", area=str(n // 8), slack=rng.random())
        for n in range(count)
    ]
    pairs = [(n, int(rng.integers(8 * (n // 8), n))) for n in range(count) if n % 8]
    pairs += [(0, 7), (2, 5), (8, 11)]
    branches = [
        branch(f"l{k:02}", f"n{i:02}", f"n{j:02}", float(rng.uniform(0.01, 0.3)))
        for k, (i, j) in enumerate(pairs)
    ]
    document = book(elements=[], places=[], resources=[])
    document["network"] |= {"buses": buses, "branches": branches}
    network = snapshot_from_json(document).network
    injection_kw = rng.normal(size=(count, 4)) * 1000
    found = bus_sensitivity(network, np.arange(len(branches))) @ injection_kw
    assert found == pytest.approx(dc_flow_kw(network, injection_kw), abs=1e-8)


def test_redispatch_in_a_ring_counts_every_path() -> None:
    document = _ring()
    document["elements"][2]["base_flow_kw"] = 1050.0
    document["bids"] = [
        steps("down-at-a", "a", "DOWN", (500, 4)),
        steps("up-at-b", "b", "UP", (500, 10)),
        steps("up-at-c", "c", "UP", (500, 13)),
    ]
    document["local_needs"] = [local_need(50, element="ac")]
    result = Result(document)
    # DOWN at A with UP at C takes 2/3 kW off the branch, with UP at B only 1/3.
    assert result.award_kw("up-at-c") == result.award_kw("down-at-a") == [75.0]
    # 17 JPY/kWh for the pair bring 2/3 kW of relief: 25.50.
    assert result.price("needs", "local") == [25.5]
    assert result.money["residual_jpy"] == 0.0


def test_islands_do_not_feel_each_other() -> None:
    document = _ring()
    document["network"]["buses"].append(bus("D", area="09", island="60", slack=1.0))
    document["places"].append(place("D"))
    document["resources"].append(resource("d", "D"))
    document["bids"] = [steps("far", "d", "UP", (100, 1)), steps("near", "a", "UP", (100, 9))]
    document["balance_needs"] = [balance_need(50)]
    document["local_needs"] = [local_need(0.0, element="ab")]
    result = Result(document)
    assert result.award_kw("far") == [0.0]
    assert result.award_kw("near") == [50.0]
    # listed is the element with a need; of 1 kW sent from A to C a third goes by way of B
    assert result.get("places", "D")["sensitivity_kw_per_kw"] == {"ab": 0.0}
    assert result.get("places", "A")["sensitivity_kw_per_kw"]["ab"] == pytest.approx(1 / 3)


@pytest.mark.parametrize("reactance_pu", [-0.1, -0.1 * (1 + 1e-15)])
def test_susceptances_that_cancel_are_refused_by_name(reactance_pu: float) -> None:
    # 1/0.1 + 1/−0.1 = 0: nothing joins A and B, though two branches do.
    document = book(bids=[steps("s", "a", "UP", (10, 1.0))], balance_needs=[balance_need(5)])
    document["network"]["branches"] = [
        branch("line", "B", "A"),
        branch("twin", "B", "A", reactance_pu),
    ]
    with pytest.raises(InvalidSnapshot, match="network"):
        clear(snapshot_from_json(document))
