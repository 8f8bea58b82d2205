"""Versions of what may be changed: nobody overwrites what they have not read (RFC 9110, 13.1.1).

A door that shows something versioned sends ``ETag: tag(version)``; a door that changes it calls
``expect(request, version)`` after the row is locked, so that of two edits one loses with 412.
"""

from __future__ import annotations

import re
from typing import Final

from rest_framework.request import Request

from aggregator.api.v1.problem import Stopped

_TAG: Final = re.compile(r'(?:W/)?"[\x21\x23-\x7e]*"')
_LIST: Final = re.compile(rf"\s*{_TAG.pattern}(?:\s*,\s*{_TAG.pattern})*\s*")
LENGTH_MAX: Final = 1_000


def tag(version: object) -> str:
    """Return the strong entity tag of a version, as ``ETag`` prints it: ``"7"``."""
    return f'"{version}"'


def expect(request: Request, version: object) -> None:
    """Let the caller go on only if `version` is what they read.

    Parameters
    ----------
    request
        With ``If-Match``: tags, or ``*`` for whatever there is.
    version
        Of the row, read under its lock.

    Raises
    ------
    Stopped
        ``version-required`` (428), ``malformed`` (400) or ``version-changed`` (412).
    """
    given = request.headers.get("If-Match")
    if given is None:
        raise Stopped(
            "version-required", "send If-Match with the ETag of what you read", field="If-Match"
        )
    if given.strip() == "*":
        return
    if len(given) > LENGTH_MAX or _LIST.fullmatch(given) is None:
        raise Stopped("malformed", "If-Match is one or more tags in quotes", field="If-Match")
    # a weak tag never matches here: it promises less than sameness
    if tag(version) not in _TAG.findall(given):
        raise Stopped("version-changed", f"it is now {tag(version)}", field="If-Match")
