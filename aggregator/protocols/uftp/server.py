"""The door: a signed message in, 200 and nothing else at once; the answer is another message."""

from __future__ import annotations

import logging
from email.message import Message as Header
from typing import Final

from django.conf import settings
from django.core.cache import cache
from django.http import HttpRequest, HttpResponse
from django.http.request import RawPostDataException, UnreadablePostError
from django.utils.decorators import method_decorator
from django.views import View
from django.views.decorators.csrf import csrf_exempt

from accounts.audit.acting import acting_as
from aggregator.protocols.uftp import wire
from aggregator.protocols.uftp.keys import keys_of, own_domain
from aggregator.protocols.uftp.messages import Payload
from aggregator.protocols.uftp.models import Participant
from aggregator.protocols.uftp.selectors import participant_of
from aggregator.protocols.uftp.services import message_take

BODY_BYTES_MAX: Final = 1_500_000
TYPES: Final = ("text/xml", "application/xml")
WINDOW_S: Final = 10
BAD, UNSIGNED, LENGTH_NEEDED, TOO_LONG, NO_KEY, TOO_MANY, CLOSED = (
    400, 401, 411, 413, 419, 429, 503,
)  # fmt: skip

logger = logging.getLogger(__name__)


class Turned(Exception):
    """A message does not come in; the status tells the sender why, the text tells us."""

    def __init__(self, status: int, why: str) -> None:
        super().__init__(why)
        self.status = status


@method_decorator(csrf_exempt, name="dispatch")
class MessageView(View):
    """``POST /shapeshifter/api/v3/message``."""

    http_method_names = ("post",)

    def post(self, request: HttpRequest) -> HttpResponse:
        """Take a message in, or say why not by the status alone."""
        sender = ""
        try:
            raw = _body(request)
            envelope = _envelope(raw)
            sender = envelope.sender_domain
            participant = _participant(envelope)
            inner, message = _opened(envelope, participant)
        except Turned as turned:
            # the claimed sender and what it sent are a stranger's words: shown as such
            logger.warning("UFTP message of %r refused: %s %r", sender, turned.status, str(turned))
            answer = HttpResponse(status=turned.status, content_type="text/plain")
            if turned.status == TOO_MANY:
                answer["Retry-After"] = str(WINDOW_S)
            return answer
        with acting_as(f"uftp:{participant.domain}"):
            message_take(participant=participant, message=message, inner=inner, raw=raw)
        return HttpResponse(status=200, content_type=wire.CONTENT_TYPE)


def _body(request: HttpRequest) -> bytes:
    if not own_domain():
        raise Turned(CLOSED, "no UFTP_DOMAIN is set here")
    length = request.META.get("CONTENT_LENGTH") or ""
    if not length.isdigit() or request.headers.get("Transfer-Encoding"):
        raise Turned(LENGTH_NEEDED, "without Content-Length")
    if int(length) > BODY_BYTES_MAX:
        raise Turned(TOO_LONG, f"{length[:20]} bytes")
    header = Header()
    header["Content-Type"] = request.headers.get("Content-Type", "")
    charset = header.get_content_charset("utf-8")
    if header.get_content_type() not in TYPES or charset not in ("utf-8", "us-ascii"):
        raise Turned(BAD, "another content type than text/xml in UTF-8")
    try:
        return request.read(BODY_BYTES_MAX + 1)
    except (UnreadablePostError, RawPostDataException) as error:
        raise Turned(BAD, "a body that ends early") from error


def _envelope(raw: bytes) -> wire.Envelope:
    try:
        return wire.envelope_read(raw)
    except wire.InvalidDocument as error:
        raise Turned(BAD, str(error)) from error


def _participant(envelope: wire.Envelope) -> Participant:
    participant = participant_of(domain=envelope.sender_domain, role=envelope.sender_role)
    if participant is None:
        raise Turned(NO_KEY, f"no key for {envelope.sender_role} here")
    return participant


def _rate_check(participant: Participant) -> None:
    """Count a sender's messages of ten seconds; without the cache nobody is counted."""
    key = f"uftp:{participant.id}"
    try:
        cache.add(key, 0, timeout=WINDOW_S)
        count = cache.incr(key)
    except Exception:  # noqa: BLE001 - any backend's failure: a lost count keeps nobody out
        logger.warning("UFTP messages are not counted: the cache is away")
        return
    if count > settings.UFTP_MESSAGES_PER_10S:
        raise Turned(TOO_MANY, f"more than {settings.UFTP_MESSAGES_PER_10S} in {WINDOW_S} s")


def _opened(envelope: wire.Envelope, participant: Participant) -> tuple[bytes, Payload]:
    keys = keys_of(participant)
    if not keys:
        raise Turned(NO_KEY, "no key of the sender counts now")
    try:
        inner = wire.seal_open(envelope, keys)
    except wire.InvalidSignature as error:
        raise Turned(UNSIGNED, str(error)) from error
    # after the signature: nobody uses up what another may send
    _rate_check(participant)
    try:
        return inner, wire.message_read(inner)
    except wire.InvalidDocument as error:
        raise Turned(BAD, str(error)) from error
