"""Units behind a resource: who of them acts first and how far, added and retired."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, Final
from uuid import UUID

from django.http import Http404, HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.translation import gettext, gettext_lazy
from django.views.decorators.http import require_http_methods

from accounts.fields import KW_MAX
from aggregator.dispatch.units import CHANGE, RANK_MAX, unit_add, unit_retire, units_seen
from aggregator.portal.answering import Done, FormPage
from aggregator.portal.entering import person_required
from aggregator.portal.forms import NothingForm, NumberField, PortalForm, TextField
from aggregator.portal.frame import frame, sight_in
from market.registry.selectors import resources_changed_by

UNITS_MAX: Final = 500  # that are listed


class UnitForm(PortalForm):
    """A unit to add."""

    code = TextField(label=gettext_lazy("ユニットのコード"), max_length=40)
    rank = NumberField(
        label=gettext_lazy("順位"),
        help_text=gettext_lazy("小さい順に先に使います。"),
        low=0,
        high=RANK_MAX,
        initial=1,
    )
    limit_up_kw = NumberField(
        label=gettext_lazy("上げ上限"), unit="kW", digits=1, low=0, high=Decimal(KW_MAX)
    )
    limit_down_kw = NumberField(
        label=gettext_lazy("下げ上限"), unit="kW", digits=1, low=0, high=Decimal(KW_MAX)
    )
    minimum_kw = NumberField(
        label=gettext_lazy("最小量"),
        unit="kW",
        digits=1,
        low=0,
        high=Decimal(KW_MAX),
        required=False,
    )
    ramp_kw_per_min = NumberField(
        label=gettext_lazy("変化速度"),
        unit=gettext_lazy("kW/分"),
        digits=1,
        low=Decimal("0.1"),
        high=Decimal(KW_MAX),
        required=False,
    )


@person_required(CHANGE)
@require_http_methods(["GET", "HEAD", "POST"])
def unit_list(request: HttpRequest, code: str) -> HttpResponse:
    """Show a resource's units in the order they act, and add one."""
    sight = sight_in(request)
    found = resources_changed_by(seen_by=sight).filter(code=code).first()
    if found is None:
        raise Http404(gettext("このリソースは見つかりません。"))
    resource = found

    def work(clean: dict[str, Any]) -> Done:
        made = unit_add(
            resource=resource,
            code=clean["code"],
            rank=int(clean["rank"]),
            limit_up_kw=clean["limit_up_kw"],
            limit_down_kw=clean["limit_down_kw"],
            minimum_kw=clean["minimum_kw"] or Decimal(0),
            ramp_kw_per_min=clean["ramp_kw_per_min"],
            by=sight,
        )
        said = gettext("ユニット %(code)s を登録しました。") % {"code": made.code}
        return Done(url=reverse("portal:dc_units", args=[code]), said=said)

    def context(_form: PortalForm) -> dict[str, Any]:
        rows = units_seen(seen_by=sight).filter(resource=resource, retired_at__isnull=True)
        return {
            **frame(request, page="dc_sites"),
            "resource": resource,
            "units": list(rows.order_by("rank", "code")[:UNITS_MAX]),
        }

    return FormPage(
        form=lambda fields, _files: UnitForm(fields),
        work=work,
        template="portal/dc/units.html",
        context=context,
    ).answer(request)


@person_required(CHANGE)
@require_http_methods(["GET", "HEAD", "POST"])
def unit_end(request: HttpRequest, unit_id: UUID) -> HttpResponse:
    """Take a unit out of service, after saying what that means."""
    sight = sight_in(request)
    own = sight.organisations_for(CHANGE)
    row = (
        units_seen(seen_by=sight)
        .select_related("resource__site")
        .filter(id=unit_id, resource__site__organisation_id__in=own)
        .first()
    )
    if row is None:
        raise Http404(gettext("このユニットは見つかりません。"))
    unit = row
    back = reverse("portal:dc_units", args=[unit.resource.code])

    def work(_clean: dict[str, Any]) -> Done:
        unit_retire(unit_id=unit.id, by=sight)
        said = gettext("ユニット %(code)s を廃止しました。") % {"code": unit.code}
        return Done(url=back, said=said)

    return FormPage(
        form=lambda fields, _files: NothingForm(fields),
        work=work,
        template="portal/dc/registry_form.html",
        context=lambda _form: {
            **frame(request, page="dc_sites"),
            "title": gettext("ユニットを廃止"),
            "subject": unit.resource,
            "subject_more": unit.code,
            "verb": gettext("廃止する"),
            "back_url": back,
            "note": gettext(
                "廃止は取り消せません。以後の指令は残りのユニットに分けます。"
                "すでに伝えた指令は変わりません。"
            ),
        },
    ).answer(request)
