"""Ask for prequalification, check it, decide on it, and talk about it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from django.db import transaction

from accounts.audit.services import entry_append
from accounts.clock.selectors import market_now
from accounts.core.errors import Conflict, NotPermitted, Refused
from accounts.core.files import CheckedFile
from accounts.core.numbers import decimal_of, zoned
from accounts.fields import KW_MAX
from accounts.fields.checking import (
    date_checked,
    instance_checked,
    row_checked,
    row_fields_checked,
)
from accounts.parties.models import Organisation
from market.core.timegrid import JST
from market.registry.changes import row_saved, row_taken
from market.registry.models import (
    PREQUALIFICATION_TRANSITIONS,
    Area,
    MarketProduct,
    Prequalification,
    PrequalificationComment,
    PrequalificationFile,
    PrequalificationState,
    PrequalificationStep,
    Resource,
)
from market.registry.prequalification_rules import Facts, Store, failed, findings_of
from market.registry.qualifications import FIT_STATES
from market.registry.selectors import (
    buses_latest,
    prequalification_open_of,
    product_terms_on,
    resources_sellable_by,
)

REASON_LENGTH_MAX = 300
COMMENT_LENGTH_MAX = 2_000
COMMENTS_MAX = 500
FILES_MAX = 50
_S = PrequalificationState
# Before these, rules are looked at once more: much may have changed since the request.
DECISIONS = (_S.TEMPORARY, _S.QUALIFIED, _S.SUSPENDED, _S.REJECTED)
_CHECKABLE = (_S.REQUESTED, _S.CHECKED)


class StepNotAllowed(Conflict):
    """A step that the prequalification cannot take from the state it is in."""


class NotFit(Refused):
    """A resource that breaks rules of the product, which the message names."""


@dataclass(frozen=True, kw_only=True)
class Caller:
    """Who takes a step: the organisation in whose name, and the person or machine."""

    organisation: Organisation
    actor: str


@transaction.atomic
def prequalification_request(
    *,
    resource: Resource,
    product: MarketProduct,
    area: Area,
    by: Caller,
    quantity_kw: Decimal,
    security_confirmed_to_on: date | None,
    is_metered: bool,
) -> Prequalification:
    """Ask that a resource be fit for a product in an area; it is checked at once.

    Parameters
    ----------
    by
        The operator of the resource's site.
    quantity_kw
        Power it is to be fit for.
    security_confirmed_to_on
        JST date until which its conformity with the cybersecurity guideline is confirmed.
    is_metered
        Whether the resource has a meter, which the registry does not know.

    Returns
    -------
    Prequalification
        CHECKED if every rule holds, else REQUESTED, with the findings of all rules.

    Raises
    ------
    NotPermitted
        If the caller does not operate the site.
    Conflict
        If one for the same resource, product and area has not ended.
    Refused
        Naming the field.
    """
    instance_checked(product, MarketProduct, field="product")
    instance_checked(area, Area, field="area")
    # Two requests at once would each see no other.
    Resource.objects.select_for_update().get(id=resource.id)
    if resource.site.organisation_id != by.organisation.id:
        raise NotPermitted(field="resource", value=resource.code, rule="a resource you operate")
    if prequalification_open_of(resource, product, area) is not None:
        raise Conflict(field="resource", value=resource.code, rule="one request at a time")
    row = Prequalification(
        resource=resource,
        product=product,
        area=area,
        organisation=by.organisation,
        quantity_kw=round(
            decimal_of(
                quantity_kw,
                field="quantity_kw",
                low=Decimal("0.1"),
                high=Decimal(KW_MAX),
                places=1,
            ),
            1,
        ),
        security_confirmed_to_on=_date_or_none(security_confirmed_to_on),
        requested_at=market_now(),
    )
    row_checked(row).save(force_insert=True)
    _note(row, from_state="", by=by)
    return _check(row, by=by, is_metered=is_metered)


@transaction.atomic
def prequalification_check(
    *,
    row: Prequalification,
    version: int,
    by: Caller,
    is_metered: bool,
    security_confirmed_to_on: date | None = None,
) -> Prequalification:
    """Look at every rule again, after the operator mended what was found.

    Raises
    ------
    VersionChanged, StepNotAllowed
        If somebody was first, or it was decided already.
    """
    row = row_taken(row, version=version)
    _refuse_others(row, by)
    if row.state not in _CHECKABLE:
        raise StepNotAllowed(field="state", value=row.state, rule="not decided yet")
    if security_confirmed_to_on is not None:
        row.security_confirmed_to_on = _date_or_none(security_confirmed_to_on)
    return _check(row, by=by, is_metered=is_metered)


@transaction.atomic
def prequalification_decide(
    *,
    row: Prequalification,
    version: int,
    to_state: str,
    by: Caller,
    is_metered: bool,
    reason: str = "",
    valid_until_at: datetime | None = None,
) -> Prequalification:
    """Take a step for the grid operator of the area.

    Parameters
    ----------
    to_state
        TEMPORARY (which needs `valid_until_at`, and may be prolonged), QUALIFIED, SUSPENDED or
        REJECTED (which need a reason).
    valid_until_at
        First moment at which it holds no more; None for QUALIFIED means until further notice.

    Raises
    ------
    NotPermitted
        If the caller is not the area's grid operator.
    VersionChanged, StepNotAllowed
        If somebody was first, or the table of states does not allow the step.
    NotFit
        If it was to become fit, and a rule no longer holds.
    Refused
        Naming the field.
    """
    row = row_taken(row, version=version)
    if row.area.tso_id != by.organisation.id:
        raise NotPermitted(
            field="organisation", value=by.organisation.code, rule="the area's grid operator"
        )
    if to_state not in DECISIONS:
        raise Refused(field="state", value=to_state, rule=f"one of {', '.join(DECISIONS)}")
    _refuse_step(row, to_state)
    if to_state not in FIT_STATES:
        _text(reason, "reason", REASON_LENGTH_MAX)
        return _move(row, to_state, by=by, reason=reason)
    _refuse_past(to_state, valid_until_at)
    row.findings = findings_of(_facts(row, is_metered=is_metered))
    broken = failed(row.findings)
    if broken:
        raise NotFit(field="state", value=to_state, rule=f"all rules hold, but not {broken}")
    row.checked_at = market_now()
    row.valid_until_at = valid_until_at
    return _move(row, to_state, by=by, reason=reason)


@transaction.atomic
def prequalification_withdraw(
    *, row: Prequalification, version: int, by: Caller, reason: str = ""
) -> Prequalification:
    """End it for the operator; a new one may be asked for.

    Raises
    ------
    NotPermitted
        If the caller is not its operator.
    VersionChanged, StepNotAllowed
        If somebody was first, or it has ended.
    """
    row = row_taken(row, version=version)
    _refuse_others(row, by)
    _refuse_step(row, _S.WITHDRAWN)
    return _move(row, _S.WITHDRAWN, by=by, reason=reason)


@transaction.atomic
def prequalification_comment_add(
    *, row: Prequalification, by: Caller, text: object
) -> PrequalificationComment:
    """Write to the other side; what was written stays.

    Raises
    ------
    NotPermitted
        If the caller is on neither side.
    Refused
        On an empty text, one of more than 2,000 characters, or after 500 of them.
    """
    _refuse_outsiders(row, by)
    _turn_taken(row)
    _refuse_more(row.comments.count(), COMMENTS_MAX, "text")
    if not isinstance(text, str) or not 0 < len(text.strip()) <= len(text) <= COMMENT_LENGTH_MAX:
        rule = f"a text of 1 to {COMMENT_LENGTH_MAX} characters"
        raise Refused(field="text", value=text, rule=rule)
    comment = PrequalificationComment.objects.create(
        prequalification=row,
        organisation=by.organisation,
        actor=by.actor,
        text=text,
        written_at=market_now(),
    )
    _tell("commented", row, by, {"comment": str(comment.id)})
    return comment


@transaction.atomic
def prequalification_file_add(
    *, row: Prequalification, by: Caller, file: CheckedFile
) -> PrequalificationFile:
    """Keep evidence from either side, byte for byte.

    Raises
    ------
    NotPermitted
        If the caller is on neither side.
    Refused
        After 50 files.
    """
    _refuse_outsiders(row, by)
    _turn_taken(row)
    _refuse_more(row.files.count(), FILES_MAX, "file")
    kept = PrequalificationFile.objects.create(
        prequalification=row,
        organisation=by.organisation,
        actor=by.actor,
        name=file.name,
        content_type=file.content_type,
        size_bytes=file.size_bytes,
        sha256=file.sha256,
        content=file.content,
        submitted_at=market_now(),
    )
    _tell("file_added", row, by, {"file": str(kept.id), "sha256": file.sha256})
    return kept


def _check(row: Prequalification, *, by: Caller, is_metered: bool) -> Prequalification:
    row.findings = findings_of(_facts(row, is_metered=is_metered))
    row.checked_at = market_now()
    state = _S.REQUESTED if failed(row.findings) else _S.CHECKED
    return _move(row, state, by=by)


def _facts(row: Prequalification, *, is_metered: bool) -> Facts:
    resource = Resource.objects.select_related("site", "storage").get(id=row.resource_id)
    site, store = resource.site, getattr(resource, "storage", None)
    on = market_now().astimezone(JST).date()
    direction, sustained_h = product_terms_on(on).capacity.get(row.product_id, (None, None))
    return Facts(
        on=on,
        quantity_kw=row.quantity_kw,
        quantity_min_kw=row.product.quantity_min_kw,
        quantity_tick_kw=row.product.quantity_tick_kw,
        direction=direction,
        sustained_h=sustained_h,
        product_response_s=row.product.response_s,
        limit_up_kw=resource.limit_up_kw,
        limit_down_kw=resource.limit_down_kw,
        response_s=resource.response_s,
        store=None
        if store is None
        else Store(
            energy_kwh=store.energy_kwh - store.reserve_kwh,
            charge_efficiency_ratio=store.charge_efficiency_ratio,
            discharge_efficiency_ratio=store.discharge_efficiency_ratio,
        ),
        is_metered=is_metered,
        is_in_use=resource.retired_at is None and site.retired_at is None,
        is_sellable=resources_sellable_by(row.organisation, on=on).filter(id=resource.id).exists(),
        is_connected=buses_latest().filter(code=site.bus_code, area=site.area_id).exists(),
        has_grid_operator=row.area.tso_id is not None,
        area_asked=row.area_id,
        area_of_site=site.area_id,
        security_confirmed_to_on=row.security_confirmed_to_on,
    )


def _move(
    row: Prequalification, to_state: str, *, by: Caller, reason: str = ""
) -> Prequalification:
    before = row.state
    row.state, row.state_reason = to_state, reason
    row_fields_checked(row)
    row_saved(
        row,
        "state",
        "state_reason",
        "valid_until_at",
        "findings",
        "checked_at",
        "security_confirmed_to_on",
    )
    _note(row, from_state=before, by=by)
    return row


def _note(row: Prequalification, *, from_state: str, by: Caller) -> None:
    PrequalificationStep.objects.create(
        prequalification=row,
        from_state=from_state,
        to_state=row.state,
        at=market_now(),
        organisation=by.organisation,
        actor=by.actor,
        reason=row.state_reason,
        valid_until_at=row.valid_until_at,
        findings=row.findings,
    )
    _tell(row.state.lower(), row, by, {"from": from_state, "failed": failed(row.findings)})


def _tell(verb: str, row: Prequalification, by: Caller, detail: Mapping[str, Any]) -> None:
    entry_append(
        action=f"market.prequalification.{verb}",
        subject=row,
        organisation_id=by.organisation.id,
        detail={
            "resource": row.resource.code,
            "product": row.product_id,
            "area": row.area_id,
            **detail,
        },
    )


def _refuse_step(row: Prequalification, to_state: str) -> None:
    allowed = PREQUALIFICATION_TRANSITIONS[row.state]
    if to_state not in allowed:
        raise StepNotAllowed(
            field="state",
            value=str(to_state),
            rule=f"from {row.state} one of {', '.join(allowed) or 'none'}",
        )


def _refuse_past(to_state: str, valid_until_at: datetime | None) -> None:
    if valid_until_at is None:
        if to_state == _S.TEMPORARY:
            raise Refused(field="valid_until_at", value=None, rule="given for TEMPORARY")
        return
    if zoned(valid_until_at, field="valid_until_at") <= market_now():
        raise Refused(
            field="valid_until_at", value=valid_until_at.isoformat(), rule="in the future"
        )


def _refuse_others(row: Prequalification, by: Caller) -> None:
    if row.organisation_id != by.organisation.id:
        raise NotPermitted(
            field="organisation", value=by.organisation.code, rule="the operator who asked"
        )


def _turn_taken(row: Prequalification) -> None:
    """Wait until nobody else adds to it: what is shown is in order, and the counts hold."""
    Prequalification.objects.select_for_update(of=("self",), no_key=True).get(id=row.id)


def _refuse_outsiders(row: Prequalification, by: Caller) -> None:
    if by.organisation.id not in (row.organisation_id, row.area.tso_id):
        raise NotPermitted(
            field="organisation",
            value=by.organisation.code,
            rule="the operator who asked or the area's grid operator",
        )


def _refuse_more(count: int, most: int, field: str) -> None:
    if count >= most:
        raise Refused(field=field, value=count, rule=f"at most {most}")


def _text(value: object, field: str, length_max: int) -> None:
    if not isinstance(value, str) or not value.strip() or len(value) > length_max:
        raise Refused(field=field, value=value, rule=f"a text of 1 to {length_max} characters")


def _date_or_none(value: date | None) -> date | None:
    return None if value is None else date_checked(value, field="security_confirmed_to_on")
