"""The day's timeline as plain boxes: gates and runs, and what is ordered when. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

WIDTH = 1_200.0
LEFT = 112.0
ROW_HEIGHT = 23.0
BOX_HEIGHT = 15.0
TOP = 20.0
HOURS = 24
HALF_HOURS = 48
LABEL_WIDTH_MIN = 40.0
CHARACTER_PX = 11.5
TICK_EVERY_H = 3


@dataclass(frozen=True, kw_only=True)
class Box:
    """One rectangle with its word; `tone` is a class of the style sheet."""

    x: float
    y: float
    width: float
    tone: str
    text: str = ""
    title: str = ""
    height: float = BOX_HEIGHT

    @property
    def text_x(self) -> float:
        """Where its word begins."""
        return self.x + 5

    @property
    def text_y(self) -> float:
        """The word's baseline."""
        return self.y + self.height - 3.5


@dataclass(frozen=True, kw_only=True)
class Row:
    """One row with its name."""

    name: str
    y: float

    @property
    def text_y(self) -> float:
        """The name's baseline."""
        return self.y + BOX_HEIGHT - 3.5


@dataclass(frozen=True, kw_only=True)
class Tick:
    """A time on the axis."""

    x: float
    text: str


@dataclass(frozen=True, kw_only=True)
class Span:
    """A stretch of the day in hours from midnight; beyond the day it is cut."""

    row: str
    start_h: float
    end_h: float
    tone: str
    text: str = ""
    title: str = ""


@dataclass(frozen=True, kw_only=True)
class Timeline:
    """Everything that is drawn."""

    rows: Sequence[Row]
    boxes: Sequence[Box]
    ticks: Sequence[Tick]
    now_x: float
    now_text: str
    height: float
    width: float = WIDTH
    left: float = LEFT
    axis_y: float = field(default=0.0)


def x_of(hours: float) -> float:
    """Place an hour of the day."""
    return round(LEFT + (WIDTH - LEFT) * min(max(hours, 0.0), float(HOURS)) / HOURS, 1)


def timeline(
    names: Sequence[tuple[str, str]], spans: Sequence[Span], *, now_h: float, now_text: str
) -> Timeline:
    """Lay a day out.

    Parameters
    ----------
    names
        Key and word of each row, from the top.
    spans
        What lies in the rows; a word is written where its box has room for it.
    """
    at = {key: TOP + index * ROW_HEIGHT for index, (key, _) in enumerate(names)}
    boxes = []
    for span in spans:
        if span.end_h <= 0 or span.start_h >= HOURS or span.end_h <= span.start_h:
            continue
        x, end = x_of(span.start_h), x_of(span.end_h)
        width = max(end - x, 2.0)
        room = max(LABEL_WIDTH_MIN, len(span.text) * CHARACTER_PX * 0.75)
        text = span.text if width >= room else ""
        boxes.append(
            Box(x=x, y=at[span.row], width=width, tone=span.tone, text=text, title=span.title)
        )
    axis_y = TOP + len(names) * ROW_HEIGHT + 12
    return Timeline(
        rows=[Row(name=word, y=at[key]) for key, word in names],
        boxes=boxes,
        ticks=[
            Tick(x=x_of(hour), text=f"{hour:02d}:00") for hour in range(0, HOURS + 1, TICK_EVERY_H)
        ],
        now_x=x_of(now_h),
        now_text=now_text,
        axis_y=axis_y,
        height=axis_y + 6,
    )


def stretches(values_kw: Sequence[float]) -> list[tuple[int, int, float]]:
    """Return first t, one past the last t, and the highest kW of each stretch above zero."""
    found: list[tuple[int, int, float]] = []
    for t, kw in enumerate(values_kw):
        if kw <= 0:
            continue
        if found and found[-1][1] == t:
            first, _, top = found[-1]
            found[-1] = (first, t + 1, max(top, kw))
        else:
            found.append((t, t + 1, kw))
    return found
