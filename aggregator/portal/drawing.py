"""The one door to Bokeh: a chart at a time, and Bokeh itself loaded behind the door."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from aggregator.portal.tokens import Palette

_BOKEH = threading.Lock()


def drawn(build: Callable[[], tuple[Any, Any]], *, palette: Palette) -> bytes:
    """Return the JSON of the chart that `build` makes.

    While it is imported, Bokeh switches the validation of its properties off and on again by a
    variable of the process. Threads that import parts of it at once can leave it off for good,
    and then a colour by field is written as a constant that no browser understands. So `build`
    imports the charts it draws with, and only one thread at a time is in there.

    Parameters
    ----------
    build
        Returns a figure, and what our script needs beside it.
    """
    with _BOKEH:
        from bokeh.core.property.validation import validate

        from aggregator.portal.charts.item import chart_bytes

        validate(True)  # noqa: FBT003 - Bokeh's own switch, whoever left it off
        return chart_bytes(build(), palette=palette)
