"""The engine from file to file: what is written, what is printed, how it exits."""

from __future__ import annotations

import copy
import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from aggregator.ops import engine_files
from market.core.errors import SolverLimit
from market.core.snapshot import snapshot_from_bytes
from tests.architecture.repository import ROOT
from tests.books import balance_need, book, bus, steps

CASE = """function mpc = two
mpc.version = '2';
mpc.baseMVA = 100;
mpc.bus = [
  1 3 0 0 0 0 1 1 0 275 1 1.1 0.9;
  2 1 100 0 5 0 1 1 0 275 1 1.1 0.9;
];
mpc.gen = [
  1 50 0 100 -100 1 100 1 200 0;
  2 50 0 100 -100 1 100 1 200 0;
];
mpc.branch = [1 2 0.01 0.1 0 80 100 100 0 0 1 -360 360];
mpc.gencost = [
  2 0 0 3 0 10 0;
  2 0 0 3 0.1 20 7;
];
"""


def small() -> dict[str, Any]:
    return book(bids=[steps("one", "a", "UP", (300, 20))], balance_needs=[balance_need(200)])


@pytest.fixture
def written(tmp_path: Path) -> Callable[..., Path]:
    def write(document: dict[str, Any] | str, name: str = "snapshot.json") -> Path:
        path = tmp_path / name
        text = document if isinstance(document, str) else json.dumps(document)
        path.write_text(text, encoding="utf-8")
        return path

    return write


def refused(*arguments: str) -> CommandError:
    with pytest.raises(CommandError) as found:
        call_command("clear", *arguments)
    return found.value


def test_a_result_and_its_snapshot_are_written_as_a_pair(
    written: Callable[..., Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "result.json"
    call_command("clear", str(written(small())), "--out", str(out))
    result = json.loads(out.read_bytes())
    snapshot = (tmp_path / "result.snapshot.json").read_bytes()
    assert result["certificate"]["passed"]
    assert result["snapshot_sha256"] == hashlib.sha256(snapshot).hexdigest()
    assert snapshot == snapshot_from_bytes(json.dumps(small()).encode()).canonical
    assert [award["quantity_kw"] for award in result["awards"]] == [[200.0]]
    printed = capsys.readouterr().out.splitlines()
    assert printed[0].startswith("certificate passed: ")
    assert printed[1] == f"{out}  sha256 {hashlib.sha256(out.read_bytes()).hexdigest()}"
    assert {path.name for path in tmp_path.iterdir()} == {
        *("snapshot.json", "result.json", "result.snapshot.json")
    }


def test_without_a_file_to_write_a_table_is_printed(
    written: Callable[..., Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    call_command("clear", str(written(small())))
    rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    # 200 kW for ½ h asked for and served at 20: worth (100 − 20) · 100 kWh
    assert ["value", "8,000.00", "JPY,", "at", "most", "8,000.00"] in rows
    assert ["03", "20.00", "20.00", "20.00"] in rows
    assert ["BALANCE", "balance-UP", "100.0", "100.00", "20.00", "20.00", "20.00"] in rows
    assert rows[-1][:2] == ["certificate", "passed:"]
    assert [path.name for path in tmp_path.iterdir()] == ["snapshot.json"]


def request(**parts: Any) -> dict[str, Any]:
    return {
        "id": "work",
        "form": "COMPUTE_REQUEST",
        "place": "A",
        "first_t": 0,
        "last_t": 0,
        "quantity_kw": 10,
        "value_jpy_per_kwh": 100,
    } | parts


def block(name: str, **parts: Any) -> dict[str, Any]:
    return {
        "id": name,
        "form": "BLOCK",
        "resource": "a",
        "direction": "UP",
        "first_t": 0,
        "quantity_kw": [10],
        "ask_jpy_per_kwh": 5,
    } | parts


def _broken(*path: object, value: object) -> dict[str, Any]:
    document: Any = copy.deepcopy(small())
    entry = document
    for step in path[:-1]:
        entry = entry[step]
    entry[path[-1]] = value
    return document


BAD: dict[str, tuple[dict[str, Any] | str, str]] = {
    "half a file": (json.dumps(small())[:-9], "document"),
    "a key nobody knows": (_broken("colour", value="red"), "colour: 'red'"),
    "no number": (json.dumps(small()).replace("1200.0", "NaN"), "'NaN' — must have finite"),
    "an unknown place": (
        _broken("resources", 0, "place", value="Z"),
        "resources[0].place: 'Z' — must be the id of a known place",
    ),
    "zero reactance": (
        _broken("network", "branches", 0, "reactance_pu", value=0),
        "network.branches[0].reactance_pu: 0 — must not be zero",
    ),
    "an island without slack": (
        _broken("network", "buses", value=[bus("A"), bus("B")]),
        "network.buses: '50' — must give each island a slack",
    ),
    "a label nobody knows": (
        _broken("bids", value=[request(labels_required=["contry:JP"])]),
        "bids[0].labels_required: ['contry:JP'] — must be labels that some resource has",
    ),
    "a cycle in parent links": (
        _broken("bids", value=[block("one", parent="two"), block("two", parent="one")]),
        "parent: ",
    ),
    "a negative quantity": (
        _broken("bids", 0, "curves", 0, "steps", 0, "quantity_kw", value=-1),
        "bids[0].curves[0].steps[0].quantity_kw: -1",
    ),
}


@pytest.mark.parametrize("name", sorted(BAD))
def test_bad_input_is_named_and_writes_nothing(
    name: str, written: Callable[..., Path], tmp_path: Path
) -> None:
    document, says = BAD[name]
    out = tmp_path / "result.json"
    error = refused(str(written(document)), "--out", str(out))
    assert error.returncode == 2
    assert str(error).startswith("InvalidSnapshot: ")
    assert says in str(error)
    assert [path.name for path in tmp_path.iterdir()] == ["snapshot.json"]


def test_an_old_result_survives_bad_input(written: Callable[..., Path], tmp_path: Path) -> None:
    out = tmp_path / "result.json"
    out.write_text("mine")
    assert refused(str(written("{}")), "--out", str(out)).returncode == 2
    assert out.read_text() == "mine"


def test_a_file_that_is_not_there_is_bad_input(tmp_path: Path) -> None:
    error = refused(str(tmp_path / "none.json"))
    assert error.returncode == 2
    assert "No such file" in str(error)


def test_a_directory_that_is_not_there_takes_no_result(
    written: Callable[..., Path], tmp_path: Path
) -> None:
    error = refused(str(written(small())), "--out", str(tmp_path / "none" / "result.json"))
    assert error.returncode == 2
    assert "a writable file" in str(error)


def test_where_a_directory_stands_nothing_is_left_behind(
    written: Callable[..., Path], tmp_path: Path
) -> None:
    (tmp_path / "result.json").mkdir()
    error = refused(str(written(small())), "--out", str(tmp_path / "result.json"))
    assert error.returncode == 2
    assert {path.name for path in tmp_path.iterdir()} == {"snapshot.json", "result.json"}


def test_a_solver_that_fails_is_named_by_the_exit_code(
    written: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gives_up(_: bytes) -> bytes:
        raise SolverLimit("HiGHS (simplex) stopped with status user_limit")

    monkeypatch.setattr(engine_files, "clear_bytes", gives_up)
    error = refused(str(written(small())), "--out", str(tmp_path / "result.json"))
    assert error.returncode == 3
    assert str(error).startswith("SolverLimit: ")
    assert [path.name for path in tmp_path.iterdir()] == ["snapshot.json"]


def test_one_of_snapshot_and_grid_is_asked_for(written: Callable[..., Path]) -> None:
    assert refused().returncode == 2
    path = str(written(small()))
    assert refused(path, "--grid", path).returncode == 2


def test_a_grid_is_dispatched(
    written: Callable[..., Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # load 105, shunt included; 80 over the line at 10, 25 at home for 0.1·25² + 20·25 + 7 = 569.5
    case, out = written(CASE, "two.m"), tmp_path / "dispatch.json"
    call_command("clear", "--grid", str(case), "--out", str(out))
    assert capsys.readouterr().out.splitlines()[-1] == "objective 1369.500000000"
    document = json.loads(out.read_bytes())
    assert document["objective_per_h"] == pytest.approx(1369.5)
    assert [row["mw"] for row in document["generators"]] == pytest.approx([80.0, 25.0])
    assert [row["price_per_mwh"] for row in document["buses"]] == pytest.approx([10.0, 25.0])
    assert document["branches"] == [{"row": 1, "mw": pytest.approx(80.0)}]


def test_a_grid_that_is_none_is_bad_input(written: Callable[..., Path]) -> None:
    for text, says in (
        (CASE.replace("0.01 0.1 0 80", "0.01 0 0 80"), "mpc.branch row 1 BR_X"),
        (CASE.replace("0 10 0;", "Nan 10 0;"), "mpc.gencost row 1"),
        (CASE.replace("'2'", "'1'"), "mpc.version"),
        (CASE + "mpc.bus(:, 3) = mpc.bus(:, 3) / 1e3;\n", "is read, not executed"),
    ):
        error = refused("--grid", str(written(text, "two.m")))
        assert error.returncode == 2
        assert says in str(error)


def test_a_grid_without_a_dispatch_is_a_failure(written: Callable[..., Path]) -> None:
    error = refused("--grid", str(written(CASE.replace("100 1 200 0", "100 1 20 0"), "two.m")))
    assert error.returncode == 3
    assert str(error).startswith("SolverInfeasible: ")


def _cleared(written: Callable[..., Path], tmp_path: Path) -> Path:
    out = tmp_path / "result.json"
    call_command("clear", str(written(small())), "--out", str(out))
    return out


def test_a_result_is_verified_figure_by_figure(
    written: Callable[..., Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = _cleared(written, tmp_path)
    capsys.readouterr()
    call_command("verify", str(out))
    *figures, last = capsys.readouterr().out.splitlines()
    assert len(figures) == len(json.loads(out.read_bytes())["certificate"]["checks"])
    assert all(line.startswith("ok ") for line in figures)
    assert last == f"verified: {len(figures)} figures within their limits"


@pytest.mark.parametrize("how", ["given", "of its hash in the directory"])
def test_the_snapshot_is_found(how: str, written: Callable[..., Path], tmp_path: Path) -> None:
    out = _cleared(written, tmp_path)
    (tmp_path / "result.snapshot.json").unlink()
    written(book(), "another.json")
    given = ["--snapshot", str(tmp_path / "snapshot.json")] if how == "given" else []
    call_command("verify", str(out), *given)


def test_a_result_alone_is_not_verified(written: Callable[..., Path], tmp_path: Path) -> None:
    out = _cleared(written, tmp_path)
    for path in ("snapshot.json", "result.snapshot.json"):
        (tmp_path / path).unlink()
    with pytest.raises(CommandError, match="give --snapshot") as found:
        call_command("verify", str(out))
    assert found.value.returncode == 2


def test_a_tampered_result_fails_loudly(
    written: Callable[..., Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = _cleared(written, tmp_path)
    result = json.loads(out.read_bytes())
    result["awards"][0]["price_jpy_per_kwh"] = [25.0]
    out.write_text(json.dumps(result))
    with pytest.raises(CommandError, match=r"^FAILED: ") as found:
        call_command("verify", str(out))
    assert found.value.returncode == 1
    assert "FAILED" in capsys.readouterr().out


def test_a_tampered_snapshot_fails_loudly(written: Callable[..., Path], tmp_path: Path) -> None:
    out = _cleared(written, tmp_path)
    beside = tmp_path / "result.snapshot.json"
    beside.write_text(beside.read_text().replace('"auction":"test"', '"auction":"tess"'))
    with pytest.raises(CommandError, match="snapshot is 1") as found:
        call_command("verify", str(out))
    assert found.value.returncode == 1


def test_a_result_with_a_part_cut_out_fails(written: Callable[..., Path], tmp_path: Path) -> None:
    out = _cleared(written, tmp_path)
    result = json.loads(out.read_bytes())
    del result["raw"]["duals"]
    out.write_text(json.dumps(result))
    with pytest.raises(CommandError, match="FAILED: the result is not whole") as found:
        call_command("verify", str(out))
    assert found.value.returncode == 1


@pytest.mark.parametrize("content", ["", "[]", "{", '{"schema": "other/1"}'])
def test_what_is_no_result_is_unreadable(
    content: str, written: Callable[..., Path], tmp_path: Path
) -> None:
    with pytest.raises(CommandError) as found:
        call_command("verify", str(written(content, "result.json")))
    assert found.value.returncode == 2


def test_the_commands_run_where_no_database_can_be(
    written: Callable[..., Path], tmp_path: Path
) -> None:
    nowhere = {
        "DATABASE_URL": "postgres://nobody@127.0.0.1:1/none",
        "REDIS_URL": "redis://127.0.0.1:1/0",
    }
    # a file where the home would be: nothing can be kept there either
    written("", "home")
    environment = {**os.environ, **nowhere, "WATTBIT_HOME": str(tmp_path / "home")}
    for name in ("DJANGO_SETTINGS_MODULE", "SECRET_KEY"):
        environment.pop(name, None)
    out = tmp_path / "result.json"
    for arguments, code in (
        (("clear", str(written(small())), "--out", str(out)), 0),
        (("verify", str(out)), 0),
        (("clear", "--grid", str(written(CASE, "two.m"))), 0),
        (("clear", str(written("{}", "none.json"))), 2),
    ):
        done = subprocess.run(
            [sys.executable, "manage.py", *arguments],
            cwd=ROOT,
            env=environment,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == code, done.stderr
        assert "Traceback" not in done.stderr
