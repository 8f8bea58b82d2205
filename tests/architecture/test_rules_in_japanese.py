"""Every rule a caller can meet has one Japanese wording, and finds it with its numbers."""

from __future__ import annotations

import re

import pytest

from accounts.core.wording import CATALOGUE, GAP, catalogue, rule_ja
from tests.architecture.told_rules import told_rules

NUMBERED = re.compile(r"\{(\d*)\}")
JAPANESE = re.compile(r"[ぁ-んァ-ヶ一-龥]")
# What one says in a gap of another may be a rule of its own, which no marker may look like.
MARKERS = ("⟨0⟩", "⟨1⟩", "⟨2⟩", "⟨3⟩", "⟨4⟩")


def _filled(rule: str) -> str:
    for marker in MARKERS:
        rule = rule.replace(GAP, marker, 1)
    return rule


def test_every_rule_in_the_source_is_in_the_catalogue() -> None:
    missing = {rule: min(at) for rule, at in told_rules().items() if rule not in catalogue()}
    assert missing == {}


def test_the_catalogue_holds_no_rule_twice() -> None:
    blocks = CATALOGUE.read_text(encoding="utf-8").split("\n\n")
    lines = [[line for line in one.splitlines() if line[:1] not in ("", "#")] for one in blocks]
    assert {len(entry) for entry in lines if entry} == {2}
    said = [entry[0] for entry in lines if entry]
    assert len(said) == len(set(said))


def test_the_walk_finds_rules_however_they_are_told() -> None:
    found = told_rules()
    for rule in (
        "a finite number",  # rule="…"
        "between {} and {}",  # rule=f"…"
        "at most {} entries",  # rule=rule
        "must be above 0",  # reader.refuse("…")
        "a known stage",  # require(…, "…")
        "is verified",  # rule=a if b else c
        "must not have more than {} ancestors",  # returned
        "each column once",  # Stopped(code, "…")
    ):
        assert rule in found, rule


def test_gaps_are_carried_over_whole() -> None:
    for rule, japanese in catalogue().items():
        numbers = [number for number in NUMBERED.findall(japanese) if number]
        gaps = NUMBERED.findall(japanese)
        assert rule.count(GAP) == len(gaps), rule
        assert not numbers or sorted(map(int, numbers)) == list(range(len(gaps))), rule
        assert JAPANESE.search(japanese) or japanese.count(GAP), rule


def test_each_rule_finds_its_own_wording() -> None:
    wrong = []
    for rule, japanese in catalogue().items():
        turn = iter(MARKERS)
        own = NUMBERED.sub(lambda gap: MARKERS[int(gap[1])] if gap[1] else next(turn), japanese)  # noqa: B023 - used at once
        if rule_ja(_filled(rule)) != own:
            wrong.append((rule, rule_ja(_filled(rule))))
    assert wrong == []


@pytest.mark.parametrize(
    ("rule", "japanese"),
    [
        ("at most 300 characters", "300 文字以内"),
        ("between 0.1 and 100000000", "0.1 から 100000000 の間"),
        ("at most the 4000.0 kW of dkw-up-3h it is prequalified for",
         "dkw-up-3h について事前審査で認められた 4000.0 kW 以下"),
        ("a registered resource", "登録済みのリソース"),
        ("the code of a registered area", "登録済みのエリアのコード"),
        ("a block of the book would be left: must be a block of the same owner",
         "板に残るブロックの条件が崩れます：同じ所有者のブロックであること"),
        ("an organisation for which you may do bid.submit; name one of several",
         "bid.submit を行える組織（複数のうち1つを指定してください）"),
        ("This field cannot be blank.; at most 5", "空にはできません；5 以下"),
        ("of two\nlines or later", "of two\nlines 以降"),
        ("7 digits", "7 桁の数字"),
        ("1 to 30 half-width bytes", "半角で 1 から 30 バイト"),
        ("a bank business day; the next is 2026-09-28", "銀行営業日（次の営業日は 2026-09-28）"),
        ("nobody ever said this", ""),
        ("a known " + "x" * 500, ""),  # a text of that length quotes somebody
    ],
)  # fmt: skip
def test_rules_are_told_in_japanese(rule: str, japanese: str) -> None:
    assert rule_ja(rule) == japanese
