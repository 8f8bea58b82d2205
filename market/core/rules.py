"""Clearing rules: versioned market facts that a snapshot carries with it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

from market.core.errors import InvalidRules
from market.core.reading import Reader

PAY_AS_CLEAR: Final = "pay_as_clear"
PAY_AS_BID: Final = "pay_as_bid"
PAYMENTS: Final = (PAY_AS_CLEAR, PAY_AS_BID)
PRODUCTS: Final = ("CAPACITY", "COMPUTE", "ENERGY")
NODE_LIMIT_DEFAULT: Final = 100_000
ENVELOPE_PRICE_DEFAULT_JPY_PER_KWH: Final = 200.0
OPTIONAL: Final = (
    "node_limit",
    "envelope_price_jpy_per_kwh",
    "kwh_xor_dkw",
    "reference_cap_jpy_per_kwh",
    "fee_jpy_per_kwh",
    "label_costs",
)


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
        Per product (energy, capacity, computing): ``pay_as_clear``, one price per place and half
        hour, or ``pay_as_bid``, the ask itself.
    price_tick_jpy_per_kwh, quantity_tick_kw
        Steps in which prices [JPY/kWh] and quantities [kW] are published.
    gap_max_ratio
        Largest proven gap, over the cost of the accepted bids, that may be published.
    iteration_limit, node_limit
        Work limits. Counts replay; wall-clock limits would not.
    envelope_price_jpy_per_kwh
        What a party owes for import above its flexible connection's envelope. [JPY/kWh]
    kwh_xor_dkw
        Whether a resource sells either energy or capacity in a half hour, never both.
    reference_cap_jpy_per_kwh
        Most a pivotal bid may ask; None switches the test off. [JPY/kWh]
    fee_jpy_per_kwh
        The aggregator's fee on each kWh a need is served. [JPY/kWh]
    label_costs
        Whether the welfare each label costs is computed beside the result.
    """

    version: str
    deviation_limit_kw: float
    deviation_price_jpy_per_kwh: float
    payment: Mapping[str, str]
    price_tick_jpy_per_kwh: float
    quantity_tick_kw: float
    gap_max_ratio: float
    iteration_limit: int
    node_limit: int = NODE_LIMIT_DEFAULT
    envelope_price_jpy_per_kwh: float = ENVELOPE_PRICE_DEFAULT_JPY_PER_KWH
    kwh_xor_dkw: bool = True
    reference_cap_jpy_per_kwh: float | None = None
    fee_jpy_per_kwh: float = 0.0
    label_costs: bool = False

    def as_json(self) -> dict[str, Any]:
        """Return the mapping that :func:`rules_from_json` reads."""
        return {**asdict(self), "payment": dict(self.payment)}


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
        optional=OPTIONAL,
    )
    cap = entry.get("reference_cap_jpy_per_kwh")
    return ClearingRules(
        version=entry["version"].text(),
        deviation_limit_kw=entry["deviation_limit_kw"].number(low=0),
        deviation_price_jpy_per_kwh=entry["deviation_price_jpy_per_kwh"].number(low=0),
        payment=_payment(entry["payment"]),
        price_tick_jpy_per_kwh=entry["price_tick_jpy_per_kwh"].number(low=1e-6, high=1e3),
        quantity_tick_kw=entry["quantity_tick_kw"].number(low=1e-6, high=1e6),
        gap_max_ratio=entry["gap_max_ratio"].number(low=0, high=1),
        iteration_limit=entry["iteration_limit"].integer(low=1, high=10**12),
        node_limit=(
            entry["node_limit"].integer(low=1, high=10**12)
            if "node_limit" in entry
            else NODE_LIMIT_DEFAULT
        ),
        envelope_price_jpy_per_kwh=(
            entry["envelope_price_jpy_per_kwh"].number(low=0, high=1e6)
            if "envelope_price_jpy_per_kwh" in entry
            else ENVELOPE_PRICE_DEFAULT_JPY_PER_KWH
        ),
        kwh_xor_dkw=entry["kwh_xor_dkw"].truth() if "kwh_xor_dkw" in entry else True,
        reference_cap_jpy_per_kwh=(
            None if cap is None or cap.value is None else cap.number(low=0, high=1e6)
        ),
        fee_jpy_per_kwh=(
            entry["fee_jpy_per_kwh"].number(low=0, high=1e6) if "fee_jpy_per_kwh" in entry else 0.0
        ),
        label_costs=entry["label_costs"].truth() if "label_costs" in entry else False,
    )


def _payment(reader: Reader) -> dict[str, str]:
    """Read one payment rule for every product, or one for each."""
    if isinstance(reader.value, str):
        return dict.fromkeys(PRODUCTS, reader.choice(PAYMENTS))
    entry = reader.fields(required=PRODUCTS)
    return {name: entry[name].choice(PAYMENTS) for name in PRODUCTS}
