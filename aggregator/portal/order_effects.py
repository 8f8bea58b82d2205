"""What changing an order means, in kW and yen, for who asks and for who decides."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from typing import Any, Final

from django.utils.translation import gettext

from aggregator.dispatch.models import DispatchInstruction
from aggregator.portal import words
from market.clearing.models import AwardInterval, Leg
from market.core.timegrid import INTERVAL
from market.core.units import DIRECTION_SIGN

HOURS: Final = Decimal(INTERVAL // timedelta(minutes=1)) / 60
YEN: Final = Decimal(1)
ZERO: Final = Decimal(0)


@dataclass(frozen=True, kw_only=True)
class Slot:
    """One half hour that changes."""

    t: int
    before_kw: Decimal
    after_kw: Decimal
    price_jpy_per_kwh: Decimal | None

    @property
    def koma(self) -> str:
        """Its number and times."""
        return words.koma_full(self.t)

    @property
    def change_jpy(self) -> Decimal | None:
        """What the seller receives more, or less, if all of either order were delivered."""
        if self.price_jpy_per_kwh is None:
            return None
        return (self.after_kw - self.before_kw) * HOURS * self.price_jpy_per_kwh


@dataclass(frozen=True, kw_only=True)
class Effect:
    """What a change does; `payer` is who pays for a longer order."""

    what: str
    slots: tuple[Slot, ...]
    payer: str = ""

    @property
    def change_kwh(self) -> Decimal:
        """Energy ordered more, or less."""
        return sum(((one.after_kw - one.before_kw) * HOURS for one in self.slots), ZERO)

    @property
    def top_kw(self) -> Decimal:
        """The largest change of power."""
        return max((abs(one.after_kw - one.before_kw) for one in self.slots), default=ZERO)

    @property
    def change_jpy(self) -> Decimal:
        """Yen that change hands if all of either order were delivered."""
        told = sum((one.change_jpy or ZERO for one in self.slots), ZERO)
        return told.quantize(YEN, rounding=ROUND_HALF_UP)

    @property
    def stake(self) -> str:
        """Say who receives and pays how much."""
        yen = words.yen(abs(self.change_jpy))
        kwh = words.number(abs(self.change_kwh))
        if self.what == "EXTENDED":
            text = gettext("全量が実施されると、%(who)sが %(kwh)s kWh に %(yen)s円 を支払います。")
            return text % {"who": self.payer, "kwh": kwh, "yen": yen}
        if all(one.price_jpy_per_kwh is None for one in self.slots):
            return gettext(
                "調整力の呼出です。確保の支払と未達の評価は、この取消を踏まえて行います。"
            )
        text = gettext(
            "供出者の受取が最大 %(yen)s円（%(kwh)s kWh）減り、同じ額が買い手に戻ります。"
            "変更した30分に未達の負担金はかかりません。"
        )
        return text % {"kwh": kwh, "yen": yen}


def irreversible_of(what: str) -> str:
    """Say what cannot be undone."""
    if what == "EXTENDED":
        return gettext(
            "費用を負担する一般送配電事業者が承認すると、延長の指令を拠点に送ります。"
            "送った指令は元に戻せず、取り消すには別の依頼が必要です。"
        )
    if what == "PARTIAL":
        return gettext(
            "2人目が承認すると、減らした指令を拠点に送ります。"
            "減らした量は元に戻せず、同じ日に売り直しません。"
        )
    return gettext(
        "2人目が承認すると拠点に取消を送ります。"
        "取り消した指令は元に戻せません。すでに実施した30分の支払は変わりません。"
    )


def effect_of(
    row: DispatchInstruction, change: Mapping[str, Any], *, now: datetime, payer: str = ""
) -> Effect:
    """Return what a change, as its request keeps it, would do.

    Parameters
    ----------
    row
        The version that is changed.
    change
        ``what``; ``quantities_kw`` by half hour; ``price_jpy_per_kwh`` of an extension.
    now
        Market time: half hours that have begun are not taken back by a cancellation.
    payer
        Who pays for an extension, in words.
    """
    what = change["what"]
    ordered = {one.t: one for one in row.intervals.all()}
    asked = {int(t): Decimal(kw) for t, kw in change.get("quantities_kw", {}).items()}
    if what == "EXTENDED":
        price = Decimal(change["price_jpy_per_kwh"])
        added = tuple(
            Slot(t=t, before_kw=ZERO, after_kw=kw, price_jpy_per_kwh=price)
            for t, kw in sorted(asked.items())
        )
        return Effect(what=what, slots=added, payer=payer)
    if what == "CANCELLED":
        asked = {t: ZERO for t, one in ordered.items() if one.start_at >= now}
    prices = _prices(row)
    return Effect(
        what=what,
        slots=tuple(
            Slot(
                t=t,
                before_kw=ordered[t].quantity_kw if t in ordered else ZERO,
                after_kw=kw,
                price_jpy_per_kwh=prices.get(t),
            )
            for t, kw in sorted(asked.items())
        ),
    )


def _prices(row: DispatchInstruction) -> dict[int, Decimal]:
    """Return what a kWh of each half hour is sold for: by a stand-in, else by the award."""
    if row.award.leg == Leg.RESERVED:
        return {}
    sign = int(DIRECTION_SIGN[row.direction])
    sold = {
        t: sign * price
        for t, price in AwardInterval.objects.filter(award_id=row.award_id).values_list(
            "t", "price_jpy_per_kwh"
        )
    }
    own = {
        one.t: one.replacement_price_jpy_per_kwh
        for one in row.intervals.all()
        if one.replacement_price_jpy_per_kwh is not None
    }
    return sold | own


def effect_rows(effect: Effect) -> list[dict[str, str]]:
    """Return a table's rows: each half hour, from what to what."""
    return [
        {
            "label": one.koma,
            "before": f"{words.number(one.before_kw)} kW",
            "value": f"{words.number(one.after_kw)} kW",
            "price": words.number(one.price_jpy_per_kwh, 2),
            "yen": words.yen(one.change_jpy.quantize(YEN, rounding=ROUND_HALF_UP))
            if one.change_jpy is not None
            else words.UNKNOWN,
        }
        for one in effect.slots
    ]


def change_facts(effect: Effect) -> list[dict[str, str]]:
    """Return the same as plain lines, for the page of who decides."""
    found = []
    for one in effect_rows(effect):
        told = gettext("%(before)s → %(after)s（%(price)s円/kWh・%(yen)s円）") % {
            "before": one["before"],
            "after": one["value"],
            "price": one["price"],
            "yen": one["yen"],
        }
        found.append({"label": one["label"], "value": told})
    return found
