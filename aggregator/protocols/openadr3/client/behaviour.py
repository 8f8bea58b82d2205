"""How a simulated site behaves: pure, and the same for the same seed."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from typing import Any, Final

HALF_HOUR: Final = timedelta(minutes=30)
HALF_HOURS: Final = 48
HALF_HOUR_H: Final = Decimal("0.5")
HALF_HOUR_S: Final = 1800.0
JST: Final = timezone(timedelta(hours=9), "JST")
NOISE_MAX: Final = 3.0
TICK_KWH: Final = Decimal("0.001")
NOISE_RATIO: Final = 0.005
RAMP_S: Final = 180.0
POLL_S: Final = 1.0


class WrongConfig(Exception):
    """The configuration cannot be meant; the message names the entry."""


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
    """

    name: str
    profile_kw: tuple[float, ...]
    delivery_ratio: float = 1.0
    opt_out: bool = False
    opt_out_reason: str = "equipment under repair"


@dataclass(frozen=True, kw_only=True)
class VenConfig:
    """One operator's client and its units."""

    ven_name: str
    client_id: str
    client_secret: str
    resources: tuple[ResourceConfig, ...]


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
    """

    base_url: str
    seed: int
    delivery_on: date
    vens: tuple[VenConfig, ...]
    poll_s: float = POLL_S
    noise_ratio: float = NOISE_RATIO
    ramp_s: float = RAMP_S

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
    )


def _number(value: object, name: str, *, high: float = 10.0) -> float:
    number = float(value)  # type: ignore[arg-type]
    if not 0.0 <= number <= high:
        raise WrongConfig(f"{name} is {value!r}, but must lie between 0 and {high}")
    return number


def energy_kwh(
    config: AgentsConfig, resource: ResourceConfig, t: int, ordered_kw: Sequence[float]
) -> Decimal:
    r"""Return what the unit's meter shows for half hour `t`.

    The unit moves linearly from the setpoint of the half hour before to that of this one
    within ``ramp_s``, so the mean of the ordered change :math:`q` is

    .. math:: \bar q_t = q_t - (q_t - q_{t-1}) \frac{ramp}{2 \cdot 1800\,\mathrm{s}} .

    Parameters
    ----------
    ordered_kw
        Ordered change of consumption, shape (48,), negative for UP. [kW]

    Returns
    -------
    Decimal
        Energy to the customer, to the nearest Wh. [kWh]
    """
    before_kw = ordered_kw[t - 1] if t else 0.0
    reached_kw = ordered_kw[t] - (ordered_kw[t] - before_kw) * config.ramp_s / (2 * HALF_HOUR_S)
    profile_kw = resource.profile_kw[t]
    # a simulation's dice, not a secret's; the seed makes the day repeatable
    dice = random.Random(f"{config.seed}:{resource.name}:{t}")  # noqa: S311
    noise = max(-NOISE_MAX, min(NOISE_MAX, dice.gauss(0.0, 1.0))) * config.noise_ratio
    power_kw = profile_kw * (1.0 + noise) + resource.delivery_ratio * reached_kw
    return (Decimal(repr(power_kw)) * HALF_HOUR_H).quantize(TICK_KWH)


def completed_count(day_starts_at: datetime, market_at: datetime) -> int:
    """Return how many half hours of the day have ended."""
    return max(0, min(HALF_HOURS, (market_at - day_starts_at) // HALF_HOUR))
