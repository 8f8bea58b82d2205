"""Blocks: whole or in part, alone or linked, started and run; the arithmetic of each choice."""

from __future__ import annotations

from typing import Any

import pytest

from market.core.errors import InvalidSnapshot
from market.core.snapshot import snapshot_from_json
from tests.books import Result, balance_need, book, resource, steps


def block(name: str, *quantity_kw: float, ask: float = 10.0, **parts: Any) -> dict[str, Any]:
    """Return a block of UP at resource b, all or none, from the first half hour on."""
    return {
        "id": name,
        "form": "BLOCK",
        "resource": "b",
        "direction": "UP",
        "first_t": 0,
        "quantity_kw": list(quantity_kw),
        "ask_jpy_per_kwh": ask,
    } | parts


def cleared(
    need_kw: list[float], *bids: dict[str, Any], cap: float = 100.0, **parts: Any
) -> Result:
    """Clear bids against one balance need of UP, without any network limit."""
    needs = {"balance_needs": [balance_need(need_kw, cap=cap)], "elements": []}
    return Result(book(len(need_kw), **(needs | {"bids": list(bids)} | parts)))


def test_a_block_that_fits_is_taken_whole_and_divisible_offers_fill_the_rest() -> None:
    result = cleared([100], block("x", 80), steps("s", "b", "UP", (50, 20)))
    assert result.award_kw("x", "BLOCK") == [80.0]
    assert result.award_kw("s") == [20.0]
    # 0.5 × (100 × 100 − 80 × 10 − 20 × 20)
    assert result.json["objective_jpy"] == pytest.approx(4400, abs=1e-6)
    assert result.price("areas", "03") == [20.0]
    assert result.award("x", "BLOCK")["cost_jpy"] == 400.0


def test_a_block_that_does_not_fit_is_not_taken_though_it_is_cheaper() -> None:
    result = cleared([50], block("x", 80), steps("s", "b", "UP", (60, 20)))
    assert result.award_kw("x", "BLOCK") == [0.0]
    assert result.award_kw("s") == [50.0]
    assert result.price("areas", "03") == [20.0]


def test_a_block_is_taken_in_part_down_to_its_least_ratio() -> None:
    half = {"acceptance_min_ratio": 0.5}
    # 50 of 80 kW is a ratio of 0.625; the block is then the marginal offer.
    result = cleared([50], block("x", 80, **half), steps("s", "b", "UP", (60, 20)))
    assert result.award_kw("x", "BLOCK") == [50.0]
    assert result.price("areas", "03") == [10.0]
    # At least 40 kW do not fit into 30.
    result = cleared([30], block("x", 80, **half), steps("s", "b", "UP", (60, 20)))
    assert result.award_kw("x", "BLOCK") == [0.0]


def test_one_ratio_holds_for_the_whole_profile() -> None:
    result = cleared([100, 30], block("x", 100, 60, acceptance_min_ratio=0.2))
    # 30 of 60 kW: half of everything.
    assert result.award_kw("x", "BLOCK") == [50.0, 30.0]


def test_of_an_exclusive_group_one_block_at_most_is_taken() -> None:
    group = {"exclusive_group": "g"}
    result = cleared([100], block("a", 40, **group), block("c", 100, ask=12.0, **group))
    # Alone a is worth 0.5 × 40 × 90 = 1800, c 0.5 × 100 × 88 = 4400.
    assert (result.award_kw("a", "BLOCK"), result.award_kw("c", "BLOCK")) == ([0.0], [100.0])


def test_a_group_of_the_same_name_of_another_owner_is_another_group() -> None:
    result = cleared(
        [100],
        block("a", 40, exclusive_group="g", owner="one"),
        block("c", 60, exclusive_group="g", owner="two"),
    )
    assert (result.award_kw("a", "BLOCK"), result.award_kw("c", "BLOCK")) == ([40.0], [60.0])


@pytest.mark.parametrize(
    ("child_ask", "taken"),
    [
        (10.0, True),  # 0.5 × 50 × (100 − 10) = 2250 pays for the parent's loss of 1250
        (60.0, False),  # 0.5 × 50 × (100 − 60) = 1000 does not
    ],
)
def test_a_child_pulls_its_parent_in_only_if_it_pays_for_it(
    *, child_ask: float, taken: bool
) -> None:
    result = cleared(
        [100],
        # 0.5 × 50 × (100 − 150) = −1250
        block("parent", 50, ask=150.0),
        block("child", 50, ask=child_ask, parent="parent"),
    )
    award_kw = [50.0] if taken else [0.0]
    assert result.award_kw("parent", "BLOCK") == award_kw
    assert result.award_kw("child", "BLOCK") == award_kw


@pytest.mark.parametrize(
    ("rival_ask", "is_taken"),
    [
        (45.0, False),  # 0.5 × 100 × 45 = 2250
        (55.0, True),  # 0.5 × 100 × 55 = 2750
    ],
)
def test_a_start_cost_counts_once_against_the_block(*, rival_ask: float, is_taken: bool) -> None:
    result = cleared(
        [100],
        # 0.5 × 100 × 10 + 2000 = 2500
        block("x", 100, start_cost_jpy=2000.0),
        steps("s", "b", "UP", (100, rival_ask)),
    )
    assert result.award_kw("x", "BLOCK") == [100.0 * is_taken]


def test_a_minimum_run_leaves_out_what_is_too_short() -> None:
    needs = [100.0, 0.0, 100.0, 100.0]
    result = cleared(needs, block("x", 100, 100, 100, 100, run_min_count=2), cap=60)
    assert result.award_kw("x", "BLOCK") == [0.0, 0.0, 100.0, 100.0]
    # 2 × 0.5 × 100 × (60 − 10)
    assert result.json["objective_jpy"] == pytest.approx(5000, abs=1e-6)
    result = cleared(needs, block("x", 100, 100, 100, 100, run_min_count=1), cap=60)
    assert result.award_kw("x", "BLOCK") == [100.0, 0.0, 100.0, 100.0]


def test_a_run_ends_within_the_window() -> None:
    result = cleared([0.0, 0.0, 100.0], block("x", 100, 100, 100, run_min_count=2))
    assert result.award_kw("x", "BLOCK") == [0.0, 0.0, 0.0]


def test_each_start_of_a_run_costs() -> None:
    running = {"run_min_count": 1, "start_cost_jpy": 3000.0}
    result = cleared([100.0, 0.0, 100.0, 100.0], block("x", 100, 100, 100, 100, **running), cap=60)
    # One half hour is worth 0.5 × 100 × 50 = 2500 < 3000, two in a row 5000.
    assert result.award_kw("x", "BLOCK") == [0.0, 0.0, 100.0, 100.0]
    assert result.award("x", "BLOCK")["cost_jpy"] == 3000.0 + 2 * 0.5 * 100 * 10
    assert result.json["objective_jpy"] == pytest.approx(2000, abs=1e-6)


def test_while_it_runs_a_block_keeps_to_its_least_ratio() -> None:
    running = {"run_min_count": 3, "acceptance_min_ratio": 0.5}
    result = cleared([100.0, 60.0, 100.0], block("x", 100, 100, 100, **running))
    assert result.award_kw("x", "BLOCK") == [100.0, 60.0, 100.0]
    result = cleared([100.0, 40.0, 100.0], block("x", 100, 100, 100, **running))
    assert result.award_kw("x", "BLOCK") == [0.0, 0.0, 0.0]


def test_a_block_that_runs_can_have_a_child() -> None:
    result = cleared(
        [100.0, 150.0],
        block("parent", 100, 100, run_min_count=2),
        block("child", 50, first_t=1, parent="parent"),
    )
    assert result.award_kw("parent", "BLOCK") == [100.0, 100.0]
    assert result.award_kw("child", "BLOCK") == [0.0, 50.0]


def test_a_block_that_does_not_run_is_no_parent() -> None:
    result = cleared(
        [0.0, 50.0],
        # Two half hours in a row at 100 kW do not fit anywhere.
        block("parent", 100, 100, run_min_count=2),
        block("child", 50, first_t=1, parent="parent"),
    )
    assert result.award_kw("child", "BLOCK") == [0.0, 0.0]


def test_blocks_of_one_resource_share_its_limit() -> None:
    result = cleared(
        [1200],
        block("x", 600, ask=10.0),
        block("y", 600, ask=11.0),
        resources=[resource("a", "A"), resource("b", "B", 1000.0)],
    )
    assert (result.award_kw("x", "BLOCK"), result.award_kw("y", "BLOCK")) == ([600.0], [0.0])


def test_a_block_of_down_pays_for_what_it_takes() -> None:
    result = Result(
        book(
            bids=[
                # −10 an kWh: the seller pays 10 for every kWh it takes.
                block("x", 80, ask=-10.0, direction="DOWN"),
                steps("s", "b", "UP", (100, 6)),
            ],
            balance_needs=[],
            elements=[],
        )
    )
    assert result.award_kw("x", "BLOCK") == [80.0]
    # 0.5 × 80 × (10 − 6)
    assert result.json["objective_jpy"] == pytest.approx(160, abs=1e-6)


def test_a_block_rejected_in_the_money_is_listed_with_what_it_lost() -> None:
    result = cleared([50], block("x", 80), steps("s", "b", "UP", (60, 20)))
    # 0.5 × 80 × (20 − 10)
    assert result.json["rejected_in_money"] == [{"bid": "x", "surplus_jpy": 400.0}]


def test_a_block_left_out_for_a_better_one_of_its_group_is_no_paradox() -> None:
    group = {"exclusive_group": "g"}
    result = cleared(
        [100],
        # At 50 a gains 0.5 × 40 × 40 = 800, c 0.5 × 50 × 38 = 950.
        block("a", 40, **group),
        block("c", 50, ask=12.0, **group),
        steps("s", "b", "UP", (100, 50)),
    )
    assert result.award_kw("c", "BLOCK") == [50.0]
    assert result.price("areas", "03") == [50.0]
    assert result.json["rejected_in_money"] == []


@pytest.mark.parametrize(
    ("parent_ask", "listed"),
    [
        # At 70 the child gains 0.5 × 80 × (70 − 60) = 400; a parent that asks 150 would lose
        # 0.5 × 50 × 80 = 2000, one that asks 66 gain 0.5 × 50 × 4 = 100 by itself.
        (150.0, []),
        (66.0, [{"bid": "child", "surplus_jpy": 500.0}, {"bid": "parent", "surplus_jpy": 100.0}]),
    ],
)
def test_a_child_is_in_the_money_with_all_its_rejected_ancestors(
    *, parent_ask: float, listed: list[dict[str, Any]]
) -> None:
    result = cleared(
        [40],
        block("parent", 50, ask=parent_ask),
        block("child", 80, ask=60.0, parent="parent"),
        steps("s", "b", "UP", (100, 70)),
    )
    assert result.price("areas", "03") == [70.0]
    assert result.json["rejected_in_money"] == listed


def test_a_run_in_the_money_is_counted_at_its_best() -> None:
    result = cleared(
        [100, 40, 100],
        block("x", 120, 120, 120, run_min_count=2, start_cost_jpy=50.0),
        steps("s", "b", "UP", (150, 20), window=(0, 2)),
    )
    # 0.5 × 120 × (20 − 10) = 600 in each half hour; all three in one run: 1800 − 50.
    assert result.json["rejected_in_money"] == [{"bid": "x", "surplus_jpy": 1750.0}]


def test_equal_blocks_are_taken_in_the_order_of_their_ids() -> None:
    names = ["d", "b", "c", "a"]
    found = [
        cleared([160], *(block(name, 80) for name in order)) for order in (names, sorted(names))
    ]
    assert found[0].content == found[1].content
    assert [found[0].award_kw(name, "BLOCK") for name in "abcd"] == [[80.0], [80.0], [0.0], [0.0]]


def _links(*bids: dict[str, Any]) -> dict[str, Any]:
    return book(bids=list(bids))


@pytest.mark.parametrize(
    ("parts", "words"),
    [
        ({"quantity_kw": []}, "bids[0].quantity_kw: [] — must have 1 number per half hour"),
        ({"quantity_kw": [1.0, 1.0]}, "bids[0].quantity_kw: [1.0, 1.0] — must have 1 number per"),
        ({"quantity_kw": [0.0]}, "must have a quantity above 0"),
        ({"quantity_kw": [-1.0]}, "bids[0].quantity_kw[0]: -1.0 — must be at least 0"),
        ({"quantity_kw": [float("nan")]}, "bids[0].quantity_kw[0]: nan — must be a finite number"),
        ({"acceptance_min_ratio": 1.5}, "bids[0].acceptance_min_ratio: 1.5 — must be at least 0"),
        ({"start_cost_jpy": -1}, "bids[0].start_cost_jpy: -1 — must be at least 0"),
        ({"run_min_count": 2}, "bids[0].run_min_count: 2 — must be at least 1 and at most 1"),
        ({"run_min_count": 0}, "bids[0].run_min_count: 0 — must be at least 1"),
        ({"first_t": 1}, "bids[0].first_t: 1 — must be at least 0 and at most 0"),
        ({"direction": "SIDEWAYS"}, "bids[0].direction: 'SIDEWAYS' — must be one of"),
        ({"exclusive_group": ""}, "bids[0].exclusive_group: '' — must have 1 to"),
        ({"parent": "x"}, "bids[0].parent: 'x' — must be another block"),
        ({"parent": "nobody"}, "bids[0].parent: 'nobody' — must be the id of a known block"),
        ({"colour": "red"}, "bids[0].colour: 'red' — is not an entry of this layout"),
    ],
)
def test_a_block_that_breaks_a_rule_is_refused_by_name(parts: dict[str, Any], words: str) -> None:
    with pytest.raises(InvalidSnapshot) as refusal:
        snapshot_from_json(_links(block("x", 80) | parts))
    assert words in str(refusal.value)


def test_parents_that_lead_in_a_circle_are_refused_with_the_circle() -> None:
    with pytest.raises(InvalidSnapshot) as refusal:
        snapshot_from_json(
            _links(
                block("tail", 1, parent="x"),
                block("x", 1, parent="y"),
                block("y", 1, parent="z"),
                block("z", 1, parent="x"),
            )
        )
    assert str(refusal.value) == (
        "bids[1].parent: 'y' — must not lead back to the block itself: x → y → z → x"
    )


def test_a_parent_is_a_block_of_the_same_owner_and_not_in_the_same_group() -> None:
    with pytest.raises(InvalidSnapshot, match=r"bids\[0\].parent: 'y' — must be the id of a known"):
        snapshot_from_json(_links(block("x", 1, parent="y"), steps("y", "b", "UP", (1, 1))))
    with pytest.raises(InvalidSnapshot, match="must be a block of the same owner"):
        snapshot_from_json(_links(block("x", 1, parent="y", owner="me"), block("y", 1)))
    group = {"exclusive_group": "g"}
    with pytest.raises(InvalidSnapshot, match="must not be in the block's own exclusive group"):
        snapshot_from_json(
            _links(
                block("x", 1, parent="y", **group),
                block("y", 1, parent="z"),
                block("z", 1, **group),
            )
        )


def test_more_ancestors_than_anyone_needs_are_refused() -> None:
    line = [block("000", 1), *(block(f"{n:03}", 1, parent=f"{n - 1:03}") for n in range(1, 103))]
    with pytest.raises(InvalidSnapshot, match="must not have more than 100 ancestors"):
        snapshot_from_json(_links(*line))
