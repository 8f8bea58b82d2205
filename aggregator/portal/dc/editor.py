"""The bid editor: draft, live check, confirmation, submission, withdrawal."""

from __future__ import annotations

from collections.abc import Mapping
from math import ceil
from typing import Any, Final
from urllib.parse import urlencode

from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext
from django.views.decorators.http import require_http_methods, require_POST

from accounts.clock.selectors import market_now
from accounts.core.errors import Conflict, Refused
from aggregator.portal import words
from aggregator.portal.answering import UNPROCESSABLE, Changed, Done, FormPage, led_on
from aggregator.portal.dc import selectors
from aggregator.portal.dc.desk import ASIDE, KIND, BidDesk, desk_of, is_in_book
from aggregator.portal.dc.offered import OFFERS, form_word, window_word
from aggregator.portal.dc.offers import OfferForm
from aggregator.portal.dc.telling import Told, judged, told_of
from aggregator.portal.drafts import DraftText, draft_drop, draft_find, draft_save, draft_text
from aggregator.portal.entering import person_required
from aggregator.portal.facts import mechanism_word
from aggregator.portal.forms import PortalForm, TextField
from aggregator.portal.frame import frame, market_time, sight_in
from aggregator.portal.words import rule
from market.trading.bid_checks import FITS
from market.trading.bids import basket_submit, bid_withdraw
from market.trading.gates import GateClosed, refuse_closed
from market.trading.models import Auction, Bid
from market.trading.selectors import auction_named

NAMES_TRIED: Final = 1_000


def edit_url(code: str, name: str) -> str:
    """Return the address of a bid's page."""
    return reverse("portal:dc_bid_edit", args=[code, name])


def page_context(request: HttpRequest, desk: BidDesk, form: PortalForm) -> dict[str, Any]:
    """Return what the editor's page shows."""
    offer = form if isinstance(form, OfferForm) else None
    told = None
    if offer is not None:
        told = told_of(desk, offer if offer.is_bound else desk.form(as_sent(offer)))
    now = market_time()
    peak = max(desk.need_kw)
    return {
        **frame(request, page="dc_bids", now=now),
        "desk": desk,
        "auction": desk.auction,
        "told": told,
        "form_word": form_word(desk.form_name),
        "mechanism_word": mechanism_word(desk.mechanism),
        "gate_ms": int(desk.auction.gate_closure_at.timestamp() * 1000),
        "is_over": not desk.is_open or now.now >= desk.auction.gate_closure_at,
        "needs": [
            {"t": t, "level": 0 if peak <= 0 else min(4, ceil(4 * kw / peak)), "kw": kw}
            for t, kw in enumerate(desk.need_kw)
        ],
        "floor_known": bool(desk.floors),
        "next_auctions": _others(desk),
        "is_in_book": is_in_book(desk.bid),
    }


def as_sent(form: OfferForm) -> QueryDict:
    """Return an unsent form's fields as a browser would send them."""
    fields = QueryDict(mutable=True)
    for bound in form:
        value = bound.value()
        fields[bound.name] = "" if value is None else str(bound.field.prepare_value(value))
    return fields


def _others(desk: BidDesk) -> list[Auction]:
    return [row for row in selectors.auctions_open() if row.id != desk.auction.id]


@person_required("bid.submit")
@require_http_methods(["GET", "POST"])
def bid_edit(request: HttpRequest, code: str, name: str) -> HttpResponse:
    """Edit a bid: save it as a draft, or go on to its confirmation."""
    desk = desk_of(request, code, name)
    user: Any = request.user
    wants_draft = request.POST.get("act") == "save"

    def make(data: Any, files: Any) -> PortalForm:
        del files
        return desk.form(data, is_loose=wants_draft)

    def work(clean: dict[str, Any]) -> Done:
        del clean
        desk.draft = desk.save(request.POST, author_id=user.pk)
        if wants_draft:
            at = words.jst(desk.draft.saved_at, seconds=True)
            return Done(
                url=edit_url(code, name), said=gettext("%(at)s 下書きを保存しました。") % {"at": at}
            )
        refuse_closed(desk.auction, market_now())
        form = desk.form(request.POST)
        if not form.is_valid() or not judged(desk, form):
            raise _Unfit(form)
        return Done(url=reverse("portal:dc_bid_confirm", args=[code, name]))

    page = FormPage(
        form=make,
        work=work,
        template="portal/dc/bid_edit.html",
        context=lambda form: page_context(request, desk, form),
    )
    try:
        return page.answer(request)
    except _Unfit as unfit:
        # the work was taken back whole; what was typed is kept all the same
        desk.draft = draft_find(organisation=desk.organisation, kind=KIND, subject=code, name=name)
        desk.draft = desk.save(request.POST, author_id=user.pk)
        return page.show(request, unfit.form, status=UNPROCESSABLE)


class _Unfit(Exception):
    """An offer the services would refuse; its form says why."""

    def __init__(self, form: PortalForm) -> None:
        super().__init__("unfit")
        self.form = form


@person_required("bid.submit")
@require_POST
def bid_check(request: HttpRequest, code: str, name: str) -> HttpResponse:
    """Autosave what is typed and say what it means; a fragment for the page's script."""
    desk = desk_of(request, code, name)
    user: Any = request.user
    changed = None
    try:
        desk.draft = desk.save(request.POST, author_id=user.pk)
    except Changed as other:
        changed = other
    except Refused as refused:
        return HttpResponse(rule(refused), status=UNPROCESSABLE)
    form = desk.form(request.POST)
    told = told_of(desk, form)
    context = {
        **page_context(request, desk, form),
        "told": told,
        "form": form,
        "changed_by": changed,
        "is_check": True,
        "live": _live(told),
    }
    return render(request, "portal/dc/bid_meaning.html", context, status=409 if changed else 200)


def _live(told: Told) -> dict[str, Any]:
    return {"errors": told.errors, "margins": told.margins, "valid": told.is_valid}


class ConfirmForm(PortalForm):
    """What a confirmation sends: which text was confirmed."""

    version = TextField(required=False)
    bid_version = TextField(required=False)


@person_required("bid.submit")
@require_http_methods(["GET", "POST"])
def bid_confirm(request: HttpRequest, code: str, name: str) -> HttpResponse:
    """Show what will be submitted, and submit it."""
    desk = desk_of(request, code, name)
    if desk.draft is None:
        raise Http404(gettext("この入札は見つかりません。"))
    offer = desk.form(dict(desk.text.fields))
    if request.method == "GET" and (not offer.is_valid() or not judged(desk, offer)):
        return redirect(edit_url(code, name))
    told = told_of(desk, offer)
    user: Any = request.user

    def work(clean: dict[str, Any]) -> Done:
        return submitted(desk, offer, user_id=user.pk, read=clean)

    def context(form: PortalForm) -> dict[str, Any]:
        return {
            **page_context(request, desk, form),
            "told": told,
            "rows": summary_rows(desk, told),
            "stake": stake_word(told),
            "verb": submit_word(told),
            "bid_version": desk.bid.version if desk.bid else 0,
        }

    page = FormPage(
        form=lambda data, _: ConfirmForm(data),
        work=work,
        template="portal/dc/bid_confirm.html",
        context=context,
    )
    return page.answer(request)


def submitted(desk: BidDesk, offer: OfferForm, *, user_id: int, read: Mapping[str, str]) -> Done:
    """Put a draft into the book, if draft and book are what the person read.

    Raises
    ------
    Conflict, GateClosed, Refused
        As the service.
    """
    assert desk.draft is not None  # noqa: S101 - the caller looked
    if read["version"] != str(desk.draft.version):
        raise Conflict(field="version", value=read["version"], rule="the version that was read")
    if not offer.is_valid():
        raise Refused(field="bid", value=desk.name, rule="a bid that can be read")

    def expects(before: Bid | None) -> None:
        known = 0 if before is None else before.version
        if read["bid_version"] != str(known):
            raise Conflict(field="version", value=known, rule="the version that was read")

    body = desk.bid_body(offer)
    done = basket_submit(
        auction_id=desk.auction.code,
        organisation=desk.organisation,
        bids=[body],
        expects=expects,
    )
    (receipt,) = done.receipts
    draft_save(
        organisation=desk.organisation,
        author_id=user_id,
        kind=KIND,
        subject=desk.auction.code,
        name=desk.name,
        text=desk.text,
        version=desk.draft.version,
        is_sent=True,
    )
    said = gettext("%(name)s を提出しました。版 %(version)d・受付 %(at)s") % {
        "name": desk.name,
        "version": receipt.version,
        "at": words.jst(receipt.received_at, seconds=True),
    }
    return Done(url=f"{reverse('portal:dc_bids')}?{urlencode({'auction': desk.auction.code})}",
                said=said)  # fmt: skip


def summary_rows(desk: BidDesk, told: Told) -> list[dict[str, str]]:
    """Return the confirmation's table; where the book has a version, it says so."""
    rows = [
        (gettext("オークション"), words.auction_name(desk.auction)),
        (gettext("受渡日"), words.day_long(desk.auction.delivery_on)),
        (gettext("入札番号"), desk.name),
        (gettext("リソース"), words.local_name(desk.resource)),
        (gettext("形式・手段"), f"{form_word(desk.form_name)}・{mechanism_word(desk.mechanism)}"),
    ]
    clean = told.form.cleaned_data
    rows.append((gettext("対象コマ"), window_word(clean["t_first"], clean["t_end"])))
    if "direction" in clean:
        up, down = gettext("▲ 上げ（負荷を減らす）"), gettext("▼ 下げ（負荷を増やす）")
        rows.append(
            (
                gettext("方向"),
                up if clean["direction"] == "UP" else down,
            )
        )
    rows += [(name, f"{figure} {unit}") for name, figure, unit in told.summary]
    if told.curve is not None:
        for i, (kw, ask) in enumerate(told.curve.steps):
            step = gettext("%(kw)s kW を %(ask)s 円/kWh で") % {
                "kw": words.number(kw), "ask": words.number(ask, 2)
            }  # fmt: skip
            rows.append((gettext("段 %(n)d") % {"n": i + 1}, step))
    else:
        for bound in told.form:
            text = str(bound.value() or "")
            if bound.name not in ("t_first", "t_end", "direction") and text:
                unit = getattr(bound.field, "unit", "")
                rows.append((str(bound.label), f"{text} {unit}".strip()))
    found = [{"label": label, "value": value, "before": ""} for label, value in rows]
    if is_in_book(desk.bid):
        assert desk.bid is not None  # noqa: S101 - the line above
        before = gettext("版 %(n)d") % {"n": desk.bid.version}
        after = gettext("版 %(n)d") % {"n": desk.bid.version + 1}
        found.append({"label": gettext("改訂"), "value": after, "before": before})
    return found


def stake_word(told: Told) -> str:
    """Say what money is at stake."""
    if told.risk is None:
        return ""
    whole = told.risk.rows[-1]
    return gettext(
        "すべて約定してまるごと出せなかったときの費用は %(jpy)s円 です（%(price)s円/kWh のとき）。"
    ) % {
        "jpy": words.number(whole.cost_jpy),
        "price": words.number(told.risk.price_jpy_per_kwh, 2),
    }


def submit_word(told: Told) -> str:
    """Name the button by the verb and the amount."""
    peak = told.effect.peak_kw if told.effect else None
    return gettext("%(kw)s kW を提出する") % {"kw": words.number(peak)}


@person_required("bid.submit")
@require_POST
def bid_new(request: HttpRequest, code: str) -> HttpResponse:
    """Begin a draft for a resource, and lead to its editor."""
    sight = sight_in(request)
    auction = auction_of_address(code)
    parts = request.POST.get("offer", "").split("|")
    if len(parts) != 4:  # noqa: PLR2004 - resource, form, mechanism, class of work
        raise Http404(gettext("この入札は見つかりません。"))
    wanted, form, mechanism, work = parts
    resource = selectors.resource_own(sight, wanted)
    if resource is None or mechanism not in FITS.get(resource.kind, {}).get(form, ()):
        raise Http404(gettext("このリソースは見つかりません。"))
    organisation = resource.site.organisation
    if organisation.id not in sight.organisations_for("bid.submit") or form not in OFFERS:
        raise Http404(gettext("このリソースは見つかりません。"))
    user: Any = request.user
    name = name_free(organisation, auction, f"{resource.code[:40]}-{mechanism.lower()[:9]}")
    head = {"form": form, "resource": resource.code, "mechanism": mechanism}
    if work:
        head["workload_class"] = work
    draft_save(
        organisation=organisation,
        author_id=user.pk,
        kind=KIND,
        subject=auction.code,
        name=name,
        text=DraftText(head=head, fields={}),
        version=None,
    )
    return redirect(edit_url(auction.code, name))


def name_free(organisation: Any, auction: Auction, stem: str) -> str:
    """Return a number for a bid that its bidder has not used yet."""
    day = f"{auction.delivery_on:%m%d}"
    used = set(
        Bid.objects.filter(
            organisation=organisation, client_bid_id__startswith=f"{stem}-{day}"
        ).values_list("client_bid_id", flat=True)
    )
    for n in range(1, NAMES_TRIED):
        name = f"{stem}-{day}-{n}"
        if name not in used and not draft_find(
            organisation=organisation, kind=KIND, subject=auction.code, name=name
        ):
            return name
    raise Refused(field="client_bid_id", value=stem, rule="a number that is not used yet")


@person_required("bid.submit")
@require_POST
def bid_copy(request: HttpRequest, code: str, name: str) -> HttpResponse:
    """Take a bid's text over into another auction's draft: nothing typed is lost."""
    desk = desk_of(request, code, name)
    target = auction_of_address(request.POST.get("to", ""))
    user: Any = request.user
    sent = {key: value for key, value in request.POST.items() if key not in {*ASIDE, "to"}}
    known = set(desk.form(sent).fields)
    typed = {key: str(value) for key, value in sent.items() if key in known}
    fields = typed or dict(desk.text.fields)
    if not fields:
        shown = as_sent(desk.form())
        fields = {key: str(shown[key]) for key in shown}
    stem = f"{desk.resource.code[:40]}-{desk.mechanism.lower()[:9]}"
    copied = name_free(desk.organisation, target, stem)
    draft_save(
        organisation=desk.organisation,
        author_id=user.pk,
        kind=KIND,
        subject=target.code,
        name=copied,
        text=DraftText(head=desk.text.head, fields=fields),
        version=None,
    )
    said = gettext("%(auction)s の下書きに複写しました。") % {"auction": words.auction_name(target)}
    return led_on(request, Done(url=edit_url(target.code, copied), said=said))


@person_required("bid.submit")
@require_POST
def bid_withdrawal(request: HttpRequest, code: str, name: str) -> HttpResponse:
    """Take a bid out of the book; before the gate it can be put back."""
    desk = desk_of(request, code, name)
    listing = f"{reverse('portal:dc_bids')}?{urlencode({'auction': code})}"
    if not is_in_book(desk.bid):
        return led_on(request, Done(url=listing, said=gettext("この入札は取下げ済みです。")))
    try:
        bid_withdraw(auction_id=desk.auction.id, organisation=desk.organisation, client_bid_id=name)
    except GateClosed:
        said = gettext("締切後のため、取下げできません。入札は帳簿に残っています。")
        return led_on(request, Done(url=listing, said=said))
    except Refused as refused:
        return led_on(request, Done(url=listing, said=rule(refused)))
    undo = reverse("portal:dc_bid_restore", args=[code, name]) if desk.draft is not None else ""
    said = gettext("%(name)s を取り下げました。") % {"name": name}
    return led_on(request, Done(url=listing, said=said, undo_url=undo))


@person_required("bid.submit")
@require_POST
def bid_restore(request: HttpRequest, code: str, name: str) -> HttpResponse:
    """Put a withdrawn bid back as its next version."""
    desk = desk_of(request, code, name)
    user: Any = request.user
    if desk.draft is None or is_in_book(desk.bid):
        return redirect(f"{reverse('portal:dc_bids')}?{urlencode({'auction': code})}")
    offer = desk.form(dict(desk.text.fields))
    read = {
        "version": str(desk.draft.version),
        "bid_version": str(desk.bid.version if desk.bid else 0),
    }
    try:
        with transaction.atomic():
            done = submitted(desk, offer, user_id=user.pk, read=read)
    except Refused as refused:
        done = Done(url=edit_url(code, name), said=rule(refused))
    return led_on(request, done)


@person_required("bid.submit")
@require_POST
def draft_discard(request: HttpRequest, code: str, name: str) -> HttpResponse:
    """Throw a draft away that was never submitted."""
    desk = desk_of(request, code, name)
    draft_drop(organisation=desk.organisation, kind=KIND, subject=code, name=name)
    said = gettext("下書き %(name)s を捨てました。") % {"name": name}
    return led_on(request, Done(url=reverse("portal:dc_bids"), said=said))


def auction_of_address(code: str) -> Auction:
    """Return the auction that an address names.

    Raises
    ------
    Http404
        If there is none.
    """
    try:
        return auction_named(code)
    except Refused as unknown:
        raise Http404(gettext("このオークションは見つかりません。")) from unknown


def told_saved(desk: BidDesk) -> Told:
    """Return what the kept text means; for charts."""
    fields = draft_text(desk.draft).fields if desk.draft else {}
    return told_of(desk, desk.form(dict(fields) if fields else as_sent(desk.form())))
