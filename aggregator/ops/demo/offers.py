"""What each operator of the demo offers: storage first, then moved, then deferred work.

Prices follow the order of `domain` costs: wear of storage, a move in space, a move in time,
a power cap, a stop. All of it is data for the bidding service; nothing here is a rule.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any

import numpy as np
import numpy.typing as npt

from aggregator.ops.demo import cast
from aggregator.ops.demo.forms import bids_of_all_forms

Bid = dict[str, Any]
EVENING = (32, 43)  # 16:00 to 22:00
NOON = (18, 29)  # 09:00 to 15:00
NIGHT = (0, 9)
POCKET = ("inzai-dc", "shiroi-dc", "newtown-dc", "makinohara-dc", "imba-cloud", "shiroi-edge")

# mechanism, workload kind, share of the evening's load, ask JPY/kWh
EVENING_STEPS = (
    (
        "DEFERRAL",
        "BATCH",
        ((Decimal("0.03"), "14"), (Decimal("0.03"), "19"), (Decimal("0.02"), "28")),
    ),
    ("POWER_CAP", "FINE_TUNING", ((Decimal("0.03"), "118"), (Decimal("0.03"), "151"))),
    ("STOP", "TRAINING", ((Decimal("0.05"), "352"),)),
)


def _steps(
    direction: str, spans: Sequence[tuple[int, int]], steps: Sequence[tuple[str, str]]
) -> Bid:
    return {
        "form": "STEPS",
        "direction": direction,
        "curves": [
            {
                "first_t": first_t,
                "last_t": last_t,
                "steps": [
                    {"quantity_kw": quantity_kw, "ask_jpy_per_kwh": ask}
                    for quantity_kw, ask in steps
                ],
            }
            for first_t, last_t in spans
        ],
    }


def _kw(value: Decimal | float) -> str:
    """Whole kilowatts, at least one: the smallest quantity of the products."""
    return str(max(1, int(value)))


def load_bids(code: str, peak_kw: Decimal) -> Iterator[Bid]:
    """Yield steps of a computing load: less in the evening, more at noon and at night."""
    for mechanism, workload, shares in EVENING_STEPS:
        yield {
            "client_bid_id": f"{code}-{mechanism.lower()}",
            "resource": f"{code}-load",
            "mechanism": mechanism,
            "workload_class": workload,
            **_steps("UP", [EVENING], [(_kw(peak_kw * share), ask) for share, ask in shares]),
        }
    if code not in POCKET:
        yield {
            "client_bid_id": f"{code}-earlier",
            "resource": f"{code}-load",
            "mechanism": "DEFERRAL",
            "workload_class": "BATCH",
            **_steps(
                "DOWN",
                [NIGHT, NOON, EVENING],
                [(_kw(peak_kw * Decimal("0.04")), "1.5"), (_kw(peak_kw * Decimal("0.04")), "4")],
            ),
        }


def storage_bids() -> Iterator[Bid]:
    """Each store over the whole day, left half full, its reserve never sold."""
    for code, _, kind, _, _, power_kw, energy_kwh, reserve_kwh, way, loss in cast.STORAGE:
        start_kwh = (energy_kwh + reserve_kwh) // 2
        # what standing losses leave of it over the day, should nobody use the store
        end_kwh = int(start_kwh * (1 - float(loss)) ** 24)
        yield {
            "client_bid_id": f"{code}-day",
            "resource": code,
            "mechanism": "BATTERY",
            "form": "STORAGE",
            "first_t": 0,
            "last_t": 47,
            "charge_limit_kw": str(power_kw),
            "discharge_limit_kw": str(power_kw),
            "energy_limit_kwh": str(energy_kwh),
            "reserve_kwh": str(reserve_kwh),
            "start_kwh": str(start_kwh),
            "end_min_kwh": str(end_kwh),
            "charge_efficiency_ratio": way,
            "discharge_efficiency_ratio": way,
            "standing_loss_ratio": loss,
            "wear_jpy_per_kwh": cast.WEAR_JPY_PER_KWH[kind],
            "cycles_max": "1.5",
        }


def shift_bids(peak_kw_of: Mapping[str, Decimal]) -> Iterator[Bid]:
    """From each pocket site to its operator's sites that a path reaches."""
    starts = sorted({start for start, _, _, _ in cast.PATHS})
    for start in starts:
        ends = [end for here, end, _, _ in cast.PATHS if here == start]
        yield {
            "client_bid_id": f"{start}-move",
            "resource": f"{start}-load",
            "mechanism": "SPATIAL",
            "workload_class": "INFERENCE",
            "form": "SHIFT",
            "destinations": [
                {
                    "resource": f"{end}-load",
                    "path": f"apn-{start}-{end}",
                    # cooler or newer halls need a little less power for the same work
                    "ratio": "0.97" if end.startswith(("kamikita", "akita", "sendai")) else "1.02",
                }
                for end in ends
            ],
            "offers": [
                {
                    "first_t": first_t,
                    "last_t": last_t,
                    "quantity_kw": _kw(peak_kw_of[start] * Decimal("0.10")),
                    "ask_jpy_per_kwh": ask,
                }
                for (first_t, last_t), ask in ((NOON, "2.4"), (EVENING, "3.1"))
            ],
            "change_cost_jpy_per_kw": "1.2",
            "gb_per_kw": "0.4",
            "gb_per_kwh": "0.01",
            "labels_required": ["country:JP"],
            "hardware": "GPU" if start != "shiroi-edge" else "CPU",
            "latency_max_ms": "40",
        }


def renewable_bids(available_ratio: Mapping[str, npt.NDArray[np.float64]]) -> Iterator[Bid]:
    """Curtailment of what sun and wind give, at next to nothing.

    Parameters
    ----------
    available_ratio
        48 values per kind (``PV``, ``WIND``), share of the peak.
    """
    for code, _, kind, _, _, peak_kw in cast.RENEWABLES:
        if code in cast.SCHEDULED_RATIO:
            continue  # bids as what it is: see `forms.wind_bid`
        output_kw = np.floor(available_ratio[kind] * peak_kw)
        yield {
            "client_bid_id": f"{code}-curtail",
            "resource": code,
            "mechanism": "RENEWABLE",
            "form": "STEPS",
            "direction": "DOWN",
            "curves": [
                {
                    "first_t": t,
                    "last_t": t,
                    "steps": [{"quantity_kw": str(int(kw)), "ask_jpy_per_kwh": "0.5"}],
                }
                for t, kw in enumerate(output_kw)
                if kw >= 1
            ],
        }


def bids_by_operator(
    *,
    peak_kw_of: Mapping[str, Decimal],
    available_ratio: Mapping[str, npt.NDArray[np.float64]],
) -> dict[str, list[Bid]]:
    """All bids of the day, by the organisation that submits them."""
    site_of = {f"{site}-load": site for site in cast.OPERATORS}
    site_of |= {row[0]: row[1] for row in cast.STORAGE}
    site_of |= {row[0]: row[1] for row in cast.RENEWABLES}
    bids: dict[str, list[Bid]] = {}
    every = [bid for code in cast.OPERATORS for bid in load_bids(code, peak_kw_of[code])]
    every += [
        *storage_bids(),
        *shift_bids(peak_kw_of),
        *renewable_bids(available_ratio),
    ]
    for bid in every:
        if bid.get("curves") == []:
            continue
        bids.setdefault(cast.OPERATORS[site_of[bid["resource"]]], []).append(bid)
    for code, bid in bids_of_all_forms(peak_kw_of, available_ratio):
        bids.setdefault(code, []).append(bid)
    return bids
