"""Charts of a data-centre operator: the bid's curve, its day, past earnings, position, delivery."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from bokeh.models import (
    BoxAnnotation,
    ColumnDataSource,
    FixedTicker,
    HoverTool,
    PointDrawTool,
    Range1d,
    Span,
)
from bokeh.plotting import figure

from aggregator.portal.charts.day import HALF_HOURS, day_figure, label, stairs, ticks
from aggregator.portal.tokens import Palette
from aggregator.portal.words import koma_full, number

PRICE_LOW, PRICE_HIGH = 1.0, 600.0
DECADE_MARKS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000)
HANDLE_PX = 11
MONEY_UNIT_JPY = 1_000


@dataclass(frozen=True, kw_only=True)
class CurveChart:
    """A step curve: kW and price per step; floors as (kW, price) from zero; band of past prices.

    `limit_kw` is what the resource can change: an empty chart is as wide.
    """

    mechanism: str
    limit_kw: float
    steps: Sequence[tuple[float, float]]
    floors: Sequence[tuple[float, float]]
    band: tuple[float, float] | None
    words: dict[str, str]  # band, kw


def curve_figure(chart: CurveChart, palette: Palette) -> figure:
    """Draw a curve one can drag: steps, their ink line, the cost floor and a handle per step."""
    sums = [sum(kw for kw, _ in steps) for steps in (chart.steps, chart.floors)]
    total = max(*sums, 100.0) if any(sums) else max(chart.limit_kw, 100.0)
    asks = [ask for _, ask in (*chart.steps, *chart.floors)] + list(chart.band or ())
    positive = [ask for ask in asks if ask > 0]
    low = 10 ** math.floor(math.log10(min([*positive, 10.0])))
    high = max([*positive, 50.0]) * 2
    plot = figure(sizing_mode="stretch_both", tools="", y_axis_type="log", toolbar_location=None)
    marks = ticks(0, total * 1.05, 5)
    plot.x_range = Range1d(0, max(marks[-1], total * 1.05))
    plot.y_range = Range1d(max(low, 0.1), high)
    plot.xaxis.ticker = FixedTicker(ticks=marks)
    plot.xaxis.major_label_overrides = {mark: number(mark, 0) for mark in marks}
    prices = [mark for mark in DECADE_MARKS if low <= mark <= high]
    plot.yaxis.ticker = FixedTicker(ticks=prices)
    plot.yaxis.major_label_overrides = {mark: number(mark, 0) for mark in prices}
    plot.xgrid.grid_line_color = None
    if chart.band is not None:
        bottom, top = (max(value, low) for value in chart.band)
        plot.add_layout(
            BoxAnnotation(
                bottom=bottom,
                top=top,
                fill_color=palette["ink-3"],
                fill_alpha=0.14,
                line_color=None,
            )
        )
        label(
            plot, plot.x_range.end, top, chart.words["band"],
            text_align="right", x_offset=-4, y_offset=2,
        )  # fmt: skip
    _steps(plot, chart, palette, low)
    if chart.floors:
        x, y = _outline(chart.floors, low)
        plot.line(x, y, line_color=palette["ink"], line_width=1.4, line_dash=[2, 3], name="floor")
    return plot


def _steps(plot: figure, chart: CurveChart, palette: Palette, low: float) -> None:
    edges = [0.0]
    for kw, _ in chart.steps:
        edges.append(edges[-1] + kw)
    asks = [max(ask, low) for _, ask in chart.steps]
    boxes = ColumnDataSource(
        {
            "left": edges[:-1],
            "right": edges[1:],
            "bottom": [low / 10] * len(asks),
            "top": asks,
        },
        name="steps",
    )
    plot.quad(
        left="left",
        right="right",
        bottom="bottom",
        top="top",
        source=boxes,
        fill_color=palette.mechanism(chart.mechanism),
        line_color=palette["surface"],
        line_width=1,
    )
    x, y = _outline(chart.steps, low)
    line = ColumnDataSource({"x": x, "y": y}, name="outline")
    plot.line("x", "y", source=line, line_color=palette["ink"], line_width=2)
    handles = ColumnDataSource({"x": edges[1:], "y": asks}, name="handles")
    marks = plot.scatter(
        "x",
        "y",
        source=handles,
        marker="square",
        size=HANDLE_PX,
        fill_color=palette["surface"],
        line_color=palette["ink"],
        line_width=1.6,
        selection_fill_color=palette["accent"],
        nonselection_fill_alpha=1,
        nonselection_line_alpha=1,
    )
    tool = PointDrawTool(renderers=[marks], add=False)
    plot.add_tools(tool)
    plot.toolbar.active_multi = tool


def _outline(steps: Sequence[tuple[float, float]], low: float) -> tuple[list[float], list[float]]:
    x, y, at = [], [], 0.0
    for kw, ask in steps:
        x += [at, at + kw]
        y += [max(ask, low)] * 2
        at += kw
    return x, y


@dataclass(frozen=True, kw_only=True)
class EffectChart:
    """Load in kW at t = 0…47 without and with a bid; `contract_kw` is the contract's demand."""

    base_kw: Sequence[float]
    with_kw: Sequence[float]
    contract_kw: float | None
    window: tuple[int, int] | None
    words: dict[str, str]  # contract, less, more


def effect_figure(chart: EffectChart, palette: Palette) -> figure:
    """Draw what a bid does to the load: less is UP's colour, more is DOWN's."""
    values = [*chart.base_kw, *chart.with_kw]
    spread = max(max(values) - min(values), 1.0)
    shows_contract = chart.contract_kw is not None and chart.contract_kw < max(values) + 2 * spread
    top = max(*values, chart.contract_kw or 0) if shows_contract else max(values)
    plot = day_figure(min(values) - 0.15 * spread, top + 0.15 * spread)
    if chart.window is not None:
        plot.add_layout(
            BoxAnnotation(
                left=chart.window[0],
                right=chart.window[1],
                fill_color=palette["accent"],
                fill_alpha=0.07,
                line_color=None,
            )
        )
    for is_less, colour in ((True, palette["up"]), (False, palette["down"])):
        at = [
            t
            for t, (base, now) in enumerate(zip(chart.base_kw, chart.with_kw, strict=True))
            if (now < base if is_less else now > base)
        ]
        plot.quad(
            left=at,
            right=[t + 1 for t in at],
            bottom=[min(chart.base_kw[t], chart.with_kw[t]) for t in at],
            top=[max(chart.base_kw[t], chart.with_kw[t]) for t in at],
            fill_color=colour,
            fill_alpha=0.32,
            line_color=None,
        )
    x, y = stairs(chart.base_kw)
    plot.line(x, y, line_color=palette["ink-2"], line_width=1.4, line_dash=[5, 3])
    x, y = stairs(chart.with_kw)
    plot.line(x, y, line_color=palette["ink"], line_width=1.8)
    if shows_contract and chart.contract_kw is not None:
        plot.add_layout(
            Span(location=chart.contract_kw, dimension="width", line_color=palette["crit"])
        )
        label(
            plot, 0, chart.contract_kw, chart.words["contract"],
            text_color=palette["crit"], x_offset=4, y_offset=2,
        )  # fmt: skip
    return plot


@dataclass(frozen=True, kw_only=True)
class PastChart:
    """Earnings of past days: cost and gain in yen."""

    days: Sequence[str]
    cost_jpy: Sequence[float]
    gain_jpy: Sequence[float]


def past_figure(chart: PastChart, palette: Palette) -> figure:
    """Draw cost and what is left of it, a bar per day, in thousand yen."""
    cost = [value / MONEY_UNIT_JPY for value in chart.cost_jpy]
    gain = [value / MONEY_UNIT_JPY for value in chart.gain_jpy]
    tops = [c + max(g, 0) for c, g in zip(cost, gain, strict=True)]
    lows = [min(g, 0.0) for g in gain]
    marks = ticks(min([*lows, 0.0]), max([*tops, 1.0]) * 1.12, 3)
    plot = figure(sizing_mode="stretch_both", tools="")
    plot.x_range = Range1d(0, max(len(chart.days), 1))
    plot.y_range = Range1d(marks[0], marks[-1])
    middles = [i + 0.5 for i in range(len(chart.days))]
    plot.xaxis.ticker = FixedTicker(ticks=middles)
    plot.xaxis.major_label_overrides = dict(zip(middles, chart.days, strict=True))
    plot.yaxis.ticker = FixedTicker(ticks=marks)
    plot.yaxis.major_label_overrides = {mark: number(mark, 0) for mark in marks}
    plot.xgrid.grid_line_color = None
    left = [i + 0.22 for i in range(len(chart.days))]
    right = [i + 0.78 for i in range(len(chart.days))]
    plot.quad(
        left=left, right=right, bottom=0, top=cost, fill_color=palette["ink-3"], line_color=None
    )
    plot.quad(
        left=left,
        right=right,
        bottom=[c if g >= 0 else 0.0 for c, g in zip(cost, gain, strict=True)],
        top=[c + g if g >= 0 else g for c, g in zip(cost, gain, strict=True)],
        fill_color=palette["up"],
        fill_alpha=0.5,
        line_color=None,
    )
    for i, (top, value) in enumerate(zip(tops, gain, strict=True)):
        label(
            plot, i + 0.5, top, number(value, 0),
            text_align="center", text_color=palette["up"], text_font_style="bold", y_offset=2,
        )  # fmt: skip
    return plot


@dataclass(frozen=True, kw_only=True)
class PositionChart:
    """What was awarded for a day in kW: UP by mechanism above zero, DOWN below."""

    parts: Sequence[tuple[str, str, Sequence[float]]]
    down_kw: Sequence[float]
    now_t: float | None
    words: dict[str, str]  # now, down


def position_figure(chart: PositionChart, palette: Palette) -> figure:
    """Draw the position of a day."""
    sums = [sum(part[2][t] for part in chart.parts) for t in range(HALF_HOURS)]
    plot = day_figure(-max(chart.down_kw) * 1.12, max([*sums, 1.0]) * 1.12)
    if chart.now_t is not None:
        plot.add_layout(
            BoxAnnotation(left=0, right=chart.now_t, fill_color=palette["sunken"], line_color=None)
        )
    floor = [0.0] * HALF_HOURS
    bars = []
    for mechanism, name, part in chart.parts:
        colour = palette.mechanism(mechanism)
        bars.append(_bars(plot, floor, part, name=name, colour=colour, edge=palette["surface"]))
        floor = [a + b for a, b in zip(floor, part, strict=True)]
    below = [-value for value in chart.down_kw]
    bars.append(
        _bars(
            plot,
            [0.0] * HALF_HOURS,
            below,
            name=chart.words["down"],
            colour=palette["down"],
            edge=palette["surface"],
        )
    )
    plot.add_layout(Span(location=0, dimension="width", line_color=palette["line-strong"]))
    if chart.now_t is not None:
        plot.add_layout(Span(location=chart.now_t, dimension="height", line_color=palette["ink"]))
        label(
            plot, chart.now_t, plot.y_range.end, chart.words["now"],
            x_offset=4, y_offset=-14, text_color=palette["ink"], text_font_style="bold",
        )  # fmt: skip
    plot.add_tools(
        HoverTool(renderers=bars, tooltips=[("", "@name @kw kW"), ("", "@when")], mode="mouse")
    )
    return plot


def _bars(
    plot: figure,
    floor: Sequence[float],
    part: Sequence[float],
    *,
    name: str,
    colour: str,
    edge: str,
) -> object:
    at = [t for t in range(HALF_HOURS) if part[t]]
    source = ColumnDataSource(
        {
            "left": [t + 0.06 for t in at],
            "right": [t + 0.94 for t in at],
            "bottom": [floor[t] for t in at],
            "top": [floor[t] + part[t] for t in at],
            "name": [name for _ in at],
            "kw": [number(abs(part[t]), 0) for t in at],
            "when": [koma_full(t) for t in at],
        }
    )
    return plot.quad(
        left="left",
        right="right",
        bottom="bottom",
        top="top",
        source=source,
        fill_color=colour,
        line_color=edge,
        line_width=1,
    )


@dataclass(frozen=True, kw_only=True)
class DeliveryChart:
    """Baseline and meter in kW at t = 0…47, NaN where unknown; ordered kW, negative is less."""

    base_kw: Sequence[float]
    meter_kw: Sequence[float]
    order_kw: Sequence[float]
    tolerance_ratio: float
    words: dict[str, str]  # base, meter


def delivery_figure(chart: DeliveryChart, palette: Palette) -> figure:
    """Draw meter against baseline, with the band in which an order counts as delivered."""
    known = [value for value in (*chart.base_kw, *chart.meter_kw) if not math.isnan(value)] or [0.0]
    target = [base + order for base, order in zip(chart.base_kw, chart.order_kw, strict=True)]
    at = [t for t in range(HALF_HOURS) if chart.order_kw[t] and not math.isnan(target[t])]
    known += [target[t] for t in at]
    spread = max(max(known) - min(known), 1.0)
    plot = day_figure(min(known) - 0.12 * spread, max(known) + 0.12 * spread)
    if at:
        plot.add_layout(
            BoxAnnotation(
                left=at[0],
                right=at[-1] + 1,
                fill_color=palette["up"],
                fill_alpha=0.06,
                line_color=None,
            )
        )
    width = [abs(chart.order_kw[t]) * chart.tolerance_ratio for t in at]
    plot.quad(
        left=at,
        right=[t + 1 for t in at],
        bottom=[target[t] - w for t, w in zip(at, width, strict=True)],
        top=[target[t] + w for t, w in zip(at, width, strict=True)],
        fill_color=palette["ink-3"],
        fill_alpha=0.22,
        line_color=None,
    )
    x, y = stairs(chart.base_kw)
    plot.line(x, y, line_color=palette["ink-2"], line_width=1.5, line_dash=[5, 3])
    x, y = stairs(chart.meter_kw)
    plot.line(x, y, line_color=palette["up"], line_width=2)
    return plot
