"""The row that shifts market time in demo and tests; production has none."""

from django.db import models


class MarketClock(models.Model):
    """An offset and a rate against the database clock; at most one row, id 1."""

    id = models.SmallIntegerField(primary_key=True, default=1)
    anchor_real_at = models.DateTimeField(help_text="Database clock when the shift was set.")
    anchor_market_at = models.DateTimeField(help_text="Market time at that moment.")
    speed_ratio = models.DecimalField(
        max_digits=12, decimal_places=4, help_text="Market seconds per real second."
    )

    class Meta:
        verbose_name = "市場時計のずれ"
        verbose_name_plural = "市場時計のずれ"
        constraints = [
            models.CheckConstraint(condition=models.Q(id=1), name="clock_single_row"),
            models.CheckConstraint(
                condition=models.Q(speed_ratio__gte=0, speed_ratio__lte=10_000_000),
                name="clock_speed_bounds",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.anchor_market_at:%Y-%m-%d %H:%M:%S%z} ×{self.speed_ratio}"
