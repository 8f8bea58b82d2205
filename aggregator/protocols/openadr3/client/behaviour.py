"""How a simulated site behaves: pure, and the same for the same seed."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import ROUND_FLOOR, ROUND_HALF_EVEN, Decimal
from typing import Any, Final

HALF_HOUR: Final = timedelta(minutes=30)
HALF_HOURS: Final = 48
HALF_HOUR_S: Final = 1800.0
HALF_HOUR_MIN: Final = 30
METER_MINUTES: Final = (5, 30)
JST: Final = timezone(timedelta(hours=9), "JST")
NOISE_MAX: Final = 3.0
TICK_KWH: Final = Decimal("0.001")
NOISE_RATIO: Final = 0.005
RAMP_S: Final = 180.0
POLL_S: Final = 1.0


class WrongConfig(Exception):
    """The configuration cannot be meant; the message names the entry."""


@dataclass(frozen=True, kw_only=True)
class Faults:
    """How often something goes wrong: shares of orders, or of metered intervals.

    Parameters
    ----------
    silent_ratio, late_ratio, decline_ratio
        Of orders: not answered at all; answered too late; declined.
    late_s
        How long a late answer takes. [s]
    partial_ratio, wrong_sign_ratio
        Of accepted orders: carried out by a random part between 0.3 and 0.9; the wrong way round.
    gap_ratio, estimated_ratio
        Of metered intervals: without a value; with one the meter has estimated.
    """

    silent_ratio: float = 0.0
    late_ratio: float = 0.0
    decline_ratio: float = 0.0
    late_s: float = 3_600.0
    partial_ratio: float = 0.0
    wrong_sign_ratio: float = 0.0
    gap_ratio: float = 0.0
    estimated_ratio: float = 0.0


NO_FAULTS: Final = Faults()


@dataclass(frozen=True, kw_only=True)
class Decision:
    """What a unit makes of one order.

    Parameters
    ----------
    answer
        ``ACCEPT``, ``DECLINE`` or ``SILENT``.
    delay_s
        How long it takes to answer. [s]
    factor
        By which it multiplies what was ordered; below zero the wrong way round.
    """

    answer: str = "ACCEPT"
    delay_s: float = 0.0
    factor: float = 1.0


@dataclass(frozen=True, kw_only=True)
class Outage:
    """A time of the day in which a site hears and says nothing, in hours after midnight."""

    from_h: float
    to_h: float


@dataclass(frozen=True, kw_only=True)
class ResourceConfig:
    """One controllable unit.

    Parameters
    ----------
    name
        Code of the resource in the market's registry.
    profile_kw
        Metered power without orders, 48 values, positive to the customer. [kW]
    delivery_ratio
        Share of an order that the unit really delivers.
    opt_out
        Whether it declines its orders.
    faults
        How often it fails, and in which way; the dice are seeded.
    flexible_ratio
        Share of its profile that it says it can do without.
    meter_min
        Length of the intervals it meters: 30, or 5 for what must be seen to respond fast.
    lag_s
        How long after a half hour begins it starts to move. [s]
    """

    name: str
    profile_kw: tuple[float, ...]
    delivery_ratio: float = 1.0
    opt_out: bool = False
    opt_out_reason: str = "equipment under repair"
    faults: Faults = NO_FAULTS
    flexible_ratio: float = 0.0
    meter_min: int = 30
    lag_s: float = 0.0


@dataclass(frozen=True, kw_only=True)
class VenConfig:
    """One operator's client and its units."""

    ven_name: str
    client_id: str
    client_secret: str
    resources: tuple[ResourceConfig, ...]
    outages: tuple[Outage, ...] = ()


@dataclass(frozen=True, kw_only=True)
class AgentsConfig:
    """The whole process.

    Parameters
    ----------
    base_url
        Of the server, e.g. ``https://market.example.jp/openadr3/3.1.0/``.
    poll_s
        Pause between two looks at the events, real time. [s]
    seed
        Decides all noise.
    noise_ratio
        Standard deviation of the metered power over its profile.
    ramp_s
        How long a unit takes to reach a new setpoint. [s]
    latency_s
        Bounds of the pause before each message, real time. [s]
    """

    base_url: str
    seed: int
    delivery_on: date
    vens: tuple[VenConfig, ...]
    poll_s: float = POLL_S
    noise_ratio: float = NOISE_RATIO
    ramp_s: float = RAMP_S
    latency_s: tuple[float, float] = (0.0, 0.0)

    @property
    def day_starts_at(self) -> datetime:
        """Start of the delivery day in Japan."""
        return datetime.combine(self.delivery_on, time.min, tzinfo=JST).astimezone(UTC)


def agents_config(document: Mapping[str, Any]) -> AgentsConfig:
    """Read the configuration file's content.

    Raises
    ------
    WrongConfig
        Naming the entry that is missing or wrong.
    """
    try:
        config = AgentsConfig(
            base_url=str(document["base_url"]).rstrip("/") + "/",
            seed=int(document["seed"]),
            delivery_on=date.fromisoformat(str(document["delivery_on"])),
            vens=tuple(_ven(ven) for ven in document["vens"]),
            poll_s=_number(document.get("poll_s", POLL_S), "poll_s", high=3600.0),
            noise_ratio=_number(document.get("noise_ratio", NOISE_RATIO), "noise_ratio", high=1.0),
            ramp_s=_number(document.get("ramp_s", RAMP_S), "ramp_s", high=HALF_HOUR_S),
            latency_s=_bounds(document.get("latency_s", (0.0, 0.0)), "latency_s"),
        )
    except KeyError as error:
        raise WrongConfig(f"{error.args[0]} is missing") from error
    except (TypeError, ValueError) as error:
        raise WrongConfig(str(error)) from error
    return config


def _ven(document: Mapping[str, Any]) -> VenConfig:
    return VenConfig(
        ven_name=str(document["ven_name"]),
        client_id=str(document["client_id"]),
        client_secret=str(document["client_secret"]),
        resources=tuple(_resource(resource) for resource in document["resources"]),
        outages=tuple(
            Outage(
                from_h=_number(each["from_h"], "outages.from_h", high=48.0),
                to_h=_number(each["to_h"], "outages.to_h", high=48.0),
            )
            for each in document.get("outages", ())
        ),
    )


def _resource(document: Mapping[str, Any]) -> ResourceConfig:
    name = str(document["name"])
    profile_kw = tuple(float(kw) for kw in document["profile_kw"])
    if len(profile_kw) != HALF_HOURS or not all(math.isfinite(kw) for kw in profile_kw):
        raise WrongConfig(f"{name}.profile_kw must be {HALF_HOURS} finite numbers")
    return ResourceConfig(
        name=name,
        profile_kw=profile_kw,
        delivery_ratio=_number(document.get("delivery_ratio", 1.0), f"{name}.delivery_ratio"),
        opt_out=document.get("opt_out", False) is True,
        opt_out_reason=str(document.get("opt_out_reason", ResourceConfig.opt_out_reason)),
        faults=_faults(document.get("faults", {}), name),
        flexible_ratio=_number(
            document.get("flexible_ratio", 0.0), f"{name}.flexible_ratio", high=1.0
        ),
        meter_min=_minutes(document.get("meter_min", 30), f"{name}.meter_min"),
        lag_s=_number(document.get("lag_s", 0.0), f"{name}.lag_s", high=HALF_HOUR_S),
    )


def _faults(document: Mapping[str, Any], name: str) -> Faults:
    known = {field.name for field in fields(Faults)}
    for key in document:
        if key not in known:
            raise WrongConfig(f"{name}.faults.{key} is not one of {', '.join(sorted(known))}")
    return Faults(
        **{
            key: _number(
                value, f"{name}.faults.{key}", high=86_400.0 if key.endswith("_s") else 1.0
            )
            for key, value in document.items()
        }
    )


def _minutes(value: object, name: str) -> int:
    if value not in METER_MINUTES:
        raise WrongConfig(f"{name} is {value!r}, but must be one of {METER_MINUTES}")
    return int(value)


def _bounds(value: Any, name: str) -> tuple[float, float]:
    low, high = (_number(each, name, high=60.0) for each in value)
    if low > high:
        raise WrongConfig(f"{name} is {value!r}, but the first must not be above the second")
    return low, high


def _number(value: object, name: str, *, high: float = 10.0) -> float:
    number = float(value)  # type: ignore[arg-type]
    if not 0.0 <= number <= high:
        raise WrongConfig(f"{name} is {value!r}, but must lie between 0 and {high}")
    return number


def decide(config: AgentsConfig, resource: ResourceConfig, order: str) -> Decision:
    """Return what a unit makes of an order; the same for the same seed, unit and order's name."""
    faults = resource.faults
    luck = _dice(config, resource, f"order:{order}").random()
    if resource.opt_out:
        return Decision(answer="DECLINE")
    if luck < faults.silent_ratio:
        return Decision(answer="SILENT")
    luck -= faults.silent_ratio
    if luck < faults.decline_ratio:
        return Decision(answer="DECLINE")
    luck -= faults.decline_ratio
    delay_s = faults.late_s if 0 <= luck < faults.late_ratio else 0.0
    dice = _dice(config, resource, f"act:{order}")
    luck = dice.random()
    if luck < faults.wrong_sign_ratio:
        return Decision(delay_s=delay_s, factor=-1.0)
    if luck < faults.wrong_sign_ratio + faults.partial_ratio:
        return Decision(delay_s=delay_s, factor=round(dice.uniform(0.3, 0.9), 2))
    return Decision(delay_s=delay_s)


def quality_of(config: AgentsConfig, resource: ResourceConfig, at: str) -> str:
    """Return the quality of a metered interval: OK, ESTIMATED or MISSING."""
    luck = _dice(config, resource, f"meter:{at}").random()
    if luck < resource.faults.gap_ratio:
        return "MISSING"
    return (
        "ESTIMATED" if luck < resource.faults.gap_ratio + resource.faults.estimated_ratio else "OK"
    )


def is_out(config: AgentsConfig, ven: VenConfig, market_at: datetime) -> bool:
    """Whether a site hears and says nothing now."""
    hour = (market_at - config.day_starts_at).total_seconds() / 3_600.0
    return any(outage.from_h <= hour < outage.to_h for outage in ven.outages)


def _dice(config: AgentsConfig, resource: ResourceConfig, what: str) -> random.Random:
    # a simulation's dice, not a secret's; the seed makes the day repeatable
    return random.Random(f"{config.seed}:{resource.name}:{what}")  # noqa: S311


def reached_kw(
    before_kw: float, ordered_kw: float, *, from_s: float, to_s: float, lag_s: float, ramp_s: float
) -> float:
    """Return the mean change a unit has reached in a part of a half hour [kW].

    It stays where it was for `lag_s`, then moves linearly for `ramp_s`.

    Parameters
    ----------
    from_s, to_s
        The part, counted from the half hour's start. [s]
    """

    def done(at_s: float) -> float:
        """Integrate the share of the change that is done, from the start to `at_s`."""
        moving = max(0.0, min(at_s - lag_s, ramp_s))
        steady = max(0.0, at_s - lag_s - ramp_s)
        return steady + (moving * moving / (2.0 * ramp_s) if ramp_s > 0.0 else 0.0)

    share = (done(to_s) - done(from_s)) / (to_s - from_s)
    return before_kw + (ordered_kw - before_kw) * share


def power_kw(
    config: AgentsConfig,
    resource: ResourceConfig,
    t: int,
    ordered_kw: Sequence[float],
    *,
    part: int = 0,
) -> float:
    r"""Return the mean power a unit would draw in half hour `t`, or in one part of it [kW].

    The unit moves linearly from the setpoint of the half hour before to that of this one
    within ``ramp_s``, so the mean of the ordered change :math:`q` over the half hour is

    .. math:: \bar q_t = q_t - (q_t - q_{t-1}) \frac{ramp}{2 \cdot 1800\,\mathrm{s}} .

    Parameters
    ----------
    ordered_kw
        Ordered change of consumption, shape (48,), negative for UP. [kW]
    part
        Which part of the half hour, where the unit meters shorter intervals; counts from 0.
    """
    before_kw = ordered_kw[t - 1] if t else 0.0
    length_s = resource.meter_min * 60.0
    change_kw = reached_kw(
        before_kw,
        ordered_kw[t],
        from_s=part * length_s,
        to_s=(part + 1) * length_s,
        lag_s=resource.lag_s,
        ramp_s=config.ramp_s,
    )
    at = f"{t}" if resource.meter_min == HALF_HOUR_MIN else f"{t}.{part}"
    dice = _dice(config, resource, at)
    noise = max(-NOISE_MAX, min(NOISE_MAX, dice.gauss(0.0, 1.0))) * config.noise_ratio
    return resource.profile_kw[t] * (1.0 + noise) + resource.delivery_ratio * change_kw


@dataclass(frozen=True, kw_only=True)
class SiteLimit:
    """The most that the units of one site may draw together [kW]."""

    names: tuple[str, ...]
    limit_kw: float


def kept_kw(wanted_kw: Mapping[str, float], limits: Sequence[SiteLimit]) -> dict[str, float]:
    """Return what units draw so that each site keeps to its limit [kW].

    Those that draw give way in proportion; what a unit feeds in makes room for the others, and is
    never changed. A site that draws nothing can give way no further.
    """
    kept = dict(wanted_kw)
    for limit in limits:
        of_site = [name for name in limit.names if name in kept]
        drawn_kw = sum(kept[name] for name in of_site if kept[name] > 0.0)
        excess_kw = min(sum(kept[name] for name in of_site) - limit.limit_kw, drawn_kw)
        if excess_kw > 0.0:
            for name in of_site:
                kept[name] -= excess_kw * max(0.0, kept[name]) / drawn_kw
    return kept


def energies_kwh(
    config: AgentsConfig,
    resources: Sequence[ResourceConfig],
    t: int,
    ordered_kw: Mapping[str, Sequence[float]],
    *,
    limits: Sequence[SiteLimit] = (),
) -> dict[str, list[Decimal]]:
    """Return what the meters of units show for half hour `t`, interval by interval.

    Limits are kept at every moment that the shortest meter tells apart; a unit that meters longer
    ones counts with its mean.

    Parameters
    ----------
    ordered_kw
        Ordered change of consumption by unit, each of shape (48,), negative for UP. [kW]

    Returns
    -------
    dict
        Energies to the customer by unit, to the nearest Wh; cut ones rounded down. [kWh]
    """
    shortest_min = min(resource.meter_min for resource in resources)
    found: dict[str, list[list[tuple[float, float]]]] = {
        resource.name: [[] for _ in range(HALF_HOUR_MIN // resource.meter_min)]
        for resource in resources
    }
    for moment in range(HALF_HOUR_MIN // shortest_min):
        part_of = {r.name: moment * shortest_min // r.meter_min for r in resources}
        wanted = {
            r.name: power_kw(config, r, t, ordered_kw[r.name], part=part_of[r.name])
            for r in resources
        }
        kept = kept_kw(wanted, limits)
        for name, part in part_of.items():
            found[name][part].append((wanted[name], kept[name]))
    return {
        resource.name: [_metered_kwh(resource, moments) for moments in found[resource.name]]
        for resource in resources
    }


def energy_kwh(
    config: AgentsConfig,
    resource: ResourceConfig,
    t: int,
    ordered_kw: Sequence[float],
    *,
    part: int = 0,
) -> Decimal:
    """Return what a unit's meter shows for half hour `t`, or for one part of it, without limits.

    Arguments are those of :func:`power_kw`.

    Returns
    -------
    Decimal
        Energy to the customer, to the nearest Wh. [kWh]
    """
    return _kwh(resource, power_kw(config, resource, t, ordered_kw, part=part))


def _kwh(resource: ResourceConfig, kw: float, rounding: str = ROUND_HALF_EVEN) -> Decimal:
    hours = Decimal(resource.meter_min) / 60
    return (Decimal(repr(kw)) * hours).quantize(TICK_KWH, rounding)


def _metered_kwh(resource: ResourceConfig, moments: Sequence[tuple[float, float]]) -> Decimal:
    """Return the energy of one interval, of what was wanted and kept in its moments [kW]."""
    if all(wanted == kept for wanted, kept in moments):
        return _kwh(resource, moments[0][0])
    mean_kw = math.fsum(kept for _, kept in moments) / len(moments)
    return _kwh(resource, round(mean_kw, 6), ROUND_FLOOR)


def completed_count(day_starts_at: datetime, market_at: datetime) -> int:
    """Return how many half hours of the day have ended."""
    return max(0, min(HALF_HOURS, (market_at - day_starts_at) // HALF_HOUR))
