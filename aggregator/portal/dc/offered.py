"""Which forms of an offer people fill in, and how they are named."""

from __future__ import annotations

from typing import Final

from django.utils.translation import gettext

from aggregator.portal import words
from aggregator.portal.dc.offers import STEPS_MAX, BlockForm, Content, OfferForm, StepsForm
from aggregator.portal.dc.offers_special import (
    DESTINATIONS_MAX,
    DeferralForm,
    ShiftForm,
    StorageForm,
)
from market.trading.models import BidForm

OFFERS: Final[dict[str, type[OfferForm]]] = {
    BidForm.STEPS: StepsForm,
    BidForm.BLOCK: BlockForm,
    BidForm.STORAGE: StorageForm,
    BidForm.DEFERRAL: DeferralForm,
    BidForm.SHIFT: ShiftForm,
}


def form_word(form: str) -> str:
    """Name a form of bid in the page's language."""
    return {
        "STEPS": gettext("段階入札"),
        "BLOCK": gettext("ブロック"),
        "STORAGE": gettext("蓄電池"),
        "DEFERRAL": gettext("時間シフト"),
        "SHIFT": gettext("空間シフト"),
        "RENEWABLE": gettext("再エネ"),
        "PORTFOLIO": gettext("ポートフォリオ"),
        "CAPACITY": gettext("調整力（ΔkW）"),
        "COMPUTE_OFFER": gettext("計算の提供"),
        "COMPUTE_REQUEST": gettext("計算の依頼"),
    }.get(form, form)


def whole_in_form(form: str, content: Content) -> bool:
    """Whether a form shows all that an offer says; others are edited as CSV or by the API."""
    if form == BidForm.STEPS:
        return len(content["curves"]) == 1 and len(content["curves"][0]["steps"]) <= STEPS_MAX
    if form == BidForm.SHIFT:
        return len(content["offers"]) == 1 and len(content["destinations"]) <= DESTINATIONS_MAX
    return form in OFFERS and "run_min_count" not in content


def window_word(first_t: int, end_t: int) -> str:
    """Say a stretch of half hours: its numbers and times."""
    return gettext("コマ%(first)d–%(last)d（%(start)s–%(end)s）") % {
        "first": first_t + 1,
        "last": end_t,
        "start": words.clock(first_t),
        "end": words.clock(end_t),
    }
