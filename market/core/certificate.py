"""Check a result against its snapshot, with NumPy only and none of the engine's code.

The snapshot is read as plain JSON, flows are recomputed by a fresh factorisation of the bus
susceptance matrix, and optimality is proved by weak duality: the prices alone give each party a
best response, and the sum of what they forgo against it is the gap. No solver is needed, so any
participant can run this on published files.

Shapes: every series is (T,). Prices in JPY/kWh, power in kW, money in JPY.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from market.core.audit.block import EXACT, Market
from market.core.audit.book import book_of, check_feasible
from market.core.audit.called import calls_of, held_of
from market.core.audit.computing import computing_figures
from market.core.audit.explanations import explanation_figures
from market.core.audit.fields import field_figures
from market.core.audit.grid import grid_of
from market.core.audit.layout import check_layout, is_of_this_engine
from market.core.audit.ledger import Ledger
from market.core.audit.payments import payment_figures
from market.core.audit.physical import physical_of
from market.core.audit.pivotal import tested
from market.core.audit.prices import duals_of, income_of, priced_elements, prices_of
from market.core.audit.published import published_figures
from market.core.audit.rejected import rejected_figures
from market.core.audit.whole import Parts, Whole, check_whole
from market.core.errors import InvalidSnapshot, ResultUnverified
from market.core.reading import json_read


@dataclass(frozen=True)
class Check:
    """One figure, the most it may be, and whether it is."""

    name: str
    value: float
    limit: float

    @property
    def is_passed(self) -> bool:
        """Return whether the figure is a number within its limit."""
        return bool(np.isfinite(self.value) and self.value <= self.limit)

    def as_json(self) -> dict[str, Any]:
        """Return the check as JSON values; a figure that is no number becomes null."""
        value = float(self.value) if np.isfinite(self.value) else None
        limit = float(self.limit)
        return {"name": self.name, "value": value, "limit": limit, "passed": self.is_passed}


@dataclass(frozen=True)
class Certificate:
    """All checks of one result."""

    checks: tuple[Check, ...]

    @property
    def passed(self) -> bool:
        """Return whether every check passed."""
        return all(check.is_passed for check in self.checks)

    @property
    def failures(self) -> tuple[str, ...]:
        """Return a sentence for each check that did not pass."""
        return tuple(
            f"{check.name} is {check.value:g}, at most {check.limit:g} is allowed"
            for check in self.checks
            if not check.is_passed
        )

    def as_json(self) -> dict[str, Any]:
        """Return the certificate as JSON values."""
        return {"passed": self.passed, "checks": [check.as_json() for check in self.checks]}


def verify_result(snapshot_content: bytes, result_content: bytes) -> Certificate:
    """Check a published result against the snapshot it claims to clear.

    Parameters
    ----------
    snapshot_content
        Canonical snapshot bytes, as stored and published.
    result_content
        Result bytes; a certificate in them is not believed.

    Returns
    -------
    Certificate
        Every figure with its limit: unrounded at 1e-9 relative, published within ticks.

    Raises
    ------
    InvalidSnapshot, ResultUnverified
        If either is no JSON, or the result lacks what a check needs.
    """
    snapshot = json_read(snapshot_content, InvalidSnapshot)
    result = json_read(result_content, InvalidSnapshot)
    return verify_document(snapshot, result, hashlib.sha256(snapshot_content).hexdigest())


def verify_document(
    snapshot: Mapping[str, Any], result: Mapping[str, Any], snapshot_sha256: str
) -> Certificate:
    """Check a result that is already parsed; see :func:`verify_result`."""
    try:
        return _verified(snapshot, result, snapshot_sha256)
    except (KeyError, IndexError, TypeError, ValueError, AttributeError) as found:
        raise ResultUnverified(f"the result is not whole: {found!r}") from found


def certificate_lines(certificate: Certificate) -> list[str]:
    """Return one line per check: ok or FAILED, its name, its value and the most it may be."""
    width = max((len(check.name) for check in certificate.checks), default=0)
    return [
        f"{'ok' if check.is_passed else 'FAILED':6}  {check.name:{width}}"
        f"  {check.value:.3g} (at most {check.limit:.3g})"
        for check in certificate.checks
    ]


def _verified(
    snapshot: Mapping[str, Any], result: Mapping[str, Any], snapshot_sha256: str
) -> Certificate:
    check_layout(result)
    lowered, pivotal = tested(snapshot)
    ledger = Ledger()
    parts = _parts(Market(lowered), result["raw"], ledger)
    check_feasible(parts.book, ledger)
    income = income_of(parts.book, parts.prices)
    whole = check_whole(parts, income)
    matches = (
        result["snapshot_sha256"] == snapshot_sha256 and result["auction"] == snapshot["auction"]
    )
    checks = [
        Check("snapshot", 0.0 if matches else 1.0, 0.0),
        Check("schema and engine", 0.0 if is_of_this_engine(result) else 1.0, 0.0),
        Check("pivotal owners", 0.0 if result["pivotal"] == pivotal else 1.0, 0.0),
    ]
    _check_optimum(result, whole, ledger)
    checks += [Check(f"raw: {name}", worst, EXACT) for name, worst in sorted(ledger.worst.items())]
    checks.append(_gap(snapshot, result, whole, ledger))
    checks += [
        Check(f"published: {name}", value, limit)
        for name, value, limit in (
            *published_figures(result, parts, whole, income),
            *field_figures(result, parts, whole),
            *computing_figures(result, parts.book, parts.prices),
            *payment_figures(result, parts, income),
            *rejected_figures(result, parts),
            *explanation_figures(result, parts.book.market, parts.prices),
        )
    ]
    return Certificate(tuple(checks))


def _parts(market: Market, raw: Mapping[str, Any], ledger: Ledger) -> Parts:
    """Return book, grid, flows and prices, by one solution of the grid for all of them."""
    grid, book = grid_of(market), book_of(market, raw)
    duals, physical, held = (
        duals_of(market, grid, raw),
        physical_of(book, grid, raw),
        held_of(book, grid),
    )
    calls = calls_of(held, physical.sent_kw.shape)
    idle_kw = np.zeros_like(physical.link_kw)
    response = grid.respond(
        np.concatenate([physical.sent_kw, *calls.values()], axis=1),
        np.concatenate([physical.link_kw, *[idle_kw] * len(calls)], axis=1),
        priced_elements(market, duals),
    )
    situations = np.split(response.flow_change_kw, len(calls) + 1, axis=1)
    return Parts(
        book=book,
        grid=grid,
        physical=physical,
        held=held,
        flow_change_kw=situations[0],
        called_flow_kw=dict(zip(calls, situations[1:], strict=True)),
        prices=prices_of(market, grid, response, duals),
        ledger=ledger,
    )


def _check_optimum(result: Mapping[str, Any], whole: Whole, ledger: Ledger) -> None:
    """Weak duality: nobody, nor all together, could do better at these prices."""
    forgone_jpy, turnover_jpy = ledger.all_forgone_jpy, whole.turnover_jpy
    ledger.residual("gap", forgone_jpy.sum(), turnover_jpy)
    ledger.residual("complementary slackness", forgone_jpy, turnover_jpy)
    ledger.residual("objective", result["objective_jpy"] - whole.objective_jpy, turnover_jpy)
    ledger.residual("money identity", whole.money_left_jpy, turnover_jpy)
    ledger.excess("bound", whole.objective_jpy - result["bound_jpy"], turnover_jpy)
    if not whole.has_held:
        bound_jpy = whole.objective_jpy + float(forgone_jpy.sum())
        ledger.residual("bound", result["bound_jpy"] - bound_jpy, turnover_jpy)


def _gap(
    snapshot: Mapping[str, Any], result: Mapping[str, Any], whole: Whole, ledger: Ledger
) -> Check:
    """Check the proven gap, over the cost of the bids accepted, against the rules' limit.

    Where columns were held by a decision, prices bound the problem without those decisions from
    above by letting each bid choose anew; the solver's own bound may be closer.
    """
    scale_jpy = max(1.0, whole.gross_jpy)
    proven = (float(ledger.all_forgone_jpy.sum()) + whole.free_jpy) / scale_jpy
    claimed = (result["bound_jpy"] - whole.objective_jpy) / scale_jpy
    if whole.has_held:
        proven = min(proven, claimed)
    rounding = 1e-12 * whole.turnover_jpy / scale_jpy
    limit = snapshot["rules"]["gap_max_ratio"] + max(rounding, EXACT)
    return Check("gap over bid cost", max(proven, abs(result["gap_ratio"] - claimed)), limit)
