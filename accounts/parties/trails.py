"""Who may read which audit entries: organisations those about themselves, the auditor all."""

from django.db.models import QuerySet

from accounts.audit.models import AuditEntry
from accounts.parties.sight import Sight

READ = "audit.read"


def entries_seen(*, seen_by: Sight) -> QuerySet[AuditEntry]:
    """Entries about the caller's own organisations, with their place in the chain."""
    rows = AuditEntry.objects.select_related("link")
    if seen_by.may_everywhere(READ):
        return rows
    return rows.filter(organisation_id__in=seen_by.organisations_for(READ))
