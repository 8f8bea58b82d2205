"""`manage.py reconcile`: documents = ledger = payment files, or every difference by name."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from aggregator.ops.stack import servers_for_command
from aggregator.settlement.reconciling import reconcile


class Command(BaseCommand):
    help = "Compare documents, ledger and payment files; exit 0 only if they say the same."

    def handle(self, *_args: Any, **_options: Any) -> None:
        """Print what was compared, then the differences."""
        with servers_for_command():
            found = reconcile()
        self.stdout.write(
            f"compared   {found.documents_count} documents, {found.batches_count} batches, "
            f"{found.files_count} files, {found.parties_count} parties"
        )
        for difference in found.differences:
            self.stdout.write(f"DIFFERENT  {difference}")
        if found.differences:
            raise CommandError(f"{len(found.differences)} differences")
        self.stdout.write("equal      documents, ledger and payment files say the same")
