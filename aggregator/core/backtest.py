"""How well a baseline would have told the load of days on which nothing was called."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import ROUND_CEILING, ROUND_HALF_EVEN, Decimal, localcontext

from accounts.core.errors import Refused
from aggregator.core.baseline_variants import Facts, Variant, baseline_of
from aggregator.core.baselines import (
    INTERVAL_COUNT,
    MEAN_CONTEXT,
    BaselineNotComputable,
    Day,
    is_holiday,
    is_metered,
    value_kwh,
)

QUANTUM_RATIO = Decimal("0.000001")
QUANTUM_KW = Decimal("0.1")
SLOTS_PER_H = 2


@dataclass(frozen=True, kw_only=True)
class Trial:
    """Which pseudo-events are looked at, and when a method may be chosen by them.

    Attributes
    ----------
    starts, length
        First half hours of the pseudo-events of each day, and how many half hours each lasts.
    weekdays_only
        Leave out Saturdays, Sundays and national holidays.
    events_min
        With fewer pseudo-events that can be computed, a method is not chosen.
    noise_factor
        The smallest award is this many times CV-RMSE.
    tail_ratio
        The share of events outside the error band, half of it on either side.
    """

    starts: tuple[int, ...] = (16, 22, 28, 34)
    length: int = 6
    weekdays_only: bool = True
    events_min: int = 20
    noise_factor: Decimal = Decimal(2)
    tail_ratio: Decimal = Decimal("0.1")

    def __post_init__(self) -> None:
        """Refuse a trial that looks at nothing or beyond the day."""
        if not self.starts or not all(
            start >= 0 and start + self.length <= INTERVAL_COUNT for start in self.starts
        ):
            raise Refused(field="starts", value=self.starts, rule="events within the day")
        if self.length < 1 or self.events_min < 1:
            raise Refused(field="length", value=self.length, rule="at least one half hour")
        if not Decimal(0) < self.noise_factor <= Decimal(100):
            raise Refused(field="noise_factor", value=self.noise_factor, rule="0 to 100")
        if not Decimal(0) < self.tail_ratio < Decimal(1):
            raise Refused(field="tail_ratio", value=self.tail_ratio, rule="between 0 and 1")


@dataclass(frozen=True, kw_only=True)
class Figures:
    """What a back-test found of one variant.

    Attributes
    ----------
    events_count, skipped_count
        Pseudo-events computed, and those the method could not compute.
    bias_ratio
        Σ(b − a) / Σa over all half hours: positive pays for nothing.
    cv_rmse_ratio
        rms(b − a) / mean(a) over all half hours.
    p90_ratio
        The ninetieth percentile over events of rms(b − a) / mean(a).
    low_ratio, high_ratio
        The band of the error of an event's energy, Σ(b − a) / Σa, without the tails.
    mean_kw
        Mean load over the pseudo-events.
    """

    variant: str
    events_count: int
    skipped_count: int
    bias_ratio: Decimal = Decimal(0)
    cv_rmse_ratio: Decimal = Decimal(0)
    p90_ratio: Decimal = Decimal(0)
    low_ratio: Decimal = Decimal(0)
    high_ratio: Decimal = Decimal(0)
    mean_kw: Decimal = Decimal(0)

    def smallest_kw(self, noise_factor: Decimal) -> Decimal:
        """Return the smallest award that can be told from noise, up to the next 0.1 kW."""
        smallest = noise_factor * self.cv_rmse_ratio * abs(self.mean_kw)
        return smallest.quantize(QUANTUM_KW, ROUND_CEILING)


@dataclass(frozen=True, kw_only=True)
class _Event:
    error_kwh: tuple[Decimal, ...]
    actual_kwh: tuple[Decimal, ...]


def backtest(
    load_kwh: Mapping[date, Day],
    *,
    variant: Variant,
    days: Sequence[date],
    called_on: Collection[date] = (),
    holidays: Collection[date] = (),
    trial: Trial | None = None,
) -> Figures:
    """Compute a variant on pseudo-events of past days, and compare with what was metered.

    Parameters
    ----------
    load_kwh
        Day to 48 half-hourly values [kWh], history before `days` included.
    variant
        The method and its parameters.
    days
        Days that may hold pseudo-events; those in `called_on` hold none.
    called_on, holidays
        As of :func:`aggregator.core.baselines.baseline_x_of_y`.
    trial
        Which pseudo-events; the defaults if left out.

    Returns
    -------
    Figures
        All zero where no event could be computed or the load over them is zero.

    Notes
    -----
    Sums are exact decimals; each figure is one division or root, to a millionth. The same
    readings give the same figures.
    """
    trial = trial or Trial()
    called = set(called_on)
    events: list[_Event] = []
    skipped = 0
    for day in sorted(set(days) - called):
        if trial.weekdays_only and is_holiday(day, holidays):
            continue
        for start in trial.starts:
            slots = range(start, start + trial.length)
            if not is_metered(load_kwh, day, slots):
                continue
            facts = Facts(
                load_kwh=load_kwh, day=day, event=slots, called_on=called, holidays=holidays
            )
            try:
                baseline_kwh = baseline_of(variant, facts).baseline_kwh
            except BaselineNotComputable:
                skipped += 1
                continue
            actual = [value_kwh(load_kwh, day, slot) or Decimal(0) for slot in slots]
            errors = (baseline_kwh[t] - kwh for t, kwh in zip(slots, actual, strict=True))
            events.append(_Event(error_kwh=tuple(errors), actual_kwh=tuple(actual)))
    return _figures(variant.name, events, skipped, trial)


def choose(found: Sequence[Figures], trial: Trial) -> Figures | None:
    """Return the figures of the variant with the least CV-RMSE; None if none was tried enough.

    Of equals the one with the least absolute bias, then the one named first.
    """
    tried = [
        figures
        for figures in found
        if figures.events_count >= trial.events_min and figures.mean_kw > 0
    ]
    return min(
        tried, key=lambda figures: (figures.cv_rmse_ratio, abs(figures.bias_ratio)), default=None
    )


def quantile(values: Sequence[Decimal], share: Decimal) -> Decimal:
    """Return a quantile, between two values in proportion (Hyndman and Fan's type 7)."""
    ordered = sorted(values)
    place = share * (len(ordered) - 1)
    below = int(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (place - below) * (ordered[above] - ordered[below])


def _figures(name: str, events: Sequence[_Event], skipped: int, trial: Trial) -> Figures:
    with localcontext(MEAN_CONTEXT):
        total_kwh = sum((sum(event.actual_kwh, Decimal(0)) for event in events), Decimal(0))
        usable = [event for event in events if sum(event.actual_kwh)]
        if not usable or not total_kwh:
            return Figures(variant=name, events_count=0, skipped_count=skipped + len(events))
        count = len(events) * trial.length
        errors = [sum(event.error_kwh, Decimal(0)) for event in usable]
        squares = [sum((e * e for e in event.error_kwh), Decimal(0)) for event in events]
        energy = [sum(event.actual_kwh, Decimal(0)) for event in usable]
        bands = [error / abs(kwh) for error, kwh in zip(errors, energy, strict=True)]
        rrmse = [
            (sum((e * e for e in event.error_kwh), Decimal(0)) / trial.length).sqrt()
            * trial.length
            / abs(kwh)
            for event, kwh in zip(usable, energy, strict=True)
        ]
        all_errors = sum((sum(event.error_kwh, Decimal(0)) for event in events), Decimal(0))
        rms_kwh = (sum(squares, Decimal(0)) / count).sqrt()
        tail = trial.tail_ratio / 2

        def rounded(value: Decimal) -> Decimal:
            return value.quantize(QUANTUM_RATIO, ROUND_HALF_EVEN)

        return Figures(
            variant=name,
            events_count=len(events),
            skipped_count=skipped,
            bias_ratio=rounded(all_errors / abs(total_kwh)),
            cv_rmse_ratio=rounded(rms_kwh * count / abs(total_kwh)),
            p90_ratio=rounded(quantile(rrmse, Decimal("0.9"))),
            low_ratio=rounded(quantile(bands, tail)),
            high_ratio=rounded(quantile(bands, 1 - tail)),
            mean_kw=rounded(total_kwh * SLOTS_PER_H / count),
        )
