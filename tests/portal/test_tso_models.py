"""Grid models in the portal: a case file is checked, looked at, kept; or nothing of it is."""

from __future__ import annotations

import re
from datetime import date, timedelta
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from accounts.parties.models import OrganisationKind
from accounts.parties.roles import Role
from aggregator.portal.tso.grid_models import FILE_BYTES_MAX, unpacked, where
from market.registry.models import Area, Branch, Bus, GridModel
from tests import cast
from tests.apps.test_matpower import CASE
from tests.portal.conftest import client_of

ADDRESS = "/tso/models/new/"
JAPANESE = re.compile(r"[぀-ヿ一-鿿、-〟（）]+")
QUERIES_MAX = 16


@pytest.fixture(autouse=True)
def _areas(db: None) -> None:
    """Let the other areas of the case be registered, too."""
    for code in ("02", "09"):
        Area.objects.get_or_create(
            code=code, defaults={"name": code, "name_en": code, "frequency_hz": 60}
        )


def planner(day: cast.MarketDay, language: str = "ja") -> Client:
    return client_of(day.places.people.planner, language)


def sent(client: Client, text: str | None, **fields: Any) -> Any:
    """Send the form of the page, with a file."""
    page = client.get(ADDRESS).content.decode()
    token = re.search(r'name="form_token" value="([^"]+)"', page)
    assert token is not None
    asked = {"name": "five", "area": "", "convention": "reactance", "valid_from_on": "", **fields}
    if text is not None:
        asked["file"] = SimpleUploadedFile("five.m", text.encode())
    return client.post(ADDRESS, {"form_token": token[1], **asked})


def packed_in(answer: Any) -> str:
    found = re.search(r'name="packed" value="([^"]+)"', answer.content.decode())
    assert found is not None
    return found[1]


def test_a_file_is_looked_at_and_only_then_kept(day: cast.MarketDay) -> None:
    client = planner(day)
    before = (GridModel.objects.count(), Bus.objects.count())
    looked = sent(client, CASE, check="1")
    assert looked.status_code == 200
    facts = {row["label"]: row["value"] for row in looked.context["checked"].rows}
    # six buses, one isolated; six branches, one out and one to the isolated bus
    assert (facts["母線"], facts["送電線・変圧器"], facts["連系設備"]) == ("5", "4", "1")
    assert facts["電圧別の母線"] == "275 kV 4、66 kV 1"
    assert "版 1 として登録する" in looked.content.decode()
    assert (GridModel.objects.count(), Bus.objects.count()) == before
    done = sent(client, None, packed=packed_in(looked))
    kept = GridModel.objects.get(name="five")
    assert (done.status_code, done["Location"]) == (303, "/tso/models/")
    assert (kept.version, kept.bus_count, kept.owner) == (1, 5, day.places.people.grid_t)
    assert kept.sha256 == facts["ハッシュ（SHA-256）"]


def test_what_is_wrong_is_named_by_table_row_and_rule_and_nothing_is_kept(
    day: cast.MarketDay,
) -> None:
    client = planner(day)
    counts = (GridModel.objects.count(), Bus.objects.count(), Branch.objects.count())
    broken = CASE.replace("\t4\t5\t0.01\t0.1\t", "\t4\t5\t0.01\t0\t")
    expected = "mpc.branch の 5 行目 BR_X：0.0：0 でないこと"
    looked = sent(client, broken, check="1")
    assert (looked.status_code, list(looked.context["form"].errors)) == (422, ["file"])
    assert expected in looked.content.decode()
    # sent at once, past the look, it is judged the same
    straight = sent(client, broken)
    assert straight.status_code == 422
    assert expected in straight.content.decode()
    assert (GridModel.objects.count(), Bus.objects.count(), Branch.objects.count()) == counts


def test_a_second_version_says_what_changed_and_the_same_again_is_no_new_one(
    day: cast.MarketDay,
) -> None:
    client = planner(day)
    assert sent(client, CASE).status_code == 303
    same = sent(client, CASE, check="1")
    assert "同じ内容は版 1 として登録済みです" in same.content.decode()
    assert "として登録する" not in same.content.decode()
    # the isolated bus comes into use
    larger = CASE.replace("\t6\t4\t0", "\t6\t1\t0")
    text = sent(client, larger, check="1").content.decode()
    assert '<s class="muted">5</s> → <b class="wraps">6</b>' in text
    assert '<s class="muted">1</s> → <b class="wraps">2</b>' in text


def test_the_list_tells_which_version_is_in_force_from_when(day: cast.MarketDay) -> None:
    client = planner(day)
    today = day.auction.delivery_on - timedelta(days=1)
    tomorrow = day.auction.delivery_on
    for on, rating in (("", "250"), (today, "251"), (tomorrow, "252")):
        case = CASE.replace("\t0\t250\t", f"\t0\t{rating}\t")
        assert sent(client, case, valid_from_on=str(on)).status_code == 303
    rows = client.get("/tso/models/?text=five").context["versions"]
    assert [(one.row.version, one.is_in_force, one.is_coming) for one in rows] == [
        (3, False, True), (2, True, False), (1, False, False),
    ]  # fmt: skip
    (used,) = client.get("/tso/models/?text=triangle").context["versions"]
    assert (used.first_on, used.last_on) == (date(2026, 11, 25), date(2026, 11, 25))


def test_anothers_name_and_area_are_refused_at_their_place(day: cast.MarketDay) -> None:
    client = planner(day)
    taken = sent(client, CASE, check="1", name="triangle")
    assert (taken.status_code, list(taken.context["form"].errors)) == (422, ["name"])
    other = cast.organisation("grid-o", OrganisationKind.TSO, "グリッドO", "Grid-O")
    stranger = client_of(cast.member("planner-o", other, Role.GRID_PLANNER))
    theirs = sent(stranger, CASE, check="1", area="03")
    assert list(theirs.context["form"].errors) == ["area"]
    assert client_of(day.places.people.desk).get(ADDRESS).status_code == 404


@pytest.mark.parametrize("text", ["x", "eA==", "4" * 4_000_001])
def test_what_is_no_packed_file_is_none(day: cast.MarketDay, text: str) -> None:
    answer = sent(planner(day), None, packed=text)
    assert (answer.status_code, list(answer.context["form"].errors)) == (422, ["file"])
    assert "ファイルを選んでください。" in answer.content.decode()


def test_a_packed_file_opens_to_no_more_than_may_be() -> None:
    import base64
    import zlib

    bomb = base64.b64encode(zlib.compress(b"0" * 50_000_000)).decode()
    assert len(unpacked(bomb)) == FILE_BYTES_MAX + 1


def test_places_of_a_case_are_said_without_the_files_name() -> None:
    assert where("five.m mpc.bus row 3 BUS_I") == "mpc.bus の 3 行目 BUS_I"
    assert where("five.m mpc.branch row 12") == "mpc.branch の 12 行目"
    assert where("five.m mpc.version") == "mpc.version"


def test_models_are_whole_in_english_and_ask_the_database_seldom(day: cast.MarketDay) -> None:
    assert sent(planner(day), CASE).status_code == 303
    client = planner(day, "en")
    for page in ("/tso/models/", ADDRESS):
        with CaptureQueriesContext(connection) as queries:
            text = client.get(page).content.decode()
        assert len(queries) <= QUERIES_MAX, page
        told = re.sub(
            r"<button[^>]*lang=.*?</button>|<title>.*?</title>", "", text, flags=re.DOTALL
        )
        assert set(JAPANESE.findall(told)) <= {"ワットビット"}, page
