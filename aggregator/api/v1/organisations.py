"""Legal parties: one's own, and all of them for who runs the market."""

from __future__ import annotations

from typing import Any, ClassVar, Final

from django.urls import URLPattern, path
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.core.errors import NotPermitted
from accounts.parties.members import organisation_change
from accounts.parties.models import Organisation, OrganisationKind
from accounts.parties.selectors import organisations_seen
from accounts.parties.services import organisation_register
from accounts.parties.sight import Sight
from aggregator.api.v1.access import SIGNED_IN, Access
from aggregator.api.v1.asked import body_of, choice_of, query_of
from aggregator.api.v1.base import Door
from aggregator.api.v1.pagination import page
from aggregator.api.v1.registry_rows import VERSION_TOLD, acting_code, coded, one, pages_of, read
from aggregator.api.v1.registry_rows import shown as _shown
from aggregator.api.v1.schema import PAGED

CHANGES: Final = ("name", "name_en", "registration_number")
REGISTERED: Final = ("code", "kind", "name", "name_en")


class OrganisationChanged(serializers.Serializer[Any]):
    """What may change of an organisation."""

    name = serializers.CharField(max_length=120)
    name_en = serializers.CharField(max_length=120)
    registration_number = serializers.RegexField(
        r"^(T[1-9][0-9]{12})?$", required=False, help_text="適格請求書発行事業者の登録番号"
    )


class OrganisationGiven(OrganisationChanged):
    """A new organisation."""

    code = coded("Chosen once, unique.")
    kind = serializers.ChoiceField(choices=OrganisationKind.values)


class OrganisationWritten(OrganisationGiven):
    """An organisation."""

    version = serializers.IntegerField()


def organisation_written(row: Organisation) -> dict[str, Any]:
    """Print an organisation."""
    return {
        "code": row.code,
        "kind": row.kind,
        "name": row.name,
        "name_en": row.name_en,
        "registration_number": row.registration_number,
        "version": row.version,
    }


def organisation_for(sight: Sight, action: str, value: Any) -> Organisation:
    """Return the organisation that a change is for: one's own, or any for who runs the market.

    Raises
    ------
    Stopped
        ``not-found``, where one names another's that may not be seen.
    NotPermitted
        If the caller may not do it there, or does not say for which of several.
    """
    code = acting_code(value)
    if code is None:
        return sight.acting_for(action)
    row = one(organisations_seen(seen_by=sight), code=code)
    if not sight.may(action, row.id):
        raise NotPermitted(field="organisation", value=code, rule=f"one where you may do {action}")
    return row


class Organisations(Door):
    """Organisations the caller may see; a new one."""

    access: ClassVar[Access] = {"GET": SIGNED_IN, "POST": "organisation.register"}

    @extend_schema(
        operation_id="organisation_list",
        summary="List organisations",
        description="Your own; all of them for who runs the market.",
        tags=["organisations"],
        parameters=[
            *PAGED,
            OpenApiParameter("kind", OpenApiTypes.STR, enum=sorted(OrganisationKind.values)),
        ],
        responses={200: pages_of(OrganisationWritten, "Organisation")},
    )
    def get(self, request: Request) -> Response:
        """In order of code."""
        asked = query_of(request, "kind")
        rows = organisations_seen(seen_by=self.sight)
        if "kind" in asked:
            rows = rows.filter(kind=choice_of(asked["kind"], OrganisationKind.values, field="kind"))
        return Response(page(request, rows, organisation_written, key=("code",)))

    @extend_schema(
        operation_id="organisation_create",
        summary="Register an organisation",
        description="Administrators of the market only.",
        tags=["organisations"],
        parameters=[VERSION_TOLD],
        request=OrganisationGiven,
        responses={201: OrganisationWritten},
    )
    def post(self, request: Request) -> Response:
        """Register a legal party."""
        if not self.sight.may_everywhere("organisation.register"):
            raise NotPermitted(
                field="organisation", value=None, rule="for administrators of the market"
            )
        body = body_of(request, required=REGISTERED, optional=("registration_number",))
        row = organisation_register(**{"registration_number": "", **body})
        return _shown(row, organisation_written(row), status=201)


class OneOrganisation(Door):
    """An organisation."""

    access: ClassVar[Access] = {"GET": SIGNED_IN, "PATCH": "organisation.change"}

    @extend_schema(
        operation_id="organisation",
        summary="Show an organisation",
        tags=["organisations"],
        parameters=[VERSION_TOLD],
        responses={200: OrganisationWritten},
    )
    def get(self, request: Request, code: str) -> Response:
        """Show its names and number."""
        query_of(request, is_list=False)
        row = one(organisations_seen(seen_by=self.sight), code=code)
        return _shown(row, organisation_written(row))

    @extend_schema(
        operation_id="organisation_change",
        summary="Change names or registration number",
        tags=["organisations"],
        parameters=[VERSION_TOLD],
        request=OrganisationChanged(partial=True),
        responses={200: OrganisationWritten},
    )
    def patch(self, request: Request, code: str) -> Response:
        """Only what is given changes; code and kind never do."""
        organisation_for(self.sight, "organisation.change", code)
        row, _ = read(request, organisations_seen(seen_by=self.sight), code=code)
        row = organisation_change(code=row.code, changes=dict(body_of(request, optional=CHANGES)))
        return _shown(row, organisation_written(row))


urlpatterns: list[URLPattern] = [
    path("organisations", Organisations.as_view(), name="organisation-list"),
    path("organisations/<slug:code>", OneOrganisation.as_view(), name="organisation"),
]
