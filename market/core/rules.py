"""Clearing rules: versioned market facts that a snapshot carries with it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

from market.core.errors import InvalidRules
from market.core.reading import Reader

PAY_AS_CLEAR: Final = "pay_as_clear"
PAYMENTS: Final = (PAY_AS_CLEAR,)
NODE_LIMIT_DEFAULT: Final = 100_000


@dataclass(frozen=True, kw_only=True)
class ClearingRules:
    """One version of the rules, as stored in the ruleset and carried by each snapshot.

    Parameters
    ----------
    version
        Name of the ruleset version.
    deviation_limit_kw
        Largest imbalance an area may be left with in a half hour; 0 is neutral redispatch. [kW]
    deviation_price_jpy_per_kwh
        What that imbalance costs on either side. [JPY/kWh]
    payment
        ``pay_as_clear``: one price per place and half hour.
    price_tick_jpy_per_kwh, quantity_tick_kw
        Steps in which prices [JPY/kWh] and quantities [kW] are published.
    gap_max_ratio
        Largest proven gap, over the cost of the accepted bids, that may be published.
    iteration_limit, node_limit
        Work limits. Counts replay; wall-clock limits would not.
    """

    version: str
    deviation_limit_kw: float
    deviation_price_jpy_per_kwh: float
    payment: str
    price_tick_jpy_per_kwh: float
    quantity_tick_kw: float
    gap_max_ratio: float
    iteration_limit: int
    node_limit: int = NODE_LIMIT_DEFAULT

    def as_json(self) -> dict[str, Any]:
        """Return the mapping that :func:`rules_from_json` reads."""
        return asdict(self)


def rules_from_json(
    mapping: Mapping[str, Any] | Reader, *, error: type[InvalidRules] = InvalidRules
) -> ClearingRules:
    """Read rules from a mapping, refusing unknown, missing or impossible entries.

    Parameters
    ----------
    mapping
        The rules, or a reader standing on them within a larger document.
    error
        What to raise when the rules are read on their own.

    Raises
    ------
    InvalidRules, InvalidSnapshot
        With the entry, its value and the rule it breaks.
    """
    reader = mapping if isinstance(mapping, Reader) else Reader(mapping, "rules", error)
    entry = reader.fields(
        required=(
            "version",
            "deviation_limit_kw",
            "deviation_price_jpy_per_kwh",
            "payment",
            "price_tick_jpy_per_kwh",
            "quantity_tick_kw",
            "gap_max_ratio",
            "iteration_limit",
        ),
        optional=("node_limit",),
    )
    return ClearingRules(
        version=entry["version"].text(),
        deviation_limit_kw=entry["deviation_limit_kw"].number(low=0),
        deviation_price_jpy_per_kwh=entry["deviation_price_jpy_per_kwh"].number(low=0),
        payment=entry["payment"].choice(PAYMENTS),
        price_tick_jpy_per_kwh=entry["price_tick_jpy_per_kwh"].number(low=1e-6, high=1e3),
        quantity_tick_kw=entry["quantity_tick_kw"].number(low=1e-6, high=1e6),
        gap_max_ratio=entry["gap_max_ratio"].number(low=0, high=1),
        iteration_limit=entry["iteration_limit"].integer(low=1, high=10**12),
        node_limit=(
            entry["node_limit"].integer(low=1, high=10**12)
            if "node_limit" in entry
            else NODE_LIMIT_DEFAULT
        ),
    )
