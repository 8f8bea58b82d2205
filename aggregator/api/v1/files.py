"""Files in and out of the API: one file per request in, attachments out.

A door that takes files sets ``parser_classes = FILE_PARSERS``, documents its body with
:class:`FileBody` (``request={"multipart/form-data": FileBody}``), and reads it by
:func:`file_in`; a door that hands one out answers with :func:`attachment`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import IO, Any, Final
from urllib.parse import quote

from django.core.exceptions import SuspiciousOperation
from django.http import HttpResponse
from rest_framework import parsers, renderers, serializers
from rest_framework.request import Request

from accounts.core.errors import Refused
from accounts.core.files import FILE_BYTES_MAX, CheckedFile, file_checked
from accounts.core.text import is_plain
from aggregator.api.v1.problem import Stopped

FIELD: Final = "file"
# what a form adds to its file: boundaries, headers and a few short texts
FORM_BYTES_MAX: Final = 100_000


class FileParser(parsers.MultiPartParser):
    """Forms with a file, of a length that is told beforehand and bounded."""

    def parse(
        self,
        stream: IO[Any],
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> Any:
        """Refuse a form that is too long before it is read, and one that is no form."""
        context = dict(parser_context or {})
        told = context["request"].META.get("CONTENT_LENGTH") or "0"
        if not told.isascii() or not told.isdigit() or int(told[:12]) > _most_bytes():
            raise Stopped("too-large", f"a file of at most {FILE_BYTES_MAX} bytes", field=FIELD)
        try:
            return super().parse(stream, media_type, context)
        except SuspiciousOperation as error:
            raise Stopped("malformed", "a form with one file and few fields") from error


class AnyAcceptRenderer(renderers.JSONRenderer):
    """Lets a door that answers with a file take any Accept; its refusals stay JSON."""

    media_type = "*/*"


FILE_PARSERS: Final = (FileParser,)
FILE_RENDERERS: Final = (renderers.JSONRenderer, AnyAcceptRenderer)


class FileBody(serializers.Serializer[Any]):
    """A form with one file."""

    file = serializers.FileField(
        help_text=f"PDF, CSV, PNG or JSON of at most {FILE_BYTES_MAX} bytes"
    )


def file_in(request: Request, *, others: Collection[str] = ()) -> CheckedFile:
    """Return the one file of a form, checked.

    Parameters
    ----------
    request
        Parsed by :data:`FILE_PARSERS`.
    others
        Names of text fields that the form may have beside ``file``.

    Raises
    ------
    Stopped
        ``too-large``.
    Refused
        Naming the field: no file, several, an unknown one, or a file that is not taken.
    """
    known = {FIELD, *others}
    form: Any = request.data
    for name in form:
        if name not in known:
            raise Refused(field=name[:80], value="", rule=f"one of {', '.join(sorted(known))}")
        values = form.getlist(name)
        if len(values) != 1:
            raise Refused(field=name, value=len(values), rule="once")
        if name in others and not is_plain(str(values[0])):
            raise Refused(field=name, value=values[0], rule="text without control characters")
    found = request.FILES.get(FIELD)
    if found is None or set(request.FILES) != {FIELD}:
        raise Refused(field=FIELD, value=None, rule="one file, in the form's field `file`")
    if found.size is None or found.size > FILE_BYTES_MAX:
        raise Stopped("too-large", f"a file of at most {FILE_BYTES_MAX} bytes", field=FIELD)
    return file_checked(found.name or "", found.content_type or "", found.read(), field=FIELD)


def attachment(*, name: str, content_type: str, content: bytes) -> HttpResponse:
    """Answer with a file to be saved, never to be shown in place (RFC 6266)."""
    answer = HttpResponse(content, content_type=content_type)
    plain = "".join(c if c.isascii() and (c.isalnum() or c in "._-") else "_" for c in name)
    answer["Content-Disposition"] = (
        f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}"
    )
    answer["X-Content-Type-Options"] = "nosniff"
    answer["Cache-Control"] = "no-store"
    return answer


def _most_bytes() -> int:
    return FILE_BYTES_MAX + FORM_BYTES_MAX
