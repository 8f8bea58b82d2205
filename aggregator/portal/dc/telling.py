"""What a bid's page says of the offer as it is typed: totals, margins, risk, past prices."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from statistics import median
from typing import Any

from django.utils.translation import gettext

from accounts.core.errors import Refused
from aggregator.portal import words
from aggregator.portal.dc import meaning, past
from aggregator.portal.dc.desk import BidDesk
from aggregator.portal.dc.offers import OfferForm, StepsForm
from market.trading.bid_checks import refuse_unsellable
from market.trading.drafts import drafts_of
from market.trading.models import BidForm, Direction

ONE = "bids[0]"


@dataclass(kw_only=True)
class Told:
    """What is known of an offer; parts are absent while it cannot be read."""

    form: OfferForm
    is_valid: bool = False
    content: dict[str, Any] | None = None
    effect: meaning.Effect | None = None
    curve: meaning.Curve | None = None
    margins: dict[int, str] = field(default_factory=dict)
    past: list[meaning.PastDay] = field(default_factory=list)
    band: tuple[Decimal, Decimal] | None = None
    risk: meaning.Risk | None = None

    @property
    def errors(self) -> dict[str, str]:
        """Sentences by field, for the page's script."""
        if self.is_valid:
            return {}
        return {
            name: " ".join(str(text) for text in found) for name, found in self.form.errors.items()
        }

    @property
    def past_gain_jpy(self) -> Decimal | None:
        """Mean gain of the past days."""
        if not self.past:
            return None
        return sum((day.gain_jpy for day in self.past), Decimal(0)) / len(self.past)

    @property
    def past_received_jpy(self) -> Decimal | None:
        """Mean receipts of the past days."""
        if not self.past:
            return None
        return sum((day.received_jpy for day in self.past), Decimal(0)) / len(self.past)

    @property
    def summary(self) -> list[tuple[str, str, str]]:
        """Figures of the bottom bar: name, figure, unit."""
        if self.effect is None:
            return []
        found = [(gettext("最大の変化"), words.number(self.effect.peak_kw), "kW")]
        if self.curve is not None:
            count = self.curve.count
            found = [
                (
                    gettext("合計"),
                    words.number(self.curve.total_kw),
                    gettext("kW × %(count)dコマ") % {"count": count},
                ),
                (
                    gettext("加重平均"),
                    words.number(self.curve.mean_jpy_per_kwh, 2),
                    gettext("円/kWh"),
                ),
            ]
        if self.effect.less_kwh:
            found.append((gettext("減らす"), words.number(self.effect.less_kwh / 1000, 1), "MWh"))
        if self.effect.more_kwh:
            found.append((gettext("増やす"), words.number(self.effect.more_kwh / 1000, 1), "MWh"))
        if self.past:
            figure, unit = words.yen_headline(self.past_received_jpy)
            found.append((gettext("受取の見込み（直近の平均）"), figure, unit))
        return found


def told_of(desk: BidDesk, form: OfferForm) -> Told:
    """Read an offer as the market would, and say what it means; nothing is stored."""
    told = Told(form=form, is_valid=form.is_bound and form.is_valid() and not form.errors)
    if not form.is_bound:
        return told
    if told.is_valid:
        told.is_valid = judged(desk, form)
    if form.errors and not isinstance(form, StepsForm):
        return told
    try:
        told.content = form.content(form.cleaned_data)
    except (KeyError, TypeError, ValueError, AttributeError):
        return told  # a field it needs is not there yet; its error says so
    _mean(told, desk)
    return told


def judged(desk: BidDesk, form: OfferForm) -> bool:
    """Whether the services would take the bid now; if not, errors are put at the fields."""
    from django.core.exceptions import ValidationError

    try:
        body = desk.bid_body(form)
        drafts = drafts_of(desk.organisation, [body])
        refuse_unsellable(desk.auction, desk.organisation, drafts)
    except ValidationError as error:
        form.add_error(None, error)
        return False
    except Refused as refused:
        refuse(form, refused)
        return False
    return True


def refuse(form: OfferForm, refused: Refused) -> None:
    """Put a refusal of the bid at its field."""
    if isinstance(form, StepsForm):
        place = form.place_of(refused.field)
        if place is not None:
            form.refuse(refused, lambda _: place)
            return
    form.refuse(refused)


def _mean(told: Told, desk: BidDesk) -> None:
    assert_content = told.content or {}
    series = list(desk.prices.values())
    latest = series[-1] if series else None
    form = told.form.form
    if form == BidForm.STEPS and not assert_content["curves"][0]["steps"]:
        return
    told.effect = meaning.effect_of(form, assert_content, latest)
    if form == BidForm.STEPS:
        _mean_curve(told, desk, assert_content)
    else:
        _mean_answers(told, desk, assert_content)


def _mean_answers(told: Told, desk: BidDesk, content: dict[str, Any]) -> None:
    """Say what the latest days would have paid for what is no curve of steps."""
    answers = past.answers_of(desk, content)
    if not answers:
        return
    form = told.form.form
    told.past = past.days_of(answers, desk.floors, form=form, content=content)
    if form == BidForm.STORAGE:
        told.effect = past.effect_at(answers[-1][1])
    price = past.sold_at_jpy_per_kwh(answers)
    if price is None or told.effect is None or content.get("direction") == Direction.DOWN:
        return
    kwh = sum((day.sold_kwh for day in told.past), Decimal(0)) / len(told.past)
    told.risk = meaning.risk_of(
        kwh, told.effect.peak_kw, price=price, gain_jpy=told.past_gain_jpy or Decimal(0),
        rules=desk.rules,
    )  # fmt: skip


def _mean_curve(told: Told, desk: BidDesk, content: dict[str, Any]) -> None:
    curve = told.curve = meaning.curve_of(content)
    floors = desk.floors if curve.is_up else []
    for i, margin in enumerate(meaning.margins(curve, floors)):
        if margin is not None:
            told.margins[i] = ("+" if margin >= 0 else "") + words.number(margin, 2)
    if desk.prices:
        told.past = meaning.past_days(curve, floors, desk.prices)
        told.band = meaning.band(desk.prices, curve.first_t, curve.last_t)
    price = _reference(desk, curve)
    gain = told.past_gain_jpy
    if price is not None and content["direction"] == Direction.UP:
        kwh = curve.total_kw * curve.count * meaning.H
        told.risk = meaning.risk_of(
            kwh, curve.total_kw, price=price, gain_jpy=gain or Decimal(0), rules=desk.rules
        )


def _reference(desk: BidDesk, curve: meaning.Curve) -> Decimal | None:
    """Return the price at which being wrong is told: past prices' median, else the mean ask."""
    values = [
        series[t] for series in desk.prices.values() for t in range(curve.first_t, curve.last_t + 1)
    ]
    return median(values) if values else curve.mean_jpy_per_kwh
