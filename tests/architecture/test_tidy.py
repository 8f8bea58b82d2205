"""Small functions, small files, nothing left lying about."""

from __future__ import annotations

import ast
import functools
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.architecture.repository import PACKAGES, ROOT, files, python_files, text_of

FUNCTION_LINES_MAX = 70
MODULE_LINES_MAX = 500
# where yen are counted; durations of leases in accounts/jobs are no money
MONEY = ("accounts/core/", "accounts/ledger/", "accounts/parties/", "aggregator/settlement/")
WORKPLACE_PATHS = tuple("/" + name + "/" for name in ("work", "root"))
REGISTRY_HOSTS = tuple(
    ".".join(parts)
    for parts in (
        ("pypi", "org"),
        ("files", "pythonhosted", "org"),
        ("registry", "npmjs", "org"),
        ("proxy", "golang", "org"),
    )
)


@functools.cache
def _tree(path: Path) -> ast.Module:
    return ast.parse((ROOT / path).read_text(encoding="utf-8"), str(path))


def _calls(path: Path, name: str) -> Iterator[str]:
    for node in ast.walk(_tree(path)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == name:
            yield f"{path}:{node.lineno}"


def _body_lines_count(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines of a function without its docstring: explaining more is never a fault."""
    count = (node.end_lineno or 0) - node.lineno + 1
    if ast.get_docstring(node) is not None:
        said = node.body[0]
        count -= (said.end_lineno or 0) - said.lineno + 1
    return count


def test_functions_fit_on_a_screen() -> None:
    long = [
        f"{path}:{node.lineno} {node.name}"
        for path in python_files()
        for node in ast.walk(_tree(path))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and _body_lines_count(node) > FUNCTION_LINES_MAX
    ]
    assert long == []


def test_modules_have_one_purpose() -> None:
    long = [
        str(path)
        for path in python_files()
        if len((ROOT / path).read_text(encoding="utf-8").splitlines()) > MODULE_LINES_MAX
    ]
    assert long == []


def test_every_package_says_what_it_is_for() -> None:
    silent = [
        str(path)
        for path in python_files(with_tests=False)
        if path.name == "__init__.py" and ast.get_docstring(_tree(path)) is None
    ]
    assert silent == []


def test_every_folder_with_modules_is_a_package() -> None:
    folders = {path.parent for path in python_files() if path.parts[0] in PACKAGES}
    assert [str(f) for f in sorted(folders) if not (ROOT / f / "__init__.py").exists()] == []


def test_money_never_passes_through_float() -> None:
    found = [
        where
        for path in python_files(with_tests=False)
        if str(path).startswith(MONEY)
        for where in _calls(path, "float")
    ]
    assert found == []


def test_only_commands_print() -> None:
    found = [
        where
        for path in python_files()
        if not {"commands", "examples"} & set(path.parts)
        for name in ("print", "breakpoint", "pprint")
        for where in _calls(path, name)
    ]
    assert found == []


def _is_naive(node: ast.Call) -> bool:
    name = node.func.attr if isinstance(node.func, ast.Attribute) else ""
    if isinstance(node.func, ast.Name):
        name = node.func.id
    named = {keyword.arg for keyword in node.keywords}
    if name == "datetime":
        # a class of that name takes year, month, day, …; the zone is the eighth
        return bool(node.args) and len(node.args) < 8 and "tzinfo" not in named
    return name in ("utcnow", "utcfromtimestamp")


def test_every_moment_has_a_zone() -> None:
    naive = [
        f"{path}:{node.lineno}"
        for path in python_files(with_tests=False)
        for node in ast.walk(_tree(path))
        if isinstance(node, ast.Call) and _is_naive(node)
    ]
    assert naive == []


def test_every_test_file_tests_something() -> None:
    empty = [
        str(path)
        for path in python_files()
        if path.parts[0] == "tests"
        and path.name.startswith("test_")
        and not any(
            isinstance(node, ast.FunctionDef | ast.ClassDef)
            and node.name.lower().startswith(("test", "machine"))
            for node in ast.walk(_tree(path))
        )
    ]
    assert empty == []


def test_test_files_have_names_of_their_own() -> None:
    names = [path.name for path in python_files() if path.name.startswith("test_")]
    assert sorted({name for name in names if names.count(name) > 1}) == []


@pytest.mark.parametrize("words", [WORKPLACE_PATHS, REGISTRY_HOSTS], ids=["paths", "registries"])
def test_no_file_names_a_machine_or_a_registry(words: tuple[str, ...]) -> None:
    found = [
        f"{path}: {word}" for path in files() for word in words if word in (text_of(path) or "")
    ]
    assert found == []


def test_the_root_holds_nothing_unexpected() -> None:
    allowed = {
        *PACKAGES,
        *("manage.py", "pyproject.toml", "README.md", "LICENSE", "CHANGELOG.md"),
        *("docs", "tests", "deploy"),
    }
    top = {path.parts[0] for path in files()}
    assert {name for name in top if not name.startswith(".")} <= allowed
