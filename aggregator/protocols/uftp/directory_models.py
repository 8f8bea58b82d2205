"""With whom we speak UFTP: participants, their keys, and the places they call by their own names.

The standard keeps this in DNS; here it is a table that the desk keeps.
"""

from django.core.validators import RegexValidator
from django.db import models
from django.db.models.functions import Now

from accounts.fields import PRICE_MAX_JPY_PER_KWH, bounded
from accounts.fields.keys import uuid7
from accounts.parties.models import Organisation
from aggregator.metering.models import Meter
from aggregator.outbox.models import OutboxEndpoint

DOMAIN = r"^([a-z0-9]+(-[a-z0-9]+)*\.)+[a-z]{2,}$"
ENTITY = r"^(ea1\.[0-9]{4}-[0-9]{2}\..{1,244}:.{1,244}|ean\.[0-9]{12,34})$"
EAN = r"^[Ee][0-9]{16}$"
MINUTES_MAX = 7 * 24 * 60


class Role(models.TextChoices):
    """What a participant is to us."""

    DSO = "DSO", "系統運用者（DSO）"
    CRO = "CRO", "共通参照管理者（CRO）"


class Participant(models.Model):
    """Somebody who speaks UFTP with us, by domain and role."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    domain = models.CharField(
        "ドメイン",
        max_length=253,
        validators=[RegexValidator(DOMAIN, "小文字のドメイン名を入力してください。")],
    )
    role = models.CharField("役割", max_length=3, choices=Role, default=Role.DSO)
    organisation = models.ForeignKey(
        Organisation,
        models.PROTECT,
        related_name="+",
        verbose_name="組織",
        help_text="要請を必要量として公表し、代金を支払う組織",
    )
    endpoint = models.CharField(
        "宛先", max_length=2000, help_text="https://…/shapeshifter/api/v3/message"
    )
    outbox_endpoint = models.ForeignKey(
        OutboxEndpoint,
        models.PROTECT,
        null=True,
        blank=True,
        editable=False,
        related_name="+",
        verbose_name="送信先",
        help_text="Messages to it go one at a time, in their order.",
    )
    is_active = models.BooleanField("有効", default=True)
    created_at = models.DateTimeField("登録日時", db_default=Now())

    class Meta:
        verbose_name = "UFTP参加者"
        verbose_name_plural = "UFTP参加者"
        ordering = ["domain", "role"]
        constraints = [
            models.UniqueConstraint(fields=["domain", "role"], name="uftpparticipant_once"),
            models.CheckConstraint(
                condition=models.Q(role__in=Role.values), name="uftpparticipant_role"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.domain} {self.role}"


class ParticipantKey(models.Model):
    """A public key of a participant; while keys change, two count for a stated while."""

    id = models.BigAutoField(primary_key=True)
    participant = models.ForeignKey(
        Participant, models.PROTECT, related_name="keys", verbose_name="参加者"
    )
    public_key = models.CharField("公開鍵", max_length=44, help_text="Ed25519、Base64で32バイト")
    valid_from = models.DateTimeField("有効開始", db_default=Now())
    valid_until = models.DateTimeField(
        "有効終了", null=True, blank=True, help_text="空欄は期限なし。鍵の交代では重なりの終わり"
    )

    class Meta:
        verbose_name = "UFTP参加者の鍵"
        verbose_name_plural = "UFTP参加者の鍵"
        ordering = ["participant", "-valid_from", "-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["participant", "public_key"], name="uftpparticipantkey_once"
            ),
            models.CheckConstraint(
                condition=models.Q(valid_until__isnull=True)
                | models.Q(valid_until__gt=models.F("valid_from")),
                name="uftpparticipantkey_times",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.participant} {self.public_key[:8]}…"


class CongestionAddress(models.Model):
    """A congestion point as a grid operator calls it, and what it is in our grid models.

    The ceiling price stands here because a request names none: it is agreed beforehand.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    participant = models.ForeignKey(
        Participant, models.PROTECT, related_name="congestion_addresses", verbose_name="参加者"
    )
    address = models.CharField(
        "エンティティアドレス",
        max_length=500,
        validators=[RegexValidator(ENTITY, "ea1. または ean. で始まる形式で入力してください。")],
    )
    element = models.CharField("混雑箇所のコード", max_length=40)
    consumption_sign = models.SmallIntegerField(
        "需要が増やす潮流の向き",
        choices=[(1, "+1"), (-1, "−1")],
        default=1,
        help_text="この箇所の先の需要が増えたときに増える潮流の符号",
    )
    cap_jpy_per_kwh = models.DecimalField(
        "上限価格 (円/kWh)", max_digits=10, decimal_places=2, help_text="枠組み契約で合意した価格"
    )
    contract_id = models.CharField("契約番号", max_length=100, blank=True)
    order_within_min = models.PositiveIntegerField(
        "発注期間 (分)", default=60, help_text="結果の公表から発注を待つ時間"
    )
    is_active = models.BooleanField("有効", default=True)

    class Meta:
        verbose_name = "UFTP混雑箇所"
        verbose_name_plural = "UFTP混雑箇所"
        ordering = ["participant", "address"]
        constraints = [
            models.UniqueConstraint(
                fields=["participant", "address"], name="uftpcongestionaddress_once"
            ),
            models.CheckConstraint(
                condition=models.Q(consumption_sign__in=[-1, 1]),
                name="uftpcongestionaddress_sign",
            ),
            bounded("cap_jpy_per_kwh", 0, PRICE_MAX_JPY_PER_KWH, name="uftpcongestionaddress"),
            bounded("order_within_min", 1, MINUTES_MAX, name="uftpcongestionaddress"),
        ]

    def __str__(self) -> str:
        return self.address


class ConnectionAddress(models.Model):
    """A connection behind a congestion point, by the number that the grid operator knows it by."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    congestion_address = models.ForeignKey(
        CongestionAddress, models.PROTECT, related_name="connections", verbose_name="混雑箇所"
    )
    meter = models.ForeignKey(Meter, models.PROTECT, related_name="+", verbose_name="計量器")
    ean = models.CharField(
        "EAN",
        max_length=17,
        validators=[RegexValidator(EAN, "E と16桁の数字で入力してください。")],
    )
    started_on = models.DateField("開始日")
    ended_on = models.DateField("終了日", null=True, blank=True, help_text="最後の日")

    class Meta:
        verbose_name = "UFTP接続点"
        verbose_name_plural = "UFTP接続点"
        ordering = ["congestion_address", "ean"]
        constraints = [
            models.UniqueConstraint(
                fields=["congestion_address", "ean", "started_on"], name="uftpconnection_once"
            ),
            models.CheckConstraint(
                condition=models.Q(ended_on__isnull=True)
                | models.Q(ended_on__gte=models.F("started_on")),
                name="uftpconnection_dates",
            ),
        ]

    def __str__(self) -> str:
        return self.ean
