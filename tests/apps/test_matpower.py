"""MATPOWER cases: our own small files, read exactly or refused by name."""

from __future__ import annotations

from collections.abc import Callable
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from django.core.management import CommandError, call_command

from accounts.core.errors import NotFound
from market.registry.matpower import InvalidGridFile, grid_case_read, grid_model_import
from market.registry.models import Area, Branch, Bus, ControllableLink, GridModel

# Two islands (1-2-3 and 4-5) and a DC line between them; 1-2 twice, one circuit out.
CASE = """function mpc = five
%FIVE  our own case
% mpc.bus = [ 9 9 9 ];
mpc.version = '2';
mpc.baseMVA = 100;
%{
mpc.baseMVA = 7;
%}
%% bus_i type Pd Qd Gs Bs area Vm Va baseKV zone Vmax Vmin
mpc.bus = [
\t1\t3\t0\t0\t0\t0\t2\t1\t0\t275\t1\t1.1\t0.9;\t% slack
\t2\t1\t50\t10\t0\t0\t3\t1\t0\t275\t1\t1.1\t0.9;
\t3\t1\t60\t10\t0\t0\t3\t1\t0\t66\t1\t1.1\t0.9;
\t4\t2\t0\t0\t0\t0\t9\t1\t0\t275\t1\t1.1\t0.9;
\t5\t2\t40\t10\t0\t0\t9\t1\t0\t275\t1\t1.1\t0.9;
\t6\t4\t0\t0\t0\t0\t9\t1\t0\t275\t1\t1.1\t0.9;
];
mpc.gen = [
\t2\t0\t0\t99\t-99\t1\t100\t1\t70\t0;
\t1\t0\t0\t99\t-99\t1\t100\t1\t200\t0;
\t4\t0\t0\t99\t-99\t1\t100\t1\t30\t0;
\t4\t0\t0\t99\t-99\t1\t100\t1\t30\t0;
\t5\t0\t0\t99\t-99\t1\t100\t1\t30\t0;
\t5\t0\t0\t99\t-99\t1\t100\t0\t500\t0;
];
mpc.branch = [
\t1\t2\t0.01\t0.1\t0\t250\t0\t0\t0\t0\t1\t-360\t360;
\t1\t2\t0.01\t0.1\t0\t250\t0\t0\t0\t0\t0\t-360\t360;
\t1\t2\t0.02\t0.2\t0\t0\t0\t0\t0\t0\t1\t-360\t360;
\t2\t3\t0\t0.05\t0\t120\t0\t0\t0.98\t-3\t1\t-360\t360;
\t4\t5\t0.01\t0.1\t0\t80\t0\t0\t0\t0\t1\t-360\t360;
\t5\t6\t0.01\t0.1\t0\t80\t0\t0\t0\t0\t1\t-360\t360;
];
mpc.dcline = [
\t4\t3\t1\t10\t10\t0\t0\t1\t1\t-60\t90\t0\t0\t0\t0\t0\t0;
];
"""


@pytest.fixture
def case(tmp_path: Path) -> Callable[..., Path]:
    def write(*changes: tuple[str, str], text: str = CASE) -> Path:
        for old, new in changes:
            assert old in text
            text = text.replace(old, new)
        path = tmp_path / "five.m"
        path.write_text(text, encoding="utf-8")
        return path

    return write


@pytest.fixture
def areas(db: None) -> None:
    for code, hertz in (("02", 50), ("03", 50), ("09", 60)):
        Area.objects.update_or_create(
            code=code, defaults={"name": code, "name_en": code, "frequency_hz": hertz}
        )


def test_buses_islands_and_slack_are_read(case: Callable[..., Path]) -> None:
    read = grid_case_read(case())
    assert read.base_mva == 100.0
    rows = [(b["id"], b["area"], b["island"], b["slack_share_ratio"]) for b in read.buses]
    # Island 1 has a reference bus, whatever else generates there;
    # island 2 shares 60 : 30 by generators in service.
    assert rows == [
        ("1", "02", "1", 1.0),
        ("2", "03", "1", 0.0),
        ("3", "03", "1", 0.0),
        ("4", "09", "2", 0.666667),
        ("5", "09", "2", 0.333333),
    ]
    assert [bus["voltage_kv"] for bus in read.buses] == [275.0, 275.0, 66.0, 275.0, 275.0]


def test_branches_keep_circuit_numbers_taps_and_ratings(case: Callable[..., Path]) -> None:
    rows = {b["id"]: b for b in grid_case_read(case()).branches}
    # Circuit 2 of 1-2 is out of service, 5-6 ends at an isolated bus.
    assert list(rows) == ["1-2-1", "1-2-3", "2-3-1", "4-5-1"]
    assert rows["1-2-1"]["tap_ratio"] == 1.0
    assert rows["1-2-1"]["rating_kw"] == 250_000.0
    assert rows["1-2-3"]["rating_kw"] == 100_000_000.0  # 0 means no limit
    assert (rows["2-3-1"]["tap_ratio"], rows["2-3-1"]["shift_deg"]) == (0.98, -3.0)
    assert (rows["1-2-1"]["kind"], rows["2-3-1"]["kind"]) == ("LINE", "TRANSFORMER")


def test_a_dc_line_becomes_a_link_rated_at_its_larger_limit(case: Callable[..., Path]) -> None:
    (link,) = grid_case_read(case()).links
    assert link == {"id": "dc-4-3-1", "from": "4", "to": "3", "rating_kw": 90_000.0}


def test_rows_on_one_line_and_commas_are_read_alike(case: Callable[..., Path]) -> None:
    plain = grid_case_read(case())
    squeezed = case(("\t% slack\n\t2\t1\t50", " 2, 1, 50"), ("\t0.05\t0\t120", ", 0.05, 0, 120"))
    assert grid_case_read(squeezed) == plain


def test_the_network_has_the_layout_of_the_snapshot(case: Callable[..., Path]) -> None:
    network = grid_case_read(case(), convention="series").network()
    assert set(network) == {"convention", "base_mva", "buses", "branches", "links"}
    assert network["convention"] == "series"
    assert set(network["buses"][0]) == {"id", "area", "island", "slack_share_ratio"}
    assert "kind" not in network["branches"][0]
    assert network["links"] == [{"id": "dc-4-3-1", "from": "4", "to": "3", "limit_kw": 90_000.0}]


@pytest.mark.parametrize(
    ("convention", "expected_mw"),
    # 1-2-1 beside 1-2-3: x 0.1 and 0.2, and r/x is 0.1 in both, so both conventions share
    # 2 : 1; with r = 0.1 in 1-2-1, series gives 0.1/(0.01+0.01) = 5 against 0.2/0.0404 = 4.9505.
    [("reactance", 20.0), ("series", 30.0 * 5 / (5 + 0.2 / 0.0404))],
)
def test_the_conventions_share_a_double_line_differently(
    case: Callable[..., Path], convention: str, expected_mw: float
) -> None:
    path = case(
        ("\t1\t2\t0.01\t0.1\t0\t250\t0\t0\t0\t0\t1", "\t1\t2\t0.1\t0.1\t0\t250\t0\t0\t0\t0\t1")
    )
    network = grid_case_read(path, convention=convention).network()
    parallel = [b for b in network["branches"] if (b["from"], b["to"]) == ("1", "2")]
    susceptance = np.array([_susceptance(b, network["convention"]) for b in parallel])
    flow_mw = 30.0 * susceptance / susceptance.sum()
    assert flow_mw[0] == pytest.approx(expected_mw)


def _susceptance(branch: dict[str, Any], convention: str) -> float:
    r, x = branch["resistance_pu"], branch["reactance_pu"]
    return float(1 / x if convention == "reactance" else x / (r * r + x * x))


BRANCH = "\t4\t5\t0.01\t0.1\t0\t80"
REFUSALS: dict[str, tuple[str, str, str]] = {
    "zero reactance": (BRANCH, "\t4\t5\t0.01\t0\t0\t80", r"five.m mpc.branch row 5 BR_X"),
    "unknown bus": (BRANCH, "\t4\t55\t0.01\t0.1\t0\t80", r"row 5 T_BUS"),
    "loop": (BRANCH, "\t4\t4\t0.01\t0.1\t0\t80", "two different ends"),
    "NaN": (BRANCH, "\t4\t5\t0.01\tNaN\t0\t80", r"row 5 BR_X: .*finite number"),
    "Inf": (BRANCH, "\t4\t5\t0.01\tInf\t0\t80", r"row 5 BR_X: .*finite number"),
    "word": (BRANCH, "\t4\t5\t0.01\tabc\t0\t80", r"row 5 BR_X: 'abc'"),
    "negative rating": (BRANCH, "\t4\t5\t0.01\t0.1\t0\t-80", "RATE_A"),
    "bus twice": ("\t5\t2\t40", "\t4\t2\t40", "row 5 BUS_I: 4 — each bus stands once"),
    "half a bus": ("\t5\t2\t40", "\t5.5\t2\t40", "row 5 BUS_I"),
    "area 12": ("\t9\t1\t0\t275", "\t12\t1\t0\t275", "BUS_AREA"),
    "generator nowhere": ("\t5\t0\t0\t99", "\t7\t0\t0\t99", "GEN_BUS"),
    "no version": ("mpc.version = '2';\n", "", "format version 2"),
    "version 1": ("mpc.version = '2'", "mpc.version = '1'", "format version 2"),
    "no base": ("mpc.baseMVA = 100;\n", "", "mpc.baseMVA"),
    "base zero": ("mpc.baseMVA = 100", "mpc.baseMVA = 0", "greater than zero"),
    "no head": ("function mpc = five\n", "", "function mpc"),
    "no branches": ("mpc.branch = [", "mpc.twigs = [", "mpc.branch"),
    "short rows": ("\t0\t1\t-360\t360", "", "five.m"),
    "conversion": (
        "mpc.dcline = [",
        "mpc.branch(:, 3) = mpc.branch(:, 3) / 16;\nmpc.dcline = [",
        r"mpc.branch\(:, 3\).* not executed",
    ),
    "island without source": ("\t1\t100\t1\t30", "\t1\t100\t0\t30", "island of bus 4, 2 buses"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSALS)
def test_a_bad_case_is_refused_with_the_place(case: Callable[..., Path], name: str) -> None:
    old, new, rule = REFUSALS[name]
    with pytest.raises(InvalidGridFile, match=rule):
        grid_case_read(case((old, new)))


def test_other_files_and_conventions_are_refused(case: Callable[..., Path], tmp_path: Path) -> None:
    with pytest.raises(InvalidGridFile, match="reactance or series"):
        grid_case_read(case(), convention="ac")
    with pytest.raises(InvalidGridFile, match=r"existing \.m file"):
        grid_case_read(tmp_path / "case9")
    binary = tmp_path / "binary.m"
    binary.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InvalidGridFile, match="UTF-8"):
        grid_case_read(binary)


@pytest.mark.usefixtures("areas")
def test_a_case_is_stored_as_the_next_version(case: Callable[..., Path]) -> None:
    first = grid_model_import(path=case(), name="five")
    assert (first.version, first.convention, first.source) == (1, "reactance", "MATPOWER five.m")
    assert Bus.objects.filter(grid_model=first).count() == 5
    branch = Branch.objects.get(grid_model=first, code="2-3-1")
    assert (str(branch.reactance_pu), str(branch.tap_ratio)) == ("0.050000000", "0.98000")
    assert ControllableLink.objects.get(grid_model=first).rating_kw == 90_000
    assert grid_model_import(path=case(), name="five") == first
    second = grid_model_import(path=case(), name="five", convention="series")
    assert (second.version, second.convention) == (2, "series")


@pytest.mark.usefixtures("areas")
def test_an_unregistered_area_stores_nothing(case: Callable[..., Path]) -> None:
    Area.objects.filter(code="09").delete()
    with pytest.raises(NotFound, match="'09'"):
        grid_model_import(path=case())
    assert not GridModel.objects.exists()


@pytest.mark.usefixtures("areas")
def test_the_command_stores_and_says_what(case: Callable[..., Path]) -> None:
    out = StringIO()
    whole = case(("\t5\t6\t0.01", "\t5\t3\t0.01"))  # one island, so that one area can hold it
    call_command("import_grid", str(whole), "--convention", "series", "--area", "03", stdout=out)
    assert "five version 1: 5 buses, 5 branches, 1 links, susceptance series" in out.getvalue()
    assert set(Bus.objects.values_list("area_id", flat=True)) == {"03"}
    with pytest.raises(CommandError, match="each area within one synchronous island"):
        call_command("import_grid", str(case()), "--area", "03")
    with pytest.raises(CommandError, match="BR_X"):
        call_command("import_grid", str(case(("\t0.05\t0\t120", "\t0\t0\t120"))))
