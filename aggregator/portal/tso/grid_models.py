"""Grid models: versions that are kept, and a case file tried out before it is one of them.

The file is judged by the service that keeps it; what it made is shown and taken back. With the
yes the same bytes come back, packed into the page, and are judged again.
"""

from __future__ import annotations

import base64
import binascii
import re
import tempfile
import zlib
from collections import Counter
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, Final

from django.db import transaction
from django.db.models import Count, Max, Min
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext, gettext_lazy
from django.views.decorators.http import require_http_methods, require_safe

from accounts.core.errors import Conflict, Refused
from accounts.parties.models import Organisation
from aggregator.portal import words
from aggregator.portal.answering import UNPROCESSABLE, Done, FormPage
from aggregator.portal.entering import person_required
from aggregator.portal.forms import (
    ChoiceField,
    DayField,
    FileField,
    Place,
    PortalForm,
    TextField,
    refusal_text,
)
from aggregator.portal.frame import frame, market_time, sight_in
from aggregator.portal.lists import Filter, listed
from aggregator.portal.tso import selectors as own
from market.registry import selectors as registry
from market.registry.matpower import grid_model_import
from market.registry.models import Area, Bus, GridModel, SusceptanceConvention
from market.trading.models import Auction
from market.trading.refusals import RowsRefused

PAGE: Final = "tso_models"
PUBLISH: Final = "network.publish"
NAME_LENGTH_MAX: Final = 80
TEXT_MAX: Final = 80
FILE_NAME_LENGTH_MAX: Final = 120
FILE_BYTES_MAX: Final = 4_000_000
# what a form may bring without a file is bounded by Django's setting; a case packs to a fifth
PACKED_LENGTH_MAX: Final = 4_000_000
REFUSALS_MAX: Final = 20
CHECK: Final = "check"
EDIT: Final = "edit"
PLACES: Final = {
    "name": "name", "area_code": "area", "convention": "convention",
    "valid_from_on": "valid_from_on",
}  # fmt: skip
_STEM: Final = re.compile(r"[A-Za-z0-9_-]{1,60}")
_WHERE: Final = re.compile(r"\S+\.m (?:mpc\.)?(\w+) row (\d+)(?: (.+))?")
HEADER = (
    "name", "version", "grid_operator", "valid_from_on", "buses", "branches", "links", "base_mva",
    "convention", "source", "sha256", "created_at",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Version:
    """A version of the list, and since when auctions are cleared on it."""

    row: GridModel
    is_in_force: bool
    is_coming: bool
    first_on: date | None
    last_on: date | None


def in_force_of(rows: Any, on: date) -> set[Any]:
    """Return the ids of the versions meant for a day: of each name the latest that has begun."""
    found: dict[str, Any] = {}
    for row in rows.order_by("version").values("id", "name", "valid_from_on"):
        if row["valid_from_on"] is None or row["valid_from_on"] <= on:
            found[row["name"]] = row["id"]
    return set(found.values())


@person_required(own.NETWORK)
@require_safe
def model_list(request: HttpRequest) -> HttpResponse:
    """All versions, the latest of each name first."""
    sight = sight_in(request)
    clock = market_time()
    today = clock.now.astimezone(words.JST).date()
    every = registry.grid_models()
    rows = listed(
        request,
        every,
        filters=(
            Filter(
                name="text",
                label=gettext("名称"),
                apply=lambda found, value: found.filter(name__icontains=value[:TEXT_MAX]),
            ),
        ),
        sorts={
            "name": ("name", "-version", "id"),
            "made": ("created_at", "id"),
            "buses": ("bus_count", "name", "-version", "id"),
        },
        sort="name",
    )
    if rows.wants_csv:
        return rows.csv("grid-models.csv", HEADER, _cells)
    names = {row.name for row in rows.shown}
    in_force = in_force_of(GridModel.objects.filter(name__in=names), today)
    used: dict[Any, dict[str, Any]] = {
        each["grid_model"]: dict(each)
        for each in Auction.objects.filter(grid_model__in=[row.id for row in rows.shown])
        .order_by()
        .values("grid_model")
        .annotate(first_on=Min("delivery_on"), last_on=Max("delivery_on"))
    }
    context = {
        **frame(request, page=PAGE, now=clock),
        "listing": rows,
        "versions": [
            Version(
                row=row,
                is_in_force=row.id in in_force,
                is_coming=row.valid_from_on is not None and row.valid_from_on > today,
                first_on=used.get(row.id, {}).get("first_on"),
                last_on=used.get(row.id, {}).get("last_on"),
            )
            for row in rows.shown
        ],
        "may_publish": sight.may_somewhere(PUBLISH),
    }
    return render(request, "portal/tso/models.html", context)


def _cells(row: GridModel) -> tuple[Any, ...]:
    return (
        row.name, row.version, row.owner.code if row.owner else "", row.valid_from_on,
        row.bus_count, row.branch_count, row.link_count, row.base_mva, row.convention, row.source,
        row.sha256, row.created_at,
    )  # fmt: skip


class ModelForm(PortalForm):
    """A case file and what it does not say itself."""

    file = FileField(
        label=gettext_lazy("MATPOWER ファイル (.m)"), accept=".m,text/x-matlab,text/plain",
        required=False,
    )  # fmt: skip
    name = TextField(
        label=gettext_lazy("名称"), max_length=NAME_LENGTH_MAX,
        help_text=gettext_lazy("同じ名称で送ると、その次の版になります。"),
    )  # fmt: skip
    area = ChoiceField(label=gettext_lazy("エリア"), required=False)
    convention = ChoiceField(
        label=gettext_lazy("サセプタンス"),
        choices=[
            (SusceptanceConvention.REACTANCE, gettext_lazy("1/x（リアクタンスのみ）")),
            (SusceptanceConvention.SERIES, gettext_lazy("x/(r²+x²)（直列）")),
        ],
    )
    valid_from_on = DayField(
        label=gettext_lazy("適用開始"), required=False,
        help_text=gettext_lazy("この版を使い始める受渡日です。空欄なら決めません。"),
    )  # fmt: skip

    def __init__(self, *args: Any, areas: list[tuple[str, str]], **more: Any) -> None:
        super().__init__(*args, **more)
        field: Any = self.fields["area"]
        field.choices = [("", gettext("ファイルのエリア番号のとおり")), *areas]
        self.content = b""
        self.file_name = str(self.data.get("file_name", ""))[:FILE_NAME_LENGTH_MAX]

    def clean(self) -> dict[str, Any]:
        """Take the file, or the one that came before it, packed into the page."""
        clean: dict[str, Any] = super().clean() or self.cleaned_data
        file = clean.get("file")
        if file is not None:
            self.content = file.read(FILE_BYTES_MAX + 1)
            self.file_name = str(file.name)[:FILE_NAME_LENGTH_MAX]
        else:
            self.content = unpacked(self.data.get("packed", ""))
        if not self.content:
            self.add_error("file", gettext("ファイルを選んでください。"))
        elif len(self.content) > FILE_BYTES_MAX:
            self.add_error(
                "file",
                gettext("%(mb)s MB までです。大きなモデルは API から送ってください。")
                % {"mb": FILE_BYTES_MAX // 1_000_000},
            )
        return clean

    @property
    def packed(self) -> str:
        """The file as the page carries it."""
        return base64.b64encode(zlib.compress(self.content)).decode() if self.content else ""

    def refuse(self, refused: Refused, place: Place | None = None) -> None:
        """Say what is wrong with its table and row; what is no field here is the file's."""
        if not hasattr(self, "cleaned_data"):
            self.cleaned_data = {}
        many = refused.refusals if isinstance(refused, RowsRefused) else (refused,)
        for one in many[:REFUSALS_MAX]:
            name = self._field_of(one.field, place or PLACES.get)
            if name is not None:
                self.add_error(name, refusal_text(one))
            else:
                self.add_error("file", f"{where(one.field)}{gettext('：')}{refusal_text(one)}")


def where(field: str) -> str:
    """Say the place of a case file at which something was refused."""
    found = _WHERE.fullmatch(field)
    if found is None:
        return field.partition(".m ")[2] or field
    table, row, column = found.groups()
    place = gettext("mpc.%(table)s の %(row)s 行目") % {"table": table, "row": row}
    return f"{place} {column}" if column else place


def unpacked(text: str) -> bytes:
    """Return the file that a page carried; nothing if it is none, or more than may be."""
    if not text or len(text) > PACKED_LENGTH_MAX:
        return b""
    try:
        return zlib.decompressobj().decompress(
            base64.b64decode(text, validate=True), FILE_BYTES_MAX + 1
        )
    except (binascii.Error, ValueError, zlib.error):
        return b""


def model_kept(form: ModelForm, owner: Organisation) -> GridModel:
    """Keep the model of a form that was read.

    Raises
    ------
    Refused
        What cannot be used, by table, row and rule.
    """
    clean = form.cleaned_data
    stem = clean["name"] if _STEM.fullmatch(clean["name"]) else "case"
    with tempfile.TemporaryDirectory() as directory:
        file = Path(directory) / f"{stem}.m"
        file.write_bytes(form.content)
        try:
            return grid_model_import(
                path=file,
                name=clean["name"],
                convention=clean["convention"],
                area_code=clean["area"] or None,
                owner=owner,
                valid_from_on=clean["valid_from_on"],
            )
        except Conflict:
            raise
        except Refused as refused:
            if isinstance(refused, RowsRefused):
                raise
            # what is not found or permitted is said at its field, as everything else
            raise Refused(field=refused.field, value=refused.value, rule=refused.rule) from refused


@dataclass(frozen=True, kw_only=True)
class Checked:
    """What a file would become."""

    rows: list[dict[str, str]]
    verb: str
    known: GridModel | None


def checked(form: ModelForm, owner: Organisation) -> Checked:
    """Return what the service makes of a file, having taken it back.

    Raises
    ------
    Refused
        What cannot be used, by table, row and rule.
    """
    before = GridModel.objects.filter(name=form.cleaned_data["name"]).order_by("-version").first()
    with transaction.atomic():
        made = model_kept(form, owner)
        areas = list(
            Area.objects.filter(bus__grid_model=made)
            .annotate(bus_count=Count("bus"))
            .order_by("code")
        )
        voltages = Counter(
            Bus.objects.filter(grid_model=made).values_list("voltage_kv", flat=True)
        )  # fmt: skip
        transaction.set_rollback(True)
    known = GridModel.objects.filter(id=made.id).first()

    def count(label: str, name: str) -> dict[str, str]:
        now = words.number(getattr(made, name))
        was = words.number(getattr(before, name)) if before is not None else now
        return {"label": label, "before": "" if was == now else was, "value": now}

    rows = [
        {"label": gettext("名称"), "value": made.name},
        {
            "label": gettext("版"),
            "before": str(before.version) if before is not None and known is None else "",
            "value": str(made.version),
        },
        {"label": gettext("適用開始"), "value": _from_word(made.valid_from_on)},
        count(gettext("母線"), "bus_count"),
        count(gettext("送電線・変圧器"), "branch_count"),
        count(gettext("連系設備"), "link_count"),
        {
            "label": gettext("エリア別の母線"),
            "value": gettext("、").join(
                f"{words.local_name(row)} {row.bus_count}" for row in areas
            ),
        },
        {
            "label": gettext("電圧別の母線"),
            "value": gettext("、").join(
                f"{words.number(kv, 1) if kv % 1 else words.number(kv)} kV {n}"
                for kv, n in sorted(voltages.items(), reverse=True)
            ),
        },
        {"label": gettext("ハッシュ（SHA-256）"), "value": made.sha256},
    ]
    verb = gettext("版 %(n)d として登録する") % {"n": made.version}
    return Checked(rows=rows, verb=verb, known=known)


def _from_word(day: date | None) -> str:
    return words.day_long(day) if day is not None else gettext("決めない")


@person_required(PUBLISH)
@require_http_methods(["GET", "HEAD", "POST"])
def model_new(request: HttpRequest) -> HttpResponse:
    """Send a case file: checked first, kept on a yes."""
    sight = sight_in(request)
    owner = sight.acting_for(PUBLISH)
    areas = [
        (row.code, words.local_name(row))
        for row in registry.areas().filter(tso=owner).order_by("code")
    ]
    back = reverse("portal:tso_models")
    made: list[ModelForm] = []

    def form(fields: QueryDict | None, files: Any) -> ModelForm:
        initial = {"convention": SusceptanceConvention.REACTANCE, "name": request.GET.get("name")}
        made.append(ModelForm(fields, files, initial=initial, areas=areas))
        return made[-1]

    def work(_clean: dict[str, Any]) -> Done:
        kept = model_kept(made[-1], owner)
        said = gettext("%(name)s 版 %(n)d を登録しました。")
        return Done(url=back, said=said % {"name": kept.name, "n": kept.version})

    page = FormPage(
        form=form,
        work=work,
        template="portal/tso/model_new.html",
        context=lambda _form: {**frame(request, page=PAGE), "back_url": back, "owner": owner},
    )
    if request.method != "POST" or not {CHECK, EDIT} & set(request.POST):
        return page.answer(request)
    typed = form(request.POST, request.FILES)
    if not typed.is_valid():
        return page.show(request, typed, status=UNPROCESSABLE)
    if EDIT in request.POST:
        return page.show(request, typed)
    try:
        found = checked(typed, owner)
    except Refused as refused:
        typed.refuse(refused)
        return page.show(request, typed, status=UNPROCESSABLE)
    return page.show(request, typed, checked=found)
