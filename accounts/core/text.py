"""Text that strangers send: what no name has and no database column holds."""

from __future__ import annotations

import re
from typing import Final

RULE: Final = "text without control characters and lone surrogates"
_NEVER: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")


def is_plain(text: str) -> bool:
    """Whether `text` has no control character (NUL, line ends, escapes) and no lone surrogate."""
    return _NEVER.search(text) is None
