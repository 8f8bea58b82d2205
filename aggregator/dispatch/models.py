"""Orders to act: one per award and version, moved forward by site, clock and desk."""

import uuid

from django.db import models
from django.db.models.functions import Now

from accounts.fields import KW_MAX, PRICE_MAX_JPY_PER_KWH, bounded, kw_field
from accounts.fields.keys import uuid7
from accounts.parties.models import Organisation
from aggregator.dispatch.connection_models import (
    CONNECTION_TRANSITIONS,
    ConnectionLimit,
    ConnectionOutage,
    ConnectionState,
    FlexibleConnection,
)
from aggregator.dispatch.report_models import SiteReport, SiteReportKind
from aggregator.dispatch.trial_models import TRIAL_TRANSITIONS, Trial, TrialState
from aggregator.dispatch.unit_models import ResourceUnit, UnitOrder
from market.clearing.models import Award
from market.registry.models import Resource
from market.trading.models import Bid, Direction, Need

__all__ = (
    "CHANGED_STATES",
    "CONNECTION_TRANSITIONS",
    "OPEN_STATES",
    "RESPONSE_DEFAULT_S",
    "TRANSITIONS",
    "TRIAL_TRANSITIONS",
    "AvailabilityNotice",
    "ConnectionLimit",
    "ConnectionOutage",
    "ConnectionState",
    "DispatchInstruction",
    "FlexibleConnection",
    "InstructionInterval",
    "InstructionState",
    "ResourceUnit",
    "ServedNeed",
    "SiteReport",
    "SiteReportKind",
    "Trial",
    "TrialState",
    "UnitOrder",
)


class InstructionState(models.TextChoices):
    """Life of an instruction; a trigger lets it move along :data:`TRANSITIONS` only."""

    PLANNED = "PLANNED", "予定"
    SENT = "SENT", "送信済"
    ACKNOWLEDGED = "ACKNOWLEDGED", "受諾"
    ACTIVE = "ACTIVE", "実施中"
    FINISHED = "FINISHED", "完了"
    OPTED_OUT = "OPTED_OUT", "辞退"
    UNREACHED = "UNREACHED", "応答なし"
    REPLACED = "REPLACED", "差替"
    CANCELLED = "CANCELLED", "取消"
    PARTIAL = "PARTIAL", "一部"
    EXTENDED = "EXTENDED", "延長"


_S = InstructionState

# from -> to; who moves it stands in docs/dispatch.md, made from this table. PARTIAL and
# EXTENDED end a version: the changed quantities are the next version of the instruction.
TRANSITIONS: dict[str, tuple[str, ...]] = {
    _S.PLANNED: (_S.SENT, _S.CANCELLED),
    _S.SENT: (_S.ACKNOWLEDGED, _S.OPTED_OUT, _S.UNREACHED, _S.CANCELLED),
    _S.ACKNOWLEDGED: (_S.OPTED_OUT, _S.ACTIVE, _S.CANCELLED, _S.PARTIAL, _S.EXTENDED),
    _S.ACTIVE: (_S.FINISHED, _S.CANCELLED, _S.PARTIAL, _S.EXTENDED),
    _S.FINISHED: (),
    _S.OPTED_OUT: (_S.REPLACED,),
    _S.UNREACHED: (_S.REPLACED,),
    _S.REPLACED: (),
    _S.CANCELLED: (),
    # until the next version takes over, what it ordered can still be stopped
    _S.PARTIAL: (_S.CANCELLED,),
    _S.EXTENDED: (_S.CANCELLED,),
}
OPEN_STATES = (_S.PLANNED, _S.SENT, _S.ACKNOWLEDGED, _S.ACTIVE)
CHANGED_STATES = (_S.PARTIAL, _S.EXTENDED)
RESPONSE_DEFAULT_S = 1_800


class DispatchInstruction(models.Model):
    """An order to one resource to change its load over some half hours of a day.

    The first version of an award orders the award itself. A stand-in is a later version: same
    award, but the resource, organisation and bid of the offer that stands in, paid as bid. A
    change by the desk is a later version of the same resource: from `takes_over_at` it is in
    force instead of the version it replaces, which holds until then. A call of reserved capacity
    is an instruction of its own: `call` counts those of an award.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    award = models.ForeignKey(
        Award, models.PROTECT, related_name="instructions", verbose_name="約定"
    )
    version = models.PositiveIntegerField("版", default=1)
    bid = models.ForeignKey(
        Bid,
        models.PROTECT,
        related_name="instructions",
        verbose_name="入札",
        help_text="指令の根拠となる入札（差替では代わりの入札）",
    )
    organisation = models.ForeignKey(
        Organisation, models.PROTECT, related_name="instructions", verbose_name="組織"
    )
    resource = models.ForeignKey(
        Resource, models.PROTECT, related_name="instructions", verbose_name="リソース"
    )
    direction = models.CharField("方向", max_length=4, choices=Direction)
    starts_at = models.DateTimeField("開始")
    ends_at = models.DateTimeField("終了")
    send_at = models.DateTimeField("送信予定")
    respond_by_at = models.DateTimeField("応答期限")
    state = models.CharField(
        "状態", max_length=12, choices=InstructionState, default=InstructionState.PLANNED
    )
    reason = models.CharField("理由", max_length=200, blank=True)
    token = models.BigIntegerField("世代", default=0, help_text="Grows with each move.")
    sent_at = models.DateTimeField("送信", null=True, blank=True)
    acknowledged_at = models.DateTimeField("受諾", null=True, blank=True)
    started_at = models.DateTimeField("実施開始", null=True, blank=True)
    finished_at = models.DateTimeField(
        "終結", null=True, blank=True, help_text="実施を終えた、または効力を失った時刻"
    )
    replaces = models.ForeignKey(
        "self",
        models.PROTECT,
        null=True,
        blank=True,
        related_name="replaced_by",
        verbose_name="差替元",
    )
    response_s = models.PositiveIntegerField(
        "応動時間 (秒)",
        default=RESPONSE_DEFAULT_S,
        db_default=RESPONSE_DEFAULT_S,
        help_text="商品の応動時間：指令から全量まで",
    )
    reminded_at = models.DateTimeField("督促", null=True, blank=True)
    takes_over_at = models.DateTimeField(
        "変更の発効", null=True, blank=True, help_text="この時刻から前の版に代わる"
    )
    payer = models.ForeignKey(
        Organisation,
        models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
        verbose_name="延長の費用負担者",
    )
    call = models.PositiveIntegerField(
        "呼出", null=True, blank=True, help_text="調整力の何回目の発動か"
    )
    created_at = models.DateTimeField("作成日時", db_default=Now())

    class Meta:
        verbose_name = "指令"
        verbose_name_plural = "指令"
        ordering = ["starts_at", "id"]
        constraints = [
            models.UniqueConstraint(fields=["award", "version"], name="instruction_version"),
            models.UniqueConstraint(
                fields=["replaces", "bid", "resource"], name="instruction_replaces_once"
            ),
            models.CheckConstraint(
                condition=models.Q(state__in=InstructionState.values), name="instruction_state"
            ),
            models.CheckConstraint(
                condition=models.Q(direction__in=Direction.values), name="instruction_direction"
            ),
            models.CheckConstraint(
                condition=models.Q(starts_at__lt=models.F("ends_at")), name="instruction_times"
            ),
            models.CheckConstraint(
                condition=models.Q(version=1, replaces__isnull=True)
                | models.Q(version__gt=1, replaces__isnull=False)
                | models.Q(version__gt=1, call__isnull=False),
                name="instruction_cause",
            ),
            models.CheckConstraint(
                condition=models.Q(takes_over_at__isnull=True) | models.Q(replaces__isnull=False),
                name="instruction_change",
            ),
            models.CheckConstraint(
                condition=models.Q(payer__isnull=True) | models.Q(replaces__isnull=False),
                name="instruction_payer",
            ),
        ]
        indexes = [
            models.Index(
                fields=["starts_at"],
                name="instruction_open",
                condition=models.Q(state__in=["PLANNED", "SENT", "ACKNOWLEDGED", "ACTIVE"]),
            ),
            # what waits for an answer is counted beside every page of who must answer
            models.Index(
                fields=["organisation"],
                name="instruction_waiting",
                condition=models.Q(state="SENT"),
            ),
            models.Index(fields=["organisation", "starts_at", "id"], name="instruction_of"),
            models.Index(fields=["starts_at", "id"], name="instruction_in_turn"),
        ]

    def __str__(self) -> str:
        return f"{self.resource} {self.get_direction_display()} {self.get_state_display()}"


class InstructionInterval(models.Model):
    """What is ordered in one half hour, at the receiving end; never changed."""

    id = models.BigAutoField(primary_key=True)
    instruction = models.ForeignKey(
        DispatchInstruction, models.PROTECT, related_name="intervals", verbose_name="指令"
    )
    t = models.PositiveSmallIntegerField("番号", help_text="0…47（コマ−1）")
    start_at = models.DateTimeField("開始")
    quantity_kw = kw_field("指令量 (kW)")
    replacement_price_jpy_per_kwh = models.DecimalField(
        "差替単価 (円/kWh)",
        max_digits=10,
        decimal_places=2,
        null=True,
        blank=True,
        help_text="差替・変更のみ：その量の単価。空欄は約定のまま（約定単価）",
    )
    is_added = models.BooleanField(
        "延長分", default=False, db_default=False, help_text="約定にない時間帯。費用負担者が支払う"
    )

    class Meta:
        verbose_name = "指令（30分）"
        verbose_name_plural = "指令（30分）"
        ordering = ["instruction", "t"]
        constraints = [
            models.UniqueConstraint(fields=["instruction", "t"], name="instructioninterval_once"),
            bounded("t", 0, 47, name="instructioninterval"),
            bounded("quantity_kw", 0, KW_MAX, name="instructioninterval"),
            bounded(
                "replacement_price_jpy_per_kwh",
                -PRICE_MAX_JPY_PER_KWH,
                PRICE_MAX_JPY_PER_KWH,
                name="instructioninterval",
            ),
        ]

    def __str__(self) -> str:
        return f"コマ{self.t + 1} {self.quantity_kw} kW"


class ServedNeed(models.Model):
    """A need that an award helps to serve, noted when its instruction is planned.

    By it a grid operator finds what is done for its needs; a stand-in serves the needs of the
    award it stands in for.
    """

    id = models.BigAutoField(primary_key=True)
    award = models.ForeignKey(
        Award, models.PROTECT, related_name="needs_served", verbose_name="約定"
    )
    need = models.ForeignKey(Need, models.PROTECT, related_name="+", verbose_name="必要量")
    organisation = models.ForeignKey(
        Organisation,
        models.PROTECT,
        db_index=False,
        related_name="+",
        verbose_name="一般送配電事業者",
    )

    class Meta:
        verbose_name = "約定が応じた必要量"
        verbose_name_plural = "約定が応じた必要量"
        constraints = [
            models.UniqueConstraint(fields=["award", "need"], name="servedneed_once"),
        ]
        indexes = [models.Index(fields=["organisation", "award"], name="servedneed_of")]

    def __str__(self) -> str:
        return f"{self.award_id} {self.need}"


class AvailabilityNotice(models.Model):
    """A site's word that a resource can act or cannot for a while; the latest word prevails.

    A resource that is said to be unavailable is not asked to stand in. It is no answer to an
    instruction: that is declined or carried out as before.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    number = models.BigIntegerField("順番", help_text="Of the resource's notices; 1 is the first.")
    resource = models.ForeignKey(
        Resource,
        models.PROTECT,
        db_index=False,
        related_name="availability_notices",
        verbose_name="リソース",
    )
    organisation = models.ForeignKey(
        Organisation,
        models.PROTECT,
        db_index=False,
        related_name="+",
        verbose_name="組織",
    )
    starts_at = models.DateTimeField("開始")
    ends_at = models.DateTimeField("終了")
    is_available = models.BooleanField("供出可能")
    reason = models.CharField("理由", max_length=200, blank=True)
    noted_at = models.DateTimeField("通知日時", help_text="市場時計")

    class Meta:
        verbose_name = "供出可否の通知"
        verbose_name_plural = "供出可否の通知"
        constraints = [
            models.UniqueConstraint(
                fields=["resource", "number"], name="availabilitynotice_number"
            ),
            models.CheckConstraint(
                condition=models.Q(starts_at__lt=models.F("ends_at")),
                name="availabilitynotice_times",
            ),
            models.CheckConstraint(
                condition=models.Q(is_available=True) | ~models.Q(reason=""),
                name="availabilitynotice_reason",
            ),
        ]
        indexes = [
            models.Index(fields=["organisation", "starts_at", "id"], name="availabilitynotice_of"),
            models.Index(fields=["starts_at", "id"], name="availabilitynotice_in_turn"),
        ]

    def __str__(self) -> str:
        word = "可" if self.is_available else "不可"
        return f"{self.resource} {self.starts_at:%Y-%m-%d %H:%M} {word}"
