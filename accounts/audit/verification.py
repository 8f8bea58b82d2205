"""Redo the chain from its entries, and name the first row that is not what was sealed.

Found are entries edited, deleted or slipped in under an old transaction, links edited or missing,
a tail cut off, and a chain rewritten as a whole: by the signatures, by links that should long be
signed and are not, and by the checkpoints that left the house. A tail that was cut off together
with its checkpoints is known by the last of these alone.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from django.db import connection
from nacl.exceptions import BadSignatureError
from nacl.signing import VerifyKey

from accounts.audit.models import AuditCheckpoint
from accounts.audit.sealing import ENTRY_COLUMNS
from accounts.core.chain import GENESIS, Checkpoint, entry_bytes, link_sha256
from accounts.fields.snapshots import snapshot

CHUNK_COUNT: Final = 20_000
_CHUNK: Final = f"""
    SELECT l.number, l.entry_id, l.sha256, {ENTRY_COLUMNS}
    FROM audit_auditlink l LEFT JOIN audit_auditentry e ON e.id = l.entry_id
    WHERE l.number > %s ORDER BY l.number LIMIT %s
"""  # noqa: S608 - constants of this package
_UNSEALED: Final = """
    SELECT count(*), min(e.id) FILTER (WHERE e.txid < sealed.txid)
    FROM audit_auditentry e
    LEFT JOIN (
        SELECT s.txid FROM audit_auditlink l JOIN audit_auditentry s ON s.id = l.entry_id
        ORDER BY l.number DESC LIMIT 1
    ) sealed ON true
    WHERE NOT EXISTS (SELECT 1 FROM audit_auditlink l WHERE l.entry_id = e.id)
"""
# A checkpoint follows its links within half a minute. Who has the database and not the key can
# write all links anew and remove the checkpoints that tell of it, but not sign any.
_UNSIGNED: Final = """
    SELECT min(l.number)
    FROM audit_auditlink l JOIN audit_auditentry e ON e.id = l.entry_id
    WHERE l.number > (SELECT coalesce(max(last_link_id), 0) FROM audit_auditcheckpoint)
      AND e.at < market_now() - interval '1 hour'
"""


@dataclass(frozen=True, kw_only=True)
class Fault:
    """The first thing that is wrong.

    Parameters
    ----------
    kind
        ``edited``, ``deleted``, ``inserted``, ``gap``, ``truncated``, ``rewritten``,
        ``checkpoint``, ``signature`` or ``unsigned``.
    row
        As audit entries name rows: ``audit.auditentry:7``.
    told
        What is wrong, in a sentence.
    """

    kind: str
    row: str
    told: str


@dataclass(frozen=True, kw_only=True)
class ChainReport:
    """What was verified; `fault` is None if all of it holds."""

    links_count: int
    checkpoints_count: int
    outside_count: int
    unsealed_count: int
    fault: Fault | None


class _Wrong(Exception):
    def __init__(self, kind: str, row: str, told: str) -> None:
        self.fault = Fault(kind=kind, row=row, told=told)
        super().__init__(told)


def chain_verify(*, trusted: Collection[str], outside: Iterable[Checkpoint] = ()) -> ChainReport:
    """Verify the whole chain in one snapshot of the database.

    Parameters
    ----------
    trusted
        Public keys whose signatures count, in hexadecimal.
    outside
        Checkpoints kept elsewhere: each must be a statement about this very chain.
    """
    walk = _Walk(trusted, list(outside))
    fault = None
    with snapshot():
        with connection.cursor() as cursor:
            cursor.execute("SET LOCAL statement_timeout = 0")
        try:
            walk.run()
        except _Wrong as wrong:
            fault = wrong.fault
        unsealed_count, inserted_id = _unsealed()
        unsigned_number = _unsigned()
    if fault is None and unsigned_number is not None:
        fault = Fault(
            kind="unsigned",
            row=f"audit.auditlink:{unsigned_number}",
            told="is more than an hour old, and no checkpoint covers it",
        )
    if fault is None and inserted_id is not None:
        fault = Fault(
            kind="inserted",
            row=f"audit.auditentry:{inserted_id}",
            told="is not in the chain, though entries of later transactions are",
        )
    return ChainReport(
        links_count=walk.number,
        checkpoints_count=walk.checkpoints_count,
        outside_count=len(walk.outside),
        unsealed_count=unsealed_count,
        fault=fault,
    )


class _Walk:
    """One pass over links and checkpoints, both in the order of their numbers."""

    def __init__(self, trusted: Collection[str], outside: Sequence[Checkpoint]) -> None:
        self.trusted = trusted
        self.outside = sorted(outside, key=lambda checkpoint: checkpoint.last_link)
        self.number = 0
        self.checkpoints_count = 0
        self._digest = GENESIS

    def run(self) -> None:
        inside = (row.as_checkpoint() for row in AuditCheckpoint.objects.order_by("number"))
        statements = list(self._checked(inside))
        held = {checkpoint.number: checkpoint for checkpoint in statements}
        waiting = sorted(
            [(checkpoint.last_link, False, checkpoint) for checkpoint in statements]
            + [(checkpoint.last_link, True, checkpoint) for checkpoint in self.outside],
            key=lambda item: (item[0], item[1]),
        )
        place = 0
        for row in _links():
            self._step(row)
            while place < len(waiting) and waiting[place][0] == self.number:
                _, is_outside, checkpoint = waiting[place]
                self._compare(checkpoint, is_outside=is_outside, held=held)
                place += 1
        if place < len(waiting):
            last_link, is_outside, checkpoint = waiting[place]
            where = "a checkpoint kept outside" if is_outside else "a checkpoint"
            raise _Wrong(
                "truncated",
                f"audit.auditlink:{self.number + 1}",
                f"is missing: the chain ends at link {self.number}, but {where} "
                f"(number {checkpoint.number}) covers {last_link} links",
            )

    def _step(self, row: tuple[Any, ...]) -> None:
        number, entry_id, sha256, *entry = row
        if number != self.number + 1:
            raise _Wrong(
                "gap",
                f"audit.auditlink:{self.number + 1}",
                f"is missing: link {number} follows link {self.number}",
            )
        if entry[0] is None:
            raise _Wrong(
                "deleted", f"audit.auditentry:{entry_id}", f"was deleted; it was link {number}"
            )
        self._digest = link_sha256(self._digest, entry_bytes(tuple(entry)))
        if self._digest != bytes(sha256):
            raise _Wrong(
                "edited",
                f"audit.auditentry:{entry_id}",
                f"is not what was sealed as link {number}, or that link was edited",
            )
        self.number = number

    def _checked(self, checkpoints: Iterator[Checkpoint]) -> Iterator[Checkpoint]:
        """Check what needs no link: dense numbers, counts, signatures of keys that count."""
        covered = 0
        for expected, checkpoint in enumerate(checkpoints, start=1):
            row = f"audit.auditcheckpoint:{expected}"
            if checkpoint.number != expected:
                raise _Wrong("gap", row, f"is missing: {checkpoint.number} comes instead")
            if checkpoint.count != checkpoint.last_link - covered or checkpoint.count < 1:
                raise _Wrong("checkpoint", row, "does not count the links since the one before")
            self._signature(checkpoint, row)
            covered = checkpoint.last_link
            self.checkpoints_count += 1
            yield checkpoint

    def _signature(self, checkpoint: Checkpoint, row: str) -> None:
        if checkpoint.public_key not in self.trusted:
            raise _Wrong(
                "signature", row, f"is signed by a key not trusted here: {checkpoint.public_key}"
            )
        try:
            VerifyKey(bytes.fromhex(checkpoint.public_key)).verify(
                checkpoint.statement(), bytes.fromhex(checkpoint.signature)
            )
        except (BadSignatureError, ValueError) as error:
            raise _Wrong(
                "signature", row, "was edited: its signature is not of this text"
            ) from error

    def _compare(
        self, checkpoint: Checkpoint, *, is_outside: bool, held: dict[int, Checkpoint]
    ) -> None:
        row = f"audit.auditcheckpoint:{checkpoint.number}"
        if checkpoint.sha256 != self._digest.hex():
            where = "kept outside" if is_outside else "in the database"
            raise _Wrong(
                "rewritten",
                row,
                f"({where}) does not fit: links up to {self.number} were written anew",
            )
        if is_outside:
            self._signature(checkpoint, row)
            if held.get(checkpoint.number) != checkpoint:
                raise _Wrong("checkpoint", row, "is not the one that was given out")


def _links() -> Iterator[tuple[Any, ...]]:
    after = 0
    with connection.cursor() as cursor:
        while True:
            cursor.execute(_CHUNK, [after, CHUNK_COUNT])
            rows = cursor.fetchall()
            yield from rows
            if len(rows) < CHUNK_COUNT:
                return
            after = rows[-1][0]


def _unsealed() -> tuple[int, int | None]:
    with connection.cursor() as cursor:
        cursor.execute(_UNSEALED)
        count, inserted_id = cursor.fetchone()
    return count, inserted_id


def _unsigned() -> int | None:
    with connection.cursor() as cursor:
        cursor.execute(_UNSIGNED)
        number: int | None = cursor.fetchone()[0]
    return number
