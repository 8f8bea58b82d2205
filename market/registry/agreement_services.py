"""Consents of facility owners, and how the receipts of a site are shared."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from django.db import transaction
from django.db.models import F, Q, QuerySet

from accounts.audit.services import entry_append
from accounts.clock.selectors import market_now
from accounts.core.errors import Conflict, NotPermitted, Refused
from accounts.core.numbers import decimal_of
from accounts.fields.checking import date_checked, instance_checked, row_checked
from accounts.parties.models import Organisation
from market.registry.changes import market_today, row_saved, row_taken
from market.registry.models import (
    AgreementState,
    Consent,
    RevenueAgreement,
    RevenueShare,
    RevenueSplit,
    Site,
)

SHARE_DECIMALS = 5
SHARES_MAX = 20


class SharesNotWhole(Refused):
    """Shares of a site's receipts that do not sum to exactly 1."""


class AgreementOverlaps(Refused):
    """Dates on which another agreement of the site holds that this one may not end."""


@dataclass(frozen=True, kw_only=True)
class Days:
    """JST delivery dates, half-open; without an end until further notice."""

    from_on: date
    to_on: date | None = None


@transaction.atomic
def consent_grant(
    *,
    site: Site,
    granted_by: Organisation,
    granted_to: Organisation,
    valid_from_on: date,
    valid_to_on: date | None = None,
) -> Consent:
    """Let `granted_to` sell the flexibility of a site it does not own.

    Parameters
    ----------
    valid_from_on, valid_to_on
        JST delivery dates, half-open; without an end the consent holds until it is withdrawn.

    Raises
    ------
    NotPermitted
        If `granted_by` does not own the site's facility.
    Refused
        If a party or the site is not registered, a date is none, or a consent between the two
        holds on some of these dates already.
    """
    consent = Consent(
        site=instance_checked(site, Site, field="site"),
        granted_by=instance_checked(granted_by, Organisation, field="granted_by"),
        granted_to=instance_checked(granted_to, Organisation, field="granted_to"),
        **_days_checked(valid_from_on, valid_to_on),
    )
    # Two grants at once would each see no other.
    site = Site.objects.select_for_update().get(id=site.id)
    if site.facility_owner_id != granted_by.id:
        raise NotPermitted(
            field="granted_by", value=granted_by.code, rule="the owner of the site's facility"
        )
    if granted_to.id == granted_by.id:
        raise Refused(field="granted_to", value=granted_to.code, rule="another than the owner")
    row_checked(consent)
    _refuse_twin(consent)
    consent.save(force_insert=True)
    entry_append(
        action="market.consent.granted",
        subject=consent,
        organisation_id=granted_by.id,
        detail={"site": site.code, "to": granted_to.code},
    )
    return consent


def _refuse_twin(consent: Consent) -> None:
    """Refuse a second consent for the same days: it would outlive the first's withdrawal."""
    twins = Consent.objects.filter(
        Q(valid_to_on__isnull=True) | Q(valid_to_on__gt=consent.valid_from_on),
        ~Q(valid_to_on=F("valid_from_on")),
        site=consent.site,
        granted_by=consent.granted_by,
        granted_to=consent.granted_to,
    )
    if consent.valid_to_on is not None:
        twins = twins.filter(valid_from_on__lt=consent.valid_to_on)
    twin = twins.first()
    if twin is not None:
        raise Refused(
            field="valid_from_on",
            value=consent.valid_from_on,
            rule=f"days without a consent; one holds from {twin.valid_from_on}",
        )


@transaction.atomic
def consent_withdraw(*, consent: Consent, version: int, valid_to_on: date) -> Consent:
    """End a consent before the delivery date `valid_to_on`, which is today (JST) or later.

    Bids already in a book stay: they were submitted while the consent held.

    Raises
    ------
    VersionChanged
        If somebody changed it meanwhile.
    Refused
        If the date has passed, or the consent ends earlier already.
    """
    consent = row_taken(consent, version=version)
    date_checked(valid_to_on, field="valid_to_on")
    today = market_today()
    if valid_to_on < today:
        raise Refused(field="valid_to_on", value=valid_to_on, rule=f"{today} or later")
    if consent.valid_to_on is not None and consent.valid_to_on <= valid_to_on:
        raise Refused(
            field="valid_to_on",
            value=valid_to_on,
            rule=f"before {consent.valid_to_on}, when it ends already",
        )
    # one that was to begin later never holds
    consent.valid_to_on = max(valid_to_on, consent.valid_from_on)
    row_saved(consent, "valid_to_on")
    entry_append(
        action="market.consent.withdrawn",
        subject=consent,
        organisation_id=consent.granted_by_id,
        detail={"site": consent.site.code, "valid_to_on": consent.valid_to_on.isoformat()},
    )
    return consent


@transaction.atomic
def revenue_agreement_propose(
    *,
    site: Site,
    proposed_by: Organisation,
    actor: str,
    shares: Sequence[tuple[Organisation, Decimal]],
    days: Days,
) -> RevenueAgreement:
    """Propose how a site's receipts are shared; the proposer agrees by proposing.

    Parameters
    ----------
    proposed_by
        The site's operator or the owner of its facility.
    actor
        Who acts, as in :attr:`accounts.parties.sight.Sight.actor`.
    shares
        Parties and their exact shares of at most 5 decimal places, the operator and the owner
        among them, who sum to 1. A party of the agreement before that gets nothing more is
        named with 0, so that it agrees to that.

    Raises
    ------
    SharesNotWhole, AgreementOverlaps, NotPermitted, Refused
        Naming the field; nothing is stored then.
    """
    instance_checked(site, Site, field="site")
    instance_checked(proposed_by, Organisation, field="organisation")
    site = Site.objects.select_for_update().get(id=site.id)
    if proposed_by.id not in (site.organisation_id, site.facility_owner_id):
        raise NotPermitted(
            field="organisation",
            value=proposed_by.code,
            rule="the site's operator or the owner of its facility",
        )
    agreement = RevenueAgreement(
        site=site,
        proposed_by=proposed_by,
        proposed_at=market_now(),
        **_days_checked(days.from_on, days.to_on),
    )
    row_checked(agreement)
    ratios = _shares_checked(site, shares)
    _refuse_overlap(agreement, ratios)
    agreement.save(force_insert=True)
    RevenueShare.objects.bulk_create(
        RevenueShare(agreement=agreement, organisation=party, share_ratio=ratios[party.id])
        for party, _ in shares
    )
    entry_append(
        action="market.revenue_split.proposed",
        subject=agreement,
        organisation_id=proposed_by.id,
        detail={
            "site": site.code,
            "shares": {party.code: str(ratios[party.id]) for party, _ in shares},
        },
    )
    return _agree(agreement, proposed_by, actor)


@transaction.atomic
def revenue_agreement_agree(
    *, agreement: RevenueAgreement, version: int, organisation: Organisation, actor: str
) -> RevenueAgreement:
    """Agree for one party; when the last one does, the shares are in force.

    Raises
    ------
    VersionChanged, Conflict
        If it was changed or answered meanwhile.
    AgreementOverlaps
        If another agreement came into force meanwhile for the same days.
    NotPermitted
        If the organisation is none of its parties.
    """
    agreement = _answerable(agreement, version)
    return _agree(agreement, organisation, actor)


@transaction.atomic
def revenue_agreement_end(
    *,
    agreement: RevenueAgreement,
    version: int,
    organisation: Organisation,
    reason: str,
) -> RevenueAgreement:
    """Withdraw a proposal (its proposer), or reject it (any other party), with a reason.

    Raises
    ------
    VersionChanged, Conflict
        If it was changed or answered meanwhile.
    NotPermitted
        If the organisation is none of its parties.
    """
    agreement = _answerable(agreement, version)
    _share_of(agreement, organisation)
    is_own = agreement.proposed_by_id == organisation.id
    agreement.state = AgreementState.WITHDRAWN if is_own else AgreementState.REJECTED
    agreement.state_reason = reason
    row_checked(agreement)
    row_saved(agreement, "state", "state_reason")
    entry_append(
        action=f"market.revenue_split.{agreement.state.lower()}",
        subject=agreement,
        organisation_id=organisation.id,
        detail={"reason": reason},
    )
    return agreement


def _answerable(agreement: RevenueAgreement, version: int) -> RevenueAgreement:
    # The site first, as everywhere: two agreements of a site wait for each other.
    Site.objects.select_for_update().get(id=agreement.site_id)
    agreement = row_taken(agreement, version=version)
    if agreement.state != AgreementState.PROPOSED:
        raise Conflict(field="state", value=agreement.state, rule="a proposal not yet answered")
    return agreement


def _share_of(agreement: RevenueAgreement, organisation: Organisation) -> RevenueShare:
    share = agreement.shares.filter(organisation=organisation).first()
    if share is None:
        raise NotPermitted(field="organisation", value=organisation.code, rule="a party of it")
    return share


def _agree(agreement: RevenueAgreement, organisation: Organisation, actor: str) -> RevenueAgreement:
    share = _share_of(agreement, organisation)
    if share.agreed_at is not None:
        raise Conflict(field="organisation", value=organisation.code, rule="a party yet to agree")
    share.agreed_at, share.agreed_by = market_now(), actor
    share.save(update_fields=["agreed_at", "agreed_by"])
    shares = list(agreement.shares.select_related("organisation"))
    is_last = all(other.agreed_at is not None for other in shares)
    if is_last:
        _enforce(agreement, shares)
        agreement.state = AgreementState.AGREED
        row_saved(agreement, "state")
    else:
        _touch(agreement)
    entry_append(
        action="market.revenue_split.agreed",
        subject=agreement,
        organisation_id=organisation.id,
        detail={"party": organisation.code, "in_force": is_last},
    )
    return agreement


def _touch(agreement: RevenueAgreement) -> None:
    """Raise the version: what its parties said is part of what one reads."""
    RevenueAgreement.objects.filter(id=agreement.id).update(version=agreement.version + 1)
    agreement.refresh_from_db(fields=["version"])


def _enforce(agreement: RevenueAgreement, shares: Sequence[RevenueShare]) -> None:
    """Write what all agreed to; what held before ends the day this begins."""
    _refuse_overlap(agreement, {share.organisation_id: share.share_ratio for share in shares})
    _in_force_until_further_notice(agreement).update(valid_to_on=agreement.valid_from_on)
    RevenueSplit.objects.bulk_create(
        RevenueSplit(
            site_id=agreement.site_id,
            organisation=share.organisation,
            share_ratio=share.share_ratio,
            valid_from_on=agreement.valid_from_on,
            valid_to_on=agreement.valid_to_on,
            agreement=agreement,
        )
        for share in shares
        if share.organisation_id != agreement.site.organisation_id
    )


def _in_force_until_further_notice(agreement: RevenueAgreement) -> QuerySet[RevenueSplit]:
    return RevenueSplit.objects.filter(
        site_id=agreement.site_id,
        valid_from_on__lt=agreement.valid_from_on,
        valid_to_on__isnull=True,
    )


def _refuse_overlap(agreement: RevenueAgreement, parties: Mapping[object, Decimal]) -> None:
    """No day has two agreements: one until further notice ends if all its parties agree."""
    in_force = RevenueSplit.objects.filter(
        Q(valid_to_on__isnull=True) | Q(valid_to_on__gt=agreement.valid_from_on),
        site_id=agreement.site_id,
    ).select_related("organisation")
    if agreement.valid_to_on is not None:
        in_force = in_force.filter(valid_from_on__lt=agreement.valid_to_on)
    for split in in_force.order_by("valid_from_on", "organisation__code"):
        if split.valid_to_on is not None or split.valid_from_on >= agreement.valid_from_on:
            until = split.valid_to_on or "further notice"
            raise AgreementOverlaps(
                field="valid_from_on",
                value=agreement.valid_from_on,
                rule=f"days without an agreement; one holds from {split.valid_from_on} to {until}",
            )
        if split.organisation_id not in parties:
            raise AgreementOverlaps(
                field="shares",
                value=sorted(str(party) for party in parties),
                rule=f"{split.organisation.code} named, with 0 if it gets nothing: "
                f"what it has from {split.valid_from_on} on ends by this",
            )


def _shares_checked(
    site: Site, shares: Sequence[tuple[Organisation, Decimal]]
) -> dict[object, Decimal]:
    if not isinstance(shares, list | tuple) or not 1 <= len(shares) <= SHARES_MAX:
        raise Refused(field="shares", value=shares, rule=f"a list of 1 to {SHARES_MAX}")
    ratios: dict[object, Decimal] = {}
    for i, (party, ratio) in enumerate(shares):
        instance_checked(party, Organisation, field=f"shares[{i}].organisation")
        if party.id in ratios:
            raise Refused(field=f"shares[{i}].organisation", value=party.code, rule="named once")
        ratios[party.id] = decimal_of(
            ratio,
            field=f"shares[{i}].share_ratio",
            low=Decimal(0),
            high=Decimal(1),
            places=SHARE_DECIMALS,
        )
    for needed in (site.organisation, site.facility_owner):
        if needed.id not in ratios:
            raise Refused(
                field="shares", value=needed.code, rule="both the operator and the owner are named"
            )
    total = sum(ratios.values(), Decimal(0))
    if total != 1:
        raise SharesNotWhole(field="shares", value=str(total), rule="shares that sum to exactly 1")
    return ratios


def _days_checked(from_on: date, to_on: date | None) -> dict[str, date | None]:
    date_checked(from_on, field="valid_from_on")
    if to_on is not None and date_checked(to_on, field="valid_to_on") <= from_on:
        raise Refused(field="valid_to_on", value=to_on, rule="after valid_from_on")
    return {"valid_from_on": from_on, "valid_to_on": to_on}
