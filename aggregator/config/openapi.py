"""How the OpenAPI document is drawn from the doors; the drawing is in aggregator.api.v1.schema."""

from typing import Any

DESCRIPTION = """\
Doors of the market for data-centre operators, grid operators and everybody who reads results.

Every POST needs an `Idempotency-Key`; changes of versioned things need `If-Match`; lists go on
with `cursor`; refusals are `application/problem+json` with a stable `code`. Decimal numbers are
strings, times are RFC 3339 with an offset, `t` counts the half hours of a day in Japan from 0.
"""

SPECTACULAR_SETTINGS: dict[str, Any] = {
    "TITLE": "WattBit API",
    "DESCRIPTION": DESCRIPTION,
    "VERSION": "1",
    "SCHEMA_PATH_PREFIX": "/api/v1",
    "PREPROCESSING_HOOKS": ["aggregator.api.v1.schema.doors_only"],
    # enumerations stand where they are used: names made up from collisions would not be stable
    "POSTPROCESSING_HOOKS": ["aggregator.api.v1.schema.problems_add"],
    "SERVE_INCLUDE_SCHEMA": False,
    "COMPONENT_SPLIT_REQUEST": True,
    "COMPONENT_SPLIT_PATCH": True,
    "SORT_OPERATIONS": True,
}
