"""Text that strangers send: what no name has and no database column holds."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

RULE: Final = "text without control characters and lone surrogates"
_NEVER: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")


def is_plain(text: str) -> bool:
    """Whether `text` has no control character (NUL, line ends, escapes) and no lone surrogate."""
    return _NEVER.search(text) is None


def address_is_plain(path: str, query: Iterable[tuple[str, Iterable[str]]]) -> bool:
    """Whether a decoded path and all names and values of its query are plain."""
    return is_plain(path) and all(
        is_plain(name) and all(map(is_plain, values)) for name, values in query
    )
