"""The engine on files: snapshots in, results out, nothing half-written and no database.

A result is written as two files: ``RESULT.json``, and beside it ``RESULT.snapshot.json``, the
canonical snapshot whose SHA-256 the result names. Both together are what anybody needs to check it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from accounts.core.errors import Refused
from aggregator.ops.whole_files import UnreadableFile, content_of, write_whole
from market.core.certificate import Certificate, verify_result
from market.core.drill import consequences, without_area
from market.core.errors import InvalidSnapshot
from market.core.parsing import document_from_json
from market.core.reading import canonical_bytes, json_read
from market.core.results import clear_bytes
from market.core.snapshot import snapshot_from_bytes

SNAPSHOT_ENDING = ".snapshot.json"
SNAPSHOT_MARK = b"wattbit-snapshot/"
RESULT_MARK = "wattbit-result/"


@dataclass(frozen=True, kw_only=True)
class Cleared:
    """A snapshot cleared: canonical bytes in and out, and what a drill found."""

    snapshot: bytes
    result: bytes
    drill: dict[str, Any] | None = None

    @property
    def document(self) -> dict[str, Any]:
        """Return the result as JSON values."""
        document: dict[str, Any] = json_read(self.result, InvalidSnapshot)
        return document


def interval_h(cleared: Cleared) -> float:
    """Return the length of the snapshot's intervals in hours."""
    return float(json_read(cleared.snapshot, InvalidSnapshot)["interval_h"])


def snapshot_cleared(path: Path, *, without: str | None = None) -> Cleared:
    """Clear the snapshot in a file, perhaps with the capacity of one area gone.

    Raises
    ------
    Refused
        If the file is no snapshot; path, value and rule say where.
    SolverFailed
        If there is no verified result.
    """
    content = content_of(path)
    snapshot = snapshot_from_bytes(content).canonical
    if without is None:
        return Cleared(snapshot=snapshot, result=clear_bytes(snapshot))
    whole = json_read(snapshot, InvalidSnapshot)
    drilled = canonical_bytes(document_from_json(without_area(whole, without)))
    before = Cleared(snapshot=snapshot, result=clear_bytes(snapshot))
    after = Cleared(snapshot=drilled, result=clear_bytes(drilled))
    found = consequences(whole, without, before.document, after.document)
    return Cleared(snapshot=drilled, result=after.result, drill=found)


def result_write(path: Path, cleared: Cleared) -> None:
    """Write a result and its canonical snapshot, each whole or not at all.

    Raises
    ------
    UnreadableFile
        If the directory does not take them.
    """
    write_whole(path, cleared.result)
    write_whole(snapshot_beside(path), cleared.snapshot)


def snapshot_beside(path: Path) -> Path:
    """Return where the snapshot of a result file stands."""
    return path.with_name(path.name.removesuffix(".json") + SNAPSHOT_ENDING)


def result_verified(path: Path, snapshot_path: Path | None = None) -> Certificate:
    """Check a result file against its snapshot.

    Parameters
    ----------
    path
        The result.
    snapshot_path
        Its snapshot, in any writing; when omitted, the file written beside it or, in the same
        directory, a snapshot with the hash that the result names.

    Raises
    ------
    Refused
        If one of the two is no JSON document of ours, or no snapshot is found.
    ResultUnverified
        If the result lacks what a check needs.
    """
    content = content_of(path)
    result = json_read(content, UnreadableFile)
    schema = result.get("schema") if isinstance(result, Mapping) else None
    if not str(schema).startswith(RESULT_MARK):
        raise UnreadableFile(field=str(path), value=schema, rule="must be a result of this engine")
    if snapshot_path is None:
        snapshot_path = _snapshot_of(path, str(result.get("snapshot_sha256")))
    return verify_result(snapshot_from_bytes(content_of(snapshot_path)).canonical, content)


def _snapshot_of(path: Path, sha256: str) -> Path:
    """Return the snapshot file of a result."""
    beside = snapshot_beside(path)
    if beside.is_file():
        return beside
    for candidate in sorted(path.parent.glob("*.json")):
        content = content_of(candidate)
        if SNAPSHOT_MARK not in content:
            continue
        try:
            canonical = snapshot_from_bytes(content).canonical
        except Refused:
            continue
        if hashlib.sha256(canonical).hexdigest() == sha256:
            return candidate
    raise UnreadableFile(
        field=str(beside),
        value=sha256,
        rule="the snapshot of this SHA-256 stands nowhere beside the result: give --snapshot",
    )
