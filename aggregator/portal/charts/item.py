"""Turn a Bokeh figure into JSON that is the same for the same numbers."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from bokeh.embed import json_item
from bokeh.plotting import figure
from bokeh.themes import Theme

from aggregator.portal.tokens import FONT, Palette

LABEL_SIZE = "11px"
Drawing = tuple[figure, Mapping[str, Any] | None]


def bokeh_theme(palette: Palette) -> Theme:
    """House style of every chart: no frame, no toolbar, quiet axes."""
    text = {"text_font": FONT, "text_font_size": LABEL_SIZE}
    return Theme(
        json={
            "attrs": {
                "Plot": {
                    "background_fill_color": None,
                    "border_fill_color": None,
                    "outline_line_color": None,
                    "toolbar_location": None,
                    "min_border_left": 8,
                    "min_border_right": 12,
                    "min_border_top": 8,
                    "min_border_bottom": 4,
                },
                "Axis": {
                    "axis_line_color": None,
                    "major_tick_line_color": None,
                    "minor_tick_line_color": None,
                    "major_label_text_color": palette["ink-3"],
                    "major_label_text_font": FONT,
                    "major_label_text_font_size": LABEL_SIZE,
                    "major_label_standoff": 4,
                },
                "Grid": {"grid_line_color": palette["line"], "grid_line_width": 1},
                "Label": {"text_color": palette["ink-2"], **text},
                "Legend": {"visible": False},
            }
        }
    )


def chart_bytes(drawing: Drawing, *, palette: Palette) -> bytes:
    """Serialise a figure, and what our script needs beside it.

    Bokeh numbers its objects from a counter of the process, so two equal charts differ; here
    they are numbered again in order of appearance, and equal numbers give equal bytes.
    """
    plot, frames = drawing
    item = json_item(plot, theme=bokeh_theme(palette))
    answer = {"item": _renumbered(item, {}), "frames": frames}
    text = json.dumps(answer, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return text.encode()


def _renumbered(node: Any, known: dict[str, str]) -> Any:
    if isinstance(node, dict):
        return {
            key: known.setdefault(value, f"p{len(known) + 1}")
            if key in ("id", "root_id") and isinstance(value, str)
            else _renumbered(value, known)
            for key, value in node.items()
        }
    if isinstance(node, (list, tuple)):
        return [_renumbered(value, known) for value in node]
    return node
