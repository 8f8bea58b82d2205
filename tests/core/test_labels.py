"""What a label costs: every label required, shifts included, and what could not be solved."""

from __future__ import annotations

from typing import Any

import pytest

from market.core import labels
from market.core.clearing import clear
from market.core.errors import InvalidSnapshot, SolverLimit
from market.core.snapshot import snapshot_from_json
from tests.books import Result, book, local_need, path, resource, shift


def _moving(**parts: Any) -> dict[str, Any]:
    """Return a need of 150 kW that two bids of 100 kW of work each can serve by moving."""
    document = book(
        bids=[
            shift("free"),
            shift("bound", labels_required=["country:JP", "private"]),
        ],
        paths=[path(capacity_gb=50.0)],
        resources=[
            resource("a", "A", labels=["private"]),
            resource("b", "B", labels=["country:JP"]),
        ],
        local_needs=[local_need(150)],
    )
    document["rules"] |= {"label_costs": True}
    return document | parts


def test_a_label_that_forbids_a_move_costs_the_relief_it_prevents() -> None:
    result = Result(_moving())
    # 100 kW move at 5. Without "private" 150 kW do, and 50 kW more of relief, worth 100, is served:
    # 0.5 h × 50 × (100 − 5). "country:JP" is had at B and costs nothing.
    assert [(cost["label"], cost["cost_jpy"]) for cost in result.json["label_costs"]] == [
        ("country:JP", 0.0),
        ("private", pytest.approx(2375.0)),
    ]
    for cost in result.json["label_costs"]:
        assert cost["welfare_jpy"] == result.json["objective_jpy"]
        assert cost["bound_jpy"] >= cost["welfare_without_jpy"]


def test_labels_are_not_priced_unless_the_rules_say_so() -> None:
    document = _moving()
    document["rules"] |= {"label_costs": False}
    assert Result(document).json["label_costs"] == []


def test_a_label_whose_auction_can_not_be_solved_leaves_the_result_standing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    cleared = clear(snapshot_from_json(_moving()))

    def too_much(_: Any) -> Any:
        raise SolverLimit("iterations used up")

    monkeypatch.setattr(labels, "clear", too_much)
    first, _ = labels.label_costs(cleared)
    assert first["welfare_jpy"] == cleared.objective_jpy
    assert (first["welfare_without_jpy"], first["cost_jpy"], first["bound_jpy"]) == (None,) * 3
    assert all(check["passed"] for check in Result(_moving()).json["certificate"]["checks"])


@pytest.mark.parametrize(
    ("labels_required", "labels", "is_known"),
    [
        (["country:JP"], [], True),
        (["country:JO"], [], False),
        (["country:JP", "country:JO"], [], False),
        (["country:JO"], ["country:JO"], True),
    ],
)
def test_a_label_that_nobody_knows_is_refused(
    labels_required: list[str], labels: list[str], *, is_known: bool
) -> None:
    document = book(
        bids=[shift("move", labels_required=labels_required)],
        paths=[path()],
        labels=labels,
        resources=[resource("a", "A"), resource("b", "B", labels=["country:JP"])],
    )
    if is_known:
        assert snapshot_from_json(document).document()["labels"] == labels
        return
    with pytest.raises(InvalidSnapshot) as refusal:
        snapshot_from_json(document)
    assert refusal.value.field == "bids[0].labels_required"
    assert refusal.value.value == labels_required
