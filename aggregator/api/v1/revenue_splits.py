"""How a site's receipts are shared: proposed by one side, in force once all have agreed."""

from __future__ import annotations

from typing import Any, ClassVar, Final

from django.urls import URLPattern, path
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.fields.checking import entries_checked
from aggregator.api.v1.access import Access
from aggregator.api.v1.asked import body_of, choice_of, day_of, list_of, query_of, text_of
from aggregator.api.v1.base import Door
from aggregator.api.v1.registry_rows import (
    VERSION_TOLD,
    acting_code,
    coded,
    day,
    exact,
    listed,
    one,
    organisation_of,
    pages_of,
    ratio,
    read,
    shown,
)
from aggregator.api.v1.schema import IF_MATCH, PAGED
from market.registry import selectors
from market.registry.agreement_services import (
    SHARE_DECIMALS,
    SHARES_MAX,
    Days,
    revenue_agreement_agree,
    revenue_agreement_end,
    revenue_agreement_propose,
)
from market.registry.models import AgreementState, RevenueAgreement

REASON_LENGTH_MAX: Final = 300


class ShareGiven(serializers.Serializer[Any]):
    """What one party gets."""

    organisation = coded("Code of the party.")
    share_ratio = ratio("Exact; all shares sum to 1.", places=SHARE_DECIMALS)


class RevenueSplitGiven(serializers.Serializer[Any]):
    """Shares to propose; the site's operator and the owner of its facility are among them."""

    site = coded("Code of the site.")
    shares = ShareGiven(many=True)
    valid_from_on = day("First delivery date they hold for.")
    valid_to_on = day("First they hold for no more.", required=False, allow_null=True)
    organisation = coded(
        "Code of the organisation you act for, where you may for several.", required=False
    )


class PartyNamed(serializers.Serializer[Any]):
    """For whom one answers."""

    organisation = coded(
        "Code of the organisation you act for, where you may for several.", required=False
    )


class EndReasoned(PartyNamed):
    """Why one does not agree."""

    reason = serializers.CharField(max_length=REASON_LENGTH_MAX)


class ShareWritten(serializers.Serializer[Any]):
    """What one party gets, and when it agreed."""

    organisation = coded("Code of the party.")
    share_ratio = ratio("Exact.", places=SHARE_DECIMALS)
    agreed_at = serializers.DateTimeField(allow_null=True)


class RevenueSplitWritten(serializers.Serializer[Any]):
    """An agreement on shares, for delivery dates from (included) to (excluded)."""

    id = serializers.UUIDField()
    site = coded("Code of the site.")
    state = serializers.ChoiceField(AgreementState.values)
    state_reason = serializers.CharField(allow_blank=True)
    proposed_by = coded("Code of who proposed it.")
    proposed_at = serializers.DateTimeField()
    valid_from_on = day()
    valid_to_on = day(allow_null=True)
    shares = ShareWritten(many=True)
    version = serializers.IntegerField()


def agreement_written(row: RevenueAgreement) -> dict[str, Any]:
    """Print an agreement."""
    return {
        "id": row.id,
        "site": row.site.code,
        "state": row.state,
        "state_reason": row.state_reason,
        "proposed_by": row.proposed_by.code,
        "proposed_at": row.proposed_at,
        "valid_from_on": row.valid_from_on,
        "valid_to_on": row.valid_to_on,
        "shares": [
            {
                "organisation": share.organisation.code,
                "share_ratio": share.share_ratio,
                "agreed_at": share.agreed_at,
            }
            for share in row.shares.all()
        ],
        "version": row.version,
    }


class RevenueSplits(Door):
    """Agreements the caller is a party of; a new proposal."""

    access: ClassVar[Access] = {"GET": "site.read", "POST": "revenue_split.agree"}

    @extend_schema(
        operation_id="revenue_split_list",
        summary="List agreements on shares",
        tags=["revenue splits"],
        parameters=[
            *PAGED,
            OpenApiParameter("site", OpenApiTypes.STR, description="Only for this site."),
            OpenApiParameter(
                "state", OpenApiTypes.STR, enum=AgreementState.values, description="Only in it."
            ),
        ],
        responses={200: pages_of(RevenueSplitWritten, "RevenueSplit")},
    )
    def get(self, request: Request) -> Response:
        """In order of id."""
        asked = query_of(request, "site", "state")
        rows = selectors.revenue_agreements_seen(seen_by=self.sight)
        if "site" in asked:
            rows = rows.filter(site__code=asked["site"])
        if "state" in asked:
            rows = rows.filter(
                state=choice_of(asked["state"], AgreementState.values, field="state")
            )
        return listed(request, rows, agreement_written)

    @extend_schema(
        operation_id="revenue_split_propose",
        summary="Propose shares of a site's receipts",
        description="By the site's operator or the owner of its facility, who thereby agrees. "
        "In force once all parties have agreed; an agreement until further notice ends then.",
        tags=["revenue splits"],
        parameters=[VERSION_TOLD],
        request=RevenueSplitGiven,
        responses={201: RevenueSplitWritten},
    )
    def post(self, request: Request) -> Response:
        """Shares are exact and sum to 1."""
        body = body_of(
            request,
            required=("site", "shares", "valid_from_on"),
            optional=("valid_to_on", "organisation"),
        )
        proposer = self.sight.acting_for(
            "revenue_split.agree", acting_code(body.get("organisation"))
        )
        site = one(selectors.sites_seen(seen_by=self.sight), code=str(body["site"]))
        to_on = body.get("valid_to_on")
        row = revenue_agreement_propose(
            site=site,
            proposed_by=proposer,
            actor=self.sight.actor,
            shares=[
                _share(value, f"shares[{i}]")
                for i, value in enumerate(
                    list_of(body["shares"], field="shares", length_max=SHARES_MAX)
                )
            ],
            days=Days(
                from_on=day_of(body["valid_from_on"], field="valid_from_on"),
                to_on=None if to_on is None else day_of(to_on, field="valid_to_on"),
            ),
        )
        return _answer(self, row, status=201)


def _share(value: Any, label: str) -> tuple[Any, Any]:
    entry = entries_checked(value, required=("organisation", "share_ratio"), label=label)
    party = organisation_of(entry["organisation"], field=f"{label}.organisation")
    return party, exact(entry, {"share_ratio"}, label=label)["share_ratio"]


def _answer(door: Door, row: RevenueAgreement, *, status: int = 200) -> Response:
    row = one(selectors.revenue_agreements_seen(seen_by=door.sight), id=row.id)
    return shown(row, agreement_written(row), status=status)


class OneRevenueSplit(Door):
    """An agreement."""

    access: ClassVar[Access] = {"GET": "site.read"}

    @extend_schema(
        operation_id="revenue_split",
        summary="Show an agreement on shares",
        tags=["revenue splits"],
        parameters=[VERSION_TOLD],
        responses={200: RevenueSplitWritten},
    )
    def get(self, request: Request, agreement_id: Any) -> Response:
        """For all its parties."""
        query_of(request, is_list=False)
        row = one(selectors.revenue_agreements_seen(seen_by=self.sight), id=agreement_id)
        return shown(row, agreement_written(row))


class RevenueSplitAgreeing(Door):
    """A party's yes."""

    access: ClassVar[Access] = {"POST": "revenue_split.agree"}

    @extend_schema(
        operation_id="revenue_split_agree",
        summary="Agree to shares",
        tags=["revenue splits"],
        parameters=[IF_MATCH, VERSION_TOLD],
        request=PartyNamed,
        responses={200: RevenueSplitWritten},
    )
    def post(self, request: Request, agreement_id: Any) -> Response:
        """Agree; the last one puts them in force."""
        body = body_of(request, optional=("organisation",))
        party = self.sight.acting_for("revenue_split.agree", acting_code(body.get("organisation")))
        rows = selectors.revenue_agreements_seen(seen_by=self.sight)
        row, version = read(request, rows, id=agreement_id)
        row = revenue_agreement_agree(
            agreement=row, version=version, organisation=party, actor=self.sight.actor
        )
        return _answer(self, row)


class RevenueSplitEnd(Door):
    """A party's no."""

    access: ClassVar[Access] = {"POST": "revenue_split.agree"}

    @extend_schema(
        operation_id="revenue_split_reject",
        summary="Reject a proposal, or withdraw your own",
        tags=["revenue splits"],
        parameters=[IF_MATCH, VERSION_TOLD],
        request=EndReasoned,
        responses={200: RevenueSplitWritten},
    )
    def post(self, request: Request, agreement_id: Any) -> Response:
        """WITHDRAWN by its proposer, REJECTED by another party."""
        body = body_of(request, required=("reason",), optional=("organisation",))
        party = self.sight.acting_for("revenue_split.agree", acting_code(body.get("organisation")))
        rows = selectors.revenue_agreements_seen(seen_by=self.sight)
        row, version = read(request, rows, id=agreement_id)
        row = revenue_agreement_end(
            agreement=row,
            version=version,
            organisation=party,
            reason=text_of(body["reason"], field="reason", length_max=REASON_LENGTH_MAX),
        )
        return _answer(self, row)


urlpatterns: list[URLPattern] = [
    path("revenue-splits", RevenueSplits.as_view(), name="revenue-split-list"),
    path("revenue-splits/<uuid:agreement_id>", OneRevenueSplit.as_view(), name="revenue-split"),
    path(
        "revenue-splits/<uuid:agreement_id>/agree",
        RevenueSplitAgreeing.as_view(),
        name="revenue-split-agree",
    ),
    path(
        "revenue-splits/<uuid:agreement_id>/reject",
        RevenueSplitEnd.as_view(),
        name="revenue-split-reject",
    ),
]
