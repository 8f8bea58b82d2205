"""The one door to Bokeh: a chart at a time, and Bokeh itself loaded behind the door."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any

from aggregator.portal.tokens import Palette

CHARTS_KEPT = 32
_BOKEH = threading.Lock()
_kept: OrderedDict[Hashable, bytes] = OrderedDict()


def drawn(build: Callable[[], tuple[Any, Any]], *, palette: Palette, key: Hashable = None) -> bytes:
    """Return the JSON of the chart that `build` makes.

    While it is imported, Bokeh switches the validation of its properties off and on again by a
    variable of the process. Threads that import parts of it at once can leave it off for good,
    and then a colour by field is written as a constant that no browser understands. So `build`
    imports the charts it draws with, and only one thread at a time is in there.

    Parameters
    ----------
    build
        Returns a figure, and what our script needs beside it.
    key
        Names what the chart is drawn of, if that never changes: the latest such charts are kept.
    """
    with _BOKEH:
        if key is not None and key in _kept:
            _kept.move_to_end(key)
            return _kept[key]
        from bokeh.core.property.validation import validate

        from aggregator.portal.charts.item import chart_bytes

        validate(True)  # noqa: FBT003 - Bokeh's own switch, whoever left it off
        body = chart_bytes(build(), palette=palette)
        if key is not None:
            _kept[key] = body
            if len(_kept) > CHARTS_KEPT:
                _kept.popitem(last=False)
        return body
