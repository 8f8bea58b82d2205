"""Make, revise, withdraw and approve needs: by form, from an overload, or by file."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.http import Http404, HttpRequest, HttpResponse, QueryDict
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext
from django.views.decorators.http import require_http_methods, require_safe

from accounts.approvals.kinds import INSTRUCTION_EXTEND, NEED_PUBLISH
from accounts.core.errors import Conflict
from accounts.parties.models import Organisation
from aggregator.dispatch.models import DispatchInstruction
from aggregator.portal import facts, once, words
from aggregator.portal.answering import UNPROCESSABLE, Done, FormPage
from aggregator.portal.approving import Decision, approval_in, asked_of
from aggregator.portal.entering import person_required
from aggregator.portal.forms import PortalForm
from aggregator.portal.frame import frame, market_time, sight_in
from aggregator.portal.order_effects import change_facts, effect_of, irreversible_of
from aggregator.portal.tso import selectors as own
from aggregator.portal.tso.need_form import (
    CAP_DEFAULT,
    NeedForm,
    Step,
    curve_facts,
    curve_of,
    details_of,
    initial_of,
    initial_of_overload,
    kind_of,
    pricing_words,
    reshaped,
    steps_of,
    value_of,
)
from market.trading.models import Auction, Direction, Need, NeedPricing, NeedState
from market.trading.needs import need_publish, need_withdraw
from market.trading.proposals import published_alone_jpy, takes_two_people
from market.trading.selectors import need_steps_of


def auction_named(code: str) -> Auction:
    """Return an auction by its code; what does not exist is 404."""
    row = Auction.objects.select_related("grid_model", "ruleset").filter(code=code).first()
    if row is None:
        raise Http404(gettext("このオークションは見つかりません。"))
    return row


def _initial(request: HttpRequest, auction: Auction, need: Need | None) -> dict[str, Any]:
    if need is not None:
        return initial_of(need, curve_now(need))
    wish = request.GET.get("element")
    if wish is None:
        return {"cap_0": CAP_DEFAULT, "steps": "1"}
    for one in own.overloads(auction, seen_by=sight_in(request)):
        if one.point.code == wish:
            return initial_of_overload(one)
    raise Http404(gettext("この設備の超過は見つかりません。"))


def curve_now(need: Need) -> list[Step]:
    """Return the demand curve of a stored need."""
    return curve_of(need, need_steps_of([need]).get(need.id, ()))


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

    def made(fields: QueryDict | None, _files: Any) -> NeedForm:
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

    def context(_form: PortalForm) -> dict[str, Any]:
        return {
            **frame(request, page="tso_network"),
            "auction": auction,
            "need": need,
            "back_url": back,
            "gate_ms": int(auction.gate_closure_at.timestamp() * 1000),
        }

    page = FormPage(form=made, work=work, template="portal/tso/need_edit.html", context=context)
    if request.method == "POST" and ("add_step" in request.POST or "drop_step" in request.POST):
        text = reshaped(request.POST)
        return page.show(request, NeedForm(initial=text, auction=auction, sight=sight))
    if request.method == "POST" and "confirmed" not in request.POST:
        form = made(request.POST, None)
        if "back" in request.POST:
            return page.show(request, made(_unsent(request.POST), None))
        if not form.is_valid():
            return page.show(request, form, status=UNPROCESSABLE)
        summary = _summary(form, auction, organisation, need)
        return _confirm(request, form, {**context(form), **summary})
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


def _summary(
    form: NeedForm, auction: Auction, organisation: Organisation, need: Need | None
) -> dict[str, Any]:
    clean = form.cleaned_data
    kind, curve = kind_of(clean["place"]), steps_of(clean)
    most_jpy = value_of(kind, curve)
    alone_jpy = published_alone_jpy(auction, organisation, but=clean["code"])
    takes_two = takes_two_people(auction.ruleset.rules, alone_jpy + most_jpy)
    pricing = clean.get("pricing") or NeedPricing.AUCTION.value
    rows = [
        {"label": gettext("受渡日"), "value": words.day_long(auction.delivery_on)},
        {
            "label": gettext("設備・エリア"),
            "value": dict(form.fields["place"].choices)[clean["place"]],  # type: ignore[attr-defined]
        },
        {"label": gettext("方向"), "value": direction_word(clean["direction"])},
        {"label": gettext("価格の決め方"), "value": pricing_words()[pricing]},
        *curve_facts(kind, curve),
    ]
    if need is not None:
        before = {row["label"]: row["value"] for row in need_facts(need)}
        for row in rows:
            was = before.get(row["label"])
            if was is not None and was != row["value"] and row["label"] != gettext("設備・エリア"):
                row["before"] = was
    top = max(sum(of_t) for of_t in zip(*(step.quantity_kw for step in curve), strict=True))
    return {
        "rows": rows,
        "stake": gettext("すべて上限価格で約定すると %(yen)s円 です。")
        % {"yen": words.yen(most_jpy)},
        "irreversible": gettext("公表した必要量は全員に見えます。締切までは改訂・撤回できます。"),
        "takes_two": takes_two,
        "verb": (
            gettext("%(kw)s kW の承認を依頼する") if takes_two else gettext("%(kw)s kW を公表する")
        )
        % {"kw": words.number(top)},
    }


def direction_word(direction: str) -> str:
    """Say a direction."""
    return gettext("上げ") if direction == Direction.UP else gettext("下げ")


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
    """Return a need as rows of a summary: every quantity with its cap."""
    return [
        {"label": gettext("コード"), "value": f"{need.code}（{gettext('版')} {need.revision}）"},
        {"label": gettext("設備・エリア"), "value": facts.place_word(need)},
        {"label": gettext("方向"), "value": direction_word(need.direction)},
        {"label": gettext("価格の決め方"), "value": pricing_words()[need.pricing]},
        *curve_facts(need.kind, curve_now(need)),
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
        change = row.detail["change"]
        order = DispatchInstruction.objects.select_related("award").get(
            id=UUID(change["instruction"])
        )
        effect = effect_of(
            order, change, now=market_time().now, payer=words.local_name(row.organisation)
        )
        shown = [
            {"label": gettext("リソース"), "value": str(row.detail["resource"])},
            *change_facts(effect),
        ]
        stake, irreversible = effect.stake, irreversible_of(change["what"])
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
