"""Read the matrices of a MATPOWER case file (version 2), as data.

The file is never executed: comments are taken out, matrices are read by matpowercaseframes, and a
file that computes on its matrices after writing them (unit conversions at the end of distribution
cases) is refused, because what stands in the matrices is then not what the author means.
"""

from __future__ import annotations

import math
import re
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accounts.core.errors import Refused

FILE_BYTES_MAX = 50_000_000
MATRICES = ("bus", "gen", "branch", "gencost", "dcline", "dclinecost")

_LINE_COMMENT = re.compile(r"^((?:[^%'\n]|'[^'\n]*')*)%.*$", re.MULTILINE)
_MATRIX = re.compile(
    r"(mpc\.(?:bus|gen|branch|gencost|dcline|dclinecost)\s*=\s*\[)(.*?)\]", re.DOTALL
)
_MATRIX_HEAD = re.compile(r"mpc\.(bus|gen|branch|gencost|dcline|dclinecost)\s*=\s*\[")
_COMPUTES = re.compile(r"mpc\.\w+\s*\([^\n]*", re.ASCII)
_VERSION = re.compile(r"mpc\.version\s*=\s*['\"]?(\w+)['\"]?\s*;")
_NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d{1,3})?", re.ASCII)
_HEAD = re.compile(r"function\s+mpc\s*=\s*\w+[^\n]*\n")


class InvalidGridFile(Refused):
    """A MATPOWER file that is no usable network; nothing of it was stored."""


def case_matrices(path: Path) -> tuple[float, dict[str, NDArray[np.float64]]]:
    """Return ``mpc.baseMVA`` and the matrices of a case as numbers, all columns, in its order.

    Parameters
    ----------
    path
        A ``.m`` file of format version 2. Limits may be infinite.

    Raises
    ------
    InvalidGridFile
        Not a version 2 case, or a cell that is no number.
    """
    base_mva, frames = case_frames(path)
    matrices = {}
    for table in MATRICES:
        frame = getattr(frames, table, None)
        if frame is None:
            continue
        cells = frame.to_numpy()
        if cells.dtype == object:  # one word in a matrix turns all its cells into text
            cells = np.array([[_number(cell) for cell in row] for row in cells], dtype=np.float64)
        matrix = cells.astype(np.float64).reshape(len(frame), -1)
        wrong = np.argwhere(np.isnan(matrix))
        if len(wrong):
            row, column = wrong[0]
            raise InvalidGridFile(
                field=f"{path.name} mpc.{table} row {row + 1} {frame.columns[column]}",
                value=frame.iat[row, column],
                rule="a number",
            )
        matrices[table] = matrix
    return base_mva, matrices


def _number(cell: object) -> float:
    try:
        return float(str(cell))
    except ValueError:
        return math.nan


def case_frames(path: Path) -> tuple[float, Any]:
    """Return ``mpc.baseMVA`` and the tables of a case, one attribute each.

    Raises
    ------
    InvalidGridFile
        Not a readable version 2 case.
    """
    # Lazily: it brings pandas, which no other command needs.
    from matpowercaseframes import CaseFrames

    text = _plain_text(path)
    with tempfile.TemporaryDirectory() as directory:
        plain = Path(directory) / "case.m"
        plain.write_text(text, encoding="utf-8")
        try:
            frames = CaseFrames(str(plain), update_index=False)
        except (ValueError, KeyError, IndexError, AttributeError, TypeError) as error:
            raise InvalidGridFile(
                field=path.name, value=str(error), rule="a readable MATPOWER case"
            ) from error
    base_mva = finite(getattr(frames, "baseMVA", None), f"{path.name} mpc.baseMVA")
    if base_mva <= 0.0:
        raise InvalidGridFile(
            field=f"{path.name} mpc.baseMVA", value=base_mva, rule="greater than zero"
        )
    return base_mva, frames


def _plain_text(path: Path) -> str:
    """Read the file without comments, one matrix row per line, and refuse what is not data."""
    name = path.name
    if path.suffix != ".m" or not path.is_file():
        raise InvalidGridFile(field="path", value=str(path), rule="an existing .m file")
    if path.stat().st_size > FILE_BYTES_MAX:
        raise InvalidGridFile(
            field=name, value=path.stat().st_size, rule=f"at most {FILE_BYTES_MAX} bytes"
        )
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise InvalidGridFile(field=name, value=str(error), rule="UTF-8 text") from error
    text = _without_blocks(text.replace("\r\n", "\n"))
    text = _LINE_COMMENT.sub(r"\1", text)
    if _HEAD.search(text) is None:
        raise InvalidGridFile(field=name, value=text[:40], rule="begins with function mpc = …")
    version = _VERSION.search(text)
    if version is None or version[1] != "2":
        raise InvalidGridFile(
            field=f"{name} mpc.version",
            value=None if version is None else version[1],
            rule="format version 2",
        )
    computes = _COMPUTES.search(text)
    if computes is not None:
        raise InvalidGridFile(
            field=f"{name} line {text.count(chr(10), 0, computes.start()) + 1}",
            value=computes[0],
            rule="a case file is read, not executed: apply its conversions and save it first",
        )
    heads = _MATRIX_HEAD.findall(text)
    for table in heads:
        if heads.count(table) > 1:
            raise InvalidGridFile(field=f"{name} mpc.{table}", value="", rule="a matrix given once")
    return _MATRIX.sub(
        lambda match: f"{match[1]}\n" + re.sub(r";", ";\n", match[2].replace(",", " ")) + "\n]",
        text,
    )


def _without_blocks(text: str) -> str:
    """Return the text without comments from ``%{`` to ``%}``, each alone on its line.

    In one walk: of a file of many beginnings without an end nothing is looked at twice.
    """
    kept: list[str] = []
    inside: list[str] = []
    for line in text.split("\n"):
        mark = line.strip(" \t")
        if inside:
            inside.append(line)
            if mark == "%}":
                inside = []
                kept.append("")
        elif mark == "%{":
            inside.append(line)
        else:
            kept.append(line)
    return "\n".join(kept + inside)  # a beginning without an end begins nothing


def finite(value: object, field: str) -> float:
    """Return a cell as a float; one word in a matrix turns all its cells into text."""
    number: Any = value.item() if hasattr(value, "item") else value  # NumPy's scalars
    if isinstance(number, str) and _NUMBER.fullmatch(number):
        number = float(number)
    is_number = isinstance(number, int | float) and not isinstance(number, bool)
    if not is_number or not math.isfinite(number):
        raise InvalidGridFile(field=field, value=number, rule="a finite number")
    return float(number)
