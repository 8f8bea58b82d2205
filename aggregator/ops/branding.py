"""The admin's look and ways: our colours, and the sidebar in the order of the market's day."""

from __future__ import annotations

from typing import Any

from django.templatetags.static import static
from django.urls import reverse_lazy

# group, then (name, icon, app and model)
Entry = tuple[str, str, str]
SIDEBAR: tuple[tuple[str, tuple[Entry, ...]], ...] = (
    (
        "市場",
        (
            ("オークション", "gavel", "trading_auction"),
            ("必要量", "bolt", "trading_need"),
            ("入札", "request_quote", "trading_bid"),
            ("約定計算", "calculate", "clearing_clearingrun"),
            ("約定", "task_alt", "clearing_award"),
            ("約定価格", "show_chart", "clearing_clearingprice"),
            ("入札の結果", "rule", "clearing_bidoutcome"),
        ),
    ),
    (
        "指令と計量",
        (
            ("指令", "campaign", "dispatch_dispatchinstruction"),
            ("ユニットへの指令", "account_tree", "dispatch_unitorder"),
            ("調整力の発動", "notifications_active", "metering_capacityactivation"),
            ("試験指令", "model_training", "dispatch_trial"),
            ("条件付き接続", "electrical_services", "dispatch_flexibleconnection"),
            ("計量器", "speed", "metering_meter"),
            ("計量値", "timeline", "metering_intervalreading"),
            ("ベースライン", "horizontal_rule", "metering_baseline"),
            ("供出量", "fact_check", "metering_delivery"),
        ),
    ),
    (
        "精算と台帳",
        (
            ("精算", "receipt_long", "settlement_settlementrun"),
            ("精算明細", "list_alt", "settlement_settlementline"),
            ("精算期間", "date_range", "settlement_settlementperiod"),
            ("文書", "description", "settlement_document"),
            ("異議", "contact_support", "settlement_dispute"),
            ("総合振込", "payments", "settlement_paymentbatch"),
            ("入金", "savings", "settlement_incomingpayment"),
            ("勘定科目", "account_balance", "ledger_ledgeraccount"),
            ("仕訳", "sync_alt", "ledger_transfer"),
        ),
    ),
    (
        "登録簿",
        (
            ("エリア", "map", "registry_area"),
            ("系統モデル", "hub", "registry_gridmodel"),
            ("混雑箇所", "traffic", "registry_congestionpoint"),
            ("拠点", "domain", "registry_site"),
            ("リソース", "memory", "registry_resource"),
            ("ユニット", "widgets", "dispatch_resourceunit"),
            ("事前審査", "approval_delegation", "registry_prequalification"),
            ("光パス", "cable", "registry_opticalpath"),
            ("ルールセット", "gavel", "registry_ruleset"),
        ),
    ),
    (
        "参加者",
        (
            ("組織", "corporate_fare", "parties_organisation"),
            ("利用者", "person", "parties_user"),
            ("所属", "badge", "parties_membership"),
            ("APIクライアント", "key", "parties_apiclient"),
        ),
    ),
    (
        "運用",
        (
            ("警報", "notification_important", "control_alarm"),
            ("ジョブ", "pending_actions", "jobs_job"),
            ("監査記録", "history", "audit_auditentry"),
            ("監査チェックポイント", "verified", "audit_auditcheckpoint"),
            ("承認", "approval", "approvals_approval"),
            ("通信メッセージ", "forum", "messagelog_protocolmessage"),
            ("OpenADR イベント", "wifi_tethering", "openadr3_event"),
            ("送信メッセージ", "outbox", "outbox_outboxmessage"),
            ("Webhook", "webhook", "outbox_webhooksubscription"),
        ),
    ),
)

# indigo, as the portal's accent
PRIMARY = {
    "50": "oklch(97% .015 264)",
    "100": "oklch(93% .030 264)",
    "200": "oklch(87% .060 264)",
    "300": "oklch(79% .095 264)",
    "400": "oklch(68% .125 264)",
    "500": "oklch(55% .145 264)",
    "600": "oklch(43% .140 264)",
    "700": "oklch(38% .125 264)",
    "800": "oklch(33% .105 264)",
    "900": "oklch(28% .080 264)",
    "950": "oklch(21% .055 264)",
}


def _navigation() -> list[dict[str, Any]]:
    return [
        {
            "title": title,
            "separator": True,
            "collapsible": False,
            "items": [
                {"title": name, "icon": icon, "link": reverse_lazy(f"admin:{model}_changelist")}
                for name, icon, model in entries
            ],
        }
        for title, entries in SIDEBAR
    ]


UNFOLD: dict[str, Any] = {
    "SITE_TITLE": "WattBit 管理",
    "SITE_HEADER": "WattBit",
    "SITE_SUBHEADER": "管理",
    "SITE_URL": "/",
    "SITE_ICON": lambda _request: static("portal/icon.svg"),
    "SITE_FAVICONS": [
        {
            "rel": "icon",
            "type": "image/svg+xml",
            "href": lambda _request: static("portal/icon.svg"),
        }
    ],
    "DASHBOARD_CALLBACK": "aggregator.portal.dashboard.dashboard",
    "SHOW_HISTORY": True,
    "SHOW_VIEW_ON_SITE": False,
    "BORDER_RADIUS": "4px",
    "COLORS": {"primary": PRIMARY},
    "SIDEBAR": {
        "show_search": True,
        "show_all_applications": True,
        "navigation": _navigation(),
    },
}
