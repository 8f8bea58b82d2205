"""Bodies of the API: JSON that can be read in one way only (:mod:`accounts.core.onejson`)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import IO, Any, Final

from rest_framework import parsers

from accounts.core import onejson
from accounts.core.onejson import DEPTH_MAX, LIST_LENGTH_MAX, NODES_MAX, NUMBER_LENGTH_MAX
from aggregator.api.v1.problem import Stopped

BODY_BYTES_MAX: Final = 5 * 1024 * 1024


def read_json(body: bytes) -> Any:
    """Parse a body in which every reader would read the same thing.

    Raises
    ------
    Stopped
        ``too-large`` or ``malformed``, naming the rule that is broken.
    """
    try:
        return onejson.read_json(body, bytes_max=BODY_BYTES_MAX)
    except onejson.JsonFault as fault:
        raise Stopped(fault.code, fault.rule, detail_ja=fault.rule_ja, field=fault.field) from fault


class StrictJsonParser(parsers.BaseParser):
    """The only parser of JSON bodies."""

    media_type = "application/json"

    def parse(
        self,
        stream: IO[Any],
        _media_type: str | None = None,
        _context: Mapping[str, Any] | None = None,
    ) -> Any:
        """Read at most one byte more than is allowed, so that a flood is not kept."""
        return read_json(stream.read(BODY_BYTES_MAX + 1))


__all__ = [
    "BODY_BYTES_MAX",
    "DEPTH_MAX",
    "LIST_LENGTH_MAX",
    "NODES_MAX",
    "NUMBER_LENGTH_MAX",
    "StrictJsonParser",
    "read_json",
]
