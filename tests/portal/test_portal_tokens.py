"""Colours: one table, enough contrast, order that survives grey printing."""

from __future__ import annotations

from itertools import pairwise

import pytest

from aggregator.portal.tokens import COLOURS, CSS_PATH, THEMES, Palette, ThemeName, css

TEXT_RATIO, LARGE_RATIO = 4.5, 3.0
MERIT = ("BATTERY", "SPATIAL", "DEFERRAL", "POWER_CAP", "STOP")


def luminance(colour: str) -> float:
    channels = (int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5))
    r, g, b = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels)
    return 0.2126 * r + 0.7152 * g + 0.0722 * b


def contrast(a: str, b: str) -> float:
    high, low = sorted((luminance(a), luminance(b)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def test_the_style_sheet_is_the_table() -> None:
    assert CSS_PATH.read_text(encoding="utf-8") == css()


@pytest.mark.parametrize("theme", THEMES)
def test_text_is_readable_on_every_ground(theme: ThemeName) -> None:
    palette = Palette(theme=theme)
    faint = {
        (ink, ground): round(contrast(palette[ink], palette[ground]), 2)
        for ink in ("ink", "ink-2", "ink-3", "accent", "up", "down", "ok", "crit", "high")
        for ground in ("surface", "sunken", "bg")
        if contrast(palette[ink], palette[ground]) < TEXT_RATIO
    }
    assert faint == {}
    for name in ("up", "down", "ok", "crit", "high", "accent"):
        assert contrast(palette[name], palette[f"{name}-weak"]) >= TEXT_RATIO, name
    assert contrast(palette["on-accent"], palette["accent"]) >= TEXT_RATIO
    assert contrast(palette["line-strong"], palette["surface"]) >= LARGE_RATIO
    for step in ("load-5", "load-6"):
        assert contrast(palette.on_load, palette[step]) >= LARGE_RATIO, step


@pytest.mark.parametrize("theme", THEMES)
def test_dearer_means_further_from_the_ground(theme: ThemeName) -> None:
    palette = Palette(theme=theme)
    steps = [contrast(palette.mechanism(name), palette["surface"]) for name in MERIT]
    assert all(a < b for a, b in pairwise(steps))


def test_an_unknown_mechanism_has_a_colour_too() -> None:
    assert Palette(theme="light").mechanism("NEW") == COLOURS["m-mixed"][0]


def test_the_ramp_changes_where_the_legend_says() -> None:
    ramp = Palette(theme="light").loading_ramp
    # one colour per 10 % from 40 to 120 %
    changes = [40 + 10 * i for i in range(1, 8) if ramp[i] != ramp[i - 1]]
    assert changes == [50, 70, 80, 90, 100, 110]
