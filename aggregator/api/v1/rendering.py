"""How values are printed in JSON: exact numbers as text, moments in UTC.

DRF's own encoder turns a Decimal that no serializer printed into a float, silently. Here it
becomes the text of its digits, without exponent; a moment is printed in UTC with ``Z``.
"""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from rest_framework import renderers
from rest_framework.utils.encoders import JSONEncoder


class ExactEncoder(JSONEncoder):
    """DRF's encoder with exact numbers."""

    def default(self, obj: Any) -> Any:
        """Print what JSON has no form for."""
        if isinstance(obj, Decimal):
            return format(obj, "f")
        if isinstance(obj, datetime) and obj.tzinfo is not None:
            return obj.astimezone(UTC).isoformat().replace("+00:00", "Z")
        return super().default(obj)


class ExactJsonRenderer(renderers.JSONRenderer):
    """The renderer of all doors."""

    encoder_class = ExactEncoder
