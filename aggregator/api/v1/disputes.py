"""Disputes: objections to settlement lines, argued by both sides and decided by settlement.

The party that objects and the other side of the lines see the whole history, but of each other
only the organisation; who acted there is shown to one's own side and to the market.
"""

from __future__ import annotations

from typing import Any, ClassVar
from uuid import UUID

from django.http import HttpResponse
from django.urls import path
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.core.errors import Refused
from accounts.parties.models import Organisation
from aggregator.api.v1.access import Access
from aggregator.api.v1.asked import (
    body_of,
    choice_of,
    code_of,
    flag_of,
    list_of,
    query_of,
    row_of,
    text_of,
)
from aggregator.api.v1.base import Door
from aggregator.api.v1.files import FILE_PARSERS, FILE_RENDERERS, FileBody, attachment, file_in
from aggregator.api.v1.pagination import page
from aggregator.api.v1.printed import exact
from aggregator.api.v1.schema import PAGED, problems
from aggregator.api.v1.settlement_lines import SettlementLineOut, lines_written
from aggregator.settlement.dispute_models import (
    TEXT_LENGTH_MAX,
    Dispute,
    DisputeEntry,
    DisputeEvidence,
    DisputeReason,
    DisputeState,
    EntryKind,
)
from aggregator.settlement.disputes import (
    DECISIONS,
    LINES_MAX,
    dispute_comment,
    dispute_decide,
    dispute_evidence_add,
    dispute_open,
    dispute_review_start,
    dispute_withdraw,
)
from aggregator.settlement.models import RunKind
from aggregator.settlement.seen import (
    DECIDE,
    OPEN,
    READ,
    dispute_judge,
    dispute_side,
    disputed_lines_seen,
    disputes_by_way,
    disputes_seen,
    line_view_of,
)


class DisputeIn(serializers.Serializer[Any]):
    """An objection to lines that all have the same other side."""

    lines = serializers.ListField(
        child=serializers.IntegerField(min_value=1),
        min_length=1,
        max_length=LINES_MAX,
        help_text="Ids of settlement lines of yours, of the latest settlement of their auctions.",
    )
    reason_code = serializers.ChoiceField(choices=DisputeReason.values)
    reason = serializers.CharField(max_length=TEXT_LENGTH_MAX)
    organisation = serializers.CharField(
        required=False, help_text="Code of the organisation you act for, where you may for several."
    )


class CorrectionOut(serializers.Serializer[Any]):
    """The settlement that put an accepted dispute right."""

    auction = serializers.CharField()
    kind = serializers.ChoiceField(choices=RunKind.values)
    revision = serializers.IntegerField()


class DisputeOut(serializers.Serializer[Any]):
    """A dispute; `is_held` tells whether its lines' amounts are not to be paid."""

    id = serializers.UUIDField()
    organisation = serializers.CharField(help_text="Who objects.")
    counterparty = serializers.CharField(help_text="The other side of the lines.")
    reason_code = serializers.ChoiceField(choices=DisputeReason.values)
    reason = serializers.CharField()
    disputed_exact_jpy = serializers.DecimalField(
        max_digits=22,
        decimal_places=6,
        help_text="Sum of the lines for who objects: received positive, paid negative.",
    )
    state = serializers.ChoiceField(choices=DisputeState.values)
    is_held = serializers.BooleanField()
    decision = serializers.CharField(allow_blank=True)
    opened_at = serializers.DateTimeField()
    ended_at = serializers.DateTimeField(allow_null=True)
    corrected_by = CorrectionOut(allow_null=True)


class EvidenceOut(serializers.Serializer[Any]):
    """A file that one side showed."""

    id = serializers.UUIDField()
    organisation = serializers.CharField()
    name = serializers.CharField()
    content_type = serializers.CharField()
    size_bytes = serializers.IntegerField()
    sha256 = serializers.CharField()
    added_at = serializers.DateTimeField()


class DisputeEntryOut(serializers.Serializer[Any]):
    """One line of the history."""

    kind = serializers.ChoiceField(choices=EntryKind.values)
    organisation = serializers.CharField()
    actor = serializers.CharField(required=False, help_text="Own side and market.")
    text = serializers.CharField(allow_blank=True)
    evidence = serializers.UUIDField(allow_null=True)
    at = serializers.DateTimeField()


class DisputeDetailOut(DisputeOut):
    """A dispute with its lines, files and history."""

    lines = SettlementLineOut(many=True)
    evidence = EvidenceOut(many=True)
    history = DisputeEntryOut(many=True)


class DisputePage(serializers.Serializer[Any]):
    """A page of disputes."""

    items = DisputeOut(many=True)
    next = serializers.CharField(allow_null=True)


class TextIn(serializers.Serializer[Any]):
    """A word."""

    text = serializers.CharField(max_length=TEXT_LENGTH_MAX)


class WithdrawalIn(serializers.Serializer[Any]):
    """Why a dispute is taken back, if that is to be said."""

    text = serializers.CharField(max_length=TEXT_LENGTH_MAX, required=False)


class DecisionIn(serializers.Serializer[Any]):
    """A decision in words."""

    outcome = serializers.ChoiceField(choices=DECISIONS)
    text = serializers.CharField(max_length=TEXT_LENGTH_MAX)


def dispute_written(row: Dispute) -> dict[str, Any]:
    """Print a dispute."""
    run = row.corrected_by
    return {
        "id": row.id,
        "organisation": row.organisation.code,
        "counterparty": row.counterparty.code,
        "reason_code": row.reason_code,
        "reason": row.reason,
        "disputed_exact_jpy": exact(row.disputed_exact_jpy),
        "state": row.state,
        "is_held": row.is_held,
        "decision": row.decision,
        "opened_at": row.opened_at,
        "ended_at": row.ended_at,
        "corrected_by": None
        if run is None
        else {"auction": run.auction.code, "kind": run.kind, "revision": run.revision},
    }


def evidence_written(row: DisputeEvidence) -> dict[str, Any]:
    """Print what a file is."""
    return {
        "id": row.id,
        "organisation": row.organisation.code,
        "name": row.name,
        "content_type": row.content_type,
        "size_bytes": row.size_bytes,
        "sha256": row.sha256,
        "added_at": row.added_at,
    }


class DisputeDoor(Door):
    """What the doors of one dispute share."""

    def dispute(self, dispute_id: UUID) -> Dispute:
        """Return a dispute that the caller can see."""
        return row_of(disputes_seen(seen_by=self.sight), "dispute", id=dispute_id)

    def side(self, dispute: Dispute) -> Organisation:
        """Return the organisation in whose name the caller speaks in a dispute.

        Raises
        ------
        NotPermitted
            If the caller only looks on.
        """
        return dispute_side(seen_by=self.sight, dispute=dispute)

    def judge(self, dispute: Dispute) -> Organisation:
        """Return the market in whose name the caller decides.

        Raises
        ------
        NotPermitted
            If the caller belongs to a party of the dispute, or decides nothing here.
        """
        return dispute_judge(seen_by=self.sight, dispute=dispute)

    def written(self, dispute_id: UUID) -> dict[str, Any]:
        """Print a dispute whole."""
        row = self.dispute(dispute_id)
        view = line_view_of(self.sight)
        files = row.evidence.select_related("organisation").defer("content")
        entries = row.entries.select_related("organisation").order_by("id")
        return {
            **dispute_written(row),
            "lines": lines_written(list(disputed_lines_seen(view=view, dispute=row)), view),
            "evidence": [evidence_written(one) for one in files.order_by("added_at", "id")],
            "history": [self._entry_written(entry) for entry in entries],
        }

    def _entry_written(self, entry: DisputeEntry) -> dict[str, Any]:
        found: dict[str, Any] = {
            "kind": entry.kind,
            "organisation": entry.organisation.code,
            "text": entry.text,
            "evidence": entry.evidence_id,
            "at": entry.at,
        }
        if self.sight.may(READ, entry.organisation_id):
            found["actor"] = entry.actor
        return found


class DisputeList(DisputeDoor):
    """Disputes of one's organisations, from either side, or all."""

    access: ClassVar[Access] = {"GET": READ, "POST": OPEN}

    @extend_schema(
        summary="List disputes, the latest first",
        parameters=[
            *PAGED,
            OpenApiParameter("state", OpenApiTypes.STR, enum=DisputeState.values),
            OpenApiParameter("is_held", OpenApiTypes.BOOL),
        ],
        responses={200: DisputePage},
    )
    def get(self, request: Request) -> Response:
        """Return one page."""
        asked = query_of(request, "state", "is_held")
        only: dict[str, Any] = {}
        if "state" in asked:
            only["state"] = choice_of(asked["state"], DisputeState.values, field="state")
        if "is_held" in asked:
            only["is_held"] = flag_of(asked["is_held"], field="is_held")
        rows = [way.filter(**only) for way in disputes_by_way(seen_by=self.sight)]
        return Response(page(request, rows, dispute_written, key=("-opened_at", "id")))

    @extend_schema(
        summary="Object to settlement lines; their amounts are held from then on",
        request=DisputeIn,
        responses={201: DisputeDetailOut, **problems("conflict")},
    )
    def post(self, request: Request) -> Response:
        """Open a dispute."""
        body = body_of(
            request, required=("lines", "reason_code", "reason"), optional=("organisation",)
        )
        lines = list_of(body["lines"], field="lines", length_max=LINES_MAX)
        for i, line_id in enumerate(lines):
            if type(line_id) is not int or not 0 < line_id < 2**63:
                raise Refused(field=f"lines[{i}]", value=line_id, rule="the id of a line")
        code = body.get("organisation")
        dispute = dispute_open(
            organisation=self.sight.acting_for(
                OPEN, None if code is None else code_of(code, field="organisation")
            ),
            line_ids=lines,
            reason_code=choice_of(body["reason_code"], DisputeReason.values, field="reason_code"),
            reason=_text(body, "reason"),
            actor=self.sight.actor,
        )
        return Response(self.written(dispute.id), status=201)


class DisputeOne(DisputeDoor):
    """One dispute."""

    access: ClassVar[Access] = {"GET": READ}

    @extend_schema(
        summary="Show a dispute with lines, evidence and history",
        responses={200: DisputeDetailOut},
    )
    def get(self, request: Request, dispute_id: UUID) -> Response:
        """Return it."""
        query_of(request, is_list=False)
        return Response(self.written(dispute_id))


class DisputeComment(DisputeDoor):
    """A word of one side."""

    access: ClassVar[Access] = {"POST": READ}

    @extend_schema(
        summary="Say something in a dispute while nothing is decided",
        request=TextIn,
        responses={201: DisputeDetailOut, **problems("dispute-closed")},
    )
    def post(self, request: Request, dispute_id: UUID) -> Response:
        """Add it to the history."""
        dispute = self.dispute(dispute_id)
        text = _text(body_of(request, required=("text",)), "text")
        dispute_comment(
            dispute_id=dispute.id,
            organisation=self.side(dispute),
            text=text,
            actor=self.sight.actor,
        )
        return Response(self.written(dispute.id), status=201)


class DisputeEvidenceList(DisputeDoor):
    """Files in."""

    access: ClassVar[Access] = {"POST": READ}
    parser_classes = FILE_PARSERS

    @extend_schema(
        summary="Show a file in a dispute while nothing is decided",
        request={"multipart/form-data": FileBody},
        responses={201: EvidenceOut, **problems("dispute-closed", "conflict")},
    )
    def post(self, request: Request, dispute_id: UUID) -> Response:
        """Keep it as it came, with its hash."""
        dispute = self.dispute(dispute_id)
        side = self.side(dispute)
        evidence = dispute_evidence_add(
            dispute_id=dispute.id,
            organisation=side,
            file=file_in(request),
            actor=self.sight.actor,
        )
        return Response(evidence_written(evidence), status=201)


class DisputeEvidenceOne(DisputeDoor):
    """A file out."""

    access: ClassVar[Access] = {"GET": READ}
    renderer_classes = FILE_RENDERERS

    @extend_schema(
        summary="Download a file of a dispute",
        responses={(200, "application/octet-stream"): OpenApiTypes.BINARY},
    )
    def get(self, request: Request, dispute_id: UUID, evidence_id: UUID) -> HttpResponse:
        """Return it, to be saved and never shown in place."""
        query_of(request, is_list=False)
        found = row_of(self.dispute(dispute_id).evidence.all(), "evidence", id=evidence_id)
        return attachment(
            name=found.name, content_type=found.content_type, content=bytes(found.content)
        )


class DisputeReview(DisputeDoor):
    """Settlement takes a dispute up."""

    access: ClassVar[Access] = {"POST": DECIDE}

    @extend_schema(
        summary="Take an open dispute up, for settlement",
        request=None,
        responses={200: DisputeDetailOut, **problems("dispute-closed")},
    )
    def post(self, request: Request, dispute_id: UUID) -> Response:
        """Begin the review."""
        dispute = self.dispute(dispute_id)
        body_of(request)
        dispute_review_start(
            dispute_id=dispute.id, organisation=self.judge(dispute), actor=self.sight.actor
        )
        return Response(self.written(dispute.id))


class DisputeDecision(DisputeDoor):
    """Settlement decides."""

    access: ClassVar[Access] = {"POST": DECIDE}

    @extend_schema(
        summary="Accept or reject a dispute under review, for settlement",
        request=DecisionIn,
        responses={200: DisputeDetailOut, **problems("dispute-closed")},
    )
    def post(self, request: Request, dispute_id: UUID) -> Response:
        """Decide; a rejected one releases the amount, an accepted one waits for correction."""
        dispute = self.dispute(dispute_id)
        body = body_of(request, required=("outcome", "text"))
        dispute_decide(
            dispute_id=dispute.id,
            organisation=self.judge(dispute),
            outcome=choice_of(body["outcome"], DECISIONS, field="outcome"),
            text=_text(body, "text"),
            actor=self.sight.actor,
        )
        return Response(self.written(dispute.id))


class DisputeWithdraw(DisputeDoor):
    """The party takes it back."""

    access: ClassVar[Access] = {"POST": OPEN}

    @extend_schema(
        summary="Take an own dispute back while nothing is decided; the amount is released",
        request=WithdrawalIn,
        responses={200: DisputeDetailOut, **problems("dispute-closed")},
    )
    def post(self, request: Request, dispute_id: UUID) -> Response:
        """Withdraw it."""
        dispute = self.dispute(dispute_id)
        body = body_of(request, optional=("text",))
        text = _text(body, "text") if "text" in body else ""
        dispute_withdraw(
            dispute_id=dispute.id,
            organisation=self.side(dispute),
            text=text,
            actor=self.sight.actor,
        )
        return Response(self.written(dispute.id))


def _text(body: Any, field: str) -> str:
    return text_of(body[field], field=field, length_max=TEXT_LENGTH_MAX, lines=True)


ONE = "disputes/<uuid:dispute_id>"
urlpatterns = [
    path("disputes", DisputeList.as_view(), name="dispute-list"),
    path(ONE, DisputeOne.as_view(), name="dispute"),
    path(f"{ONE}/comments", DisputeComment.as_view(), name="dispute-comment"),
    path(f"{ONE}/evidence", DisputeEvidenceList.as_view(), name="dispute-evidence-add"),
    path(
        f"{ONE}/evidence/<uuid:evidence_id>",
        DisputeEvidenceOne.as_view(),
        name="dispute-evidence",
    ),
    path(f"{ONE}/review", DisputeReview.as_view(), name="dispute-review"),
    path(f"{ONE}/decision", DisputeDecision.as_view(), name="dispute-decide"),
    path(f"{ONE}/withdraw", DisputeWithdraw.as_view(), name="dispute-withdraw"),
]
