"""How simulated sites behave: by hand, repeatable, and strict about their configuration."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from aggregator.protocols.openadr3.client.behaviour import (
    AgentsConfig,
    Decision,
    SiteLimit,
    WrongConfig,
    agents_config,
    completed_count,
    decide,
    energies_kwh,
    energy_kwh,
    is_out,
)


def _document(**changes: Any) -> dict[str, Any]:
    resource = {"name": "r", "profile_kw": [1_000.0] * 48, **changes}
    return {
        "base_url": "http://127.0.0.1:1/openadr3/3.1.0",
        "poll_s": 0.1,
        "seed": 7,
        "noise_ratio": 0.0,
        "delivery_on": "2026-11-25",
        "vens": [
            {"ven_name": "v", "client_id": "c", "client_secret": "s", "resources": [resource]}
        ],
    }


def _config(**changes: Any) -> AgentsConfig:
    return agents_config(_document(**changes))


def _ordered(**at: float) -> list[float]:
    values = [0.0] * 48
    for name, kw in at.items():
        values[int(name.removeprefix("t"))] = kw
    return values


def test_without_an_order_the_meter_shows_the_profile() -> None:
    config = _config()
    # 1,000 kW for half an hour
    assert energy_kwh(config, config.vens[0].resources[0], 10, _ordered()) == Decimal(500)


def test_the_first_half_hour_of_an_order_loses_half_the_ramp() -> None:
    config = _config()
    resource = config.vens[0].resources[0]
    ordered = _ordered(t34=-400, t35=-400)
    # the ramp of 180 s is a tenth of 1,800 s, half of it is lost: 0.95 · 400 = 380 of 400 kW
    assert energy_kwh(config, resource, 34, ordered) == Decimal("310.000")  # (1000 - 380) / 2
    assert energy_kwh(config, resource, 35, ordered) == Decimal("300.000")
    # and on the way back the same is kept: 20 kW
    assert energy_kwh(config, resource, 36, ordered) == Decimal("490.000")


def test_a_site_that_under_delivers_does_so_by_its_ratio() -> None:
    config = _config(delivery_ratio=0.5)
    ordered = _ordered(t34=-400, t35=-400)
    assert energy_kwh(config, config.vens[0].resources[0], 35, ordered) == Decimal("400.000")


def test_noise_is_the_same_for_the_same_seed_and_small() -> None:
    document = _document() | {"noise_ratio": 0.01}
    first, second = agents_config(document), agents_config(document)
    other = agents_config(document | {"seed": 8})
    values = [energy_kwh(first, first.vens[0].resources[0], t, _ordered()) for t in range(48)]
    assert values == [
        energy_kwh(second, second.vens[0].resources[0], t, _ordered()) for t in range(48)
    ]
    assert values != [
        energy_kwh(other, other.vens[0].resources[0], t, _ordered()) for t in range(48)
    ]
    # never beyond three standard deviations of 1 %
    assert all(Decimal(485) <= value <= Decimal(515) for value in values)


def test_only_half_hours_that_ended_are_reported() -> None:
    start = _config().day_starts_at
    counts = [
        completed_count(start, start + timedelta(minutes=minutes))
        for minutes in (-60, 0, 29, 30, 89, 1440, 2000)
    ]
    assert counts == [0, 0, 0, 1, 2, 48, 48]


@pytest.mark.parametrize(
    "wrong",
    [
        {"profile_kw": [1.0] * 47},
        {"profile_kw": [float("nan")] * 48},
        {"profile_kw": ["x"] * 48},
        {"delivery_ratio": -0.1},
        {"delivery_ratio": float("inf")},
    ],
)
def test_a_configuration_that_cannot_be_meant_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(WrongConfig):
        _config(**wrong)


@pytest.mark.parametrize("name", ["base_url", "seed", "delivery_on", "vens"])
def test_a_missing_entry_is_named(name: str) -> None:
    document = _document()
    del document[name]
    with pytest.raises(WrongConfig, match=name):
        agents_config(document)


def test_the_agents_need_no_django() -> None:
    import subprocess
    import sys

    code = (
        "import sys, aggregator.protocols.openadr3.client.simulator;"
        "sys.exit(any(name.split('.')[0] in ('django', 'rest_framework') for name in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_unit_fails_by_its_seed_and_as_often_as_it_is_told() -> None:
    config = _config(
        faults={"silent_ratio": 0.2, "decline_ratio": 0.2, "late_ratio": 0.2, "late_s": 60,
                "wrong_sign_ratio": 0.25, "partial_ratio": 0.25}
    )  # fmt: skip
    resource = config.vens[0].resources[0]
    found = [decide(config, resource, f"order-{n}") for n in range(1_000)]
    assert found == [decide(config, resource, f"order-{n}") for n in range(1_000)]

    def share(count: int) -> float:
        return count / len(found)

    assert share(sum(d.answer == "SILENT" for d in found)) == pytest.approx(0.2, abs=0.04)
    assert share(sum(d.answer == "DECLINE" for d in found)) == pytest.approx(0.2, abs=0.04)
    assert share(sum(d.delay_s == 60 for d in found)) == pytest.approx(0.2, abs=0.04)
    accepted = [d for d in found if d.answer == "ACCEPT"]
    assert sum(d.factor == -1 for d in accepted) / len(accepted) == pytest.approx(0.25, abs=0.05)
    partial = [d.factor for d in accepted if 0 < d.factor < 1]
    assert min(partial) >= 0.3
    assert max(partial) <= 0.9
    assert len(partial) / len(accepted) == pytest.approx(0.25, abs=0.05)


def test_without_faults_every_order_is_accepted_whole() -> None:
    config = _config()
    found = {decide(config, config.vens[0].resources[0], f"order-{n}") for n in range(50)}
    assert found == {Decision()}


def test_a_fine_meter_shows_the_ramp_and_adds_up_to_the_half_hour() -> None:
    config = _config(meter_min=5, lag_s=60)
    resource = config.vens[0].resources[0]
    ordered = _ordered(t34=-400, t35=-400)
    parts = [energy_kwh(config, resource, 34, ordered, part=n) for n in range(6)]
    # 60 s nothing, 180 s of ramp, 60 s in full: (90 + 60) / 300 of 400 kW = 200 kW less
    assert parts == [Decimal("66.667"), *[Decimal("50.000")] * 5]


def _site(*units: dict[str, Any]) -> AgentsConfig:
    document = _document()
    document["vens"][0]["resources"] = [
        {"name": f"r{n}", **unit, "profile_kw": [unit["profile_kw"]] * 48}
        for n, unit in enumerate(units)
    ]
    return agents_config(document)


def _drawn(config: AgentsConfig, *limits: SiteLimit) -> list[list[Decimal]]:
    units = config.vens[0].resources
    ordered = {unit.name: _ordered() for unit in units}
    return list(energies_kwh(config, units, 3, ordered, limits=limits).values())


def test_a_unit_draws_no_more_than_its_connection_lets_it() -> None:
    limit = SiteLimit(names=("r0",), limit_kw=600)
    assert _drawn(_site({"profile_kw": 1_000.0}), limit) == [[Decimal("300.000")]]
    # not where it would not
    assert _drawn(_site({"profile_kw": 500.0}), limit) == [[Decimal("250.000")]]


def test_the_units_of_a_site_keep_its_limit_together() -> None:
    site = _site({"profile_kw": 1_000.0}, {"profile_kw": 500.0}, {"profile_kw": 700.0})
    of_two = SiteLimit(names=("r0", "r1"), limit_kw=900)
    # 600 kW too much: 400 of the one, 200 of the other, and nothing of the third, at another site
    assert _drawn(site, of_two) == [[Decimal(300)], [Decimal(150)], [Decimal(350)]]
    of_all = SiteLimit(names=("r0", "r1", "r2"), limit_kw=3_000)
    assert _drawn(site, of_all) == [[Decimal(500)], [Decimal(250)], [Decimal(350)]]
    # both at once
    everything = SiteLimit(names=("r0", "r1", "r2"), limit_kw=0)
    assert _drawn(site, of_two, everything) == [[Decimal(0)]] * 3
    thirds = SiteLimit(names=("r0", "r1", "r2"), limit_kw=1_000)
    assert Decimal("499.997") <= sum(kwh for (kwh,) in _drawn(site, thirds)) <= 500


def test_what_a_unit_feeds_in_makes_room_at_its_site() -> None:
    site = _site({"profile_kw": 1_000.0}, {"profile_kw": -300.0})
    limit = SiteLimit(names=("r0", "r1"), limit_kw=500)
    assert _drawn(site, limit) == [[Decimal(400)], [Decimal(-150)]]
    alone = SiteLimit(names=("r1",), limit_kw=0)
    assert _drawn(site, alone) == [[Decimal(500)], [Decimal(-150)]]


def test_a_limit_holds_in_every_part_that_a_meter_tells_apart() -> None:
    config = _site({"profile_kw": 600.0, "meter_min": 5}, {"profile_kw": 600.0})
    units, before = config.vens[0].resources, _ordered(t2=-600)
    limit = SiteLimit(names=("r0", "r1"), limit_kw=900)
    found = energies_kwh(config, units, 3, {"r0": before, "r1": _ordered()}, limits=[limit])
    # 300 s, of which 180 s back from nothing: 420 kW, so 120 too much; afterwards 300
    assert found["r0"] == [Decimal("30.882"), *[Decimal("37.500")] * 5]
    # 120 · 600 / 1,020 less at first, 150 less five times: 463.2 kW in the mean
    assert found["r1"] == [Decimal("231.617")]


def test_a_site_in_an_outage_hears_nothing() -> None:
    document = _document()
    document["vens"][0]["outages"] = [{"from_h": 13, "to_h": 14}]
    config = agents_config(document)
    at = [config.day_starts_at + timedelta(hours=hour) for hour in (12.9, 13, 13.9, 14)]
    assert [is_out(config, config.vens[0], moment) for moment in at] == [False, True, True, False]


def test_a_fault_nobody_knows_is_named() -> None:
    with pytest.raises(WrongConfig, match=r"r\.faults\.sleepy_ratio is not one of"):
        _config(faults={"sleepy_ratio": 0.1})
    with pytest.raises(WrongConfig, match=r"r\.meter_min is 7"):
        _config(meter_min=7)
