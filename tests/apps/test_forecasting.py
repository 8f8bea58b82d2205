"""Prices and supply in the database: whole files, revisions, what was known when."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from io import StringIO
from pathlib import Path
from threading import Thread
from time import sleep

import pytest
from django.core.management import CommandError, call_command
from django.db import IntegrityError, connection, transaction

from accounts.audit.models import AuditEntry
from accounts.core.errors import NotFound, Refused
from aggregator.forecasting import selectors, services
from aggregator.forecasting.formats.text import InvalidFile
from aggregator.forecasting.models import AreaSupplyDemand, SpotPrice
from aggregator.forecasting.revisions import RevisionConflict
from market.registry.models import Area
from tests.core.test_importers import area_lines, changed, joined, spot_lines

pytestmark = pytest.mark.django_db

DAY = date(2024, 4, 1)
START = datetime(2024, 3, 31, 15, tzinfo=UTC)
FIRST = datetime(2024, 4, 1, tzinfo=UTC)
SECOND = FIRST + timedelta(days=1)


@pytest.fixture(autouse=True)
def areas() -> None:
    for n in range(1, 11):
        hertz = 50 if n <= 3 else 60
        Area.objects.update_or_create(
            code=f"{n:02d}",
            defaults={"name": f"地域{n}", "name_en": f"Area {n}", "frequency_hz": hertz},
        )


def spot_import(lines: list[str], available_at: datetime | None = None) -> services.Imported:
    return services.spot_prices_import(
        content=joined(lines), source="spot_summary_2024.csv", available_at=available_at
    )


def revised_price() -> list[str]:
    """Koma 5 of Hokkaido, 10.05, becomes 12.34."""
    return changed(spot_lines(), 6, ",10.05,", ",12.34,")


def hokkaido_koma_5(known_at: datetime | None = None) -> Decimal:
    prices = selectors.spot_prices_on(delivery_on=DAY, area_code="01", known_at=known_at)
    assert [price.start_at for price in prices] == [
        START + t * (SECOND - FIRST) / 48 for t in range(48)
    ]
    return prices[4].price_jpy_per_kwh


def test_a_spot_file_is_stored_once_however_often_it_is_imported() -> None:
    first = spot_import(spot_lines(), FIRST)
    assert (first.read_count, first.added_count) == (432, 432)
    assert (first.start_at, first.end_at) == (START, START + timedelta(days=1))
    assert first.areas == ("01", "02", "03", "04", "05", "06", "07", "08", "09")
    assert spot_import(spot_lines(), FIRST).added_count == 0
    assert spot_import(spot_lines(), SECOND).added_count == 0
    assert SpotPrice.objects.count() == 432


def test_a_revision_is_kept_beside_and_the_latest_known_wins() -> None:
    spot_import(spot_lines(), FIRST)
    assert spot_import(revised_price(), SECOND).added_count == 1
    assert SpotPrice.objects.count() == 433
    assert hokkaido_koma_5() == Decimal("12.34")
    assert hokkaido_koma_5(SECOND) == Decimal("12.34")
    assert hokkaido_koma_5(SECOND - timedelta(seconds=1)) == Decimal("10.05")


@pytest.mark.django_db(transaction=True)
def test_two_imports_at_once_store_a_file_once() -> None:
    added: list[int] = []

    def second() -> None:
        try:
            added.append(spot_import(spot_lines(), FIRST).added_count)
        finally:
            connection.close()

    rival = Thread(target=second)
    with transaction.atomic():
        assert spot_import(spot_lines(), FIRST).added_count == 432
        rival.start()
        _wait_for_a_waiting_lock()
    rival.join(timeout=60)
    assert added == [0]
    assert SpotPrice.objects.count() == 432


def _wait_for_a_waiting_lock() -> None:
    for _ in range(600):
        with connection.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM pg_locks WHERE NOT granted")
            if cursor.fetchone()[0]:
                return
        sleep(0.05)
    pytest.fail("the second import never waited for the first")


def test_a_value_that_returns_to_what_it_was_is_a_revision_too() -> None:
    spot_import(spot_lines(), FIRST)
    spot_import(revised_price(), SECOND)
    assert spot_import(spot_lines(), SECOND + timedelta(days=1)).added_count == 1
    assert hokkaido_koma_5() == Decimal("10.05")


def test_what_was_known_earlier_can_be_added_later() -> None:
    spot_import(revised_price(), SECOND)
    # At the first moment nothing was known yet, so every value of it is news.
    assert spot_import(spot_lines(), FIRST).added_count == 432
    assert hokkaido_koma_5(FIRST) == Decimal("10.05")
    assert hokkaido_koma_5() == Decimal("12.34")


def test_two_values_of_one_moment_are_refused_and_nothing_is_stored() -> None:
    spot_import(spot_lines(), FIRST)
    with pytest.raises(RevisionConflict, match="area 01 at 2024-03-31T17:00"):
        spot_import(revised_price(), FIRST)
    assert SpotPrice.objects.count() == 432


def test_a_broken_file_stores_nothing() -> None:
    with pytest.raises(InvalidFile):
        spot_import(spot_lines()[:-1])
    assert not SpotPrice.objects.exists()
    assert not AuditEntry.objects.filter(action__endswith=".imported").exists()


def test_an_unregistered_area_is_refused() -> None:
    Area.objects.filter(code="05").delete()
    with pytest.raises(NotFound, match="'05'"):
        spot_import(spot_lines())
    assert not SpotPrice.objects.exists()


def test_a_moment_without_zone_is_refused() -> None:
    with pytest.raises(Refused, match="zone"):
        spot_import(spot_lines(), datetime(2024, 4, 1))  # noqa: DTZ001 - the point of the test


def test_an_import_is_audited() -> None:
    spot_import(spot_lines(), FIRST)
    entry = AuditEntry.objects.get(action="aggregator.spotprice.imported")
    assert entry.subject == "spot_summary_2024.csv"
    assert entry.detail["added_count"] == 432


def test_area_supply_keeps_every_column_and_what_is_not_published_is_null() -> None:
    imported = services.area_supply_demand_import(
        content=joined(area_lines(day_count=2)), source="eria_jukyu_202404_03.csv"
    )
    assert (imported.read_count, imported.added_count, imported.areas) == (96, 96, ("03",))
    rows = selectors.area_supply_demand_on(delivery_on=DAY, area_code="03")
    assert len(rows) == 48
    assert rows[0].start_at == START
    assert rows[0].demand_kw == Decimal(1_000_000)
    assert rows[0].pumped_hydro_kw == Decimal(-30_000)
    assert rows[0].thermal_curtailed_kw is None
    assert selectors.dates_with_area_supply_demand(area_code="03") == [DAY, date(2024, 4, 2)]


def test_area_supply_is_revised_by_rows_that_changed() -> None:
    lines = area_lines()
    first = {"source": "eria_jukyu_202404_03.csv", "available_at": FIRST}
    services.area_supply_demand_import(content=joined(lines), **first)
    # LNG 200 becomes 190 and coal 150 becomes 160 at 2:00: the row still closes.
    other = changed(lines, 7, ",200,150,", ",190,160,")
    again = services.area_supply_demand_import(
        content=joined(other), **(first | {"available_at": SECOND})
    )
    assert again.added_count == 1
    rows = selectors.area_supply_demand_on(delivery_on=DAY, area_code="03")
    assert (rows[4].lng_kw, rows[4].coal_kw) == (Decimal(190_000), Decimal(160_000))
    assert AreaSupplyDemand.objects.count() == 49


def test_a_day_that_is_not_whole_is_not_found() -> None:
    spot_import(spot_lines(), SECOND)
    with pytest.raises(NotFound, match="0 of 48"):
        selectors.spot_prices_on(delivery_on=DAY, area_code="01", known_at=FIRST)
    with pytest.raises(NotFound, match="0 of 48"):
        selectors.area_supply_demand_on(delivery_on=DAY, area_code="03")


@pytest.mark.parametrize("price", ["NaN", "-0.01", "100000"])
def test_the_database_refuses_what_no_parser_lets_through(price: str) -> None:
    with (
        pytest.raises(IntegrityError, match="spotprice_price"),
        transaction.atomic(),
        connection.cursor() as cursor,
    ):
        cursor.execute(
            "INSERT INTO forecasting_spotprice"
            " (area_id, start_at, available_at, price_jpy_per_kwh) VALUES ('01', %s, %s, %s)",
            [START, FIRST, price],
        )


def test_the_commands_import_files_and_say_what_they_did(tmp_path: Path) -> None:
    spot = tmp_path / "spot_summary_2024.csv"
    spot.write_bytes(joined(spot_lines()))
    out = StringIO()
    call_command("import_spot", str(spot), "--available-at", "2024-04-01T00:00+00:00", stdout=out)
    assert "432 values read, 432 new" in out.getvalue()
    area = tmp_path / "tokyo.csv"
    area.write_bytes(joined(area_lines()))
    call_command("import_area", str(area), "--area", "03", stdout=out)
    assert "48 values read, 48 new, areas 03" in out.getvalue()


def test_a_command_refuses_with_file_line_and_rule(tmp_path: Path) -> None:
    spot = tmp_path / "cut.csv"
    spot.write_bytes(joined(spot_lines()[:-1]))
    with pytest.raises(CommandError, match=r"cut\.csv line 48 .*48 half hours"):
        call_command("import_spot", str(spot))
    with pytest.raises(CommandError, match="No such file"):
        call_command("import_spot", str(tmp_path / "none.csv"))
