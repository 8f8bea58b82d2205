"""Parties and people have names that fit, or are refused."""

from __future__ import annotations

from typing import Any

import pytest

from accounts.core.errors import Refused
from accounts.parties.models import Membership, Organisation, User
from accounts.parties.roles import Role
from accounts.parties.services import member_add, organisation_register
from tests import cast

pytestmark = pytest.mark.django_db

Change = dict[str, Any]


@pytest.mark.parametrize("name", [None, "", "  ", "x" * 200, "a\x00b", 7])
@pytest.mark.parametrize("field", ["code", "name", "name_en"])
def test_an_organisation_needs_names(name: Any, field: str) -> None:
    given: Change = {"code": "new", "kind": "TSO", "name": "新", "name_en": "New", field: name}
    with pytest.raises(Refused) as refused:
        organisation_register(**given)
    assert refused.value.field == field
    assert not Organisation.objects.exists()


def test_there_is_one_platform_and_its_tax_number_is_one() -> None:
    given: Change = {"kind": "AGGREGATOR", "name": "市場", "name_en": "Market"}
    with pytest.raises(Refused, match="registration_number"):
        organisation_register(code="a", registration_number="T1", **given)
    # the check digit of 000012050002 is 7
    with pytest.raises(Refused, match="registration_number"):
        organisation_register(code="a", registration_number="T6000012050002", **given)
    organisation_register(code="a", registration_number="T7000012050002", **given)
    with pytest.raises(Refused) as refused:
        organisation_register(code="b", **given)
    assert refused.value.field == "kind"


@pytest.mark.parametrize("name", [None, "", "  ", "x" * 200, "a\x00b", 7])
@pytest.mark.parametrize("field", ["username", "display_name"])
def test_a_person_needs_names(name: Any, field: str) -> None:
    at = cast.organisation("grid-t", "TSO", "グリッドT送配電", "Grid-T")
    given: Change = {"username": "new", "display_name": "新", "role": Role.GRID_PLANNER}
    with pytest.raises(Refused) as refused:
        member_add(organisation=at, **{**given, field: name})
    assert refused.value.field == field
    assert not User.objects.exists()
    assert not Membership.objects.exists()
    user = member_add(organisation=at, password="correct-horse", **given)
    assert member_add(organisation=at, password="another", **given) == user
    user.refresh_from_db()
    assert user.check_password("correct-horse")
    assert not member_add(organisation=at, **{**given, "username": "other"}).has_usable_password()
