"""Payments: batches for the bank, released once by two people in one form, and its results."""

from __future__ import annotations

from collections.abc import Mapping
from typing import IO, Any, ClassVar, Final
from uuid import UUID

from django.http import HttpResponse
from django.urls import path
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import parsers, serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.approvals.kinds import PAYMENT_RELEASE
from accounts.approvals.selectors import approval_open
from accounts.approvals.services import REASON_LENGTH_MAX
from accounts.audit.services import subject_of
from accounts.core.errors import Refused
from accounts.parties.models import Organisation
from aggregator.api.v1.access import Access
from aggregator.api.v1.asked import (
    body_of,
    choice_of,
    code_of,
    day_of,
    list_of,
    query_of,
    row_of,
    text_of,
)
from aggregator.api.v1.base import Door
from aggregator.api.v1.files import FILE_RENDERERS, attachment
from aggregator.api.v1.pagination import page
from aggregator.api.v1.schema import PAGED, problems
from aggregator.settlement.payments.batches import (
    payment_batch_create,
    payment_batch_reject,
    payment_batch_release,
    payment_file_hand_out,
)
from aggregator.settlement.payments.results import payment_result_import
from aggregator.settlement.payments.seen import (
    CONTENT_TYPES,
    RELEASE,
    batch_rows,
    batches_seen,
    file_name,
)
from aggregator.settlement.payments_models import (
    BatchState,
    PaymentBatch,
    PaymentFormat,
    PaymentRow,
    PaymentState,
)
from aggregator.settlement.seen import READ_LEDGER

PAYEES_MAX: Final = 1_000


class ResultParser(parsers.BaseParser):
    """A bank's file as it came, whatever its characters."""

    media_type = "application/octet-stream"

    def parse(  # type: ignore[override]
        self,
        stream: IO[Any],
        _media_type: str | None = None,
        _context: Mapping[str, Any] | None = None,
    ) -> bytes:
        """Return its bytes."""
        return bytes(stream.read())


class PaymentFileOut(serializers.Serializer[Any]):
    """A file of a batch."""

    format = serializers.ChoiceField(choices=PaymentFormat.values)
    position = serializers.IntegerField(help_text="From 1, in each format.")
    sha256 = serializers.CharField()


class PaymentRowOut(serializers.Serializer[Any]):
    """A transfer."""

    reference = serializers.IntegerField()
    organisation = serializers.CharField()
    bank_account = serializers.CharField(help_text="Bank, branch and the number's last digits.")
    amount_jpy = serializers.IntegerField()
    state = serializers.ChoiceField(choices=PaymentState.values)
    reason = serializers.CharField(allow_blank=True)


class PaymentBatchOut(serializers.Serializer[Any]):
    """A batch without its transfers."""

    id = serializers.UUIDField()
    pay_on = serializers.DateField()
    state = serializers.ChoiceField(choices=BatchState.values)
    rows_count = serializers.IntegerField()
    total_jpy = serializers.IntegerField()
    paid_count = serializers.IntegerField()
    paid_jpy = serializers.IntegerField()
    unpaid_count = serializers.IntegerField(help_text="Failed or returned: due again.")
    payer = serializers.CharField()
    files_sha256 = serializers.CharField()
    file_format = serializers.ChoiceField(
        choices=PaymentFormat.values,
        allow_null=True,
        help_text="The form that goes to the bank, once it is released; the other never does.",
    )
    created_by = serializers.CharField()
    created_at = serializers.DateTimeField()
    released_by = serializers.CharField(allow_blank=True)
    released_at = serializers.DateTimeField(allow_null=True)


class PaymentBatchDetailOut(PaymentBatchOut):
    """A batch with its transfers and files."""

    approval = serializers.UUIDField(
        allow_null=True, help_text="The request that a second person decides or has decided."
    )
    files = PaymentFileOut(many=True)
    rows = PaymentRowOut(many=True)


class PaymentBatchPage(serializers.Serializer[Any]):
    """A page of batches."""

    items = PaymentBatchOut(many=True)
    next = serializers.CharField(allow_null=True)


class PaymentBatchIn(serializers.Serializer[Any]):
    """When to pay, and whom."""

    pay_on = serializers.DateField(help_text="A bank business day of the next 60 days.")
    organisations = serializers.ListField(
        child=serializers.CharField(),
        required=False,
        min_length=1,
        max_length=PAYEES_MAX,
        help_text="Codes; everybody who is owed, if not given.",
    )


class ReleaseIn(serializers.Serializer[Any]):
    """The one form in which the files go to the bank."""

    format = serializers.ChoiceField(choices=PaymentFormat.values)


class ReasonIn(serializers.Serializer[Any]):
    """Why."""

    reason = serializers.CharField(max_length=REASON_LENGTH_MAX)


def batch_written(row: PaymentBatch) -> dict[str, Any]:
    """Print a batch without its transfers."""
    counted: Any = row
    return {
        "id": row.id,
        "pay_on": row.pay_on,
        "state": row.state,
        "rows_count": row.rows_count,
        "total_jpy": row.total_jpy,
        "paid_count": counted.paid_count,
        "paid_jpy": counted.paid_jpy,
        "unpaid_count": counted.unpaid_count,
        "payer": str(row.payer),
        "files_sha256": row.files_sha256,
        "file_format": row.file_format or None,
        "created_by": row.created_by,
        "created_at": row.created_at,
        "released_by": row.released_by,
        "released_at": row.released_at,
    }


def row_written(row: PaymentRow) -> dict[str, Any]:
    """Print a transfer."""
    return {
        "reference": row.reference,
        "organisation": row.organisation.code,
        "bank_account": str(row.bank_account),
        "amount_jpy": row.amount_jpy,
        "state": row.state,
        "reason": row.reason,
    }


class BatchDoor(Door):
    """What the doors of one batch share."""

    access: ClassVar[Access] = {"GET": READ_LEDGER}

    def batch(self, batch_id: UUID) -> PaymentBatch:
        """Return a batch that the caller can see."""
        return row_of(batches_seen(seen_by=self.sight), "batch", id=batch_id)

    def detail(self, batch_id: UUID) -> dict[str, Any]:
        """Print a batch whole."""
        row = self.batch(batch_id)
        asked = approval_open(kind=PAYMENT_RELEASE, subject=subject_of(row))
        files = row.files.defer("content").order_by("format", "position")
        return {
            **batch_written(row),
            "approval": row.approval_id or (None if asked is None else asked.id),
            "files": [
                {"format": one.format, "position": one.position, "sha256": one.sha256}
                for one in files
            ],
            "rows": [row_written(one) for one in batch_rows(row)],
        }


class PaymentBatchList(BatchDoor):
    """Batches; a new one."""

    access: ClassVar[Access] = {"GET": READ_LEDGER, "POST": RELEASE}

    @extend_schema(
        summary="List batches of payments, the latest first",
        parameters=[*PAGED, OpenApiParameter("state", OpenApiTypes.STR, enum=BatchState.values)],
        responses={200: PaymentBatchPage},
    )
    def get(self, request: Request) -> Response:
        """Return one page."""
        asked = query_of(request, "state")
        rows = batches_seen(seen_by=self.sight)
        if "state" in asked:
            rows = rows.filter(state=choice_of(asked["state"], BatchState.values, field="state"))
        return Response(page(request, rows, batch_written, key=("-created_at", "-id")))

    @extend_schema(
        summary="Write the files that pay what is due, and ask a second person to approve them",
        request=PaymentBatchIn,
        responses={201: PaymentBatchDetailOut, **problems("conflict")},
    )
    def post(self, request: Request) -> Response:
        """Make a batch; nothing is sent."""
        body = body_of(request, required=("pay_on",), optional=("organisations",))
        batch, _ = payment_batch_create(
            pay_on=day_of(body["pay_on"], field="pay_on"),
            maker=self.sight.actor,
            organisations=_organisations(body),
        )
        return Response(self.detail(batch.id), status=201)


class PaymentBatchOne(BatchDoor):
    """One batch."""

    @extend_schema(
        summary="Show a batch with its transfers", responses={200: PaymentBatchDetailOut}
    )
    def get(self, request: Request, batch_id: UUID) -> Response:
        """Return it."""
        query_of(request, is_list=False)
        return Response(self.detail(batch_id))


class PaymentBatchRelease(BatchDoor):
    """The files may go to the bank."""

    access: ClassVar[Access] = {"POST": RELEASE}

    @extend_schema(
        summary="Release a batch that a second person has approved, in one form, once",
        request=ReleaseIn,
        responses={200: PaymentBatchDetailOut, **problems("conflict")},
    )
    def post(self, request: Request, batch_id: UUID) -> Response:
        """Release it."""
        batch = self.batch(batch_id)
        body = body_of(request, required=("format",))
        payment_batch_release(
            batch_id=batch.id,
            file_format=choice_of(body["format"], PaymentFormat.values, field="format"),
            actor=self.sight.actor,
        )
        return Response(self.detail(batch.id))


class PaymentBatchReject(BatchDoor):
    """The batch is dropped."""

    access: ClassVar[Access] = {"POST": RELEASE}

    @extend_schema(
        summary="Drop a batch that was not released; what it would have paid is due again",
        request=ReasonIn,
        responses={200: PaymentBatchDetailOut, **problems("conflict")},
    )
    def post(self, request: Request, batch_id: UUID) -> Response:
        """Drop it."""
        batch = self.batch(batch_id)
        body = body_of(request, required=("reason",))
        payment_batch_reject(
            batch_id=batch.id,
            reason=text_of(body["reason"], field="reason", length_max=REASON_LENGTH_MAX),
        )
        return Response(self.detail(batch.id))


class PaymentFileDoor(BatchDoor):
    """One file for the bank."""

    access: ClassVar[Access] = {"GET": RELEASE}
    renderer_classes = FILE_RENDERERS

    @extend_schema(
        operation_id="payment_file_retrieve",
        summary="Download a file of a released batch for the bank, in the form it was released in",
        parameters=[
            OpenApiParameter(
                "file_format", OpenApiTypes.STR, OpenApiParameter.PATH, enum=PaymentFormat.values
            ),
            OpenApiParameter("position", OpenApiTypes.INT, OpenApiParameter.PATH),
        ],
        responses={(200, "application/octet-stream"): OpenApiTypes.BINARY, **problems("conflict")},
    )
    def get(
        self, request: Request, batch_id: UUID, file_format: str, position: int
    ) -> HttpResponse:
        """Return the bytes that two people released; who took them is in the audit trail."""
        query_of(request, is_list=False)
        batch = self.batch(batch_id)
        file_format = choice_of(file_format, PaymentFormat.values, field="format")
        found = payment_file_hand_out(
            batch_id=batch.id, file_format=file_format, position=position, by=self.sight
        )
        return attachment(
            name=file_name(found),
            content_type=CONTENT_TYPES[PaymentFormat(file_format)],
            content=bytes(found.content),
        )


class PaymentResultDoor(BatchDoor):
    """What the bank did."""

    access: ClassVar[Access] = {"POST": RELEASE}
    parser_classes = (ResultParser,)

    @extend_schema(
        summary="Take in a bank's result of a batch, whole or not at all",
        description="CSV (`batch,reference,amount_jpy,status,reason`) or the fixed-length form "
        "with the bank's codes, as it came: `Content-Type: application/octet-stream`. The same "
        "file a second time changes nothing.",
        request={"application/octet-stream": OpenApiTypes.BINARY},
        responses={200: PaymentBatchDetailOut},
    )
    def post(self, request: Request, batch_id: UUID) -> Response:
        """Take it in."""
        batch = self.batch(batch_id)
        sent: Any = request.data  # no body at all is an empty form
        content = sent if isinstance(sent, bytes) else b""
        payment_result_import(batch_id=batch.id, content=content, actor=self.sight.actor)
        return Response(self.detail(batch.id))


def _organisations(body: Mapping[str, Any]) -> list[Organisation] | None:
    """Return the organisations named, each once."""
    if "organisations" not in body:
        return None
    found = []
    for i, value in enumerate(
        list_of(body["organisations"], field="organisations", length_max=PAYEES_MAX)
    ):
        field = f"organisations[{i}]"
        code = code_of(value, field=field)
        row = Organisation.objects.filter(code=code).first()
        if row is None or row in found:
            raise Refused(field=field, value=code, rule="a code of an organisation, each once")
        found.append(row)
    return found


ONE = "payment-batches/<uuid:batch_id>"
urlpatterns = [
    path("payment-batches", PaymentBatchList.as_view(), name="payment-batch-list"),
    path(ONE, PaymentBatchOne.as_view(), name="payment-batch"),
    path(
        f"{ONE}/files/<slug:file_format>/<int:position>",
        PaymentFileDoor.as_view(),
        name="payment-file",
    ),
    path(f"{ONE}/reject", PaymentBatchReject.as_view(), name="payment-batch-reject"),
    path(f"{ONE}/release", PaymentBatchRelease.as_view(), name="payment-batch-release"),
    path(f"{ONE}/results", PaymentResultDoor.as_view(), name="payment-result-import"),
]
