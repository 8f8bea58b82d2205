"""Find, in the source, every rule that a refusal may tell a caller."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LAYERS = ("accounts", "market", "aggregator")
# Met by who runs commands or writes rules in the admin, by machines of a protocol that has no
# second language, or in the layout that our own book writes: by no caller of a door.
ELSEWHERE = (
    "accounts/clock/",
    "aggregator/api/client/",
    "aggregator/core/",
    "aggregator/dispatch/rules.py",
    "aggregator/forecasting/",
    "aggregator/metering/rules.py",
    "aggregator/ops/",
    "aggregator/outbox/client.py",
    "aggregator/protocols/",
    "aggregator/settlement/differences.py",  # as the next but one
    "aggregator/settlement/recomputing.py",  # as the next
    "aggregator/settlement/reconciling.py",  # what a command of staff compares
    "market/clearing/engine.py",
    "market/core/drill.py",
    "market/core/network.py",
    "market/core/parsing.py",
    "market/core/rules.py",
    "market/core/snapshot.py",
    "market/registry/prequalification_rules.py",  # findings, told in both languages themselves
)
# Of those, what a door hands on.
MET = (
    "aggregator/core/business_days.py",
    "aggregator/core/readings.py",
    "aggregator/core/zengin.py",
)
# Their answers are rules.
RETURNING = re.compile(r".*_fault|_broken_link|plausible_rule")
GAP = "{}"  # where a name or a number stands in a rule
Told = dict[str, set[str]]


class Source:
    """One module: its tree, and what its names may stand for."""

    def __init__(self, path: Path) -> None:
        self.name = str(path.relative_to(ROOT))
        self.tree = ast.parse(path.read_text(encoding="utf-8"))
        self.values: dict[str, list[ast.expr]] = defaultdict(list)
        for node in ast.walk(self.tree):
            targets = node.targets if isinstance(node, ast.Assign) else ()
            if isinstance(node, ast.AnnAssign | ast.NamedExpr) and node.value is not None:
                targets = (node.target,)
            for target in targets:
                self._named(target, node.value)  # type: ignore[attr-defined]

    def _named(self, target: ast.expr, value: ast.expr) -> None:
        if isinstance(target, ast.Name):
            self.values[target.id].append(value)
        elif isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple):
            for one, of in zip(target.elts, value.elts, strict=False):
                self._named(one, of)


@cache
def sources() -> tuple[Source, ...]:
    """Read every module of ours once."""
    paths = (path for layer in LAYERS for path in sorted((ROOT / layer).rglob("*.py")))
    return tuple(Source(path) for path in paths if "migrations" not in path.parts)


def _parameters(node: ast.FunctionDef) -> list[str]:
    names = [one.arg for one in (*node.args.posonlyargs, *node.args.args)]
    return names[1:] if names[:1] in (["self"], ["cls"]) else names


@cache
def _tellers() -> dict[str, int]:
    """Functions of ours with a parameter `rule`, and its place among those without a name."""
    found = {}
    for source in sources():
        for node in ast.walk(source.tree):
            if isinstance(node, ast.FunctionDef) and "rule" in _parameters(node):
                found[node.name] = _parameters(node).index("rule")
    return found


def _texts(node: ast.expr, source: Source, depth: int = 0) -> Iterator[str]:
    """Give the rules an expression may stand for, with a gap for each part that varies."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value
    elif isinstance(node, ast.JoinedStr):
        yield "".join(
            str(part.value) if isinstance(part, ast.Constant) else GAP for part in node.values
        )
    elif isinstance(node, ast.IfExp):
        yield from _texts(node.body, source, depth)
        yield from _texts(node.orelse, source, depth)
    elif isinstance(node, ast.BoolOp):
        for one in node.values:
            yield from _texts(one, source, depth)
    elif isinstance(node, ast.Name) and depth == 0:
        known = source.values.get(node.id, [])
        if not known and node.id.isupper():  # a constant of another module
            known = [value for other in sources() for value in other.values.get(node.id, ())]
        for value in known:
            yield from _texts(value, source, depth + 1)


def _told(node: ast.AST) -> Iterator[ast.expr]:
    """Give the expressions that stand for a rule where it is told: a call, or an answer."""
    if isinstance(node, ast.FunctionDef) and RETURNING.fullmatch(node.name):
        answers = (one.value for one in ast.walk(node) if isinstance(one, ast.Return))
        yield from filter(None, answers)
    if not isinstance(node, ast.Call):
        return
    name = getattr(node.func, "attr", getattr(node.func, "id", ""))
    words = {word.arg: word.value for word in node.keywords}
    if "rule" in words:
        yield words["rule"]
    place = _tellers().get(name)
    if place is not None:
        yield from node.args[place : place + 1]
    if name == "Stopped" and "detail_ja" not in words:
        yield from node.args[1:2]


@cache
def told_rules() -> Told:
    """Return every rule that may be told at a door, and where."""
    found: Told = defaultdict(set)
    for source in sources():
        if source.name.startswith(ELSEWHERE) and source.name not in MET:
            continue
        for node in ast.walk(source.tree):
            for value in _told(node):
                for text in _texts(value, source):
                    if not text.replace(GAP, ""):
                        continue  # nothing, or what somebody else has said
                    found[text].add(f"{source.name}:{getattr(value, 'lineno', 0)}")
    return found
