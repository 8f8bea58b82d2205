"""Bids as CSV: the columns of the API's file, read into bids, refused line by line."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from django.http import Http404, HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.translation import gettext, gettext_lazy
from django.views.decorators.http import require_http_methods, require_safe

from accounts.core.csvtext import Cell, cell_read
from accounts.core.errors import Refused
from accounts.parties.models import Organisation
from aggregator.portal.answering import Done, FormPage
from aggregator.portal.dc import selectors
from aggregator.portal.entering import person_required
from aggregator.portal.forms import FileField, PortalForm, refusal_text
from aggregator.portal.frame import frame, sight_in
from aggregator.portal.lists import csv_answer
from market.trading.bids import basket_submit
from market.trading.refusals import RowsRefused
from market.trading.selectors import auction_named

STEP: Final = ("first_t", "last_t", "quantity_kw", "ask_jpy_per_kwh")
STORE: Final = (
    "first_t", "last_t", "charge_limit_kw", "discharge_limit_kw", "energy_limit_kwh",
    "reserve_kwh", "start_kwh", "end_min_kwh", "charge_efficiency_ratio",
    "discharge_efficiency_ratio", "standing_loss_ratio", "wear_jpy_per_kwh", "cycles_max",
)  # fmt: skip
HEAD: Final = ("client_bid_id", "form", "mechanism", "resource", "workload_class", "direction")
COLUMNS: Final = tuple(dict.fromkeys((*HEAD, *STEP, *STORE)))
FORMS: Final = ("STEPS", "STORAGE")
FILE_BYTES_MAX: Final = 2_000_000
ROWS_MAX: Final = 20_000
_PLACE: Final = re.compile(r"bids\[(\d+)\]\.?(.*)")
INDEX_LENGTH_MAX: Final = 3


@dataclass(frozen=True, kw_only=True)
class Wrong:
    """One line of a file that was refused."""

    line: int | None
    column: str
    text: str


@dataclass(kw_only=True)
class Sheet:
    """Bids of a file, and the line where each of their parts stands."""

    bids: list[dict[str, Any]] = field(default_factory=list)
    lines: list[dict[str, int]] = field(default_factory=list)
    wrong: list[Wrong] = field(default_factory=list)

    def where(self, path: str) -> tuple[int | None, str]:
        """Return line and column of a refusal's path."""
        found = _PLACE.fullmatch(path)
        if found is None or int(found[1]) >= len(self.lines):
            return None, path
        known, part = self.lines[int(found[1])], found[2]
        column = part.rpartition(".")[2] or "client_bid_id"
        while part and part not in known:
            part = part.rpartition(".")[0]
        return known[part], column


def sheet_read(body: bytes) -> Sheet:
    """Read a file: one row per step or store; rows of one bid share its number.

    What a bid says is not judged here; only what cannot be a table of bids is refused.
    """
    sheet = Sheet()
    try:
        text = body.decode("utf-8-sig")
    except UnicodeDecodeError:
        sheet.wrong.append(
            Wrong(line=None, column="", text=gettext("UTF-8 の CSV として読めません。"))
        )
        return sheet
    rows = csv.DictReader(io.StringIO(text, newline=""))
    names = [name or "" for name in rows.fieldnames or ()]
    unknown = [name for name in names if name not in COLUMNS]
    missing = [name for name in HEAD[:4] if name not in names]
    for name in unknown:
        sheet.wrong.append(Wrong(line=1, column=name, text=gettext("この列はありません。")))
    for name in missing:
        sheet.wrong.append(Wrong(line=1, column=name, text=gettext("この列が必要です。")))
    if sheet.wrong:
        return sheet
    for row in rows:
        if len(sheet.lines) >= ROWS_MAX:
            break
        cells = {
            name: cell_read(value.strip())
            for name, value in row.items()
            if isinstance(name, str) and isinstance(value, str) and value.strip()
        }
        if cells:
            _row(sheet, cells, rows.line_num)
    return sheet


def _row(sheet: Sheet, cells: Mapping[str, str], line: int) -> None:
    name = cells.get("client_bid_id", "")
    if not sheet.bids or sheet.bids[-1]["client_bid_id"] != name:
        bid: dict[str, Any] = {"client_bid_id": name}
        bid |= {key: cells[key] for key in HEAD if key in cells}
        form = cells.get("form")
        if form not in FORMS:
            text = gettext("CSV で入れられる形式は STEPS と STORAGE です。")
            sheet.wrong.append(Wrong(line=line, column="form", text=text))
        if form == "STEPS":
            bid["curves"] = []
        sheet.bids.append(bid)
        sheet.lines.append({"": line})
    bid, lines = sheet.bids[-1], sheet.lines[-1]
    if bid.get("form") == "STORAGE":
        bid |= {key: _cell(key, cells[key]) for key in STORE if key in cells}
    elif bid.get("form") == "STEPS":
        _step(bid["curves"], lines, cells, line)


def _step(
    curves: list[dict[str, Any]], lines: dict[str, int], cells: Mapping[str, str], line: int
) -> None:
    step = {key: _cell(key, cells[key]) for key in STEP if key in cells}
    window: dict[str, Any] = {key: step.pop(key) for key in ("first_t", "last_t") if key in step}
    if not curves or {key: curves[-1].get(key) for key in window} != window:
        lines[f"curves[{len(curves)}]"] = line
        curves.append({**window, "steps": []})
    steps = curves[-1]["steps"]
    lines[f"curves[{len(curves) - 1}].steps[{len(steps)}]"] = line
    steps.append(step)


def _cell(column: str, text: str) -> Any:
    is_index = text.isascii() and text.isdigit() and len(text) <= INDEX_LENGTH_MAX
    return int(text) if column in ("first_t", "last_t") and is_index else text


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
        sheet = sheet_read(clean["file"].read())
        count = _submit(auction.code, organisations[0], sheet)
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
        },
    )
    try:
        return page.answer(request)
    except _LinesRefused as refused:
        form = UploadForm(request.POST, request.FILES)
        return page.show(request, form, status=422, wrong=refused.wrong)


def _submit(code: str, organisation: Organisation, sheet: Sheet) -> int:
    if sheet.wrong:
        raise _LinesRefused(sheet.wrong)
    try:
        done = basket_submit(auction_id=code, organisation=organisation, bids=sheet.bids)
    except Refused as refused:
        many = refused.refusals if isinstance(refused, RowsRefused) else (refused,)
        if not any(_PLACE.fullmatch(one.field) for one in many):
            raise
        wrong = []
        for one in many:
            line, column = sheet.where(one.field)
            wrong.append(Wrong(line=line, column=column, text=refusal_text(one)))
        raise _LinesRefused(wrong) from refused
    return sum(receipt.is_new for receipt in done.receipts)


@person_required("bid.submit")
@require_safe
def bids_template(request: HttpRequest) -> HttpResponse:
    """Give an empty file with an example of each form."""
    own = selectors.resources_own(sight_in(request))
    code = own[0].code if own else "resource"
    step: list[Cell] = ["bid-1", "STEPS", "DEFERRAL", code, "", "UP", 34, 39]
    return csv_answer("bids-template.csv", COLUMNS, [[*step, 1000, 28], [*step, 500, "35.50"]])
