"""Units behind a resource that is bid as one, and what each is told of an order."""

from django.db import models

from accounts.fields import KW_MAX, bounded, kw_field
from accounts.fields.keys import uuid7
from market.registry.models import Resource


class ResourceUnit(models.Model):
    """One machine, hall or cluster of a resource that is bid and metered as one.

    Its limits are what it can change at most, `minimum_kw` the least it does if it acts at all;
    of units the one with the lowest rank acts first. A unit is added and taken out of service;
    its limits are new rows.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    resource = models.ForeignKey(
        Resource, models.PROTECT, related_name="units", verbose_name="リソース"
    )
    code = models.SlugField("コード", max_length=40)
    rank = models.PositiveSmallIntegerField("順位", help_text="小さいほど先に動く")
    limit_up_kw = kw_field("上げ上限 (kW)")
    limit_down_kw = kw_field("下げ上限 (kW)")
    minimum_kw = kw_field("最小量 (kW)", default=0)
    ramp_kw_per_min = models.DecimalField(
        "変化速度 (kW/分)", max_digits=12, decimal_places=1, null=True, blank=True
    )
    added_at = models.DateTimeField("登録日時")
    retired_at = models.DateTimeField("廃止日時", null=True, blank=True)

    class Meta:
        verbose_name = "ユニット"
        verbose_name_plural = "ユニット"
        ordering = ["resource", "rank", "code"]
        constraints = [
            models.UniqueConstraint(
                fields=["resource", "code"],
                condition=models.Q(retired_at__isnull=True),
                name="resourceunit_code",
            ),
            bounded("limit_up_kw", 0, KW_MAX, name="resourceunit"),
            bounded("limit_down_kw", 0, KW_MAX, name="resourceunit"),
            bounded("minimum_kw", 0, KW_MAX, name="resourceunit"),
            bounded("ramp_kw_per_min", 0.1, KW_MAX, name="resourceunit"),
        ]

    def __str__(self) -> str:
        return f"{self.resource} {self.code}"


class UnitOrder(models.Model):
    """What one unit is told to do in one half hour of an instruction; never changed."""

    id = models.BigAutoField(primary_key=True)
    instruction = models.ForeignKey(
        "dispatch.DispatchInstruction",
        models.PROTECT,
        related_name="unit_orders",
        verbose_name="指令",
    )
    unit = models.ForeignKey(
        ResourceUnit, models.PROTECT, related_name="orders", verbose_name="ユニット"
    )
    t = models.PositiveSmallIntegerField("番号", help_text="0…47（コマ−1）")
    quantity_kw = kw_field("指令量 (kW)")

    class Meta:
        verbose_name = "ユニットへの指令"
        verbose_name_plural = "ユニットへの指令"
        ordering = ["instruction", "t", "unit"]
        constraints = [
            models.UniqueConstraint(fields=["instruction", "unit", "t"], name="unitorder_once"),
            bounded("t", 0, 47, name="unitorder"),
            bounded("quantity_kw", 0, KW_MAX, name="unitorder"),
        ]

    def __str__(self) -> str:
        return f"{self.unit} コマ{self.t + 1} {self.quantity_kw} kW"
