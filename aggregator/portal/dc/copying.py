"""Yesterday's bids as today's drafts: all of one's own at once, and what could not be copied."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Exists, OuterRef
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext, ngettext
from django.views.decorators.http import require_POST, require_safe

from accounts.core.errors import Refused
from accounts.parties.models import Organisation
from accounts.parties.sight import Sight
from aggregator.portal import words
from aggregator.portal.dc import selectors
from aggregator.portal.dc.desk import KIND, BidDesk
from aggregator.portal.dc.editor import as_sent, auction_of_address, name_free
from aggregator.portal.dc.offered import OFFERS, form_word, whole_in_form
from aggregator.portal.drafts import DraftText, draft_save, draft_text
from aggregator.portal.entering import person_required
from aggregator.portal.facts import mechanism_word
from aggregator.portal.forms import refusal_text
from aggregator.portal.frame import frame, sight_in
from aggregator.portal.models import Draft
from market.registry.models import Resource
from market.trading.bid_checks import refuse_unsellable
from market.trading.drafts import drafts_of
from market.trading.models import Auction, AuctionState, Bid, BidState
from market.trading.refusals import RowsRefused
from market.trading.sealing import contents_open

COPIED_MAX: Final = 200
DAYS_BACK: Final = 7
SESSION: Final = "portal_dc_copied"
ROW_OF: Final = re.compile(r"bids\[(\d+)\]")
Use = tuple[str, str, str]  # resource, mechanism, class of work


@dataclass(kw_only=True)
class Copy:
    """One bid on its way: its text for the next auction, or why there is none."""

    bid: Bid
    desk: BidDesk | None = None
    fields: Mapping[str, str] | None = None
    body: Mapping[str, Any] | None = None
    why: str = ""
    name: str = ""

    @property
    def use(self) -> Use:
        """What the bid is of: a second bid of it would offer the same kW twice."""
        return use_of(self.bid)


def use_of(bid: Bid) -> Use:
    """Return what a bid is of."""
    code = bid.resource.code if bid.resource else ""
    return code, bid.mechanism, bid.workload_class.kind if bid.workload_class else ""


def source_of(sight: Sight, target: Auction) -> Auction | None:
    """Return the latest auction before a day with bids of one's own, within a week.

    Of several in a day it is the one whose gate lies as long before the delivery.
    """
    own = sight.organisations_for("bid.submit")
    standing = Bid.objects.filter(
        auction=OuterRef("pk"), organisation_id__in=own, state=BidState.SUBMITTED
    )
    rows = list(
        Auction.objects.filter(
            Exists(standing),
            delivery_on__lt=target.delivery_on,
            delivery_on__gte=target.delivery_on - timedelta(days=DAYS_BACK),
        ).order_by("-delivery_on", "code")
    )
    if not rows:
        return None
    lead = target.delivery_start - target.gate_closure_at
    of_day = [row for row in rows if row.delivery_on == rows[0].delivery_on]
    return min(of_day, key=lambda row: abs(row.delivery_start - row.gate_closure_at - lead))


def copies_made(
    sight: Sight, organisation: Organisation, source: Auction, target: Auction, *, author_id: int
) -> list[Copy]:
    """Copy an organisation's bids of one auction into drafts of another.

    What is bid or drafted there already, cannot be read, or would be refused now is not copied;
    done twice, the second time copies nothing.
    """
    bids = list(
        selectors.bids_own(sight, source)
        .filter(organisation=organisation, state=BidState.SUBMITTED)
        .order_by("client_bid_id")[: COPIED_MAX + 1]
    )
    found = [Copy(bid=bid) for bid in bids]
    for one in found[COPIED_MAX:]:
        one.why = gettext("一度に複写できるのは %(n)d件までです。") % {"n": COPIED_MAX}
    there = uses_there(sight, organisation, target)
    contents = contents_open([bid.id for bid in bids])
    resources = {row.code: row for row in selectors.resources_own(sight)}
    texts = {row.name: row for row in selectors.drafts_of(organisation, source)}
    for one in found[:COPIED_MAX]:
        if one.use in there:
            one.why = gettext("このリソースと手段は、すでに入札か下書きがあります。")
            continue
        text = texts.get(one.bid.client_bid_id)
        _read(one, sight, target, contents.get(one.bid.id), text, resources)
    _judge(target, organisation, [one for one in found if one.body is not None])
    _save(organisation, target, [one for one in found if not one.why], author_id)
    return found


def uses_there(sight: Sight, organisation: Organisation, auction: Auction) -> set[Use]:
    """Return what one's own bids and drafts in an auction are of."""
    bids = selectors.bids_own(sight, auction).filter(
        organisation=organisation, state=BidState.SUBMITTED
    )
    found = {use_of(bid) for bid in bids}
    for draft in selectors.drafts_of(organisation, auction).filter(is_sent=False):
        head = draft_text(draft).head
        work = str(head.get("workload_class") or "")
        found.add((str(head.get("resource")), str(head.get("mechanism")), work))
    return found


def _read(
    one: Copy,
    sight: Sight,
    target: Auction,
    content: Mapping[str, Any] | None,
    text: Draft | None,
    resources: Mapping[str, Resource],
) -> None:
    """Turn a bid into what its form would send, by its book or, while sealed, by its draft."""
    bid = one.bid
    code, mechanism, work = one.use
    if code not in resources:
        one.why = gettext("このリソースは使われていません。")
        return
    if bid.form not in OFFERS:
        one.why = gettext("この形式の入札は CSV か API で編集します。")
        return
    if content is not None and not whole_in_form(bid.form, content):
        one.why = gettext("曲線や量が複数あり、画面に収まりません。CSV か API で編集します。")
        return
    if content is None and text is None:
        one.why = gettext("締切前で封印されているため、内容を読めません。")
        return
    head = {"form": bid.form, "resource": code, "mechanism": mechanism}
    if work:
        head["workload_class"] = work
    desk = one.desk = BidDesk(
        sight=sight, auction=target, organisation=bid.organisation, name=bid.client_bid_id,
        draft=None, bid=bid,
    )  # fmt: skip
    desk.text = DraftText(head=head, fields={})
    desk.resource = resources[code]
    if content is not None:
        sent = as_sent(desk.form(initial=OFFERS[bid.form].initial_of(content)))
        one.fields = {name: str(sent[name]) for name in sent}
    elif text is not None:
        one.fields = dict(draft_text(text).fields)
    form = desk.form(dict(one.fields or {}))
    if not form.is_valid():
        errors = [str(text) for texts in form.errors.values() for text in texts]
        one.why = " ".join(errors)
        return
    try:
        one.body = desk.bid_body(form)
    except ValidationError as error:
        one.why = " ".join(error.messages)


def _judge(target: Auction, organisation: Organisation, copies: Sequence[Copy]) -> None:
    """Let the market's services say of all bids together which they would refuse now."""
    left = list(copies)
    while left:
        try:
            drafts = drafts_of(organisation, [one.body for one in left])
            refuse_unsellable(target, organisation, drafts)
        except Refused as refused:
            many = refused.refusals if isinstance(refused, RowsRefused) else (refused,)
            refused_at = set()
            for each in many:
                at = ROW_OF.match(each.field)
                if at is not None:
                    refused_at.add(int(at[1]))
                    left[int(at[1])].why = refusal_text(each)
            if not refused_at:
                for one in left:
                    one.why = refusal_text(refused)
                return
            left = [one for i, one in enumerate(left) if i not in refused_at]
        else:
            return


def _save(
    organisation: Organisation, target: Auction, copies: Sequence[Copy], author_id: int
) -> None:
    """Keep the drafts; a block's parent is named as it is called there."""
    named: dict[str, str] = {}
    for one in copies:
        code, mechanism, _ = one.use
        one.name = name_free(organisation, target, f"{code[:40]}-{mechanism.lower()[:9]}")
        named[one.bid.client_bid_id] = one.name
        _saved(organisation, target, one, dict(one.fields or {}), author_id, version=None)
    for one in copies:
        fields = dict(one.fields or {})
        parent = fields.get("parent", "")
        if parent:
            # without its parent's copy a block is offered alone
            fields["parent"] = named.get(parent, "")
            _saved(organisation, target, one, fields, author_id, version=1)


def _saved(
    organisation: Organisation,
    target: Auction,
    one: Copy,
    fields: Mapping[str, str],
    author_id: int,
    *,
    version: int | None,
) -> None:
    assert one.desk is not None  # noqa: S101 - what is saved was read
    draft_save(
        organisation=organisation, author_id=author_id, kind=KIND, subject=target.code,
        name=one.name, text=DraftText(head=one.desk.text.head, fields=fields), version=version,
    )  # fmt: skip


@person_required("bid.submit")
@require_POST
def bids_copy(request: HttpRequest, code: str) -> HttpResponse:
    """Copy the bids of the latest earlier day into drafts of an open auction."""
    sight = sight_in(request)
    target = auction_of_address(code)
    if target.state != AuctionState.OPEN:
        raise Http404(gettext("このオークションは見つかりません。"))
    user: Any = request.user
    source = source_of(sight, target)
    rows: list[dict[str, str]] = []
    if source is not None:
        with transaction.atomic():
            for organisation in selectors.operators_of(sight, "bid.submit"):
                made = copies_made(sight, organisation, source, target, author_id=user.pk)
                rows += [_row(one) for one in made]
    request.session[SESSION] = {
        "to": target.code,
        "from": source.code if source else "",
        "rows": rows,
    }
    return redirect("portal:dc_bids_copied", code=target.code)


def _row(one: Copy) -> dict[str, str]:
    return {
        "id": str(one.bid.id),
        "from": one.bid.client_bid_id,
        "form": one.bid.form,
        "mechanism": one.bid.mechanism,
        "resource": one.use[0],
        "name": one.name,
        "why": one.why,
    }


@person_required("bid.submit")
@require_safe
def bids_copied(request: HttpRequest, code: str) -> HttpResponse:
    """Show what the last copying copied, and what it could not and why."""
    kept = request.session.get(SESSION)
    if not kept or kept["to"] != code:
        return redirect("portal:dc_bids")
    target = auction_of_address(code)
    source = Auction.objects.filter(code=kept["from"]).first()
    rows = [
        {
            **row,
            "id": UUID(row["id"]),
            "word": f"{form_word(row['form'])}・{mechanism_word(row['mechanism'])}",
        }
        for row in kept["rows"]
    ]
    copied = [row for row in rows if row["name"]]
    left = [row for row in rows if not row["name"]]
    return render(
        request,
        "portal/dc/bids_copied.html",
        {
            **frame(request, page="dc_bids"),
            "auction": target,
            "source": source,
            "copied": copied,
            "left": left,
            "sentence": _sentence(len(copied), len(left), source),
            "gate_ms": int(target.gate_closure_at.timestamp() * 1000),
        },
    )


def _sentence(copied: int, left: int, source: Auction | None) -> str:
    if source is None:
        return gettext("1週間以内に提出した入札がありません。")
    text = ngettext(
        "%(day)s 受渡しの入札から %(n)d件を下書きに複写しました。",
        "%(day)s 受渡しの入札から %(n)d件を下書きに複写しました。",
        copied,
    ) % {"day": words.day_short(source.delivery_on), "n": copied}
    if left:
        text += " " + ngettext(
            "%(n)d件は複写していません。", "%(n)d件は複写していません。", left
        ) % {"n": left}
    return text
