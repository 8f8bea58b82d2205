"""The audit chain: complete under late commits, and every way of tampering is named.

The tampering is a superuser's: ``session_replication_role = replica`` switches all triggers and
foreign keys off, as anybody who owns the server can.
"""
# ruff: noqa: S608 - SQL put together here is the point

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.db import IntegrityError, connection, connections, transaction
from nacl.signing import SigningKey

from accounts.audit import sealing
from accounts.audit.acting import SYSTEM, acting_as, actor_now
from accounts.audit.export import CheckpointsUnreadable, checkpoints_read, checkpoints_write
from accounts.audit.models import AuditCheckpoint, AuditEntry, AuditLink
from accounts.audit.sealing import (
    checkpoint_make,
    entries_link,
    public_keys_trusted,
    signing_key,
)
from accounts.audit.services import entry_append
from accounts.audit.verification import ChainReport, chain_verify
from accounts.core.chain import GENESIS, Checkpoint, entry_bytes, link_sha256

AT_ONCE = timedelta(0)


def append(*subjects: str) -> None:
    for subject in subjects:
        with transaction.atomic():
            entry_append(action="test.thing.done", subject=subject, detail={"a": 0.1, "字": "印西"})


def seal(count: int = 5) -> None:
    """Write and seal `count` entries under a checkpoint."""
    append(*(f"thing:{n}" for n in range(count)))
    assert entries_link() == count
    assert checkpoint_make(every=AT_ONCE) is not None


def sql(*statements: str) -> None:
    """Do what only who owns the server can."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL session_replication_role = replica")
        for statement in statements:
            cursor.execute(statement)


def verify(outside: list[Checkpoint] | None = None) -> ChainReport:
    return chain_verify(trusted=public_keys_trusted(), outside=outside or ())


def fault(outside: list[Checkpoint] | None = None) -> tuple[str, str]:
    found = verify(outside).fault
    assert found is not None, "nothing was found"
    return found.kind, found.row


def entry_ids() -> list[int]:
    return list(AuditLink.objects.order_by("number").values_list("entry_id", flat=True))


@contextmanager
def other_session() -> Iterator[Any]:
    """Run in a thread of its own, as another process would; gives a list to add calls to."""
    done: list[BaseException | None] = []

    def run(work: Any) -> threading.Thread:
        def body() -> None:
            try:
                work()
            except BaseException as error:  # noqa: BLE001 - shown by the test
                done.append(error)
            finally:
                connections.close_all()

        thread = threading.Thread(target=body, daemon=True)
        thread.start()
        return thread

    yield run
    assert done == []


@pytest.mark.django_db(transaction=True)
def test_a_whole_chain_holds() -> None:
    seal(3)
    seal(2)
    report = verify()
    assert report.fault is None
    assert (report.links_count, report.checkpoints_count, report.unsealed_count) == (5, 2, 0)
    rows = list(AuditCheckpoint.objects.order_by("number"))
    assert [(row.number, row.last_link_id, row.count) for row in rows] == [(1, 3, 3), (2, 5, 2)]


@pytest.mark.django_db(transaction=True)
def test_a_link_is_the_hash_of_the_link_before_and_of_the_entry() -> None:
    with transaction.atomic(), acting_as("client:0d3c"):
        entry_append(action="a.b.c", subject="thing:1", detail={"x": 1.5})
    assert entries_link() == 1
    entry = AuditEntry.objects.get()
    micros = round(entry.at.timestamp() * 1_000_000)
    text = (
        f'[{entry.id},{micros},"a.b.c",null,null,"client:0d3c","thing:1",{entry.txid},'
        '"{\\"x\\": 1.5}"]'
    )
    row = (
        entry.id,
        micros,
        "a.b.c",
        None,
        None,
        "client:0d3c",
        "thing:1",
        entry.txid,
        '{"x": 1.5}',
    )
    assert entry_bytes(row).decode() == text
    assert bytes(AuditLink.objects.get().sha256) == link_sha256(GENESIS, text.encode())


@pytest.mark.django_db(transaction=True)
def test_an_entry_that_commits_late_is_neither_skipped_nor_waited_for() -> None:
    written, release = threading.Event(), threading.Event()

    def slow() -> None:
        with transaction.atomic():
            entry_append(action="test.thing.done", subject="late")
            written.set()
            assert release.wait(20)

    with other_session() as start:
        thread = start(slow)
        assert written.wait(20)
        append("early")  # a higher id, a later transaction, committed first
        began = time.monotonic()
        assert entries_link() == 0  # an elder is still open: its place must stay free
        assert time.monotonic() - began < 1
        release.set()
        thread.join(20)
    assert entries_link() == 2
    subjects = AuditLink.objects.order_by("number").values_list("entry__subject", flat=True)
    assert list(subjects) == ["late", "early"]
    assert verify().fault is None


@pytest.mark.django_db(transaction=True)
def test_a_long_transaction_of_another_database_holds_nothing_up() -> None:
    import psycopg

    where = {"dbname": "postgres", "user": connection.settings_dict["USER"]}
    where |= {"host": connection.settings_dict["HOST"], "port": connection.settings_dict["PORT"]}
    with psycopg.connect(**{k: v for k, v in where.items() if v}) as elsewhere:
        elsewhere.execute("SELECT pg_current_xact_id()")
        append("one")
        assert entries_link() == 1


@pytest.mark.django_db
@pytest.mark.parametrize("ends", [5_000_000_000, 4_294_967_296, 100, 8_589_934_592 - 1])
@pytest.mark.parametrize("distance", [-99, -1, 0, 7])
def test_a_transaction_number_is_made_whole_from_its_lower_half(ends: int, distance: int) -> None:
    lower = (ends + distance) % 2**32  # as pg_stat_activity shows it
    part = sealing._OPEN_FROM[sealing._OPEN_FROM.index("mod(a.") : sealing._OPEN_FROM.index("))")]
    expression = part.replace("a.backend_xid::text", str(lower)).replace("snap.ends", str(ends))
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {expression}")
        assert cursor.fetchone()[0] == distance


@pytest.mark.django_db(transaction=True)
def test_writers_go_on_while_the_sealer_stands_still() -> None:
    append("one")
    with transaction.atomic():
        assert entries_link() == 1  # its locks are held until this block ends
        with other_session() as start:
            thread = start(lambda: append("two"))
            thread.join(5)
            assert not thread.is_alive()
    assert entries_link() == 1


@pytest.mark.django_db(transaction=True)
def test_a_second_sealer_does_nothing_meanwhile() -> None:
    append("one")
    found: list[Any] = []
    with transaction.atomic():
        assert entries_link() == 1
        with other_session() as start:
            start(lambda: found.extend([entries_link(), checkpoint_make(every=AT_ONCE)])).join(5)
    assert found == [0, None]
    assert verify().links_count == 1


@pytest.mark.django_db(transaction=True)
def test_batches_follow_each_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sealing, "BATCH_COUNT", 2)
    with transaction.atomic():  # one transaction longer than a batch
        for n in range(5):
            entry_append(action="test.thing.done", subject=f"thing:{n}")
    sealing.chain_extend()
    assert verify().links_count == 5


@pytest.mark.django_db(transaction=True)
def test_checkpoints_keep_their_distance() -> None:
    seal()
    append("more")
    entries_link()
    assert checkpoint_make() is None  # the last one is younger than 30 s
    assert checkpoint_make(every=AT_ONCE) is not None
    assert checkpoint_make(every=AT_ONCE) is None  # nothing new to sign


@pytest.mark.django_db(transaction=True)
def test_a_database_restored_elsewhere_is_sealed_on() -> None:
    seal()
    # the former server had counted far more transactions, sealed and not yet sealed ones
    sql("UPDATE audit_auditentry SET txid = txid + 4000000000000")
    sql("TRUNCATE audit_auditlink, audit_auditcheckpoint")
    append("here")
    assert entries_link() == 6
    append("and on")
    assert entries_link() == 1
    assert verify().fault is None


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("table", ["audit_auditentry", "audit_auditlink", "audit_auditcheckpoint"])
@pytest.mark.parametrize("what", ["UPDATE {} SET {} = {}", "DELETE FROM {}", "TRUNCATE {} CASCADE"])
def test_nothing_of_it_can_be_changed_or_removed(table: str, what: str) -> None:
    seal()
    column = "id" if table == "audit_auditentry" else "number"
    statement = what.format(table, column, column)
    refused = pytest.raises(IntegrityError, match="rows are added, never changed")
    with refused, transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(statement)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    "change",
    [
        "subject = 'thing:9'",
        "actor = 'user:1'",
        "detail = jsonb_set(detail, '{a}', '0.10')",  # equal as a float, not as it was sealed
        "at = at + interval '1 microsecond'",
        "organisation_id = gen_random_uuid()",
        "txid = txid - 1",
    ],
)
def test_an_edited_entry_is_named(change: str) -> None:
    seal()
    seal()
    third = entry_ids()[2]
    sql(f"UPDATE audit_auditentry SET {change} WHERE id = {third}")
    assert fault() == ("edited", f"audit.auditentry:{third}")


@pytest.mark.django_db(transaction=True)
def test_a_deleted_entry_is_named() -> None:
    seal()
    third = entry_ids()[2]
    sql(f"DELETE FROM audit_auditentry WHERE id = {third}")
    assert fault() == ("deleted", f"audit.auditentry:{third}")


@pytest.mark.django_db(transaction=True)
def test_a_removed_link_is_named() -> None:
    seal()
    third = entry_ids()[2]
    sql(
        f"DELETE FROM audit_auditentry WHERE id = {third}",
        "DELETE FROM audit_auditlink WHERE number = 3",
    )
    assert fault() == ("gap", "audit.auditlink:3")


@pytest.mark.django_db(transaction=True)
def test_an_entry_slipped_in_under_an_old_transaction_is_named() -> None:
    seal()
    first = AuditEntry.objects.order_by("txid").first()
    assert first is not None
    sql(
        "INSERT INTO audit_auditentry (id, at, action, actor, subject, detail, txid) "
        f"VALUES (-1, now(), 'market.bid.submitted', 'user:1', 'x', '{{}}', {first.txid})"
    )
    assert entries_link() == 0
    assert fault() == ("inserted", "audit.auditentry:-1")


@pytest.mark.django_db(transaction=True)
def test_a_tail_cut_off_is_found_by_the_checkpoint() -> None:
    seal()
    sql(
        "DELETE FROM audit_auditentry WHERE id IN "
        "(SELECT entry_id FROM audit_auditlink WHERE number > 3)",
        "DELETE FROM audit_auditlink WHERE number > 3",
    )
    assert fault() == ("truncated", "audit.auditlink:4")


@pytest.mark.django_db(transaction=True)
def test_a_tail_cut_off_with_its_checkpoint_is_found_outside(tmp_path: Path) -> None:
    seal()
    seal()
    file = tmp_path / "checkpoints.jsonl"
    assert checkpoints_write(file) == 2
    sql(
        "DELETE FROM audit_auditcheckpoint WHERE number = 2",
        "DELETE FROM audit_auditentry WHERE id IN "
        "(SELECT entry_id FROM audit_auditlink WHERE number > 5)",
        "DELETE FROM audit_auditlink WHERE number > 5",
    )
    assert verify().fault is None  # inside, nothing is left that could tell
    assert fault(checkpoints_read(file)) == ("truncated", "audit.auditlink:6")


def _rechain(*, number: int, change: str) -> None:
    """Edit an entry and write all links anew, as who knows the rule can."""
    entry_id = entry_ids()[number - 1]
    sql(
        f"UPDATE audit_auditentry SET {change} WHERE id = {entry_id}", "DELETE FROM audit_auditlink"
    )
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {sealing.ENTRY_COLUMNS} FROM audit_auditentry e ORDER BY txid, id")
        rows = cursor.fetchall()
    digest = GENESIS
    for n, row in enumerate(rows, start=1):
        digest = link_sha256(digest, entry_bytes(row))
        values = f"({n}, {row[0]}, '\\x{digest.hex()}')"
        sql(f"INSERT INTO audit_auditlink (number, entry_id, sha256) VALUES {values}")


def _resign(key: SigningKey) -> None:
    """Make the checkpoints fit the new chain, signed with `key`."""
    for row in AuditCheckpoint.objects.order_by("number"):
        digest = bytes(AuditLink.objects.get(number=row.last_link_id).sha256).hex()
        said = replace(
            row.as_checkpoint(), sha256=digest, public_key=bytes(key.verify_key).hex(), signature=""
        )
        signature = key.sign(said.statement()).signature.hex()
        sql(
            f"UPDATE audit_auditcheckpoint SET sha256 = '{digest}', signature = '{signature}', "
            f"public_key = '{said.public_key}' WHERE number = {row.number}"
        )


@pytest.mark.django_db(transaction=True)
def test_a_chain_written_anew_does_not_fit_its_checkpoints() -> None:
    seal()
    seal()
    _rechain(number=7, change="subject = 'thing:9'")
    assert fault() == ("rewritten", "audit.auditcheckpoint:2")


@pytest.mark.django_db(transaction=True)
def test_checkpoints_written_anew_lack_the_signature() -> None:
    seal()
    _rechain(number=2, change="subject = 'thing:9'")
    digest = bytes(AuditLink.objects.get(number=5).sha256).hex()
    sql(f"UPDATE audit_auditcheckpoint SET sha256 = '{digest}'")
    assert fault() == ("signature", "audit.auditcheckpoint:1")
    _resign(SigningKey.generate())
    assert fault() == ("signature", "audit.auditcheckpoint:1")  # of a key nobody trusts


@pytest.mark.django_db(transaction=True)
def test_a_chain_written_anew_by_who_has_the_key_is_found_outside(tmp_path: Path) -> None:
    seal()
    file = tmp_path / "checkpoints.jsonl"
    checkpoints_write(file)
    _rechain(number=2, change="subject = 'thing:9'")
    key = signing_key()
    assert key is not None
    _resign(key)
    assert verify().fault is None  # all is well inside
    assert fault(checkpoints_read(file)) == ("rewritten", "audit.auditcheckpoint:1")


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("change", ["count = 4", "sealed_at = sealed_at - interval '1 hour'"])
def test_an_edited_checkpoint_is_named(change: str) -> None:
    seal()
    sql(f"UPDATE audit_auditcheckpoint SET {change}")
    assert fault()[1] == "audit.auditcheckpoint:1"


@pytest.mark.django_db(transaction=True)
def test_the_file_grows_by_whole_lines_only_and_makes_up_what_a_crash_left_out(
    tmp_path: Path,
) -> None:
    file = tmp_path / "deep" / "checkpoints.jsonl"
    seal()
    assert checkpoints_write(file) == 1
    assert checkpoints_write(file) == 0
    whole = file.read_bytes()
    seal()
    checkpoints_write(file)
    second = file.read_bytes().removeprefix(whole)
    file.write_bytes(whole + second[:40])  # died in the middle of the second line
    assert [row.number for row in checkpoints_read(file)] == [1]
    assert checkpoints_write(file) == 1
    assert file.read_bytes() == whole + second[:40] + b"\n" + second
    assert [row.number for row in checkpoints_read(file)] == [1, 2]
    assert verify(checkpoints_read(file)).fault is None
    file.write_bytes(whole + b"{}\n")
    with pytest.raises(CheckpointsUnreadable, match="line 2"):
        checkpoints_read(file)


@pytest.mark.django_db(transaction=True)
def test_the_task_seals_and_writes_the_file(settings: Any, tmp_path: Path) -> None:
    from accounts.audit.tasks import seal as task

    file = tmp_path / "checkpoints.jsonl"
    settings.AUDIT_CHECKPOINT_FILE = str(file)
    append("one")
    task()
    (line,) = file.read_text().splitlines()
    assert json.loads(line) == AuditCheckpoint.objects.get().as_checkpoint().as_json()


@pytest.mark.django_db(transaction=True)
def test_without_the_key_the_chain_grows_unsigned(
    settings: Any, caplog: pytest.LogCaptureFixture
) -> None:
    settings.AUDIT_SIGNING_KEY = None
    append("one")
    sealing.chain_extend()
    assert (AuditLink.objects.count(), AuditCheckpoint.objects.count()) == (1, 0)
    assert "AUDIT_SIGNING_KEY" in caplog.text


@pytest.mark.django_db(transaction=True)
def test_the_command_ends_with_1_and_names_the_row(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    seal()
    file = tmp_path / "checkpoints.jsonl"
    checkpoints_write(file)
    call_command("audit_verify", checkpoint=file)
    assert "5 links, 1 checkpoints, 1 checkpoints outside, 0 entries" in capsys.readouterr().out
    first = entry_ids()[0]
    sql(f"DELETE FROM audit_auditentry WHERE id = {first}")
    with pytest.raises(SystemExit) as left:
        call_command("audit_verify", checkpoint=file)
    assert left.value.code == 1
    assert f"deleted: audit.auditentry:{first} was deleted" in capsys.readouterr().out


@pytest.mark.django_db(transaction=True)
def test_a_hundred_thousand_entries_are_sealed_and_verified_in_seconds() -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO audit_auditentry (at, action, actor, subject, detail) "
            "SELECT now(), 'market.bid.submitted', 'user:1', 'trading.bid:' || n, "
            "jsonb_build_object('client_bid_id', 'a-' || n, 'version', 1) "
            "FROM generate_series(1, 100000) n"
        )
    sealing.chain_extend()
    began = time.monotonic()
    report = verify()
    assert (report.links_count, report.fault) == (100_000, None)
    assert time.monotonic() - began < 10  # about 1.5 s on one idle core


def test_who_acts_is_named_for_the_block_and_no_longer() -> None:
    assert actor_now() == SYSTEM
    with acting_as("user:7"):
        assert actor_now() == "user:7"
        with acting_as(lambda: "client:x"):
            assert actor_now() == "client:x"
        assert actor_now() == "user:7"
    assert actor_now() == SYSTEM


@pytest.mark.django_db
def test_the_person_who_acts_is_linked() -> None:
    from tests import cast

    person = cast.people().desk
    with acting_as(f"user:{person.pk}"):
        entry_append(action="test.thing.done", subject="thing:1")
    entry = AuditEntry.objects.latest("id")
    assert (entry.actor, entry.user_id) == (f"user:{person.pk}", person.pk)
