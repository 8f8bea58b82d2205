"""Premises: their operator sees all, their grid operator what concerns the grid."""

from __future__ import annotations

from typing import Any, ClassVar, Final

from django.urls import URLPattern, path
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.parties.sight import Sight
from aggregator.api.v1.access import Access
from aggregator.api.v1.asked import body_of, flag_of, query_of
from aggregator.api.v1.base import Door
from aggregator.api.v1.registry_rows import (
    VERSION_TOLD,
    acting_code,
    coded,
    exact,
    kw,
    listed,
    one,
    organisation_of,
    pages_of,
    paths_of_body,
    ratio,
    read,
    shown,
)
from aggregator.api.v1.schema import IF_MATCH, PAGED
from market.registry import selectors
from market.registry.models import Site
from market.registry.services import SiteDetails, site_register
from market.registry.site_services import SITE_CHANGES, site_change, site_retire

NUMBERS: Final = frozenset({"contract_kw", "loss_ratio", "longitude_deg", "latitude_deg"})
REGISTERED: Final = (
    "code",
    "name",
    "name_en",
    "bus_code",
    "area",
    "point_number",
    "contract_kw",
    "loss_ratio",
    "longitude_deg",
    "latitude_deg",
)
REPLACED: Final = tuple(name for name in SITE_CHANGES if name not in ("labels", "retailer"))


def _degrees(most: int) -> serializers.DecimalField:
    return serializers.DecimalField(max_digits=9, decimal_places=5, min_value=-most, max_value=most)


class SiteChanged(serializers.Serializer[Any]):
    """What may change of a site; left out of a PATCH, it stays."""

    name = serializers.CharField(max_length=80)
    name_en = serializers.CharField(max_length=80)
    bus_code = coded("A bus of the area in the latest version of a grid model.")
    contract_kw = kw("Contract power, kW.")
    longitude_deg = _degrees(180)
    latitude_deg = _degrees(90)
    labels = serializers.ListField(
        child=serializers.CharField(max_length=40),
        required=False,
        help_text="Where data lives, e.g. `country:JP`. Left out of a PUT = none.",
    )
    retailer = coded(
        "Code of its retailer. Left out of a PUT = none.", allow_null=True, required=False
    )


class SiteGiven(SiteChanged):
    """A site to register; its parties, code, point, area and loss ratio stay as they are then."""

    code = coded("Chosen by you, unique.")
    area = coded("Code of its balancing area.")
    point_number = serializers.RegexField(
        r"^(0[1-9]|10)[0-9]{20}$", help_text="供給地点特定番号: 22 digits that begin with the area."
    )
    loss_ratio = ratio("Lost on the way from the sending end, as a share of what is sent.")
    facility_owner = coded("Code of who owns the building; you, if left out.", required=False)
    organisation = coded(
        "Code of the organisation you act for, where you may for several.", required=False
    )


class SiteWritten(serializers.Serializer[Any]):
    """A site. Commercial fields are there for its operator and the market's desk only."""

    code = coded("Its code.")
    name = serializers.CharField()
    name_en = serializers.CharField()
    organisation = coded("Code of its operator.")
    area = coded("Code of its balancing area.")
    bus_code = serializers.CharField()
    point_number = serializers.CharField(help_text="供給地点特定番号")
    contract_kw = kw()
    loss_ratio = ratio("Lost on the way from the sending end.")
    scale_class = coded("Class of size.", allow_null=True)
    longitude_deg = _degrees(180)
    latitude_deg = _degrees(90)
    retired_at = serializers.DateTimeField(allow_null=True)
    version = serializers.IntegerField()
    facility_owner = coded("Commercial.", required=False)
    retailer = coded("Commercial.", allow_null=True, required=False)
    labels = serializers.ListField(
        child=serializers.CharField(), required=False, help_text="Commercial."
    )


def site_written(site: Site, seen_by: Sight) -> dict[str, Any]:
    """Print what the caller may see of a site."""
    body = {
        "code": site.code,
        "name": site.name,
        "name_en": site.name_en,
        "organisation": site.organisation.code,
        "area": site.area_id,
        "bus_code": site.bus_code,
        "point_number": site.point_number,
        "contract_kw": site.contract_kw,
        "loss_ratio": site.loss_ratio,
        "scale_class": site.scale_class_id,
        "longitude_deg": site.longitude_deg,
        "latitude_deg": site.latitude_deg,
        "retired_at": site.retired_at,
        "version": site.version,
    }
    if selectors.sees_trade_of(site, seen_by=seen_by):
        body |= {
            "facility_owner": site.facility_owner.code,
            "retailer": None if site.retailer is None else site.retailer.code,
            "labels": site.labels,
        }
    return body


class Sites(Door):
    """Sites the caller may see; a new one."""

    access: ClassVar[Access] = {"GET": "site.read", "POST": "site.change"}

    @extend_schema(
        operation_id="site_list",
        summary="List sites",
        description="Your own, those in facilities of yours, those in your area.",
        tags=["sites"],
        parameters=[
            *PAGED,
            OpenApiParameter("area", OpenApiTypes.STR, description="Only in this area."),
            OpenApiParameter(
                "organisation", OpenApiTypes.STR, description="Only of this operator."
            ),
            OpenApiParameter(
                "is_retired", OpenApiTypes.BOOL, description="Only retired ones, or only others."
            ),
        ],
        responses={200: pages_of(SiteWritten, "Site")},
    )
    def get(self, request: Request) -> Response:
        """In order of code."""
        asked = query_of(request, "area", "organisation", "is_retired")
        only: dict[str, Any] = {}
        if "area" in asked:
            only["area"] = asked["area"]
        if "organisation" in asked:
            only["organisation__code"] = asked["organisation"]
        if "is_retired" in asked:
            only["retired_at__isnull"] = not flag_of(asked["is_retired"], field="is_retired")
        seen_by = self.sight
        rows = [way.filter(**only) for way in selectors.sites_by_way(seen_by=seen_by)]
        return listed(request, rows, lambda s: site_written(s, seen_by), key=("code",))

    @extend_schema(
        operation_id="site_create",
        summary="Register a site",
        tags=["sites"],
        parameters=[VERSION_TOLD],
        request=SiteGiven,
        responses={201: SiteWritten},
    )
    def post(self, request: Request) -> Response:
        """Register premises of the organisation acted for."""
        body = body_of(
            request,
            required=REGISTERED,
            optional=("labels", "retailer", "facility_owner", "organisation"),
        )
        operator = self.sight.acting_for("site.change", acting_code(body.get("organisation")))
        owner, retailer = body.get("facility_owner"), body.get("retailer")
        details = exact({name: body[name] for name in REGISTERED if name != "area"}, NUMBERS)
        with paths_of_body("site", area_code="area"):
            site = site_register(
                organisation=operator,
                facility_owner=operator
                if owner is None
                else organisation_of(owner, field="facility_owner"),
                retailer=None if retailer is None else organisation_of(retailer, field="retailer"),
                details=SiteDetails(
                    area_code=body["area"], labels=body.get("labels") or (), **details
                ),
            )
        site = one(selectors.sites_seen(seen_by=self.sight), code=site.code)
        return shown(site, site_written(site, self.sight), status=201)


class OneSite(Door):
    """A site."""

    access: ClassVar[Access] = {"GET": "site.read", "PUT": "site.change", "PATCH": "site.change"}

    @extend_schema(
        operation_id="site",
        summary="Show a site",
        tags=["sites"],
        parameters=[VERSION_TOLD],
        responses={200: SiteWritten},
    )
    def get(self, request: Request, code: str) -> Response:
        """Show what the caller may see of it."""
        query_of(request, is_list=False)
        site = one(selectors.sites_seen(seen_by=self.sight), code=code)
        return shown(site, site_written(site, self.sight))

    @extend_schema(
        operation_id="site_replace",
        summary="Replace what may change of a site",
        tags=["sites"],
        parameters=[VERSION_TOLD],
        request=SiteChanged,
        responses={200: SiteWritten},
    )
    def put(self, request: Request, code: str) -> Response:
        """All that may change is given; labels and retailer left out are none."""
        body = body_of(request, required=REPLACED, optional=("labels", "retailer"))
        return self._change(request, code, {"labels": [], "retailer": None, **body})

    @extend_schema(
        operation_id="site_change",
        summary="Change some of a site",
        tags=["sites"],
        parameters=[VERSION_TOLD],
        request=SiteChanged(partial=True),
        responses={200: SiteWritten},
    )
    def patch(self, request: Request, code: str) -> Response:
        """Only what is given changes."""
        return self._change(request, code, dict(body_of(request, optional=SITE_CHANGES)))

    def _change(self, request: Request, code: str, body: dict[str, Any]) -> Response:
        site, version = read(request, selectors.sites_changed_by(seen_by=self.sight), code=code)
        if body.get("retailer") is not None:
            body["retailer"] = organisation_of(body["retailer"], field="retailer")
        site_change(site=site, version=version, fields=exact(body, NUMBERS))
        site = one(selectors.sites_seen(seen_by=self.sight), code=code)
        return shown(site, site_written(site, self.sight))


class SiteRetirement(Door):
    """The end of a site; its row stays."""

    access: ClassVar[Access] = {"POST": "site.change"}

    @extend_schema(
        operation_id="site_retire",
        summary="Take a site out of use",
        description="Its resources are retired before. It is kept for the record.",
        tags=["sites"],
        parameters=[IF_MATCH, VERSION_TOLD],
        request=None,
        responses={200: SiteWritten},
    )
    def post(self, request: Request, code: str) -> Response:
        """Nothing is deleted."""
        body_of(request)
        site, version = read(request, selectors.sites_changed_by(seen_by=self.sight), code=code)
        site_retire(site=site, version=version)
        site = one(selectors.sites_seen(seen_by=self.sight), code=code)
        return shown(site, site_written(site, self.sight))


urlpatterns: list[URLPattern] = [
    path("sites", Sites.as_view(), name="site-list"),
    path("sites/<slug:code>", OneSite.as_view(), name="site"),
    path("sites/<slug:code>/retire", SiteRetirement.as_view(), name="site-retire"),
]
