"""Every door of the API, one line each; a noun's doors stand in the module of its name."""

from __future__ import annotations

from django.urls import URLPattern, re_path

from aggregator.api.v1 import (
    availabilities,
    instructions,
    schema,
)
from aggregator.api.v1.base import Nowhere

app_name = "v1"
urlpatterns: list[URLPattern] = [
    *availabilities.urlpatterns,
    *instructions.urlpatterns,
    *schema.urlpatterns,
    # last: whatever is no door is refused as a door refuses
    re_path("", Nowhere.as_view(), name="nowhere"),
]
