"""Paths of the OpenADR 3.1 server."""

from django.urls import URLPattern, path, re_path

from aggregator.protocols.openadr3.models import ObjectKind
from aggregator.protocols.openadr3.server import auth
from aggregator.protocols.openadr3.server.base import MissingView
from aggregator.protocols.openadr3.server.objects import ListView, NotifiersView, OneView

NOUNS = {
    "programs": ObjectKind.PROGRAM,
    "events": ObjectKind.EVENT,
    "reports": ObjectKind.REPORT,
    "subscriptions": ObjectKind.SUBSCRIPTION,
    "vens": ObjectKind.VEN,
    "resources": ObjectKind.RESOURCE,
}
app_name = "openadr3"
urlpatterns: list[URLPattern] = [
    path("auth/server", auth.AuthServerView.as_view(), name="auth-server"),
    path("auth/token", auth.TokenView.as_view(), name="token"),
    path("notifiers", NotifiersView.as_view(), name="notifiers"),
]
for _noun, _kind in NOUNS.items():
    urlpatterns += [
        path(_noun, ListView.as_view(kind=_kind), name=_noun),
        path(f"{_noun}/<str:object_id>", OneView.as_view(kind=_kind), name=_kind.lower()),
    ]
urlpatterns.append(re_path("", MissingView.as_view(), name="missing"))
