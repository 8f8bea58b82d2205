"""What a run was told beside its result and its readings, kept for what corrects it."""

from django.core.serializers.json import DjangoJSONEncoder
from django.db import models


class RunTerms(models.Model):
    """Contracts, splits and losses as a whole run knew them; its corrections use the same.

    What is agreed or registered later with an earlier date concerns days that are settled from
    then on, and no correction of a day that was.
    """

    id = models.BigAutoField(primary_key=True)
    run = models.OneToOneField(
        "settlement.SettlementRun", models.PROTECT, related_name="terms", verbose_name="精算"
    )
    content = models.JSONField("内容", encoder=DjangoJSONEncoder)
    content_sha256 = models.CharField("内容のハッシュ", max_length=64)

    class Meta:
        verbose_name = "精算の条件"
        verbose_name_plural = "精算の条件"

    def __str__(self) -> str:
        return f"{self.run_id} {self.content_sha256[:12]}"
