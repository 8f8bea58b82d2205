"""Paths of this package; the names live in the namespace ``portal``."""

from __future__ import annotations

from django.urls import URLPattern

urlpatterns: list[URLPattern] = []
