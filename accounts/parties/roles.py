"""One table of who may do what."""

from django.db import models


class Role(models.TextChoices):
    """What a member is in an organisation."""

    OPERATOR_TRADER = "operator_trader", "取引担当（事業者）"
    OPERATOR_VIEWER = "operator_viewer", "閲覧（事業者）"
    GRID_PLANNER = "grid_planner", "系統計画（送配電）"
    GRID_APPROVER = "grid_approver", "承認（送配電）"
    MARKET_DESK = "market_desk", "市場運用（アグリゲーター）"
    SETTLEMENT = "settlement", "精算（アグリゲーター）"
    AUDITOR = "auditor", "監査"
    ADMINISTRATOR = "administrator", "管理者"


# Which roles people and machines of an organisation may have, by its kind.
_ANYWHERE = frozenset({Role.AUDITOR, Role.ADMINISTRATOR})
_OPERATOR = _ANYWHERE | {Role.OPERATOR_TRADER, Role.OPERATOR_VIEWER}
ROLES_OF_KIND: dict[str, frozenset[Role]] = {
    "TSO": _ANYWHERE | {Role.GRID_PLANNER, Role.GRID_APPROVER},
    "DC_OPERATOR": _OPERATOR,
    "FACILITY_OWNER": _OPERATOR,
    "PATH_OWNER": _OPERATOR,
    "RETAILER": _OPERATOR,
    "COMPUTE_CUSTOMER": _OPERATOR,
    "AGGREGATOR": _ANYWHERE | {Role.MARKET_DESK, Role.SETTLEMENT},
}

# What each role may do; an action absent from a role's line is denied.
MAY: dict[str, frozenset[str]] = {
    Role.OPERATOR_TRADER: frozenset(
        {
            "webhook.manage",
            "bid.read",
            "bid.submit",
            "award.read",
            "instruction.answer",
            "statement.read",
            "instruction.read",
            "delivery.read",
            "reading.read",
            "reading.submit",
            "meter.register",
            "dispute.open",
            "force_majeure.request",
            "site.read",
            "site.change",
            "consent.grant",
            "revenue_split.agree",
            "prequalification.read",
            "prequalification.request",
        }
    ),
    Role.OPERATOR_VIEWER: frozenset(
        {
            "bid.read",
            "award.read",
            "statement.read",
            "instruction.read",
            "delivery.read",
            "reading.read",
            "site.read",
            "prequalification.read",
        }
    ),
    Role.GRID_PLANNER: frozenset(
        {
            "webhook.manage",
            "need.read",
            "need.publish",
            "capacity.call",
            "network.read",
            "statement.read",
            "instruction.read",
            "delivery.read",
            "reading.read",
            "reading.submit",
            "meter.register",
            "dispute.open",
            "force_majeure.request",
            "network.publish",
            "site.read",
            "prequalification.read",
            "prequalification.decide",
        }
    ),
    Role.GRID_APPROVER: frozenset(
        {
            "need.read",
            "need.approve",
            "network.read",
            "statement.read",
            "instruction.read",
            "delivery.read",
            "reading.read",
            "dispute.open",
            "site.read",
            "prequalification.read",
        }
    ),
    Role.MARKET_DESK: frozenset(
        {
            "result.cancel",
            "instruction.change",
            "capacity.call",
            "webhook.manage",
            "book.read",
            "auction.run",
            "need.read",
            "award.read",
            "network.read",
            "instruction.read",
            "delivery.read",
            "reading.read",
            "meter.register",
            "site.read",
            "prequalification.read",
        }
    ),
    Role.SETTLEMENT: frozenset(
        {
            "payment.release",
            "webhook.manage",
            "book.read",
            "statement.read",
            "settlement.run",
            "award.read",
            "delivery.read",
            "reading.read",
            "reading.submit",
            "dispute.decide",
            "force_majeure.request",
            "force_majeure.decide",
            "ledger.read",
            "site.read",
        }
    ),
    Role.AUDITOR: frozenset(
        {
            "audit.read",
            "book.read",
            "need.read",
            "award.read",
            "network.read",
            "instruction.read",
            "statement.read",
            "delivery.read",
            "reading.read",
            "ledger.read",
            "site.read",
            "prequalification.read",
        }
    ),
    Role.ADMINISTRATOR: frozenset(
        {
            "organisation.change",
            "organisation.register",
            "member.read",
            "member.invite",
            "client.manage",
            "audit.read",
            "webhook.manage",
        }
    ),
}


def role_may(role: str, action: str) -> bool:
    """Whether `role` may do `action`; unknown roles and actions may not."""
    return action in MAY.get(role, frozenset())
