"""The audit trail: an organisation's own entries, and the checkpoints that anybody may keep."""

from __future__ import annotations

from typing import Any, ClassVar

from django.urls import URLPattern, path
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.audit.models import AuditCheckpoint, AuditEntry
from accounts.core.chain import SCHEMA
from accounts.parties.trails import READ, entries_seen
from aggregator.api.v1.access import PUBLIC, Access
from aggregator.api.v1.asked import query_of, row_of, text_of
from aggregator.api.v1.base import Door
from aggregator.api.v1.pagination import page
from aggregator.api.v1.registry_rows import pages_of
from aggregator.api.v1.schema import PAGED

SUBJECT_LENGTH_MAX = 120


class AuditEntryWritten(serializers.Serializer[Any]):
    """One thing that was done."""

    id = serializers.IntegerField()
    at = serializers.DateTimeField(help_text="Market time.")
    action = serializers.CharField(help_text="`market.bid.submitted`")
    actor = serializers.CharField(
        help_text="`user:<number>`, `client:<id>`, `system:<job>`, `system`, `nobody`"
    )
    subject = serializers.CharField(help_text="What it is about: `trading.bid:<id>`")
    detail = serializers.DictField(help_text="As the action has it.")
    link = serializers.IntegerField(
        allow_null=True, help_text="Its place in the hash chain; null until it is sealed."
    )


class CheckpointWritten(serializers.Serializer[Any]):
    """How far the hash chain reaches and what its last link is, signed.

    `signature` is Ed25519 by `public_key` over this object without `signature`, as JSON with
    sorted keys and no spaces. Keep it: the chain must always fit it.
    """

    schema = serializers.ChoiceField(choices=[SCHEMA])
    number = serializers.IntegerField(min_value=1)
    last_link = serializers.IntegerField(min_value=1)
    count = serializers.IntegerField(min_value=1, help_text="Links since the one before.")
    sha256 = serializers.RegexField(r"^[0-9a-f]{64}$")
    sealed_at = serializers.CharField(help_text="RFC 3339, as signed.")
    public_key = serializers.RegexField(r"^[0-9a-f]{64}$")
    signature = serializers.RegexField(r"^[0-9a-f]{128}$")


def entry_written(row: AuditEntry) -> dict[str, Any]:
    """Print an entry."""
    link = getattr(row, "link", None)
    return {
        "id": row.id,
        "at": row.at,
        "action": row.action,
        "actor": row.actor,
        "subject": row.subject,
        "detail": row.detail,
        "link": link.number if link is not None else None,
    }


class AuditEntries(Door):
    """Entries about one's own organisation."""

    access: ClassVar[Access] = {"GET": READ}

    @extend_schema(
        operation_id="audit_entry_list",
        summary="List audit entries about one's own organisation, latest first",
        tags=["audit"],
        parameters=[
            *PAGED,
            OpenApiParameter(
                "subject", OpenApiTypes.STR, description="Only about this: `trading.bid:<id>`"
            ),
        ],
        responses={200: pages_of(AuditEntryWritten, "AuditEntry")},
    )
    def get(self, request: Request) -> Response:
        """Return one page."""
        asked = query_of(request, "subject")
        rows = entries_seen(seen_by=self.sight)
        if "subject" in asked:
            rows = rows.filter(
                subject=text_of(asked["subject"], field="subject", length_max=SUBJECT_LENGTH_MAX)
            )
        return Response(page(request, rows, entry_written, key=("-id",)))


class Checkpoints(Door):
    """Every checkpoint, for everybody."""

    access: ClassVar[Access] = {"GET": PUBLIC}

    @extend_schema(
        operation_id="audit_checkpoint_list",
        summary="List checkpoints of the audit chain, latest first",
        tags=["audit"],
        parameters=PAGED,
        responses={200: pages_of(CheckpointWritten, "Checkpoint")},
    )
    def get(self, request: Request) -> Response:
        """Return one page."""
        query_of(request)
        rows = AuditCheckpoint.objects.all()
        found = page(request, rows, lambda row: row.as_checkpoint().as_json(), key=("-number",))
        return Response(found)


class OneCheckpoint(Door):
    """One checkpoint, for everybody."""

    access: ClassVar[Access] = {"GET": PUBLIC}

    @extend_schema(
        operation_id="audit_checkpoint",
        summary="Show a checkpoint of the audit chain",
        tags=["audit"],
        responses={200: CheckpointWritten},
    )
    def get(self, request: Request, checkpoint: int) -> Response:
        """Return it; it never changes."""
        query_of(request, is_list=False)
        row = row_of(
            AuditCheckpoint.objects.filter(number__lt=2**63), "checkpoint", number=checkpoint
        )
        return Response(row.as_checkpoint().as_json())


urlpatterns: list[URLPattern] = [
    path("audit/checkpoints", Checkpoints.as_view(), name="audit-checkpoint-list"),
    path("audit/checkpoints/<int:checkpoint>", OneCheckpoint.as_view(), name="audit-checkpoint"),
    path("audit/entries", AuditEntries.as_view(), name="audit-entry-list"),
]
