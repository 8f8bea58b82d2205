"""What each eligibility label costs: the welfare that would be had if nobody required it.

A counterfactual, computed by the same engine: the label is taken out of every requirement, all
else stays, and the auction is cleared again. The certificate does not cover it, since no duals of
it are published; each entry carries its own proven bound instead.
"""

from __future__ import annotations

from typing import Any, Final

from market.core.clearing import Clearing, clear
from market.core.errors import SolverFailed
from market.core.snapshot import snapshot_from_json

REQUIREMENT: Final = "labels_required"
JPY_DIGITS: Final = 6


def label_costs(clearing: Clearing) -> list[dict[str, Any]]:
    """Return the cost of every label that some bid requires, in ascending order of label.

    Parameters
    ----------
    clearing
        The auction as cleared.

    Returns
    -------
    list of dict
        ``label``; ``welfare_jpy`` as cleared; ``welfare_without_jpy``, the optimum without the
        label; ``cost_jpy``, their difference; ``bound_jpy``, a proven upper bound of the welfare
        without the label, so that the label costs at most ``bound_jpy − welfare_jpy``. The last
        three are None where the auction without the label could not be solved: that says nothing
        against the result itself.
    """
    document = clearing.snapshot.document()
    return [_cost(clearing, document, label) for label in _required(document)]


def _required(document: dict[str, Any]) -> list[str]:
    return sorted({label for bid in document["bids"] for label in bid.get(REQUIREMENT, [])})


def _cost(clearing: Clearing, document: dict[str, Any], label: str) -> dict[str, Any]:
    entry = {"label": label, "welfare_jpy": clearing.objective_jpy}
    try:
        free = clear(snapshot_from_json(document | {"bids": _without(document["bids"], label)}))
    except SolverFailed:
        return {**entry, "welfare_without_jpy": None, "cost_jpy": None, "bound_jpy": None}
    return {
        **entry,
        "welfare_without_jpy": free.objective_jpy,
        "cost_jpy": round(free.objective_jpy - clearing.objective_jpy, JPY_DIGITS) + 0.0,
        "bound_jpy": free.bound_jpy,
    }


def _without(bids: list[dict[str, Any]], label: str) -> list[dict[str, Any]]:
    """Return the bids with the label taken out of every requirement."""
    return [
        bid | {REQUIREMENT: [name for name in bid[REQUIREMENT] if name != label]}
        if label in bid.get(REQUIREMENT, [])
        else bid
        for bid in bids
    ]
