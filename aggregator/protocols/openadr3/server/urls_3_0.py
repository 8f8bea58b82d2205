"""Paths of OpenADR 3.0.1, over the same objects; resources lie under their vens."""

from django.urls import URLPattern, path, re_path

from aggregator.protocols.openadr3.legacy import VERSION
from aggregator.protocols.openadr3.models import ObjectKind
from aggregator.protocols.openadr3.server import auth
from aggregator.protocols.openadr3.server.base import MissingView
from aggregator.protocols.openadr3.server.objects import ListView, OneView
from aggregator.protocols.openadr3.server.urls import NOUNS

app_name = "openadr3_0"
urlpatterns: list[URLPattern] = [
    path("auth/token", auth.TokenView.as_view(version=VERSION), name="token"),
]
for _noun, _kind in NOUNS.items():
    _base = "vens/<str:ven_id>/resources" if _kind == ObjectKind.RESOURCE else _noun
    urlpatterns += [
        path(_base, ListView.as_view(kind=_kind, version=VERSION), name=_noun),
        path(
            f"{_base}/<str:object_id>",
            OneView.as_view(kind=_kind, version=VERSION),
            name=_kind.lower(),
        ),
    ]
urlpatterns.append(re_path("", MissingView.as_view(version=VERSION), name="missing"))
