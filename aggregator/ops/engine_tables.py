"""What the engine's commands print: short tables, each line with its unit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from market.core.matpower import Case
from market.core.opf import Dispatch

UNREADABLE, UNSOLVED = 2, 3
"""Exit codes: the input is refused; a solver failed, by its name."""
SHOWN_ROWS_MAX = 40
BINDING_RATIO = 1e-6


def certificate_line(certificate: Mapping[str, Any]) -> str:
    """Return the verdict and the worst figure, as a share of its limit, on one line."""
    checks = [check for check in certificate["checks"] if check["limit"] > 0]
    worst = max(checks, key=lambda check: check["value"] / check["limit"], default=None)
    verdict = "passed" if certificate["passed"] else "FAILED"
    text = f"certificate {verdict}: {len(certificate['checks'])} figures"
    if worst is None:
        return text
    return f"{text}, closest {worst['name']} {worst['value']:.2g} of {worst['limit']:.2g}"


def result_lines(result: Mapping[str, Any], interval_h: float) -> list[str]:
    """Return areas, needs, requests and totals of a result with half hours of `interval_h`."""
    awards = result["awards"]
    bids = {award["bid"] for award in awards}
    lines = [
        f"auction {result['auction']}  snapshot sha256 {result['snapshot_sha256'][:16]}…",
        f"value   {_jpy(result['objective_jpy'])} JPY, at most {_jpy(result['bound_jpy'])}",
        f"awards  {len(awards)} to {len(bids)} bids",
    ]
    lines += _table(
        ("area", "price JPY/kWh: low", "mean", "high"),
        [(entry["id"], *_range(entry["price_jpy_per_kwh"])) for entry in result["areas"]],
    )
    lines += _table(
        ("need", "asked kWh", "served %", "unit price: low", "mean", "high"),
        [_need(entry, interval_h) for entry in result["needs"]],
    )
    lines += _table(
        ("request", "served kWh", "paid JPY"),
        [
            (
                entry["id"],
                f"{interval_h * sum(entry['served_kw']):,.1f}",
                f"{entry['paid_jpy']:,.2f}",
            )
            for entry in result.get("requests", ())
        ],
    )
    money = result["money"]
    lines.append("money   " + "  ".join(f"{name} {_jpy(value)}" for name, value in money.items()))
    return lines


def _jpy(amount: float) -> str:
    return f"{round(amount, 2) + 0.0:,.2f}"


def _need(entry: Mapping[str, Any], interval_h: float) -> tuple[str, ...]:
    served, unserved = sum(entry["served_kw"]), sum(entry["unserved_kw"])
    share = 100.0 * served / (served + unserved) if served + unserved else 100.0
    price = entry.get("price_jpy_per_kwh", entry.get("price_jpy_per_kw"))
    return (
        f"{entry['kind']} {entry['id']}",
        f"{interval_h * (served + unserved):,.1f}",
        f"{share:.2f}",
        *_range(price),
    )


def _range(series: Sequence[float]) -> tuple[str, ...]:
    return tuple(f"{value:.2f}" for value in (min(series), sum(series) / len(series), max(series)))


def drill_lines(found: Mapping[str, Any], area: str) -> list[str]:
    """Return what losing an area costs."""
    lines = [
        f"without area {area}: {found['value_lost_jpy']:,.2f} JPY of value lost",
        f"awards  {found['gone_kwh']:,.1f} kWh gone, {found['replaced_kwh']:,.1f} more elsewhere",
    ]
    lines += _table(
        ("need", "served kWh before", "after"),
        [
            (
                f"{need['kind']} {need['id']}",
                f"{need['before_kwh']:,.1f}",
                f"{need['after_kwh']:,.1f}",
            )
            for need in found["needs"]
        ],
    )
    lines += _table(
        ("request", "served kWh before", "after", "now at"),
        [
            (
                request["id"],
                f"{request['before_kwh']:,.1f}",
                f"{request['after_kwh']:,.1f}",
                ", ".join(f"{name} {kwh:,.1f}" for name, kwh in request["placed_kwh"].items()),
            )
            for request in found["requests"]
        ],
    )
    return lines


def _table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> list[str]:
    """Return aligned columns; beyond a screenful only how many more there are."""
    if not rows:
        return []
    shown = [head, *rows[:SHOWN_ROWS_MAX]]
    widths = [max(len(row[column]) for row in shown) for column in range(len(head))]
    lines = [
        "  ".join(
            cell.ljust(width) if column == 0 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in shown
    ]
    if len(rows) > SHOWN_ROWS_MAX:
        lines.append(f"… and {len(rows) - SHOWN_ROWS_MAX} more")
    return lines


def dispatch_lines(case: Case, found: Dispatch) -> list[str]:
    """Return the size of a case, its dispatch in a few figures, and its objective."""
    numbers = {
        "buses": len(case.bus_ids),
        "branches": len(case.susceptance_pu),
        "generators": case.generator_count,
        "DC lines": len(case.low_mw) - case.generator_count,
    }
    full = np.isfinite(case.rating_mw) & (
        np.abs(found.flow_mw) >= case.rating_mw * (1.0 - BINDING_RATIO)
    )
    return [
        "case    " + ", ".join(f"{number} {name}" for name, number in numbers.items()),
        f"load    {case.load_mw.sum():.3f} MW, shunts and fixed losses included",
        f"lines   {int(full.sum())} at their rating",
        f"price   {found.price_per_mwh.min():.6f} to {found.price_per_mwh.max():.6f} per MWh",
        f"proof   at least {found.bound_per_h:.12g}; limits kept within {found.excess_mw:.1g} MW",
        f"objective {found.objective_per_h:.9f}",
    ]


def dispatch_document(case: Case, found: Dispatch) -> dict[str, Any]:
    """Return a dispatch as JSON values."""
    supplies = [
        {"row": int(row), "mw": float(mw)}
        for row, mw in zip(case.supply_rows, found.supply_mw, strict=True)
    ]
    return {
        "schema": "wattbit-dispatch/1",
        "objective_per_h": found.objective_per_h,
        "bound_per_h": found.bound_per_h,
        "generators": supplies[: case.generator_count],
        "dc_lines": supplies[case.generator_count :],
        "buses": [
            {"bus": int(bus), "price_per_mwh": float(price)}
            for bus, price in zip(case.bus_ids, found.price_per_mwh, strict=True)
        ],
        "branches": [
            {"row": int(row), "mw": float(mw)}
            for row, mw in zip(case.branch_rows, found.flow_mw, strict=True)
        ],
    }
