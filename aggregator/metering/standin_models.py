"""What stand-ins delivered for the awards that declined or were silent."""

from django.db import models

from accounts.fields import KWH_MAX, bounded
from aggregator.dispatch.models import DispatchInstruction
from aggregator.metering.fields import kwh_field
from market.clearing.models import Award


class StandInDelivery(models.Model):
    """What counts as delivered on a stand-in's instruction in one half hour.

    `award` is the one it stands in for; the seller is the instruction's. Of `delivered_kwh`,
    at its own place, `covered_kwh` makes up for the lost award at that one's place: the covers
    of an award never exceed what it ordered, so that no kWh is paid twice.
    """

    id = models.BigAutoField(primary_key=True)
    verification = models.ForeignKey(
        "metering.DeliveryVerification",
        models.PROTECT,
        db_index=False,
        related_name="stand_ins",
        verbose_name="確認",
    )
    instruction = models.ForeignKey(
        DispatchInstruction, models.PROTECT, related_name="stand_ins", verbose_name="差替の指令"
    )
    award = models.ForeignKey(
        Award, models.PROTECT, related_name="stand_ins", verbose_name="差し替えられた約定"
    )
    t = models.SmallIntegerField("番号")
    start_at = models.DateTimeField("開始")
    ordered_kwh = kwh_field("指令量 (kWh)")
    baseline_kwh = kwh_field("ベースライン (kWh)", null=True, blank=True)
    metered_kwh = kwh_field("計量値 (kWh)", null=True, blank=True)
    delivered_kwh = kwh_field("供出量 (kWh)")
    shortfall_kwh = kwh_field("未達 (kWh)")
    over_kwh = kwh_field("超過 (kWh)")
    covered_kwh = kwh_field("補った量 (kWh)", help_text="差し替えられた約定の地点で")
    cause = models.CharField("理由", max_length=12, blank=True)
    is_excused = models.BooleanField("不可抗力", default=False)
    reading_revision = models.SmallIntegerField("計量値の版", null=True, blank=True)
    reading_stage = models.SmallIntegerField("計量値の段階", null=True, blank=True)

    class Meta:
        verbose_name = "差替の供出量"
        verbose_name_plural = "差替の供出量"
        constraints = [
            models.UniqueConstraint(
                fields=["verification", "instruction", "t"], name="standindelivery_once"
            ),
            models.CheckConstraint(
                condition=models.Q(
                    ordered_kwh=models.F("delivered_kwh") + models.F("shortfall_kwh")
                ),
                name="standindelivery_adds_up",
            ),
            bounded("t", 0, 47, name="standindelivery"),
            bounded("ordered_kwh", 0, KWH_MAX, name="standindelivery"),
            bounded("delivered_kwh", 0, KWH_MAX, name="standindelivery"),
            bounded("shortfall_kwh", 0, KWH_MAX, name="standindelivery"),
            bounded("over_kwh", 0, KWH_MAX, name="standindelivery"),
            bounded("covered_kwh", 0, KWH_MAX, name="standindelivery"),
            bounded("baseline_kwh", -KWH_MAX, KWH_MAX, name="standindelivery"),
            bounded("metered_kwh", -KWH_MAX, KWH_MAX, name="standindelivery"),
        ]

    def __str__(self) -> str:
        return f"コマ{self.t + 1} {self.delivered_kwh} kWh"
