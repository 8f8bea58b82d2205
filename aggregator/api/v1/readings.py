"""Readings: values of meters in bulk, and what was known of them when.

A value is energy in kWh of one half hour, positive for flow to the customer. A batch comes as
JSON (series of half hours that follow one another) or as CSV with the columns ``point_number,
start_at, energy_kwh`` and, where they differ from OK and PRELIMINARY, ``quality`` and ``stage``;
either may be packed by gzip. Intervals of one and five minutes come with ``interval_min``, and
make half hours when all of one are there. Nothing of a batch with wrong rows is stored, unless
``?partial=true`` asks for the good ones.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, ClassVar, Final

from django.urls import path
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.core.errors import Refused
from accounts.core.numbers import decimal_of
from accounts.fields import KWH_MAX
from accounts.fields.checking import entries_checked
from aggregator.api.v1.access import Access
from aggregator.api.v1.asked import (
    body_of,
    choice_of,
    code_of,
    flag_of,
    list_of,
    moment_of,
    number_of,
    query_of,
    row_of,
)
from aggregator.api.v1.base import Door
from aggregator.api.v1.pagination import page
from aggregator.api.v1.printed import exact_or_none
from aggregator.api.v1.problem import Stopped, refusal_ja
from aggregator.api.v1.problem import code_of as problem_code_of
from aggregator.api.v1.reading import LIST_LENGTH_MAX, StrictJsonParser
from aggregator.api.v1.schema import PAGED, problems
from aggregator.api.v1.told import ROWS_REFUSED
from aggregator.api.v1.uploads import (
    CsvParser,
    Table,
    columns_expect,
    refusal_entry,
    refuse_rows,
    row_error,
)
from aggregator.core.readings import point_number_of
from aggregator.metering.fine import FineRow
from aggregator.metering.intake import Fault, Intake, readings_take
from aggregator.metering.models import IntervalReading, Quality, Stage
from aggregator.metering.seen import READ, SUBMIT, meters_seen, readings_known, stages_allowed
from aggregator.metering.services import SOURCE_LENGTH_MAX, ReadingRow

INTERVALS_MAX: Final = 50_000
HALF_HOUR: Final = timedelta(minutes=30)
YEAR_LAST: Final = 9_000  # so that no half hour of a series lies beyond the calendar
NEEDED: Final = ("point_number", "start_at", "energy_kwh")
OPTIONAL: Final = ("quality", "stage", "interval_min")
HALF_HOUR_MIN: Final = 30
INTERVALS_MIN: Final = (1, 5, HALF_HOUR_MIN)
SERIES_QUALITIES: Final = (Quality.OK.name, Quality.ESTIMATED.name, Quality.BAD.name)


class SeriesIn(serializers.Serializer[Any]):
    """Intervals of one meter that follow one another: half hours unless told otherwise."""

    point_number = serializers.CharField(max_length=22)
    start_at = serializers.DateTimeField(help_text="Start of the first half hour, with its offset.")
    energy_kwh = serializers.ListField(
        child=serializers.DecimalField(max_digits=14, decimal_places=3, allow_null=True),
        min_length=1,
        max_length=LIST_LENGTH_MAX,
        help_text="kWh of each half hour, + = flow to the customer; null where it is missing.",
    )
    quality = serializers.ChoiceField(
        choices=SERIES_QUALITIES, required=False, help_text="Of all values; OK if not given."
    )
    stage = serializers.ChoiceField(
        choices=Stage.names,
        required=False,
        help_text="PRELIMINARY (速報) if not given; higher only from grid operator or settlement.",
    )
    interval_min = serializers.ChoiceField(
        choices=INTERVALS_MIN,
        required=False,
        help_text="Minutes of each interval; 30 if not given. Shorter ones are folded into half"
        " hours when all of a half hour are there.",
    )


class ReadingsIn(serializers.Serializer[Any]):
    """A batch of at most 50,000 half hours."""

    series = SeriesIn(many=True)


class KeptOut(serializers.Serializer[Any]):
    """What was kept of one meter."""

    point_number = serializers.CharField()
    intervals_count = serializers.IntegerField()


class RowErrorOut(serializers.Serializer[Any]):
    """A row that was refused."""

    code = serializers.CharField()
    field = serializers.CharField()
    detail = serializers.CharField()
    line = serializers.IntegerField(required=False)


class ReadingsTakenOut(serializers.Serializer[Any]):
    """What became of a batch; `unchanged` rows were known before, `revised` ones differently."""

    added = serializers.IntegerField()
    revised = serializers.IntegerField()
    unchanged = serializers.IntegerField()
    kept = KeptOut(many=True)
    refused = RowErrorOut(many=True)


class ReadingOut(serializers.Serializer[Any]):
    """One value of one half hour."""

    point_number = serializers.CharField()
    start_at = serializers.DateTimeField()
    energy_kwh = serializers.DecimalField(
        max_digits=14, decimal_places=3, allow_null=True, help_text="+ = flow to the customer."
    )
    quality = serializers.ChoiceField(choices=Quality.names)
    stage = serializers.ChoiceField(choices=Stage.names)
    revision = serializers.IntegerField()
    available_at = serializers.DateTimeField()
    source = serializers.CharField()  # type: ignore[assignment]  # a field of this name


class ReadingPage(serializers.Serializer[Any]):
    """A page of readings."""

    items = ReadingOut(many=True)
    next = serializers.CharField(allow_null=True)


@dataclass
class Batch:
    """Rows as they came: what could be read, what could not, and where each stands."""

    rows: dict[int, ReadingRow | FineRow] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)
    lines: Sequence[int] = ()
    places: list[tuple[int, int]] = field(default_factory=list)

    def error_of(self, fault: Fault) -> dict[str, Any]:
        """Return a fault as an entry of the answer: with its line, or the path in the body."""
        refused = fault.refused
        name = refused.field
        if self.lines:
            return refusal_entry(refused, line=self.lines[fault.n])
        series, k = self.places[fault.n]
        of_all = name in ("point_number", "stage", "quality")
        path = f"series[{series}].{name}" if of_all else f"series[{series}].energy_kwh[{k}]"
        return row_error(
            problem_code_of(refused),
            path,
            f"half hour {k}: {refused}",
            detail_ja=f"t = {k}：{refusal_ja(refused)}",
        )


class ReadingList(Door):
    """Readings of a meter, and batches of them."""

    access: ClassVar[Access] = {"GET": READ, "POST": SUBMIT}
    parser_classes = (StrictJsonParser, CsvParser)
    takes_gzip: ClassVar[bool] = True

    @extend_schema(
        summary="List a meter's readings, as they were known at a moment",
        parameters=[
            *PAGED,
            OpenApiParameter("meter", OpenApiTypes.STR, required=True, description="Its number."),
            OpenApiParameter("from", OpenApiTypes.DATETIME, description="Begins then or later."),
            OpenApiParameter("to", OpenApiTypes.DATETIME, description="Begins before."),
            OpenApiParameter(
                "known_at", OpenApiTypes.DATETIME, description="What was known then; else now."
            ),
            OpenApiParameter(
                "revisions",
                OpenApiTypes.STR,
                enum=("prevailing", "all"),
                description="All values of a half hour, not only the one that prevails.",
            ),
        ],
        responses={200: ReadingPage},
    )
    def get(self, request: Request) -> Response:
        """Return one page."""
        asked = query_of(request, "meter", "from", "to", "known_at", "revisions")
        if "meter" not in asked:
            raise Refused(field="meter", value=None, rule="the number of a meter")
        number = code_of(asked["meter"], field="meter")
        meter = row_of(meters_seen(seen_by=self.sight), "meter", point_number=number)
        known_at = asked.get("known_at")
        every = choice_of(
            asked.get("revisions", "prevailing"), ("prevailing", "all"), field="revisions"
        )
        rows = readings_known(
            meter=meter,
            known_at=None if known_at is None else moment_of(known_at, field="known_at"),
            every_revision=every == "all",
        )
        if "from" in asked:
            rows = rows.filter(start_at__gte=moment_of(asked["from"], field="from"))
        if "to" in asked:
            rows = rows.filter(start_at__lt=moment_of(asked["to"], field="to"))

        def written(row: IntervalReading) -> dict[str, Any]:
            return reading_written(row, number)

        return Response(page(request, rows, written, key=("start_at", "revision")))

    @extend_schema(
        summary="Send readings: at most 50,000 half hours",
        parameters=[
            OpenApiParameter(
                "partial", OpenApiTypes.BOOL, description="Keep the good rows beside wrong ones."
            ),
            OpenApiParameter(
                "rows",
                OpenApiTypes.INT,
                description="How many rows were sent: a batch that lost some is refused.",
            ),
        ],
        request={"application/json": ReadingsIn, "text/csv": OpenApiTypes.STR},
        responses={201: ReadingsTakenOut, **problems(ROWS_REFUSED)},
    )
    def post(self, request: Request) -> Response:
        """Take the batch in: all of it, or nothing, or what is good if asked for."""
        asked = query_of(request, "partial", "rows", is_list=False)
        is_partial = flag_of(asked.get("partial", "false"), field="partial")
        batch = _of_table(request.data) if isinstance(request.data, Table) else _of_json(request)
        if "rows" in asked:
            _whole(batch, request.data, asked["rows"])
        whose = self.sight.organisation
        intake = readings_take(
            rows=batch.rows,
            source=f"api:{whose.code if whose else ''}"[:SOURCE_LENGTH_MAX],
            stages=stages_allowed(
                seen_by=self.sight, point_numbers={row.point_number for row in batch.rows.values()}
            ),
            faults=batch.faults,
            is_partial=is_partial,
        )
        errors = [batch.error_of(fault) for fault in intake.faults]
        if not is_partial:
            refuse_rows(errors, code=ROWS_REFUSED)
        return Response(_taken(batch, intake, errors), status=201)


def reading_written(row: IntervalReading, point_number: str) -> dict[str, Any]:
    """Print a reading."""
    return {
        "point_number": point_number,
        "start_at": row.start_at,
        "energy_kwh": exact_or_none(row.energy_kwh),
        "quality": Quality(row.quality).name,
        "stage": Stage(row.stage).name,
        "revision": row.revision,
        "available_at": row.available_at,
        "source": row.source,
    }


def _taken(batch: Batch, intake: Intake, errors: list[dict[str, Any]]) -> dict[str, Any]:
    counts = Counter(batch.rows[n].point_number for n in intake.kept)
    return {
        "added": intake.ingested.added,
        "revised": intake.ingested.revised,
        "unchanged": intake.ingested.unchanged,
        "kept": [
            {"point_number": number, "intervals_count": count}
            for number, count in sorted(counts.items())
        ],
        "refused": errors,
    }


def _whole(batch: Batch, sent: object, rows: str) -> None:
    """Refuse a batch that lost rows on its way, or the end of its last one."""
    count = len(batch.rows) + len(batch.faults)
    if number_of(rows, field="rows") != count:
        raise Refused(field="rows", value=rows, rule=f"{count} rows arrived")
    if isinstance(sent, Table) and not sent.is_ended:
        # 901 that was cut to 90 is a number, too
        raise Refused(field="rows", value=rows, rule="the last line with its line break")


def _refuse_many(count: int) -> None:
    if count > INTERVALS_MAX:
        raise Stopped(
            "too-large",
            f"at most {INTERVALS_MAX} half hours at once",
            detail_ja=f"一度に {INTERVALS_MAX} 件までです",
        )


def _of_table(table: Table) -> Batch:
    columns_expect(table, needed=NEEDED, allowed=OPTIONAL)
    _refuse_many(len(table.rows))
    batch = Batch(lines=table.lines)
    for n, cells in enumerate(table.rows):
        try:
            batch.rows[n] = _row(cells)
        except Refused as refused:
            batch.faults.append(Fault(n=n, refused=refused))
    if not table.rows:
        raise Refused(field="rows", value=0, rule="at least one row")
    return batch


def _row(cells: Mapping[str, str]) -> ReadingRow | FineRow:
    text = cells["energy_kwh"]
    usual = Quality.OK.name if text else Quality.MISSING.name
    quality = choice_of(cells.get("quality") or usual, Quality.names, field="quality")
    stage = choice_of(cells.get("stage") or Stage.PRELIMINARY.name, Stage.names, field="stage")
    interval = choice_of(
        cells.get("interval_min") or str(HALF_HOUR_MIN),
        tuple(map(str, INTERVALS_MIN)),
        field="interval_min",
    )
    number = cells["point_number"]
    return _reading(
        # grid operators print the number with hyphens
        point_number_of(number).digits if "-" in number else number,
        moment_of(cells["start_at"], field="start_at"),
        _energy(text) if text else None,
        (int(interval), Quality[quality], Stage[stage]),
    )


def _reading(
    point_number: str,
    start_at: datetime,
    energy_kwh: Decimal | None,
    marks: tuple[int, Quality, Stage],
) -> ReadingRow | FineRow:
    """Return the row of an interval: of a half hour, or of a shorter one."""
    interval_min, quality, stage = marks
    if interval_min == HALF_HOUR_MIN:
        return ReadingRow(point_number, start_at, energy_kwh, int(quality), int(stage))
    return FineRow(point_number, start_at, interval_min, energy_kwh, int(quality), int(stage))


def _of_json(request: Request) -> Batch:
    body = body_of(request, required=("series",))
    batch = Batch()
    n = 0
    for i, entry in enumerate(list_of(body["series"], field="series", length_max=LIST_LENGTH_MAX)):
        label = f"series[{i}]"
        given = entries_checked(entry, required=NEEDED, optional=OPTIONAL, label=label)
        values = list_of(
            given["energy_kwh"], field=f"{label}.energy_kwh", length_max=LIST_LENGTH_MAX
        )
        _refuse_many(n + len(values))
        number, start_at, marks = _of_series(given, label)
        step = timedelta(minutes=marks[0])
        for k, value in enumerate(values):
            batch.places.append((i, k))
            try:
                batch.rows[n] = _reading(
                    number,
                    start_at + k * step,
                    None if value is None else _energy(value),
                    (marks[0], Quality.MISSING if value is None else marks[1], marks[2]),
                )
            except Refused as refused:
                batch.faults.append(Fault(n=n, refused=refused))
            n += 1
    return batch


def _of_series(
    given: Mapping[str, Any], label: str
) -> tuple[str, datetime, tuple[int, Quality, Stage]]:
    number = code_of(given["point_number"], field=f"{label}.point_number")
    start_at = moment_of(given["start_at"], field=f"{label}.start_at")
    if start_at.year > YEAR_LAST:
        raise Refused(
            field=f"{label}.start_at", value=given["start_at"], rule="a half hour that has ended"
        )
    quality = choice_of(given.get("quality", "OK"), SERIES_QUALITIES, field=f"{label}.quality")
    stage = choice_of(given.get("stage", "PRELIMINARY"), Stage.names, field=f"{label}.stage")
    interval_min = given.get("interval_min", HALF_HOUR_MIN)
    if type(interval_min) is not int or interval_min not in INTERVALS_MIN:
        raise Refused(field=f"{label}.interval_min", value=interval_min, rule="1, 5 or 30 minutes")
    return number, start_at, (interval_min, Quality[quality], Stage[stage])


def _energy(value: Any) -> Decimal:
    return decimal_of(
        value, field="energy_kwh", low=Decimal(-KWH_MAX), high=Decimal(KWH_MAX), places=3
    )


urlpatterns = [
    path("readings", ReadingList.as_view(), name="reading-list"),
]
