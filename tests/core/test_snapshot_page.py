"""The document on the snapshot page is a snapshot, and clears as the page says."""

from __future__ import annotations

import json
import re
from pathlib import Path

from tests.books import Result

PAGE = Path(__file__).resolve().parents[2] / "docs" / "snapshot.md"


def test_the_example_of_the_page_clears_as_it_says() -> None:
    (example,) = re.findall(r"```json\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    result = Result(json.loads(example))
    assert result.award_kw("out") == result.award_kw("in") == [200.0]
    assert result.price("areas", "03") == [5.0]
    assert result.price("needs", "need") == [15.0]
    assert result.price("places", "A") == [20.0]
