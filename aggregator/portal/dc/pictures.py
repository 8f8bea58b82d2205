"""Charts of this package as answers, and where a bid's page gets its numbers."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.utils.cache import get_conditional_response, patch_cache_control, patch_vary_headers

from aggregator.portal.drawing import drawn
from aggregator.portal.frame import theme_in
from aggregator.portal.tokens import THEMES, Palette


def chart_answer(request: HttpRequest, build: Callable[[Palette], Any]) -> HttpResponse:
    """Return a chart in the theme asked for; unchanged, it costs a 304.

    Parameters
    ----------
    build
        Makes the figure; it imports the charts it draws with.
    """
    wish = request.GET.get("theme") or theme_in(request)
    palette = Palette(theme="dark" if wish == THEMES[1] else "light")
    body = drawn(lambda: (build(palette), None), palette=palette)
    etag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
    answer = HttpResponse(body, content_type="application/json")
    answer["ETag"] = etag
    patch_cache_control(answer, private=True, no_cache=True)
    patch_vary_headers(answer, ("Cookie",))
    return get_conditional_response(request, etag=etag, response=answer) or answer
