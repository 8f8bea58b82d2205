"""Which keys bids are sealed to and receipts are signed with, and who registers them.

Public halves are rows. The private half of a book key is in a file that only workers are told
of; the seed that signs receipts is a setting of every process that takes bids.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from uuid import UUID

from django.conf import settings
from django.db import connection, transaction
from django.db.models import QuerySet
from django.db.models.expressions import RawSQL
from nacl.bindings import crypto_scalarmult
from nacl.exceptions import CryptoError
from nacl.signing import SigningKey

from accounts.audit.services import entry_append
from accounts.clock.recent import Recent
from accounts.core.errors import NotFound, Refused
from accounts.parties.models import Organisation
from market.trading.boxes import KEY_LENGTH
from market.trading.key_file import BookKeyMissing, KeyPair, key_pair_append, key_pairs_read
from market.trading.models import BookKey, OwnerKey, ReceiptKey
from market.trading.receipts import key_id_of

# Follows the numbers of `market.trading.gates`.
KEYS_LOCK_CLASS = 2605
SEALING_KEYS = """
SELECT bidder, book.id, book.public_key, own.id, own.public_key,
       EXISTS (SELECT FROM trading_receiptkey WHERE id = %s)
FROM trading_bookkey AS book CROSS JOIN unnest(%s::uuid[]) AS bidder
LEFT JOIN trading_ownerkey AS own ON own.organisation_id = bidder AND own.retired_at IS NULL
WHERE book.retired_at IS NULL
"""


class InvalidKey(Refused):
    """A public key that cannot be one."""


@dataclass(frozen=True, kw_only=True)
class SealingKeys:
    """What a basket is sealed to and its receipt signed with."""

    book_key_id: str
    book_public_key: bytes
    owner_key_id: UUID | None
    owner_public_key: bytes | None
    receipt_key_id: str
    receipt_key: SigningKey

    @property
    def readers(self) -> list[bytes]:
        """Public keys of those who can open it, the book's first."""
        owner = [] if self.owner_public_key is None else [self.owner_public_key]
        return [self.book_public_key, *owner]


def sealing_keys(organisation: Organisation) -> SealingKeys:
    """Return the keys for a basket of `organisation`, as they were at most a moment ago.

    A key that was just replaced still opens what was sealed to it.

    Raises
    ------
    BookKeyMissing
        If no worker has registered a book key yet.
    """
    return _sealing_keys_recent.of([organisation.id])[organisation.id]


def _sealing_keys(organisation_ids: Iterable[UUID]) -> dict[UUID, SealingKeys]:
    signing = receipt_signing_key()
    signing_id = key_id_of(bytes(signing.verify_key))
    numbers = list(organisation_ids)
    with connection.cursor() as cursor:
        # every bid passes here: as text, this costs a tenth of what the ORM takes to write it
        cursor.execute(SEALING_KEYS, [signing_id, numbers])
        rows = cursor.fetchall()
    if not rows:
        book_key_register()
        return _sealing_keys(numbers)
    if not rows[0][5]:
        ReceiptKey.objects.bulk_create(
            [ReceiptKey(id=signing_id, public_key=bytes(signing.verify_key))],
            ignore_conflicts=True,
        )
    return {
        row[0]: SealingKeys(
            book_key_id=row[1],
            book_public_key=bytes(row[2]),
            owner_key_id=row[3],
            owner_public_key=None if row[4] is None else bytes(row[4]),
            receipt_key_id=signing_id,
            receipt_key=signing,
        )
        for row in rows
    }


_sealing_keys_recent: Recent[UUID, SealingKeys] = Recent(_sealing_keys)


def receipt_signing_key() -> SigningKey:
    """Return the key that signs receipts in this process."""
    return _signing_key(settings.RECEIPT_KEY)


@lru_cache(maxsize=4)
def _signing_key(seed: str) -> SigningKey:
    try:
        return SigningKey(base64.b64decode(seed, validate=True))
    except (binascii.Error, CryptoError, ValueError, TypeError) as error:
        # the seed itself must not be seen in any log
        raise BookKeyMissing("RECEIPT_KEY must be 32 bytes in base64") from error


def receipt_keys() -> QuerySet[ReceiptKey]:
    """Return the public keys that receipts were ever signed with, for everybody."""
    return ReceiptKey.objects.order_by("created_at", "id")


def book_keys() -> QuerySet[BookKey]:
    """Return the public keys that books were ever sealed to, for everybody."""
    return BookKey.objects.order_by("created_at", "id")


def book_key_pairs() -> dict[str, KeyPair]:
    """Return this process's private book keys by id; read anew, so that a new one is seen.

    Raises
    ------
    BookKeyMissing
        In every process that is no worker.
    """
    return {pair.id: pair for pair in key_pairs_read(settings.BOOK_KEY_FILE)}


@transaction.atomic
def book_key_register() -> BookKey:
    """Make the newest key of this process's file the one that bids are sealed to from now on.

    Only who can open registers, so nothing is ever sealed to a key that nobody holds. Doing it
    again changes nothing; a key that was replaced does not come back.

    Raises
    ------
    BookKeyMissing
        In every process that is no worker.
    """
    pair = key_pairs_read(settings.BOOK_KEY_FILE)[-1]
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s, 0)", [KEYS_LOCK_CLASS])
    known = BookKey.objects.filter(id=pair.id).first()
    if known is not None:
        return known
    BookKey.objects.filter(retired_at=None).update(retired_at=RawSQL("clock_timestamp()", ()))
    made = BookKey.objects.create(id=pair.id, public_key=pair.public_key)
    entry_append(action="market.book_key.registered", subject=made)
    return made


def book_key_rotate() -> BookKey:
    """Add a key to the file, then seal to it; books sealed before open with the keys before.

    Raises
    ------
    BookKeyMissing
        If the file cannot be written.
    """
    key_pairs_read(settings.BOOK_KEY_FILE)
    key_pair_append(str(settings.BOOK_KEY_FILE))
    return book_key_register()


@transaction.atomic
def owner_key_register(*, organisation: Organisation, public_key: bytes) -> OwnerKey:
    """Seal copies of an organisation's bids to its own key (X25519) from now on.

    The private half stays with the organisation. A key before is retired: copies sealed to it
    open with its own private half.

    Raises
    ------
    InvalidKey
        If it is not 32 bytes of a public key, or one of ours.
    """
    _refuse_weak(public_key)
    Organisation.objects.select_for_update(no_key=True).get(id=organisation.id)
    current = OwnerKey.objects.filter(organisation=organisation, retired_at=None)
    same = current.filter(public_key=public_key).first()
    if same is not None:
        return same
    current.update(retired_at=RawSQL("clock_timestamp()", ()))
    made = OwnerKey.objects.create(organisation=organisation, public_key=public_key)
    entry_append(
        action="market.owner_key.registered", subject=made, organisation_id=organisation.id
    )
    return made


@transaction.atomic
def owner_key_retire(*, organisation: Organisation) -> None:
    """Seal no copies for an organisation any more; those made stay.

    Raises
    ------
    NotFound
        If it has no key.
    """
    key = OwnerKey.objects.filter(organisation=organisation, retired_at=None).first()
    if key is None:
        raise NotFound(field="owner_key", value=organisation.code, rule="a current key")
    OwnerKey.objects.filter(id=key.id).update(retired_at=RawSQL("clock_timestamp()", ()))
    entry_append(action="market.owner_key.retired", subject=key, organisation_id=organisation.id)


def owner_key_of(organisation: Organisation) -> OwnerKey | None:
    """Return the key that copies for an organisation are sealed to now."""
    return OwnerKey.objects.filter(organisation=organisation, retired_at=None).first()


def _refuse_weak(public_key: object) -> None:
    """Refuse what is no key, and the few points that everybody could open."""
    rule = f"an X25519 public key of {KEY_LENGTH} bytes"
    if not isinstance(public_key, bytes) or len(public_key) != KEY_LENGTH:
        raise InvalidKey(field="public_key", value=public_key, rule=rule)
    try:
        # libsodium refuses points of small order here
        crypto_scalarmult(b"\x40" + bytes(30) + b"\x40", public_key)
    except (CryptoError, RuntimeError) as error:
        raise InvalidKey(field="public_key", value=public_key, rule=rule) from error
    if BookKey.objects.filter(public_key=public_key).exists():
        raise InvalidKey(field="public_key", value=public_key, rule="a key of one's own")
