"""The auction console: what is open, what was cleared, and what only two people may do."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext, gettext_lazy
from django.views.decorators.http import require_http_methods, require_safe

from accounts.approvals.kinds import AUCTION_CLOSE_EARLY, RESULT_CANCEL
from accounts.approvals.selectors import approvals_seen
from aggregator.dispatch.cancelling import result_cancel_request
from aggregator.portal import facts, words
from aggregator.portal.answering import Done, FormPage
from aggregator.portal.approving import Decision, approval_in, asked_of
from aggregator.portal.desk import selectors
from aggregator.portal.desk.pages import view_in
from aggregator.portal.entering import person_required
from aggregator.portal.forms import ChoiceField, DayField, PortalForm, TextField
from aggregator.portal.frame import frame, market_time, sight_in
from aggregator.portal.lists import Filter, day_of, listed
from market.clearing.selectors import runs_seen
from market.clearing.services import clearing_run_repeat
from market.registry.models import GridModel
from market.trading.early_closing import auction_close_early_request
from market.trading.models import Auction, AuctionState
from market.trading.selectors import auctions_listed, book_counts
from market.trading.services import auction_schedule

REASON_LENGTH_MAX = 200
HEADER = ("auction", "delivery_on", "opens_at", "gate_closure_at", "closed_at", "state")
FINAL = (AuctionState.CANCELLED, AuctionState.SETTLED)


def state_choices() -> list[tuple[str, str]]:
    """Return the states in the page's language."""
    return [(state, facts.state_of(Auction(state=state)).word) for state in AuctionState.values]


@person_required(selectors.SEE)
@require_safe
def auction_list(request: HttpRequest) -> HttpResponse:
    """All auctions, the latest delivery first."""
    sight = sight_in(request)
    view = view_in(sight)
    rows = listed(
        request,
        auctions_listed(),
        filters=(
            Filter(
                name="state",
                label=gettext("状態"),
                apply=lambda found, value: found.filter(state=value),
                choices=state_choices(),
            ),
            Filter(
                name="day",
                label=gettext("受渡日"),
                apply=lambda found, value: (
                    found.filter(delivery_on=day_of(value)) if day_of(value) else found.none()
                ),
                kind="date",
            ),
        ),
        sorts={"delivery": ("delivery_on", "code"), "gate": ("gate_closure_at", "code")},
        sort="-delivery",
    )
    if rows.wants_csv:
        return rows.csv(
            "auctions.csv",
            HEADER,
            lambda row: (
                row.code, row.delivery_on, row.opens_at, row.gate_closure_at, row.closed_at,
                row.state,
            ),
        )  # fmt: skip
    waiting = approvals_seen(seen_by=sight, state="REQUESTED").filter(
        kind__in=(AUCTION_CLOSE_EARLY, RESULT_CANCEL)
    )
    context = {
        **frame(request, page="desk_auctions"),
        "listing": rows,
        "auctions": [(row, facts.state_of(row)) for row in rows.shown],
        "asked": asked_of(list(waiting[:10]), sight),
        "may_act": view.may_act,
    }
    return render(request, "portal/desk/auctions.html", context)


def _auction(code: str) -> Auction:
    row = auctions_listed().filter(code=code).first()
    if row is None:
        raise Http404(gettext("このオークションは見つかりません。"))
    return row


@person_required(selectors.SEE)
@require_safe
def auction_page(request: HttpRequest, code: str) -> HttpResponse:
    """One auction: its gate, its book by number, its runs, what waits for a second person."""
    sight = sight_in(request)
    view = view_in(sight)
    auction = _auction(code)
    runs = list(runs_seen(auction, seen_by=sight))
    seen = selectors.auction_seen(auction, seen_by=sight, run=runs[-1] if runs else None)
    counts = book_counts(auction)
    now = market_time()
    context = {
        **frame(request, page="desk_auctions", now=now),
        "seen": seen,
        "auction": auction,
        "state": facts.state_of(auction),
        "runs": runs,
        "book": None if counts is None else sum(counts.values()),
        "asked": asked_of(list(seen.waiting), sight),
        "may_act": view.may_act,
        "may_close": view.may_act and seen.is_open and now.now < auction.gate_closure_at,
        "may_repeat": view.may_act and seen.is_held_back,
        "may_cancel": sight.may_everywhere("result.cancel") and _is_cancellable(auction, now.now),
        "gate_ms": int(auction.gate_closure_at.timestamp() * 1000),
    }
    return render(request, "portal/desk/auction.html", context)


def _is_cancellable(auction: Auction, now: datetime) -> bool:
    before = (AuctionState.SCHEDULED, AuctionState.OPEN)
    return auction.state not in (*before, *FINAL) and now < auction.delivery_start


class ReasonForm(PortalForm):
    """Why it is asked for."""

    reason = TextField(
        label=gettext_lazy("理由（監査記録に残ります）"), rows=2, max_length=REASON_LENGTH_MAX
    )


VERBS = {
    "close": gettext_lazy("早期締切を依頼する"),
    "cancel": gettext_lazy("取消を依頼する"),
    "repeat": gettext_lazy("約定計算をやり直す"),
}
HEADINGS = {
    "close": gettext_lazy("早期締切の依頼"),
    "cancel": gettext_lazy("結果の取消の依頼"),
    "repeat": gettext_lazy("約定計算のやり直し"),
}
IRREVERSIBLE = {
    "close": gettext_lazy(
        "2人目が承認した瞬間に入札を締め切ります。それまでの入札は有効で、以後は受け付けません。"
    ),
    "cancel": gettext_lazy(
        "2人目が承認すると約定はすべて無効になり、送信前の指令も取り消します。元には戻せません。"
    ),
    "repeat": gettext_lazy(
        "検証済の結果は残り、やり直しが失敗したときは代替としてそれを公表します。"
    ),
}


@person_required(selectors.ACT)
@require_http_methods(["GET", "HEAD", "POST"])
def auction_ask(request: HttpRequest, code: str, what: str) -> HttpResponse:
    """Confirm what is asked for: an early gate, a cancelled result, another run."""
    sight = sight_in(request)
    if not view_in(sight).may_act or what not in VERBS:
        raise Http404(gettext("このページは見つかりません。"))
    auction = _auction(code)
    back = reverse("portal:desk_auction", args=[auction.code])

    def work(clean: dict[str, Any]) -> Done:
        reason = clean["reason"]
        if what == "close":
            auction_close_early_request(auction_id=auction.id, reason=reason, by=sight)
        elif what == "cancel":
            result_cancel_request(auction_id=auction.id, reason=reason, by=sight)
        else:
            clearing_run_repeat(auction_id=auction.id, reason=reason, user_id=sight.user_id)
            return Done(url=back, said=gettext("やり直しを登録しました。"))
        return Done(url=back, said=gettext("依頼しました。2人目の承認を待っています。"))

    def context(_form: PortalForm) -> dict[str, Any]:
        auction.refresh_from_db()
        rows = [
            {"label": gettext("オークション"), "value": auction.code},
            {"label": gettext("受渡日"), "value": words.day_long(auction.delivery_on)},
            {"label": gettext("状態"), "value": facts.state_of(auction).word},
            {
                "label": gettext("締切"),
                "before": words.jst_day(auction.gate_closure_at) if what == "close" else "",
                "value": gettext("承認の時刻")
                if what == "close"
                else words.jst_day(auction.shut_at),
            },
        ]
        if auction.state != AuctionState.SCHEDULED:
            count = selectors.bids_count(auction)
            value = gettext("%(n)s件") % {"n": words.number(count)}
            rows.append({"label": gettext("入札（開封不可）"), "value": value})
        return {
            **frame(request, page="desk_auctions"),
            "auction": auction,
            "rows": rows,
            "heading": HEADINGS[what],
            "verb": VERBS[what],
            "irreversible": IRREVERSIBLE[what],
            "back_url": back,
        }

    return FormPage(
        form=lambda fields, _files: ReasonForm(fields),
        work=work,
        template="portal/desk/auction_ask.html",
        context=context,
    ).answer(request)


@person_required(selectors.SEE)
@require_http_methods(["GET", "HEAD", "POST"])
def decision(request: HttpRequest, approval_id: UUID) -> HttpResponse:
    """Decide as the second person what a colleague asked for."""
    sight, row = approval_in(request, approval_id, (AUCTION_CLOSE_EARLY, RESULT_CANCEL))
    if request.method == "POST" and not view_in(sight).may_act:
        raise Http404(gettext("この申請は見つかりません。"))
    auction = Auction.objects.get(id=UUID(row.subject.rpartition(":")[2]))
    rows = [
        {"label": gettext("オークション"), "value": auction.code},
        {"label": gettext("受渡日"), "value": words.day_long(auction.delivery_on)},
        {"label": gettext("告知した締切"), "value": words.jst_day(auction.gate_closure_at)},
        {"label": gettext("申請の理由"), "value": row.reason},
    ]
    what = "close" if row.kind == AUCTION_CLOSE_EARLY else "cancel"
    if what == "cancel":
        value = gettext("%(n)s件") % {"n": words.number(row.detail.get("awards"))}
        rows.append({"label": gettext("無効になる約定"), "value": value})
    return Decision(
        request=request,
        row=row,
        sight=sight,
        facts=rows,
        back_url=reverse("portal:desk_auction", args=[auction.code]),
        page="desk_auctions",
        irreversible=str(IRREVERSIBLE[what]),
    ).answer()


class ScheduleForm(PortalForm):
    """An auction to be announced."""

    code = TextField(label=gettext_lazy("コード"), max_length=40)
    name = TextField(label=gettext_lazy("名称"), max_length=80)
    delivery_on = DayField(label=gettext_lazy("受渡日"))
    opens_at = TextField(
        label=gettext_lazy("募集開始（JST）"), help_text="2026-11-24 09:00", max_length=20
    )
    gate_closure_at = TextField(
        label=gettext_lazy("締切（JST）"), help_text="2026-11-24 14:00", max_length=20
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        models = GridModel.objects.order_by("name", "-version")[:50]
        self.fields["grid_model"] = ChoiceField(
            label=gettext("系統モデル"),
            choices=[(str(row.id), f"{row.name} v{row.version}") for row in models],
        )

    def _moment(self, name: str) -> Any:
        text = self.cleaned_data[name]
        try:
            found = datetime.strptime(text, "%Y-%m-%d %H:%M").replace(tzinfo=words.JST)
        except ValueError:
            self.add_error(
                name,
                gettext("「%(text)s」は日時として読めません。例：2026-11-24 14:00")
                % {"text": text},
            )
            return text
        return found

    def clean_opens_at(self) -> Any:
        """Read the moment bids are first taken."""
        return self._moment("opens_at")

    def clean_gate_closure_at(self) -> Any:
        """Read the gate."""
        return self._moment("gate_closure_at")


@person_required(selectors.ACT)
@require_http_methods(["GET", "HEAD", "POST"])
def auction_new(request: HttpRequest) -> HttpResponse:
    """Announce an auction; it opens and closes by the market's clock."""
    if not view_in(sight_in(request)).may_act:
        raise Http404(gettext("このページは見つかりません。"))

    def work(clean: dict[str, Any]) -> Done:
        made = auction_schedule(
            code=clean["code"],
            name=clean["name"],
            delivery_on=clean["delivery_on"],
            opens_at=clean["opens_at"],
            gate_closure_at=clean["gate_closure_at"],
            grid_model=GridModel.objects.get(id=UUID(clean["grid_model"])),
        )
        url = reverse("portal:desk_auction", args=[made.code])
        return Done(
            url=url, said=gettext("オークションを告知しました：%(code)s") % {"code": made.code}
        )

    return FormPage(
        form=lambda fields, _files: ScheduleForm(fields),
        work=work,
        template="portal/desk/auction_new.html",
        context=lambda _form: frame(request, page="desk_auctions"),
    ).answer(request)
