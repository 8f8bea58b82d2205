"""Who stands in for a silent or declining site: what the merit order gives, and asking it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.http import Http404, HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.translation import gettext
from django.views.decorators.http import require_http_methods

from aggregator.dispatch.models import DispatchInstruction
from aggregator.dispatch.seeking import (
    CHANGE,
    LOST,
    SEARCHED,
    Candidate,
    candidates_of,
    replacement_ask,
)
from aggregator.portal import words
from aggregator.portal.answering import Done, FormPage
from aggregator.portal.desk.auctions import ReasonForm
from aggregator.portal.desk.ordered import instruction_facts, instruction_in
from aggregator.portal.entering import person_required
from aggregator.portal.forms import PortalForm
from aggregator.portal.frame import frame, market_time, sight_in
from aggregator.portal.order_effects import HOURS, YEN, ZERO


@dataclass(frozen=True, kw_only=True)
class Standing:
    """How the search for a stand-in stands, for the instruction's page."""

    word: str
    tone: str = ""
    may_look: bool = False


def standing_of(
    row: DispatchInstruction, chain: Sequence[DispatchInstruction], now: datetime
) -> Standing | None:
    """Say whether somebody is looked for, and when; None where nobody has to be."""
    if row.state == "SENT":
        return Standing(
            word=gettext("応答がなければ、%(at)s の応答期限に自動で差し替えます。")
            % {"at": words.jst(row.respond_by_at, seconds=True)},
            may_look=row.ends_at > now,
        )
    if row.state not in LOST:
        return None
    if any(one.replaces_id == row.id for one in chain):
        return Standing(word=gettext("差し替え済みです。"))
    if row.ends_at <= now:
        return Standing(word=gettext("時間帯が終わり、差し替えはありませんでした。"), tone="crit")
    return Standing(
        word=gettext("まだ誰も代わっていません。候補を確かめて、もう一度探せます。"),
        tone="crit",
        may_look=True,
    )


@dataclass(frozen=True, kw_only=True)
class Row:
    """A candidate in words."""

    candidate: Candidate

    @property
    def slots(self) -> list[tuple[str, Decimal, Decimal]]:
        """Half hour, kW and price."""
        prices = self.candidate.price_jpy_per_kwh
        return [
            (words.koma_full(t), kw, prices[t])
            for t, kw in sorted(self.candidate.quantity_kw.items())
        ]

    @property
    def top_kw(self) -> Decimal:
        """The most it would act."""
        return max(self.candidate.quantity_kw.values(), default=ZERO)

    @property
    def pay_jpy(self) -> Decimal:
        """What it would receive for all of it."""
        prices = self.candidate.price_jpy_per_kwh
        told = sum((kw * HOURS * prices[t] for t, kw in self.candidate.quantity_kw.items()), ZERO)
        return told.quantize(YEN)


@person_required(CHANGE)
@require_http_methods(["GET", "HEAD", "POST"])
def instruction_stand_ins(request: HttpRequest, instruction_id: UUID) -> HttpResponse:
    """Show who would stand in, and at what price; look once more where nobody was found."""
    sight = sight_in(request)
    row = instruction_in(request, instruction_id)
    if not sight.may_everywhere(CHANGE):
        raise Http404(gettext("この指令は見つかりません。"))
    now = market_time().now
    if request.method != "POST" and (row.state not in SEARCHED or row.ends_at <= now):
        raise Http404(gettext("この指令に差し替えの候補はありません。"))
    back = reverse("portal:desk_instruction", args=[row.id])

    def work(clean: dict[str, Any]) -> Done:
        replacement_ask(instruction_id=row.id, reason=clean["reason"], by=sight)
        return Done(url=back, said=gettext("差し替えの探索を登録しました。"))

    def context(_form: PortalForm) -> dict[str, Any]:
        row.refresh_from_db()
        found = candidates_of(row) if row.state in SEARCHED else None
        rows = [Row(candidate=one) for one in found.candidates] if found else []
        return {
            **frame(request, page="desk_instructions"),
            "row": row,
            "facts": instruction_facts(row),
            "found": found,
            "candidates": rows,
            "total_jpy": sum((one.pay_jpy for one in rows), ZERO),
            "may_ask": row.state in LOST and not row.replaced_by.exists(),
            "back_url": back,
        }

    return FormPage(
        form=lambda fields, _files: ReasonForm(fields),
        work=work,
        template="portal/desk/stand_ins.html",
        context=context,
    ).answer(request)
