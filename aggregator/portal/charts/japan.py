"""Japan in outline: ten areas, shaded by one figure each, darker for more. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from aggregator.portal.charts.japan_areas import NAMES_AT, RINGS, Line

WIDTH: Final = 560.0
HEIGHT: Final = 580.0
WEST_DEG, NORTH_DEG = 127.6, 45.9
UNITS_PER_DEGREE: Final = 37.5
STRETCH: Final = math.cos(math.radians(37.0))
OKINAWA: Final = "10"
# the southern islands stand in a box of their own, as on most maps of Japan
INSET: Final = (392.0, 462.0, 156.0, 106.0)
INSET_SCALE: Final = 2.2
INSET_MIDDLE: Final = (127.98, 26.47)
SHADES: Final = 5


@dataclass(frozen=True, kw_only=True)
class AreaShape:
    """One area of the picture; without a figure it is left blank."""

    code: str
    path: str
    x: float
    y: float
    anchor: str
    shade: int | None


@dataclass(frozen=True, kw_only=True)
class Shading:
    """Bounds between the shades, ascending; what is on a bound has the darker shade."""

    bounds: Sequence[float]
    lightest: int = 0

    def shade(self, value: float | None) -> int | None:
        """Return 0, the lightest, to the number of bounds."""
        if value is None:
            return None
        return self.lightest + sum(value >= bound for bound in self.bounds)


def even(values: Sequence[float], *, least: float) -> Shading:
    """Part the range of values into shades of equal width.

    Parameters
    ----------
    least
        The smallest difference that is printed; what differs by less has one shade, the middle.
    """
    low, high = min(values, default=0.0), max(values, default=0.0)
    if high - low < SHADES * least:
        return Shading(bounds=(), lightest=SHADES // 2)
    width = (high - low) / SHADES
    return Shading(bounds=[low + width * n for n in range(1, SHADES)])


def at(longitude_deg: float, latitude_deg: float) -> tuple[float, float]:
    """Place a point; north is up."""
    return (
        round((longitude_deg - WEST_DEG) * STRETCH * UNITS_PER_DEGREE, 1),
        round((NORTH_DEG - latitude_deg) * UNITS_PER_DEGREE, 1),
    )


def _in_inset(longitude_deg: float, latitude_deg: float) -> tuple[float, float]:
    left, top, width, height = INSET
    scale = UNITS_PER_DEGREE * INSET_SCALE
    return (
        round(left + width / 3 + (longitude_deg - INSET_MIDDLE[0]) * STRETCH * scale, 1),
        round(top + height / 2 + (INSET_MIDDLE[1] - latitude_deg) * scale, 1),
    )


def _path(code: str, rings: Sequence[Line]) -> str:
    place = _in_inset if code == OKINAWA else at
    parts = []
    for ring in rings:
        points = [place(*point) for point in ring]
        parts.append("M" + "L".join(f"{x} {y}" for x, y in points) + "Z")
    return "".join(parts)


def shapes(values: Mapping[str, float | None], shading: Shading) -> list[AreaShape]:
    """Return all ten areas, each with its shade; no figure, no shade."""
    found = []
    for code, rings in RINGS.items():
        x, y = (_in_inset if code == OKINAWA else at)(*NAMES_AT[code])
        found.append(
            AreaShape(
                code=code,
                path=_path(code, rings),
                x=x,
                y=y,
                anchor="start",
                shade=shading.shade(values.get(code)),
            )
        )
    return found
