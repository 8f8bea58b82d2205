"""Signs that a baseline, a schedule or a reading was bent: one pure test each, with its evidence.

A sign is no verdict: it is a statistic, the threshold it passed and what it stands on, so that
a person can check it by hand. Nothing here is random; the same facts give the same signs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import ROUND_HALF_EVEN, Decimal, localcontext
from enum import StrEnum
from typing import Any

from accounts.core.errors import Refused
from aggregator.core.baselines import MEAN_CONTEXT

QUANTUM_RATIO = Decimal("0.000001")
RATIO_MAX = Decimal(999_999)
SAMPLE_MIN = 2


class Indicator(StrEnum):
    """What a sign is about."""

    BASELINE_INFLATION = "BASELINE_INFLATION"
    FROZEN_BASELINE = "FROZEN_BASELINE"
    WINDOW_RAMP = "WINDOW_RAMP"
    PHANTOM_SHIFT = "PHANTOM_SHIFT"
    PLANNED_OUTAGE = "PLANNED_OUTAGE"
    INC_DEC = "INC_DEC"
    DOUBLE_SALE = "DOUBLE_SALE"
    LATE_DATA = "LATE_DATA"


@dataclass(frozen=True, kw_only=True)
class Thresholds:
    """When a statistic becomes a sign.

    Attributes
    ----------
    z_ratio
        Standard errors between baseline days and matched days, or between ramps.
    matched_days
        The fewest days on each side of a comparison.
    frozen_days
        Days called one after the other from which a baseline no longer moves.
    conserved_ratio
        Moved in against moved out: how far apart they may be.
    outage_ratio
        Share of an award's half hours that may lie in a planned stop.
    inc_dec_ratio
        How far a schedule may stand above what was forecast, as a share of it.
    late_days
        Days after the half hour by which its first value must be there.
    late_ratio
        Share of half hours that may be later than that.
    """

    z_ratio: Decimal = Decimal(3)
    matched_days: int = 4
    frozen_days: int = 10
    conserved_ratio: Decimal = Decimal("0.02")
    outage_ratio: Decimal = Decimal(0)
    inc_dec_ratio: Decimal = Decimal("0.1")
    late_days: int = 2
    late_ratio: Decimal = Decimal("0.02")

    def __post_init__(self) -> None:
        """Refuse thresholds that nothing or everything would pass."""
        if not Decimal(0) < self.z_ratio <= RATIO_MAX:
            raise Refused(field="z_ratio", value=self.z_ratio, rule="more than 0")
        if self.matched_days < SAMPLE_MIN:
            raise Refused(field="matched_days", value=self.matched_days, rule="2 or more")
        if self.frozen_days < 1 or self.late_days < 0:
            raise Refused(field="frozen_days", value=self.frozen_days, rule="1 or more")


@dataclass(frozen=True, kw_only=True)
class Sign:
    """A statistic that passed its threshold over the days from `from_on` to before `to_on`."""

    indicator: Indicator
    from_on: date
    to_on: date
    statistic_ratio: Decimal
    threshold_ratio: Decimal
    evidence: Mapping[str, Any]


def z_of(sample: Sequence[Decimal], others: Sequence[Decimal]) -> Decimal | None:
    r"""Return how many standard errors two means stand apart (Welch).

    .. math:: z = \frac{\bar x - \bar y}{\sqrt{s_x^2/n_x + s_y^2/n_y}}

    None with fewer than two values on a side. Two samples without any spread are equal (0) or as
    far apart as can be written.
    """
    if len(sample) < SAMPLE_MIN or len(others) < SAMPLE_MIN:
        return None
    with localcontext(MEAN_CONTEXT):
        mean_x, var_x = _mean_and_variance(sample)
        mean_y, var_y = _mean_and_variance(others)
        error = (var_x / len(sample) + var_y / len(others)).sqrt()
        apart = mean_x - mean_y
        if not error:
            return Decimal(0) if not apart else RATIO_MAX.copy_sign(apart)
        return _rounded(apart / error)


def baseline_inflation(
    load_kwh: Mapping[date, Decimal],
    *,
    baseline_days: Sequence[date],
    matched_days: Sequence[date],
    thresholds: Thresholds,
) -> Sign | None:
    """Compare load on days a baseline stood on with days like them that it did not stand on.

    Dummy load, work held back for the window, stores recharging in it and generation switched
    off all show as more load on baseline days; less shows a baseline in which work was hidden
    from a DOWN award.

    Parameters
    ----------
    load_kwh
        Energy over the event's half hours by day.
    baseline_days, matched_days
        Days the baseline was averaged over, and days of the same type, not called on, that it
        was not.
    """
    used = sorted(day for day in set(baseline_days) if day in load_kwh)
    like = sorted(day for day in set(matched_days) - set(used) if day in load_kwh)
    if min(len(used), len(like)) < thresholds.matched_days:
        return None
    z = z_of([load_kwh[day] for day in used], [load_kwh[day] for day in like])
    if z is None or abs(z) <= thresholds.z_ratio:
        return None
    return Sign(
        indicator=Indicator.BASELINE_INFLATION,
        from_on=used[0],
        to_on=used[-1] + timedelta(days=1),
        statistic_ratio=z,
        threshold_ratio=thresholds.z_ratio,
        evidence={
            "baseline_days_kwh": {day.isoformat(): str(load_kwh[day]) for day in used},
            "matched_days_kwh": {day.isoformat(): str(load_kwh[day]) for day in like},
        },
    )


def frozen_baseline(
    called_on: Sequence[date], days: Sequence[date], *, thresholds: Thresholds
) -> list[Sign]:
    """Find series of days of one type called one after the other, so long that nothing moves.

    Parameters
    ----------
    called_on
        Days on which the resource was called.
    days
        All days of the type in the span looked at, so that a weekend does not end a series of
        weekdays.
    """
    called = set(called_on)
    signs: list[Sign] = []
    series: list[date] = []

    def end() -> None:
        if len(series) >= thresholds.frozen_days:
            signs.append(
                Sign(
                    indicator=Indicator.FROZEN_BASELINE,
                    from_on=series[0],
                    to_on=series[-1] + timedelta(days=1),
                    statistic_ratio=Decimal(len(series)),
                    threshold_ratio=Decimal(thresholds.frozen_days),
                    evidence={
                        "called_on": [day.isoformat() for day in series],
                        "remedy": "older unaffected days (frozen_days of the method), or a day"
                        " on which the resource may not be called",
                    },
                )
            )
        series.clear()

    for day in sorted(days):
        if day in called:
            series.append(day)
        else:
            end()
    end()
    return signs


def window_ramp(
    ramp_kwh: Mapping[date, Decimal],
    *,
    event_days: Sequence[date],
    matched_days: Sequence[date],
    thresholds: Thresholds,
) -> Sign | None:
    """Compare how load rises into the adjustment window on event days with days like them.

    Parameters
    ----------
    ramp_kwh
        Energy in the window minus energy in as many half hours right before it, by day.
    """
    events = sorted(day for day in set(event_days) if day in ramp_kwh)
    like = sorted(day for day in set(matched_days) - set(events) if day in ramp_kwh)
    if min(len(events), len(like)) < thresholds.matched_days:
        return None
    z = z_of([ramp_kwh[day] for day in events], [ramp_kwh[day] for day in like])
    if z is None or z <= thresholds.z_ratio:
        return None
    return Sign(
        indicator=Indicator.WINDOW_RAMP,
        from_on=events[0],
        to_on=events[-1] + timedelta(days=1),
        statistic_ratio=z,
        threshold_ratio=thresholds.z_ratio,
        evidence={
            "event_days_kwh": {day.isoformat(): str(ramp_kwh[day]) for day in events},
            "matched_days_kwh": {day.isoformat(): str(ramp_kwh[day]) for day in like},
        },
    )


@dataclass(frozen=True, kw_only=True)
class Movement:
    """Change of one resource in one half hour, and how it weighs on a congested element.

    `reduced_kwh` is baseline minus meter, signed; `relief_ratio` is h_{n,q} of its place.
    """

    resource: str
    start_at: datetime
    reduced_kwh: Decimal
    relief_ratio: Decimal
    paid_kwh: Decimal


def phantom_shift(
    movements: Sequence[Movement], *, element: str, day: date, thresholds: Thresholds
) -> Sign | None:
    r"""Weigh what one operator was paid for on an element against its net effect there.

    With reductions :math:`r_i`, relief :math:`h_i` and paid energy :math:`p_i` of all its
    resources, the share that is phantom is :math:`1 - \max(0, \sum h_i r_i) / \sum h_i p_i`.
    """
    with localcontext(MEAN_CONTEXT):
        paid_kwh = sum((m.relief_ratio * m.paid_kwh for m in movements), Decimal(0))
        net_kwh = sum((m.relief_ratio * m.reduced_kwh for m in movements), Decimal(0))
        if paid_kwh <= 0:
            return None
        phantom = _rounded(1 - max(Decimal(0), net_kwh) / paid_kwh)
    # What is simply not delivered is no shift: somebody of the same hand must have risen.
    if phantom <= thresholds.conserved_ratio or all(m.reduced_kwh >= 0 for m in movements):
        return None
    return Sign(
        indicator=Indicator.PHANTOM_SHIFT,
        from_on=day,
        to_on=day + timedelta(days=1),
        statistic_ratio=phantom,
        threshold_ratio=thresholds.conserved_ratio,
        evidence={
            "element": element,
            "paid_on_element_kwh": str(paid_kwh),
            "net_on_element_kwh": str(net_kwh),
            "movements": [
                {
                    "resource": m.resource,
                    "start_at": m.start_at.isoformat(),
                    "reduced_kwh": str(m.reduced_kwh),
                    "relief_ratio": str(m.relief_ratio),
                    "paid_kwh": str(m.paid_kwh),
                }
                for m in movements
            ],
        },
    )


def planned_outage(
    ordered: Sequence[datetime],
    stops: Sequence[tuple[datetime, datetime, datetime]],
    *,
    sold_at: datetime,
    day: date,
    thresholds: Thresholds,
) -> Sign | None:
    """Find awards for half hours in which the resource was to stand still anyway.

    Parameters
    ----------
    ordered
        Starts of the half hours that were sold.
    stops
        Planned stops: start, end, and when they were first known to the operator.
    sold_at
        The gate: a stop known before it was sold as flexibility.
    """
    hits = [
        (start, stop)
        for start in sorted(ordered)
        for stop in stops
        if stop[0] <= start < stop[1] and stop[2] <= sold_at
    ]
    if not ordered:
        return None
    share = _rounded(Decimal(len({start for start, _ in hits})) / len(set(ordered)))
    if share <= thresholds.outage_ratio:
        return None
    return Sign(
        indicator=Indicator.PLANNED_OUTAGE,
        from_on=day,
        to_on=day + timedelta(days=1),
        statistic_ratio=share,
        threshold_ratio=thresholds.outage_ratio,
        evidence={
            "sold_at": sold_at.isoformat(),
            "half_hours": [
                {
                    "start_at": start.isoformat(),
                    "stop_from_at": stop[0].isoformat(),
                    "stop_to_at": stop[1].isoformat(),
                    "known_at": stop[2].isoformat(),
                }
                for start, stop in hits
            ],
        },
    )


def inc_dec(
    planned_kwh: Mapping[int, Decimal],
    forecast_kwh: Mapping[int, Decimal],
    *,
    sold: Sequence[int],
    is_pivotal: bool,
    day: date,
    thresholds: Thresholds,
) -> Sign | None:
    """Compare a schedule with the forecast where relief was sold at a congested place.

    A schedule raised on the day before and then bought back as relief stands above what the
    resource's past gives for the day, in the half hours sold and not in the others.
    """
    inside = [t for t in sorted(set(sold)) if t in planned_kwh and t in forecast_kwh]
    usual_kwh = sum((forecast_kwh[t] for t in inside), Decimal(0))
    if not inside or usual_kwh <= 0:
        return None
    with localcontext(MEAN_CONTEXT):
        planned = sum((planned_kwh[t] for t in inside), Decimal(0))
        raised = _rounded((planned - usual_kwh) / usual_kwh)
    if raised <= thresholds.inc_dec_ratio:
        return None
    return Sign(
        indicator=Indicator.INC_DEC,
        from_on=day,
        to_on=day + timedelta(days=1),
        statistic_ratio=raised,
        threshold_ratio=thresholds.inc_dec_ratio,
        evidence={
            "is_pivotal": is_pivotal,
            "half_hours": [
                {"t": t, "planned_kwh": str(planned_kwh[t]), "forecast_kwh": str(forecast_kwh[t])}
                for t in inside
            ],
        },
    )


def double_sale(
    awarded_kw: Mapping[int, Sequence[tuple[str, Decimal]]],
    *,
    limit_kw: Decimal,
    day: date,
) -> Sign | None:
    """Find half hours in which more was awarded of a resource than it can change.

    Parameters
    ----------
    awarded_kw
        Half hour to the awards of one direction with their power, reserved capacity included.
    limit_kw
        What the resource can change at most.
    """
    over = {
        t: awards
        for t, awards in sorted(awarded_kw.items())
        if sum((kw for _, kw in awards), Decimal(0)) > limit_kw
    }
    if not over:
        return None
    with localcontext(MEAN_CONTEXT):
        most_kw = max(sum((kw for _, kw in awards), Decimal(0)) for awards in over.values())
        share = _rounded(most_kw / limit_kw) if limit_kw else RATIO_MAX
    return Sign(
        indicator=Indicator.DOUBLE_SALE,
        from_on=day,
        to_on=day + timedelta(days=1),
        statistic_ratio=share,
        threshold_ratio=Decimal(1),
        evidence={
            "limit_kw": str(limit_kw),
            "half_hours": [
                {"t": t, "awards": [{"award": name, "awarded_kw": str(kw)} for name, kw in awards]}
                for t, awards in over.items()
            ],
        },
    )


@dataclass(frozen=True, kw_only=True)
class Told:
    """When the first value of a half hour came, and how often values of one stage differed."""

    start_at: datetime
    first_at: datetime | None
    changes_count: int


def late_data(
    told: Sequence[Told], *, from_on: date, to_on: date, thresholds: Thresholds
) -> Sign | None:
    """Count half hours whose first value came late or never, or changed within its stage.

    A missing half hour delivers nothing; this finds who lets it go missing, or mends it after
    the fact.
    """
    if not told:
        return None
    lag = timedelta(days=thresholds.late_days, minutes=30)
    late = [row for row in told if row.first_at is None or row.first_at > row.start_at + lag]
    changed = [row for row in told if row.changes_count]
    share = _rounded(Decimal(len({row.start_at for row in (*late, *changed)})) / len(told))
    if share <= thresholds.late_ratio:
        return None
    return Sign(
        indicator=Indicator.LATE_DATA,
        from_on=from_on,
        to_on=to_on,
        statistic_ratio=share,
        threshold_ratio=thresholds.late_ratio,
        evidence={
            "half_hours_count": len(told),
            "late": [_told(row) for row in late[:100]],
            "late_count": len(late),
            "changed": [_told(row) for row in changed[:100]],
            "changed_count": len(changed),
        },
    )


def _told(row: Told) -> dict[str, Any]:
    return {
        "start_at": row.start_at.isoformat(),
        "first_at": None if row.first_at is None else row.first_at.isoformat(),
        "changes_count": row.changes_count,
    }


def _mean_and_variance(values: Sequence[Decimal]) -> tuple[Decimal, Decimal]:
    mean = sum(values, Decimal(0)) / len(values)
    return mean, sum(((value - mean) ** 2 for value in values), Decimal(0)) / (len(values) - 1)


def _rounded(value: Decimal) -> Decimal:
    return max(-RATIO_MAX, min(RATIO_MAX, value)).quantize(QUANTUM_RATIO, ROUND_HALF_EVEN)
