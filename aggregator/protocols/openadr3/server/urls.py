"""Paths of the OpenADR 3.1 server."""

from django.urls import URLPattern, path, re_path

from aggregator.protocols.openadr3.server import (
    auth,
    events,
    programs,
    reports,
    resources,
    vens,
)
from aggregator.protocols.openadr3.server.base import MissingView

app_name = "openadr3"
urlpatterns: list[URLPattern] = [
    path("auth/server", auth.AuthServerView.as_view(), name="auth-server"),
    path("auth/token", auth.TokenView.as_view(), name="token"),
    path("programs", programs.ProgramListView.as_view(), name="programs"),
    path("programs/<str:program_id>", programs.ProgramView.as_view(), name="program"),
    path("events", events.EventListView.as_view(), name="events"),
    path("events/<str:event_id>", events.EventView.as_view(), name="event"),
    path("reports", reports.ReportListView.as_view(), name="reports"),
    path("reports/<str:report_id>", reports.ReportView.as_view(), name="report"),
    path("vens", vens.VenListView.as_view(), name="vens"),
    path("vens/<str:ven_id>", vens.VenView.as_view(), name="ven"),
    path("resources", resources.ResourceListView.as_view(), name="resources"),
    path("resources/<str:resource_id>", resources.ResourceView.as_view(), name="resource"),
    re_path("", MissingView.as_view(), name="missing"),
]
