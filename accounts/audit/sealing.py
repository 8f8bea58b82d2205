"""The sealer: puts committed entries into the chain, and signs checkpoints of it.

It runs beside those who write entries and takes nothing they wait for. An entry is sealed once
every transaction older than its own has ended, so that none can appear before it afterwards;
order in the chain is by transaction, then by id.
"""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from django.conf import settings
from django.db import connection, transaction
from nacl.signing import SigningKey

from accounts.audit.models import AuditCheckpoint, AuditLink
from accounts.core.chain import GENESIS, Checkpoint, entry_bytes, link_sha256
from accounts.fields.copying import rows_copy

logger = logging.getLogger(__name__)

# First key of advisory locks; those of the market stand in market.trading.gates.
LOCK: Final = (2701, 1)
BATCH_COUNT: Final = 20_000
CHECKPOINT_EVERY: Final = timedelta(seconds=30)
# The columns of an entry in the order of accounts.core.chain.entry_bytes; detail as text, so that
# no digit of it passes through a float.
ENTRY_COLUMNS: Final = """
    e.id, (extract(epoch FROM e.at) * 1000000)::bigint, e.action, e.organisation_id::text,
    e.user_id, e.actor, e.subject, e.txid, e.detail::text
"""
# The first transaction of this database that may still commit: the oldest in progress, or the
# snapshot's end. The snapshot stands before activity is read, and a transaction shows there from
# the moment it has its number, so none below is missed. (The snapshot's own xmin counts the other
# databases of the server too, where a long transaction would hold up the chain.) Activity shows
# the lower 32 bits of a number; the distance to the snapshot's end makes it whole.
_OPEN_FROM: Final = """
    SELECT least(snap.ends, snap.ends + min(
        mod(a.backend_xid::text::bigint - mod(snap.ends, 4294967296) + 6442450944, 4294967296)
        - 2147483648))
    FROM (SELECT pg_snapshot_xmax(pg_current_snapshot())::text::bigint AS ends) snap
    LEFT JOIN pg_stat_activity a ON a.datname = current_database() AND a.backend_xid IS NOT NULL
    GROUP BY snap.ends
"""
# What is committed and can have no elder any more. A transaction number beyond the snapshot's
# end is of a database that this one was restored from.
_SEALABLE: Final = f"""
    SELECT {ENTRY_COLUMNS}
    FROM audit_auditentry e
    WHERE (e.txid < %s
           OR e.txid >= pg_snapshot_xmax(pg_current_snapshot())::text::bigint)
      AND e.txid >= %s
      AND NOT EXISTS (SELECT 1 FROM audit_auditlink l WHERE l.entry_id = e.id)
    ORDER BY e.txid, e.id
    LIMIT %s
"""  # noqa: S608 - constants of this module


def chain_extend() -> None:
    """Seal what there is, and sign a checkpoint if it is time; another sealer goes before."""
    while entries_link() == BATCH_COUNT:
        pass
    checkpoint_make()


@transaction.atomic
def entries_link() -> int:
    """Put the next committed entries into the chain; returns how many."""
    if not _alone():
        return 0
    last = AuditLink.objects.select_related("entry").order_by("-number").first()
    number, digest, since = 0, GENESIS, 0
    if last is not None:
        number, digest, since = last.number, bytes(last.sha256), last.entry.txid
    with connection.cursor() as cursor:
        cursor.execute(_OPEN_FROM)
        open_from = cursor.fetchone()[0]
        if since >= open_from:
            since = 0  # restored from elsewhere: transactions are counted anew, look everywhere
        cursor.execute(_SEALABLE, [open_from, since, BATCH_COUNT])
        rows = cursor.fetchall()
    links: list[tuple[Any, ...]] = []
    for row in rows:
        digest = link_sha256(digest, entry_bytes(row))
        number += 1
        links.append((number, row[0], digest))
    if links:
        rows_copy(AuditLink, ("number", "entry_id", "sha256"), links)
    return len(links)


@transaction.atomic
def checkpoint_make(*, every: timedelta = CHECKPOINT_EVERY) -> AuditCheckpoint | None:
    """Sign how far the chain reaches, if it grew and the last checkpoint is old enough."""
    if not _alone():
        return None
    link = AuditLink.objects.order_by("-number").first()
    before = AuditCheckpoint.objects.order_by("-number").first()
    covered = before.last_link_id if before else 0
    if link is None or link.number == covered:
        return None
    sealed_at = _database_now()
    if before is not None and sealed_at < before.sealed_at + every:
        return None
    key = signing_key()
    if key is None:
        logger.error("AUDIT_SIGNING_KEY is not set here: the audit chain grows without checkpoints")
        return None
    statement = Checkpoint(
        number=before.number + 1 if before else 1,
        last_link=link.number,
        count=link.number - covered,
        sha256=bytes(link.sha256).hex(),
        sealed_at=sealed_at.isoformat(timespec="microseconds"),
        public_key=bytes(key.verify_key).hex(),
    )
    return AuditCheckpoint.objects.create(
        number=statement.number,
        last_link=link,
        count=statement.count,
        sha256=statement.sha256,
        public_key=statement.public_key,
        signature=key.sign(statement.statement()).signature.hex(),
        sealed_at=sealed_at,
    )


def signing_key() -> SigningKey | None:
    """Return the sealer's key; only the process that seals has one."""
    seed = settings.AUDIT_SIGNING_KEY
    return SigningKey(bytes.fromhex(seed)) if seed else None


def public_keys_trusted() -> frozenset[str]:
    """Return the keys whose signatures count: those configured, and this process's own."""
    own = signing_key()
    return frozenset(settings.AUDIT_PUBLIC_KEYS) | (
        {bytes(own.verify_key).hex()} if own else frozenset()
    )


def _alone() -> bool:
    """Take the sealer's place until the transaction ends; False if somebody has it."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(%s, %s)", LOCK)
        return bool(cursor.fetchone()[0])


def _database_now() -> datetime:
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        moment: datetime = cursor.fetchone()[0]
    return moment.astimezone(UTC)
