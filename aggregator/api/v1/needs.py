"""/api/v1/needs: what grid operators ask for, where, how much and at most for how much."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Final
from uuid import UUID

from django.urls import URLPattern, path
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import (
    OpenApiParameter,
    OpenApiResponse,
    PolymorphicProxySerializer,
    extend_schema,
)
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.core.errors import Refused
from aggregator.api.v1 import told
from aggregator.api.v1.access import PUBLIC, Access
from aggregator.api.v1.asked import body_of, choice_of, query_of
from aggregator.api.v1.base import Door
from aggregator.api.v1.etag import expect, tag
from aggregator.api.v1.needs_csv import NeedSheet, needs_of
from aggregator.api.v1.pagination import page
from aggregator.api.v1.reading import StrictJsonParser
from aggregator.api.v1.schema import PAGED, problems
from aggregator.api.v1.uploads import CsvParser, Table
from market.trading import selectors
from market.trading.models import Direction, Need, NeedKind, NeedPricing, NeedState, NeedStep
from market.trading.need_baskets import NEEDS_MAX, need_details, needs_publish, public_names
from market.trading.needs import need_publish, need_withdraw
from market.trading.refusals import RowsRefused

ONE: Final = "needs[0]"


class NeedCurveStep(serializers.Serializer[Any]):
    """One step of a demand curve; caps do not rise from step to step."""

    quantity_kw = told.kw_series()
    cap_jpy_per_kwh = told.price_series()
    cap_jpy_per_kw_30min = told.price_series("JPY per kW and 30 minutes; of CAPACITY instead")

    def get_fields(self) -> dict[str, Any]:
        """Take one of the two caps."""
        found: dict[str, Any] = super().get_fields()
        for name in ("cap_jpy_per_kwh", "cap_jpy_per_kw_30min"):
            found[name].required = False
        return found


class NeedInput(serializers.Serializer[Any]):
    """A need: one quantity and cap per half hour, or a demand curve of steps."""

    code = serializers.RegexField(r"^[A-Za-z0-9._-]{1,60}$")
    kind = serializers.ChoiceField(NeedKind.choices)
    direction = serializers.ChoiceField(Direction.choices)
    pricing = serializers.ChoiceField(NeedPricing.choices, required=False)
    congestion_point = serializers.CharField(required=False, help_text="Code; of LOCAL.")
    flow_sign = serializers.ChoiceField(
        [1, -1], required=False, help_text="Sign of the flow to be reduced; of LOCAL."
    )
    area = serializers.CharField(required=False, help_text="Code; of BALANCE and CAPACITY.")
    product = serializers.CharField(required=False, help_text="Of CAPACITY.")
    quantity_kw = told.kw_series()
    cap_jpy_per_kwh = told.price_series()
    cap_jpy_per_kw_30min = told.price_series("JPY per kW and 30 minutes; of CAPACITY")
    steps = NeedCurveStep(many=True, required=False, help_text="Instead of quantity and cap.")

    def get_fields(self) -> dict[str, Any]:
        """Take either steps, or a quantity and a cap."""
        found: dict[str, Any] = super().get_fields()
        for name in ("quantity_kw", "cap_jpy_per_kwh", "cap_jpy_per_kw_30min"):
            found[name].required = False
        return found


class NeedList(serializers.Serializer[Any]):
    """Up to 500 needs, published all or none."""

    needs = NeedInput(many=True)


class NeedSeen(serializers.Serializer[Any]):
    """One revision of a need."""

    id = serializers.UUIDField()
    auction = serializers.CharField(help_text="Code.")
    organisation = serializers.CharField(help_text="Code of the grid operator.")
    code = serializers.CharField()
    kind = serializers.ChoiceField(NeedKind.choices)
    direction = serializers.ChoiceField(Direction.choices)
    pricing = serializers.ChoiceField(NeedPricing.choices)
    congestion_point = serializers.CharField(allow_null=True)
    flow_sign = serializers.IntegerField(allow_null=True)
    area = serializers.CharField(allow_null=True)
    product = serializers.CharField(allow_null=True)
    quantity_kw = told.kw_series("kW of all steps together, t = 0…47")
    steps = NeedCurveStep(many=True, help_text="The demand curve, at least one step.")
    revision = serializers.IntegerField(min_value=1)
    state = serializers.ChoiceField(NeedState.choices)
    available_at = serializers.DateTimeField(help_text="When it was published.")


class NeedPage(serializers.Serializer[Any]):
    """Needs, the latest publication first."""

    items = NeedSeen(many=True)
    next = serializers.CharField(allow_null=True)


class NeedsPublished(serializers.Serializer[Any]):
    """What was published, in the order given."""

    needs = NeedSeen(many=True)


def need_told(need: Need, steps: list[NeedStep]) -> dict[str, Any]:
    """Print a need with its demand curve."""
    return {
        "id": need.id,
        "auction": need.auction.code,
        "organisation": need.organisation.code,
        "code": need.code,
        "kind": need.kind,
        "direction": need.direction,
        "pricing": need.pricing,
        "congestion_point": need.congestion_point.code if need.congestion_point else None,
        "flow_sign": need.flow_sign,
        "area": need.area_id,
        "product": need.product_id,
        "quantity_kw": need.quantity_kw,
        "steps": [_step_told(step) for step in steps] or [_step_told(need)],
        "revision": need.revision,
        "state": need.state,
        "available_at": need.available_at,
    }


def _step_told(step: Need | NeedStep) -> dict[str, Any]:
    if step.cap_jpy_per_kwh is None:
        return {
            "quantity_kw": step.quantity_kw,
            "cap_jpy_per_kw_30min": step.cap_jpy_per_kw_30min,
        }
    return {"quantity_kw": step.quantity_kw, "cap_jpy_per_kwh": step.cap_jpy_per_kwh}


def needs_told(needs: list[Need]) -> list[dict[str, Any]]:
    """Print needs, their curves read at once."""
    curves = selectors.need_steps_of(needs)
    return [need_told(need, curves.get(need.id, [])) for need in needs]


class Needs(Door):
    """Needs of grid operators."""

    access: ClassVar[Access] = {"GET": PUBLIC}

    @extend_schema(
        operation_id="need_list",
        summary="List needs, the latest first; published ones are public",
        parameters=[
            *PAGED,
            told.AUCTION,
            OpenApiParameter("state", OpenApiTypes.STR, enum=NeedState.values),
            OpenApiParameter("kind", OpenApiTypes.STR, enum=NeedKind.values),
            OpenApiParameter("direction", OpenApiTypes.STR, enum=Direction.values),
            OpenApiParameter("area", OpenApiTypes.STR, description="Code."),
            OpenApiParameter("congestion_point", OpenApiTypes.STR, description="Code."),
        ],
        responses={200: NeedPage},
    )
    def get(self, request: Request) -> Response:
        """Show what is or was published; to operators also what waits for approval."""
        choices = {
            "state": NeedState.values,
            "kind": NeedKind.values,
            "direction": Direction.values,
        }
        query = query_of(request, "auction", "area", "congestion_point", *choices)
        rows = selectors.needs_seen(seen_by=self.sight)
        if "auction" in query:
            rows = rows.filter(auction=selectors.auction_named(query["auction"]))
        for name, words in choices.items():
            if name in query:
                rows = rows.filter(**{name: choice_of(query[name], words, field=name)})
        if "area" in query:
            rows = rows.filter(area_id=query["area"])
        if "congestion_point" in query:
            rows = rows.filter(congestion_point__code=query["congestion_point"])
        found = page(request, rows, lambda need: need, key=("-available_at", "-id"))
        return Response({**found, "items": needs_told(found["items"])})


class NeedsOfAuction(Door):
    """Publish needs for an auction."""

    access: ClassVar[Access] = {"POST": "need.publish"}
    parser_classes = (StrictJsonParser, CsvParser)
    takes_gzip: ClassVar[bool] = True

    @extend_schema(
        operation_id="need_publish",
        summary=f"Publish one need, or up to {NEEDS_MAX} at once, all or none",
        description=(
            'The body is one need, or `{"needs": […]}`, or CSV (columns: docs/api.md). A code '
            "in force is revised by PUT. One above the ruleset's approval limit comes back with "
            "state PROPOSED and is published once a second person approves it."
        ),
        parameters=[told.ORGANISATION],
        request={
            "application/json": PolymorphicProxySerializer(
                component_name="NeedOrList",
                serializers=[NeedInput, NeedList],
                resource_type_field_name=None,
            ),
            "text/csv": OpenApiTypes.STR,
        },
        responses={201: NeedsPublished, **problems("gate-closed", "rows-refused")},
    )
    def post(self, request: Request, code: str) -> Response:
        """Publish until the gate."""
        query = query_of(request, "organisation", is_list=False)
        organisation = self.sight.acting_for("need.publish", query.get("organisation"))

        def publish(needs: Any) -> list[Need]:
            return needs_publish(auction_id=code, organisation=organisation, needs=needs)

        body = request.data
        if isinstance(body, Table):
            found = _of_sheet(needs_of(body), publish)
        elif isinstance(body, Mapping) and "needs" in body:
            body_of(request, required=("needs",))
            try:
                found = publish(body["needs"])
            except RowsRefused as refused:
                raise told.rows_stopped(refused) from refused
        else:
            found = _of_one(body, publish)
        return Response({"needs": needs_told(selectors.needs_reread(found))}, status=201)


class OneNeed(Door):
    """One revision of a need."""

    access: ClassVar[Access] = {"GET": PUBLIC, "PUT": "need.publish", "DELETE": "need.publish"}

    @extend_schema(operation_id="need", summary="One need", responses={200: NeedSeen})
    def get(self, request: Request, need_id: UUID) -> Response:
        """Show it with its demand curve."""
        query_of(request, is_list=False)
        need = selectors.need_seen(need_id, seen_by=self.sight)
        return Response(needs_told([need])[0], headers={"ETag": tag(need.revision)})

    @extend_schema(
        operation_id="need_revise",
        summary="Publish the next revision of a need",
        request=NeedInput,
        responses={200: NeedSeen, **problems("gate-closed")},
    )
    def put(self, request: Request, need_id: UUID) -> Response:
        """Revise it until the gate, if the caller read the revision in force."""
        query_of(request, is_list=False)
        need = self._own(need_id)
        details = need_details(request.data)
        if details.code != need.code:
            raise Refused(field="code", value=details.code, rule="that of this need")
        try:
            revised = need_publish(
                auction_id=need.auction_id,
                organisation=need.organisation,
                details=details,
                expects=_expecting(request, need),
            )
        except Refused as refused:
            raise public_names(refused) from refused
        told_of = needs_told(selectors.needs_reread([revised]))[0]
        return Response(told_of, headers={"ETag": tag(revised.revision)})

    @extend_schema(
        operation_id="need_withdraw",
        summary="Take a need back before the gate",
        responses={204: OpenApiResponse(description="Withdrawn."), **problems("gate-closed")},
    )
    def delete(self, request: Request, need_id: UUID) -> Response:
        """Withdraw it, if the caller read the revision in force."""
        query_of(request, is_list=False)
        need = self._own(need_id)
        need_withdraw(
            auction_id=need.auction_id,
            organisation=need.organisation,
            code=need.code,
            expects=_expecting(request, need),
        )
        return Response(status=204)

    def _own(self, need_id: UUID) -> Need:
        """Return a need that the caller may change; else 404 or 403 as it is seen or not."""
        need = selectors.need_seen(need_id, seen_by=self.sight)
        self.sight.acting_for("need.publish", need.organisation.code)
        return need


def _expecting(request: Request, read: Need) -> Callable[[Need | None], None]:
    """Expect the revision in force, or the proposal itself where none is."""

    def expects(before: Need | None) -> None:
        expect(request, (before or read).revision)

    return expects


def _of_one(body: object, publish: Callable[[Any], list[Need]]) -> list[Need]:
    try:
        return publish([body])
    except Refused as refused:
        if not refused.field.startswith(ONE):
            raise
        place = refused.field.removeprefix(ONE).removeprefix(".") or "body"
        raise told.relabelled(refused, lambda _: place) from refused


def _of_sheet(sheet: NeedSheet, publish: Callable[[Any], list[Need]]) -> list[Need]:
    try:
        return publish(sheet.needs)
    except Refused as refused:
        if not refused.field.startswith("needs["):
            raise
        raise told.rows_stopped(refused, sheet.where) from refused


urlpatterns: list[URLPattern] = [
    path("needs", Needs.as_view(), name="need-list"),
    path("needs/<uuid:need_id>", OneNeed.as_view(), name="need"),
    path("auctions/<slug:code>/needs", NeedsOfAuction.as_view(), name="need-publish"),
]
