"""Files of documents: made from stored content, kept with their hash, handed out as kept."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from itertools import islice

from django.db import transaction

from accounts.clock.selectors import market_now
from accounts.core.errors import ensure
from aggregator.metering.limits import bulk_limits_set
from aggregator.settlement.documents.presses import Press, document_printed
from aggregator.settlement.documents_models import Document, DocumentFile, FileFormat, Language

BATCH_COUNT = 50  # files printed before they are stored and progress is told
CONTENT_TYPES = {
    FileFormat.PDF: "application/pdf",
    FileFormat.XLSX: "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    FileFormat.CSV: "text/csv; charset=utf-8",
}
Progress = Callable[[int, int], object]


def document_file(*, document: Document, language: str, file_format: str) -> DocumentFile:
    """Return a file of a document, making and keeping it when it is first asked for."""
    found = _kept(document, language, file_format)
    if found is None:
        content = document_printed(document.content, language, file_format)
        found = _keep([(document, language, file_format, content)])[0]
    ensure(
        hashlib.sha256(bytes(found.content)).hexdigest() == found.sha256,
        f"the file of {document.number} is not what was kept",
    )
    return found


def files_print(
    *,
    documents: Sequence[Document],
    languages: Sequence[str] = (Language.JA,),
    formats: Sequence[str] = (FileFormat.PDF,),
    progress: Progress | None = None,
) -> int:
    """Print many documents on every core, and keep what is new.

    Parameters
    ----------
    progress
        Called with the number of files done and their count.

    Returns
    -------
    int
        How many files were made; those kept before are left as they are.
    """
    known = set(
        DocumentFile.objects.filter(document__in=documents).values_list(
            "document_id", "language", "format"
        )
    )
    wanted = [
        (row, language, file_format)
        for row in documents
        for language in languages
        for file_format in formats
        if (row.id, language, file_format) not in known
    ]
    done = 0
    with Press() as press:
        printed = press.printed((row.content, *rest) for row, *rest in wanted)
        pending = iter(zip(wanted, printed, strict=True))
        while batch := list(islice(pending, BATCH_COUNT)):
            _keep([(*which, content) for which, content in batch])
            done += len(batch)
            if progress is not None:
                progress(done, len(wanted))
    return done


@transaction.atomic
def _keep(files: Iterable[tuple[Document, str, str, bytes]]) -> list[DocumentFile]:
    """Store files; of two made at once the first is kept, and both are the same bytes."""
    bulk_limits_set()
    now = market_now()
    rows = [
        DocumentFile(
            document=document,
            language=language,
            format=file_format,
            content=content,
            sha256=hashlib.sha256(content).hexdigest(),
            size_bytes=len(content),
            made_at=now,
        )
        for document, language, file_format, content in files
    ]
    DocumentFile.objects.bulk_create(rows, ignore_conflicts=True)
    kept = [_kept(row.document, row.language, row.format) for row in rows[:1]]
    return [row for row in kept if row is not None]


def _kept(document: Document, language: str, file_format: str) -> DocumentFile | None:
    return DocumentFile.objects.filter(
        document=document, language=language, format=file_format
    ).first()
