"""The page of roles says what the table of roles says."""

from __future__ import annotations

from accounts.parties.roles import MAY, ROLES_OF_KIND, Role
from aggregator.config.settings.identity import SECOND_FACTOR_ROLES
from tests.architecture.repository import ROOT

PAGE = ROOT / "docs" / "identity.md"


def _row(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


def actions_table() -> str:
    """Return what each role may do, as the page holds it."""
    roles = [role.value for role in Role]
    actions = sorted(set().union(*MAY.values()))
    lines = [_row(["action", *(f"`{role}`" for role in roles)]), "|---" * (len(roles) + 1) + "|"]
    lines += [
        _row([f"`{action}`", *("x" if action in MAY[role] else "" for role in roles)])
        for action in actions
    ]
    return "\n".join(lines)


def roles_table() -> str:
    """Return where each role can be had, and whether it needs a second factor."""
    lines = [_row(["role", "in organisations of kind", "second factor"]), "|---|---|---|"]
    for role in Role:
        kinds = [f"`{kind}`" for kind, roles in sorted(ROLES_OF_KIND.items()) if role in roles]
        everywhere = len(kinds) == len(ROLES_OF_KIND)
        lines.append(
            _row(
                [
                    f"`{role.value}`",
                    "all" if everywhere else ", ".join(kinds),
                    "required" if role in SECOND_FACTOR_ROLES else "",
                ]
            )
        )
    return "\n".join(lines)


def test_the_page_says_what_each_role_may_do() -> None:
    expected = actions_table()
    assert expected in PAGE.read_text(encoding="utf-8"), f"paste this:\n{expected}"


def test_the_page_says_where_each_role_can_be_had() -> None:
    expected = roles_table()
    assert expected in PAGE.read_text(encoding="utf-8"), f"paste this:\n{expected}"
