"""Changing an order: less, longer, nothing more, or stopped at once; kW and yen before the click.

Less and longer are typed first and shown with their consequence second; the service judges both
times. Nothing of the first time is kept.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse, QueryDict
from django.urls import reverse
from django.utils.translation import gettext, gettext_lazy
from django.views.decorators.http import require_http_methods

from accounts.core.errors import NotFound, NotPermitted, Refused
from accounts.fields import KW_MAX, PRICE_MAX_JPY_PER_KWH
from accounts.parties.models import Organisation, OrganisationKind
from accounts.parties.sight import Sight
from aggregator.dispatch.changes import (
    CANCELLABLE,
    CHANGE,
    CHANGEABLE,
    change_request,
)
from aggregator.dispatch.models import OPEN_STATES, DispatchInstruction, ServedNeed
from aggregator.dispatch.services import instruction_cancel
from aggregator.portal import order_effects, words
from aggregator.portal.answering import UNPROCESSABLE, Done, FormPage
from aggregator.portal.desk.auctions import ReasonForm
from aggregator.portal.desk.ordered import instruction_facts, instruction_in
from aggregator.portal.entering import person_required
from aggregator.portal.forms import ChoiceField, NumberField, Place, PortalForm, TextField
from aggregator.portal.frame import frame, market_time, sight_in

REASON_LENGTH_MAX: Final = 200
LONGER_MAX: Final = 6
HALF_HOURS: Final = 48
COUNT: Final = "count"
EDIT: Final = "edit"


@dataclass(frozen=True, kw_only=True)
class Kind:
    """One way of changing an order: what the service calls it, and its words."""

    what: str
    heading: Any
    verb: Any
    lead: Any


KINDS: Final[Mapping[str, Kind]] = {
    "less": Kind(
        what="PARTIAL",
        heading=gettext_lazy("指令量を減らす"),
        verb=gettext_lazy("減量を依頼する"),
        lead=gettext_lazy("減らす30分の量を書き換えます。そのままの30分は約定どおりです。"),
    ),
    "longer": Kind(
        what="EXTENDED",
        heading=gettext_lazy("指令を延長する"),
        verb=gettext_lazy("延長を依頼する"),
        lead=gettext_lazy(
            "終わりに続く30分の量を書きます。空欄の手前までが延長です。"
            "費用を負担する一般送配電事業者が承認します。"
        ),
    ),
    "stop": Kind(
        what="CANCELLED",
        heading=gettext_lazy("指令の取消の依頼"),
        verb=gettext_lazy("取消を依頼する"),
        lead="",
    ),
    "halt": Kind(
        what="CANCELLED",
        heading=gettext_lazy("指令の緊急停止"),
        verb=gettext_lazy("ただちに停止する"),
        lead="",
    ),
}


def kinds_open(row: DispatchInstruction, sight: Sight, now: datetime) -> list[tuple[str, str]]:
    """Return what may be asked of an instruction: the address' word and the button's."""
    if not sight.may_everywhere(CHANGE):
        return []
    found = []
    if row.state in CHANGEABLE and row.call is None:
        if row.ends_at > now:
            found.append(("less", gettext("減らす…")))
        if _added_slots(row) and _payers(row):
            found.append(("longer", gettext("延長する…")))
    if row.state in CANCELLABLE:
        found.append(("stop", gettext("取り消す…")))
    if row.state in OPEN_STATES:
        found.append(("halt", gettext("緊急停止…")))
    return found


def _payers(row: DispatchInstruction) -> list[Organisation]:
    served = ServedNeed.objects.filter(award_id=row.award_id).values("organisation_id")
    return list(
        Organisation.objects.filter(id__in=served, kind=OrganisationKind.TSO).order_by("code")
    )


def _added_slots(row: DispatchInstruction) -> list[int]:
    last = max((one.t for one in row.intervals.all()), default=HALF_HOURS)
    return list(range(last + 1, min(last + 1 + LONGER_MAX, HALF_HOURS)))


class ChangeForm(PortalForm):
    """Half hours with their kilowatts, and why; a longer order names who pays, and how much."""

    def __init__(
        self,
        *args: Any,
        slots: Mapping[int, Decimal | None],
        shown: list[int],
        payers: list[Organisation],
        **more: Any,
    ) -> None:
        super().__init__(*args, **more)
        self.slots, self.shown = slots, shown
        for t, kw in slots.items():
            self.fields[f"kw_{t}"] = NumberField(
                label=gettext("%(koma)s (kW)") % {"koma": words.koma_full(t)},
                required=False,
                unit="kW",
                digits=1,
                low=0,
                high=Decimal(KW_MAX),
                is_trimmed=True,
                initial=kw,
            )
        if payers:
            self.fields["payer"] = ChoiceField(
                label=gettext("費用を負担する一般送配電事業者"),
                choices=[(row.code, words.local_name(row)) for row in payers],
            )
            self.fields["price_jpy_per_kwh"] = NumberField(
                label=gettext("延長分の単価 (円/kWh)"),
                unit=gettext("円/kWh"),
                digits=2,
                low=0,
                high=Decimal(PRICE_MAX_JPY_PER_KWH),
            )
        self.fields["reason"] = TextField(
            label=gettext("理由（監査記録に残ります）"), rows=2, max_length=REASON_LENGTH_MAX
        )

    @property
    def quantity_fields(self) -> list[Any]:
        """The half hours' fields, of those that have not begun."""
        return [self[f"kw_{t}"] for t in self.shown]

    @property
    def other_fields(self) -> list[Any]:
        """All others."""
        return [self[name] for name in self.fields if not name.startswith("kw_")]

    def quantities_kw(self, clean: Mapping[str, Any]) -> dict[int, Decimal]:
        """Return the half hours that were written otherwise than they stood."""
        return {
            t: clean[f"kw_{t}"]
            for t, kw in self.slots.items()
            if clean.get(f"kw_{t}") is not None and clean[f"kw_{t}"] != kw
        }

    def refuse(self, refused: Refused, place: Place | None = None) -> None:
        """Put what was refused at its half hour."""
        super().refuse(refused, place or self._place)

    def _place(self, path: str) -> str:
        name, _, t = path.partition(".")
        if name == "quantities_kw":
            return f"kw_{t}" if t else f"kw_{min(self.slots)}"
        return name


@dataclass(frozen=True, kw_only=True)
class _Page:
    """One change's page, typed or confirmed."""

    request: HttpRequest
    row: DispatchInstruction
    sight: Sight
    kind: Kind

    @property
    def back_url(self) -> str:
        return reverse("portal:desk_instruction", args=[self.row.id])

    def form(self, fields: QueryDict | None, _files: Any) -> ChangeForm:
        if self.kind.what == "EXTENDED":
            slots: dict[int, Decimal | None] = dict.fromkeys(_added_slots(self.row))
            return ChangeForm(fields, slots=slots, shown=list(slots), payers=_payers(self.row))
        # all of them: what begins between typing and sending is refused, not forgotten
        rows = sorted(self.row.intervals.all(), key=lambda each: each.t)
        now = market_time().now
        return ChangeForm(
            fields,
            slots={one.t: one.quantity_kw for one in rows},
            shown=[one.t for one in rows if one.start_at > now],
            payers=[],
        )

    def asked(self, form: ChangeForm, clean: Mapping[str, Any]) -> dict[str, Any]:
        payer = (
            Organisation.objects.filter(code=clean["payer"]).first() if "payer" in clean else None
        )
        return {
            "instruction_id": self.row.id,
            "what": self.kind.what,
            "reason": clean["reason"],
            "by": self.sight,
            "quantities_kw": form.quantities_kw(clean),
            "payer": payer,
            "price_jpy_per_kwh": clean.get("price_jpy_per_kwh"),
        }

    def effect(self, form: ChangeForm) -> order_effects.Effect:
        """Return what would be done, having tried whether the service would take it.

        Raises
        ------
        Refused
            What the service says against it.
        """
        asked = self.asked(form, form.cleaned_data)
        with transaction.atomic():
            made = change_request(**asked)
            transaction.set_rollback(True)
        payer = asked["payer"]
        return order_effects.effect_of(
            self.row,
            made.detail["change"],
            now=market_time().now,
            payer=words.local_name(payer) if payer else "",
        )

    def work(self, form: ChangeForm, clean: dict[str, Any]) -> Done:
        change_request(**self.asked(form, clean))
        text = gettext("依頼しました。2人目の承認を待っています。")
        if self.kind.what == "EXTENDED":
            text = gettext("依頼しました。費用を負担する事業者の承認を待っています。")
        return Done(url=self.back_url, said=text)

    def context(self, _form: PortalForm) -> dict[str, Any]:
        return {
            **frame(self.request, page="desk_instructions"),
            "rows": instruction_facts(self.row),
            "kind": self.kind,
            "irreversible": order_effects.irreversible_of(self.kind.what),
            "back_url": self.back_url,
            "row": self.row,
        }

    def answer(self) -> HttpResponse:
        made: list[ChangeForm] = []

        def form(fields: QueryDict | None, files: Any) -> ChangeForm:
            made.append(self.form(fields, files))
            return made[-1]

        page = FormPage(
            form=form,
            work=lambda clean: self.work(made[-1], clean),
            template="portal/desk/change.html",
            context=self.context,
        )
        sent = self.request.POST
        if self.request.method != "POST" or not {COUNT, EDIT} & set(sent):
            return page.answer(self.request)
        typed = form(sent, None)
        if EDIT in sent:
            return page.show(self.request, typed)
        if not typed.is_valid():
            return page.show(self.request, typed, status=UNPROCESSABLE)
        try:
            effect = self.effect(typed)
        except (NotFound, NotPermitted) as refused:
            raise Http404(gettext("見つかりません。")) from refused
        except Refused as refused:
            typed.refuse(refused)
            return page.show(self.request, typed, status=UNPROCESSABLE)
        rows = order_effects.effect_rows(effect)
        return page.show(self.request, typed, effect=effect, effect_rows=rows)


@person_required(CHANGE)
@require_http_methods(["GET", "HEAD", "POST"])
def instruction_change(request: HttpRequest, instruction_id: UUID, how: str) -> HttpResponse:
    """Ask that an instruction order less or longer, or nothing more; or stop it at once."""
    sight = sight_in(request)
    row = instruction_in(request, instruction_id)
    if how not in KINDS or not sight.may_everywhere(CHANGE):
        raise Http404(gettext("この指令は見つかりません。"))
    if request.method != "POST" and how not in dict(kinds_open(row, sight, market_time().now)):
        raise Http404(gettext("この指令はいま変更できません。"))
    if how in ("less", "longer"):
        return _Page(request=request, row=row, sight=sight, kind=KINDS[how]).answer()
    return _stopped(request, row, sight, how)


def _stopped(
    request: HttpRequest, row: DispatchInstruction, sight: Sight, how: str
) -> HttpResponse:
    """Ask for a cancellation, or stop at once where people or plant are in danger."""
    kind, is_halt = KINDS[how], how == "halt"
    back = reverse("portal:desk_instruction", args=[row.id])
    effect = order_effects.effect_of(row, {"what": "CANCELLED"}, now=market_time().now)
    irreversible = order_effects.irreversible_of("CANCELLED")
    if is_halt:
        irreversible = gettext(
            "押した瞬間に1人の判断で止まり、全員に警報が出ます。元には戻せません。"
            "人や設備に危険があるときだけ使い、急がない取消は依頼にします。"
        )

    def work(clean: dict[str, Any]) -> Done:
        if is_halt:
            instruction_cancel(instruction_id=row.id, reason=clean["reason"], user_id=sight.user_id)
            return Done(url=back, said=gettext("停止しました。"))
        change_request(instruction_id=row.id, what="CANCELLED", reason=clean["reason"], by=sight)
        return Done(url=back, said=gettext("依頼しました。2人目の承認を待っています。"))

    def context(_form: PortalForm) -> dict[str, Any]:
        return {
            **frame(request, page="desk_instructions"),
            "rows": [*instruction_facts(row), *stop_facts(effect)],
            "heading": kind.heading,
            "verb": kind.verb,
            "is_danger": is_halt,
            "stake": effect.stake if effect.slots else "",
            "irreversible": irreversible,
            "back_url": back,
        }

    return FormPage(
        form=lambda fields, _files: ReasonForm(fields),
        work=work,
        template="portal/desk/auction_ask.html",
        context=context,
    ).answer(request)


def stop_facts(effect: order_effects.Effect) -> list[dict[str, str]]:
    """Say what a cancellation takes away."""
    if not effect.slots:
        return []
    first, last = effect.slots[0].t, effect.slots[-1].t
    return [
        {
            "label": gettext("取り消す時間帯"),
            "value": f"{words.clock(first)}–{words.clock(last + 1)}",
        },
        {
            "label": gettext("指令量"),
            "before": gettext("最大 %(kw)s kW") % {"kw": words.number(effect.top_kw)},
            "value": "0 kW",
        },
    ]
