"""Readings finer than half hours, cumulative registers, and what looks wrong in what was read."""

from __future__ import annotations

from django.db import models

from accounts.fields import bounded
from aggregator.metering.fields import kwh_field

COUNT_MAX = 10**12
DIGITS_MAX = 12
COEFFICIENT_MAX = 1_000_000


class FineReading(models.Model):
    """Metered energy of one or five minutes; positive = flow to the customer.

    Partitioned by month of `start_at` and made by SQL; its key is (start_at, meter, interval_min,
    revision). Complete half hours are folded into readings as they arrive.
    """

    id = models.BigIntegerField(primary_key=True)
    meter = models.ForeignKey(
        "metering.Meter",
        models.DO_NOTHING,
        db_constraint=False,
        related_name="fine_readings",
        verbose_name="計量器",
    )
    start_at = models.DateTimeField("開始")
    interval_min = models.SmallIntegerField("間隔 (分)")
    energy_kwh = kwh_field("電力量 (kWh)", null=True)
    quality = models.SmallIntegerField("品質")
    revision = models.SmallIntegerField("版")
    stage = models.SmallIntegerField("段階")
    available_at = models.DateTimeField("入手日時")
    source = models.CharField("入手元", max_length=40)

    class Meta:
        managed = False
        db_table = "metering_finereading"
        verbose_name = "計量値（1分・5分）"
        verbose_name_plural = "計量値（1分・5分）"

    def __str__(self) -> str:
        return f"{self.start_at:%Y-%m-%d %H:%M} {self.interval_min}分 {self.energy_kwh} kWh"


class MeterRegister(models.Model):
    """A cumulative register: how far it counts, and how many kWh one count is.

    Another meter in the same place (交換) is another row; the register before it is read for the
    last time when the next one is installed.
    """

    id = models.BigAutoField(primary_key=True)
    meter = models.ForeignKey(
        "metering.Meter", models.PROTECT, related_name="registers", verbose_name="計量器"
    )
    serial = models.CharField("製造番号", max_length=40)
    digits = models.PositiveSmallIntegerField("桁数", help_text="これを超えると0に戻る")
    count_kwh = models.DecimalField("1目盛 (kWh)", max_digits=12, decimal_places=6)
    coefficient_ratio = models.DecimalField(
        "乗率", max_digits=12, decimal_places=3, default=1, help_text="CT比×VT比"
    )
    is_export = models.BooleanField("逆潮流", default=False, help_text="計量値は負になる")
    installed_at = models.DateTimeField("設置日時")

    class Meta:
        verbose_name = "積算指示器"
        verbose_name_plural = "積算指示器"
        ordering = ["meter", "installed_at"]
        constraints = [
            models.UniqueConstraint(
                fields=["meter", "is_export", "installed_at"], name="meterregister_in_turn"
            ),
            bounded("digits", 1, DIGITS_MAX, name="meterregister"),
            models.CheckConstraint(
                condition=models.Q(count_kwh__gt=0, count_kwh__lte=COEFFICIENT_MAX),
                name="meterregister_count_kwh",
            ),
            models.CheckConstraint(
                condition=models.Q(coefficient_ratio__gt=0, coefficient_ratio__lte=COEFFICIENT_MAX),
                name="meterregister_coefficient_ratio",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.meter_id} {self.serial}"


class RegisterReading(models.Model):
    """What a register showed at a moment; the difference of two is energy."""

    id = models.BigAutoField(primary_key=True)
    register = models.ForeignKey(
        MeterRegister, models.PROTECT, related_name="readings", verbose_name="積算指示器"
    )
    read_at = models.DateTimeField("検針日時")
    count = models.BigIntegerField("指示数")
    is_reset = models.BooleanField("リセット", default=False, help_text="この時点で0に戻された")
    revision = models.SmallIntegerField("版", default=1)
    stage = models.SmallIntegerField("段階")
    available_at = models.DateTimeField("入手日時")
    source = models.CharField("入手元", max_length=40)

    class Meta:
        verbose_name = "積算指示値"
        verbose_name_plural = "積算指示値"
        ordering = ["register", "read_at", "revision"]
        constraints = [
            models.UniqueConstraint(
                fields=["register", "read_at", "revision"], name="registerreading_once"
            ),
            bounded("count", 0, COUNT_MAX, name="registerreading"),
            bounded("stage", 1, 3, name="registerreading"),
            bounded("revision", 1, 32767, name="registerreading"),
        ]

    def __str__(self) -> str:
        return f"{self.read_at:%Y-%m-%d %H:%M} {self.count}"


class ReadingFault(models.TextChoices):
    """What is wrong with readings, or looks so."""

    GAP = "GAP", "欠測"
    OVERLAP = "OVERLAP", "重複区間"
    DUPLICATE = "DUPLICATE", "二重登録"
    RESET = "RESET", "指示数の後退"
    UNIT = "UNIT", "単位誤り"
    SIGN = "SIGN", "符号誤り"
    NEGATIVE = "NEGATIVE", "負値"
    ABSURD = "ABSURD", "異常値"
    FUTURE = "FUTURE", "未来の値"
    WRONG_METER = "WRONG_METER", "計量器違い"
    LATE = "LATE", "遅延"


class ReadingFinding(models.Model):
    """Readings of one meter over a span that look wrong; a fact, with what it stands on."""

    id = models.BigAutoField(primary_key=True)
    meter = models.ForeignKey(
        "metering.Meter", models.PROTECT, related_name="findings", verbose_name="計量器"
    )
    fault = models.CharField("種別", max_length=12, choices=ReadingFault)
    start_at = models.DateTimeField("開始")
    end_at = models.DateTimeField("終了")
    evidence = models.JSONField("根拠", default=dict)
    evidence_sha256 = models.CharField("根拠のハッシュ", max_length=64)
    as_of = models.DateTimeField("計量値の時点")

    class Meta:
        verbose_name = "計量値の異常"
        verbose_name_plural = "計量値の異常"
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["meter", "fault", "start_at", "end_at", "evidence_sha256"],
                name="readingfinding_once",
            ),
            models.CheckConstraint(
                condition=models.Q(fault__in=ReadingFault.values), name="readingfinding_fault"
            ),
            models.CheckConstraint(
                condition=models.Q(start_at__lt=models.F("end_at")), name="readingfinding_span"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.get_fault_display()} {self.meter_id} {self.start_at:%Y-%m-%d %H:%M}"
