"""Whatever the book looks like: stand-ins stay within what is lost, offered and safe."""

from __future__ import annotations

from decimal import Decimal

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from aggregator.core.replacement import TICK_KW, Element, Loss, Offer, Step, stand_ins

tenths = st.integers(0, 5_000).map(lambda n: Decimal(n) / 10)
asks = st.integers(-500, 20_000).map(lambda n: Decimal(n) / 100)
sensitivities = st.fixed_dictionaries(
    {name: st.floats(-1, 1).map(lambda x: round(x, 3)) for name in ("line", "other")}
)
ratios = st.sampled_from([1.0, 1.02, 1.05, 1.1])


@st.composite
def books(draw: st.DrawFn) -> tuple[Loss, list[Offer], list[Element]]:
    """Draw a loss over two half hours, up to six offers of up to four resources, two elements."""
    sign = draw(st.sampled_from([1, -1]))
    loss = Loss(
        area="03",
        sign=sign,
        sent_per_received_ratio=draw(ratios),
        sensitivity_kw_per_kw=draw(sensitivities),
        quantity_kw=draw(st.lists(tenths, min_size=2, max_size=2)),
        price_max_jpy_per_kwh=draw(st.lists(asks, min_size=2, max_size=2)),
    )
    left_kw = {
        name: draw(st.lists(tenths, min_size=2, max_size=2)) for name in ("r0", "r1", "r2", "r3")
    }
    offers = []
    for number in range(draw(st.integers(0, 6))):
        resource = draw(st.sampled_from(sorted(left_kw)))
        steps = [
            [
                Step(quantity_kw=draw(tenths), ask_jpy_per_kwh=ask)
                for ask in sorted(draw(st.lists(asks, max_size=3)))
            ]
            for _ in range(2)
        ]
        offers.append(
            Offer(
                key=f"offer-{number}",
                resource=resource,
                area=draw(st.sampled_from(["03", "03", "02"])),
                sign=draw(st.sampled_from([sign, sign, -sign])),
                sent_per_received_ratio=draw(ratios),
                sensitivity_kw_per_kw=draw(sensitivities),
                steps=steps,
                left_kw=left_kw[resource],
            )
        )
    elements = [
        Element(
            code=code,
            rating_kw=float(draw(st.integers(0, 500))),
            flow_kw=np.array([float(draw(st.integers(-600, 600))) for _ in range(2)]),
            relieved_sign=[draw(st.sampled_from([-1, 0, 1])) for _ in range(2)],
        )
        for code in ("line", "other")
    ]
    return loss, offers, elements


@settings(max_examples=200, deadline=None)
@given(books())
def test_stand_ins_stay_within_what_is_lost_offered_and_safe(
    book: tuple[Loss, list[Offer], list[Element]],
) -> None:
    loss, offers, elements = book
    found = stand_ins(loss, offers, elements)
    assert found == stand_ins(loss, offers[::-1], elements)
    by_key = {offer.key: offer for offer in offers}
    for t in range(2):
        given_kw = {row.key: row.quantity_kw[t] for row in found if t in row.quantity_kw}
        sent_kw = sum(float(kw) * by_key[k].sent_per_received_ratio for k, kw in given_kw.items())
        lost_kw = float(loss.quantity_kw[t]) * loss.sent_per_received_ratio
        # the last stand-in may round up by less than one tick
        assert sent_kw < lost_kw + float(TICK_KW) * 1.1 or not given_kw
        for resource in {by_key[key].resource for key in given_kw}:
            used = sum(kw for k, kw in given_kw.items() if by_key[k].resource == resource)
            left = next(offer.left_kw[t] for offer in offers if offer.resource == resource)
            assert used <= left
        for key, kw in given_kw.items():
            offer = by_key[key]
            assert (offer.area, offer.sign) == (loss.area, loss.sign)
            assert TICK_KW <= kw <= sum(step.quantity_kw for step in offer.steps[t])
        for row in found:
            if t in row.quantity_kw:
                cheapest = min(step.ask_jpy_per_kwh for step in by_key[row.key].steps[t])
                assert cheapest <= row.price_jpy_per_kwh(t) <= loss.price_max_jpy_per_kwh[t]
        for element in elements:
            before = float(element.flow_kw[t])
            after = before + sum(
                by_key[key].sign
                * by_key[key].sent_per_received_ratio
                * by_key[key].sensitivity_kw_per_kw[element.code]
                * float(kw)
                for key, kw in given_kw.items()
            )
            assert abs(after) <= max(element.rating_kw, abs(before)) + 1e-6
