"""The directory, to be kept by the desk; and what was said by UFTP, to look at."""

from django import forms
from django.contrib import admin
from django.db.models import Model
from django.utils.html import format_html_join
from django.utils.safestring import SafeString

from accounts.audit.admin import AuditedAdmin
from accounts.fields.admin import UNKNOWN, FactAdmin, admin_link
from aggregator.outbox.client import DestinationRefused, destination_of, policy_now
from aggregator.protocols.uftp import models, wire


class ParticipantForm(forms.ModelForm):  # type: ignore[type-arg]
    """A participant whose endpoint may be called at all."""

    def clean_endpoint(self) -> str:
        """Refuse what no message could ever be sent to."""
        endpoint: str = self.cleaned_data["endpoint"]
        try:
            destination_of(endpoint, policy=policy_now())
        except DestinationRefused as error:
            raise forms.ValidationError(str(error)) from error
        return endpoint


class KeyForm(forms.ModelForm):  # type: ignore[type-arg]
    """A key that is one."""

    def clean_public_key(self) -> str:
        """Refuse what is no public key of Ed25519."""
        key: str = self.cleaned_data["public_key"].strip()
        try:
            wire.verify_key(key)
        except wire.InvalidKey as error:
            raise forms.ValidationError(
                "Ed25519の公開鍵（Base64で32バイト）を入力してください。"
            ) from error
        return key


@admin.register(models.Participant)
class ParticipantAdmin(AuditedAdmin):
    form = ParticipantForm
    list_display = ("domain", "role", "organisation", "endpoint", "is_active")
    list_filter = ("role", "is_active")
    list_select_related = ("organisation",)
    search_fields = ("domain", "organisation__name")
    autocomplete_fields = ("organisation",)
    exclude = ("created_at",)


@admin.register(models.ParticipantKey)
class ParticipantKeyAdmin(AuditedAdmin):
    form = KeyForm
    list_display = ("participant", "public_key", "valid_from", "valid_until")
    list_select_related = ("participant",)
    search_fields = ("participant__domain", "public_key")
    autocomplete_fields = ("participant",)
    exclude = ("valid_from",)


@admin.register(models.CongestionAddress)
class CongestionAddressAdmin(AuditedAdmin):
    list_display = (
        "address", "participant", "element", "consumption_sign", "cap_jpy_per_kwh", "is_active",
    )  # fmt: skip
    list_filter = ("participant", "is_active")
    list_select_related = ("participant",)
    search_fields = ("address", "element", "contract_id")
    autocomplete_fields = ("participant",)


@admin.register(models.ConnectionAddress)
class ConnectionAddressAdmin(AuditedAdmin):
    list_display = ("ean", "congestion_address", "meter", "started_on", "ended_on")
    list_select_related = ("congestion_address", "meter")
    search_fields = ("ean", "congestion_address__address")
    autocomplete_fields = ("congestion_address",)
    raw_id_fields = ("meter",)


@admin.register(models.InboundMessage)
class InboundMessageAdmin(FactAdmin):
    list_display = (
        "received_at", "kind", "sender_domain", "message_id", "result", "reason", "repeated_count",
    )  # fmt: skip
    list_filter = ("kind", "result")
    readonly_fields = ("made",)
    search_fields = ("message_id", "conversation_id", "sender_domain")
    ordering = ("-received_at", "-id")

    @admin.display(description="作成したもの")
    def made(self, row: models.InboundMessage) -> SafeString | str:
        """Link to the request, order, reservation or settlements that the message became."""
        found: list[Model] = [
            getattr(row, name)
            for name in ("flex_request", "flex_order", "reservation")
            if hasattr(row, name)
        ]
        found += row.order_settlements.order_by("id")
        links = ((admin_link(made),) for made in found)
        return format_html_join(" · ", "{}", links) or UNKNOWN


@admin.register(models.SentMessage)
class SentMessageAdmin(FactAdmin):
    list_display = ("sent_at", "kind", "participant", "about", "revision", "result", "reason")
    list_filter = ("kind", "result")
    list_select_related = ("participant",)
    search_fields = ("message_id", "about")
    ordering = ("-sent_at", "-id")


@admin.register(models.FlexRequest)
class FlexRequestAdmin(FactAdmin):
    list_display = ("congestion_address", "period_on", "revision", "auction", "expires_at")
    list_select_related = ("congestion_address", "auction")
    search_fields = ("congestion_address__address", "contract_id")


@admin.register(models.RequestedNeed)
class RequestedNeedAdmin(FactAdmin):
    list_display = ("request", "need")
    list_select_related = ("request__congestion_address", "need")
    search_fields = ("need__code",)


@admin.register(models.FlexOffer)
class FlexOfferAdmin(FactAdmin):
    list_display = ("offered_at", "request", "price_jpy", "expires_at", "state", "reason")
    list_filter = ("state",)
    list_select_related = ("request__congestion_address",)
    search_fields = ("message_id", "linked")
    ordering = ("-offered_at", "-id")


@admin.register(models.FlexOrder)
class FlexOrderAdmin(FactAdmin):
    list_display = ("order_reference", "participant", "offer", "activation_ratio", "ordered_at")
    list_select_related = ("participant", "offer__request__congestion_address")
    search_fields = ("order_reference",)


@admin.register(models.Reservation)
class ReservationAdmin(FactAdmin):
    list_display = ("received_at", "contract_id", "congestion_address", "period_on", "reference")
    list_select_related = ("congestion_address",)
    search_fields = ("contract_id", "reference")
    ordering = ("-received_at", "-id")


@admin.register(models.OrderSettlement)
class OrderSettlementAdmin(FactAdmin):
    list_display = (
        "order_reference", "price_jpy", "net_jpy", "ours_exact_jpy", "disposition", "dispute",
    )  # fmt: skip
    list_filter = ("disposition",)
    list_select_related = ("dispute__organisation",)
    search_fields = ("order_reference",)
