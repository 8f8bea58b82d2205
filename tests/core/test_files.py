"""Files are what they say they are, or they are refused."""

from __future__ import annotations

import hashlib
import zlib

import pytest

from accounts.core.files import FILE_BYTES_MAX, FileRefused, file_checked

PDF = b"%PDF-1.7\n1 0 obj\n<<>>\nendobj\ntrailer\n<<>>\n%%EOF\n"
CSV = "時刻,kWh\r\n10:00,12.5\r\n".encode()


def chunk(kind: bytes, body: bytes = b"") -> bytes:
    return len(body).to_bytes(4) + kind + body + zlib.crc32(kind + body).to_bytes(4)


PNG = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", bytes(13)) + chunk(b"IDAT", b"x") + chunk(b"IEND")


@pytest.mark.parametrize(
    ("name", "content_type", "content"),
    [
        ("report.pdf", "application/pdf", PDF),
        ("計量.CSV", "text/csv; charset=utf-8", CSV),
        ("bom.csv", "text/csv", b"\xef\xbb\xbf" + CSV),
        ("meter.png", "image/png", PNG),
        ("log.json", "application/json", b'{"a": [1, "[[[[[[[[[[[[[[[[[[[[[[[["]}'),
    ],
)
def test_a_file_of_each_kind_is_taken_with_its_hash(
    name: str, content_type: str, content: bytes
) -> None:
    found = file_checked(name, content_type, content)
    assert (found.name, found.content_type) == (name, content_type.split(";", maxsplit=1)[0])
    assert found.sha256 == hashlib.sha256(content).hexdigest()
    assert found.size_bytes == len(content)


@pytest.mark.parametrize(
    ("name", "content_type", "content", "field"),
    [
        ("report.exe", "application/x-dosexec", b"MZ", "file.content_type"),
        ("page.html", "text/html", b"<html>", "file.content_type"),
        ("report.png", "application/pdf", PDF, "file.name"),
        ("../report.pdf", "application/pdf", PDF, "file.name"),
        ("a\\report.pdf", "application/pdf", PDF, "file.name"),
        (".pdf", "application/pdf", PDF, "file.name"),
        ("re\u202efdp.pdf", "application/pdf", PDF, "file.name"),
        ("x" * 120 + ".pdf", "application/pdf", PDF, "file.name"),
        ("half.pdf", "application/pdf", PDF[:20], "file"),
        ("script.pdf", "application/pdf", b"<script>" + PDF, "file"),
        ("tail.png", "image/png", PNG + b"<script>", "file"),
        ("flip.png", "image/png", PNG.replace(b"IDATx", b"IDATy"), "file"),
        ("half.png", "image/png", PNG[:-12], "file"),
        ("long.png", "image/png", PNG[:8] + b"\xff\xff\xff\xffIHDR" + bytes(20), "file"),
        ("sjis.csv", "text/csv", "時刻,kWh\n".encode("shift_jis"), "file"),
        ("page.csv", "text/csv", b"<html><body>hello</body></html>", "file"),
        ("ragged.csv", "text/csv", b"a,b\n1,2,3\n", "file"),
        ("nul.csv", "text/csv", b"a,b\n1,\x00\n", "file"),
        ("open.csv", "text/csv", b'a,b\n1,"x\n', "file"),
        ("twice.json", "application/json", b'{"a": 1, "a": 2}', "file"),
        ("nan.json", "application/json", b'{"a": NaN}', "file"),
        ("deep.json", "application/json", b"[" * 100_000, "file"),
        ("half.json", "application/json", b'{"a": ', "file"),
        ("empty.csv", "text/csv", b"", "file"),
        ("large.csv", "text/csv", b"a,b\n" * (FILE_BYTES_MAX // 4 + 1), "file"),
    ],
)
def test_what_it_is_not_is_refused_by_name(
    name: str, content_type: str, content: bytes, field: str
) -> None:
    with pytest.raises(FileRefused) as refused:
        file_checked(name, content_type, content)
    assert refused.value.field == field


def test_numbers_of_a_million_digits_are_not_computed() -> None:
    file_checked("n.json", "application/json", b"[" + b"9" * 1_000_000 + b", 1e1000000]")
