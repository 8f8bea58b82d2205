"""OpenADR's objects: bodies exactly as sent or received, and the columns we search by."""

from typing import Any

from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import GinIndex
from django.db import models
from django.db.models.expressions import RawSQL

from accounts.fields.keys import uuid7
from accounts.parties.models import ApiClient
from aggregator.dispatch.models import DispatchInstruction
from market.registry.models import Resource

NAME_LENGTH_MAX = 128


def _targets() -> "ArrayField[Any, Any]":
    return ArrayField(models.CharField(max_length=NAME_LENGTH_MAX), default=list, blank=True)


class ObjectBase(models.Model):
    """Metadata that every object of the standard carries, in market time."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    created_at = models.DateTimeField("作成日時", db_default=RawSQL("market_now()", ()))
    modified_at = models.DateTimeField("更新日時", db_default=RawSQL("market_now()", ()))
    body = models.JSONField("本文", help_text="As sent; metadata is stamped on the way out.")

    class Meta:
        abstract = True


class Program(ObjectBase):
    """What a kind of events is about."""

    name = models.CharField("名称", max_length=NAME_LENGTH_MAX, unique=True)
    targets = _targets()

    class Meta:
        verbose_name = "OpenADR プログラム"
        verbose_name_plural = "OpenADR プログラム"
        ordering = ["created_at", "id"]

    def __str__(self) -> str:
        return self.name


class Event(ObjectBase):
    """A message to sites: an instruction, or the request for a day's readings."""

    program = models.ForeignKey(
        Program, models.PROTECT, related_name="events", verbose_name="プログラム"
    )
    key = models.CharField(
        "鍵", max_length=80, unique=True, help_text="What it tells of; makes publishing idempotent."
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
    starts_at = models.DateTimeField("開始")
    ends_at = models.DateTimeField("終了")

    class Meta:
        verbose_name = "OpenADR イベント"
        verbose_name_plural = "OpenADR イベント"
        ordering = ["created_at", "id"]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(starts_at__lt=models.F("ends_at")), name="openadr_event_times"
            ),
        ]
        indexes = [
            GinIndex(fields=["targets"], name="openadr_event_targets"),
            models.Index(fields=["ends_at"], name="openadr_event_active"),
        ]

    def __str__(self) -> str:
        return self.key


class Ven(ObjectBase):
    """A site's client. Its targets are granted by the platform, never by itself."""

    client = models.ForeignKey(
        ApiClient, models.PROTECT, related_name="vens", verbose_name="クライアント"
    )
    name = models.CharField("名称", max_length=NAME_LENGTH_MAX, unique=True)
    targets = _targets()

    class Meta:
        verbose_name = "OpenADR VEN"
        verbose_name_plural = "OpenADR VEN"
        ordering = ["created_at", "id"]

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
            models.UniqueConstraint(fields=["ven", "name"], name="openadr_resource_name"),
        ]

    def __str__(self) -> str:
        return f"{self.ven} {self.name}"


class Report(ObjectBase):
    """What a site's client said about an event; never changed."""

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
        indexes = [models.Index(fields=["client", "created_at"], name="openadr_report_of")]

    def __str__(self) -> str:
        return f"{self.client_name} {self.event}"
