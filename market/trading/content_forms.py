"""The forms beyond curves, stores and shifts: blocks, deferral, sun, portfolios, ΔkW, computing."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from accounts.core.numbers import index_of, name_of
from accounts.fields import HALF_HOURS_COUNT
from market.trading.content_reading import (
    CODE_LENGTH_MAX,
    CURVES_MAX,
    GB_HIGH,
    JPY_HIGH,
    ONE,
    PRICE_HIGH,
    ZERO,
    Content,
    InvalidBid,
    code,
    curves,
    direction,
    eligibility,
    items,
    kw,
    kw_list,
    kw_series,
    number,
    only,
    price,
    window,
)

MEMBERS_MAX = 500
EXTRA_WORK_HIGH = ONE
PUE_HIGH = Decimal(3)
CLIENT_ID_LENGTH_MAX = 64


def block(content: Mapping[str, Any], field: str) -> Content:
    """Read a profile accepted as a whole, or from a share of it upwards.

    `exclusive_group` and `parent` name what the same bidder made: a group, and another of its
    bids by its client id. Whether the parent is there is checked with the whole basket.
    """
    optional = {
        "acceptance_min_ratio",
        "start_cost_jpy",
        "run_min_count",
        "exclusive_group",
        "parent",
    }
    row = only(content, field, {"direction", "first_t", "quantity_kw", "ask_jpy_per_kwh"}, optional)
    first_t = index_of(row["first_t"], field=f"{field}.first_t", count=HALF_HOURS_COUNT)
    profile = items(row["quantity_kw"], f"{field}.quantity_kw", HALF_HOURS_COUNT - first_t)
    read: Content = {
        "direction": direction(row["direction"], f"{field}.direction"),
        "first_t": first_t,
        "quantity_kw": kw_list(profile, f"{field}.quantity_kw", len(profile)),
        "ask_jpy_per_kwh": price(row["ask_jpy_per_kwh"], f"{field}.ask_jpy_per_kwh"),
        "acceptance_min_ratio": number(
            row.get("acceptance_min_ratio", 1), f"{field}.acceptance_min_ratio", high=ONE, places=4
        ),
        "start_cost_jpy": number(
            row.get("start_cost_jpy", 0), f"{field}.start_cost_jpy", high=JPY_HIGH, places=2
        ),
    }
    if all(quantity_kw == "0" for quantity_kw in read["quantity_kw"]):
        raise InvalidBid(field=f"{field}.quantity_kw", value="0", rule="above 0 at least once")
    if row.get("run_min_count") is not None:
        count = row["run_min_count"]
        if type(count) is not int or not 1 <= count <= len(profile):
            raise InvalidBid(
                field=f"{field}.run_min_count",
                value=count,
                rule=f"half hours, from 1 to the {len(profile)} of the profile",
            )
        read["run_min_count"] = count
    for name, length_max in (
        ("exclusive_group", CODE_LENGTH_MAX),
        ("parent", CLIENT_ID_LENGTH_MAX),
    ):
        if row.get(name) is not None:
            read[name] = name_of(row[name], field=f"{field}.{name}", length_max=length_max)
    return read


def deferral(content: Mapping[str, Any], field: str) -> Content:
    """Read work that arrives and may wait, up to `slack_count` half hours."""
    required = {
        "first_t",
        "last_t",
        "arriving_kw",
        "slack_count",
        "service_limit_kw",
        "rebound_limit_kw",
        "extra_work_ratio",
        "ask_jpy_per_kwh",
    }
    row = only(content, field, required)
    first_t, last_t = window(row, field)
    count = last_t - first_t + 1
    slack_count = row["slack_count"]
    if type(slack_count) is not int or not 1 <= slack_count <= HALF_HOURS_COUNT:
        raise InvalidBid(
            field=f"{field}.slack_count",
            value=slack_count,
            rule=f"half hours, from 1 to {HALF_HOURS_COUNT}",
        )
    read: Content = {
        "first_t": first_t,
        "last_t": last_t,
        "arriving_kw": kw_list(row["arriving_kw"], f"{field}.arriving_kw", count),
        "slack_count": slack_count,
        "service_limit_kw": kw_list(row["service_limit_kw"], f"{field}.service_limit_kw", count),
        "rebound_limit_kw": kw(row["rebound_limit_kw"], f"{field}.rebound_limit_kw"),
        "extra_work_ratio": number(
            row["extra_work_ratio"], f"{field}.extra_work_ratio", high=EXTRA_WORK_HIGH, places=4
        ),
        "ask_jpy_per_kwh": price(row["ask_jpy_per_kwh"], f"{field}.ask_jpy_per_kwh"),
    }
    pairs = zip(read["arriving_kw"], read["service_limit_kw"], strict=True)
    for i, (arriving_kw, limit_kw) in enumerate(pairs):
        if Decimal(limit_kw) < Decimal(arriving_kw):
            raise InvalidBid(
                field=f"{field}.service_limit_kw[{i}]",
                value=limit_kw,
                rule=f"room for the {arriving_kw} kW of work that arrives",
            )
    return read


def renewable(content: Mapping[str, Any], field: str) -> Content:
    """Read the output of sun or wind: what it can give, and what is scheduled of that."""
    row = only(
        content,
        field,
        {"first_t", "last_t", "available_kw", "scheduled_kw", "curtail_jpy_per_kwh"},
        {"release_jpy_per_kwh"},
    )
    first_t, last_t = window(row, field)
    count = last_t - first_t + 1
    read: Content = {
        "first_t": first_t,
        "last_t": last_t,
        "available_kw": kw_list(row["available_kw"], f"{field}.available_kw", count),
        "scheduled_kw": kw_list(row["scheduled_kw"], f"{field}.scheduled_kw", count),
        "curtail_jpy_per_kwh": price(row["curtail_jpy_per_kwh"], f"{field}.curtail_jpy_per_kwh"),
        "release_jpy_per_kwh": price(
            row.get("release_jpy_per_kwh", 0), f"{field}.release_jpy_per_kwh"
        ),
    }
    if Decimal(read["curtail_jpy_per_kwh"]) + Decimal(read["release_jpy_per_kwh"]) < 0:
        raise InvalidBid(
            field=f"{field}.curtail_jpy_per_kwh",
            value=read["curtail_jpy_per_kwh"],
            rule="at least 0 together with the price of release",
        )
    return read


def portfolio(content: Mapping[str, Any], field: str) -> Content:
    """Read one curve over several resources; the clearing places it among them."""
    row = only(content, field, {"direction", "members", "curves"})
    members = []
    for i, raw in enumerate(items(row["members"], f"{field}.members", MEMBERS_MAX)):
        at = f"{field}.members[{i}]"
        member = only(raw, at, {"resource", "limit_kw"})
        members.append(
            {
                "resource": code(member["resource"], f"{at}.resource"),
                "limit_kw": kw_series(member["limit_kw"], f"{at}.limit_kw"),
            }
        )
    if len({member["resource"] for member in members}) != len(members):
        raise InvalidBid(field=f"{field}.members", value=len(members), rule="each resource once")
    return {
        "direction": direction(row["direction"], f"{field}.direction"),
        "members": sorted(members, key=lambda member: str(member["resource"])),
        "curves": curves(row["curves"], f"{field}.curves"),
    }


def capacity(content: Mapping[str, Any], field: str) -> Content:
    """Read ΔkW of one product: what is reserved, and what its activation costs.

    Offers may overlap in time: they add up to a curve.
    """
    row = only(content, field, {"product", "offers", "v1_jpy_per_kwh", "v2_jpy_per_kwh"})
    offers: list[Content] = []
    for i, raw in enumerate(items(row["offers"], f"{field}.offers", CURVES_MAX)):
        at = f"{field}.offers[{i}]"
        offer = only(raw, at, {"first_t", "last_t", "quantity_kw", "ask_jpy_per_kw"})
        first_t, last_t = window(offer, at)
        offers.append(
            {
                "first_t": first_t,
                "last_t": last_t,
                "quantity_kw": kw(offer["quantity_kw"], f"{at}.quantity_kw"),
                "ask_jpy_per_kw": price(offer["ask_jpy_per_kw"], f"{at}.ask_jpy_per_kw", low=ZERO),
            }
        )
    read: Content = {
        "product": code(row["product"], f"{field}.product"),
        "offers": sorted(
            offers, key=lambda offer: (offer["first_t"], Decimal(offer["ask_jpy_per_kw"]))
        ),
        "v1_jpy_per_kwh": price(row["v1_jpy_per_kwh"], f"{field}.v1_jpy_per_kwh"),
        "v2_jpy_per_kwh": price(row["v2_jpy_per_kwh"], f"{field}.v2_jpy_per_kwh"),
    }
    if Decimal(read["v2_jpy_per_kwh"]) > Decimal(read["v1_jpy_per_kwh"]):
        raise InvalidBid(
            field=f"{field}.v2_jpy_per_kwh",
            value=read["v2_jpy_per_kwh"],
            rule=f"at most V1, {read['v1_jpy_per_kwh']}",
        )
    return read


def compute_offer(content: Mapping[str, Any], field: str) -> Content:
    """Read computing for sale: IT power of one kind of hardware, over the whole day."""
    row = only(content, field, {"hardware", "capacity_kw", "ask_jpy_per_kwh", "pue_ratio"})
    return {
        "hardware": code(row["hardware"], f"{field}.hardware"),
        "capacity_kw": kw_series(row["capacity_kw"], f"{field}.capacity_kw"),
        "ask_jpy_per_kwh": price(row["ask_jpy_per_kwh"], f"{field}.ask_jpy_per_kwh"),
        "pue_ratio": number(
            row["pue_ratio"], f"{field}.pue_ratio", low=ONE, high=PUE_HIGH, places=4
        ),
    }


def compute_request(content: Mapping[str, Any], field: str) -> Content:
    """Read computing asked for: IT power in a window, what it is worth, where it may run."""
    row = only(
        content,
        field,
        {"first_t", "last_t", "quantity_kw", "value_jpy_per_kwh"},
        {"labels_required", "hardware", "latency_max_ms", "gb_per_kwh"},
    )
    first_t, last_t = window(row, field)
    wanted = kw_series(row["quantity_kw"], f"{field}.quantity_kw")
    is_series = isinstance(row["quantity_kw"], list | tuple)
    for t, quantity_kw in enumerate(wanted):
        if first_t <= t <= last_t or quantity_kw == "0":
            continue
        if is_series:
            raise InvalidBid(
                field=f"{field}.quantity_kw[{t}]",
                value=quantity_kw,
                rule=f"0 outside the window from {first_t} to {last_t}",
            )
        wanted[t] = "0"
    return {
        "first_t": first_t,
        "last_t": last_t,
        "quantity_kw": wanted,
        "value_jpy_per_kwh": number(
            row["value_jpy_per_kwh"], f"{field}.value_jpy_per_kwh", high=PRICE_HIGH, places=2
        ),
        "gb_per_kwh": number(
            row.get("gb_per_kwh", 0), f"{field}.gb_per_kwh", high=GB_HIGH, places=6
        ),
        **eligibility(row, field),
    }
