"""What was said by UFTP and what came of it: requests, offers, orders, settlements."""

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models.functions import Now

from accounts.core.money import JPY_MAX
from accounts.fields import bounded
from accounts.fields.keys import uuid7
from aggregator.protocols.uftp.directory_models import (
    CongestionAddress,
    ConnectionAddress,
    Participant,
    ParticipantKey,
    Role,
)
from aggregator.settlement.models import Dispute
from market.trading.models import Auction, Need

__all__ = (
    "OFFER_TRANSITIONS", "CongestionAddress", "ConnectionAddress", "FlexOffer", "FlexOrder",
    "FlexRequest", "InboundMessage", "OfferState", "OrderSettlement", "Participant",
    "ParticipantKey", "RequestedNeed", "Reservation", "Role", "SentMessage",
)  # fmt: skip

FACTOR_MAX = 1


class InboundMessage(models.Model):
    """A message that came, signed by its sender; once by sender and id, whatever happens later."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    participant = models.ForeignKey(
        Participant, models.PROTECT, related_name="+", verbose_name="参加者"
    )
    sender_domain = models.CharField("送信者", max_length=253)
    message_id = models.CharField("メッセージID", max_length=36)
    conversation_id = models.CharField("会話ID", max_length=36)
    kind = models.CharField("種類", max_length=40)
    content = models.TextField("内容")
    content_sha256 = models.CharField("SHA-256", max_length=64)
    received_at = models.DateTimeField("受信日時", help_text="市場時計")
    repeated_count = models.PositiveIntegerField("再送の回数", default=0)
    decided_at = models.DateTimeField("処理日時", null=True, blank=True, help_text="市場時計")
    result = models.CharField("結果", max_length=10, blank=True)
    reason = models.CharField("理由", max_length=300, blank=True)

    class Meta:
        verbose_name = "UFTP受信メッセージ"
        verbose_name_plural = "UFTP受信メッセージ"
        ordering = ["-received_at", "-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["sender_domain", "message_id"], name="uftpinbound_once"
            ),
            models.CheckConstraint(
                condition=models.Q(repeated_count__lte=1_000_000_000), name="uftpinbound_repeated"
            ),
        ]
        indexes = [
            models.Index(
                fields=["participant", "kind", "received_at"],
                name="uftpinbound_open",
                condition=models.Q(decided_at__isnull=True),
            ),
            models.Index(fields=["received_at", "id"], name="uftpinbound_in_turn"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.message_id}"


class SentMessage(models.Model):
    """A message of ours that the other side answers, and its answer."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    participant = models.ForeignKey(
        Participant, models.PROTECT, related_name="+", verbose_name="参加者"
    )
    message_id = models.CharField("メッセージID", max_length=36, unique=True)
    conversation_id = models.CharField("会話ID", max_length=36)
    kind = models.CharField("種類", max_length=40)
    about = models.CharField(
        "対象", max_length=200, help_text="What it tells of; revisions count within it."
    )
    revision = models.PositiveIntegerField("版", default=1)
    content_sha256 = models.CharField("内容のハッシュ", max_length=64)
    sent_at = models.DateTimeField("送信日時", help_text="市場時計")
    result = models.CharField("応答", max_length=10, blank=True)
    reason = models.CharField("応答の理由", max_length=300, blank=True)
    answered_at = models.DateTimeField("応答日時", null=True, blank=True, help_text="市場時計")

    class Meta:
        verbose_name = "UFTP送信メッセージ"
        verbose_name_plural = "UFTP送信メッセージ"
        ordering = ["-sent_at", "-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["participant", "kind", "about", "revision"], name="uftpsent_revision"
            ),
        ]
        indexes = [models.Index(fields=["sent_at", "id"], name="uftpsent_in_turn")]

    def __str__(self) -> str:
        return f"{self.kind} {self.message_id}"


class FlexRequest(models.Model):
    """A request that was accepted: what became needs of an auction. A later revision replaces it.

    What ISPs were only `Available` is kept in the message; needs are made of the requested ones.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    inbound = models.OneToOneField(
        InboundMessage, models.PROTECT, related_name="flex_request", verbose_name="メッセージ"
    )
    congestion_address = models.ForeignKey(
        CongestionAddress, models.PROTECT, related_name="requests", verbose_name="混雑箇所"
    )
    auction = models.ForeignKey(
        Auction, models.PROTECT, related_name="+", verbose_name="オークション"
    )
    period_on = models.DateField("対象日")
    revision = models.BigIntegerField("版")
    expires_at = models.DateTimeField("期限", help_text="この時刻まで提案を受け付ける")
    contract_id = models.CharField("契約番号", max_length=200, blank=True)
    service_type = models.CharField("サービス種別", max_length=200, blank=True)

    class Meta:
        verbose_name = "UFTP要請"
        verbose_name_plural = "UFTP要請"
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["congestion_address", "period_on", "revision"], name="uftprequest_revision"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.congestion_address} {self.period_on} 版{self.revision}"


class RequestedNeed(models.Model):
    """A need that a request was published as: one for each direction it asks for."""

    id = models.BigAutoField(primary_key=True)
    request = models.ForeignKey(
        FlexRequest, models.PROTECT, related_name="needs", verbose_name="要請"
    )
    need = models.OneToOneField(
        Need, models.PROTECT, related_name="flex_request", verbose_name="必要量"
    )

    class Meta:
        verbose_name = "UFTP要請の必要量"
        verbose_name_plural = "UFTP要請の必要量"

    def __str__(self) -> str:
        return f"{self.need}"


class OfferState(models.TextChoices):
    """Life of an offer; awards wait for an order while it is OPEN.

    An ordered offer of a link expires with the rest of its link.
    """

    OPEN = "OPEN", "提案中"
    ORDERED = "ORDERED", "発注済"
    EXPIRED = "EXPIRED", "期限切れ"
    DECLINED = "DECLINED", "不受理"
    REVOKED = "REVOKED", "撤回"


_S = OfferState
OFFER_TRANSITIONS: dict[str, tuple[str, ...]] = {
    _S.OPEN: (_S.ORDERED, _S.EXPIRED, _S.DECLINED, _S.REVOKED),
    _S.ORDERED: (_S.EXPIRED,),
    _S.EXPIRED: (),
    _S.DECLINED: (),
    _S.REVOKED: (),
}


class FlexOffer(models.Model):
    """What the auction found for a request, offered at what it costs until it expires."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    request = models.OneToOneField(
        FlexRequest, models.PROTECT, related_name="offer", verbose_name="要請"
    )
    message_id = models.CharField("メッセージID", max_length=36, unique=True)
    option_reference = models.CharField("選択肢", max_length=120)
    linked = models.CharField(
        "連動", max_length=36, blank=True, help_text="Offers of one link are ordered all or none."
    )
    power_w = ArrayField(
        models.BigIntegerField(), size=48, verbose_name="電力 (W)", help_text="需要の増加を正とする"
    )
    price_jpy = models.DecimalField("価格 (円)", max_digits=18, decimal_places=4)
    min_activation_ratio = models.DecimalField(
        "最小発動比率", max_digits=3, decimal_places=2, default=1
    )
    offered_at = models.DateTimeField("提案日時", help_text="市場時計")
    expires_at = models.DateTimeField("発注期限", help_text="市場時計")
    state = models.CharField("状態", max_length=10, choices=OfferState, default=OfferState.OPEN)
    reason = models.CharField("理由", max_length=200, blank=True)
    closed_at = models.DateTimeField("終結", null=True, blank=True, help_text="市場時計")

    class Meta:
        verbose_name = "UFTP提案"
        verbose_name_plural = "UFTP提案"
        ordering = ["-offered_at", "-id"]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(state__in=OfferState.values), name="uftpoffer_state"
            ),
            models.CheckConstraint(condition=models.Q(power_w__len=48), name="uftpoffer_power"),
            bounded("price_jpy", -JPY_MAX, JPY_MAX, name="uftpoffer"),
            bounded("min_activation_ratio", 0, FACTOR_MAX, name="uftpoffer"),
        ]
        indexes = [models.Index(fields=["offered_at", "id"], name="uftpoffer_in_turn")]

    def __str__(self) -> str:
        return f"{self.request} {self.get_state_display()}"


class FlexOrder(models.Model):
    """An order of an offer: what confirms its awards. There is one at most, and it stays."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    offer = models.OneToOneField(
        FlexOffer, models.PROTECT, related_name="order", verbose_name="提案"
    )
    inbound = models.OneToOneField(
        InboundMessage, models.PROTECT, related_name="flex_order", verbose_name="メッセージ"
    )
    participant = models.ForeignKey(
        Participant, models.PROTECT, related_name="+", verbose_name="参加者"
    )
    order_reference = models.CharField("発注番号", max_length=200)
    activation_ratio = models.DecimalField("発動比率", max_digits=3, decimal_places=2)
    ordered_at = models.DateTimeField("発注日時", help_text="市場時計")

    class Meta:
        verbose_name = "UFTP発注"
        verbose_name_plural = "UFTP発注"
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["participant", "order_reference"], name="uftporder_reference"
            ),
            bounded("activation_ratio", 0, FACTOR_MAX, name="uftporder"),
        ]

    def __str__(self) -> str:
        return self.order_reference


class Reservation(models.Model):
    """What of a contract stays reserved on a day, as the grid operator last said."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    inbound = models.OneToOneField(
        InboundMessage, models.PROTECT, related_name="reservation", verbose_name="メッセージ"
    )
    congestion_address = models.ForeignKey(
        CongestionAddress, models.PROTECT, related_name="reservations", verbose_name="混雑箇所"
    )
    contract_id = models.CharField("契約番号", max_length=200)
    reference = models.CharField("参照番号", max_length=200)
    period_on = models.DateField("対象日")
    power_w = ArrayField(
        models.BigIntegerField(null=True),
        size=48,
        verbose_name="確保する電力 (W)",
        help_text="空欄は言及なし。符号は向き",
    )
    received_at = models.DateTimeField("受信日時", help_text="市場時計")

    class Meta:
        verbose_name = "UFTP確保量"
        verbose_name_plural = "UFTP確保量"
        ordering = ["-received_at", "-id"]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(power_w__len=48), name="uftpreservation_power"
            ),
        ]
        indexes = [models.Index(fields=["received_at", "id"], name="uftpreservation_in_turn")]

    def __str__(self) -> str:
        return f"{self.contract_id} {self.period_on}"


class OrderSettlement(models.Model):
    """What a grid operator means to pay for an order, beside what we have settled."""

    id = models.BigAutoField(primary_key=True)
    inbound = models.ForeignKey(
        InboundMessage, models.PROTECT, related_name="order_settlements", verbose_name="メッセージ"
    )
    order = models.ForeignKey(
        FlexOrder,
        models.PROTECT,
        null=True,
        blank=True,
        related_name="settlements",
        verbose_name="発注",
    )
    order_reference = models.CharField("発注番号", max_length=200)
    price_jpy = models.DecimalField("価格 (円)", max_digits=18, decimal_places=4)
    penalty_jpy = models.DecimalField("違約金 (円)", max_digits=18, decimal_places=4)
    net_jpy = models.DecimalField("差引 (円)", max_digits=18, decimal_places=4)
    ours_exact_jpy = models.DecimalField(
        "当方の精算 (円)", max_digits=22, decimal_places=6, null=True, blank=True
    )
    disposition = models.CharField("判定", max_length=10)
    reason = models.CharField("理由", max_length=300, blank=True)
    dispute = models.ForeignKey(
        Dispute,
        models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
        verbose_name="異議",
    )
    noted_at = models.DateTimeField("記録日時", db_default=Now())

    class Meta:
        verbose_name = "UFTP精算"
        verbose_name_plural = "UFTP精算"
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["inbound", "order_reference"], name="uftpordersettlement_once"
            ),
            bounded("price_jpy", -JPY_MAX, JPY_MAX, name="uftpordersettlement"),
            bounded("penalty_jpy", -JPY_MAX, JPY_MAX, name="uftpordersettlement"),
            bounded("net_jpy", -JPY_MAX, JPY_MAX, name="uftpordersettlement"),
            bounded("ours_exact_jpy", -JPY_MAX, JPY_MAX, name="uftpordersettlement"),
        ]

    def __str__(self) -> str:
        return f"{self.order_reference} {self.disposition}"
