"""Change one thing at a time in code about money and see whether a test notices.

``python -m tests.mutation [--sample N] [--seed N] [MODULE ...]`` takes `N` changes of each module
(all of them without ``--sample``), runs the tests of the core and of properties once with each, and
prints the changes that no test noticed, the score of each module and of all. It takes minutes to
hours, so it is no part of the gate. The tests need no database: each change is tried in a process
forked off one that has loaded the tools, but none of the code.
"""

from __future__ import annotations

import argparse
import ast
import contextlib
import copy
import importlib.abc
import importlib.util
import io
import os
import random
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).resolve().parents[1]
TESTS = {
    "aggregator.core.settlement": (
        "tests/core/test_settlement.py",
        "tests/core/test_settlement_items.py",
        "tests/core/test_charges.py",
        "tests/properties/test_settlement_lines.py",
    ),
    "accounts.core.money": ("tests/core/test_money.py", "tests/properties/test_money_split.py"),
    "accounts.core.postings": ("tests/core/test_money_postings.py",),
    "accounts.core.tax": ("tests/core/test_money_tax.py",),
    "accounts.core.csvtext": ("tests/core/test_csvtext.py",),
    "accounts.core.files": ("tests/core/test_files.py",),
    "accounts.core.errors": ("tests/core/test_money.py", "tests/core/test_settlement.py"),
}
TIMEOUT_S = 120
COMPARISONS = {
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq, ast.Is: ast.IsNot, ast.IsNot: ast.Is, ast.In: ast.NotIn, ast.NotIn: ast.In,
}  # fmt: skip
OPERATIONS = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult,
    ast.FloorDiv: ast.Div, ast.Mod: ast.Mult, ast.BitAnd: ast.BitOr, ast.BitOr: ast.BitAnd,
}  # fmt: skip
CALLS = {"max": "min", "min": "max", "any": "all", "all": "any", "abs": "int"}


class Mutant:
    """One change: the module's tree with it, and where it is."""

    def __init__(self, tree: ast.Module, line: int, what: str) -> None:
        self.tree, self.line, self.what = tree, line, what


def mutants_of(source: str) -> Iterator[Mutant]:
    """Yield every change of a module that this program knows, in the order of its text.

    Docstrings, annotations, decorators, imports and the words of messages are left alone.
    """
    tree = ast.parse(source)
    spots = list(_spots(tree))
    for number in range(len(spots)):
        changed = copy.deepcopy(tree)
        node, change = list(_spots(changed))[number]
        what = change(node)
        yield Mutant(ast.fix_missing_locations(changed), getattr(node, "lineno", 0), what)


def _spots(tree: ast.Module) -> Iterator[tuple[ast.AST, object]]:
    left_alone = {
        id(part)
        for node in ast.walk(tree)
        for found in (
            getattr(node, "annotation", None),
            getattr(node, "returns", None),
            *getattr(node, "decorator_list", ()),
        )
        if found is not None
        for part in ast.walk(found)
    }
    for node in ast.walk(tree):
        if id(node) in left_alone:
            continue
        yield from ((node, change) for change in _changes(node))


def _changes(node: ast.AST) -> Iterator[object]:
    if isinstance(node, ast.Compare) and type(node.ops[0]) in COMPARISONS:
        yield _compared
    elif isinstance(node, ast.BinOp) and type(node.op) in OPERATIONS:
        yield _operated
    elif isinstance(node, ast.BoolOp):
        yield _joined
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not | ast.USub):
        yield _unsigned
    elif isinstance(node, ast.Constant) and type(node.value) in (int, bool):
        yield _counted
    elif isinstance(node, ast.Call) and getattr(node.func, "id", "") in CALLS:
        yield _called
    elif isinstance(node, ast.If | ast.IfExp):
        yield _decided
    elif isinstance(node, ast.AugAssign) and type(node.op) in OPERATIONS:
        yield _operated
    elif isinstance(node, ast.Return) and isinstance(node.value, ast.Name | ast.Call):
        yield _returned


def _compared(node: ast.Compare) -> str:
    before = type(node.ops[0])
    node.ops[0] = COMPARISONS[before]()
    return f"{before.__name__} → {type(node.ops[0]).__name__}"


def _operated(node: ast.BinOp | ast.AugAssign) -> str:
    before = type(node.op)
    node.op = OPERATIONS[before]()
    return f"{before.__name__} → {type(node.op).__name__}"


def _joined(node: ast.BoolOp) -> str:
    is_and = isinstance(node.op, ast.And)
    node.op = ast.Or() if is_and else ast.And()
    return "and → or" if is_and else "or → and"


def _unsigned(node: ast.UnaryOp) -> str:
    what = type(node.op).__name__
    node.op = ast.UAdd() if isinstance(node.op, ast.USub) else ast.Not()
    if isinstance(node.op, ast.Not):
        node.operand = ast.UnaryOp(op=ast.Not(), operand=node.operand)
    return f"{what} left out"


def _counted(node: ast.Constant) -> str:
    before = node.value
    node.value = (not before) if isinstance(before, bool) else before + 1  # type: ignore[operator]
    return f"{before} → {node.value}"


def _called(node: ast.Call) -> str:
    assert isinstance(node.func, ast.Name)
    before = node.func.id
    node.func.id = CALLS[before]
    return f"{before} → {node.func.id}"


def _decided(node: ast.If | ast.IfExp) -> str:
    node.test = ast.UnaryOp(op=ast.Not(), operand=node.test)
    return "condition turned round"


def _returned(node: ast.Return) -> str:
    node.value = ast.Constant(value=None)
    return "returns None"


class Replacing(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Load one module from a changed tree instead of its file."""

    def __init__(self, module: str, path: Path, tree: ast.Module) -> None:
        self.module, self.path, self.tree = module, path, tree

    def find_spec(self, name: str, path: object, target: object = None) -> object:
        """Claim the module that is replaced."""
        del path, target
        if name != self.module:
            return None
        return importlib.util.spec_from_loader(name, self, origin=str(self.path))

    def create_module(self, spec: object) -> None:
        """Leave it to the default."""
        del spec

    def exec_module(self, module: ModuleType) -> None:
        """Run the changed tree."""
        exec(compile(self.tree, str(self.path), "exec"), module.__dict__)  # noqa: S102 - our own


def is_noticed(module: str, mutant: Mutant) -> bool:
    """Return whether a test fails, or none ends, with a change."""
    pid = os.fork()
    if pid == 0:
        os._exit(_tried(module, mutant))
    deadline = time.monotonic() + TIMEOUT_S
    while time.monotonic() < deadline:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status) != 0
        time.sleep(0.02)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    return True


def _tried(module: str, mutant: Mutant) -> int:
    import hypothesis
    import pytest

    # slow is not wrong, and the same change is judged by the same examples
    hypothesis.settings.register_profile("mutation", deadline=None, derandomize=True)
    hypothesis.settings.load_profile("mutation")
    sys.meta_path.insert(0, Replacing(module, _path_of(module), mutant.tree))
    options = [
        *("-c", os.devnull, "--rootdir", str(ROOT), "--import-mode=importlib", "--noconftest"),
        *("-x", "-q", "-p", "no:django", "-p", "no:cacheprovider"),
    ]
    with open(os.devnull, "w") as nowhere:  # noqa: PTH123 - a descriptor is what is replaced
        os.dup2(nowhere.fileno(), 1)
        os.dup2(nowhere.fileno(), 2)
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            return int(pytest.main([*options, *TESTS[module]]))


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def _path_of(module: str) -> Path:
    return ROOT / f"{module.replace('.', '/')}.py"


def main(argv: list[str]) -> int:
    """Try changes, print what nobody noticed and the score; 0 if the tests pass unchanged."""
    parser = argparse.ArgumentParser(prog="tests.mutation")
    parser.add_argument("--sample", type=int, help="changes of each module; else all")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("modules", nargs="*", default=list(TESTS))
    asked = parser.parse_args(argv)
    os.chdir(ROOT)
    sys.path.insert(0, str(ROOT))
    import hypothesis
    import pytest

    del hypothesis, pytest
    tried = noticed = 0
    for module in asked.modules:
        source = _path_of(module).read_text(encoding="utf-8")
        if is_noticed(module, Mutant(ast.parse(source), 0, "nothing")):
            _say(f"{module}: the tests fail without a change")
            return 1
        mutants = list(mutants_of(source))
        chosen = mutants
        if asked.sample is not None and asked.sample < len(mutants):
            chosen = random.Random(asked.seed).sample(mutants, asked.sample)  # noqa: S311
        seen = 0
        for mutant in chosen:
            if is_noticed(module, mutant):
                seen += 1
            else:
                _say(f"  {module}:{mutant.line}: {mutant.what}")
        _say(f"{module}: {seen} of {len(chosen)} noticed ({len(mutants)} known)")
        tried, noticed = tried + len(chosen), noticed + seen
    _say(f"score: {noticed / tried:.1%} of {tried}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
