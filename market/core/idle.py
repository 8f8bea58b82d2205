"""Doing nothing: the clearing that every snapshot allows, and the proof that it does.

A solver that calls an auction infeasible contradicts this. Which of the two is right is decided
here without it: the point at which nobody does anything is put to the independent check, and its
primal figures say whether the snapshot allows it. If they pass, the model or the solver is wrong,
and that is our bug.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from market.core.certificate import verify_document
from market.core.clearing import Clearing
from market.core.errors import InvalidSnapshot
from market.core.offers.forms import FORMS
from market.core.offers.terms import FloatArray
from market.core.programme import LAZY_ROWS, Programme, programme, with_lazy_rows
from market.core.publication import result_document
from market.core.reading import canonical_bytes, json_read
from market.core.snapshot import Snapshot, snapshot_sha256

PRICED: Final = frozenset(
    f"raw: {name}"
    for name in (
        *("bound", "complementary slackness", "dual signs", "gap", "individual rationality"),
        *("money identity", "objective"),
    )
)
"""Figures about prices and optimality, of which doing nothing claims none."""


def idle_kw(current: Programme) -> FloatArray:
    """Return the columns of a problem in which nobody does anything, (n,).

    Amounts are zero, or the bound nearest to it; stored energy and backlogs follow from that, and
    a connection scheduled above its envelope stays above it.
    """
    snapshot = current.snapshot
    x_kw: FloatArray = np.clip(0.0, current.lower_kw, current.upper_kw)
    for name, form in FORMS.items():
        if form.settled is not None:
            part = current.slices[name]
            x_kw[part] = form.settled(snapshot.books[name], x_kw[part], snapshot.interval_h)
    envelopes = snapshot.envelopes
    above_kw = np.maximum(envelopes.scheduled_import_kw - envelopes.max_import_kw, 0.0)
    x_kw[current.grid["over"]] = above_kw.ravel()
    return x_kw


def idle_failures(snapshot: Snapshot) -> tuple[str, ...]:
    """Return the primal figures at which the independent check refuses doing nothing.

    Returns
    -------
    tuple of str
        Empty if the snapshot allows doing nothing, as each does.
    """
    no_rows = {name: np.zeros(0, dtype=np.int64) for name in LAZY_ROWS}
    base = with_lazy_rows(programme(snapshot), no_rows)
    x_kw = idle_kw(base)
    worth_jpy = -float(base.cost_jpy @ x_kw)
    nothing = Clearing(
        programme=base,
        x_kw=x_kw,
        dual_jpy_per_kw={name: np.zeros(len(rows.rhs)) for name, rows in base.rows.items()},
        lower_kw=base.lower_kw,
        upper_kw=base.upper_kw,
        objective_jpy=worth_jpy,
        bound_jpy=worth_jpy,
    )
    result = json_read(canonical_bytes(result_document(nothing)), InvalidSnapshot)
    document = json_read(snapshot.canonical, InvalidSnapshot)
    certificate = verify_document(document, result, snapshot_sha256(snapshot))
    return tuple(
        f"{check.name} is {check.value:g}, at most {check.limit:g}"
        for check in certificate.checks
        if check.name.startswith("raw: ") and check.name not in PRICED and not check.is_passed
    )


def idle_verdict(snapshot: Snapshot) -> str:
    """Return, as a sentence, whose mistake it is that a snapshot was called infeasible."""
    failures = idle_failures(snapshot)
    if not failures:
        return "yet doing nothing passes the independent check: a bug of the engine"
    return (
        f"and doing nothing fails the independent check ({'; '.join(failures)}): a bug of the door"
    )
