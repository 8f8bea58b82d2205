"""``django-admin test`` is the gate too; ``manage.py test`` reaches it before Django loads."""

import sys
from typing import Any

from django.core.management.base import BaseCommand

from aggregator.ops import gate


class Command(BaseCommand):
    help = "Lint, format, import contracts, types and all tests, the cheapest first."
    requires_system_checks = ()

    def run_from_argv(self, argv: list[str]) -> None:
        sys.exit(gate.main(argv[2:]))

    def handle(self, *_args: Any, **_options: Any) -> None:
        sys.exit(gate.main([]))
