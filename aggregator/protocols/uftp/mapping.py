"""What messages mean here: pure rules of the standard, and powers in W between them and needs.

Nothing here knows rows or clocks. A rule that is broken raises :class:`Rejection`, whose text is
the standard's reason, followed by what was expected.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import ROUND_UP, Decimal
from typing import Final, Protocol, TypeVar

from aggregator.protocols.uftp.messages import (
    AVAILABLE,
    Flex,
    FlexOrder,
    FlexRequest,
    Isp,
    OrderSettlement,
    RequestIsp,
)

ISP_COUNT: Final = 48
ISP_DURATION: Final = "PT30M"
ISP_S: Final = 1_800
TIME_ZONE: Final = "Asia/Tokyo"
CURRENCY: Final = "JPY"
W_PER_KW: Final = 1_000
KW_QUANTUM: Final = Decimal("0.1")
HOURS_PER_ISP: Final = Decimal("0.5")
REASON_LENGTH_MAX: Final = 300
_DURATION: Final = re.compile(
    r"P(?:0+D)?T(?:(?P<h>[0-9]{1,4})H)?(?:(?P<m>[0-9]{1,6})M)?(?:(?P<s>[0-9]{1,8})(?:\.0+)?S)?",
    re.ASCII,
)
UP, DOWN = "UP", "DOWN"
S = TypeVar("S", bound="Spanned")
ZERO = Decimal(0)


class Rejection(ValueError):
    """A message is understood and not accepted; the text goes back to its sender."""

    def __init__(self, reason: str, expected: str = "") -> None:
        text = f"{reason} ({expected})" if expected else reason
        super().__init__(text[:REASON_LENGTH_MAX])


class Spanned(Protocol):
    """Something that stands for some ISPs of a day."""

    @property
    def start(self) -> int:
        """Return the first ISP, from 1."""

    @property
    def duration(self) -> int:
        """Return how many ISPs."""


def flex_check(message: Flex) -> None:
    """Refuse another length of ISPs or another time zone than this market's.

    Raises
    ------
    Rejection
    """
    isp_duration_check(message.isp_duration)
    if message.time_zone != TIME_ZONE:
        raise Rejection("TimeZone rejected", f"{TIME_ZONE} is expected, not {message.time_zone}")


def isp_duration_check(text: str) -> None:
    """Refuse a duration that is not half an hour, however it is spelled."""
    match = _DURATION.fullmatch(text)
    seconds = (
        sum(int(match[part] or 0) * size for part, size in (("h", 3600), ("m", 60), ("s", 1)))
        if match
        else 0
    )
    if seconds != ISP_S:
        raise Rejection("ISP duration rejected", f"{ISP_DURATION} is expected, not {text[:40]}")


def slots_of(isps: Iterable[S]) -> dict[int, S]:
    """Spread what is said of ISPs over t = 0…47.

    Raises
    ------
    Rejection
        If an ISP is not of the day, or spoken of twice.
    """
    found: dict[int, S] = {}
    for isp in isps:
        first, last = isp.start, isp.start + isp.duration - 1
        if not 1 <= first <= last <= ISP_COUNT:
            raise Rejection("ISPs out of bounds", f"1 to {ISP_COUNT}, not {first} to {last}")
        for t in range(first - 1, last):
            if t in found:
                raise Rejection("ISP conflict", f"ISP {t + 1} more than once")
            found[t] = isp
    return found


@dataclass(frozen=True, kw_only=True)
class Relief:
    """What a request asks for in one direction: kW per t, never negative."""

    direction: str
    quantity_kw: tuple[Decimal, ...]


def reliefs_of(request: FlexRequest) -> tuple[Relief, ...]:
    """Return what is requested, by direction: UP (less consumption) and DOWN (more).

    ISPs that are only `Available` ask for nothing.

    Raises
    ------
    Rejection
        If nothing is requested, or a requested ISP has no direction.
    """
    kw: dict[str, list[Decimal]] = {side: [ZERO] * ISP_COUNT for side in (UP, DOWN)}
    for t, isp in sorted(slots_of(request.isps).items()):
        if isp.min_power > isp.max_power:
            raise Rejection("Power discrepancy", f"ISP {t + 1}: MinPower above MaxPower")
        if isp.disposition == AVAILABLE:
            continue
        side, watts = _requested(isp, t)
        kw[side][t] = kw_of(watts)
    found = tuple(
        Relief(direction=side, quantity_kw=tuple(values))
        for side, values in kw.items()
        if any(values)
    )
    if not found:
        raise Rejection("Lacking Requested Disposition", "at least one requested ISP")
    return found


def _requested(isp: RequestIsp, t: int) -> tuple[str, int]:
    if isp.max_power <= 0 and isp.min_power < 0:
        return UP, -isp.min_power
    if isp.min_power >= 0 and isp.max_power > 0:
        return DOWN, isp.max_power
    raise Rejection(
        "Requested Power discrepancy",
        f"ISP {t + 1}: a direction, MinPower >= 0 or MaxPower <= 0, and some power",
    )


def kw_of(watts: int) -> Decimal:
    """Return kW on the market's tick, rounded up: who asks for relief needs all of it."""
    return (Decimal(watts) / W_PER_KW).quantize(KW_QUANTUM, ROUND_UP)


def flow_sign_of(direction: str, consumption_sign: int) -> int:
    """Return the sign of the flow to be reduced: that of consumption, or of feeding in."""
    return consumption_sign if direction == UP else -consumption_sign


@dataclass(frozen=True, kw_only=True)
class Found:
    """What the auction found for one need in one half hour."""

    direction: str
    t: int
    served_kw: Decimal
    price_jpy_per_kwh: Decimal


def offer_of(found: Sequence[Found]) -> tuple[list[int], Decimal]:
    """Return powers in W (+ is consumption) per t, and the price of it all to 1/100 of a sen."""
    power_w = [0] * ISP_COUNT
    price_jpy = ZERO
    for one in found:
        watts = int(one.served_kw * W_PER_KW)
        power_w[one.t] += -watts if one.direction == UP else watts
        price_jpy += one.served_kw * HOURS_PER_ISP * one.price_jpy_per_kwh
    return power_w, price_jpy.quantize(Decimal("0.0001"))


def isps_of(power_w: Sequence[int], *, with_zeros: bool = False) -> tuple[Isp, ...]:
    """Return runs of equal power as ISPs; without those of no power unless asked for."""
    runs: list[Isp] = []
    first = 0
    for t in range(1, len(power_w) + 1):
        if t == len(power_w) or power_w[t] != power_w[first]:
            if power_w[first] or with_zeros:
                runs.append(Isp(power=power_w[first], start=first + 1, duration=t - first))
            first = t
    return tuple(runs)


@dataclass(frozen=True, kw_only=True)
class Offered:
    """What an order is held against."""

    option_reference: str
    power_w: Sequence[int]
    price_jpy: Decimal
    min_activation_ratio: Decimal
    expires_at: datetime


def order_check(order: FlexOrder, offered: Offered, *, received_at: datetime) -> None:
    """Refuse an order that is not of what was offered, or comes too late.

    Raises
    ------
    Rejection
    """
    if received_at >= offered.expires_at:
        raise Rejection(
            "Reference message expired", f"the offer held until {offered.expires_at.isoformat()}"
        )
    if order.option_reference not in (None, "", offered.option_reference):
        raise Rejection("Unknown OptionReference", offered.option_reference)
    slots = slots_of(order.isps)
    wanted = {t: watts for t, watts in enumerate(offered.power_w) if watts}
    ordered = {t: isp.power for t, isp in slots.items() if isp.power or t in wanted}
    if ordered.keys() != wanted.keys():
        raise Rejection("ISP mismatch", "the ISPs of the offer")
    for t in sorted(wanted):
        if ordered[t] != wanted[t]:
            raise Rejection("Power mismatch", f"ISP {t + 1}: {wanted[t]}, not {ordered[t]}")
    if order.currency != CURRENCY or order.price != offered.price_jpy:
        raise Rejection("Price mismatch", f"{offered.price_jpy} {CURRENCY}")
    if order.activation_factor < offered.min_activation_ratio:
        raise Rejection(
            "ActivationFactor rejected",
            f"at least {offered.min_activation_ratio}, not {order.activation_factor}",
        )


def settlement_difference(
    said: OrderSettlement,
    *,
    power_w: Sequence[int],
    price_jpy: Decimal,
    activation_ratio: Decimal,
    ours_exact_jpy: Decimal,
) -> str:
    """Return in words what differs between an order's settlement and ours; empty if nothing does.

    Amounts agree when they are less than a yen apart: what is paid is whole yen.
    """
    try:
        slots = slots_of(said.isps)
    except Rejection as rejection:
        return str(rejection)
    ordered = {t: round(watts * activation_ratio) for t, watts in enumerate(power_w) if watts}
    told = {t: isp.ordered_flex_power for t, isp in slots.items() if isp.ordered_flex_power}
    if told != ordered:
        t = min(t for t in told.keys() | ordered.keys() if told.get(t) != ordered.get(t))
        return f"OrderedFlexPower of ISP {t + 1} is {ordered.get(t, 0)} W, not {told.get(t, 0)} W"
    agreed_jpy = price_jpy * activation_ratio
    if abs(said.price - agreed_jpy) >= 1:
        return f"Price is {amount(agreed_jpy)} {CURRENCY}, not {amount(said.price)}"
    if abs(said.price - said.penalty - said.net_settlement) >= 1:
        return "NetSettlement is Price less Penalty"
    if abs(said.net_settlement - ours_exact_jpy) >= 1:
        return (
            f"NetSettlement is {amount(ours_exact_jpy)} {CURRENCY} by our metering and "
            f"settlement, not {amount(said.net_settlement)}"
        )
    return ""


def amount(value: Decimal) -> str:
    """Return an amount without zeros that say nothing."""
    return f"{value.normalize():f}"


def powers_w(energy_kwh: Mapping[int, Decimal]) -> list[int]:
    """Return mean powers in W, rounded, of energies per t; nothing known is 0."""
    return [round(energy_kwh.get(t, ZERO) / HOURS_PER_ISP * W_PER_KW) for t in range(ISP_COUNT)]
