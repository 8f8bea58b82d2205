"""How a result was checked, and the documents to check it again (``manage.py verify``).

The certificate's figures and all hashes are public. Snapshot and result hold every bid with its
price, so they are for the market's desk, settlement and auditors only, after publication.
"""

from __future__ import annotations

from typing import Any, ClassVar, Final

from django.http import HttpResponse, HttpResponseNotModified
from django.urls import URLPattern, path
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from aggregator.api.v1 import told
from aggregator.api.v1.access import PUBLIC, Access
from aggregator.api.v1.asked import query_of
from aggregator.api.v1.base import Door
from aggregator.api.v1.etag import tag
from aggregator.api.v1.prices import OfAuction, PublishedDoor
from market.clearing import selectors as results
from market.trading import selectors
from market.trading.opening import book_root_of

PRIVATE: Final = "private, max-age=86400, immutable"


class CheckSeen(serializers.Serializer[Any]):
    """One check of the certificate."""

    name = serializers.CharField()
    value = serializers.FloatField()
    limit = serializers.FloatField()
    passed = serializers.BooleanField()


class CertificateSeen(serializers.Serializer[Any]):
    """What the independent check found."""

    passed = serializers.BooleanField()
    checks = CheckSeen(many=True)


class CertificateOfAuction(OfAuction):
    """How a published result was checked."""

    snapshot_sha256 = serializers.CharField(help_text="Of the frozen book's canonical bytes.")
    engine_version = serializers.CharField()
    objective_jpy = serializers.DecimalField(max_digits=18, decimal_places=2, allow_null=True)
    published_at = serializers.DateTimeField(allow_null=True)
    book_root = serializers.CharField(allow_null=True, help_text="Merkle root of the sealed book.")
    certificate = CertificateSeen()


class BookRootSeen(serializers.Serializer[Any]):
    """The root over all bids in a closed book."""

    auction = serializers.CharField()
    merkle_root = serializers.CharField()
    leaf_count = serializers.IntegerField(min_value=0)
    made_at = serializers.DateTimeField()


class Certificate(PublishedDoor):
    """The certificate of a published result."""

    @extend_schema(
        operation_id="certificate",
        summary="Certificate, hashes and engine of a published result; public",
        responses={200: CertificateOfAuction},
    )
    def get(self, request: Request, code: str) -> Response:
        """Show each check with its value and limit."""
        auction, run = self.published(request, code)
        root = book_root_of(auction)
        return self.frame(
            request,
            auction,
            run,
            lambda: {
                "snapshot_sha256": run.snapshot.sha256 if run.snapshot else None,
                "engine_version": run.engine_version,
                "objective_jpy": run.objective_jpy,
                "published_at": run.published_at,
                "book_root": None if root is None else root.merkle_root,
                "certificate": run.certificate,
            },
        )


class BookRootOf(Door):
    """The root of a closed book."""

    access: ClassVar[Access] = {"GET": PUBLIC}

    @extend_schema(
        operation_id="auction_book_root",
        summary="Merkle root of a closed book, published at the gate; public",
        responses={200: BookRootSeen},
    )
    def get(self, request: Request, code: str) -> Response:
        """Show it: every bidder can prove against it that its bids are in the book."""
        query_of(request, is_list=False)
        auction = selectors.auction_named(code)
        root = selectors.book_root_named(auction)
        return told.immutable(
            request,
            root.merkle_root,
            lambda: {
                "auction": auction.code,
                "merkle_root": root.merkle_root,
                "leaf_count": root.leaf_count,
                "made_at": root.made_at,
            },
        )


class WholeDocument(Door):
    """A document that holds every bid."""

    access: ClassVar[Access] = {"GET": "book.read"}

    def bytes_of(self, request: Request, content: bytes, sha256: str, name: str) -> HttpResponse:
        """Answer with canonical bytes, whose hash is their version."""
        answer: HttpResponse
        if tag(sha256) in request.headers.get("If-None-Match", ""):
            answer = HttpResponseNotModified()
        else:
            answer = HttpResponse(content, content_type="application/json")
            answer["Content-Disposition"] = f'attachment; filename="{name}.json"'
        answer["ETag"] = tag(sha256)
        answer["Cache-Control"] = PRIVATE
        return answer


class ResultDocument(WholeDocument):
    """The whole result."""

    @extend_schema(
        operation_id="certificate_result",
        summary="The whole result, canonical bytes; for desk, settlement and auditors",
        responses={(200, "application/json"): OpenApiTypes.OBJECT},
    )
    def get(self, request: Request, code: str) -> HttpResponse:
        """Hand it out as it was hashed."""
        query_of(request, is_list=False)
        run = results.result_of(selectors.auction_named(code), seen_by=self.sight)
        return self.bytes_of(request, bytes(run.result or b""), run.result_sha256, f"result-{code}")


class SnapshotDocument(WholeDocument):
    """The frozen book."""

    @extend_schema(
        operation_id="certificate_snapshot",
        summary="The frozen book, canonical bytes; for desk, settlement and auditors",
        responses={(200, "application/json"): OpenApiTypes.OBJECT},
    )
    def get(self, request: Request, code: str) -> HttpResponse:
        """Hand it out as it was hashed."""
        query_of(request, is_list=False)
        run = results.result_of(selectors.auction_named(code), seen_by=self.sight)
        content = bytes(run.snapshot.content) if run.snapshot else b""
        sha256 = run.snapshot.sha256 if run.snapshot else ""
        return self.bytes_of(request, content, sha256, f"snapshot-{code}")


urlpatterns: list[URLPattern] = [
    path("auctions/<slug:code>/book-root", BookRootOf.as_view(), name="auction-book-root"),
    path("auctions/<slug:code>/certificate", Certificate.as_view(), name="certificate"),
    path("auctions/<slug:code>/result", ResultDocument.as_view(), name="certificate-result"),
    path("auctions/<slug:code>/snapshot", SnapshotDocument.as_view(), name="certificate-snapshot"),
]
