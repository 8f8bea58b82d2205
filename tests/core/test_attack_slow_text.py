"""Text made to be slow to read: the time it takes grows with its length, not with its square."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from accounts.core.files import FileRefused, file_checked
from accounts.core.onejson import JsonFault, read_json
from market.registry.casefile import InvalidGridFile, case_frames

PATIENCE_S = 5.0  # squared, each of these takes minutes to hours


def as_evidence(content: bytes) -> None:
    file_checked("a.json", "application/json", content)


def as_body(content: bytes) -> object:
    return read_json(content, bytes_max=1_000_000)


@pytest.mark.parametrize(
    ("read", "refusal", "content"),
    [
        (as_evidence, FileRefused, b'"' + b'\\"' * 1_000_000),  # a text that never ends
        (as_evidence, FileRefused, b'"' * 1_000_001),
        (as_evidence, FileRefused, b"\\" * 1_000_001),
        (as_body, JsonFault, b'"' + b'\\"' * 100_000),
        (
            as_body,
            JsonFault,
            b"{" + b"".join(b'"%d":1,' % n for n in range(25_000)) + b'"24999":1}',
        ),
    ],
)
def test_json_is_read_in_one_walk(
    read: Callable[[bytes], object], refusal: type[Exception], content: bytes
) -> None:
    began = time.process_time()
    with pytest.raises(refusal):
        read(content)
    assert time.process_time() - began < PATIENCE_S


def test_brackets_inside_texts_still_do_not_count() -> None:
    deep = b"[" * 30
    as_evidence(b'{"a": "\\"' + deep + b'\\\\", "b": "' + deep + b'"}')
    assert as_body(b'{"a": "\\"' + deep + b'\\\\"}') == {"a": '"' + "[" * 30 + "\\"}
    for body in (deep + b"]" * 30, b'["\\\\", ' + deep + b"]" * 31, b'["\\""' + b",[" * 30):
        with pytest.raises(FileRefused, match="20 levels"):
            as_evidence(body)


def test_comments_without_an_end_are_read_in_one_walk(tmp_path: Path) -> None:
    file = tmp_path / "case.m"
    file.write_text("%{\n" * 300_000, encoding="utf-8")
    began = time.process_time()
    with pytest.raises(InvalidGridFile, match="function mpc"):
        case_frames(file)
    assert time.process_time() - began < PATIENCE_S
