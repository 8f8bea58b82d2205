"""Every door of the API, one line each; a noun's doors stand in the module of its name."""

from __future__ import annotations

from django.urls import URLPattern

from aggregator.api.v1 import schema

app_name = "v1"
urlpatterns: list[URLPattern] = [
    *schema.urlpatterns,
]
