"""A grid operator that speaks UFTP, for the tests: signs, posts, and reads what was put out for it.

It stands before our door with Django's test client, and reads our answers from the outbox, whose
envelopes it opens with our public key as any participant would.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import uuid4

from django.test import Client
from nacl.signing import SigningKey

from accounts.clock.selectors import market_now
from accounts.jobs.selectors import jobs_due
from accounts.jobs.services import Claim, job_claim
from accounts.parties.models import Organisation
from aggregator.dispatch import confirming
from aggregator.dispatch import services as dispatch
from aggregator.outbox.models import OutboxMessage
from aggregator.protocols.uftp import messages, offering, services, telling, wire
from aggregator.protocols.uftp.keys import own_domain, own_key, participant_key_rotate
from aggregator.protocols.uftp.messages import FlexOrder, FlexRequest, Isp, Payload, RequestIsp
from aggregator.protocols.uftp.models import CongestionAddress, InboundMessage, Participant

PATH = "/shapeshifter/api/v3/message"
DOMAIN = "grid-t.example.jp"
ENDPOINT = "https://grid-t.example.jp/shapeshifter/api/v3/message"
ADDRESS = "ean.123456789012345678"
CONTRACT = "FW-2026"
DAY = date(2026, 11, 25)
WORK: dict[str, Callable[..., Any]] = {
    services.DECIDE_KIND: services.message_decide,
    services.REPEAT_KIND: services.repetition_answer,
    offering.OFFERS_KIND: offering.offers_make,
    offering.EXPIRE_KIND: offering.offers_expire,
    offering.REVOKE_KIND: offering.offers_revoke,
    telling.PROGNOSIS_KIND: telling.prognosis_send,
    telling.METERING_KIND: telling.metering_send,
    dispatch.PLAN_KIND: dispatch.instructions_plan,
    dispatch.RELEASE_KIND: confirming.awards_release,
}


def work(*kinds: str) -> list[str]:
    """Run due jobs, of these kinds or all that UFTP knows, until none is left."""
    done: list[str] = []
    for _ in range(50):
        due = [(job_id, kind) for job_id, kind in jobs_due() if kind in (kinds or WORK)]
        if not due:
            return done
        for job_id, kind in due:
            claim: Claim | None = job_claim(job_id=job_id)
            if claim is not None:
                WORK[kind](claim=claim)
                done.append(kind)
    raise AssertionError("jobs keep being due")


class Dso:
    """A grid operator's side, with a key of its own."""

    def __init__(
        self,
        organisation: Organisation,
        *,
        domain: str = DOMAIN,
        element: str = "inzai-line",
        address: str = ADDRESS,
        endpoint: str = ENDPOINT,
    ) -> None:
        self.key = SigningKey.generate()
        self.domain = domain
        self.http = Client()
        self.participant = Participant.objects.create(
            domain=domain, organisation=organisation, endpoint=endpoint
        )
        participant_key_rotate(participant=self.participant, public_key=public(self.key))
        self.address = CongestionAddress.objects.create(
            participant=self.participant,
            address=address,
            element=element,
            cap_jpy_per_kwh=Decimal(180),
            contract_id=CONTRACT,
        )

    def head(self, **changes: Any) -> dict[str, Any]:
        return {
            "sender_domain": self.domain,
            "recipient_domain": own_domain(),
            "time_stamp": datetime(2026, 11, 24, 3, tzinfo=UTC),
            "message_id": str(uuid4()),
            "conversation_id": str(uuid4()),
        } | changes

    def flex(self, **changes: Any) -> dict[str, Any]:
        return (
            self.head(
                isp_duration="PT30M",
                time_zone="Asia/Tokyo",
                period=DAY,
                congestion_point=self.address.address,
            )
            | changes
        )

    def request(self, **changes: Any) -> FlexRequest:
        """Ask for 12 MW less consumption from koma 35 to 40."""
        said = {
            "revision": 1,
            "expiration_date_time": datetime(2026, 11, 25, 0, tzinfo=UTC),
            "contract_id": CONTRACT,
            "isps": (
                RequestIsp(
                    disposition="Requested",
                    min_power=-12_000_000,
                    max_power=0,
                    start=35,
                    duration=6,
                ),
                RequestIsp(
                    disposition="Available", min_power=0, max_power=5_000_000, start=1, duration=34
                ),
            ),
        }
        return FlexRequest(**self.flex(**(said | changes)))

    def order(self, offer: messages.FlexOffer, **changes: Any) -> FlexOrder:
        """Order exactly what was offered."""
        (option,) = offer.offer_options
        said = {
            "period": offer.period,
            "congestion_point": offer.congestion_point,
            "conversation_id": offer.conversation_id,
            "flex_offer_message_id": offer.message_id,
            "price": option.price,
            "currency": offer.currency,
            "order_reference": f"O-{offer.message_id[:8]}",
            "option_reference": option.option_reference,
            "isps": tuple(
                Isp(power=isp.power, start=isp.start, duration=isp.duration) for isp in option.isps
            ),
        }
        return FlexOrder(**self.flex(**(said | changes)))

    def envelope(self, message: Payload, *, key: SigningKey | None = None) -> bytes:
        return self.sealed(wire.message_render(message), key=key)

    def sealed(self, inner: bytes, *, key: SigningKey | None = None, role: str = "DSO") -> bytes:
        return wire.envelope_render(
            inner, sender_domain=self.domain, sender_role=role, key=key or self.key
        ).encode()

    def post(self, body: bytes, *, content_type: str = wire.CONTENT_TYPE, **more: Any) -> int:
        answer = self.http.post(PATH, body, content_type=content_type, **more)
        assert answer.content == b""  # the functional answer never stands in the transport's
        return int(answer.status_code)

    def say(self, message: Payload, *, key: SigningKey | None = None) -> int:
        return self.post(self.envelope(message, key=key))

    def said(self, message: Payload) -> InboundMessage:
        """Say something that is taken in, let it be decided, and return what came of it."""
        assert self.say(message) == 200
        work(services.DECIDE_KIND)
        return InboundMessage.objects.get(message_id=message.message_id.lower())

    def heard(self, kind: type[Payload] | None = None) -> list[Any]:
        """Return what was put out for this operator, in order, opened with our public key."""
        found = []
        for row in OutboxMessage.objects.filter(destination=self.participant.endpoint).order_by(
            "created_at", "id"
        ):
            envelope = wire.envelope_read(row.body.encode())
            assert (envelope.sender_domain, envelope.sender_role) == (own_domain(), "AGR")
            assert row.content_type == wire.CONTENT_TYPE
            message = wire.message_read(wire.seal_open(envelope, [own_key().verify_key]))
            assert message.recipient_domain == self.domain
            if kind is None or isinstance(message, kind):
                found.append(message)
        return found


def public(key: SigningKey) -> str:
    """Return the public half of a key in base64."""
    import base64

    return base64.b64encode(bytes(key.verify_key)).decode()


def soon() -> datetime:
    """Return a moment an hour from the market's now."""
    return market_now() + timedelta(hours=1)
