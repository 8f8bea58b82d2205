"""Rules in Japanese: one catalogue beside this module, found by what a refusal says in English.

Refusals are raised with the rule that is broken in English, numbers and names already in it. The
catalogue holds each rule once with gaps for what varies; what stands in the gaps is carried over.
A test walks the source and finds the rule that has no Japanese.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Final, NamedTuple

CATALOGUE: Final = Path(__file__).with_name("rules_ja.txt")
GAP: Final = "{}"
RULE_LENGTH_MAX: Final = 500  # longer texts quote somebody; gaps are searched in linear rules only
_FILLED_GAP: Final = r"((?:(?!; ).)+?)"  # semicolons join rules
_NUMBERED: Final = re.compile(r"\{(\d*)\}")


class Entry(NamedTuple):
    """A rule with gaps, and how to find and fill them."""

    pattern: re.Pattern[str]
    japanese: str


@cache
def catalogue() -> Mapping[str, str]:
    """Return the Japanese of each rule, as written in the catalogue."""
    found: dict[str, str] = {}
    for block in CATALOGUE.read_text(encoding="utf-8").split("\n\n"):
        lines = [line for line in block.splitlines() if line and not line.startswith("#")]
        if lines:
            english, japanese = lines
            found[english] = japanese
    return found


@cache
def _entries() -> tuple[Entry, ...]:
    """Return the rules with gaps; those that say most come first."""
    gapped = [rule for rule in catalogue() if GAP in rule]
    gapped.sort(key=lambda rule: (-len(rule.replace(GAP, "")), rule.count(GAP)))
    return tuple(
        Entry(
            re.compile(_FILLED_GAP.join(map(re.escape, rule.split(GAP))), re.DOTALL),
            catalogue()[rule],
        )
        for rule in gapped
    )


def rule_ja(rule: str) -> str:
    """Return a rule in Japanese; an empty text if the catalogue has none.

    Parameters
    ----------
    rule
        As a refusal says it. What stands in its gaps may be a rule or a word of the catalogue,
        and several rules may be joined by semicolons.
    """
    known = catalogue().get(rule)
    if known is not None and GAP not in rule:
        return known
    if len(rule) > RULE_LENGTH_MAX:
        return ""
    for entry in _entries():
        found = entry.pattern.fullmatch(rule)
        if found is not None:
            return _filled(entry.japanese, found.groups())
    parts = rule.split("; ")
    if len(parts) > 1 and all(told := [rule_ja(part) for part in parts]):
        return "；".join(told)
    return ""


def _filled(japanese: str, given: tuple[str, ...]) -> str:
    """Fill the gaps, numbered or in their order."""
    told = [rule_ja(text) or text for text in given]
    turn = iter(range(len(told)))

    def one(gap: re.Match[str]) -> str:
        return told[int(gap[1]) if gap[1] else next(turn)]

    return _NUMBERED.sub(one, japanese)
