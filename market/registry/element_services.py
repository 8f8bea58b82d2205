"""Monitored elements: branches whose flow a grid operator watches."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.db import transaction

from accounts.audit.services import entry_append
from accounts.core.errors import NotFound, NotPermitted
from accounts.fields.checking import entries_checked, instance_checked, row_checked, text_checked
from accounts.parties.models import Organisation
from market.registry.changes import row_saved, row_taken
from market.registry.models import Branch, CongestionPoint, GridModel

Row = Mapping[str, Any]

ELEMENT_REQUIRED = ("branch", "code", "name", "name_en", "rating_kw")
ELEMENT_CHANGES = ("name", "name_en", "rating_kw")


@transaction.atomic
def congestion_point_create(
    *, grid_model: GridModel, owner: Organisation, fields: Row
) -> CongestionPoint:
    """Watch a branch that begins or ends in an area of `owner`.

    The grid operator of the other end, if it is another, owns it together with `owner`.

    Parameters
    ----------
    fields
        ``code``, ``name``, ``name_en``, ``rating_kw`` and the code of the ``branch``.

    Raises
    ------
    NotFound, NotPermitted, Refused
        Naming the field.
    """
    instance_checked(grid_model, GridModel, field="grid_model")
    instance_checked(owner, Organisation, field="owner")
    entries_checked(fields, required=ELEMENT_REQUIRED)
    code = text_checked(fields["branch"], field="branch", length_max=40)
    branch = (
        Branch.objects.select_related("from_bus__area__tso", "to_bus__area__tso")
        .filter(grid_model=grid_model, code=code)
        .first()
    )
    if branch is None:
        raise NotFound(field="branch", value=code, rule="a branch of the grid model")
    ends = [branch.from_bus.area.tso, branch.to_bus.area.tso]
    if owner not in ends:
        raise NotPermitted(
            field="branch", value=code, rule="a branch that touches an area of yours"
        )
    others = [tso for tso in ends if tso is not None and tso != owner]
    plain = {name: value for name, value in fields.items() if name != "branch"}
    point = row_checked(
        CongestionPoint(
            grid_model=grid_model,
            branch=branch,
            owner=owner,
            co_owner=others[0] if others else None,
            **plain,
        )
    )
    point.save(force_insert=True)
    _tell("market.element.created", point, plain)
    return point


@transaction.atomic
def congestion_point_revise(
    *, point: CongestionPoint, version: int, fields: Row
) -> CongestionPoint:
    """Change the rating or the names of a monitored element, for books not yet closed.

    Raises
    ------
    VersionChanged
        If somebody was first.
    Refused
        Naming the field.
    """
    entries_checked(fields, required=(), optional=ELEMENT_CHANGES)
    point = row_taken(point, version=version)
    for name, value in fields.items():
        setattr(point, name, value)
    row_checked(point)
    row_saved(point, *fields)
    _tell("market.element.revised", point, fields)
    return point


def _tell(action: str, point: CongestionPoint, fields: Row) -> None:
    entry_append(
        action=action,
        subject=point,
        organisation_id=point.owner_id,
        detail={name: str(value) for name, value in fields.items()},
    )
