"""Instructions at the desk: the list, one with everything that stood in for it, and its changes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext
from django.views.decorators.http import require_http_methods, require_safe

from accounts.approvals.kinds import INSTRUCTION_CHANGE, INSTRUCTION_EXTEND
from accounts.approvals.selectors import approvals_seen
from accounts.audit.models import AuditEntry
from accounts.parties.models import Organisation
from aggregator.dispatch.changes import CHANGE
from aggregator.dispatch.models import DispatchInstruction, InstructionState
from aggregator.dispatch.selectors import instructions_seen
from aggregator.portal import words
from aggregator.portal.approving import Decision, approval_in, asked_of
from aggregator.portal.desk import selectors
from aggregator.portal.desk.changing import kinds_open, stop_facts
from aggregator.portal.desk.ordered import instruction_facts, instruction_in
from aggregator.portal.desk.pages import view_in
from aggregator.portal.desk.standing_in import standing_of
from aggregator.portal.entering import person_required
from aggregator.portal.frame import frame, market_time, sight_in
from aggregator.portal.lists import Filter, day_of, listed
from aggregator.portal.order_effects import change_facts, effect_of, irreversible_of
from aggregator.portal.templatetags.portal import instruction_word
from market.trading.models import Direction

HEADER = (
    "instruction", "resource", "organisation", "direction", "starts_at", "ends_at", "state",
    "version", "sent_at", "acknowledged_at", "reason",
)  # fmt: skip


@person_required(selectors.SEE)
@require_safe
def instruction_list(request: HttpRequest) -> HttpResponse:
    """All instructions, the latest start first."""
    sight = sight_in(request)
    view_in(sight)
    rows = listed(
        request,
        instructions_seen(seen_by=sight),
        filters=(
            Filter(
                name="state",
                label=gettext("状態"),
                apply=lambda found, value: found.filter(state=value),
                choices=[(state, instruction_word(state)) for state in InstructionState.values],
            ),
            Filter(
                name="direction",
                label=gettext("方向"),
                apply=lambda found, value: found.filter(direction=value),
                choices=[(Direction.UP, gettext("上げ")), (Direction.DOWN, gettext("下げ"))],
            ),
            Filter(
                name="day",
                label=gettext("受渡日"),
                apply=lambda found, value: (
                    found.filter(award__auction__delivery_on=day_of(value))
                    if day_of(value)
                    else found.none()
                ),
                kind="date",
            ),
        ),
        sorts={"starts": ("starts_at", "id"), "state": ("state", "starts_at", "id")},
        sort="-starts",
    )
    if rows.wants_csv:
        return rows.csv("instructions.csv", HEADER, _cells)
    context = {**frame(request, page="desk_instructions"), "listing": rows}
    return render(request, "portal/desk/instructions.html", context)


def _cells(row: DispatchInstruction) -> tuple[Any, ...]:
    return (
        row.id, row.resource.code, row.organisation.code, row.direction, row.starts_at,
        row.ends_at, row.state, row.version, row.sent_at, row.acknowledged_at, row.reason,
    )  # fmt: skip


@person_required(selectors.SEE)
@require_safe
def instruction_page(request: HttpRequest, instruction_id: UUID) -> HttpResponse:
    """One instruction: what is ordered, who stood in, and what happened when."""
    row = instruction_in(request, instruction_id)
    sight = sight_in(request)
    now = market_time()
    chain = selectors.replacements_of(row)
    subjects = [f"dispatch.dispatchinstruction:{one.id}" for one in chain]
    waiting = approvals_seen(seen_by=sight, state="REQUESTED").filter(subject__in=subjects)
    told = AuditEntry.objects.filter(subject__in=subjects).order_by("id")[:60]
    context = {
        **frame(request, page="desk_instructions", now=now),
        "row": row,
        "intervals": [(one, words.koma_full(one.t)) for one in row.intervals.order_by("t")],
        "chain": chain,
        "told": [(words.jst(entry.at, seconds=True), _event_word(entry.action)) for entry in told],
        "asked": asked_of(list(waiting), sight),
        "kinds": kinds_open(row, sight, now.now),
        "may_look": sight.may_everywhere(CHANGE),
        "stands": standing_of(row, chain, now.now),
    }
    return render(request, "portal/desk/instruction.html", context)


def _event_word(action: str) -> str:
    return {
        "planned": gettext("計画"),
        "sent": gettext("送信"),
        "acknowledged": gettext("受諾"),
        "opted_out": gettext("辞退"),
        "reminded": gettext("督促"),
        "unreached": gettext("応答なし"),
        "replaced": gettext("差し替え"),
        "started": gettext("実施開始"),
        "finished": gettext("完了"),
        "cancelled": gettext("取消"),
        "changed": gettext("変更"),
    }.get(action.rpartition(".")[2], action.rpartition(".")[2])


@person_required(selectors.SEE)
@require_http_methods(["GET", "HEAD", "POST"])
def decision(request: HttpRequest, approval_id: UUID) -> HttpResponse:
    """Decide a change of an instruction as the second person."""
    sight, asked = approval_in(request, approval_id, (INSTRUCTION_CHANGE, INSTRUCTION_EXTEND))
    row = instruction_in(request, UUID(asked.detail["change"]["instruction"]))
    change = asked.detail["change"]
    effect = effect_of(row, change, now=market_time().now, payer=_payer_word(change))
    rows = [*instruction_facts(row), {"label": gettext("申請の理由"), "value": asked.reason}]
    if change["what"] == "CANCELLED":
        rows += stop_facts(effect)
    return Decision(
        request=request,
        row=asked,
        sight=sight,
        facts=[*rows, *change_facts(effect)],
        back_url=reverse("portal:desk_instruction", args=[row.id]),
        page="desk_instructions",
        stake=effect.stake if effect.slots else "",
        irreversible=irreversible_of(change["what"]),
    ).answer()


def _payer_word(change: Mapping[str, Any]) -> str:
    row = Organisation.objects.filter(code=change.get("payer", "")).first()
    return words.local_name(row) if row else ""
