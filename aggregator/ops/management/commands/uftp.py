"""`manage.py uftp key | rotate | revoke | portfolio`: what the desk does at a terminal."""

from datetime import timedelta
from typing import Any
from uuid import UUID

from django.core.management.base import BaseCommand, CommandError, CommandParser

from accounts.audit.acting import acting_as
from accounts.core.errors import Refused
from aggregator.ops.stack import servers_for_command
from aggregator.protocols.uftp.keys import own_domain, own_public_key, participant_key_rotate
from aggregator.protocols.uftp.models import Participant
from aggregator.protocols.uftp.offering import offer_revoke
from aggregator.protocols.uftp.telling import portfolio_send


class Command(BaseCommand):
    help = "Show our domain and public key, rotate a participant's key, take back an offer."

    def add_arguments(self, parser: CommandParser) -> None:
        acts = parser.add_subparsers(dest="act", required=True)
        acts.add_parser("key", help="our domain and public key, for participants' directories")
        rotate = acts.add_parser("rotate", help="take a participant's new public key")
        rotate.add_argument("domain")
        rotate.add_argument("public_key", help="Ed25519, 32 bytes in base64")
        rotate.add_argument("--overlap-h", type=int, default=168, help="the old one counts so long")
        revoke = acts.add_parser("revoke", help="take back an offer that is not ordered")
        revoke.add_argument("offer", type=UUID, help="the offer's id, as the admin shows it")
        revoke.add_argument("--reason", required=True)
        portfolio = acts.add_parser("portfolio", help="tell a CRO which connections we act for")
        portfolio.add_argument("domain")

    def handle(self, *_args: Any, **options: Any) -> None:
        """Do the act, and say what came of it."""
        if options["act"] == "key":
            self.stdout.write(f"{own_domain()} AGR {own_public_key()}")
            return
        with servers_for_command(), acting_as("command:uftp"):
            try:
                self.stdout.write(self._done(options))
            except Refused as refusal:
                raise CommandError(str(refusal)) from refusal

    def _done(self, options: dict[str, Any]) -> str:
        if options["act"] == "revoke":
            offer = offer_revoke(offer_id=options["offer"], reason=options["reason"])
            return f"{offer.id} {offer.state}"
        if options["act"] == "rotate":
            key = participant_key_rotate(
                participant=_participant(options["domain"], "DSO"),
                public_key=options["public_key"],
                overlap=timedelta(hours=options["overlap_h"]),
            )
            return f"{key.participant} {key.public_key}"
        sent = portfolio_send(participant=_participant(options["domain"], "CRO"))
        return "no connections" if sent is None else f"{sent.kind} {sent.message_id}"


def _participant(domain: str, role: str) -> Participant:
    participant = Participant.objects.filter(domain=domain, role=role).first()
    if participant is None:
        raise CommandError(f"no {role} {domain} in the directory")
    return participant
