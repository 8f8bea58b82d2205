"""Drills at the desk: chosen, ordered, watched, called off; what they were scored on is told."""

from __future__ import annotations

import hashlib
import json
import re
from datetime import timedelta
from decimal import Decimal
from typing import Any

from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from accounts.parties.sight import sight_of
from aggregator.control.services import alarm_raise
from aggregator.dispatch.models import Trial
from aggregator.portal.desk.alarm_words import said
from market.registry.models import Prequalification
from tests import cast
from tests.portal.conftest import client_of
from tests.portal.matrix_desk import drill_of

JAPANESE = re.compile(r"[぀-ヿ一-鿿、-〟（）]+")
QUERIES_MAX = 20


def posted(client: Client, url: str, fields: dict[str, Any]) -> Any:
    """Fill in the form of a page and send it."""
    page = client.get(url).content.decode()
    token = re.search(r'name="form_token" value="([^"]+)"', page)
    assert token is not None
    return client.post(url, {"form_token": token[1], **fields})


def ordered(day: cast.MarketDay) -> Trial:
    return drill_of(day, sight_of(day.places.people.desk))


def scored(day: cast.MarketDay) -> Trial:
    """Put the score and evidence of an acknowledged drill where the meter's job puts them."""
    row = ordered(day)
    at = row.starts_at
    evidence = {
        "resource": row.resource.code,
        "interval_min": 30,
        "before": [[(at - timedelta(hours=1)).isoformat(), "20100.000"]],
        "during": [
            [at.isoformat(), "18100.000", "2000.000"],
            [(at + timedelta(minutes=30)).isoformat(), "18500.000", "1600.000"],
        ],
    }
    written = json.dumps(evidence, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    for state in ("SENT", "ACKNOWLEDGED", "PASSED"):
        Trial.objects.filter(id=row.id).update(state=state)
    Trial.objects.filter(id=row.id).update(
        score_ratio=Decimal("0.9"),
        scored_at=row.ends_at,
        evidence=evidence,
        evidence_sha256=hashlib.sha256(written.encode()).hexdigest(),
    )
    row.refresh_from_db()
    return row


def test_the_desk_orders_a_drill_through_the_page_and_calls_it_off(day: cast.MarketDay) -> None:
    first = ordered(day)
    asked = Prequalification.objects.get()
    client = client_of(day.places.people.desk)
    assert f"/desk/drills/new/{asked.id}/" in client.get("/desk/drills/new/").content.decode()
    fields = {
        "direction": "UP",
        "quantity_kw": "１，５００",
        "day": f"{day.auction.delivery_on:%Y-%m-%d}",
        "koma_first": "30",
        "koma_end": "32",
    }
    made = posted(client, f"/desk/drills/new/{asked.id}/", fields)
    row = Trial.objects.exclude(id=first.id).get()
    start = day.auction.delivery_start
    assert (made.status_code, made["Location"]) == (303, f"/desk/drills/{row.id}/")
    # half hours 30 and 31: from 15:00 to 16:00
    assert (row.quantity_kw, row.starts_at, row.ends_at) == (
        1_500, start + timedelta(hours=15), start + timedelta(hours=16),
    )  # fmt: skip
    gone = posted(client, f"/desk/drills/{row.id}/cancel/", {"reason": "台風"})
    assert gone.status_code == 303
    row.refresh_from_db()
    assert (row.state, row.reason) == ("CANCELLED", "台風")
    assert "台風" in client.get(f"/desk/drills/{row.id}/").content.decode()
    again = posted(client, f"/desk/drills/{row.id}/cancel/", {"reason": "台風"})
    assert again.status_code in (409, 422)


def test_a_drill_that_does_not_fit_is_refused_at_its_field(day: cast.MarketDay) -> None:
    ordered(day)
    asked = Prequalification.objects.get()
    client = client_of(day.places.people.desk)
    fields = {
        "direction": "UP",
        "quantity_kw": "2000.1",
        "day": f"{day.auction.delivery_on:%Y-%m-%d}",
        "koma_first": "30",
        "koma_end": "32",
    }
    too_much = posted(client, f"/desk/drills/new/{asked.id}/", fields)
    backwards = posted(
        client,
        f"/desk/drills/new/{asked.id}/",
        {**fields, "quantity_kw": "2000", "koma_first": "33"},
    )
    assert (too_much.status_code, backwards.status_code) == (422, 422)
    assert 'id="id_quantity_kw_error"' in too_much.content.decode()
    assert 'id="id_koma_end_error"' in backwards.content.decode()
    assert Trial.objects.count() == 1


def test_the_evidence_is_told_and_saved_as_the_bytes_its_digest_binds(day: cast.MarketDay) -> None:
    row = scored(day)
    client = client_of(day.places.people.desk)
    text = client.get(f"/desk/drills/{row.id}/").content.decode()
    assert row.evidence_sha256 in text
    # a mean of 90 %; the lowest interval 1,600 of 2,000
    assert "90.0 %" in text
    assert "80.0 %" in text
    saved = client.get(f"/desk/drills/{row.id}/?format=json").content
    assert hashlib.sha256(saved).hexdigest() == row.evidence_sha256


def test_drills_are_whole_in_english_and_ask_the_database_seldom(day: cast.MarketDay) -> None:
    row = scored(day)
    pages = ("/desk/drills/", "/desk/drills/new/", f"/desk/drills/{row.id}/",
             f"/desk/drills/new/{row.prequalification_id}/")  # fmt: skip
    client = client_of(day.places.people.desk, "en")
    for page in pages:
        with CaptureQueriesContext(connection) as queries:
            text = client.get(page).content.decode()
        assert len(queries) <= QUERIES_MAX, page
        told = re.sub(
            r"<button[^>]*lang=.*?</button>|<title>.*?</title>", "", text, flags=re.DOTALL
        )
        # names that the cast gives in Japanese only
        assert set(JAPANESE.findall(told)) <= {"ワットビット"}, page


def test_an_auditor_sees_drills_and_orders_none(day: cast.MarketDay) -> None:
    row = scored(day)
    auditor = client_of(cast.member("auditor-d", day.places.people.platform, "auditor"))
    listed = auditor.get("/desk/drills/").content.decode()
    assert f"/desk/drills/{row.id}/" in listed
    assert "/desk/drills/new/" not in listed
    for page in ("/desk/drills/new/", f"/desk/drills/{row.id}/cancel/"):
        assert auditor.get(page).status_code == 404


def test_the_alarm_of_a_failed_drill_leads_to_it(day: cast.MarketDay) -> None:
    row = ordered(day)
    alarm = alarm_raise(kind="trial.failed", priority=3, subject=row, text="x", key="t")
    assert said(alarm, None).url == f"/desk/drills/{row.id}/"
