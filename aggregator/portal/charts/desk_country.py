"""Japan twice: areas as boxes with their ties, and lines and sites where they lie. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

WIDTH, HEIGHT = 560.0, 330.0
BOX_WIDTH, BOX_HEIGHT = 92.0, 44.0
MARGIN = 16.0
FULL_RATIO = 1.0
TOLD_RATIO = 0.8
KM_PER_DEGREE_LATITUDE = 110.57
KM_PER_DEGREE_LONGITUDE = 111.32
# middle of each area's box, by its code (01 Hokkaido … 10 Okinawa), in user units
AREA_AT: Mapping[str, tuple[float, float]] = {
    "01": (478, 34), "02": (450, 108), "03": (478, 186), "04": (350, 216), "05": (322, 126),
    "06": (226, 176), "07": (130, 106), "08": (204, 262), "09": (62, 192), "10": (62, 290),
}  # fmt: skip
RAMP = ((0.5, "0"), (0.7, "1"), (0.8, "2"), (0.9, "3"), (1.0, "4"), (1.1, "5"))


def ramp_class(ratio: float | None) -> str:
    """Return the class of a loading: grey until it matters."""
    if ratio is None:
        return "t-none"
    for limit, step in RAMP:
        if ratio < limit:
            return f"t{step}"
    return "t6"


@dataclass(frozen=True, kw_only=True)
class AreaBox:
    """One area."""

    x: float
    y: float
    name: str
    price: str
    net: str
    tone: str
    marks: Sequence[tuple[str, str]]
    title: str
    width: float = BOX_WIDTH
    height: float = BOX_HEIGHT

    @property
    def left(self) -> float:
        """Inner left edge."""
        return self.x + 7

    @property
    def right(self) -> float:
        """Inner right edge."""
        return self.x + self.width - 7


@dataclass(frozen=True, kw_only=True)
class TieLine:
    """A tie between two boxes."""

    x1: float
    y1: float
    x2: float
    y2: float
    tone: str
    width: float
    told: str
    title: str

    @property
    def middle(self) -> tuple[float, float]:
        """Where its use is written."""
        return round((self.x1 + self.x2) / 2, 1), round((self.y1 + self.y2) / 2, 1)


def box_at(code: str, spare: int) -> tuple[float, float]:
    """Return the middle of an area's box; unknown areas stand in a row below."""
    return AREA_AT.get(code, (120.0 + spare * (BOX_WIDTH + 12), HEIGHT - BOX_HEIGHT))


@dataclass(frozen=True, kw_only=True)
class Projection:
    """Degrees to user units, true to shape at the middle latitude."""

    x0: float
    y0: float
    scale: float
    stretch: float

    def at(self, longitude_deg: float, latitude_deg: float) -> tuple[float, float]:
        """Place a point; north is up."""
        return (
            round((longitude_deg * self.stretch - self.x0) * self.scale + MARGIN, 1),
            round(
                HEIGHT - MARGIN - (latitude_deg * KM_PER_DEGREE_LATITUDE - self.y0) * self.scale, 1
            ),
        )


def projection(points: Sequence[tuple[float, float]]) -> Projection | None:
    """Fit longitudes and latitudes into the picture; None if there are none."""
    if not points:
        return None
    middle = sum(latitude for _, latitude in points) / len(points)
    stretch = KM_PER_DEGREE_LONGITUDE * math.cos(math.radians(middle))
    xs = [longitude * stretch for longitude, _ in points]
    ys = [latitude * KM_PER_DEGREE_LATITUDE for _, latitude in points]
    width, height = max(max(xs) - min(xs), 1.0), max(max(ys) - min(ys), 1.0)
    scale = min((WIDTH - 2 * MARGIN) / width, (HEIGHT - 2 * MARGIN) / height)
    return Projection(
        x0=min(xs) - ((WIDTH - 2 * MARGIN) / scale - width) / 2,
        y0=min(ys) - ((HEIGHT - 2 * MARGIN) / scale - height) / 2,
        scale=scale,
        stretch=stretch,
    )


def site_path(state: str, x: float, y: float) -> str:
    """Return the outline of a site: up and down as triangles, trouble on its corner, else a dot."""
    return f"M{x} {y}" + {
        "UP": "m0-6l6 11h-12z",
        "DOWN": "m0 6l6-11h-12z",
        "TROUBLE": "m0-7l7 7-7 7-7-7z",
    }.get(state, "m-2.6 0a2.6 2.6 0 1 0 5.2 0a2.6 2.6 0 1 0-5.2 0")


def tie_width(ratio: float | None) -> float:
    """Wider as it is used."""
    return 3.0 if ratio is None else round(3.0 + 5.0 * min(ratio, 1.2), 1)
