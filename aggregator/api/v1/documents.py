"""Documents: statements, invoices and accounts of one's own, with their files.

Searched by partner, date of issue and amount, each as a range and together, as the law on
electronic books asks (電子帳簿保存法).
"""

from __future__ import annotations

from datetime import date
from typing import Any, ClassVar, Final
from uuid import UUID

from django.http import HttpResponse
from django.urls import path
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.core.errors import NotPermitted, Refused
from accounts.core.money import JPY_MAX
from accounts.parties.models import Organisation
from aggregator.api.v1.access import Access
from aggregator.api.v1.asked import (
    body_of,
    choice_of,
    code_of,
    day_of,
    flag_of,
    list_of,
    query_of,
    row_of,
    text_of,
)
from aggregator.api.v1.base import Door
from aggregator.api.v1.files import FILE_RENDERERS, attachment
from aggregator.api.v1.pagination import page
from aggregator.api.v1.schema import PAGED, problems
from aggregator.settlement.dispute_models import TEXT_LENGTH_MAX, DisputeReason
from aggregator.settlement.disputes import LINES_MAX
from aggregator.settlement.documents.archive import documents_zip
from aggregator.settlement.documents.confirming import document_confirm, document_object
from aggregator.settlement.documents.printing import CONTENT_TYPES, document_file
from aggregator.settlement.documents.seen import (
    DocumentSearch,
    documents_found,
    documents_seen,
    payments_of,
)
from aggregator.settlement.documents_models import (
    ConfirmationMethod,
    Document,
    DocumentState,
    FileFormat,
    Kind,
    Language,
)
from aggregator.settlement.payments_models import PaymentState
from aggregator.settlement.seen import OPEN, READ

SEARCHED: Final = (
    "organisation",
    "kind",
    "issued_from",
    "issued_to",
    "period",
    "total_from_jpy",
    "total_to_jpy",
    "latest",
)


SEARCH_PARAMETERS: Final = [
    OpenApiParameter("organisation", OpenApiTypes.STR, description="Code of the partner."),
    OpenApiParameter("kind", OpenApiTypes.STR, enum=Kind.values),
    OpenApiParameter("issued_from", OpenApiTypes.DATE),
    OpenApiParameter("issued_to", OpenApiTypes.DATE, description="Inclusive."),
    OpenApiParameter("period", OpenApiTypes.DATE, description="First delivery date."),
    OpenApiParameter("total_from_jpy", OpenApiTypes.INT64),
    OpenApiParameter("total_to_jpy", OpenApiTypes.INT64, description="Inclusive."),
    OpenApiParameter("latest", OpenApiTypes.BOOL, description="Leave out what was corrected."),
]


class DocumentOut(serializers.Serializer[Any]):
    """A document without its lines."""

    id = serializers.UUIDField()
    number = serializers.CharField()
    kind = serializers.ChoiceField(choices=Kind.values)
    organisation = serializers.CharField()
    period = serializers.DateField(help_text="First delivery date.")
    period_end = serializers.DateField(help_text="Delivery date after the last.")
    revision = serializers.IntegerField()
    corrects = serializers.CharField(allow_null=True, help_text="Number of the corrected one.")
    corrected_by = serializers.CharField(allow_null=True, help_text="Number of its correction.")
    issued_on = serializers.DateField()
    tax_jpy = serializers.IntegerField()
    total_jpy = serializers.IntegerField(
        help_text="With tax; of an account, positive is owed to the organisation."
    )
    content_sha256 = serializers.CharField()
    state = serializers.ChoiceField(choices=DocumentState.values)
    objection_due_at = serializers.DateTimeField(allow_null=True)
    confirmed_at = serializers.DateTimeField(allow_null=True)
    confirmation_method = serializers.ChoiceField(
        choices=ConfirmationMethod.values, allow_blank=True
    )
    dispute = serializers.UUIDField(allow_null=True)


class DocumentPaymentOut(serializers.Serializer[Any]):
    """What of an account a transfer pays."""

    pay_on = serializers.DateField()
    state = serializers.ChoiceField(choices=PaymentState.values)
    net_jpy = serializers.IntegerField()
    held_jpy = serializers.IntegerField(help_text="Disputed: not paid now.")
    moved_jpy = serializers.IntegerField(help_text="Paid before, less what came in.")
    amount_jpy = serializers.IntegerField(help_text="Net less held less moved.")
    bank_account = serializers.CharField(help_text="Bank, branch and the number's last digits.")
    reason = serializers.CharField(allow_blank=True, help_text="Of the bank, if it failed.")


class DocumentDetailOut(DocumentOut):
    """A document with what it says."""

    content = serializers.DictField(help_text="The document itself, schema wattbit/document/1.")
    payments = DocumentPaymentOut(
        many=True, help_text="Transfers released for this account or one it corrects."
    )


class DocumentPage(serializers.Serializer[Any]):
    """A page of documents."""

    items = DocumentOut(many=True)
    next = serializers.CharField(allow_null=True)


class ObjectionIn(serializers.Serializer[Any]):
    """What is wrong with a statement: lines of its period, and why."""

    lines = serializers.ListField(
        child=serializers.IntegerField(min_value=1), min_length=1, max_length=LINES_MAX
    )
    reason_code = serializers.ChoiceField(choices=DisputeReason.values)
    reason = serializers.CharField(max_length=TEXT_LENGTH_MAX)


def document_written(row: Document) -> dict[str, Any]:
    """Print a document without its lines."""
    later = getattr(row, "corrected_by", None)
    return {
        "id": row.id,
        "number": row.number,
        "kind": row.kind,
        "organisation": row.organisation.code,
        "period": row.period.start_on,
        "period_end": row.period.end_on,
        "revision": row.revision,
        "corrects": None if row.corrects is None else row.corrects.number,
        "corrected_by": None if later is None else later.number,
        "issued_on": row.issued_on,
        "tax_jpy": row.tax_jpy,
        "total_jpy": row.total_jpy,
        "content_sha256": row.content_sha256,
        "state": row.state,
        "objection_due_at": row.objection_due_at,
        "confirmed_at": row.confirmed_at,
        "confirmation_method": row.confirmation_method,
        "dispute": row.dispute_id,
    }


class DocumentDoor(Door):
    """What the doors of one document share."""

    access: ClassVar[Access] = {"GET": READ}

    def document(self, document_id: UUID) -> Document:
        """Return a document that the caller can see."""
        return row_of(documents_seen(seen_by=self.sight), "document", id=document_id)

    def party(self, row: Document) -> Organisation:
        """Return the document's recipient, for whom the caller may answer.

        Raises
        ------
        NotPermitted
            If the caller only reads it.
        """
        if row.organisation_id not in self.sight.organisations_for(OPEN):
            raise NotPermitted(
                field="organisation", value=row.organisation.code, rule=f"{OPEN} for it"
            )
        return row.organisation

    def detail(self, document_id: UUID) -> dict[str, Any]:
        """Print a document with its content."""
        row = self.document(document_id)
        payments = [
            {
                "pay_on": part.row.batch.pay_on,
                "state": part.row.state,
                "net_jpy": part.net_jpy,
                "held_jpy": part.held_jpy,
                "moved_jpy": part.moved_jpy,
                "amount_jpy": part.amount_jpy,
                "bank_account": str(part.row.bank_account),
                "reason": part.row.reason,
            }
            for part in payments_of(row)
        ]
        return {**document_written(row), "content": row.content, "payments": payments}


class DocumentList(Door):
    """Documents issued."""

    access: ClassVar[Access] = {"GET": READ}

    @extend_schema(
        summary="Search documents by partner, date of issue and amount, the latest first",
        parameters=[
            *PAGED,
            *SEARCH_PARAMETERS,
        ],
        responses={200: DocumentPage},
    )
    def get(self, request: Request) -> Response:
        """Return one page."""
        rows = documents_found(
            documents_seen(seen_by=self.sight), _search(query_of(request, *SEARCHED))
        )
        return Response(page(request, rows, document_written, key=("-issued_on", "-id")))


class DocumentArchive(Door):
    """Many documents in one file."""

    access: ClassVar[Access] = {"GET": READ}
    renderer_classes = FILE_RENDERERS

    @extend_schema(
        operation_id="documents_zip_retrieve",
        summary="Download all documents found as one archive with an index, e.g. of a period",
        parameters=[
            *SEARCH_PARAMETERS,
            OpenApiParameter(
                "language", OpenApiTypes.STR, enum=Language.values, description="ja if not given."
            ),
            OpenApiParameter(
                "file_format",
                OpenApiTypes.STR,
                enum=FileFormat.values,
                description="All of them if not given.",
            ),
        ],
        responses={(200, "application/zip"): OpenApiTypes.BINARY},
    )
    def get(self, request: Request) -> HttpResponse:
        """Return the archive, the same bytes every time."""
        asked = query_of(request, *SEARCHED, "language", "file_format", is_list=False)
        language = choice_of(asked.get("language", Language.JA), Language.values, field="language")
        formats = FileFormat.values
        if "file_format" in asked:
            formats = [choice_of(asked["file_format"], formats, field="file_format")]
        rows = documents_found(documents_seen(seen_by=self.sight), _search(asked))
        name = "-".join(filter(None, ("documents", asked.get("organisation"), asked.get("period"))))
        return attachment(
            name=f"{name}-{language}.zip",
            content_type="application/zip",
            content=documents_zip(rows=rows, language=language, formats=formats),
        )


class DocumentOne(DocumentDoor):
    """One document."""

    @extend_schema(
        summary="Show a document with its lines, tax and days", responses={200: DocumentDetailOut}
    )
    def get(self, request: Request, document_id: UUID) -> Response:
        """Return it."""
        query_of(request, is_list=False)
        return Response(self.detail(document_id))


class DocumentFileDoor(DocumentDoor):
    """One document as a file."""

    renderer_classes = FILE_RENDERERS

    @extend_schema(
        operation_id="documents_file_retrieve",
        summary="Download a document as PDF, XLSX or CSV, in Japanese or English",
        parameters=[
            OpenApiParameter(
                "file_format", OpenApiTypes.STR, OpenApiParameter.PATH, enum=FileFormat.values
            ),
            OpenApiParameter(
                "language", OpenApiTypes.STR, enum=Language.values, description="ja if not given."
            ),
        ],
        responses={(200, "application/octet-stream"): OpenApiTypes.BINARY},
    )
    def get(self, request: Request, document_id: UUID, file_format: str) -> HttpResponse:
        """Return the file, the same bytes every time."""
        asked = query_of(request, "language", is_list=False)
        language = choice_of(asked.get("language", Language.JA), Language.values, field="language")
        choice_of(file_format, FileFormat.values, field="file_format")
        row = self.document(document_id)
        found = document_file(document=row, language=language, file_format=file_format)
        return attachment(
            name=f"{row.number}-{language}.{file_format}",
            content_type=CONTENT_TYPES[FileFormat(file_format)],
            content=bytes(found.content),
        )


class DocumentConfirm(DocumentDoor):
    """The supplier agrees."""

    access: ClassVar[Access] = {"POST": OPEN}

    @extend_schema(
        summary="Confirm a statement of yours",
        request=None,
        responses={200: DocumentDetailOut, **problems("conflict")},
    )
    def post(self, request: Request, document_id: UUID) -> Response:
        """Confirm it."""
        row = self.document(document_id)
        party = self.party(row)
        body_of(request)
        document_confirm(document_id=row.id, organisation=party, actor=self.sight.actor)
        return Response(self.detail(row.id))


class DocumentObjection(DocumentDoor):
    """The supplier objects."""

    access: ClassVar[Access] = {"POST": OPEN}

    @extend_schema(
        summary="Object to a statement of yours: its lines are disputed and held",
        request=ObjectionIn,
        responses={201: DocumentDetailOut, **problems("conflict")},
    )
    def post(self, request: Request, document_id: UUID) -> Response:
        """Open a dispute about lines of its period."""
        row = self.document(document_id)
        party = self.party(row)
        body = body_of(request, required=("lines", "reason_code", "reason"))
        lines = list_of(body["lines"], field="lines", length_max=LINES_MAX)
        for i, line_id in enumerate(lines):
            if type(line_id) is not int or not 0 < line_id < 2**63:
                raise Refused(field=f"lines[{i}]", value=line_id, rule="the id of a line")
        document_object(
            document_id=row.id,
            organisation=party,
            line_ids=lines,
            reason_code=choice_of(body["reason_code"], DisputeReason.values, field="reason_code"),
            reason=text_of(body["reason"], field="reason", length_max=TEXT_LENGTH_MAX, lines=True),
            actor=self.sight.actor,
        )
        return Response(self.detail(row.id), status=201)


def _search(asked: dict[str, str]) -> DocumentSearch:
    kind = asked.get("kind", "")
    code = asked.get("organisation", "")
    return DocumentSearch(
        organisation=code_of(code, field="organisation") if code else "",
        kind=choice_of(kind, Kind.values, field="kind") if kind else "",
        issued_from=_day(asked, "issued_from"),
        issued_to=_day(asked, "issued_to"),
        period_on=_day(asked, "period"),
        total_from_jpy=_yen(asked, "total_from_jpy"),
        total_to_jpy=_yen(asked, "total_to_jpy"),
        is_latest=flag_of(asked.get("latest", False), field="latest"),
    )


def _day(asked: dict[str, str], name: str) -> date | None:
    return day_of(asked[name], field=name) if name in asked else None


def _yen(asked: dict[str, str], name: str) -> int | None:
    """Return a whole number of yen, which may be negative."""
    if name not in asked:
        return None
    text = asked[name]
    digits = text.removeprefix("-")
    if not (digits.isascii() and digits.isdigit() and len(digits) <= len(str(JPY_MAX))):
        raise Refused(field=name, value=text, rule="whole yen")
    return int(text)


ONE = "documents/<uuid:document_id>"
urlpatterns = [
    path("documents", DocumentList.as_view(), name="document-list"),
    path("documents/zip", DocumentArchive.as_view(), name="document-zip"),
    path(ONE, DocumentOne.as_view(), name="document"),
    path(f"{ONE}/confirm", DocumentConfirm.as_view(), name="document-confirm"),
    path(f"{ONE}/objection", DocumentObjection.as_view(), name="document-object"),
    path(f"{ONE}/<slug:file_format>", DocumentFileDoor.as_view(), name="document-file"),
]
