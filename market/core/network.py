r"""DC power flow and what one kW injected at a place does to each monitored element.

With susceptance :math:`b` of a branch (``reactance``: :math:`1/x`; ``series``:
:math:`x/(r^2+x^2)`; both over the tap ratio) and bus angles :math:`\theta`, the flow is
:math:`f = b(\theta_i - \theta_j - \varphi)`. Distributed slack: each island spreads an imbalance
over its buses in the ratio :math:`\rho`, so

.. math:: H = B_f B^{-1} (I - \rho \mathbf 1^\top)

per synchronous island [1]_.

References
----------
.. [1] B. Stott, J. Jardim and O. Alsaç, "DC Power Flow Revisited", IEEE Transactions on Power
   Systems 24(3), 2009.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from accounts.core.errors import ensure
from market.core.errors import InvalidSnapshot
from market.core.offers.terms import FloatArray, IntArray
from market.core.snapshot import Network, Snapshot

# scipy comes with the first network: what only serves doors starts without it
if TYPE_CHECKING:
    import scipy.sparse as sp
    from scipy.sparse.linalg import SuperLU

KW_PER_MW = 1000.0
CONDITION_MAX = 1e12  # beyond it fewer than four of a float's sixteen digits are left


@dataclass(frozen=True, kw_only=True)
class Sensitivity:
    """What injections at the sending end do to the monitored elements.

    Parameters
    ----------
    place
        (Q, P) kW on the element per kW injected at the place's bus.
    link
        (Q, K) kW on the element per kW carried by the link from its ``from`` to its ``to`` end.
    """

    place: FloatArray
    link: FloatArray


def susceptance_pu(network: Network) -> FloatArray:
    """Return the susceptance of each branch by the convention of the model, (L,), in p.u."""
    x, r = network.reactance_pu, network.resistance_pu
    b = 1.0 / x if network.convention == "reactance" else x / (r**2 + x**2)
    return np.asarray(b / network.tap_ratio)


def _incidence(network: Network) -> sp.csr_array:
    """Return the branch–bus incidence, +1 at the ``from`` end, −1 at the ``to`` end, (L, N)."""
    import scipy.sparse as sp

    count = len(network.branch_ids)
    row = np.arange(count)
    return sp.csr_array(
        (
            np.concatenate([np.ones(count), -np.ones(count)]),
            (np.concatenate([row, row]), np.concatenate([network.branch_from, network.branch_to])),
        ),
        shape=(count, len(network.bus_ids)),
    )


def _references(network: Network) -> IntArray:
    """Return the buses whose angle is not fixed at zero: all but the first of each island."""
    first = np.unique(network.bus_island, return_index=True)[1]
    return np.setdiff1d(np.arange(len(network.bus_ids)), first)


def _factor(network: Network) -> tuple[SuperLU | None, IntArray]:
    """Factorise the reduced bus susceptance matrix; ``None`` when every bus is a reference."""
    from scipy.sparse.linalg import splu

    free = _references(network)
    return (splu(_reduced(network, free)) if len(free) else None), free


def _reduced(network: Network, free: IntArray) -> sp.csc_matrix:
    import scipy.sparse as sp

    incidence = _incidence(network)
    bus = incidence.T @ sp.diags_array(susceptance_pu(network)) @ incidence
    return sp.csc_matrix(bus.tocsr()[free][:, free])


def network_check(network: Network) -> None:
    """Refuse a network whose flows do not follow from its injections.

    Negative reactances (series capacitors, three-winding transformers) may cancel others, so
    that some injection has no flow, or any. Told by the condition of the reduced susceptance
    matrix in the 1-norm, estimated after Higham and Tisseur [1]_.

    Raises
    ------
    InvalidSnapshot
        If the condition exceeds :data:`CONDITION_MAX`.

    References
    ----------
    .. [1] N. J. Higham and F. Tisseur, "A Block Algorithm for Matrix 1-Norm Estimation", SIAM
       Journal on Matrix Analysis and Applications 21(4), 2000.
    """
    from scipy.sparse.linalg import LinearOperator, onenormest, splu

    free = _references(network)
    if len(free) == 0:
        return
    matrix = _reduced(network, free)
    # One bus alone has condition 1 whatever is left of it: cancellation shows in its own sum.
    gross = abs(_incidence(network)).T @ np.abs(susceptance_pu(network))
    has_cancelled = np.abs(matrix.diagonal()) * CONDITION_MAX < gross[free]
    try:
        lu = splu(matrix)
    except RuntimeError:  # what SuperLU says of an exactly singular matrix
        condition = np.inf
    else:
        inverse = LinearOperator(
            matrix.shape,
            matvec=lu.solve,
            rmatvec=lambda column: lu.solve(column, trans="T"),
            matmat=lu.solve,
            rmatmat=lambda columns: lu.solve(columns, trans="T"),
            dtype=np.float64,
        )
        condition = float(abs(matrix).sum(axis=0).max() * onenormest(inverse))
    if has_cancelled.any() or not condition <= CONDITION_MAX:
        raise InvalidSnapshot(
            field="network.branches",
            value=condition,
            rule="must give one flow for every injection: reactances cancel each other",
        )


def dc_flow_kw(network: Network, injection_kw: FloatArray) -> FloatArray:
    """Return branch flows under bus injections, phase shifters included.

    Parameters
    ----------
    network
        The grid model.
    injection_kw
        (N, T) net injections; an island's imbalance is spread over its slack.

    Returns
    -------
    FloatArray
        (L, T), positive from the ``from`` end to the ``to`` end. [kW]
    """
    incidence, b = _incidence(network), susceptance_pu(network)
    ensure(injection_kw.shape[0] == len(network.bus_ids), "one row of injections per bus")
    balanced = injection_kw - spread_kw(network, injection_kw)
    per_radian_kw = b * network.base_mva * KW_PER_MW
    shifted_kw = (per_radian_kw * np.deg2rad(network.shift_deg))[:, None]
    lu, free = _factor(network)
    angle = np.zeros_like(balanced)
    if lu is not None:
        forced = balanced + incidence.T @ np.broadcast_to(shifted_kw, (len(b), balanced.shape[1]))
        angle[free] = lu.solve(np.ascontiguousarray(forced[free]))
    return np.asarray(b[:, None] * (incidence @ angle) - shifted_kw)


def spread_kw(network: Network, injection_kw: FloatArray) -> FloatArray:
    """Return each island's imbalance as its slack takes it up, (N, T), in kW."""
    imbalance_kw = np.zeros((len(network.island_ids), injection_kw.shape[1]))
    np.add.at(imbalance_kw, network.bus_island, injection_kw)
    return np.asarray(network.bus_slack_share_ratio[:, None] * imbalance_kw[network.bus_island])


def bus_sensitivity(network: Network, branches: IntArray) -> FloatArray:
    """Return the flow on chosen branches per kW injected at each bus, (len(branches), N).

    One factorisation and one solve per branch: B is symmetric, so the rows of
    :math:`B_f B^{-1}` are found without ever forming :math:`B^{-1}`.
    """
    import scipy.sparse as sp

    rows = np.zeros((len(branches), len(network.bus_ids)))
    lu, free = _factor(network)
    if lu is None or len(branches) == 0:
        return rows
    weighted = sp.diags_array(susceptance_pu(network)) @ _incidence(network)
    rows[:, free] = lu.solve(
        np.ascontiguousarray(weighted.tocsr()[branches][:, free].T.toarray())
    ).T
    slack = np.zeros((len(network.bus_ids), len(network.island_ids)))
    slack[np.arange(len(network.bus_ids)), network.bus_island] = network.bus_slack_share_ratio
    return np.asarray(rows - (rows @ slack)[:, network.bus_island])


def sensitivity(snapshot: Snapshot) -> Sensitivity:
    """Return the sensitivity of every place and link on every monitored element.

    An element given by published sensitivities has those, and none to links.

    Raises
    ------
    InvalidSnapshot
        If flows do not follow from injections; see :func:`network_check`.
    """
    network_check(snapshot.network)
    network, elements = snapshot.network, snapshot.elements
    modelled = np.flatnonzero(elements.branch >= 0)
    place = elements.published_kw_per_kw.copy()
    link = np.zeros((len(elements.ids), len(network.link_ids)))
    rows = bus_sensitivity(network, elements.branch[modelled])
    place[modelled] = rows[:, snapshot.place_bus]
    link[modelled] = rows[:, network.link_to] - rows[:, network.link_from]
    return Sensitivity(place=place, link=link)
