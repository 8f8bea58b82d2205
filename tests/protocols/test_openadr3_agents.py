"""Site agents as a process of their own, against the real web server, over HTTP."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from aggregator.dispatch.models import InstructionState
from aggregator.metering.models import IntervalReading
from aggregator.protocols.openadr3.models import Report, Ven
from tests import cast, dispatching
from tests.dispatching import api_client, freeze, instruction, jst, meters, planned_day, work

S = InstructionState
WAIT_S = 60.0


def _until(condition: Callable[[], bool], *, what: str) -> None:
    deadline = time.monotonic() + WAIT_S
    while not condition():
        assert time.monotonic() < deadline, f"waited {WAIT_S:.0f} s for {what}"
        time.sleep(0.05)


def _config(port: int, day: cast.MarketDay) -> dict[str, Any]:
    def ven(organisation: Any, *resources: dict[str, Any]) -> dict[str, Any]:
        client = api_client(organisation)
        return {
            "ven_name": f"{organisation.code}-ven",
            "client_id": client.client_id,
            "client_secret": client.secret,  # type: ignore[attr-defined]
            "resources": list(resources),
        }

    def unit(name: str, profile_kw: float, **more: Any) -> dict[str, Any]:
        return {"name": name, "profile_kw": [profile_kw] * 48, **more}

    people = day.places.people
    return {
        "base_url": f"http://127.0.0.1:{port}{dispatching.BASE}/",
        "poll_s": 0.1,
        "seed": 1,
        "noise_ratio": 0.0,
        "ramp_s": 0.0,
        "delivery_on": cast.DAY.isoformat(),
        "vens": [
            ven(
                people.inzai_dc,
                unit("inzai-dc-1-load", 30_000, delivery_ratio=0.8),
                unit("inzai-dc-1-battery", 0),
            ),
            ven(people.shiroi_dc, unit("shiroi-dc-1-load", 20_000, opt_out=True)),
        ],
    }


def _energies(resource: Any) -> list[float]:
    rows = IntervalReading.objects.filter(meter=resource.meter).order_by("start_at")
    return [float(kwh) for kwh in rows.values_list("energy_kwh", flat=True)]


def test_agents_enrol_answer_act_and_report_the_whole_day(
    celery_worker_processes: Any, tmp_path: Path
) -> None:
    stack = celery_worker_processes.stack
    day = planned_day()
    meters(day)
    port = stack.start_web()
    file = tmp_path / "agents.json"
    file.write_text(json.dumps(_config(port, day)))
    argv = [sys.executable, "-m", "aggregator.protocols.openadr3.client.simulator"]
    child = stack.spawn("agents", [*argv, "--config", str(file)], {})
    _until(lambda: Ven.objects.count() == 2, what="enrolment")

    freeze(jst(8.5))
    work()
    _until(
        lambda: instruction(day, "inzai-battery-down").state == S.ACKNOWLEDGED,
        what="the midday's acknowledgement",
    )
    freeze(jst(12))
    work()
    evening = ("inzai-battery-up", "inzai-defer")
    _until(
        lambda: (
            all(instruction(day, name).state == S.ACKNOWLEDGED for name in evening)
            and instruction(day, "shiroi-cap").state == S.OPTED_OUT
        ),
        what="the evening's answers",
    )
    # 24 half hours of the morning are over, and of the three units each has a value
    _until(lambda: IntervalReading.objects.count() == 3 * 24, what="the morning's readings")
    freeze(jst(24))
    work()
    _until(lambda: child.process.poll() is not None, what="the agents' end")

    assert child.process.returncode == 0
    assert {instruction(day, name).state for name in evening} == {S.FINISHED}
    units = day.places.resources
    load = _energies(units["inzai-load"])
    assert len(load) == 48
    # 30,000 kW · 0.5 h, and in the evening 0.8 · 9,000 · 0.5 less
    assert {load[t] for t in cast.EVENING} == {11_400.0}
    assert {load[t] for t in range(48) if t not in cast.EVENING} == {15_000.0}
    battery = _energies(units["inzai-battery"])
    assert {battery[t] for t in cast.EVENING} == {-3_000.0}  # 6,000 kW out
    assert {battery[t] for t in cast.MIDDAY} == {2_500.0}  # 5,000 kW in
    # who declined does not act
    assert set(_energies(units["shiroi-load"])) == {10_000.0}
    assert Report.objects.filter(body__reportName__startswith="opt-out").count() == 1
