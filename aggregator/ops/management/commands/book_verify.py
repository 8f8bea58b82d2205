"""`manage.py book_verify AUCTION`: make every leaf of an opened book again, and its root."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from aggregator.ops.stack import servers_for_command
from market.trading.models import Auction
from market.trading.opening import book_faults, book_root_of


class Command(BaseCommand):
    help = "Compare an opened book with the root published at its gate; exit 0 only if all fits."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("auction", help="code of the auction")

    def handle(self, *_args: Any, **options: Any) -> None:
        """Print what does not fit, one line each."""
        with servers_for_command():
            auction = Auction.objects.filter(code=options["auction"]).first()
            if auction is None:
                raise CommandError(f"auction: {options['auction']!r} — the code of an auction")
            faults = list(book_faults(auction))
            for fault in faults:
                self.stderr.write(fault)
            if faults:
                raise CommandError(f"{auction.code}: {len(faults)} faults")
            root = book_root_of(auction)
            if root is not None:
                self.stdout.write(f"{auction.code}  {root.leaf_count} bids  {root.merkle_root}")
