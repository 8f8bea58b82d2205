"""A site's word that a resource cannot act: it is not asked to stand in, until it can again."""

from __future__ import annotations

import pytest
from django.db import IntegrityError, transaction

from aggregator.dispatch.availability import availability_note, unavailable_within
from aggregator.dispatch.models import AvailabilityNotice, InstructionState
from market.registry.models import Resource
from tests.apps.test_dispatch_replacement import _bid, _declined
from tests.dispatching import jst, sent_day

pytestmark = pytest.mark.django_db


def note(resource: Resource, start: float, end: float, *, can: bool) -> AvailabilityNotice:
    return availability_note(
        resource=resource,
        starts_at=jst(start),
        ends_at=jst(end),
        is_available=can,
        reason="" if can else "点検",
    )


def test_a_resource_that_cannot_act_is_not_asked_to_stand_in() -> None:
    day = sent_day()
    _bid(day, "inzai-load", [("2000", "40.00")], name="stop")
    # the evening is 17:00 to 20:00; one half hour away is enough
    note(day.places.resources["inzai-load"], 19.5, 20, can=False)
    assert _declined(day, "shiroi-cap").state == InstructionState.OPTED_OUT


def test_once_it_can_act_again_it_is_asked() -> None:
    day = sent_day()
    _bid(day, "inzai-load", [("2000", "40.00")], name="stop")
    note(day.places.resources["inzai-load"], 17, 20, can=False)
    note(day.places.resources["inzai-load"], 16, 21, can=True)
    assert _declined(day, "shiroi-cap").state == InstructionState.REPLACED


def test_at_each_moment_the_latest_word_counts() -> None:
    day = sent_day()
    load = day.places.resources["inzai-load"]
    note(load, 16, 22, can=False)
    note(load, 17, 19, can=True)
    note(load, 18, 18.5, can=False)

    def away(start: float, end: float) -> bool:
        found = unavailable_within(resource_ids={load.id}, starts_at=jst(start), ends_at=jst(end))
        return found == {load.id}

    assert [away(15, 16), away(16, 17), away(17, 18), away(18, 18.5), away(18.5, 19)] == [
        False, True, False, True, False,
    ]  # fmt: skip
    # over the edges of notices, and where the first has not ended
    assert [away(15, 17), away(17, 19), away(18.5, 19.5), away(21.5, 23), away(22, 23)] == [
        True, True, True, True, False,
    ]  # fmt: skip
    other = day.places.resources["shiroi-load"]
    assert not unavailable_within(resource_ids={other.id}, starts_at=jst(15), ends_at=jst(23))


def test_a_notice_is_never_changed() -> None:
    day = sent_day()
    row = note(day.places.resources["inzai-load"], 16, 22, can=False)
    for change in (
        lambda: AvailabilityNotice.objects.filter(id=row.id).update(is_available=True),
        lambda: AvailabilityNotice.objects.filter(id=row.id).delete(),
    ):
        with pytest.raises(IntegrityError), transaction.atomic():
            change()
