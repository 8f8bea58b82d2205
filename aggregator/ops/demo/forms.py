"""One bid of every form beyond curves, stores and shifts, as the demo's operators would make it.

Training that stops whole or not at all, batch work with a deadline, wind scheduled with caution,
units of a few kilowatts as one, ΔkW of a battery and of a hall, computing offered and asked for.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

import numpy as np
import numpy.typing as npt

from aggregator.ops.demo import cast

Bid = dict[str, Any]
HALF_HOURS = 48
EVENING = (32, 43)  # 16:00 to 22:00
MIDDAY = (18, 29)  # 09:00 to 15:00


def _kw(value: Decimal | float) -> str:
    return str(max(1, int(value)))


def block_bids(peak_kw: Decimal) -> Iterator[Bid]:
    """Training at Tama stops for four hours, or for two, then perhaps for two more."""
    part_kw = _kw(peak_kw * Decimal("0.05"))
    common = {
        "resource": "tama-dc-load",
        "mechanism": "STOP",
        "workload_class": "TRAINING",
        "form": "BLOCK",
        "direction": "UP",
    }
    yield {
        **common,
        "client_bid_id": "tama-halt-long",
        "first_t": 34,
        "quantity_kw": [part_kw] * 8,
        "ask_jpy_per_kwh": "9",
        "start_cost_jpy": "30000",
        "exclusive_group": "halt",
    }
    yield {
        **common,
        "client_bid_id": "tama-halt-short",
        "first_t": 34,
        "quantity_kw": [part_kw] * 4,
        "ask_jpy_per_kwh": "11",
        "start_cost_jpy": "10000",
        "acceptance_min_ratio": "0.5",
        "exclusive_group": "halt",
    }
    yield {
        **common,
        "client_bid_id": "tama-halt-more",
        "first_t": 38,
        "quantity_kw": [part_kw] * 4,
        "ask_jpy_per_kwh": "8",
        "run_min_count": 2,
        "parent": "tama-halt-short",
    }


def deferral_bid(peak_kw: Decimal) -> Bid:
    """Return batch work at Toshin: it arrives in the evening and may wait four hours."""
    first_t, last_t = 30, 47
    arriving_kw = [_kw(peak_kw * Decimal("0.10"))] * 10 + [_kw(peak_kw * Decimal("0.02"))] * 8
    return {
        "client_bid_id": "toshin-batch",
        "resource": "toshin-dc-load",
        "mechanism": "DEFERRAL",
        "workload_class": "BATCH",
        "form": "DEFERRAL",
        "first_t": first_t,
        "last_t": last_t,
        "arriving_kw": arriving_kw,
        "slack_count": 8,
        "service_limit_kw": [_kw(peak_kw * Decimal("0.16"))] * (last_t - first_t + 1),
        "rebound_limit_kw": _kw(peak_kw * Decimal("0.10")),
        "extra_work_ratio": "0.01",
        "ask_jpy_per_kwh": "6.5",
    }


def wind_bid(available_ratio: npt.NDArray[np.float64]) -> Bid:
    """Return wind at Kamikita, scheduled with caution: more may be released."""
    peaks_kw = {row[0]: row[5] for row in cast.RENEWABLES}
    code = next(iter(cast.SCHEDULED_RATIO))
    peak_kw = peaks_kw[code]
    output = np.minimum(available_ratio, 1.0) * peak_kw
    return {
        "client_bid_id": f"{code}-day",
        "resource": code,
        "mechanism": "RENEWABLE",
        "form": "RENEWABLE",
        "first_t": 0,
        "last_t": HALF_HOURS - 1,
        "available_kw": [str(int(kw)) for kw in output],
        "scheduled_kw": [str(int(kw * cast.scheduled_ratio(code))) for kw in output],
        "curtail_jpy_per_kwh": "0.5",
        "release_jpy_per_kwh": "0",
    }


def portfolio_bid() -> Bid:
    """Return the units in a factory, bid as one."""
    units = list(enumerate(cast.MICRO_UNITS_KW, start=1))
    return {
        "client_bid_id": f"{cast.MICRO_SITE}-units",
        "portfolio": f"{cast.MICRO_SITE}-units",
        "mechanism": "DEFERRAL",
        "form": "PORTFOLIO",
        "direction": "UP",
        "members": [
            {"resource": f"{cast.MICRO_SITE}-unit-{number}", "limit_kw": str(power_kw)}
            for number, power_kw in units
        ],
        "curves": [
            {
                "first_t": EVENING[0],
                "last_t": EVENING[1],
                "steps": [{"quantity_kw": str(sum(kw for _, kw in units)), "ask_jpy_per_kwh": "9"}],
            }
        ],
    }


def capacity_bids(peak_kw: Decimal) -> Iterator[Bid]:
    """ΔkW of Tama's battery, and of the hall at Toshin, in the evening."""
    for code, mechanism, quantity_kw, ask in (
        ("tama-bess", "BATTERY", "10000", "0.9"),
        ("toshin-dc-load", "POWER_CAP", _kw(peak_kw * Decimal("0.05")), "2.4"),
    ):
        yield {
            "client_bid_id": f"{code}-ready",
            "resource": code,
            "mechanism": mechanism,
            "form": "CAPACITY",
            "product": cast.CAPACITY_PRODUCT,
            "offers": [
                {
                    "first_t": EVENING[0],
                    "last_t": EVENING[1],
                    "quantity_kw": quantity_kw,
                    "ask_jpy_per_kw": ask,
                }
            ],
            "v1_jpy_per_kwh": "28",
            "v2_jpy_per_kwh": "6",
        }


def compute_offer() -> Bid:
    """Return GPUs at Kamikita, beside the wind."""
    return {
        "client_bid_id": "kamikita-gpus",
        "resource": "kamikita-dc-load",
        "mechanism": "COMPUTE",
        "form": "COMPUTE_OFFER",
        "hardware": "GPU",
        "capacity_kw": "3000",
        "ask_jpy_per_kwh": "25",
        "pue_ratio": "1.2",
    }


def compute_request() -> Bid:
    """Inference asked for at Shiroi over midday; it must stay in the country."""
    return {
        "client_bid_id": "inference",
        "place": "shiroi-dc",
        "mechanism": "COMPUTE",
        "form": "COMPUTE_REQUEST",
        "first_t": MIDDAY[0],
        "last_t": MIDDAY[1],
        "quantity_kw": "2000",
        "value_jpy_per_kwh": "130",
        "labels_required": ["country:JP"],
        "hardware": "GPU",
        "latency_max_ms": "10",
        "gb_per_kwh": "0.02",
    }


def standing_bid(peak_kw: Decimal) -> Bid:
    """Return what Osaka gives every evening, bid once."""
    return {
        "resource": "osaka-dc-load",
        "mechanism": "POWER_CAP",
        "workload_class": "FINE_TUNING",
        "form": "STEPS",
        "direction": "UP",
        "curves": [
            {
                "first_t": EVENING[0],
                "last_t": EVENING[1],
                "steps": [{"quantity_kw": _kw(peak_kw * Decimal("0.02")), "ask_jpy_per_kwh": "45"}],
            }
        ],
    }


def bids_of_all_forms(
    peak_kw_of: Mapping[str, Decimal], available_ratio: Mapping[str, npt.NDArray[np.float64]]
) -> Iterator[tuple[str, Bid]]:
    """Yield the bids with the organisation that makes each."""
    toshin_kw = peak_kw_of["toshin-dc"]
    for bid in block_bids(peak_kw_of["tama-dc"]):
        yield cast.OPERATORS["tama-dc"], bid
    yield cast.OPERATORS["toshin-dc"], deferral_bid(toshin_kw)
    yield cast.OPERATORS["kamikita-dc"], wind_bid(available_ratio["WIND"])
    yield cast.OPERATORS[cast.MICRO_SITE], portfolio_bid()
    tama, toshin = capacity_bids(toshin_kw)
    yield cast.OPERATORS["tama-dc"], tama
    yield cast.OPERATORS["toshin-dc"], toshin
    yield cast.OPERATORS["kamikita-dc"], compute_offer()
    yield cast.COMPUTE_CUSTOMER, compute_request()
