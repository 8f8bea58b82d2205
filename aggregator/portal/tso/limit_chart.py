"""The coming limits of a conditional connection as one step line. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final

from aggregator.core.envelopes import Span

WIDTH: Final = 960
HEIGHT: Final = 190
LEFT, RIGHT, TOP, BOTTOM = 76, 12, 14, 28
HORIZON: Final = timedelta(hours=48)
TICK_EVERY: Final = timedelta(hours=6)


@dataclass(frozen=True, kw_only=True)
class Mark:
    """A text at a place of an axis."""

    at: str
    text: str


@dataclass(frozen=True, kw_only=True)
class LimitChart:
    """Everything that is drawn; places are in the drawing's own units."""

    line: str
    area: str
    ticks: Sequence[Mark]
    levels: Sequence[Mark]
    width: int = WIDTH
    height: int = HEIGHT
    left: int = LEFT
    right: int = WIDTH - RIGHT
    top: int = TOP
    base: int = HEIGHT - BOTTOM


def limit_chart(
    spans: Sequence[Span],
    *,
    from_at: datetime,
    levels_kw: Sequence[tuple[Decimal, str]],
    top_kw: Decimal,
    tick_words: Sequence[tuple[datetime, str]],
) -> LimitChart:
    """Draw what may be drawn in the next 48 hours.

    Parameters
    ----------
    spans
        In turn, the first from `from_at` on, the last without an end.
    levels_kw
        Heights that are marked, with their words.
    top_kw
        The highest level.
    """

    def x(at: datetime) -> str:
        share = min(max((at - from_at) / HORIZON, 0.0), 1.0)
        return f"{LEFT + share * (WIDTH - LEFT - RIGHT):.1f}"

    def y(kw: Decimal) -> str:
        share = float(kw / top_kw) if top_kw else 0.0
        return f"{HEIGHT - BOTTOM - share * (HEIGHT - BOTTOM - TOP):.1f}"

    until = from_at + HORIZON
    shown = [span for span in spans if span.starts_at < until]
    line = f"M{x(from_at)} {y(shown[0].limit_kw)}"
    for span in shown:
        line += f"V{y(span.limit_kw)}H{x(span.ends_at or until)}"
    return LimitChart(
        line=line,
        area=f"{line}V{y(Decimal(0))}H{x(from_at)}Z",
        ticks=[Mark(at=x(at), text=text) for at, text in tick_words],
        levels=[Mark(at=y(kw), text=text) for kw, text in levels_kw],
    )


def ticks_of(from_at: datetime) -> list[datetime]:
    """Return the moments on the axis: every six hours of the clock that `from_at` is in."""
    midnight = from_at.replace(hour=0, minute=0, second=0, microsecond=0)
    count = int(HORIZON / TICK_EVERY) + 5
    moments = [midnight + n * TICK_EVERY for n in range(count)]
    return [at for at in moments if from_at <= at <= from_at + HORIZON]
