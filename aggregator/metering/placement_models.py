"""Where moved work ran, as its operator says, and whether both ends of a shift agree."""

from django.contrib.postgres.fields import ArrayField
from django.db import models

from accounts.fields import KWH_MAX, bounded
from aggregator.metering.fields import kwh_field
from market.clearing.models import Award

GPU_H_MAX = 1_000_000_000
# beyond it the ratio says no more than that next to nothing left
RATIO_MAX = 1_000


class PlacementLog(models.Model):
    """Work of one kind that left, or arrived at, the place of a shift's award in a half hour.

    Which of the two it was, the award's leg says. A changed value is a row of the next
    revision, which replaces the earlier.
    """

    id = models.BigAutoField(primary_key=True)
    award = models.ForeignKey(
        Award, models.PROTECT, db_index=False, related_name="placements", verbose_name="約定"
    )
    t = models.SmallIntegerField("番号", help_text="0…47（コマ−1）")
    start_at = models.DateTimeField("開始")
    label = models.CharField("ラベル", max_length=40, help_text="作業のデータの所在ラベル")
    moved_gpu_h = models.DecimalField(
        "移した作業 (GPU時間)", max_digits=14, decimal_places=3, null=True, blank=True
    )
    moved_kwh = kwh_field("移した作業 (kWh)", null=True, blank=True)
    revision = models.SmallIntegerField("版", default=1)
    available_at = models.DateTimeField("入手日時")
    source = models.CharField("入手元", max_length=40)
    evidence = models.CharField(
        "証跡", max_length=200, blank=True, help_text="ジョブIDやログのハッシュ"
    )

    class Meta:
        verbose_name = "配置記録"
        verbose_name_plural = "配置記録"
        constraints = [
            models.UniqueConstraint(
                fields=["award", "t", "label", "revision"], name="placementlog_once"
            ),
            models.CheckConstraint(
                condition=models.Q(moved_gpu_h__isnull=True, moved_kwh__isnull=False)
                | models.Q(moved_gpu_h__isnull=False, moved_kwh__isnull=True),
                name="placementlog_one_unit",
            ),
            bounded("t", 0, 47, name="placementlog"),
            bounded("moved_gpu_h", 0, GPU_H_MAX, name="placementlog"),
            bounded("moved_kwh", 0, KWH_MAX, name="placementlog"),
            bounded("revision", 1, 32_767, name="placementlog"),
        ]

    def __str__(self) -> str:
        return f"コマ{self.t + 1} {self.label}"


class ShiftCheck(models.Model):
    """Both ends of a shift side by side in one half hour, by the award at the place it leaves.

    `moved_out_kwh` and `moved_in_kwh` are what the meters show; the latter is held to the kWh
    that the work takes at the place it leaves. What is not conserved, or lands where it must
    not, is shortfall at both ends.
    """

    id = models.BigAutoField(primary_key=True)
    verification = models.ForeignKey(
        "metering.DeliveryVerification",
        models.PROTECT,
        db_index=False,
        related_name="shift_checks",
        verbose_name="確認",
    )
    award = models.ForeignKey(
        Award, models.PROTECT, related_name="shift_checks", verbose_name="移動元の約定"
    )
    t = models.SmallIntegerField("番号")
    start_at = models.DateTimeField("開始")
    moved_out_kwh = kwh_field("移動元の計量 (kWh)")
    moved_in_kwh = kwh_field("移動先の計量 (移動元の kWh)")
    counted_kwh = kwh_field("認めた移動 (kWh)")
    arrived_ratio = models.DecimalField(
        "移動先÷移動元", max_digits=10, decimal_places=6, null=True, blank=True
    )
    has_log = models.BooleanField("配置記録あり")
    is_conserved = models.BooleanField("一致", help_text="許容差の内")
    labels_ok = models.BooleanField("ラベル適合")
    labels_refused = ArrayField(
        models.CharField(max_length=40), default=list, blank=True, verbose_name="不適合のラベル"
    )
    effect_kw = models.JSONField(
        "設備への効果 (kW)",
        default=dict,
        help_text="設備ごとに、約定どおりの効果と認めた効果（両端の合計）",
    )

    class Meta:
        verbose_name = "移動の照合"
        verbose_name_plural = "移動の照合"
        constraints = [
            models.UniqueConstraint(fields=["verification", "award", "t"], name="shiftcheck_once"),
            bounded("t", 0, 47, name="shiftcheck"),
            bounded("moved_out_kwh", 0, KWH_MAX, name="shiftcheck"),
            bounded("moved_in_kwh", 0, KWH_MAX, name="shiftcheck"),
            bounded("counted_kwh", 0, KWH_MAX, name="shiftcheck"),
            bounded("arrived_ratio", 0, RATIO_MAX, name="shiftcheck"),
        ]

    def __str__(self) -> str:
        return f"コマ{self.t + 1} {self.counted_kwh} kWh"
