"""Bytes in, bytes out: the engine as its callers see it."""

from __future__ import annotations

from market.core.certificate import Certificate, verify_document, verify_result
from market.core.clearing import Clearing, clear
from market.core.errors import InvalidSnapshot, ResultUnverified, SolverInfeasible
from market.core.idle import idle_verdict
from market.core.publication import result_document
from market.core.reading import canonical_bytes, json_read
from market.core.snapshot import snapshot_bytes, snapshot_from_bytes, snapshot_sha256

__all__ = ["Certificate", "clear_bytes", "result_bytes", "verify_result"]


def result_bytes(clearing: Clearing) -> bytes:
    """Return the canonical result with its certificate, passed or not.

    The document checked is the one published: the numbers go through their written form first.
    """
    content = canonical_bytes(result_document(clearing))
    document = json_read(content, InvalidSnapshot)
    snapshot = json_read(snapshot_bytes(clearing.snapshot), InvalidSnapshot)
    certificate = verify_document(snapshot, document, snapshot_sha256(clearing.snapshot))
    document["certificate"] = certificate.as_json()
    return canonical_bytes(document)


def clear_bytes(content: bytes) -> bytes:
    """Clear the snapshot written in `content` and return a verified result.

    Raises
    ------
    InvalidSnapshot
        If the snapshot breaks a rule of its layout.
    SolverFailed
        If there is no result; :class:`~market.core.errors.ResultUnverified` if there is one that
        the independent check refuses.
    """
    snapshot = snapshot_from_bytes(content)
    try:
        clearing = clear(snapshot)
    except SolverInfeasible as found:
        raise SolverInfeasible(f"{found}; {idle_verdict(snapshot)}") from found
    result = result_bytes(clearing)
    certificate = json_read(result, InvalidSnapshot)["certificate"]
    if not certificate["passed"]:
        failed = [
            f"{check['name']} is {check['value']}, at most {check['limit']}"
            for check in certificate["checks"]
            if not check["passed"]
        ]
        raise ResultUnverified("; ".join(failed))
    return result
