"""Paths of this package; the names live in the namespace ``portal``."""

from __future__ import annotations

from django.urls import URLPattern, path

from aggregator.portal import calling
from aggregator.portal.tso import (
    connections,
    costs,
    grid_models,
    limits,
    needs,
    pages,
    sheets,
)

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
    path("calls/", calling.grid_list, name="tso_calls"),
    path("calls/<uuid:award_id>/", calling.grid_page, name="tso_call"),
    path("results/", pages.results_latest, name="tso_results"),
    path("results/<iso_day:day>/", pages.results, name="tso_results_day"),
    path("results/<iso_day:day>/lines.csv", pages.effects_csv, name="tso_effects_csv"),
    path("results/<iso_day:day>/certificate.json", pages.certificate, name="tso_certificate"),
    path("connections/", connections.connection_list, name="tso_connections"),
    path("connections/new/", connections.connection_sites, name="tso_connection_sites"),
    path("connections/new/<uuid:site_id>/", connections.connection_new, name="tso_connection_new"),
    path("connections/<uuid:connection_id>/", connections.connection_page, name="tso_connection"),
    path(
        "connections/<uuid:connection_id>/limits/new/",
        limits.connection_limit_new,
        name="tso_connection_limit",
    ),
    path(
        "connections/<uuid:connection_id>/close/",
        connections.connection_close,
        name="tso_connection_close",
    ),
    path("costs/", costs.costs_latest, name="tso_costs"),
    path("costs/<iso_day:day>/", costs.costs, name="tso_costs_period"),
    path("costs/<iso_day:day>/costs.csv", costs.costs_csv, name="tso_costs_csv"),
    path("models/", grid_models.model_list, name="tso_models"),
    path("models/new/", grid_models.model_new, name="tso_model_new"),
]
