"""A body for each door that reads one, which its owner may send on the stage of the matrix.

Texts like ``<site>`` name things of the stage. Where nothing of the stage lets a door say yes (a
past dispute, a secret that was never there), the body is whole all the same.
"""

from __future__ import annotations

from typing import Any, Final

ZEROS: Final = ["0"] * 48
HALF_HOURS: Final = ["0"] * 34 + ["12000"] * 6 + ["0"] * 8
BID: Final = {
    "client_bid_id": "evening", "resource": "inzai-dc-1-load", "form": "STEPS",
    "mechanism": "DEFERRAL", "direction": "UP",
    "curves": [{"first_t": 34, "last_t": 39,
                "steps": [{"quantity_kw": "4000", "ask_jpy_per_kwh": "12.50"}]}],
}  # fmt: skip
NEED: Final = {
    "code": "tokyo-up", "kind": "BALANCE", "direction": "UP", "area": "03",
    "quantity_kw": HALF_HOURS, "cap_jpy_per_kwh": ["30"] * 48,
}  # fmt: skip
SITE: Final = {
    "name": "印西第2", "name_en": "Inzai 2", "bus_code": "inzai", "contract_kw": "1000",
    "longitude_deg": "140.1", "latitude_deg": "35.8",
}  # fmt: skip
RESOURCE: Final = {
    "name": "蓄電池2", "name_en": "Battery 2", "limit_up_kw": "500", "limit_down_kw": "500",
    "response_s": 1,
    "storage": {"energy_kwh": "1000", "reserve_kwh": "100", "charge_kw": "500",
                "discharge_kw": "500", "charge_efficiency_ratio": "0.96",
                "discharge_efficiency_ratio": "0.96"},
}  # fmt: skip
WORK: Final = {"power_kw": "1", "slack_h": "1", "value_jpy_per_kwh": "1"}
STANDING: Final = {
    "bid": {name: value for name, value in BID.items() if name != "client_bid_id"},
    "valid_from_on": "2026-11-26", "weekdays": [0, 1, 2],
}  # fmt: skip
GRID: Final = {
    "name": "east", "convention": "reactance", "base_mva": "100",
    "buses": [
        {"id": code, "area": "03", "island": "EAST", "slack_share_ratio": share}
        for code, share in (("tokyo", "1"), ("inzai", "0"))
    ],
    "branches": [{"id": "line", "from": "tokyo", "to": "inzai", "reactance_pu": "0.1",
                  "rating_kw": "100000"}],
}  # fmt: skip

# by method and name of the route
GOOD: Final[dict[tuple[str, str], dict[str, Any]]] = {
    ("POST", "approval-list"): {"kind": "result.cancel", "auction": "<auction>", "reason": "x"},
    ("POST", "approval-approve"): {"content_sha256": "0" * 64, "reason": "x"},
    ("POST", "approval-reject"): {"reason": "x"},
    ("POST", "auction-list"): {
        "code": "DA-2026-12-02", "name": "前日", "delivery_on": "2026-12-02",
        "opens_at": "2026-12-01T00:00:00Z", "gate_closure_at": "2026-12-01T14:00:00+09:00",
        "grid_model": {"name": "triangle", "version": 1},
    },
    ("POST", "auction-close-early"): {"reason": "x"},
    ("POST", "auction-runs"): {"reason": "x"},
    ("POST", "base-flow-list"): {"base_flows": {"inzai-line": ZEROS}},
    ("POST", "envelope-list"): {
        "site": "<site>", "kind": "ONLINE", "scheduled_import_kw": ["28000"] * 48,
        "max_import_kw": ["30000"] * 48,
    },
    ("POST", "transfer-limit-list"): {
        "from_area": "03", "to_area": "02", "limit_kw": ["1000"] * 48,
    },
    ("POST", "bid-submit"): BID,
    ("PUT", "bid"): {**BID, "client_bid_id": "mine"},
    ("DELETE", "bid"): {},
    ("POST", "need-publish"): NEED,
    ("PUT", "need"): {**NEED, "code": "ours"},
    ("DELETE", "need"): {},
    ("POST", "availability-list"): {
        "resource": "<resource>", "starts_at": "2026-11-26T00:00:00Z",
        "ends_at": "2026-11-26T06:00:00Z", "is_available": False, "reason": "x",
    },
    ("POST", "client-list"): {"client_id": "another-robot", "role": "operator_trader"},
    ("PATCH", "client"): {"name": "x"},
    ("POST", "client-rotate"): {"grace_s": 60},
    ("POST", "bank-account-list"): {
        "organisation": "shiroi-dc", "bank_code": "0134", "bank_name": "チバ", "branch_code": "015",
        "branch_name": "インザイ", "kind": "1", "number": "1111222", "holder": "カ）シロイ",
    },
    ("POST", "consent-list"): {
        "site": "<site>", "granted_to": "shiroi-dc", "valid_from_on": "2027-04-01",
        "valid_to_on": "2028-04-01",
    },
    ("POST", "consent-withdraw"): {"valid_to_on": "2026-12-01"},
    ("POST", "dispute-list"): {"lines": [1], "reason_code": "READING", "reason": "x"},
    ("POST", "dispute-comment"): {"text": "x"},
    ("POST", "dispute-decide"): {"outcome": "REJECTED", "text": "x"},
    ("POST", "dispute-withdraw"): {"text": "x"},
    ("POST", "document-object"): {"lines": [1], "reason_code": "READING", "reason": "x"},
    ("POST", "element-list"): {
        "name": "線", "name_en": "Line", "rating_kw": "1000", "grid_model": "<grid_model>",
        "branch": "<branch>", "code": "another-line",
    },
    ("PATCH", "element"): {"rating_kw": "29000"},
    ("POST", "placement-list"): {
        "rows": [{"award": "00000000-0000-0000-0000-000000000007", "t": 5, "moved_kwh": "1"}],
    },
    ("POST", "force-majeure-decide"): {"outcome": "REJECTED", "reason": "x"},
    ("POST", "grid-model-list"): GRID,
    ("POST", "instruction-opt-out"): {"reason": "x"},
    ("POST", "instruction-change"): {
        "what": "EXTENDED", "reason": "x", "payer": "grid-t", "price_jpy_per_kwh": "70.00",
        "quantities": [{"t": 40, "quantity_kw": "5000"}],
    },
    ("POST", "instruction-stop"): {"reason": "x"},
    ("POST", "capacity-call"): {"quantities": [{"t": 40, "quantity_kw": "5000"}]},
    ("POST", "flexible-connection-list"): {
        "site": "<site>", "firm_kw": "500", "flexible_kw": "500", "heartbeat_s": 30,
        "failsafe_s": 90,
    },
    ("POST", "connection-limit-list"): {
        "starts_at": "2026-11-26T00:00:00Z", "ends_at": "2026-11-26T06:00:00Z",
        "limit_kw": "600", "reason": "x",
    },
    ("POST", "trial-list"): {
        "prequalification": "<prequalification>", "direction": "UP", "quantity_kw": "1",
        "starts_at": "2026-11-26T00:00:00Z", "ends_at": "2026-11-26T01:00:00Z",
    },
    ("POST", "trial-cancel"): {"reason": "x"},
    ("POST", "unit-list"): {
        "resource": "<resource>", "code": "hall-a", "rank": 1, "limit_up_kw": "500",
        "limit_down_kw": "500", "minimum_kw": "0", "ramp_kw_per_min": "10",
    },
    ("POST", "invitation-list"): {"email": "taro@example.jp", "role": "operator_viewer"},
    ("POST", "member-list"): {"username": "operator_trader-at-inzai-dc", "role": "auditor"},
    ("PUT", "member"): {"role": "operator_viewer"},
    ("POST", "meter-list"): {"point_number": "03" + "7" * 20, "resource": "inzai-dc-1-load"},
    ("POST", "organisation-list"): {
        "name": "新", "name_en": "New", "code": "new-dc", "kind": "DC_OPERATOR",
    },
    ("PATCH", "organisation"): {"name_en": "New name"},
    ("POST", "owner-key"): {"public_key": "CQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="},
    ("POST", "payment-batch-list"): {"pay_on": "2026-11-30"},
    ("POST", "payment-batch-reject"): {"reason": "x"},
    ("POST", "payment-batch-release"): {"format": "ZENGIN"},
    ("POST", "prequalification-list"): {
        "resource": "inzai-dc-1-load", "product": "ready", "area": "03", "quantity_kw": "100",
        "security_confirmed_to_on": "2027-04-01",
    },
    ("POST", "prequalification-check"): {"security_confirmed_to_on": "2027-04-01"},
    ("POST", "prequalification-comment-list"): {"text": "x"},
    ("POST", "prequalification-decide"): {"state": "REJECTED", "reason": "x"},
    ("POST", "prequalification-withdraw"): {"reason": "x"},
    ("POST", "reading-list"): {
        "series": [{"point_number": "<point_number>", "start_at": "2026-11-24T00:00:00+09:00",
                    "energy_kwh": ["1.5", "2"]}],
    },
    ("POST", "resource-list"): {**RESOURCE, "site": "<site>", "code": "new-battery",
                                "kind": "BATTERY"},
    ("PUT", "resource"): RESOURCE,
    ("PATCH", "resource"): {"limit_up_kw": "7000"},
    ("POST", "workload-class-list"): {**WORK, "kind": "BATCH", "pool": "GPU"},
    ("PUT", "workload-class"): WORK,
    ("POST", "revenue-split-list"): {
        "site": "<site>", "shares": [{"organisation": "inzai-dc", "share_ratio": "1"}],
        "valid_from_on": "2027-04-01",
    },
    ("POST", "revenue-split-reject"): {"reason": "x"},
    ("POST", "site-list"): {
        **SITE, "code": "inzai-dc-2", "area": "03", "point_number": "03" + "9" * 20,
        "loss_ratio": "0.05",
    },
    ("PUT", "site"): SITE,
    ("PATCH", "site"): {"contract_kw": "61000"},
    ("POST", "standing-bid-list"): {**STANDING, "code": "mornings"},
    ("PUT", "standing-bid"): STANDING,
    ("POST", "webhook-list"): {
        "url": "https://hooks.example.com/wattbit", "topics": ["auction.opened"],
    },
    ("PATCH", "webhook"): {"topics": ["auction.closed"]},
    # what reads no body, under the version that there is
    ("POST", "client-revoke-previous"): {},
    ("POST", "invitation-resend"): {},
    ("POST", "invitation-revoke"): {},
    ("DELETE", "member"): {},
    ("POST", "resource-retire"): {},
    ("POST", "revenue-split-agree"): {},
    ("DELETE", "session"): {},
    ("POST", "site-retire"): {},
    ("DELETE", "standing-bid"): {},
    ("DELETE", "webhook"): {},
    ("POST", "webhook-rotate"): {},
}  # fmt: skip


def filled(body: Any, things: dict[str, Any]) -> Any:
    """Return a body with the names of things replaced by what they are on the stage."""
    if isinstance(body, dict):
        return {name: filled(part, things) for name, part in body.items()}
    if isinstance(body, list):
        return [filled(part, things) for part in body]
    if isinstance(body, str) and body.startswith("<") and body.endswith(">"):
        return str(things[body[1:-1]])
    return body
