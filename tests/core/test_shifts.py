"""Both ends of a shift: what left counts only as far as it arrived, and where it may."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accounts.core.errors import Refused
from aggregator.core.shifts import End, ShiftRules, Work, effects_kw, shift_check

D = Decimal


def _end(award: str, kwh: str, log: str | None = None, *, ratio: str = "1", at: str = "jp") -> End:
    works = None if log is None else (Work(label="jp", quantity=D(log), is_allowed=at == "jp"),)
    return End(award=award, delivered_kwh=D(kwh), ratio=D(ratio), log=works)


# out kWh, log; in kWh, log, ratio, place -> counted out, counted in, ratio, conserved, labels
GOLDEN = {
    # both meters agree within 2 % of 100: nothing is taken away
    "agree": (("100", None), ("98", None, "1", "jp"), ("100", "98", "0.98", True, True)),
    # 97.9 is beyond: A counts what arrived
    "lost": (("100", None), ("97.9", None, "1", "jp"), ("97.9", "97.9", "0.979", False, True)),
    # B rose by more than left A: it counts what left, 80 of 100
    "phantom": (("80", None), ("100", None, "1", "jp"), ("80", "80", "1.25", False, True)),
    # the work takes 1.1 kW at B per kW at A: 110 / 1.1 = 100
    "ratio": (("100", None), ("110", None, "1.1", "jp"), ("100", "110", "1", True, True)),
    # the meters agree, the log says that 80 of 100 GPU-h ran: 100 · 0.8 = 80 at both
    "log": (("100", "100"), ("100", "80", "1", "jp"), ("80", "80", "0.8", False, True)),
    # 102 of 100 GPU-h is within tolerance
    "log agrees": (("100", "100"), ("100", "102", "1", "jp"), ("100", "100", "1.02", True, True)),
    # all of it ran where it may not: nothing counts
    "label": (("100", "50"), ("100", "50", "1", "us"), ("0", "0", "0", False, False)),
    # nothing left, B rose: nothing moved
    "nothing": (("0", None), ("10", None, "1", "jp"), ("0", "0", "None", False, True)),
    # neither end did anything: they agree
    "idle": (("0", None), ("0", None, "1", "jp"), ("0", "0", "None", True, True)),
}


@pytest.mark.parametrize("name", GOLDEN)
def test_both_ends_count_what_they_agree_on(name: str) -> None:
    (out_kwh, out_log), (in_kwh, in_log, ratio, place), expected = GOLDEN[name]
    found = shift_check(
        _end("a", out_kwh, out_log), [_end("b", in_kwh, in_log, ratio=ratio, at=place)]
    )
    counted_out, counted_in, arrived, is_conserved, labels_ok = expected
    assert found.delivered_kwh == {"a": D(counted_out), "b": D(counted_in)}
    assert str(found.ratio) == arrived or found.ratio == D(arrived)
    assert (found.is_conserved, found.labels_ok) == (is_conserved, labels_ok)
    assert found.counted_kwh == D(counted_out)


def test_work_of_one_forbidden_label_among_two_is_taken_from_both_ends() -> None:
    # 60 of 100 may be at B: A counts 100 · 0.6 = 60, B 100 · 60/100 = 60.
    log = (
        Work(label="jp", quantity=D(60)),
        Work(label="medical", quantity=D(40), is_allowed=False),
    )
    found = shift_check(_end("a", "100", "100"), [End(award="b", delivered_kwh=D(100), log=log)])
    assert found.delivered_kwh == {"a": D(60), "b": D(60)}
    assert found.refused == ("medical",)


def test_several_destinations_are_one_arrival() -> None:
    # 60 at B and 44 / 1.1 = 40 at C: all of 100; then C fails and A counts B's 60.
    whole = shift_check(_end("a", "100"), [_end("b", "60"), _end("c", "44", ratio="1.1")])
    assert whole.is_conserved
    assert whole.moved_in_kwh == D(100)
    short = shift_check(_end("a", "100"), [_end("b", "60"), _end("c", "0", ratio="1.1")])
    assert short.delivered_kwh == {"a": D(60), "b": D(60), "c": D(0)}


def test_without_a_log_that_the_rules_demand_nothing_counts() -> None:
    rules = ShiftRules(is_log_required=True)
    found = shift_check(_end("a", "100"), [_end("b", "100")], rules=rules)
    assert found.delivered_kwh == {"a": D(0), "b": D(0)}
    assert not found.has_log


def test_the_effect_on_an_element_is_the_sum_of_both_ends() -> None:
    # 1,000 kW leave A (h = −0.6), 1,000 arrive at B (h = −0.2), sent 1/0.98 per received:
    # −0.6 · 1,000 / 0.98 + 0.2 · 1,000 / 0.98 = −408.163…
    sent = 1 / D("0.98")
    found = effects_kw(
        [({"line": -0.6, "far": 0.0}, D(1000), sent), ({"line": -0.2}, D(-1000), sent)]
    )
    assert found == {"far": D("0.0"), "line": D("-408.2")}


@pytest.mark.parametrize(
    ("out", "arrivals"),
    [
        (_end("a", "-1"), []),
        (_end("a", "NaN"), []),
        (_end("a", "Infinity"), []),
        (_end("a", "1"), [_end("a", "1")]),
        (_end("a", "1"), [_end("b", "1", ratio="0")]),
        (_end("a", "1", "-5"), [_end("b", "1", "5")]),
    ],
)
def test_ends_that_make_no_sense_are_refused(out: End, arrivals: list[End]) -> None:
    with pytest.raises(Refused):
        shift_check(out, arrivals)


KWH = st.integers(0, 10**9).map(lambda wh: D(wh) / 1000)
LOG = st.none() | st.lists(
    st.builds(
        Work,
        label=st.sampled_from(["", "jp", "eu"]),
        quantity=st.integers(0, 10**6).map(lambda n: D(n) / 1000),
        is_allowed=st.booleans(),
    ),
    max_size=3,
).map(tuple)
RATIO = st.integers(500, 2000).map(lambda n: D(n) / 1000)


@given(
    out=st.builds(End, award=st.just("a"), delivered_kwh=KWH, log=LOG),
    arrivals=st.lists(
        st.builds(End, award=st.uuids().map(str), delivered_kwh=KWH, ratio=RATIO, log=LOG),
        max_size=4,
        unique_by=lambda end: end.award,
    ),
    is_log_required=st.booleans(),
)
def test_a_check_never_adds_and_what_counts_agrees(
    *, out: End, arrivals: list[End], is_log_required: bool
) -> None:
    rules = ShiftRules(is_log_required=is_log_required)
    found = shift_check(out, arrivals, rules=rules)
    assert shift_check(out, arrivals[::-1], rules=rules) == found
    for end in [out, *arrivals]:
        assert 0 <= found.delivered_kwh[end.award] <= end.delivered_kwh
    left = found.delivered_kwh["a"]
    arrived = sum((found.delivered_kwh[end.award] / end.ratio for end in arrivals), D(0))
    # what counts at both ends agrees within tolerance, up to a Wh of rounding per end
    assert abs(arrived - left) <= rules.tolerance_ratio * left + D("0.002") * (1 + len(arrivals))
