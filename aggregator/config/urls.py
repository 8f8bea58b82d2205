"""Every door of the platform."""

from django.contrib import admin
from django.urls import include, path

from aggregator.portal.entrance import admin_door

urlpatterns = [
    path("api/v1/", include("aggregator.api.v1.urls")),
    path("admin/login/", admin_door),
    path("admin/", admin.site.urls),
    path("i18n/", include("django.conf.urls.i18n")),
    path("oauth/", include("aggregator.api.oauth")),
    path("openadr3/3.0.1/", include("aggregator.protocols.openadr3.server.urls_3_0")),
    path("openadr3/3.1.0/", include("aggregator.protocols.openadr3.server.urls")),
    path("shapeshifter/api/v3/", include("aggregator.protocols.uftp.urls")),
    path("", include("aggregator.portal.entrance_urls")),
    path("", include("aggregator.portal.urls")),
]
