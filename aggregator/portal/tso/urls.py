"""Paths of this package; the names live in the namespace ``portal``."""

from __future__ import annotations

from django.urls import URLPattern, path

from aggregator.portal.tso import needs, pages, sheets

urlpatterns: list[URLPattern] = [
    path("", pages.home, name="tso_home"),
    path("network/", pages.network_latest, name="tso_network_latest"),
    path("network/<iso_day:day>/", pages.network, name="tso_network"),
    path("auctions/<slug:code>/needs/new/", needs.need_new, name="tso_need_new"),
    path("auctions/<slug:code>/needs/upload/", sheets.upload, name="tso_needs_upload"),
    path("auctions/<slug:code>/needs.csv", sheets.needs_csv, name="tso_needs_csv"),
    path("needs/<uuid:need_id>/", needs.need_edit, name="tso_need_edit"),
    path("needs/<uuid:need_id>/withdraw/", needs.need_take_back, name="tso_need_withdraw"),
    path("approvals/", needs.approvals, name="tso_approvals"),
    path("approvals/<uuid:approval_id>/", needs.approval, name="tso_approval"),
    path("results/", pages.results_latest, name="tso_results"),
    path("results/<iso_day:day>/", pages.results, name="tso_results_day"),
    path("results/<iso_day:day>/lines.csv", pages.effects_csv, name="tso_effects_csv"),
    path("results/<iso_day:day>/certificate.json", pages.certificate, name="tso_certificate"),
]
