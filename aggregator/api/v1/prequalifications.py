"""Whether resources are fit for products: asked, checked by rules, decided by grid operators."""

from __future__ import annotations

from typing import Any, ClassVar, Final

from django.urls import URLPattern, path
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.core.errors import Refused
from aggregator.api.v1.access import Access
from aggregator.api.v1.asked import body_of, choice_of, day_of, moment_of, query_of, text_of
from aggregator.api.v1.base import Door
from aggregator.api.v1.registry_rows import (
    VERSION_TOLD,
    acting_code,
    coded,
    day,
    exact,
    kw,
    listed,
    one,
    pages_of,
    read,
    shown,
)
from aggregator.api.v1.schema import IF_MATCH, PAGED
from aggregator.metering.selectors import has_meter
from market.registry import selectors
from market.registry.models import (
    Prequalification,
    PrequalificationState,
    PrequalificationStep,
)
from market.registry.prequalification_services import (
    DECISIONS,
    REASON_LENGTH_MAX,
    Caller,
    prequalification_check,
    prequalification_decide,
    prequalification_request,
    prequalification_withdraw,
)

NEWEST_FIRST: Final = ("-requested_at", "id")
EITHER_SIDE: Final = ("prequalification.request", "prequalification.decide")


class PartyNamed(serializers.Serializer[Any]):
    """For whom one acts."""

    organisation = coded(
        "Code of the organisation you act for, where you may for several.", required=False
    )


class PrequalificationGiven(PartyNamed):
    """A request that a resource may be bid for a product in an area."""

    resource = coded("Code of a resource of yours.")
    product = coded("Code of the product.")
    area = coded("Code of the area, whose grid operator decides.")
    quantity_kw = kw("Power it is to be fit for.")
    security_confirmed_to_on = day(
        "Until when its conformity with the ERAB cybersecurity guideline is confirmed.",
        required=False,
        allow_null=True,
    )


class CheckAsked(PartyNamed):
    """A new look at all rules."""

    security_confirmed_to_on = day(
        "Until when conformity is confirmed now.", required=False, allow_null=True
    )


class DecisionGiven(PartyNamed):
    """A step of the area's grid operator."""

    state = serializers.ChoiceField([str(state) for state in DECISIONS])
    reason = serializers.CharField(
        max_length=REASON_LENGTH_MAX,
        required=False,
        help_text="Needed for SUSPENDED and REJECTED.",
    )
    valid_until_at = serializers.DateTimeField(
        required=False, allow_null=True, help_text="Needed for TEMPORARY."
    )


class WithdrawalGiven(PartyNamed):
    """The operator's end of it."""

    reason = serializers.CharField(max_length=REASON_LENGTH_MAX, required=False)


class FindingWritten(serializers.Serializer[Any]):
    """What one rule says."""

    rule = serializers.CharField(help_text="Name of the rule.")
    passed = serializers.BooleanField()
    detail = serializers.CharField()
    detail_ja = serializers.CharField()


class StepWritten(serializers.Serializer[Any]):
    """A step that was taken."""

    from_state = serializers.CharField(allow_blank=True)
    to_state = serializers.ChoiceField(PrequalificationState.values)
    at = serializers.DateTimeField()
    organisation = coded("In whose name.", allow_null=True)
    reason = serializers.CharField(allow_blank=True)
    valid_until_at = serializers.DateTimeField(allow_null=True)


class PrequalificationWritten(serializers.Serializer[Any]):
    """A prequalification; its steps are shown where one is asked for alone."""

    id = serializers.UUIDField()
    resource = coded("Code of the resource.")
    site = coded("Code of its site.")
    product = coded("Code of the product.")
    area = coded("Code of the area.")
    organisation = coded("Code of the operator who asked.")
    tso = coded("Code of the grid operator who decides.", allow_null=True)
    quantity_kw = kw()
    security_confirmed_to_on = day(allow_null=True)
    state = serializers.ChoiceField(PrequalificationState.values)
    state_reason = serializers.CharField(allow_blank=True)
    valid_until_at = serializers.DateTimeField(allow_null=True)
    findings = FindingWritten(many=True)
    checked_at = serializers.DateTimeField(allow_null=True)
    requested_at = serializers.DateTimeField()
    version = serializers.IntegerField()
    steps = StepWritten(many=True, required=False)


def prequalification_written(row: Prequalification) -> dict[str, Any]:
    """Print a prequalification without its steps."""
    return {
        "id": row.id,
        "resource": row.resource.code,
        "site": row.resource.site.code,
        "product": row.product_id,
        "area": row.area_id,
        "organisation": row.organisation.code,
        "tso": None if row.area.tso is None else row.area.tso.code,
        "quantity_kw": row.quantity_kw,
        "security_confirmed_to_on": row.security_confirmed_to_on,
        "state": row.state,
        "state_reason": row.state_reason,
        "valid_until_at": row.valid_until_at,
        "findings": row.findings,
        "checked_at": row.checked_at,
        "requested_at": row.requested_at,
        "version": row.version,
    }


def step_written(step: PrequalificationStep) -> dict[str, Any]:
    """Print a step; who acted for the other side is that side's business."""
    return {
        "from_state": step.from_state,
        "to_state": step.to_state,
        "at": step.at,
        "organisation": None if step.organisation is None else step.organisation.code,
        "reason": step.reason,
        "valid_until_at": step.valid_until_at,
    }


class PrequalificationDoor(Door):
    """What the doors of one prequalification share."""

    def caller(self, action: str, named: Any) -> Caller:
        """Return in whose name the caller does `action`."""
        organisation = self.sight.acting_for(action, acting_code(named))
        return Caller(organisation=organisation, actor=self.sight.actor)

    def side(self, named: Any) -> Caller:
        """Return in whose name the caller speaks, whichever side that is."""
        may = [action for action in EITHER_SIDE if self.sight.may_somewhere(action)]
        return self.caller(may[0] if may else EITHER_SIDE[0], named)

    def seen(self, prequalification_id: Any) -> Prequalification:
        """Return the prequalification if the caller may see it."""
        return one(
            selectors.prequalifications_seen(seen_by=self.sight),
            id=prequalification_id,
        )

    def taken(self, request: Request, prequalification_id: Any) -> tuple[Prequalification, int]:
        """Return it locked, with the version that the caller read."""
        rows = selectors.prequalifications_seen(seen_by=self.sight)
        return read(request, rows, id=prequalification_id)

    def answer(self, prequalification_id: Any, *, status: int = 200) -> Response:
        """Answer with it as it is now, and its steps."""
        row = self.seen(prequalification_id)
        steps = row.steps.select_related("organisation")
        body = {**prequalification_written(row), "steps": [step_written(step) for step in steps]}
        return shown(row, body, status=status)


class Prequalifications(PrequalificationDoor):
    """Prequalifications the caller asked for or decides; a new request."""

    access: ClassVar[Access] = {
        "GET": "prequalification.read",
        "POST": "prequalification.request",
    }

    @extend_schema(
        operation_id="prequalification_list",
        summary="List prequalifications",
        tags=["prequalifications"],
        parameters=[
            *PAGED,
            OpenApiParameter("resource", OpenApiTypes.STR, description="Only of this resource."),
            OpenApiParameter("product", OpenApiTypes.STR, description="Only for this product."),
            OpenApiParameter("area", OpenApiTypes.STR, description="Only in this area."),
            OpenApiParameter(
                "state", OpenApiTypes.STR, enum=PrequalificationState.values, description="In it."
            ),
        ],
        responses={200: pages_of(PrequalificationWritten, "Prequalification")},
    )
    def get(self, request: Request) -> Response:
        """Newest first."""
        asked = query_of(request, "resource", "product", "area", "state")
        only: dict[str, Any] = {name: asked[name] for name in ("product", "area") if name in asked}
        if "resource" in asked:
            only["resource__code"] = asked["resource"]
        if "state" in asked:
            states = PrequalificationState.values
            only["state"] = choice_of(asked["state"], states, field="state")
        ways = selectors.prequalifications_by_way(seen_by=self.sight)
        rows = [way.filter(**only) for way in ways]
        return listed(request, rows, prequalification_written, key=NEWEST_FIRST)

    @extend_schema(
        operation_id="prequalification_request",
        summary="Ask that a resource be prequalified",
        description="The rules are looked at at once: CHECKED if all hold, else REQUESTED with "
        "what to mend.",
        tags=["prequalifications"],
        parameters=[VERSION_TOLD],
        request=PrequalificationGiven,
        responses={201: PrequalificationWritten},
    )
    def post(self, request: Request) -> Response:
        """One request at a time for a resource, product and area."""
        body = body_of(
            request,
            required=("resource", "product", "area", "quantity_kw"),
            optional=("security_confirmed_to_on", "organisation"),
        )
        by = self.caller("prequalification.request", body.get("organisation"))
        resource = one(
            selectors.resources_changed_by(seen_by=self.sight), code=str(body["resource"])
        )
        row = prequalification_request(
            resource=resource,
            product=_named(selectors.products(), body["product"], "product"),
            area=_named(selectors.areas(), body["area"], "area"),
            by=by,
            quantity_kw=exact(body, {"quantity_kw"})["quantity_kw"],
            security_confirmed_to_on=_security(body),
            is_metered=has_meter(resource),
        )
        return self.answer(row.id, status=201)


def _named(rows: Any, value: Any, field: str) -> Any:
    found = rows.filter(code=value).first() if isinstance(value, str) else None
    if found is None:
        raise Refused(field=field, value=value, rule=f"the code of a registered {field}")
    return found


def _security(body: Any) -> Any:
    value = body.get("security_confirmed_to_on")
    return None if value is None else day_of(value, field="security_confirmed_to_on")


def _reason(body: Any) -> str:
    value = body.get("reason")
    return "" if value is None else text_of(value, field="reason", length_max=REASON_LENGTH_MAX)


class OnePrequalification(PrequalificationDoor):
    """A prequalification with its steps."""

    access: ClassVar[Access] = {"GET": "prequalification.read"}

    @extend_schema(
        operation_id="prequalification",
        summary="Show a prequalification",
        tags=["prequalifications"],
        parameters=[VERSION_TOLD],
        responses={200: PrequalificationWritten},
    )
    def get(self, request: Request, prequalification_id: Any) -> Response:
        """For both sides and the market's desk."""
        query_of(request, is_list=False)
        return self.answer(prequalification_id)


class PrequalificationCheck(PrequalificationDoor):
    """A new look at the rules."""

    access: ClassVar[Access] = {"POST": "prequalification.request"}

    @extend_schema(
        operation_id="prequalification_check",
        summary="Have the rules looked at again",
        tags=["prequalifications"],
        parameters=[IF_MATCH, VERSION_TOLD],
        request=CheckAsked,
        responses={200: PrequalificationWritten},
    )
    def post(self, request: Request, prequalification_id: Any) -> Response:
        """After the operator mended what was found."""
        body = body_of(request, optional=("security_confirmed_to_on", "organisation"))
        by = self.caller("prequalification.request", body.get("organisation"))
        row, version = self.taken(request, prequalification_id)
        prequalification_check(
            row=row,
            version=version,
            by=by,
            is_metered=has_meter(row.resource),
            security_confirmed_to_on=_security(body),
        )
        return self.answer(prequalification_id)


class PrequalificationDecision(PrequalificationDoor):
    """The grid operator's step."""

    access: ClassVar[Access] = {"POST": "prequalification.decide"}

    @extend_schema(
        operation_id="prequalification_decide",
        summary="Decide on a prequalification",
        description="TEMPORARY or QUALIFIED only while every rule holds; they are looked at "
        "once more.",
        tags=["prequalifications"],
        parameters=[IF_MATCH, VERSION_TOLD],
        request=DecisionGiven,
        responses={200: PrequalificationWritten},
    )
    def post(self, request: Request, prequalification_id: Any) -> Response:
        """By the grid operator of the area."""
        body = body_of(
            request, required=("state",), optional=("reason", "valid_until_at", "organisation")
        )
        by = self.caller("prequalification.decide", body.get("organisation"))
        row, version = self.taken(request, prequalification_id)
        until = body.get("valid_until_at")
        prequalification_decide(
            row=row,
            version=version,
            to_state=choice_of(body["state"], [str(s) for s in DECISIONS], field="state"),
            by=by,
            is_metered=has_meter(row.resource),
            reason=_reason(body),
            valid_until_at=None if until is None else moment_of(until, field="valid_until_at"),
        )
        return self.answer(prequalification_id)


class PrequalificationWithdrawal(PrequalificationDoor):
    """The operator's end of it."""

    access: ClassVar[Access] = {"POST": "prequalification.request"}

    @extend_schema(
        operation_id="prequalification_withdraw",
        summary="Withdraw a prequalification",
        tags=["prequalifications"],
        parameters=[IF_MATCH, VERSION_TOLD],
        request=WithdrawalGiven,
        responses={200: PrequalificationWritten},
    )
    def post(self, request: Request, prequalification_id: Any) -> Response:
        """By the operator who asked; a new one may be asked for."""
        body = body_of(request, optional=("reason", "organisation"))
        by = self.caller("prequalification.request", body.get("organisation"))
        row, version = self.taken(request, prequalification_id)
        prequalification_withdraw(row=row, version=version, by=by, reason=_reason(body))
        return self.answer(prequalification_id)


ONE: Final = "prequalifications/<uuid:prequalification_id>"
urlpatterns: list[URLPattern] = [
    path("prequalifications", Prequalifications.as_view(), name="prequalification-list"),
    path(ONE, OnePrequalification.as_view(), name="prequalification"),
    path(f"{ONE}/check", PrequalificationCheck.as_view(), name="prequalification-check"),
    path(f"{ONE}/decide", PrequalificationDecision.as_view(), name="prequalification-decide"),
    path(f"{ONE}/withdraw", PrequalificationWithdrawal.as_view(), name="prequalification-withdraw"),
]
