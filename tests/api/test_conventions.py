"""What all doors share: versions, keys, limits, bodies and refusals."""

from __future__ import annotations

import gzip
import io
import logging
from datetime import date, datetime
from decimal import Decimal
from typing import Any, ClassVar
from zoneinfo import ZoneInfo

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from rest_framework.response import Response
from rest_framework.test import APIRequestFactory
from rest_framework.views import APIView

from aggregator.api.v1 import etag, limits, uploads
from aggregator.api.v1.access import PUBLIC, Access
from aggregator.api.v1.base import Door
from aggregator.api.v1.problem import Stopped
from aggregator.api.v1.reading import BODY_BYTES_MAX
from aggregator.api.v1.uploads import CsvParser, Table, columns_expect, read_csv


def _request(**headers: str) -> object:
    return APIView().initialize_request(APIRequestFactory().put("/", headers=headers))


@pytest.mark.parametrize("given", ['"7"', '"6", "7"', '"6","7"', "*", ' "7" '])
def test_who_read_the_version_may_change_it(given: str) -> None:
    etag.expect(_request(**{"If-Match": given}), 7)


@pytest.mark.parametrize(
    ("given", "code"),
    [
        (None, "version-required"),
        ('"6"', "version-changed"),
        ('W/"7"', "version-changed"),
        ('"77"', "version-changed"),
        ("7", "malformed"),
        ('"7', "malformed"),
        ('"7" "8"', "malformed"),
        ("", "malformed"),
        ('"' + "7" * 2000 + '"', "malformed"),
    ],
)
def test_who_did_not_read_it_may_not(given: str | None, code: str) -> None:
    with pytest.raises(Stopped) as stopped:
        etag.expect(_request(**({} if given is None else {"If-Match": given})), 7)
    assert stopped.value.code == code
    assert stopped.value.field == "If-Match"


class Echo(Door):
    access: ClassVar[Access] = {"POST": PUBLIC}
    needs_key = False

    def post(self, request: Any) -> Response:
        return Response(request.data)


class Looked(Door):
    access: ClassVar[Access] = {"GET": PUBLIC}

    def get(self, _request: Any) -> Response:
        return Response({})


class Rows(Echo):
    takes_gzip = True
    parser_classes = (CsvParser,)

    def post(self, request: Any) -> Response:
        return Response({"rows": request.data.rows, "lines": request.data.lines})


def _post(
    body: bytes, content_type: str = "application/json", *, view: Any = Echo, **more: Any
) -> Any:
    request = APIRequestFactory().post("/echo", body, content_type=content_type, **more)
    return view.as_view()(request).render()


pytestmark = pytest.mark.django_db


def test_a_body_is_refused_by_its_length_before_it_is_read() -> None:
    class Untouchable:
        def read(self, *_size: int) -> bytes:
            raise AssertionError("the body was read")

    request = APIRequestFactory().post("/echo", b"", content_type="application/json")
    request.META["CONTENT_LENGTH"] = str(BODY_BYTES_MAX + 1)
    request._stream = Untouchable()
    answer = Echo.as_view()(request)
    assert (answer.status_code, answer.data["code"]) == (413, "too-large")


def test_a_body_in_chunks_is_read_and_bounded() -> None:
    def sent(body: bytes) -> Any:
        request = APIRequestFactory().post("/echo", b"", content_type="application/json")
        request.META.pop("CONTENT_LENGTH", None)
        request._stream = io.BytesIO(body)
        return Echo.as_view()(request)

    assert sent(b'{"a": 1}').data == {"a": 1}
    assert sent(b" " * (BODY_BYTES_MAX + 1)).status_code == 413


@pytest.mark.parametrize("length", ["-1", "1_0", "１", "abc", "1e3", "9" * 400])
def test_lengths_that_are_no_numbers_are_refused(length: str) -> None:
    request = APIRequestFactory().post("/echo", b"{}", content_type="application/json")
    request.META["CONTENT_LENGTH"] = length
    assert Echo.as_view()(request).status_code in (400, 413)


@pytest.mark.parametrize("packing", ["gzip", "br", "deflate", "gzip, gzip"])
def test_packed_bodies_are_for_doors_that_say_so(packing: str) -> None:
    answer = _post(gzip.compress(b"{}"), headers={"Content-Encoding": packing})
    assert (answer.status_code, answer.data["code"]) == (415, "unsupported-media-type")
    assert answer.data["field"] == "Content-Encoding"


@pytest.mark.parametrize(
    "content_type",
    ["multipart/form-data; boundary=x", "application/x-www-form-urlencoded", "text/csv", "x"],
)
def test_other_formats_are_for_doors_that_say_so(content_type: str) -> None:
    answer = _post(b"--x\r\n\r\n--x--", content_type)
    assert (answer.status_code, answer.data["code"]) == (415, "unsupported-media-type")


def _rows(body: bytes, **more: Any) -> Any:
    return _post(body, "text/csv", view=Rows, **more)


def test_packed_rows_are_unpacked() -> None:
    body = gzip.compress(b"a,b\n" + b"1,2\n" * 1_000)
    answer = _rows(body, headers={"Content-Encoding": "gzip"})
    assert answer.status_code == 200
    assert answer.data["rows"] == [{"a": "1", "b": "2"}] * 1_000


@pytest.mark.parametrize(
    ("packed", "status", "code"),
    [
        (gzip.compress(b"\0" * 20_000_000), 413, "too-large"),  # 1 : 1,029
        (gzip.compress(b"a,b\n1,2\n")[:-6], 400, "malformed"),
        (gzip.compress(b"a,b\n1,2\n") + b"x", 400, "malformed"),
        (b"a,b\n1,2\n", 400, "malformed"),
        (b"", 400, "malformed"),
    ],
    # what gzip writes holds the time, and the workers of a run must agree on names
    ids=["bomb", "cut", "more after the end", "not packed", "empty"],
)
def test_bombs_and_broken_packings_are_refused(packed: bytes, status: int, code: str) -> None:
    answer = _rows(packed, headers={"Content-Encoding": "gzip"})
    assert (answer.status_code, answer.data["code"]) == (status, code)


def test_an_empty_table_is_refused() -> None:
    answer = _rows(b"")
    assert (answer.status_code, answer.data["detail"]) == (400, "the body is empty")


@pytest.mark.parametrize("limit", ["INFLATED_BYTES_MAX", "RATIO_MAX"])
def test_either_limit_stops_the_unpacking(limit: str, monkeypatch: pytest.MonkeyPatch) -> None:
    body = gzip.compress(b"".join(b"%06d,%06d\n" % (i, i * i % 999_983) for i in range(30_000)))
    assert len(uploads.inflate(body)) == 30_000 * 14
    monkeypatch.setattr(uploads, limit, 2 if limit == "RATIO_MAX" else 30_000 * 14 - 1)
    with pytest.raises(Stopped, match="bytes"):
        uploads.inflate(body)


@pytest.mark.parametrize(
    "body",
    [
        "site,name\nx,印西\n".encode(),
        b"\xef\xbb\xbf" + "site,name\r\nx,印西\r\n".encode(),
        "site,name\r\nx,印西".encode("cp932"),
        "site,name\n\nx,印西\n\n".encode(),
        'site , name\n x,"印西"'.encode(),
    ],
)
def test_tables_are_read_in_utf8_and_shift_jis(body: bytes) -> None:
    assert read_csv(body).rows == [{"site": "x", "name": "印西"}]


def test_lines_are_those_of_the_file() -> None:
    table = read_csv(b'a,b\n1,2\n\n"3",4\n5,6\n')
    assert (table.lines, [row["a"] for row in table.rows]) == ([2, 4, 5], ["1", "3", "5"])


def test_every_wrong_row_is_told_with_its_line() -> None:
    answer = _rows(b"a,b\n1,2\n3\n4,5,6\n7,8\x00\n9," + b"x" * 1_001)
    assert (answer.status_code, answer.data["code"]) == (400, "malformed")
    assert answer.data["errors"] == [
        {"code": "malformed", "field": "", "line": line, "detail": detail, "detail_ja": detail_ja}
        for line, detail, detail_ja in (
            (3, "1 cells, but 2 columns", "2 列のところ 1 セルあります"),
            (4, "3 cells, but 2 columns", "2 列のところ 3 セルあります"),
            (5, "text without control characters", "制御文字を含まない文字列"),
            (6, "cells of at most 1000 characters", "1000 文字以内のセル"),
        )
    ]
    assert "4 rows are refused" in answer.data["detail"]
    assert "4 行" in answer.data["detail_ja"]


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (b"", "names the columns"),
        (b"a,,c\n1,2,3", "names the columns"),
        (b"a,a\n1,2", "each column once"),
        (b'a,b\n1,"2', "no CSV from line 2"),
        (b'a,b\n1,"2"x', "no CSV from line 2"),
        (b"\x81\xff\xfe", "UTF-8 or Shift_JIS"),
        (b",".join(b"c%d" % i for i in range(101)), "100 columns"),
        (b"x" * 100_000, "100 columns"),
        (b'a\n"' + b"x" * 200_000 + b'"', "no CSV"),
    ],
)
def test_what_is_no_table_is_refused(body: bytes, told: str) -> None:
    with pytest.raises(Stopped, match=told):
        read_csv(body)


def test_columns_are_those_the_door_knows() -> None:
    table = Table(rows=[{"a": "1", "x": "2"}], lines=[2])
    columns_expect(table, needed=["a"], allowed=["x"])
    with pytest.raises(Stopped, match="missing: b; unknown: x") as stopped:
        columns_expect(table, needed=["a", "b"])
    assert stopped.value.field == "b"


def test_a_refusal_is_in_the_log_without_what_it_quotes(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, logger="aggregator.api"):
        answer = _post(b'{"ask\\n": 1, "ask\\n": 123.45}')
    assert answer.data["field"] == "ask\n"
    lines = [row.getMessage() for row in caplog.records]
    assert lines == [f"problem 400 malformed {answer.data['instance']} POST /echo nobody ask%0A"]


@pytest.mark.parametrize("method", ["get", "post"])
def test_numbers_are_printed_exactly_and_moments_in_utc(method: str) -> None:
    class Printing(Door):
        access: ClassVar[Access] = {"GET": PUBLIC, "POST": PUBLIC}

        def get(self, _request: Any) -> Response:
            moment = datetime(2026, 11, 25, 9, tzinfo=ZoneInfo("Asia/Tokyo"))
            return Response([Decimal("0.10"), Decimal("1E+3"), moment, date(2026, 11, 25)])

        post = get

    request = getattr(APIRequestFactory(), method)("/x", headers={"Idempotency-Key": "k"})
    answer = Printing.as_view()(request).render()
    assert answer.content == b'["0.10","1000","2026-11-25T00:00:00Z","2026-11-25"]'


def test_what_is_refused_before_the_caller_is_known_asks_for_nobody() -> None:
    request = APIRequestFactory().get("/echo?a=%00", headers={"Authorization": "Bearer wrong"})
    answer = Looked.as_view()(request)
    assert (answer.status_code, answer.data["code"]) == (400, "malformed")
    with limits.ADMISSION.place(), pytest.MonkeyPatch.context() as patch:
        patch.setattr(limits, "ADMISSION", limits.Admission(places=0, kept=0))
        request = APIRequestFactory().get("/echo", headers={"Authorization": "Bearer wrong"})
        with CaptureQueriesContext(connection) as asked:
            assert Looked.as_view()(request).status_code == 503
    assert len(asked) == 0


def test_a_door_names_its_methods() -> None:
    view = Echo.as_view()
    asked = view(APIRequestFactory().get("/echo"))
    assert (asked.status_code, asked.data["code"], asked["Allow"]) == (
        405,
        "method-not-allowed",
        "POST",
    )


@pytest.mark.parametrize("path", ["", "nowhere", "bids/", "schema/", "docs/x"])
def test_what_is_no_door_is_refused_as_a_door_refuses(anonymous: Any, path: str) -> None:
    answer = anonymous.get(f"/api/v1/{path}")
    assert (answer.status_code, answer["Content-Type"]) == (404, "application/problem+json")
    assert answer.json()["code"] == "not-found"
