"""Units behind a resource on the trader's pages."""

from __future__ import annotations

from decimal import Decimal

from aggregator.dispatch.models import ResourceUnit
from tests import cast
from tests.portal.conftest import client_of
from tests.portal.test_desk_drills import posted

URL = "/dc/resources/inzai-dc-1-load/units/"
ROW = {
    "code": "row-1", "rank": "2", "limit_up_kw": "１，５００", "limit_down_kw": "0",
    "minimum_kw": "", "ramp_kw_per_min": "250",
}  # fmt: skip


def test_a_unit_is_added_listed_by_rank_and_retired(day: cast.MarketDay) -> None:
    client = client_of(day.places.people.owner)
    assert URL in client.get("/dc/sites/inzai-dc-1/").content.decode()
    made = posted(client, URL, ROW)
    assert (made.status_code, made.headers["Location"]) == (303, URL)
    unit = ResourceUnit.objects.get()
    assert (unit.code, unit.rank, unit.limit_up_kw, unit.minimum_kw, unit.ramp_kw_per_min) == (
        "row-1", 2, Decimal(1_500), Decimal(0), Decimal(250),
    )  # fmt: skip
    assert posted(client, URL, {**ROW, "code": "row-0", "rank": "1"}).status_code == 303
    page = client.get(URL).content.decode()
    assert page.index("row-0") < page.index("row-1")
    end = f"/dc/units/{unit.id}/retire/"
    assert end in page
    assert posted(client, end, {}).headers["Location"] == URL
    unit.refresh_from_db()
    assert unit.retired_at is not None
    assert end not in client.get(URL).content.decode()
    # a second tab finds it gone, and nothing changes
    before = unit.retired_at
    assert posted(client, end, {}).status_code == 404
    unit.refresh_from_db()
    assert unit.retired_at == before


def test_what_is_wrong_with_a_unit_stands_at_its_field(day: cast.MarketDay) -> None:
    client = client_of(day.places.people.owner)
    assert posted(client, URL, ROW).status_code == 303
    for name, value, status in (("code", "row-1", 409), ("code", "列 1", 422), ("rank", "", 422)):
        answer = posted(client, URL, {**ROW, "limit_up_kw": "１，２００", name: value})
        page = answer.content.decode()
        assert answer.status_code == status, (name, value)
        assert f'id="id_{name}_error"' in page
        assert 'value="１，２００"' in page
    assert ResourceUnit.objects.count() == 1
