"""Networks, version by version: that they are is public, what is in them is for participants."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import IO, Any, ClassVar, Final

from django.urls import URLPattern, path
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import parsers, serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.core.errors import Refused
from accounts.parties.models import Organisation
from aggregator.api.v1.access import PUBLIC, SIGNED_IN, Access
from aggregator.api.v1.asked import body_of, choice_of, day_of, query_of, text_of
from aggregator.api.v1.base import Door
from aggregator.api.v1.problem import Stopped
from aggregator.api.v1.reading import BODY_BYTES_MAX, StrictJsonParser
from aggregator.api.v1.registry_rows import (
    ORGANISATION,
    acting_code,
    coded,
    day,
    exact,
    kw,
    listed,
    one,
    pages_of,
    printed,
    ratio,
)
from aggregator.api.v1.schema import PAGED
from market.registry import selectors
from market.registry.matpower import grid_model_import
from market.registry.models import (
    Branch,
    BranchKind,
    Bus,
    ControllableLink,
    GridModel,
    SusceptanceConvention,
)
from market.registry.services import grid_model_create

NAME_LENGTH_MAX: Final = 80
SOURCE_LENGTH_MAX: Final = 200
MATPOWER: Final = "text/x-matlab"
NUMBERS: Final = frozenset(
    {
        "slack_share_ratio",
        "voltage_kv",
        "longitude_deg",
        "latitude_deg",
        "resistance_pu",
        "reactance_pu",
        "tap_ratio",
        "shift_deg",
        "rating_kw",
        "flow_cost_jpy_per_kwh",
    }
)
_STEM: Final = re.compile(r"[A-Za-z0-9_-]{1,60}")


class MatpowerParser(parsers.BaseParser):
    """Case files as they are."""

    media_type = MATPOWER

    def parse(
        self,
        stream: IO[Any],
        _media_type: str | None = None,
        _context: Mapping[str, Any] | None = None,
    ) -> Any:
        """Read at most one byte more than is allowed."""
        content = stream.read(BODY_BYTES_MAX + 1)
        if len(content) > BODY_BYTES_MAX:
            raise Stopped("too-large", f"at most {BODY_BYTES_MAX} bytes")
        return content


def _number(places: int, help_text: str, **options: Any) -> serializers.DecimalField:
    return serializers.DecimalField(
        max_digits=places + 8, decimal_places=places, help_text=help_text, **options
    )


class BusGiven(serializers.Serializer[Any]):
    """A node."""

    id = coded("Its code, once in a model.")
    area = coded("Code of its balancing area.")
    island = serializers.CharField(max_length=20, help_text="Synchronous island.")
    slack_share_ratio = ratio("Share of what balances its island.", places=6)
    name = serializers.CharField(max_length=60, required=False)
    name_en = serializers.CharField(max_length=60, required=False)
    voltage_kv = _number(2, "kV", required=False)
    longitude_deg = _number(5, "degrees", required=False, allow_null=True)
    latitude_deg = _number(5, "degrees", required=False, allow_null=True)


BranchGiven = type(
    "BranchGiven",
    (serializers.Serializer,),
    {
        "__doc__": "A line or transformer; per-unit values on the model's base.",
        "id": coded("Its code, once in a model."),
        "from": coded("Code of the bus it begins at."),
        "to": coded("Code of the bus it ends at."),
        "kind": serializers.ChoiceField(BranchKind.values, required=False),
        "name": serializers.CharField(max_length=60, required=False),
        "name_en": serializers.CharField(max_length=60, required=False),
        "resistance_pu": _number(9, "per unit", required=False),
        "reactance_pu": _number(9, "per unit, not 0"),
        "tap_ratio": _number(5, "1 if left out", required=False),
        "shift_deg": _number(4, "degrees", required=False),
        "rating_kw": kw(),
        "flow_cost_jpy_per_kwh": _number(2, "JPY per kWh", required=False),
    },
)
LinkGiven = type(
    "LinkGiven",
    (serializers.Serializer,),
    {
        "__doc__": "A converter or HVDC link.",
        "id": coded("Its code, once in a model."),
        "from": coded("Code of the bus it begins at."),
        "to": coded("Code of the bus it ends at."),
        "name": serializers.CharField(max_length=60, required=False),
        "name_en": serializers.CharField(max_length=60, required=False),
        "rating_kw": kw(),
    },
)


class GridModelGiven(serializers.Serializer[Any]):
    """A network to publish: the next version of its name, which is yours or new."""

    name = serializers.CharField(max_length=NAME_LENGTH_MAX)
    convention = serializers.ChoiceField(SusceptanceConvention.values)
    base_mva = serializers.DecimalField(max_digits=10, decimal_places=3, min_value=Decimal("0.001"))
    source = serializers.CharField(  # type: ignore[assignment]
        max_length=SOURCE_LENGTH_MAX, required=False
    )
    valid_from_on = day("First delivery date it is meant for.", required=False, allow_null=True)
    buses = BusGiven(many=True)
    branches = BranchGiven(many=True)
    links = LinkGiven(many=True, required=False)
    organisation = coded(
        "Code of the organisation you act for, where you may for several.", required=False
    )


class GridModelWritten(serializers.Serializer[Any]):
    """A version of a network, never edited."""

    id = serializers.UUIDField()
    name = serializers.CharField()
    version = serializers.IntegerField()
    owner = coded("Code of its grid operator; null for the market's own.", allow_null=True)
    valid_from_on = day("First delivery date it is meant for.", allow_null=True)
    convention = serializers.ChoiceField(SusceptanceConvention.values)
    base_mva = serializers.DecimalField(max_digits=10, decimal_places=3)
    source = serializers.CharField()  # type: ignore[assignment]
    sha256 = serializers.CharField()
    bus_count = serializers.IntegerField()
    branch_count = serializers.IntegerField()
    link_count = serializers.IntegerField()
    created_at = serializers.DateTimeField()


class BusWritten(serializers.Serializer[Any]):
    """A node."""

    code = serializers.CharField()
    name = serializers.CharField()
    name_en = serializers.CharField()
    area = serializers.CharField()
    island = serializers.CharField()
    voltage_kv = _number(2, "kV")
    slack_share_ratio = ratio("Share of what balances its island.", places=6)
    longitude_deg = _number(5, "degrees", allow_null=True)
    latitude_deg = _number(5, "degrees", allow_null=True)


class BranchWritten(serializers.Serializer[Any]):
    """A line or transformer."""

    code = serializers.CharField()
    name = serializers.CharField()
    name_en = serializers.CharField()
    kind = serializers.ChoiceField(BranchKind.values)
    from_bus = serializers.CharField()
    to_bus = serializers.CharField()
    resistance_pu = _number(9, "per unit")
    reactance_pu = _number(9, "per unit")
    tap_ratio = _number(5, "")
    shift_deg = _number(4, "degrees")
    rating_kw = kw()
    flow_cost_jpy_per_kwh = _number(2, "JPY per kWh")


class LinkWritten(serializers.Serializer[Any]):
    """A converter or HVDC link."""

    code = serializers.CharField()
    name = serializers.CharField()
    name_en = serializers.CharField()
    from_bus = serializers.CharField()
    to_bus = serializers.CharField()
    rating_kw = kw()


def grid_model_written(model: GridModel) -> dict[str, Any]:
    """Print a version of a network."""
    return {
        "id": model.id,
        "name": model.name,
        "version": model.version,
        "owner": None if model.owner is None else model.owner.code,
        "valid_from_on": model.valid_from_on,
        "convention": model.convention,
        "base_mva": model.base_mva,
        "source": model.source,
        "sha256": model.sha256,
        "bus_count": model.bus_count,
        "branch_count": model.branch_count,
        "link_count": model.link_count,
        "created_at": model.created_at,
    }


def bus_written(bus: Bus) -> dict[str, Any]:
    """Print a bus."""
    return {
        "code": bus.code,
        "name": bus.name,
        "name_en": bus.name_en,
        "area": bus.area_id,
        "island": bus.island,
        "voltage_kv": bus.voltage_kv,
        "slack_share_ratio": bus.slack_share_ratio,
        "longitude_deg": bus.longitude_deg,
        "latitude_deg": bus.latitude_deg,
    }


def branch_written(branch: Branch) -> dict[str, Any]:
    """Print a branch."""
    return {
        **link_written(branch),
        "kind": branch.kind,
        "resistance_pu": branch.resistance_pu,
        "reactance_pu": branch.reactance_pu,
        "tap_ratio": branch.tap_ratio,
        "shift_deg": branch.shift_deg,
        "flow_cost_jpy_per_kwh": branch.flow_cost_jpy_per_kwh,
    }


def link_written(row: Branch | ControllableLink) -> dict[str, Any]:
    """Print what joins two buses."""
    return {
        "code": row.code,
        "name": row.name,
        "name_en": row.name_en,
        "from_bus": row.from_bus.code,
        "to_bus": row.to_bus.code,
        "rating_kw": row.rating_kw,
    }


def _rows(rows: Any, label: str) -> Any:
    """Return rows with exact numbers; whatever is wrong otherwise, the service says."""
    if not isinstance(rows, list):
        return rows
    return [
        exact(row, NUMBERS, label=f"{label}[{i}]") if isinstance(row, dict) else row
        for i, row in enumerate(rows)
    ]


class GridModels(Door):
    """All published versions; a new one."""

    access: ClassVar[Access] = {"GET": PUBLIC, "POST": "network.publish"}
    parser_classes = (StrictJsonParser, MatpowerParser)

    @extend_schema(
        operation_id="grid_model_list",
        summary="List grid models",
        tags=["grid models"],
        parameters=[
            *PAGED,
            OpenApiParameter("name", OpenApiTypes.STR, description="Only versions of this name."),
            OpenApiParameter("owner", OpenApiTypes.STR, description="Only of this grid operator."),
        ],
        responses={200: pages_of(GridModelWritten, "GridModel")},
    )
    def get(self, request: Request) -> Response:
        """In order of name and version."""
        asked = query_of(request, "name", "owner")
        rows = selectors.grid_models()
        if "name" in asked:
            rows = rows.filter(name=asked["name"])
        if "owner" in asked:
            rows = rows.filter(owner__code=asked["owner"])
        return listed(request, rows, grid_model_written, key=("name", "version"))

    @extend_schema(
        operation_id="grid_model_create",
        summary="Publish a version of a network",
        description="As JSON, or as a MATPOWER case (version 2) with the rest in the query. "
        "The file is read, never executed. What is wrong is told by row and column; the same "
        "content again is the same version.",
        tags=["grid models"],
        parameters=[
            ORGANISATION,
            *(
                OpenApiParameter(name, OpenApiTypes.STR, description=f"Of a case: {text}")
                for name, text in (
                    ("name", "name of the model."),
                    ("convention", "`reactance` (1/x) or `series` (x/(r²+x²))."),
                    ("area", "area of all buses; else MATPOWER's area n is `0n`."),
                    ("valid_from_on", "first delivery date it is meant for."),
                )
            ),
        ],
        request={"application/json": GridModelGiven, MATPOWER: OpenApiTypes.STR},
        responses={201: GridModelWritten},
    )
    def post(self, request: Request) -> Response:
        """Keep a network that the engine can read and solve."""
        content: Any = request.data
        is_case = isinstance(content, bytes)
        model = self._from_case(request, content) if is_case else self._from_json(request)
        return Response(
            printed(grid_model_written(one(selectors.grid_models(), id=model.id))), status=201
        )

    def _owner(self, named: Any) -> Organisation:
        return self.sight.acting_for("network.publish", acting_code(named))

    def _from_json(self, request: Request) -> GridModel:
        query_of(request, is_list=False)
        body = body_of(
            request,
            required=("name", "convention", "base_mva", "buses", "branches"),
            optional=("source", "valid_from_on", "links", "organisation"),
        )
        source, from_on = body.get("source"), body.get("valid_from_on")
        return grid_model_create(
            name=body["name"],
            convention=body["convention"],
            base_mva=exact(body, {"base_mva"})["base_mva"],
            source=""
            if source is None
            else text_of(source, field="source", length_max=SOURCE_LENGTH_MAX),
            buses=_rows(body["buses"], "buses"),
            branches=_rows(body["branches"], "branches"),
            links=_rows(body.get("links") or (), "links"),
            owner=self._owner(body.get("organisation")),
            valid_from_on=None if from_on is None else day_of(from_on, field="valid_from_on"),
        )

    def _from_case(self, request: Request, content: bytes) -> GridModel:
        names = ("name", "convention", "area", "valid_from_on", "organisation")
        asked = query_of(request, *names, is_list=False)
        if "name" not in asked:
            raise Refused(field="name", value=None, rule="is missing, must be given")
        name = text_of(asked["name"], field="name", length_max=NAME_LENGTH_MAX)
        convention = asked.get("convention", SusceptanceConvention.REACTANCE.value)
        from_on = asked.get("valid_from_on")
        stem = name if _STEM.fullmatch(name) else "case"
        with tempfile.TemporaryDirectory() as directory:
            file = Path(directory) / f"{stem}.m"
            file.write_bytes(content)
            return grid_model_import(
                path=file,
                name=name,
                convention=choice_of(convention, SusceptanceConvention.values, field="convention"),
                area_code=asked.get("area"),
                owner=self._owner(asked.get("organisation")),
                valid_from_on=None if from_on is None else day_of(from_on, field="valid_from_on"),
            )


class OneGridModel(Door):
    """A version of a network."""

    access: ClassVar[Access] = {"GET": PUBLIC}

    @extend_schema(
        operation_id="grid_model",
        summary="Show a grid model",
        tags=["grid models"],
        responses={200: GridModelWritten},
    )
    def get(self, request: Request, grid_model_id: Any) -> Response:
        """Show what it is; its parts stand behind doors of their own."""
        query_of(request, is_list=False)
        return Response(printed(grid_model_written(one(selectors.grid_models(), id=grid_model_id))))


class Buses(Door):
    """Buses of a grid model."""

    access: ClassVar[Access] = {"GET": SIGNED_IN}

    @extend_schema(
        operation_id="grid_model_bus_list",
        summary="List the buses of a grid model",
        tags=["grid models"],
        parameters=[
            *PAGED,
            OpenApiParameter("area", OpenApiTypes.STR, description="Only in this area."),
        ],
        responses={200: pages_of(BusWritten, "Bus")},
    )
    def get(self, request: Request, grid_model_id: Any) -> Response:
        """In order of code."""
        asked = query_of(request, "area")
        rows = selectors.buses_of(one(selectors.grid_models(), id=grid_model_id))
        if "area" in asked:
            rows = rows.filter(area=asked["area"])
        return listed(request, rows, bus_written, key=("code",))


class Branches(Door):
    """Branches of a grid model."""

    access: ClassVar[Access] = {"GET": SIGNED_IN}

    @extend_schema(
        operation_id="grid_model_branch_list",
        summary="List the branches of a grid model",
        tags=["grid models"],
        parameters=PAGED,
        responses={200: pages_of(BranchWritten, "Branch")},
    )
    def get(self, request: Request, grid_model_id: Any) -> Response:
        """In order of code."""
        query_of(request)
        rows = selectors.branches_of(one(selectors.grid_models(), id=grid_model_id))
        return listed(request, rows, branch_written, key=("code",))


class Links(Door):
    """Controllable links of a grid model."""

    access: ClassVar[Access] = {"GET": SIGNED_IN}

    @extend_schema(
        operation_id="grid_model_link_list",
        summary="List the controllable links of a grid model",
        tags=["grid models"],
        parameters=PAGED,
        responses={200: pages_of(LinkWritten, "Link")},
    )
    def get(self, request: Request, grid_model_id: Any) -> Response:
        """In order of code."""
        query_of(request)
        rows = selectors.links_of(one(selectors.grid_models(), id=grid_model_id))
        return listed(request, rows, link_written, key=("code",))


urlpatterns: list[URLPattern] = [
    path("grid-models", GridModels.as_view(), name="grid-model-list"),
    path("grid-models/<uuid:grid_model_id>", OneGridModel.as_view(), name="grid-model"),
    path("grid-models/<uuid:grid_model_id>/buses", Buses.as_view(), name="grid-model-bus-list"),
    path(
        "grid-models/<uuid:grid_model_id>/branches",
        Branches.as_view(),
        name="grid-model-branch-list",
    ),
    path("grid-models/<uuid:grid_model_id>/links", Links.as_view(), name="grid-model-link-list"),
]
