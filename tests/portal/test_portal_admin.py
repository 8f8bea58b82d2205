"""The admin lists every model, shows facts as facts, and keeps seals and keys closed."""

from __future__ import annotations

from decimal import Decimal

import pytest
from django.apps import apps
from django.contrib import admin
from django.contrib.admin.models import LogEntry
from django.contrib.sessions.models import Session
from django.db import connection
from django.db.models import Model
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from unfold.admin import ModelAdmin

from accounts.audit.models import AuditEntry
from accounts.fields.admin import CappedPaginator, FactAdmin
from accounts.jobs.models import Job
from accounts.jobs.services import job_create
from accounts.parties.models import Organisation, User
from accounts.parties.sight import sight_of
from aggregator.control.services import alarm_raise
from aggregator.metering.activations import activation_note
from tests import cast
from tests.portal.conftest import client_of
from tests.portal.matrix_desk import drill_of, reserved_of

OURS = ("accounts", "market", "aggregator")
# rows that a person may edit; everything else is a fact that services add
EDITABLE = {
    "parties.organisation", "parties.user", "parties.membership", "parties.apiclient",
    "auth.group", "registry.area", "registry.scaleclass", "registry.site", "registry.resource",
    "registry.storageunit", "registry.workloadclass", "registry.opticalpath",
    "registry.opticaltrunk", "registry.portfolio", "registry.marketproduct",
    "uftp.participant", "uftp.participantkey", "uftp.congestionaddress", "uftp.connectionaddress",
}  # fmt: skip
QUERIES_MAX = 12
DASHBOARD_QUERIES_MAX = 30


def listed(model: type[Model]) -> str:
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")


def superuser() -> User:
    return User.objects.create_superuser("root", password=cast.PASSWORD)


def test_every_model_is_registered_with_the_theme() -> None:
    missing = [
        model._meta.label for model in apps.get_models()
        if not isinstance(admin.site._registry.get(model), ModelAdmin)
    ]  # fmt: skip
    assert missing == []


def test_what_may_be_edited_is_written_down() -> None:
    editable = {
        model._meta.label_lower
        for model, shown in admin.site._registry.items()
        if not isinstance(shown, FactAdmin) and model._meta.label_lower != "clock.marketclock"
    }
    assert editable == EDITABLE


def test_every_list_opens_with_few_queries(day: cast.MarketDay) -> None:
    client = client_of(superuser())
    slow = {}
    for model in admin.site._registry:
        with CaptureQueriesContext(connection) as queries:
            answer = client.get(listed(model))
        assert answer.status_code == 200, model._meta.label
        if len(queries) > QUERIES_MAX:
            slow[model._meta.label] = len(queries)
    assert slow == {}


def test_rows_of_the_day_open_and_lead_from_award_to_bid_and_need(day: cast.MarketDay) -> None:
    client = client_of(day.places.people.desk)
    award = day.awards["inzai-defer"]
    body = client.get(reverse("admin:clearing_award_change", args=[award.pk])).content.decode()
    assert reverse("admin:trading_bid_change", args=[award.bid_id]) in body
    assert (
        reverse("admin:trading_need_changelist") + f"?auction__id__exact={award.auction_id}" in body
    )


def test_staff_look_but_do_not_touch_facts(day: cast.MarketDay) -> None:
    client = client_of(superuser())
    award = day.awards["inzai-defer"]
    address = reverse("admin:clearing_award_change", args=[award.pk])
    assert client.post(address, {"version": 7}).status_code == 403
    assert client.get(reverse("admin:clearing_award_add")).status_code == 403
    assert client.post(reverse("admin:clearing_award_delete", args=[award.pk])).status_code == 403
    award.refresh_from_db()
    assert award.version == 1


def test_others_have_no_way_in(day: cast.MarketDay) -> None:
    for who in ("owner", "rival", "stranger", "planner"):
        client = client_of(getattr(day.places.people, who))
        for model in admin.site._registry:
            assert client.get(listed(model)).status_code == 302, (who, model)


def test_a_bid_stays_sealed_while_its_auction_is_open(open_day: cast.MarketDay) -> None:
    client = client_of(superuser())
    bid = open_day.bids["inzai-defer"]
    content = reverse("admin:trading_bidcontent_change", args=[bid.pk])
    answer = client.get(content)
    assert answer.status_code == 302
    assert (
        "21.00" not in client.get(reverse("admin:trading_bidcontent_changelist")).content.decode()
    )
    # of the bids themselves, only how many there are
    assert client.get(reverse("admin:trading_bid_change", args=[bid.pk])).status_code == 302
    listed_bids = client.get(reverse("admin:trading_bid_changelist")).content.decode()
    assert bid.client_bid_id not in listed_bids
    auction = reverse("admin:trading_auction_change", args=[open_day.auction.pk])
    shown = client.get(auction).content.decode()
    assert "板の入札数" in shown
    assert bid.client_bid_id not in shown


def test_after_publication_who_may_read_a_book_reads_the_content(day: cast.MarketDay) -> None:
    address = reverse("admin:trading_bidcontent_change", args=[day.bids["inzai-defer"].pk])
    answer = client_of(day.places.people.desk).get(address)
    assert answer.status_code == 200
    assert "21.00" in answer.content.decode()
    assert client_of(superuser()).get(address).status_code == 302  # no role, no book
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL session_replication_role = replica")
        cursor.execute("UPDATE trading_auction SET state = 'CLEARING'")
    # opened by the worker, and not yet anybody's to read
    assert client_of(day.places.people.desk).get(address).status_code == 302


def test_keys_and_secrets_are_shown_nowhere(day: cast.MarketDay) -> None:
    from accounts.parties.keys import api_client_create

    made, _ = api_client_create(
        organisation=day.places.people.inzai_dc, client_id="inzai-ven", scopes=["read_targets"]
    )
    client = client_of(superuser())
    session = Session.objects.get()
    assert session.session_key not in client.get(listed(Session)).content.decode()
    page = reverse("admin:sessions_session_change", args=[session.session_key])
    assert client.get(page).status_code == 403
    shown = client.get(reverse("admin:parties_apiclient_change", args=[made.pk])).content.decode()
    assert made.client_secret not in shown
    assert "pbkdf2" not in shown


def test_an_edit_leaves_a_trace_in_the_audit(day: cast.MarketDay) -> None:
    root = superuser()
    row = Organisation.objects.get(code="stranger")
    answer = client_of(root).post(
        reverse("admin:parties_organisation_change", args=[row.pk]),
        {
            "code": row.code, "kind": row.kind, "name": "改名", "name_en": row.name_en,
            "registration_number": "",
            "memberships-TOTAL_FORMS": 0, "memberships-INITIAL_FORMS": 0,
        },
    )  # fmt: skip
    assert answer.status_code == 302, answer.context["errors"]
    entry = AuditEntry.objects.get(action="admin.organisation.changed")
    assert entry.user_id == root.pk
    assert entry.detail == {"fields": ["name"]}
    assert LogEntry.objects.filter(object_id=str(row.pk)).exists()


def test_no_list_is_counted_beyond_the_cap(
    day: cast.MarketDay, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("accounts.fields.admin.COUNT_MAX", 2)
    rows = Organisation.objects.order_by("code")
    with CaptureQueriesContext(connection) as queries:
        assert CappedPaginator(rows, 50).count == 2
    assert "LIMIT 2" in queries[0]["sql"]


def test_the_admin_is_in_japanese_and_in_jst(day: cast.MarketDay) -> None:
    client: Client = client_of(superuser())
    body = client.get(reverse("admin:trading_auction_changelist")).content.decode()
    assert "オークション" in body
    assert "14:00" in body  # the gate: 05:00 UTC


def test_the_index_names_every_app(day: cast.MarketDay) -> None:
    body = client_of(superuser()).get("/admin/").content.decode()
    for model in admin.site._registry:
        if model.__module__.split(".")[0] in OURS:
            assert listed(model) in body, model._meta.label


def test_the_first_page_counts_what_waits_and_leads_to_it(day: cast.MarketDay) -> None:
    alarm_raise(kind="instruction.silent", priority=1, subject=day.auction, text="", key="a")
    job = job_create(kind="aggregator.settlement.run_execute", key="x")
    Job.objects.filter(id=job.id).update(state="RUNNING", token=1)
    Job.objects.filter(id=job.id).update(state="QUARANTINED")
    client = client_of(day.places.people.desk)
    with CaptureQueriesContext(connection) as queries:
        answer = client.get(reverse("admin:index"))
    assert len(queries) <= DASHBOARD_QUERIES_MAX
    cards = {card.name: card for card in answer.context["cards"]}
    assert (cards["警報"].figure, cards["警報"].note, cards["警報"].is_bad) == ("1", "至急 1", True)
    assert (cards["ジョブ"].note, cards["ジョブ"].is_bad) == ("待ち 0・停止 1", True)
    assert cards["最新の約定計算"].figure == "公表"
    assert cards["最新の約定計算"].note == day.auction.code
    for card in cards.values():
        assert client.get(card.url).status_code == 200, card.url
        assert card.note in answer.content.decode()
    assert client.get(cards["警報"].url).context["cl"].result_count == 1


def test_the_desk_goes_from_a_drill_to_its_page(day: cast.MarketDay) -> None:
    row = drill_of(day, sight_of(day.places.people.desk))
    client = client_of(day.places.people.desk)
    page = client.get(reverse("admin:dispatch_trial_change", args=[row.pk])).content.decode()
    assert "証跡・取消" in page
    went = client.get(reverse("admin:dispatch_trial_see_drill", args=[row.pk]))
    assert went.headers["Location"] == reverse("portal:desk_drill", args=[row.pk])
    went = client.get(reverse("admin:dispatch_trial_order_drill"))
    assert went.headers["Location"] == reverse("portal:desk_drill_candidates")
    assert (
        client_of(superuser())
        .get(reverse("admin:dispatch_trial_see_drill", args=[row.pk]))
        .status_code
        == 403
    )


def test_the_desk_goes_from_a_call_to_its_page(day: cast.MarketDay) -> None:
    award = reserved_of(day)
    row = activation_note(award_id=award.id, t=10, instructed_kw=Decimal(1_000), actor="test")
    client = client_of(day.places.people.desk)
    went = client.get(reverse("admin:metering_capacityactivation_choose"))
    assert went.headers["Location"] == reverse("portal:desk_calls")
    there = reverse("admin:metering_capacityactivation_call", args=[row.pk])
    assert client.get(there).headers["Location"] == reverse("portal:desk_call", args=[award.pk])
    assert client_of(superuser()).get(there).status_code == 403
