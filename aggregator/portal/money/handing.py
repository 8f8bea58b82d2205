"""Files handed out by pages: saved, never shown in place, kept in no cache."""

from __future__ import annotations

from urllib.parse import quote

from django.http import HttpResponse


def attachment(*, name: str, content_type: str, content: bytes) -> HttpResponse:
    """Answer with a file to be saved (RFC 6266); a stranger's name stays harmless."""
    answer = HttpResponse(content, content_type=content_type)
    plain = "".join(c if c.isascii() and (c.isalnum() or c in "._-") else "_" for c in name)
    whole = quote(name, safe="")
    answer["Content-Disposition"] = f"attachment; filename=\"{plain}\"; filename*=UTF-8''{whole}"
    answer["X-Content-Type-Options"] = "nosniff"
    answer["Cache-Control"] = "no-store"
    return answer
