"""The OpenAPI document of the doors, and the pages that show it without the internet.

What all doors share is written here once: who may call, the key of a POST, the refusals. A door
says in ``@extend_schema`` only what is its own.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Sequence
from typing import Any, Final

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import URLPattern, path
from django.utils import translation
from django.utils.cache import patch_response_headers
from django.views.decorators.http import require_safe
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse

from aggregator.api.v1.access import PUBLIC
from aggregator.api.v1.problem import CONTENT_TYPE, REFUSED, TITLES

PREFIX: Final = "/api/v1/"
MEDIA_TYPE: Final = "application/vnd.oai.openapi+json"
CACHED_S: Final = 300
REF: Final = {"$ref": "#/components/schemas/Problem"}

# Refusals any door may answer with, by what kind of request it is.
_ALWAYS: Final = (400, 401, 403, 404, 405, 406, 429, 503)
_WITH_BODY: Final = (409, 413, 415)
_KEYED: Final = (422,)
_VERSIONED: Final = (412, 428)

_TEXT: Final = {"type": "string"}
PROBLEM: Final[dict[str, Any]] = {
    "type": "object",
    "description": "RFC 9457. `instance` is in our log beside the cause: name it when you ask.",
    "properties": {
        "type": {"type": "string", "format": "uri-reference"},
        "code": {"type": "string", "pattern": "^[a-z0-9]+(-[a-z0-9]+)*$"},
        "status": {"type": "integer", "minimum": 400, "maximum": 599},
        "title": _TEXT,
        "title_ja": _TEXT,
        "detail": _TEXT,
        "detail_ja": _TEXT,
        "instance": {"type": "string", "format": "uri"},
        "field": {**_TEXT, "description": "Path of what is wrong: `bids[3].curves[0].first_t`."},
        "errors": {
            "type": "array",
            "description": "One entry per row that is refused; nothing of the request was stored.",
            "items": {
                "type": "object",
                "properties": {
                    "code": _TEXT,
                    "field": _TEXT,
                    "detail": _TEXT,
                    "detail_ja": _TEXT,
                    "line": {"type": "integer", "minimum": 1},
                },
                "required": ["code", "field", "detail"],
            },
        },
    },
    "required": ["type", "code", "status", "title", "title_ja", "detail", "instance"],
}

IDEMPOTENCY_KEY: Final = OpenApiParameter(
    name="Idempotency-Key",
    type={"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]([ -~]*[!-~])?$"},
    location=OpenApiParameter.HEADER,
    required=True,
    description="Your own name of this request; the same key again returns the first answer.",
)
IF_MATCH: Final = OpenApiParameter(
    name="If-Match",
    type=OpenApiTypes.STR,
    location=OpenApiParameter.HEADER,
    required=True,
    description="The `ETag` of what you read.",
)
CURSOR: Final = OpenApiParameter(
    name="cursor", type=OpenApiTypes.STR, description="`next` of the page before."
)
LIMIT: Final = OpenApiParameter(
    name="limit",
    type={"type": "integer", "minimum": 1, "maximum": 500, "default": 50},
    description="Rows of a page.",
)
# parameters of every door that pages
PAGED: Final = [CURSOR, LIMIT]


def problems(*codes: str) -> dict[tuple[int, str], OpenApiResponse]:
    """Document refusals a door has of its own; those of all doors are there already.

    Use as ``@extend_schema(responses={200: Written, **problems("gate-closed")})``.
    """
    found: dict[tuple[int, str], OpenApiResponse] = {}
    for code in codes:
        number, _, english = TITLES.get(code, REFUSED)
        before = found.get((number, CONTENT_TYPE))
        text = f"`{code}`: {english}"
        if before is not None:
            text = f"{before.description} {text}"
        found[number, CONTENT_TYPE] = OpenApiResponse(response=REF, description=text)
    return found


class DoorSchema(AutoSchema):
    """One operation of one door."""

    def get_operation_id(self) -> str:
        """Tell lists from single things, for a view says only that both are read."""
        name: str = super().get_operation_id()
        is_list = self.method == "GET" and not self.path.endswith("}")
        return f"{name.removesuffix('retrieve')}list" if is_list else name

    def get_auth(self) -> list[dict[str, list[str]]]:
        """Say that public doors need nobody, and the others a token or a session."""
        if getattr(self.view, "access", {}).get(self.method) == PUBLIC:
            return [{}]
        return super().get_auth()

    def get_override_parameters(self) -> list[Any]:
        """Add the key of a POST and the version of a change."""
        if self.method == "POST" and getattr(self.view, "needs_key", False):
            return [IDEMPOTENCY_KEY]
        if self.method in ("PUT", "PATCH", "DELETE"):
            return [IF_MATCH]
        return []

    def get_operation(self, *arguments: Any, **named: Any) -> dict[str, Any] | None:
        """Add the refusals that every door of this kind may answer with."""
        operation: dict[str, Any] | None = super().get_operation(*arguments, **named)
        if operation is None:
            return None
        statuses: list[int] = [*_ALWAYS]
        if self.method != "GET":
            statuses += _WITH_BODY
        names = {given["name"] for given in operation.get("parameters", ())}
        statuses += _KEYED if IDEMPOTENCY_KEY.name in names else ()
        statuses += _VERSIONED if IF_MATCH.name in names else ()
        for number in statuses:
            operation["responses"].setdefault(
                str(number), {"$ref": f"#/components/responses/Problem{number}"}
            )
        operation["responses"] = dict(sorted(operation["responses"].items()))
        return operation


class MachineScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    """How machines sign in."""

    target_class = "aggregator.api.v1.auth.MachineAuthentication"
    name = "bearer"

    def get_security_definition(self, _auto_schema: Any) -> dict[str, Any]:
        """Return the token's scheme."""
        return {
            "type": "http",
            "scheme": "bearer",
            "description": "OAuth 2.0 client credentials: POST /oauth/token gives the token.",
        }


class PersonScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    """How people sign in."""

    target_class = "aggregator.api.v1.auth.PersonAuthentication"
    name = "session"

    def get_security_definition(self, _auto_schema: Any) -> dict[str, Any]:
        """Return the cookie's scheme."""
        from django.conf import settings

        return {
            "type": "apiKey",
            "in": "cookie",
            "name": settings.SESSION_COOKIE_NAME,
            "description": "The portal's session; changes also need the header X-CSRFToken.",
        }


def doors_only(endpoints: Sequence[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    """Keep the doors of this version: other protocols document themselves."""
    return [endpoint for endpoint in endpoints if endpoint[0].startswith(PREFIX)]


def problems_add(result: dict[str, Any], **_context: Any) -> dict[str, Any]:
    """Add the problem body and one response per status to the components."""
    components = result.setdefault("components", {})
    components.setdefault("schemas", {})["Problem"] = PROBLEM
    told: dict[int, list[str]] = {}
    for code, (number, _, english) in sorted(TITLES.items()):
        told.setdefault(number, []).append(f"`{code}`: {english}")
    components["responses"] = {
        f"Problem{number}": {
            "description": " ".join(texts),
            "content": {CONTENT_TYPE: {"schema": REF}},
        }
        for number, texts in sorted(told.items())
    }
    return result


def document() -> dict[str, Any]:
    """Return the OpenAPI document of version 1."""
    with translation.override("en"):
        found: dict[str, Any] = SchemaGenerator().get_schema(  # type: ignore[no-untyped-call]
            request=None, public=True
        )
    return found


@functools.cache
def _printed() -> bytes:
    return json.dumps(document(), ensure_ascii=False, default=str).encode()


@require_safe
def openapi(request: HttpRequest) -> HttpResponse:
    """Serve the document; it changes with the code only."""
    del request
    answer = HttpResponse(_printed(), content_type=f"{MEDIA_TYPE}; charset=utf-8")
    answer["Content-Disposition"] = 'inline; filename="wattbit-api-v1.json"'
    patch_response_headers(answer, cache_timeout=CACHED_S)
    return answer


@require_safe
def swagger(request: HttpRequest) -> HttpResponse:
    """Show the doors with Swagger UI, where they can be tried."""
    return render(request, "api/swagger.html")


@require_safe
def redoc(request: HttpRequest) -> HttpResponse:
    """Show the doors with ReDoc, for reading and printing."""
    return render(request, "api/redoc.html")


urlpatterns: list[URLPattern] = [
    path("schema", openapi, name="schema"),
    path("docs", swagger, name="docs"),
    path("docs/redoc", redoc, name="docs-redoc"),
]
