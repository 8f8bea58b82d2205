"""A superuser without the key: what they cannot sign is seen to be unsigned."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection, transaction

from accounts.audit.models import AuditCheckpoint, AuditEntry
from accounts.audit.sealing import ENTRY_COLUMNS, checkpoint_make, entries_link, public_keys_trusted
from accounts.audit.services import entry_append
from accounts.audit.verification import Fault, chain_verify
from accounts.clock.selectors import market_now
from accounts.clock.services import clock_set
from accounts.core.chain import GENESIS, entry_bytes, link_sha256
from aggregator.outbox.subscriptions import subscription_create
from tests import cast

pytestmark = pytest.mark.django_db(transaction=True)
AT_ONCE = timedelta(0)


def seal(count: int) -> None:
    for n in range(count):
        with transaction.atomic():
            entry_append(action="test.thing.done", subject=f"thing:{n}", detail={"n": n})
    assert entries_link() == count
    assert checkpoint_make(every=AT_ONCE) is not None


def found() -> Fault | None:
    return chain_verify(trusted=public_keys_trusted()).fault


def rewritten_from(number: int) -> None:
    """Edit an entry, write all links anew, and remove each checkpoint that would tell."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL session_replication_role = replica")
        cursor.execute(
            "UPDATE audit_auditentry SET detail = '{}' WHERE id = "
            "(SELECT entry_id FROM audit_auditlink WHERE number = %s)",
            [number],
        )
        cursor.execute("DELETE FROM audit_auditcheckpoint WHERE last_link_id >= %s", [number])
        cursor.execute(
            f"SELECT l.number, {ENTRY_COLUMNS} FROM audit_auditlink l "  # noqa: S608 - constants
            "JOIN audit_auditentry e ON e.id = l.entry_id ORDER BY l.number"
        )
        digest = GENESIS
        for at, *entry in cursor.fetchall():
            digest = link_sha256(digest, entry_bytes(tuple(entry)))
            cursor.execute("UPDATE audit_auditlink SET sha256 = %s WHERE number = %s", [digest, at])


@pytest.mark.parametrize(("number", "unsigned"), [(2, 1), (5, 4)])
def test_a_chain_written_anew_without_its_checkpoints_is_unsigned(
    number: int, unsigned: int
) -> None:
    seal(3)
    seal(3)
    assert found() is None
    rewritten_from(number)
    clock_set(market_at=market_now() + timedelta(hours=1, minutes=1))
    fault = found()
    assert fault is not None
    assert (fault.kind, fault.row) == ("unsigned", f"audit.auditlink:{unsigned}")


def test_what_has_just_happened_may_wait_for_its_signature() -> None:
    seal(2)
    clock_set(market_at=market_now() + timedelta(hours=2))
    with transaction.atomic():
        entry_append(action="test.thing.done", subject="thing:new", detail={})
    assert entries_link() == 1
    assert found() is None  # old ones are signed, and the new one is new
    clock_set(market_at=market_now() + timedelta(hours=2))
    fault = found()
    assert fault is not None
    assert (fault.kind, fault.row) == ("unsigned", "audit.auditlink:3")


def test_who_verifies_without_checkpoints_from_outside_is_told_what_is_not_seen(
    settings: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings.AUDIT_CHECKPOINT_FILE = None
    seal(2)
    call_command("audit_verify")
    assert "would not be seen" in capsys.readouterr().out
    kept = tmp_path / "checkpoints.jsonl"
    from accounts.audit.export import checkpoints_write

    checkpoints_write(kept)
    call_command("audit_verify", "--checkpoint", str(kept))
    assert capsys.readouterr().out.endswith("The audit chain holds.\n")
    assert AuditCheckpoint.objects.count() == 1


def test_of_a_webhook_s_address_the_trail_holds_the_host_alone() -> None:
    organisation = cast.people().inzai_dc
    subscription_create(
        organisation=organisation,
        url="https://hooks.example.com:8443/in/s3cr3t-t0ken?key=abc",
        topics=["award.published"],
    )
    entry = AuditEntry.objects.get(action="aggregator.webhook.created")
    assert entry.detail == {"host": "hooks.example.com:8443", "topics": ["award.published"]}
