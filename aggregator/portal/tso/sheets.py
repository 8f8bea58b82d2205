"""Needs as a file: taken in whole or not at all, and handed out in the same layout."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
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
from aggregator.portal.tso.needs import HALF_HOURS, auction_named
from market.trading.models import NeedState
from market.trading.need_baskets import needs_publish
from market.trading.refusals import RowsRefused

FILE_BYTES_MAX: Final = 2_000_000
ROWS_MAX: Final = 5_000
NEEDED: Final = ("code", "kind", "direction", "first_t", "last_t", "quantity_kw", "cap_jpy_per_kwh")
COLUMNS: Final = (*NEEDED, "congestion_point", "flow_sign", "area", "pricing")


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
    for number, row in enumerate(reader, start=2):
        if number > ROWS_MAX:
            raise Refused(field="file", value=number, rule=f"at most {ROWS_MAX} rows")
        _row_add(needs, {name: cell_read(text or "") for name, text in row.items() if name}, number)
    return list(needs.values())


def _row_add(needs: dict[str, dict[str, Any]], row: Mapping[str, str], number: int) -> None:
    code = row["code"]
    if code not in needs:
        head: dict[str, Any] = {
            name: row[name]
            for name in ("code", "kind", "direction", "congestion_point", "area", "pricing")
            if row.get(name)
        }
        if row.get("flow_sign"):
            head["flow_sign"] = -1 if row["flow_sign"].strip() == "-1" else 1
        needs[code] = {
            **head,
            "quantity_kw": ["0"] * HALF_HOURS,
            "cap_jpy_per_kwh": ["0"] * HALF_HOURS,
        }
    first, last = row["first_t"], row["last_t"]
    if not (first.isdigit() and last.isdigit() and 0 <= int(first) <= int(last) < HALF_HOURS):
        raise Refused(
            field="file",
            value=f"{number}: {first}–{last}",
            rule="first_t and last_t from 0 to 47, the first not after the last",
        )
    for t in range(int(first), int(last) + 1):
        needs[code]["quantity_kw"][t] = row["quantity_kw"]
        needs[code]["cap_jpy_per_kwh"][t] = row["cap_jpy_per_kwh"]


@person_required(own.READ)
@require_safe
def needs_csv(request: HttpRequest, code: str) -> HttpResponse:
    """Own needs of an auction in the layout of the upload."""
    auction = auction_named(code)
    rows = []
    for need in own.own_needs(auction, seen_by=sight_in(request)).filter(
        cap_jpy_per_kwh__isnull=False
    ):
        caps = need.cap_jpy_per_kwh or []
        for t, kw in enumerate(need.quantity_kw):
            if kw:
                point = need.congestion_point
                rows.append(
                    (
                        need.code, need.kind, need.direction, t, t, kw, caps[t],
                        point.code if point else "", need.flow_sign, need.area_id or "",
                        need.pricing,
                    )
                )  # fmt: skip
    return csv_answer(f"needs-{auction.code}.csv", COLUMNS, rows)
