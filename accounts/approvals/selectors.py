"""Read approvals: those who may ask or decide see them, and the auditor."""

from django.db.models import Q, QuerySet

from accounts.approvals.kinds import KINDS
from accounts.approvals.models import Approval
from accounts.parties.sight import Sight


def approvals_seen(
    *, seen_by: Sight, state: str | None = None, kind: str | None = None
) -> QuerySet[Approval]:
    """Approvals of the organisations for which the caller may ask or decide; else none."""
    rows = Approval.objects.select_related("organisation")
    if not seen_by.may_everywhere("audit.read"):
        allowed = Q(pk__in=[])
        for name, of_kind in KINDS.items():
            at = seen_by.organisations_for(of_kind.make) | seen_by.organisations_for(of_kind.check)
            if at:
                allowed |= Q(kind=name, organisation__in=at)
        rows = rows.filter(allowed)
    if state is not None:
        rows = rows.filter(state=state)
    return rows if kind is None else rows.filter(kind=kind)


def approval_open(*, kind: str, subject: str) -> Approval | None:
    """Return the request or approval about `subject` that still counts, if there is one."""
    return Approval.objects.filter(
        kind=kind, subject=subject, state__in=("REQUESTED", "APPROVED")
    ).first()
