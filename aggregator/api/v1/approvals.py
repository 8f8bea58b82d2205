"""Approvals: what waits for a second person, and their word.

Who approves names the digest of what they have looked at. Where the approved thing can be done at
once (publishing a need, cancelling a result, closing an auction) it is done in the same
transaction.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Final
from uuid import UUID

from django.urls import URLPattern, path
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.approvals.kinds import (
    AUCTION_CLOSE_EARLY,
    BANK_ACCOUNT_CHANGE,
    INSTRUCTION_CHANGE,
    INSTRUCTION_EXTEND,
    KINDS,
    NEED_PUBLISH,
    RESULT_CANCEL,
)
from accounts.approvals.models import Approval, ApprovalState
from accounts.approvals.selectors import approvals_seen
from accounts.approvals.services import REASON_LENGTH_MAX, approval_approve, approval_reject
from aggregator.api.v1.access import SIGNED_IN, Access
from aggregator.api.v1.asked import body_of, choice_of, code_of, query_of, row_of, text_of
from aggregator.api.v1.base import Door
from aggregator.api.v1.pagination import page
from aggregator.api.v1.registry_rows import coded, pages_of
from aggregator.api.v1.schema import PAGED
from aggregator.dispatch.cancelling import result_cancel_approve, result_cancel_request
from aggregator.dispatch.changes import change_approve
from aggregator.settlement.payments.bank_accounts import (
    bank_account_approve,
    bank_account_decline,
)
from market.trading.early_closing import auction_close_early
from market.trading.proposals import need_approve, need_reject
from market.trading.selectors import auction_named

DIGEST_LENGTH = 64
# What a second person's yes does in the same transaction, by kind.
DONE_AT_ONCE: Final[Mapping[str, Callable[..., object]]] = {
    NEED_PUBLISH: need_approve,
    RESULT_CANCEL: result_cancel_approve,
    AUCTION_CLOSE_EARLY: auction_close_early,
    BANK_ACCOUNT_CHANGE: bank_account_approve,
    INSTRUCTION_CHANGE: change_approve,
    INSTRUCTION_EXTEND: change_approve,
}
# What a second person's no undoes.
UNDONE_AT_ONCE: Final[Mapping[str, Callable[..., object]]] = {
    NEED_PUBLISH: need_reject,
    BANK_ACCOUNT_CHANGE: bank_account_decline,
}


class ApprovalWritten(serializers.Serializer[Any]):
    """A request for a second person's word."""

    id = serializers.UUIDField()
    kind = serializers.ChoiceField(choices=sorted(KINDS))
    organisation = coded("Whose people decide.")
    subject = serializers.CharField(help_text="`trading.need:<id>`")
    content_sha256 = serializers.RegexField(r"^[0-9a-f]{64}$")
    detail = serializers.DictField(help_text="What is asked for, by kind.")
    reason = serializers.CharField(allow_blank=True, help_text="Of who asked.")
    state = serializers.ChoiceField(choices=ApprovalState.values)
    maker = serializers.CharField(help_text="`user:<number>` or `client:<id>`")
    checker = serializers.CharField(allow_blank=True, help_text="`user:<number>`")
    decision_reason = serializers.CharField(allow_blank=True)
    requested_at = serializers.DateTimeField()
    expires_at = serializers.DateTimeField()
    decided_at = serializers.DateTimeField(allow_null=True)
    used_at = serializers.DateTimeField(allow_null=True)


class CancellationGiven(serializers.Serializer[Any]):
    """An auction whose result is asked to be cancelled, and why."""

    kind = serializers.ChoiceField(choices=[RESULT_CANCEL])
    auction = coded("Its code.")
    reason = serializers.CharField(max_length=REASON_LENGTH_MAX)


class ApprovalGiven(serializers.Serializer[Any]):
    """A yes, to exactly this."""

    content_sha256 = serializers.RegexField(
        r"^[0-9a-f]{64}$", help_text="As the request shows it: what you have looked at."
    )
    reason = serializers.CharField(max_length=REASON_LENGTH_MAX, required=False)


class RejectionGiven(serializers.Serializer[Any]):
    """A no, and why."""

    reason = serializers.CharField(max_length=REASON_LENGTH_MAX)


def approval_written(row: Approval) -> dict[str, Any]:
    """Print a request."""
    return {
        "id": row.id,
        "kind": row.kind,
        "organisation": row.organisation.code,
        "subject": row.subject,
        "content_sha256": row.content_sha256,
        "detail": row.detail,
        "reason": row.reason,
        "state": row.state,
        "maker": row.maker,
        "checker": row.checker,
        "decision_reason": row.decision_reason,
        "requested_at": row.requested_at,
        "expires_at": row.expires_at,
        "decided_at": row.decided_at,
        "used_at": row.used_at,
    }


class Approvals(Door):
    """Requests of the caller's organisations; a new one."""

    access: ClassVar[Access] = {"GET": SIGNED_IN, "POST": "result.cancel"}

    @extend_schema(
        operation_id="approval_list",
        summary="List requests for a second person's word, latest first",
        tags=["approvals"],
        parameters=[
            *PAGED,
            OpenApiParameter("state", OpenApiTypes.STR, enum=ApprovalState.values),
            OpenApiParameter("kind", OpenApiTypes.STR, enum=sorted(KINDS)),
        ],
        responses={200: pages_of(ApprovalWritten, "Approval")},
    )
    def get(self, request: Request) -> Response:
        """Return one page."""
        asked = query_of(request, "state", "kind")
        if "state" in asked:
            choice_of(asked["state"], ApprovalState.values, field="state")
        if "kind" in asked:
            choice_of(asked["kind"], KINDS, field="kind")
        rows = approvals_seen(seen_by=self.sight, state=asked.get("state"), kind=asked.get("kind"))
        return Response(page(request, rows, approval_written, key=("-requested_at", "id")))

    @extend_schema(
        operation_id="approval_request",
        summary="Ask that an auction's result be cancelled",
        description="After the gate and before delivery begins. A second person of the market "
        "desk decides; until then nothing changes. Large needs ask by being published.",
        tags=["approvals"],
        request=CancellationGiven,
        responses={201: ApprovalWritten},
    )
    def post(self, request: Request) -> Response:
        """Ask."""
        body = body_of(request, required=("kind", "auction", "reason"))
        choice_of(body["kind"], {RESULT_CANCEL}, field="kind")
        reason = text_of(body["reason"], field="reason", length_max=REASON_LENGTH_MAX)
        code = code_of(body["auction"], field="auction")
        auction = auction_named(code)
        made = result_cancel_request(auction_id=auction.id, reason=reason, by=self.sight)
        row = row_of(approvals_seen(seen_by=self.sight), "approval", id=made.id)
        return Response(approval_written(row), status=201)


class OneApproval(Door):
    """One request."""

    access: ClassVar[Access] = {"GET": SIGNED_IN}

    @extend_schema(
        operation_id="approval",
        summary="Show a request for a second person's word",
        tags=["approvals"],
        responses={200: ApprovalWritten},
    )
    def get(self, request: Request, approval_id: UUID) -> Response:
        """Return it."""
        query_of(request, is_list=False)
        row = row_of(approvals_seen(seen_by=self.sight), "approval", id=approval_id)
        return Response(approval_written(row))


class ApprovalApprove(Door):
    """A second person's yes."""

    access: ClassVar[Access] = {"POST": SIGNED_IN}

    @extend_schema(
        operation_id="approval_approve",
        summary="Approve a request that somebody else made",
        description="People only, with the role that the kind asks for, in the organisation whose "
        "matter it is. A need is published, a result cancelled, an auction closed, a bank "
        "account used, an instruction changed at once.",
        tags=["approvals"],
        request=ApprovalGiven,
        responses={200: ApprovalWritten},
    )
    def post(self, request: Request, approval_id: UUID) -> Response:
        """Approve, and do it where it can be done."""
        row = row_of(approvals_seen(seen_by=self.sight), "approval", id=approval_id)
        body = body_of(request, required=("content_sha256",), optional=("reason",))
        approve: Any = DONE_AT_ONCE.get(row.kind, approval_approve)
        approve(
            approval_id=row.id,
            by=self.sight,
            content_sha256=text_of(
                body["content_sha256"], field="content_sha256", length_max=DIGEST_LENGTH
            ),
            reason=text_of(body["reason"], field="reason", length_max=REASON_LENGTH_MAX)
            if "reason" in body
            else "",
        )
        row.refresh_from_db()
        return Response(approval_written(row))


class ApprovalReject(Door):
    """A second person's no."""

    access: ClassVar[Access] = {"POST": SIGNED_IN}

    @extend_schema(
        operation_id="approval_reject",
        summary="Refuse a request that somebody else made",
        tags=["approvals"],
        request=RejectionGiven,
        responses={200: ApprovalWritten},
    )
    def post(self, request: Request, approval_id: UUID) -> Response:
        """Refuse, with the reason."""
        row = row_of(approvals_seen(seen_by=self.sight), "approval", id=approval_id)
        body = body_of(request, required=("reason",))
        reject: Any = UNDONE_AT_ONCE.get(row.kind, approval_reject)
        reject(
            approval_id=row.id,
            by=self.sight,
            reason=text_of(body["reason"], field="reason", length_max=REASON_LENGTH_MAX),
        )
        row.refresh_from_db()
        return Response(approval_written(row))


urlpatterns: list[URLPattern] = [
    path("approvals", Approvals.as_view(), name="approval-list"),
    path("approvals/<uuid:approval_id>", OneApproval.as_view(), name="approval"),
    path(
        "approvals/<uuid:approval_id>/approve", ApprovalApprove.as_view(), name="approval-approve"
    ),
    path("approvals/<uuid:approval_id>/reject", ApprovalReject.as_view(), name="approval-reject"),
]
