"""Paths of the OpenADR 3.1 server."""

from django.urls import URLPattern

urlpatterns: list[URLPattern] = []
