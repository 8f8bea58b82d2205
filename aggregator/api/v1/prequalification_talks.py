"""What both sides of a prequalification say and hand in."""

from __future__ import annotations

from typing import Any, ClassVar

from django.http import HttpResponse
from django.urls import URLPattern, path
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework import renderers, serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.core.files import KINDS
from aggregator.api.v1.access import Access
from aggregator.api.v1.asked import body_of, query_of, text_of
from aggregator.api.v1.files import FILE_PARSERS, FileBody, attachment, file_in
from aggregator.api.v1.prequalifications import ONE, PartyNamed, PrequalificationDoor
from aggregator.api.v1.registry_rows import coded, listed, one, pages_of
from aggregator.api.v1.schema import PAGED
from market.registry import selectors
from market.registry.models import PrequalificationComment, PrequalificationFile
from market.registry.prequalification_services import (
    COMMENT_LENGTH_MAX,
    prequalification_comment_add,
    prequalification_file_add,
)


class CommentGiven(PartyNamed):
    """A comment for the other side."""

    text = serializers.CharField(max_length=COMMENT_LENGTH_MAX)


class CommentWritten(serializers.Serializer[Any]):
    """A comment."""

    id = serializers.UUIDField()
    organisation = coded("Who wrote it.")
    text = serializers.CharField()
    written_at = serializers.DateTimeField()


class FileWritten(serializers.Serializer[Any]):
    """A file; its content is at a door of its own."""

    id = serializers.UUIDField()
    organisation = coded("Who sent it.")
    name = serializers.CharField()
    content_type = serializers.CharField()
    size_bytes = serializers.IntegerField()
    sha256 = serializers.CharField()
    submitted_at = serializers.DateTimeField()


def comment_written(comment: PrequalificationComment) -> dict[str, Any]:
    """Print a comment."""
    return {
        "id": comment.id,
        "organisation": comment.organisation.code,
        "text": comment.text,
        "written_at": comment.written_at,
    }


def file_written(file: PrequalificationFile) -> dict[str, Any]:
    """Print what is known of a file."""
    return {
        "id": file.id,
        "organisation": file.organisation.code,
        "name": file.name,
        "content_type": file.content_type,
        "size_bytes": file.size_bytes,
        "sha256": file.sha256,
        "submitted_at": file.submitted_at,
    }


class PrequalificationComments(PrequalificationDoor):
    """What both sides wrote."""

    access: ClassVar[Access] = {
        "GET": "prequalification.read",
        "POST": "prequalification.read",
    }

    @extend_schema(
        operation_id="prequalification_comment_list",
        summary="List comments",
        tags=["prequalifications"],
        parameters=PAGED,
        responses={200: pages_of(CommentWritten, "Comment")},
    )
    def get(self, request: Request, prequalification_id: Any) -> Response:
        """Oldest first."""
        query_of(request)
        rows = selectors.prequalification_comments_of(self.seen(prequalification_id))
        return listed(request, rows, comment_written, key=("written_at", "id"))

    @extend_schema(
        operation_id="prequalification_comment_create",
        summary="Write to the other side",
        tags=["prequalifications"],
        request=CommentGiven,
        responses={201: CommentWritten},
    )
    def post(self, request: Request, prequalification_id: Any) -> Response:
        """Keep it; what was written stays."""
        body = body_of(request, required=("text",), optional=("organisation",))
        row = self.seen(prequalification_id)
        comment = prequalification_comment_add(
            row=row,
            by=self.side(body.get("organisation")),
            text=text_of(body["text"], field="text", length_max=COMMENT_LENGTH_MAX, lines=True),
        )
        return Response(comment_written(comment), status=201)


class PrequalificationFiles(PrequalificationDoor):
    """Evidence from both sides."""

    access: ClassVar[Access] = {
        "GET": "prequalification.read",
        "POST": "prequalification.read",
    }
    parser_classes = FILE_PARSERS

    @extend_schema(
        operation_id="prequalification_file_list",
        summary="List files",
        tags=["prequalifications"],
        parameters=PAGED,
        responses={200: pages_of(FileWritten, "File")},
    )
    def get(self, request: Request, prequalification_id: Any) -> Response:
        """Oldest first, without their content."""
        query_of(request)
        rows = selectors.prequalification_files_of(self.seen(prequalification_id))
        return listed(request, rows, file_written, key=("submitted_at", "id"))

    @extend_schema(
        operation_id="prequalification_file_create",
        summary="Hand in a file",
        description="PDF, CSV, PNG or JSON that is what it says it is.",
        tags=["prequalifications"],
        request={"multipart/form-data": FileBody},
        responses={201: FileWritten},
    )
    def post(self, request: Request, prequalification_id: Any) -> Response:
        """Kept byte for byte."""
        file = file_in(request, others=("organisation",))
        row = self.seen(prequalification_id)
        form: Any = request.data
        kept = prequalification_file_add(row=row, by=self.side(form.get("organisation")), file=file)
        return Response(file_written(kept), status=201)


class AnyFileRenderer(renderers.BaseRenderer):
    """Lets a caller ask for a file by any type; the door answers with the file itself."""

    media_type = "*/*"
    format = "file"

    def render(self, data: Any, *_args: Any, **_kwargs: Any) -> bytes:
        """Print refusals, which alone come this way."""
        return renderers.JSONRenderer().render(data)


class PrequalificationFileContent(PrequalificationDoor):
    """A file itself."""

    access: ClassVar[Access] = {"GET": "prequalification.read"}
    renderer_classes = (renderers.JSONRenderer, AnyFileRenderer)

    @extend_schema(
        operation_id="prequalification_file",
        summary="Fetch a file",
        tags=["prequalifications"],
        responses={
            (200, kind): OpenApiResponse(OpenApiTypes.BINARY, "As an attachment.") for kind in KINDS
        },
    )
    def get(self, request: Request, prequalification_id: Any, file_id: Any) -> HttpResponse:
        """To be saved, never shown in place."""
        query_of(request, is_list=False)
        rows = selectors.prequalification_files_of(self.seen(prequalification_id))
        file = one(rows, id=file_id)
        return attachment(
            name=file.name, content_type=file.content_type, content=bytes(file.content)
        )


urlpatterns: list[URLPattern] = [
    path(
        f"{ONE}/comments", PrequalificationComments.as_view(), name="prequalification-comment-list"
    ),
    path(f"{ONE}/files", PrequalificationFiles.as_view(), name="prequalification-file-list"),
    path(
        f"{ONE}/files/<uuid:file_id>",
        PrequalificationFileContent.as_view(),
        name="prequalification-file",
    ),
]
