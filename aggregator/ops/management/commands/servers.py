"""``manage.py servers start|stop|status``: the embedded servers by hand."""

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from aggregator.ops.embedded import Servers
from aggregator.ops.errors import ServersFailed


class Command(BaseCommand):
    help = "Start, stop or show the embedded PostgreSQL and Valkey of this checkout."
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("action", choices=["start", "stop", "status"])
        parser.add_argument("--instance", default=settings.INSTANCE)

    def handle(self, *_args: Any, **options: Any) -> None:
        servers = Servers(instance=options["instance"])
        try:
            if options["action"] == "start":
                servers.start()
                servers.keep()
            elif options["action"] == "stop":
                servers.stop()
        except ServersFailed as failure:
            raise CommandError(str(failure)) from failure
        status = servers.status()
        self.stdout.write(f"PostgreSQL {'runs' if status.postgres else 'is stopped'}")
        self.stdout.write(f"Valkey {'runs' if status.valkey else 'is stopped'}")
        if status.postgres or status.valkey:
            self.stdout.write(f"DATABASE_URL={servers.addresses.database_url}")
            self.stdout.write(f"REDIS_URL={servers.addresses.redis_url}")
