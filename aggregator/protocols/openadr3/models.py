"""OpenADR's objects: bodies as they were sent, and the columns we search and stamp by.

Who may change an object is its program's (or ven's) `organisation`: a grid operator whose business
logic made it, or the platform where there is none. What is removed stays as a row without being
shown again: a site may have acted on it.
"""

from typing import Any

from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import GinIndex
from django.db import models
from django.db.models.expressions import RawSQL

from accounts.fields.keys import uuid7
from accounts.parties.models import ApiClient, Organisation
from aggregator.dispatch.models import DispatchInstruction
from aggregator.outbox.models import OutboxEndpoint
from market.registry.models import Resource

NAME_LENGTH_MAX = 128


class ObjectKind(models.TextChoices):
    """What a subscription may be about."""

    PROGRAM = "PROGRAM", "プログラム"
    EVENT = "EVENT", "イベント"
    REPORT = "REPORT", "報告"
    SUBSCRIPTION = "SUBSCRIPTION", "購読"
    VEN = "VEN", "VEN"
    RESOURCE = "RESOURCE", "リソース"


class Operation(models.TextChoices):
    """What may happen to an object."""

    CREATE = "CREATE", "作成"
    UPDATE = "UPDATE", "更新"
    DELETE = "DELETE", "削除"
    READ = "READ", "参照"


def _targets() -> "ArrayField[Any, Any]":
    return ArrayField(models.CharField(max_length=NAME_LENGTH_MAX), default=list, blank=True)


class ObjectBase(models.Model):
    """Metadata that every object of the standard carries, in market time."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    created_at = models.DateTimeField("作成日時", db_default=RawSQL("market_now()", ()))
    modified_at = models.DateTimeField("更新日時", db_default=RawSQL("market_now()", ()))
    removed_at = models.DateTimeField("削除日時", null=True, blank=True)
    body = models.JSONField("本文", help_text="As sent; metadata is stamped on the way out.")
    body_3_0 = models.JSONField(
        "本文（3.0.1）", null=True, blank=True, help_text="As sent, if it came through 3.0.1."
    )

    class Meta:
        abstract = True


class Program(ObjectBase):
    """What a kind of events is about."""

    name = models.CharField("名称", max_length=NAME_LENGTH_MAX)
    organisation = models.ForeignKey(
        Organisation,
        models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
        verbose_name="組織",
        help_text="Whose business logic may change it; the platform's if empty.",
    )
    is_house = models.BooleanField(
        "自社業務", default=False, help_text="Written by the platform itself, by no client."
    )
    targets = _targets()

    class Meta:
        verbose_name = "OpenADR プログラム"
        verbose_name_plural = "OpenADR プログラム"
        ordering = ["created_at", "id"]
        constraints = [
            models.UniqueConstraint(
                fields=["name"],
                condition=models.Q(removed_at__isnull=True),
                name="openadr_program_name",
            ),
        ]

    def __str__(self) -> str:
        return self.name


class Event(ObjectBase):
    """A message to sites: an instruction, the request for a day's readings, or a client's own."""

    program = models.ForeignKey(
        Program, models.PROTECT, related_name="events", verbose_name="プログラム"
    )
    key = models.CharField(
        "鍵",
        max_length=80,
        unique=True,
        null=True,
        blank=True,
        help_text="What the platform tells of; makes publishing idempotent.",
    )
    instruction = models.OneToOneField(
        DispatchInstruction,
        models.PROTECT,
        null=True,
        blank=True,
        related_name="openadr_event",
        verbose_name="指令",
    )
    targets = _targets()
    starts_at = models.DateTimeField("開始", null=True, blank=True)
    ends_at = models.DateTimeField("終了", null=True, blank=True, help_text="Empty: without end.")
    void_told_at = models.DateTimeField(
        "失効通知",
        null=True,
        blank=True,
        help_text="When subscribers heard that its order is void.",
    )

    class Meta:
        verbose_name = "OpenADR イベント"
        verbose_name_plural = "OpenADR イベント"
        ordering = ["created_at", "id"]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(starts_at__isnull=True)
                | models.Q(ends_at__isnull=True)
                | models.Q(starts_at__lte=models.F("ends_at")),
                name="openadr_event_times",
            ),
        ]
        indexes = [
            GinIndex(fields=["targets"], name="openadr_event_targets"),
            models.Index(
                fields=["created_at", "id"],
                name="openadr_event_for_all",
                condition=models.Q(targets=[], removed_at__isnull=True),
            ),
            models.Index(fields=["program", "created_at", "id"], name="openadr_event_of"),
            models.Index(fields=["ends_at"], name="openadr_event_active"),
        ]

    def __str__(self) -> str:
        return self.key or str(self.id)


class Ven(ObjectBase):
    """A site's client. Its targets are granted by business logic, never by itself."""

    client = models.ForeignKey(
        ApiClient, models.PROTECT, related_name="vens", verbose_name="クライアント"
    )
    name = models.CharField("名称", max_length=NAME_LENGTH_MAX)
    organisation = models.ForeignKey(
        Organisation,
        models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
        verbose_name="付与する組織",
        help_text="For whose programs its targets count; the platform's if empty.",
    )
    targets = _targets()

    class Meta:
        verbose_name = "OpenADR VEN"
        verbose_name_plural = "OpenADR VEN"
        ordering = ["created_at", "id"]
        constraints = [
            models.UniqueConstraint(
                fields=["name"],
                condition=models.Q(removed_at__isnull=True),
                name="openadr_ven_name",
            ),
        ]
        indexes = [
            GinIndex(fields=["targets"], name="openadr_ven_targets"),
        ]

    def __str__(self) -> str:
        return self.name


class VenResource(ObjectBase):
    """A resource of a site's client, joined to the registry where it is one of its owner's."""

    ven = models.ForeignKey(Ven, models.PROTECT, related_name="resources", verbose_name="VEN")
    name = models.CharField("名称", max_length=NAME_LENGTH_MAX)
    resource = models.ForeignKey(
        Resource,
        models.PROTECT,
        null=True,
        blank=True,
        related_name="ven_resources",
        verbose_name="リソース",
    )
    targets = _targets()

    class Meta:
        verbose_name = "OpenADR リソース"
        verbose_name_plural = "OpenADR リソース"
        ordering = ["created_at", "id"]
        constraints = [
            models.UniqueConstraint(
                fields=["ven", "name"],
                condition=models.Q(removed_at__isnull=True),
                name="openadr_resource_name",
            ),
        ]
        indexes = [
            GinIndex(fields=["targets"], name="openadr_resource_targets"),
        ]

    def __str__(self) -> str:
        return f"{self.ven} {self.name}"


class Report(ObjectBase):
    """What a site's client said about an event. What it said was done, whatever comes later."""

    event = models.ForeignKey(
        Event, models.PROTECT, related_name="reports", verbose_name="イベント"
    )
    client = models.ForeignKey(
        ApiClient, models.PROTECT, related_name="reports", verbose_name="クライアント"
    )
    client_name = models.CharField("送信者名", max_length=NAME_LENGTH_MAX)

    class Meta:
        verbose_name = "OpenADR 報告"
        verbose_name_plural = "OpenADR 報告"
        ordering = ["created_at", "id"]
        indexes = [
            models.Index(fields=["client", "created_at", "id"], name="openadr_report_of"),
            models.Index(fields=["event", "created_at", "id"], name="openadr_report_on"),
        ]

    def __str__(self) -> str:
        return f"{self.client_name} {self.event_id}"


class Subscription(ObjectBase):
    """What a client wants to be told of; its rules say where."""

    client = models.ForeignKey(
        ApiClient, models.PROTECT, related_name="openadr_subscriptions", verbose_name="クライアント"
    )
    client_name = models.CharField("送信者名", max_length=NAME_LENGTH_MAX)
    program = models.ForeignKey(
        Program,
        models.PROTECT,
        null=True,
        blank=True,
        related_name="subscriptions",
        verbose_name="プログラム",
    )
    targets = _targets()

    class Meta:
        verbose_name = "OpenADR 購読"
        verbose_name_plural = "OpenADR 購読"
        ordering = ["created_at", "id"]
        indexes = [
            models.Index(fields=["client", "created_at", "id"], name="openadr_subscription_of"),
        ]

    def __str__(self) -> str:
        return f"{self.client_name} {self.id}"


class SubscriptionRule(models.Model):
    """One entry of a subscription: these operations on these objects go to that address."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    subscription = models.ForeignKey(
        Subscription, models.CASCADE, related_name="rules", verbose_name="購読"
    )
    endpoint = models.ForeignKey(
        OutboxEndpoint, models.PROTECT, related_name="+", verbose_name="宛先"
    )
    objects_told = ArrayField(
        models.CharField(max_length=12, choices=ObjectKind), verbose_name="対象"
    )
    operations_told = ArrayField(
        models.CharField(max_length=6, choices=Operation), verbose_name="操作"
    )
    speaks_verbs = models.BooleanField(
        "HTTP動詞", default=False, help_text="Told of POST, PUT and DELETE, as it asked to be."
    )

    class Meta:
        verbose_name = "OpenADR 購読の規則"
        verbose_name_plural = "OpenADR 購読の規則"
        ordering = ["id"]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(
                    objects_told__contained_by=ObjectKind.values,
                    operations_told__contained_by=Operation.values,
                ),
                name="openadr_rule_words",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.subscription_id} {self.endpoint_id}"
