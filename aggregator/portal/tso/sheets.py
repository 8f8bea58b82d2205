"""Needs as a file: taken in whole or not at all, and handed out in the same layout."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from typing import Any, Final

from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.translation import gettext, gettext_lazy
from django.views.decorators.http import require_http_methods, require_safe

from accounts.core.csvtext import cell_read
from accounts.core.errors import Refused
from aggregator.portal import words
from aggregator.portal.answering import Done, FormPage
from aggregator.portal.entering import person_required
from aggregator.portal.forms import FileField, PortalForm
from aggregator.portal.frame import frame, sight_in
from aggregator.portal.lists import csv_answer
from aggregator.portal.tso import selectors as own
from aggregator.portal.tso.need_form import HALF_HOURS, Step, curve_of
from aggregator.portal.tso.needs import auction_named
from market.trading.models import STEPS_MAX, Need, NeedKind, NeedState
from market.trading.need_baskets import needs_publish
from market.trading.refusals import RowsRefused
from market.trading.selectors import need_steps_of

FILE_BYTES_MAX: Final = 2_000_000
ROWS_MAX: Final = 5_000
HEAD: Final = ("kind", "direction", "pricing", "congestion_point", "flow_sign", "area", "product")
CAPS: Final = ("cap_jpy_per_kwh", "cap_jpy_per_kw_30min")
NEEDED: Final = ("code", "kind", "direction", "first_t", "last_t", "quantity_kw")
COLUMNS: Final = (*NEEDED, *CAPS, *HEAD[2:], "step")


class UploadForm(PortalForm):
    """A file of needs."""

    file = FileField(label=gettext_lazy("CSVファイル"))


@person_required(own.PUBLISH)
@require_http_methods(["GET", "HEAD", "POST"])
def upload(request: HttpRequest, code: str) -> HttpResponse:
    """Publish the needs of a file, all or none."""
    sight = sight_in(request)
    auction = auction_named(code)
    back = reverse("portal:tso_network", args=[auction.delivery_on])
    wrong: list[str] = []

    def work(clean: dict[str, Any]) -> Done:
        wrong.clear()
        try:
            rows = rows_read(clean["file"].read(FILE_BYTES_MAX + 1))
            made = needs_publish(
                auction_id=auction.id, organisation=sight.acting_for(own.PUBLISH), needs=rows
            )
        except RowsRefused as refused:
            wrong.extend(f"{one.field}: {words.rule(one)}" for one in refused.refusals[:20])
            raise Refused(
                field="file", value=len(refused.refusals), rule="rows that keep the rules"
            ) from refused
        waits = sum(need.state == NeedState.PROPOSED for need in made)
        said = gettext("%(n)d件を受け付けました（承認待ち %(waits)d件）。")
        return Done(url=back, said=said % {"n": len(made), "waits": waits})

    def context(_form: PortalForm) -> dict[str, Any]:
        return {
            **frame(request, page="tso_network"),
            "auction": auction,
            "back_url": back,
            "columns": COLUMNS,
            "wrong": wrong,
        }

    return FormPage(
        form=UploadForm,
        work=work,
        template="portal/tso/upload.html",
        context=context,
    ).answer(request)


def rows_read(body: bytes) -> list[dict[str, Any]]:
    """Read a table as needs: one row per window of half hours, rows of one need share its code.

    Raises
    ------
    Refused
        If it is no such table; the rule names what is missing.
    """
    if len(body) > FILE_BYTES_MAX:
        raise Refused(field="file", value=len(body), rule=f"at most {FILE_BYTES_MAX} bytes")
    try:
        text = body.decode("utf-8-sig")
    except UnicodeDecodeError:
        try:
            text = body.decode("cp932")
        except UnicodeDecodeError as error:
            raise Refused(field="file", value="?", rule="text in UTF-8 or Shift_JIS") from error
    reader = csv.DictReader(io.StringIO(text))
    missing = [name for name in NEEDED if name not in (reader.fieldnames or ())]
    unknown = [name for name in reader.fieldnames or () if name not in COLUMNS]
    if missing or unknown:
        raise Refused(
            field="file", value=", ".join(missing or unknown), rule="the columns of the template"
        )
    needs: dict[str, dict[str, Any]] = {}
    taken: set[tuple[str, int, int]] = set()
    for number, row in enumerate(reader, start=2):
        if number > ROWS_MAX:
            raise Refused(field="file", value=number, rule=f"at most {ROWS_MAX} rows")
        cells = {name: cell_read(text or "") for name, text in row.items() if name}
        _row_add(needs, taken, {name: text for name, text in cells.items() if text}, number)
    for need in needs.values():
        if len(need["steps"]) == 1:
            need.update(need.pop("steps")[0])
    return list(needs.values())


def _row_add(
    needs: dict[str, dict[str, Any]],
    taken: set[tuple[str, int, int]],
    row: Mapping[str, str],
    number: int,
) -> None:
    code = row.get("code", "")
    if code not in needs:
        head: dict[str, Any] = {name: row[name] for name in HEAD if name in row}
        if head.get("flow_sign") in ("1", "+1", "-1"):
            head["flow_sign"] = int(head["flow_sign"])
        needs[code] = {"code": code, **head, "steps": []}
    need, steps = needs[code], needs[code]["steps"]
    cap = CAPS[need.get("kind") == NeedKind.CAPACITY]
    first, last = row.get("first_t", ""), row.get("last_t", "")
    if not (_is_index(first) and _is_index(last) and int(first) <= int(last) < HALF_HOURS):
        raise Refused(
            field="file",
            value=f"{number}: {first}–{last}",
            rule="first_t and last_t from 0 to 47, the first not after the last",
        )
    step = row.get("step", "1")
    if not (_is_index(step) and 1 <= int(step) <= min(len(steps) + 1, STEPS_MAX)):
        raise Refused(
            field="file",
            value=f"{number}: {step}",
            rule="step from 1 on, each after the one before",
        )
    if int(step) > len(steps):
        steps.append({"quantity_kw": ["0"] * HALF_HOURS, cap: ["0"] * HALF_HOURS})
    for t in range(int(first), int(last) + 1):
        if (code, int(step), t) in taken:
            raise Refused(
                field="file", value=f"{number}: {t}", rule="each half hour of a step once"
            )
        taken.add((code, int(step), t))
        steps[int(step) - 1]["quantity_kw"][t] = row.get("quantity_kw", "")
        steps[int(step) - 1][cap][t] = row.get(cap, "")


def _is_index(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= len("47")


@person_required(own.READ)
@require_safe
def needs_csv(request: HttpRequest, code: str) -> HttpResponse:
    """Own needs of an auction in the layout of the upload, their demand curves in full."""
    auction = auction_named(code)
    needs = list(own.own_needs(auction, seen_by=sight_in(request)))
    curves = need_steps_of(needs)
    rows = [
        row for need in needs for row in _rows_of(need, curve_of(need, curves.get(need.id, ())))
    ]
    return csv_answer(f"needs-{auction.code}.csv", COLUMNS, rows)


def _rows_of(need: Need, curve: Sequence[Step]) -> list[tuple[Any, ...]]:
    """Return a need's rows; steps of nothing before one of something keep a row of 0 kW."""
    point = need.congestion_point
    rows: list[tuple[Any, ...]] = []
    for number, step in enumerate(curve, start=1):
        spans = step.stretches or ((0, 1, step.quantity_kw[0], step.cap[0]),)
        for first, end, kw, cap in spans:
            caps = ("", cap) if need.kind == NeedKind.CAPACITY else (cap, "")
            rows.append(
                (
                    need.code, need.kind, need.direction, first, end - 1, kw, *caps, need.pricing,
                    point.code if point else "", need.flow_sign or "", need.area_id or "",
                    need.product_id or "", number,
                )
            )  # fmt: skip
    return rows
