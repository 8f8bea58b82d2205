"""Make, revise, withdraw and approve needs: by form, from an overload, or by file."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

from django.http import Http404, HttpRequest, HttpResponse, QueryDict
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext, gettext_lazy
from django.views.decorators.http import require_http_methods, require_safe

from accounts.approvals.kinds import INSTRUCTION_EXTEND, NEED_PUBLISH
from accounts.core.errors import Conflict
from accounts.parties.models import Organisation
from aggregator.portal import facts, once, words
from aggregator.portal.answering import UNPROCESSABLE, Done, FormPage
from aggregator.portal.approving import Decision, approval_in, asked_of
from aggregator.portal.entering import person_required
from aggregator.portal.forms import ChoiceField, NumberField, PortalForm, TextField
from aggregator.portal.frame import frame, market_time, sight_in
from aggregator.portal.selectors import spans_of
from aggregator.portal.tso import selectors as own
from market.trading.models import Auction, Direction, Need, NeedKind, NeedState
from market.trading.needs import NeedDetails, need_publish, need_withdraw
from market.trading.proposals import published_alone_jpy, takes_two_people

HALF_HOURS: Final = 48
CAP_DEFAULT: Final = Decimal(60)
KW_HIGH: Final = 100_000_000


class NeedForm(PortalForm):
    """One need with one cap and 48 quantities."""

    places = (
        (r"congestion_point|area_code|area|flow_sign", "place"),
        (r"cap_jpy_per_kwh.*|steps\[0\]\.cap.*", "cap"),
    )
    code = TextField(label=gettext_lazy("コード（英数字）"), max_length=60)
    cap = NumberField(
        label=gettext_lazy("上限価格"), unit=gettext_lazy("円/kWh"), digits=2, low=0, high=100_000
    )
    version = NumberField(required=False)

    def __init__(self, *args: Any, auction: Auction, sight: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        points = own.points_own(auction, seen_by=sight)
        choices = []
        for point in points:
            name = words.local_name(point)
            choices += [
                (f"point:{point.code}:1", gettext("%(name)s（正方向）") % {"name": name}),
                (f"point:{point.code}:-1", gettext("%(name)s（逆方向）") % {"name": name}),
            ]
        choices += [
            (f"area:{area.code}", gettext("%(name)s（需給）") % {"name": facts.area_word(area)})
            for area in own.areas_own(seen_by=sight)
        ]
        self.fields["place"] = ChoiceField(label=gettext("設備・エリア"), choices=choices)
        self.fields["direction"] = ChoiceField(
            label=gettext("方向"),
            choices=[
                (Direction.UP, gettext("上げ（負荷を減らす）")),
                (Direction.DOWN, gettext("下げ（負荷を増やす）")),
            ],
        )
        for t in range(HALF_HOURS):
            self.fields[f"kw_{t}"] = NumberField(
                label=words.koma_full(t), digits=1, low=0, high=KW_HIGH, required=False
            )
        self.order_fields(["place", "direction", "cap", "code", "version"])

    @property
    def halves(self) -> list[Any]:
        """Return the 48 quantities as fields."""
        return [self[f"kw_{t}"] for t in range(HALF_HOURS)]

    def clean(self) -> dict[str, Any]:
        """Refuse a need of nothing here, so that the sentence stands above all 48 fields."""
        clean: dict[str, Any] = super().clean() or self.cleaned_data
        if not self.errors and not any(clean.get(f"kw_{t}") for t in range(HALF_HOURS)):
            self.add_error(None, gettext("1コマ以上に量を入力してください。"))
        return clean


def quantities_of(clean: Mapping[str, Any]) -> list[Decimal]:
    """Return 48 quantities [kW]; what is empty is nothing."""
    return [clean.get(f"kw_{t}") or Decimal(0) for t in range(HALF_HOURS)]


def details_of(clean: Mapping[str, Any]) -> NeedDetails:
    """Return what the service is asked to publish."""
    what, _, rest = clean["place"].partition(":")
    quantity = [str(kw) for kw in quantities_of(clean)]
    common = {
        "code": clean["code"],
        "direction": clean["direction"],
        "quantity_kw": quantity,
        "cap_jpy_per_kwh": [str(clean["cap"])] * HALF_HOURS,
    }
    if what == "area":
        return NeedDetails(kind=NeedKind.BALANCE, area_code=rest, **common)
    code, _, sign = rest.rpartition(":")
    return NeedDetails(kind=NeedKind.LOCAL, congestion_point=code, flow_sign=int(sign), **common)


def auction_named(code: str) -> Auction:
    """Return an auction by its code; what does not exist is 404."""
    row = Auction.objects.select_related("grid_model", "ruleset").filter(code=code).first()
    if row is None:
        raise Http404(gettext("このオークションは見つかりません。"))
    return row


def _initial(request: HttpRequest, auction: Auction, need: Need | None) -> dict[str, Any]:
    if need is not None:
        point = need.congestion_point
        place = f"point:{point.code}:{need.flow_sign}" if point else f"area:{need.area_id}"
        caps = need.cap_jpy_per_kwh or [CAP_DEFAULT]
        return {
            "place": place,
            "direction": need.direction,
            "code": need.code,
            "cap": max(caps),
            "version": need.revision,
            **{f"kw_{t}": kw for t, kw in enumerate(need.quantity_kw) if kw},
        }
    wish = request.GET.get("element")
    if wish is None:
        return {"cap": CAP_DEFAULT}
    for one in own.overloads(auction, seen_by=sight_in(request)):
        if one.point.code == wish:
            return {
                "place": f"point:{one.point.code}:{one.flow_sign}",
                "direction": Direction.UP,
                "code": f"{one.point.code}-up",
                "cap": CAP_DEFAULT,
                **{f"kw_{t}": kw for t, kw in enumerate(one.quantity_kw) if kw},
            }
    raise Http404(gettext("この設備の超過は見つかりません。"))


@person_required(own.PUBLISH)
@require_http_methods(["GET", "HEAD", "POST"])
def need_new(request: HttpRequest, code: str) -> HttpResponse:
    """Make a need; from an overloaded element it is filled in."""
    return _edit(request, auction_named(code), None)


@person_required(own.PUBLISH)
@require_http_methods(["GET", "HEAD", "POST"])
def need_edit(request: HttpRequest, need_id: UUID) -> HttpResponse:
    """Revise a need in force."""
    need = own.need_named(need_id, seen_by=sight_in(request))
    if need is None:
        raise Http404(gettext("この必要量は見つかりません。"))
    return _edit(request, auction_named(need.auction.code), need)


def _edit(request: HttpRequest, auction: Auction, need: Need | None) -> HttpResponse:
    sight = sight_in(request)
    organisation = need.organisation if need else sight.acting_for(own.PUBLISH)
    back = reverse("portal:tso_network", args=[auction.delivery_on])
    initial = _initial(request, auction, need) if request.method != "POST" else {}

    def made(fields: QueryDict | None, _files: Any) -> PortalForm:
        return NeedForm(fields, initial=initial, auction=auction, sight=sight)

    def work(clean: dict[str, Any]) -> Done:
        published = need_publish(
            auction_id=auction.id,
            organisation=organisation,
            details=details_of(clean),
            expects=_expecting(clean, need),
        )
        waits = published.state == NeedState.PROPOSED
        said = (
            gettext("承認を依頼しました：%(code)s。2人目が承認すると公表します。")
            if waits
            else gettext("公表しました：%(code)s")
        )
        return Done(url=back, said=said % {"code": published.code})

    def context(form: PortalForm) -> dict[str, Any]:
        return {
            **frame(request, page="tso_network"),
            "auction": auction,
            "need": need,
            "back_url": back,
            "gate_ms": int(auction.gate_closure_at.timestamp() * 1000),
            **(_summary(form, auction, organisation) if form.is_bound and not form.errors else {}),
        }

    page = FormPage(form=made, work=work, template="portal/tso/need_edit.html", context=context)
    if request.method == "POST" and "confirmed" not in request.POST:
        form = made(request.POST, None)
        if "back" in request.POST:
            return page.show(request, made(_unsent(request.POST), None))
        if not form.is_valid():
            return page.show(request, form, status=UNPROCESSABLE)
        return _confirm(request, form, context(form))
    return page.answer(request)


def _unsent(fields: QueryDict) -> QueryDict:
    plain = fields.copy()
    plain.pop("back", None)
    return plain


def _expecting(clean: Mapping[str, Any], need: Need | None) -> Any:
    """Expect what the planner has seen: nothing, or this revision."""

    def expects(before: Need | None) -> None:
        seen = int(clean["version"]) if clean.get("version") else None
        now = before.revision if before is not None else None
        if need is None and before is not None:
            raise Conflict(
                field="code", value=before.code, rule="in force already: revise that need"
            )
        if need is not None and now is not None and seen != now and before is not None:
            raise Conflict(
                field="code", value=f"{before.code} #{now}", rule="this need as it is now"
            )

    return expects


def _confirm(request: HttpRequest, form: PortalForm, context: Mapping[str, Any]) -> HttpResponse:
    """Show the consequence before it is asked for; nothing is stored yet."""
    user: Any = request.user
    hidden = [
        (name, value)
        for name, values in request.POST.lists()
        for value in values
        if name not in {once.FIELD, "csrfmiddlewaretoken"}
    ]
    return render(
        request,
        "portal/tso/need_confirm.html",
        {**context, "form": form, "hidden": hidden, "form_token": once.token_made(user.pk)},
    )


def _summary(form: PortalForm, auction: Auction, organisation: Organisation) -> dict[str, Any]:
    clean = form.cleaned_data
    quantity = quantities_of(clean)
    energy_kwh = sum(quantity, Decimal(0)) / 2
    most_jpy = energy_kwh * clean["cap"]
    place = dict(form.fields["place"].choices)[clean["place"]]  # type: ignore[attr-defined]
    alone_jpy = published_alone_jpy(auction, organisation, but=clean["code"])
    takes_two = takes_two_people(auction.ruleset.rules, alone_jpy + most_jpy)
    spans = gettext("、").join(words.spans(spans_of([kw > 0 for kw in quantity])))
    top = max(quantity)
    return {
        "rows": [
            {"label": gettext("受渡日"), "value": words.day_long(auction.delivery_on)},
            {"label": gettext("設備・エリア"), "value": place},
            {"label": gettext("時間帯"), "value": spans},
            {"label": gettext("最大"), "value": f"{words.number(top)} kW"},
            {"label": gettext("電力量"), "value": f"{words.megawatt(energy_kwh)} MWh"},
            {
                "label": gettext("上限価格"),
                "value": gettext("%(price)s 円/kWh") % {"price": words.number(clean["cap"], 2)},
            },
        ],
        "stake": gettext("すべて上限価格で約定すると %(yen)s円 です。")
        % {"yen": words.yen(most_jpy)},
        "irreversible": gettext("公表した必要量は全員に見えます。締切までは改訂・撤回できます。"),
        "takes_two": takes_two,
        "verb": (
            gettext("%(kw)s kW の承認を依頼する") if takes_two else gettext("%(kw)s kW を公表する")
        )
        % {"kw": words.number(top)},
    }


@person_required(own.PUBLISH)
@require_http_methods(["GET", "HEAD", "POST"])
def need_take_back(request: HttpRequest, need_id: UUID) -> HttpResponse:
    """Withdraw a need before the gate."""
    sight = sight_in(request)
    need = own.need_named(need_id, seen_by=sight)
    if need is None:
        raise Http404(gettext("この必要量は見つかりません。"))
    back = reverse("portal:tso_network", args=[need.auction.delivery_on])

    def work(_clean: dict[str, Any]) -> Done:
        need_withdraw(auction_id=need.auction_id, organisation=need.organisation, code=need.code)
        return Done(url=back, said=gettext("撤回しました：%(code)s") % {"code": need.code})

    def context(_form: PortalForm) -> dict[str, Any]:
        return {
            **frame(request, page="tso_network"),
            "heading": gettext("必要量の撤回"),
            "verb": gettext("撤回する"),
            "rows": need_facts(need),
            "irreversible": gettext("撤回した必要量は約定の対象になりません。"),
            "back_url": back,
        }

    return FormPage(
        form=lambda fields, _files: PortalForm(fields),
        work=work,
        template="portal/tso/need_withdraw.html",
        context=context,
    ).answer(request)


def need_facts(need: Need) -> list[dict[str, str]]:
    """Return a need as rows of a summary."""
    energy_kwh = sum(need.quantity_kw, Decimal(0)) / 2
    caps = need.cap_jpy_per_kwh or need.cap_jpy_per_kw_30min or [Decimal(0)]
    return [
        {"label": gettext("コード"), "value": f"{need.code}（{gettext('版')} {need.revision}）"},
        {"label": gettext("設備・エリア"), "value": facts.place_word(need)},
        {
            "label": gettext("方向"),
            "value": gettext("上げ") if need.direction == Direction.UP else gettext("下げ"),
        },
        {
            "label": gettext("時間帯"),
            "value": gettext("、").join(words.spans(spans_of([kw > 0 for kw in need.quantity_kw]))),
        },
        {"label": gettext("最大"), "value": f"{words.number(max(need.quantity_kw))} kW"},
        {"label": gettext("電力量"), "value": f"{words.megawatt(energy_kwh)} MWh"},
        {
            "label": gettext("上限価格"),
            "value": gettext("%(price)s 円/kWh") % {"price": words.number(max(caps), 2)},
        },
    ]


@person_required(own.READ)
@require_safe
def approvals(request: HttpRequest) -> HttpResponse:
    """Needs that wait for a second pair of eyes."""
    sight = sight_in(request)
    context = {
        **frame(request, page="tso_approvals"),
        "asked": asked_of(own.approvals_waiting(seen_by=sight), sight),
        "now": market_time(),
    }
    return render(request, "portal/tso/approvals.html", context)


@person_required(own.READ)
@require_http_methods(["GET", "HEAD", "POST"])
def approval(request: HttpRequest, approval_id: UUID) -> HttpResponse:
    """Approve or refuse, having seen exactly what is asked for."""
    sight, row = approval_in(request, approval_id, (NEED_PUBLISH, INSTRUCTION_EXTEND))
    stake = irreversible = ""
    if row.kind == NEED_PUBLISH:
        need = Need.objects.select_related("congestion_point", "area", "auction").get(
            id=UUID(row.subject.rpartition(":")[2])
        )
        shown = need_facts(need)
        yen = words.yen(Decimal(row.detail["value_jpy"]))
        stake = gettext("すべて上限価格で約定すると %(yen)s円 です。") % {"yen": yen}
        irreversible = gettext("承認すると直ちに公表し、全員に見えます。")
    else:
        shown = [{"label": gettext("リソース"), "value": str(row.detail["resource"])}]
        for t, kw in row.detail["change"].get("quantities_kw", {}).items():
            shown.append(
                {"label": words.koma_full(int(t)), "value": f"{words.number(Decimal(kw))} kW"}
            )
    return Decision(
        request=request,
        row=row,
        sight=sight,
        facts=[*shown, {"label": gettext("申請の理由"), "value": row.reason or words.UNKNOWN}],
        back_url=reverse("portal:tso_approvals"),
        page="tso_approvals",
        stake=stake,
        irreversible=irreversible,
    ).answer()
