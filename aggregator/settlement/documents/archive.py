"""Many documents in one file: what a party keeps of a period, with an index to search it by.

The law on electronic books asks that documents are found by date, amount and partner
(電子帳簿保存法施行規則 2条6項); an index beside the files does that without this system.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Sequence
from typing import Final

from django.db.models import QuerySet

from accounts.core.csvtext import Cell, csv_bytes
from accounts.core.errors import NotFound, Refused
from aggregator.settlement.documents.printing import document_file
from aggregator.settlement.documents_models import Document, FileFormat, Language

DOCUMENTS_MAX: Final = 200
INDEX_NAME: Final = "index.csv"
HEADER: Final = (
    "file",
    "number",
    "kind",
    "partner",
    "partner_name",
    "issued_on",
    "total_jpy",
    "tax_jpy",
    "corrects",
    "sha256",
)
READABLE: Final = 0o644 << 16


def documents_zip(
    *,
    rows: QuerySet[Document],
    language: str = Language.JA,
    formats: Sequence[str] = tuple(FileFormat.values),
) -> bytes:
    """Return documents as files of one archive, with an index of them.

    The same documents give the same bytes: entries are dated by the day of issue.

    Parameters
    ----------
    rows
        What the caller sees and asked for; at most :data:`DOCUMENTS_MAX`.

    Raises
    ------
    NotFound
        If there is none.
    Refused
        If there are more.
    """
    found = list(rows.order_by("issued_on", "id")[: DOCUMENTS_MAX + 1])
    if not found:
        raise NotFound(field="documents", value=0, rule="documents that you can see")
    if len(found) > DOCUMENTS_MAX:
        raise Refused(
            field="documents", value=f"> {DOCUMENTS_MAX}", rule=f"at most {DOCUMENTS_MAX} at once"
        )
    packed = io.BytesIO()
    index: list[list[Cell]] = []
    with zipfile.ZipFile(packed, "w") as archive:
        for row in found:
            for file_format in formats:
                made = document_file(document=row, language=language, file_format=file_format)
                name = f"{row.number}-{language}.{file_format}"
                _add(archive, name, bytes(made.content), row)
                index.append(_line(name, row, made.sha256))
        _add(archive, INDEX_NAME, csv_bytes(index, header=HEADER), found[-1])
    return packed.getvalue()


def _line(name: str, row: Document, sha256: str) -> list[Cell]:
    return [
        name,
        row.number,
        row.kind,
        row.organisation.code,
        row.content["recipient"]["name"],
        row.issued_on,
        row.total_jpy,
        row.tax_jpy,
        "" if row.corrects is None else row.corrects.number,
        sha256,
    ]


def _add(archive: zipfile.ZipFile, name: str, content: bytes, row: Document) -> None:
    day = row.issued_on
    entry = zipfile.ZipInfo(name, date_time=(day.year, day.month, day.day, 0, 0, 0))
    entry.compress_type = zipfile.ZIP_DEFLATED
    entry.external_attr = READABLE
    archive.writestr(entry, content)
