"""Force majeure: asked for with a file, decided by another person, told to verification."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import Q, QuerySet

from accounts.audit.services import entry_append
from accounts.clock.selectors import market_now
from accounts.core.errors import Conflict, NotFound, NotPermitted, Refused
from accounts.core.files import CheckedFile
from accounts.core.numbers import zoned
from accounts.fields.checking import text_checked
from accounts.parties.models import Organisation, OrganisationKind
from accounts.parties.selectors import aggregator
from accounts.parties.sight import Sight
from aggregator.metering.correction_requests import corrections_request, days_touched
from aggregator.metering.excuse_models import TEXT_LENGTH_MAX
from aggregator.metering.models import CorrectionCause, ExcuseState, ForceMajeure
from market.registry.models import Resource, Site

READ = "delivery.read"
REQUEST = "force_majeure.request"
DECIDE = "force_majeure.decide"
SPAN_MAX = timedelta(days=31)
HALF_HOUR = timedelta(minutes=30)
DECISIONS = (ExcuseState.ACCEPTED.value, ExcuseState.REJECTED.value)


class ExcuseDecided(Conflict):
    """The request was decided already."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Excuse:
    """An accepted request: whom it excuses, from when to when."""

    force_majeure_id: UUID
    starts_at: datetime
    ends_at: datetime
    site_id: UUID | None
    resource_id: UUID | None

    def covers(self, *, start_at: datetime, resource_id: UUID, site_id: UUID | None) -> bool:
        """Whether it touches the half hour of a resource that begins at `start_at`."""
        return (
            start_at < self.ends_at
            and start_at + HALF_HOUR > self.starts_at
            and self.resource_id in (None, resource_id)
            and self.site_id in (None, site_id)
        )


def excuses_within(*, starts_at: datetime, ends_at: datetime, as_of: datetime) -> list[Excuse]:
    """Return what was accepted by `as_of` and touches [starts_at, ends_at), earliest first."""
    rows = ForceMajeure.objects.filter(
        state=ExcuseState.ACCEPTED, starts_at__lt=ends_at, ends_at__gt=starts_at,
        decided_at__lte=as_of,
    ).order_by("starts_at", "id")  # fmt: skip
    return [
        Excuse(
            force_majeure_id=row.id,
            starts_at=row.starts_at,
            ends_at=row.ends_at,
            site_id=row.site_id,
            resource_id=row.resource_id,
        )
        for row in rows.only("id", "starts_at", "ends_at", "site_id", "resource_id")
    ]


@transaction.atomic
def force_majeure_request(
    *,
    organisation: Organisation,
    starts_at: datetime,
    ends_at: datetime,
    reason: str,
    evidence: CheckedFile,
    actor: str,
    site: Site | None = None,
    resource: Resource | None = None,
) -> ForceMajeure:
    """Ask that a resource, a site or everybody be excused in [starts_at, ends_at).

    Parameters
    ----------
    organisation
        Who asks: the operator of the site, the grid operator of its area, or the aggregator,
        which alone may ask for everybody.
    evidence
        The file that shows what happened.
    actor
        Who acts for the organisation, as audit entries name them.

    Raises
    ------
    Refused
        If the span is empty, longer than a month or not begun yet, both a site and a resource
        are named, or the reason is empty.
    NotPermitted
        If the organisation may not ask for them.
    """
    zoned(starts_at, field="starts_at")
    zoned(ends_at, field="ends_at")
    now = market_now()
    if not starts_at < ends_at <= starts_at + SPAN_MAX:
        rule = "after the start, within 31 days of it"
        raise Refused(field="ends_at", value=ends_at.isoformat(), rule=rule)
    if starts_at > now:
        rule = "begun: what may come is an availability notice"
        raise Refused(field="starts_at", value=starts_at.isoformat(), rule=rule)
    if site is not None and resource is not None:
        raise Refused(field="resource", value=resource.code, rule="a site or a resource, not both")
    text_checked(reason, field="reason", length_max=TEXT_LENGTH_MAX)
    where = resource.site if resource is not None else site
    _refuse_strangers(organisation, where)
    row = ForceMajeure.objects.create(
        organisation=organisation,
        site=site,
        resource=resource,
        starts_at=starts_at,
        ends_at=ends_at,
        reason=reason,
        evidence_name=evidence.name,
        evidence_type=evidence.content_type,
        evidence_size_bytes=evidence.size_bytes,
        evidence_sha256=evidence.sha256,
        evidence=evidence.content,
        requested_by=actor,
        requested_at=now,
    )
    _told("metering.force_majeure.requested", row, {"sha256": evidence.sha256, "actor": actor})
    return row


@transaction.atomic
def force_majeure_decide(
    *, force_majeure_id: UUID, decision: str, reason: str, by: Sight
) -> ForceMajeure:
    """Accept or reject a request, as a person of the settlement desk who did not make it.

    What was verified on final readings already is corrected by a job of its own for each auction.

    Raises
    ------
    Refused
        On another decision, or without a reason.
    NotPermitted
        If the caller may not decide, made the request, or is a machine.
    NotFound
        If there is no such request.
    ExcuseDecided
        If it was decided before.
    """
    if decision not in DECISIONS:
        raise Refused(field="decision", value=decision, rule=f"one of {', '.join(DECISIONS)}")
    text_checked(reason, field="reason", length_max=TEXT_LENGTH_MAX)
    if by.user_id is None or aggregator().id not in by.organisations_for(DECIDE):
        raise NotPermitted(field="decided_by", value=by.actor, rule="a person who may decide")
    row = ForceMajeure.objects.select_for_update(of=("self",)).filter(id=force_majeure_id).first()
    if row is None:
        raise NotFound(field="force_majeure", value=str(force_majeure_id), rule="a request")
    if row.state != ExcuseState.REQUESTED:
        raise ExcuseDecided(field="force_majeure", value=row.state, rule="not decided yet")
    if row.requested_by == by.actor:
        raise NotPermitted(field="decided_by", value=by.actor, rule="another than who asked")
    row.state, row.decision, row.decided_by = decision, reason, by.actor
    row.decided_at = market_now()
    row.save(update_fields=["state", "decision", "decided_by", "decided_at"])
    _told("metering.force_majeure.decided", row, {"state": row.state, "actor": by.actor})
    if row.state == ExcuseState.ACCEPTED:
        corrections_request(
            days=days_touched(starts_at=row.starts_at, ends_at=row.ends_at),
            cause_kind=CorrectionCause.FORCE_MAJEURE,
            cause_id=str(row.id),
        )
    return row


def force_majeures_seen(*, seen_by: Sight) -> QuerySet[ForceMajeure]:
    """Return requests a caller may see: the market all, else its own and those on its sites."""
    rows = ForceMajeure.objects.select_related("organisation", "site", "resource__site").defer(
        "evidence"
    )
    if seen_by.may_everywhere(READ):
        return rows
    own_ids = seen_by.organisations_for(READ)
    return rows.filter(
        Q(organisation_id__in=own_ids)
        | Q(site__organisation_id__in=own_ids)
        | Q(resource__site__organisation_id__in=own_ids)
        | Q(site__area__tso_id__in=own_ids)
        | Q(resource__site__area__tso_id__in=own_ids)
        | Q(site__isnull=True, resource__isnull=True)
    )


def _refuse_strangers(organisation: Organisation, where: Site | None) -> None:
    if organisation.kind == OrganisationKind.AGGREGATOR:
        return
    if where is None:
        raise NotPermitted(
            field="site", value=None, rule="a site or a resource; all only by the aggregator"
        )
    if organisation.id not in (where.organisation_id, where.area.tso_id):
        raise NotPermitted(field="site", value=where.code, rule="a site of yours, or in your area")


def _told(action: str, row: ForceMajeure, detail: Mapping[str, Any]) -> None:
    what: Sequence[str] = [row.resource.code] if row.resource else []
    what = what or ([row.site.code] if row.site else ["*"])
    entry_append(
        action=action,
        subject=row,
        organisation_id=row.organisation_id,
        detail={
            "of": what[0],
            "from": row.starts_at.isoformat(),
            "to": row.ends_at.isoformat(),
            **detail,
        },
    )
