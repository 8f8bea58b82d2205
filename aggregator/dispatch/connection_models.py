"""Connections with a firm and a flexible part, their limits in real time, and their silence."""

from django.db import models

from accounts.fields import KW_MAX, bounded, kw_field
from accounts.fields.keys import uuid7
from accounts.parties.models import Organisation
from market.registry.models import Site

HEARTBEAT_MIN_S = 5
HEARTBEAT_MAX_S = 3_600


class ConnectionState(models.TextChoices):
    """Whether the site of a connection is heard; a trigger holds the edges."""

    WAITING = "WAITING", "未接続"
    LIVE = "LIVE", "監視中"
    LOST = "LOST", "途絶"
    ENDED = "ENDED", "終了"


_S = ConnectionState

CONNECTION_TRANSITIONS: dict[str, tuple[str, ...]] = {
    _S.WAITING: (_S.LIVE, _S.ENDED),
    _S.LIVE: (_S.LOST, _S.ENDED),
    _S.LOST: (_S.LIVE, _S.ENDED),
    _S.ENDED: (),
}


class FlexibleConnection(models.Model):
    """A site's connection of which a part may be taken back in real time.

    `firm_kw` may be drawn always. Up to `firm_kw` + `flexible_kw` may be drawn while the site
    hears the platform: a site that has not for `failsafe_s` falls to the firm part by itself, and
    so does the limit that the platform publishes for it.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    site = models.ForeignKey(
        Site, models.PROTECT, related_name="flexible_connections", verbose_name="拠点"
    )
    organisation = models.ForeignKey(
        Organisation, models.PROTECT, related_name="+", verbose_name="一般送配電事業者"
    )
    firm_kw = kw_field("常時利用分 (kW)")
    flexible_kw = kw_field("条件付き分 (kW)")
    heartbeat_s = models.PositiveIntegerField("生存通知の間隔 (秒)")
    failsafe_s = models.PositiveIntegerField(
        "途絶とみなすまで (秒)", help_text="これだけ通知がなければ常時利用分まで下げる"
    )
    state = models.CharField(
        "状態", max_length=8, choices=ConnectionState, default=ConnectionState.WAITING
    )
    heard_at = models.DateTimeField("最後の通知", null=True, blank=True)
    revision = models.PositiveIntegerField("上限の版", default=0)
    created_at = models.DateTimeField("登録日時")

    class Meta:
        verbose_name = "条件付き接続"
        verbose_name_plural = "条件付き接続"
        ordering = ["id"]
        constraints = [
            models.UniqueConstraint(
                fields=["site"],
                condition=~models.Q(state="ENDED"),
                name="flexibleconnection_once",
            ),
            models.CheckConstraint(
                condition=models.Q(state__in=ConnectionState.values),
                name="flexibleconnection_state",
            ),
            models.CheckConstraint(
                condition=models.Q(failsafe_s__gte=2 * models.F("heartbeat_s")),
                name="flexibleconnection_failsafe",
            ),
            bounded("firm_kw", 0, KW_MAX, name="flexibleconnection"),
            bounded("flexible_kw", 0, KW_MAX, name="flexibleconnection"),
            bounded("heartbeat_s", HEARTBEAT_MIN_S, HEARTBEAT_MAX_S, name="flexibleconnection"),
        ]

    def __str__(self) -> str:
        return f"{self.site} {self.firm_kw} + {self.flexible_kw} kW"


class ConnectionLimit(models.Model):
    """What a connection may draw for a while, as its grid operator says; the latest word counts."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    connection = models.ForeignKey(
        FlexibleConnection, models.PROTECT, related_name="limits", verbose_name="条件付き接続"
    )
    number = models.PositiveIntegerField("順番")
    starts_at = models.DateTimeField("開始")
    ends_at = models.DateTimeField("終了")
    limit_kw = kw_field("受電上限 (kW)")
    reason = models.CharField("理由", max_length=200, blank=True)
    actor = models.CharField("操作者", max_length=60)
    noted_at = models.DateTimeField("通知日時")

    class Meta:
        verbose_name = "条件付き接続の受電上限"
        verbose_name_plural = "条件付き接続の受電上限"
        ordering = ["connection", "number"]
        constraints = [
            models.UniqueConstraint(fields=["connection", "number"], name="connectionlimit_number"),
            models.CheckConstraint(
                condition=models.Q(starts_at__lt=models.F("ends_at")),
                name="connectionlimit_times",
            ),
            bounded("limit_kw", 0, KW_MAX, name="connectionlimit"),
        ]

    def __str__(self) -> str:
        return f"{self.connection} {self.limit_kw} kW"


class ConnectionOutage(models.Model):
    """A time in which a site was not heard, and the limit was its firm part; never changed."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    connection = models.ForeignKey(
        FlexibleConnection, models.PROTECT, related_name="outages", verbose_name="条件付き接続"
    )
    heard_at = models.DateTimeField("最後の通知")
    lost_at = models.DateTimeField("途絶の判定")
    restored_at = models.DateTimeField("復旧", null=True, blank=True)

    class Meta:
        verbose_name = "通知の途絶"
        verbose_name_plural = "通知の途絶"
        ordering = ["connection", "id"]
        constraints = [
            models.UniqueConstraint(
                fields=["connection"],
                condition=models.Q(restored_at__isnull=True),
                name="connectionoutage_open",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.connection} {self.lost_at:%Y-%m-%d %H:%M:%S}"
