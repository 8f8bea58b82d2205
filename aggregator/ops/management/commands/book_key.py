"""`manage.py book_key`: which keys bids are sealed to, and how a new one comes into use."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from aggregator.ops.stack import servers_for_command
from market.trading.key_file import BookKeyMissing
from market.trading.keys import book_key_register, book_key_rotate, book_keys

ACTIONS = ("show", "register", "rotate")


class Command(BaseCommand):
    help = (
        "show: public book keys, the current one last. register: seal to the newest key of "
        "BOOK_KEY_FILE from now on. rotate: add a key to BOOK_KEY_FILE, then register it; books "
        "sealed before open with the keys before, so no line of the file may be removed."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("action", choices=ACTIONS, nargs="?", default="show")

    def handle(self, *_args: Any, **options: Any) -> None:
        """Do it where BOOK_KEY_FILE is: beside a worker."""
        with servers_for_command():
            try:
                if options["action"] == "register":
                    book_key_register()
                elif options["action"] == "rotate":
                    book_key_rotate()
            except BookKeyMissing as missing:
                raise CommandError(str(missing)) from missing
            for key in book_keys():
                until = "current" if key.retired_at is None else f"until {key.retired_at:%FT%TZ}"
                self.stdout.write(f"{key.id}  {bytes(key.public_key).hex()}  {until}")
