"""Paths of this package; the names live in the namespace ``portal``."""

from __future__ import annotations

from django.urls import URLPattern, path

from aggregator.portal.public import pages

urlpatterns: list[URLPattern] = [
    path("", pages.archive, name="pub_archive"),
    path("verify/", pages.verify, name="pub_verify"),
    path("downloads/", pages.downloads, name="pub_downloads"),
    path("<iso_day:day>/", pages.congestion, name="pub_congestion"),
    path("<iso_day:day>/certificate.json", pages.certificate, name="pub_certificate"),
    path("<iso_day:day>/<slug:name>.csv", pages.sheet, name="pub_sheet"),
]
