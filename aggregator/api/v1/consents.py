"""Consents of facility owners that a tenant sells a site's flexibility."""

from __future__ import annotations

from typing import Any, ClassVar

from django.urls import URLPattern, path
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from aggregator.api.v1.access import Access
from aggregator.api.v1.asked import body_of, day_of, query_of
from aggregator.api.v1.base import Door
from aggregator.api.v1.registry_rows import (
    VERSION_TOLD,
    acting_code,
    coded,
    day,
    listed,
    one,
    organisation_of,
    pages_of,
    read,
    shown,
)
from aggregator.api.v1.schema import IF_MATCH, PAGED
from market.registry import selectors
from market.registry.agreement_services import consent_grant, consent_withdraw
from market.registry.changes import market_today
from market.registry.models import Consent


class ConsentGiven(serializers.Serializer[Any]):
    """A consent of the owner of the site's facility."""

    site = coded("Code of a site in a facility of yours.")
    granted_to = coded("Code of who may sell; its operator, if left out.", required=False)
    valid_from_on = day("First delivery date it holds for.")
    valid_to_on = day("First it holds for no more.", required=False, allow_null=True)
    organisation = coded(
        "Code of the organisation you act for, where you may for several.", required=False
    )


class ConsentWithdrawn(serializers.Serializer[Any]):
    """The end of a consent."""

    valid_to_on = day(
        "First delivery date it holds for no more; today, if left out.", required=False
    )


class ConsentWritten(serializers.Serializer[Any]):
    """A consent, for delivery dates from (included) to (excluded)."""

    id = serializers.UUIDField()
    site = coded("Code of the site.")
    granted_by = coded("Code of the facility's owner.")
    granted_to = coded("Code of the tenant.")
    valid_from_on = day()
    valid_to_on = day(allow_null=True)
    version = serializers.IntegerField()


def consent_written(consent: Consent) -> dict[str, Any]:
    """Print a consent."""
    return {
        "id": consent.id,
        "site": consent.site.code,
        "granted_by": consent.granted_by.code,
        "granted_to": consent.granted_to.code,
        "valid_from_on": consent.valid_from_on,
        "valid_to_on": consent.valid_to_on,
        "version": consent.version,
    }


class Consents(Door):
    """Consents the caller gave or got; a new one."""

    access: ClassVar[Access] = {"GET": "site.read", "POST": "consent.grant"}

    @extend_schema(
        operation_id="consent_list",
        summary="List consents, given and got",
        tags=["consents"],
        parameters=[
            *PAGED,
            OpenApiParameter("site", OpenApiTypes.STR, description="Only for this site."),
        ],
        responses={200: pages_of(ConsentWritten, "Consent")},
    )
    def get(self, request: Request) -> Response:
        """In order of id."""
        asked = query_of(request, "site")
        only = {"site__code": asked["site"]} if "site" in asked else {}
        rows = [way.filter(**only) for way in selectors.consents_by_way(seen_by=self.sight)]
        return listed(request, rows, consent_written)

    @extend_schema(
        operation_id="consent_grant",
        summary="Consent that a tenant sells a site's flexibility",
        tags=["consents"],
        parameters=[VERSION_TOLD],
        request=ConsentGiven,
        responses={201: ConsentWritten},
    )
    def post(self, request: Request) -> Response:
        """Only the owner of the site's facility may."""
        body = body_of(
            request,
            required=("site", "valid_from_on"),
            optional=("granted_to", "valid_to_on", "organisation"),
        )
        granted_by = self.sight.acting_for("consent.grant", acting_code(body.get("organisation")))
        site = one(selectors.sites_seen(seen_by=self.sight), code=str(body["site"]))
        to, to_on = body.get("granted_to"), body.get("valid_to_on")
        consent = consent_grant(
            site=site,
            granted_by=granted_by,
            granted_to=site.organisation if to is None else organisation_of(to, field="granted_to"),
            valid_from_on=day_of(body["valid_from_on"], field="valid_from_on"),
            valid_to_on=None if to_on is None else day_of(to_on, field="valid_to_on"),
        )
        return shown(consent, consent_written(consent), status=201)


class OneConsent(Door):
    """A consent."""

    access: ClassVar[Access] = {"GET": "site.read"}

    @extend_schema(
        operation_id="consent",
        summary="Show a consent",
        tags=["consents"],
        parameters=[VERSION_TOLD],
        responses={200: ConsentWritten},
    )
    def get(self, request: Request, consent_id: Any) -> Response:
        """For both sides."""
        query_of(request, is_list=False)
        consent = one(selectors.consents_seen(seen_by=self.sight), id=consent_id)
        return shown(consent, consent_written(consent))


class ConsentEnd(Door):
    """The end of a consent."""

    access: ClassVar[Access] = {"POST": "consent.grant"}

    @extend_schema(
        operation_id="consent_withdraw",
        summary="Withdraw a consent",
        description="From a delivery date on, today (JST) or later; bids in a book stay.",
        tags=["consents"],
        parameters=[IF_MATCH, VERSION_TOLD],
        request=ConsentWithdrawn,
        responses={200: ConsentWritten},
    )
    def post(self, request: Request, consent_id: Any) -> Response:
        """Only who gave it may."""
        body = body_of(request, optional=("valid_to_on",))
        rows = selectors.consents_changed_by(seen_by=self.sight)
        consent, version = read(request, rows, id=consent_id)
        to_on = body.get("valid_to_on")
        consent_withdraw(
            consent=consent,
            version=version,
            valid_to_on=market_today() if to_on is None else day_of(to_on, field="valid_to_on"),
        )
        consent = one(selectors.consents_seen(seen_by=self.sight), id=consent_id)
        return shown(consent, consent_written(consent))


urlpatterns: list[URLPattern] = [
    path("consents", Consents.as_view(), name="consent-list"),
    path("consents/<uuid:consent_id>", OneConsent.as_view(), name="consent"),
    path("consents/<uuid:consent_id>/withdraw", ConsentEnd.as_view(), name="consent-withdraw"),
]
