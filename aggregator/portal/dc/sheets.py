"""Bids as CSV: the columns of the API's file, read into bids, refused line by line."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from django.db.models import Exists, OuterRef
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.translation import gettext, gettext_lazy
from django.views.decorators.http import require_http_methods, require_safe

from accounts.core.csvtext import Cell
from accounts.core.errors import Refused
from accounts.parties.models import Organisation
from accounts.parties.sight import Sight
from aggregator.portal.answering import Done, FormPage
from aggregator.portal.dc import selectors
from aggregator.portal.dc.desk import KIND, BidDesk
from aggregator.portal.dc.examples import examples_of
from aggregator.portal.entering import person_required
from aggregator.portal.forms import FileField, PortalForm, refusal_text
from aggregator.portal.frame import frame, sight_in
from aggregator.portal.lists import csv_answer
from aggregator.portal.models import Draft
from market.trading.bid_sheets import COLUMNS, FORMS, NEEDED, Sheet, rows_written, sheet_read
from market.trading.bids import basket_submit
from market.trading.models import Auction, BidState
from market.trading.refusals import RowsRefused
from market.trading.selectors import BEFORE_GATE_STATES, auction_named, content_of

FILE_BYTES_MAX: Final = 2_000_000
ROWS_MAX: Final = 20_000
BIDS_WRITTEN_MAX: Final = 2_000
ENCODINGS: Final = ("utf-8-sig", "cp932")  # the second as spreadsheets in Japan save it


@dataclass(frozen=True, kw_only=True)
class Wrong:
    """One line of a file that was refused."""

    line: int | None
    column: str
    text: str


@dataclass(kw_only=True)
class Upload:
    """What a file says: bids and where they stand, and what cannot be a table of bids."""

    sheet: Sheet = field(default_factory=Sheet)
    wrong: list[Wrong] = field(default_factory=list)


def upload_read(body: bytes) -> Upload:
    """Read a file of bids; what a bid says is not judged here.

    Half a table is never taken for a whole one: a row with more or fewer cells than columns is
    wrong, as is every row beyond the limit.
    """
    found = Upload()
    text = _text_of(body)
    if text is None:
        said = gettext("CSV として読めません。UTF-8 か Shift_JIS で保存してください。")
        found.wrong.append(Wrong(line=None, column="", text=said))
        return found
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        names = [name.strip() for name in next(reader, [])]
        found.wrong = _names_wrong(names)
        if not found.wrong:
            found.sheet = sheet_read(_rows(reader, names, found.wrong))
    except csv.Error:
        said = gettext("CSV として読めない行です。引用符を確かめてください。")
        found.wrong.append(Wrong(line=reader.line_num, column="", text=said))
    found.wrong += [
        Wrong(line=line, column=refused.field, text=refusal_text(refused))
        for line, refused in found.sheet.wrong
    ]
    found.wrong.sort(key=lambda wrong: wrong.line or 0)
    if not found.wrong and not found.sheet.bids:
        found.wrong.append(Wrong(line=None, column="", text=gettext("入札の行がありません。")))
    return found


def _text_of(body: bytes) -> str | None:
    for encoding in ENCODINGS:
        try:
            return body.decode(encoding)
        except UnicodeDecodeError:
            continue
    return None


def _names_wrong(names: list[str]) -> list[Wrong]:
    wrong = [
        Wrong(line=1, column=name, text=gettext("この列はありません。"))
        for name in names
        if name not in COLUMNS
    ]
    wrong += [
        Wrong(line=1, column=name, text=gettext("この列が必要です。"))
        for name in NEEDED
        if name not in names
    ]
    twice = sorted({name for name in names if name in COLUMNS and names.count(name) > 1})
    return wrong + [
        Wrong(line=1, column=name, text=gettext("同じ列が2つあります。")) for name in twice
    ]


def _rows(
    reader: Any, names: list[str], wrong: list[Wrong]
) -> Iterator[tuple[dict[str, str], int]]:
    before, count = reader.line_num, 0
    for cells in reader:
        line, before = before + 1, reader.line_num
        if not any(cell.strip() for cell in cells):
            continue
        count += 1
        if count > ROWS_MAX:
            said = gettext("%(count)d行までです。ファイルを分けてください。")
            wrong.append(Wrong(line=line, column="", text=said % {"count": ROWS_MAX}))
            return
        if len(cells) != len(names):
            said = gettext("列は%(expected)d個ですが、この行には%(found)d個あります。")
            said %= {"expected": len(names), "found": len(cells)}
            wrong.append(Wrong(line=line, column="", text=said))
            continue
        yield dict(zip(names, map(str.strip, cells), strict=True)), line


class UploadForm(PortalForm):
    """A file of bids."""

    file = FileField(label=gettext_lazy("CSV ファイル"))

    def clean_file(self) -> Any:
        """Refuse what is too long to be a file of bids."""
        sent = self.cleaned_data["file"]
        if sent.size > FILE_BYTES_MAX:
            self.add_error("file", gettext("ファイルは 2 MB までです。"))
        return sent


class _LinesRefused(Exception):
    """Lines of a file were refused; nothing of it was stored."""

    def __init__(self, wrong: list[Wrong]) -> None:
        super().__init__("lines")
        self.wrong = wrong


@person_required("bid.submit")
@require_http_methods(["GET", "POST"])
def bids_upload(request: HttpRequest, code: str) -> HttpResponse:
    """Submit the bids of a file, all or none."""
    sight = sight_in(request)
    try:
        auction = auction_named(code)
    except Refused as unknown:
        raise Http404(gettext("このオークションは見つかりません。")) from unknown
    organisations = selectors.operators_of(sight, "bid.submit")

    def work(clean: dict[str, Any]) -> Done:
        upload = upload_read(clean["file"].read())
        count = _submit(auction.code, organisations[0], upload)
        said = gettext("%(count)d件の入札を提出しました。") % {"count": count}
        return Done(url=f"{reverse('portal:dc_bids')}?auction={auction.code}", said=said)

    page = FormPage(
        form=UploadForm,
        work=work,
        template="portal/dc/upload.html",
        context=lambda _: {
            **frame(request, page="dc_bids"),
            "auction": auction,
            "columns": COLUMNS,
            "gate_ms": int(auction.gate_closure_at.timestamp() * 1000),
            "is_sealed": auction.state in BEFORE_GATE_STATES,
            "sealed_count": sealed_count(sight, auction),
        },
    )
    try:
        return page.answer(request)
    except _LinesRefused as refused:
        form = UploadForm(request.POST, request.FILES)
        return page.show(request, form, status=422, wrong=refused.wrong)


def _submit(code: str, organisation: Organisation, upload: Upload) -> int:
    if upload.wrong:
        raise _LinesRefused(upload.wrong)
    try:
        done = basket_submit(auction_id=code, organisation=organisation, bids=upload.sheet.bids)
    except Refused as refused:
        many = refused.refusals if isinstance(refused, RowsRefused) else (refused,)
        if not any(one.field.startswith("bids[") for one in many):
            raise
        wrong = []
        for one in many:
            column, line = upload.sheet.where(one.field)
            wrong.append(Wrong(line=line, column=column, text=refusal_text(one)))
        raise _LinesRefused(wrong) from refused
    return sum(receipt.is_new for receipt in done.receipts)


@person_required("bid.submit")
@require_safe
def bids_template(request: HttpRequest) -> HttpResponse:
    """Give a file with an example of each form that one's own resources can be bid in."""
    own = selectors.resources_typical(sight_in(request))
    return csv_answer("bids-template.csv", COLUMNS, rows_written(examples_of(own)))


def bids_readable(sight: Sight, auction: Auction) -> list[dict[str, Any]]:
    """Return one's own bids of an auction as files have them, by number.

    While the book is sealed nobody can read an offer from it: then it is what the draft says that
    was submitted, and drafts that are not submitted yet; what came by the API is left out.
    """
    found: dict[str, dict[str, Any]] = {}
    rows = selectors.bids_own(sight, auction).filter(state=BidState.SUBMITTED, form__in=FORMS)
    standing: set[str] = set()
    for bid in rows.order_by("received_at", "id")[:BIDS_WRITTEN_MAX]:
        standing.add(bid.client_bid_id)
        content = content_of(bid)
        if content is not None and bid.resource is not None:
            found[bid.client_bid_id] = {
                "client_bid_id": bid.client_bid_id,
                "form": bid.form,
                "mechanism": bid.mechanism,
                "resource": bid.resource.code,
                "workload_class": bid.workload_class.kind if bid.workload_class else None,
                **content,
            }
    resources = {row.code: row for row in selectors.resources_own(sight)}
    for organisation in selectors.operators_of(sight, "bid.submit"):
        for draft in selectors.drafts_of(organisation, auction)[:BIDS_WRITTEN_MAX]:
            if draft.name in found or (draft.is_sent and draft.name not in standing):
                continue
            desk = BidDesk(
                sight=sight, auction=auction, organisation=organisation, name=draft.name,
                draft=draft, bid=None,
            )  # fmt: skip
            if str(desk.text.head.get("resource")) not in resources:
                continue
            body = body_kept(desk)
            if body is not None:
                found[draft.name] = body
    return [found[name] for name in sorted(found)]


def sealed_count(sight: Sight, auction: Auction) -> int:
    """Return how many own bids of a sealed book :func:`bids_readable` must leave out."""
    written = Draft.objects.filter(
        organisation=OuterRef("organisation"), kind=KIND, subject=auction.code,
        name=OuterRef("client_bid_id"),
    )  # fmt: skip
    rows = selectors.bids_own(sight, auction).filter(state=BidState.SUBMITTED, content__isnull=True)
    return rows.exclude(Exists(written)).count()


def body_kept(desk: BidDesk) -> dict[str, Any] | None:
    """Return the bid that a kept text means; None while it cannot be read."""
    form = desk.form(dict(desk.text.fields))
    if not form.is_valid():
        return None
    try:
        return desk.bid_body(form)
    except (KeyError, TypeError, ValueError):
        return None


@person_required("bid.submit")
@require_safe
def bids_file(request: HttpRequest, code: str) -> HttpResponse:
    """Give one's own bids of an auction in the very columns that an upload reads."""
    try:
        auction = auction_named(code)
    except Refused as unknown:
        raise Http404(gettext("このオークションは見つかりません。")) from unknown
    rows: list[list[Cell]] = rows_written(bids_readable(sight_in(request), auction))
    return csv_answer(f"bids-{auction.code}.csv", COLUMNS, rows)
