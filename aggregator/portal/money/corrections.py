"""Put an accepted dispute right: what each line should have been, line by line."""

from __future__ import annotations

import re
from collections.abc import Sequence
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

from django.http import Http404, HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.translation import gettext
from django.views.decorators.http import require_http_methods

from accounts.core.errors import NotPermitted, Refused
from aggregator.portal.answering import Done, FormPage
from aggregator.portal.entering import person_required
from aggregator.portal.forms import NumberField, PortalForm
from aggregator.portal.frame import frame, sight_in
from aggregator.settlement.adjustments import LineDelta, adjustment_run
from aggregator.settlement.models import SettlementLine
from aggregator.settlement.seen import (
    dispute_judge,
    disputed_lines_seen,
    disputes_seen,
    line_view_of,
)

PAGE: Final = "money_disputes"
PLACES: Final = 6
NAMES: Final = ("quantity_kwh", "price_jpy_per_kwh", "amount_exact_jpy")
_PLACE: Final = re.compile(r"deltas\[(\d+)\]\.(\w+)")


class CorrectionForm(PortalForm):
    """Quantity and price of each line, or its amount where it has none; as it stands at first."""

    def __init__(self, *args: Any, lines: Sequence[SettlementLine], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.lines = lines
        for line in lines:
            for name in names_of(line):
                field = NumberField(
                    label=label_of(name), digits=PLACES, initial=_shown(getattr(line, name))
                )
                self.fields[f"{name}-{line.pk}"] = field

    def rows(self) -> list[tuple[SettlementLine, list[Any]]]:
        """Return each line with its fields, for the page."""
        return [
            (line, [self[f"{name}-{line.pk}"] for name in names_of(line)]) for line in self.lines
        ]

    def deltas(self) -> list[LineDelta]:
        """Return the lines that were changed."""
        found = []
        for line in self.lines:
            given = {name: self.cleaned_data[f"{name}-{line.pk}"] for name in names_of(line)}
            if any(value != getattr(line, name) for name, value in given.items()):
                found.append(LineDelta(line_id=line.pk, **given))
        return found


def names_of(line: SettlementLine) -> tuple[str, ...]:
    """Return what of a line can be put right: what its amount is made of."""
    if line.quantity_kwh is None or line.price_jpy_per_kwh is None:
        return ("amount_exact_jpy",)
    return ("quantity_kwh", "price_jpy_per_kwh")


def label_of(name: str) -> str:
    """Name a figure of a line with its unit."""
    return {
        "quantity_kwh": gettext("数量 kWh"),
        "price_jpy_per_kwh": gettext("単価 円/kWh"),
        "amount_exact_jpy": gettext("金額 円"),
    }[name]


def _shown(value: Decimal) -> str:
    text = f"{value:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


@person_required()
@require_http_methods(["GET", "POST"])
def dispute_correct(request: HttpRequest, dispute_id: UUID) -> HttpResponse:
    """Correct the lines of an accepted dispute, for settlement; closing and documents follow."""
    sight = sight_in(request)
    row = disputes_seen(seen_by=sight).filter(id=dispute_id).first()
    if row is None:
        raise Http404(gettext("この異議は見つかりません。"))
    try:
        dispute_judge(seen_by=sight, dispute=row)
    except NotPermitted as refused:
        raise Http404(gettext("この異議は見つかりません。")) from refused
    lines = list(disputed_lines_seen(view=line_view_of(sight), dispute=row))
    here = reverse("portal:money_dispute", args=[row.id])
    made: list[CorrectionForm] = []

    def form(data: Any, files: Any) -> CorrectionForm:
        made.append(CorrectionForm(data, files, lines=lines))
        return made[-1]

    def work(_: dict[str, Any]) -> Done:
        deltas = made[-1].deltas()
        try:
            adjustment_run(dispute_id=row.id, deltas=deltas, actor=sight.actor)
        except Refused as refused:
            found = _PLACE.fullmatch(refused.field)
            if found is None or int(found[1]) >= len(deltas):
                raise
            refused.field = f"{found[2]}-{deltas[int(found[1])].line_id}"
            raise
        said = gettext("訂正の精算を行いました。締めと訂正文書は続けて作られます。")
        return Done(url=here, said=said)

    return FormPage(
        form=form,
        work=work,
        template="portal/money/dispute_correct.html",
        context=lambda shown: {
            **frame(request, page=PAGE),
            "dispute": row,
            "rows": shown.rows() if isinstance(shown, CorrectionForm) else [],
            "back_url": here,
        },
    ).answer(request)
