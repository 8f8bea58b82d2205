"""Instructions at the desk: the list, one with everything that stood in for it, and stopping it."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext
from django.views.decorators.http import require_http_methods, require_safe

from accounts.approvals.kinds import INSTRUCTION_CHANGE, INSTRUCTION_EXTEND
from accounts.approvals.selectors import approvals_seen
from accounts.audit.models import AuditEntry
from aggregator.dispatch.changes import CANCELLABLE, change_request
from aggregator.dispatch.models import DispatchInstruction, InstructionState
from aggregator.dispatch.selectors import instructions_seen
from aggregator.portal import words
from aggregator.portal.answering import Done, FormPage
from aggregator.portal.approving import Decision, approval_in, asked_of
from aggregator.portal.desk import selectors
from aggregator.portal.desk.auctions import ReasonForm
from aggregator.portal.desk.pages import view_in
from aggregator.portal.entering import person_required
from aggregator.portal.forms import PortalForm
from aggregator.portal.frame import frame, sight_in
from aggregator.portal.lists import Filter, day_of, listed
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


def _instruction(request: HttpRequest, instruction_id: UUID) -> DispatchInstruction:
    sight = sight_in(request)
    view_in(sight)
    row = instructions_seen(seen_by=sight).filter(id=instruction_id).first()
    if row is None:
        raise Http404(gettext("この指令は見つかりません。"))
    return row


@person_required(selectors.SEE)
@require_safe
def instruction_page(request: HttpRequest, instruction_id: UUID) -> HttpResponse:
    """One instruction: what is ordered, who stood in, and what happened when."""
    row = _instruction(request, instruction_id)
    sight = sight_in(request)
    chain = selectors.replacements_of(row)
    subjects = [f"dispatch.dispatchinstruction:{one.id}" for one in chain]
    waiting = approvals_seen(seen_by=sight, state="REQUESTED").filter(subject__in=subjects)
    told = AuditEntry.objects.filter(subject__in=subjects).order_by("id")[:60]
    context = {
        **frame(request, page="desk_instructions"),
        "row": row,
        "intervals": [(one, words.koma_full(one.t)) for one in row.intervals.order_by("t")],
        "chain": chain,
        "told": [(words.jst(entry.at, seconds=True), _event_word(entry.action)) for entry in told],
        "asked": asked_of(list(waiting), sight),
        "may_stop": view_in(sight).may_act and row.state in CANCELLABLE,
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


@person_required(selectors.ACT)
@require_http_methods(["GET", "HEAD", "POST"])
def instruction_stop(request: HttpRequest, instruction_id: UUID) -> HttpResponse:
    """Ask that an instruction order nothing more; a second person decides."""
    row = _instruction(request, instruction_id)
    sight = sight_in(request)
    if not view_in(sight).may_act:
        raise Http404(gettext("この指令は見つかりません。"))
    back = reverse("portal:desk_instruction", args=[row.id])

    def work(clean: dict[str, Any]) -> Done:
        change_request(instruction_id=row.id, what="CANCELLED", reason=clean["reason"], by=sight)
        return Done(url=back, said=gettext("依頼しました。2人目の承認を待っています。"))

    def context(_form: PortalForm) -> dict[str, Any]:
        return {
            **frame(request, page="desk_instructions"),
            "rows": _facts(row),
            "heading": gettext("指令の取消の依頼"),
            "verb": gettext("取消を依頼する"),
            "irreversible": gettext(
                "2人目が承認すると拠点に取消を送ります。すでに実施した30分の支払は変わりません。"
            ),
            "back_url": back,
        }

    return FormPage(
        form=lambda fields, _files: ReasonForm(fields),
        work=work,
        template="portal/desk/auction_ask.html",
        context=context,
    ).answer(request)


def _facts(row: DispatchInstruction) -> list[dict[str, str]]:
    return [
        {"label": gettext("拠点"), "value": words.local_name(row.resource.site)},
        {"label": gettext("リソース"), "value": words.local_name(row.resource)},
        {
            "label": gettext("時間帯"),
            "value": f"{words.jst_day(row.starts_at)}–{words.jst_until(row.ends_at)}",
        },
        {"label": gettext("状態"), "value": instruction_word(row.state)},
    ]


@person_required(selectors.SEE)
@require_http_methods(["GET", "HEAD", "POST"])
def decision(request: HttpRequest, approval_id: UUID) -> HttpResponse:
    """Decide a change of an instruction as the second person."""
    sight, asked = approval_in(request, approval_id, (INSTRUCTION_CHANGE, INSTRUCTION_EXTEND))
    row = _instruction(request, UUID(asked.detail["change"]["instruction"]))
    rows = [*_facts(row), {"label": gettext("申請の理由"), "value": asked.reason}]
    for t, kw in asked.detail["change"].get("quantities_kw", {}).items():
        rows.append({"label": words.koma_full(int(t)), "value": f"{words.number(float(kw))} kW"})
    return Decision(
        request=request,
        row=asked,
        sight=sight,
        facts=rows,
        back_url=reverse("portal:desk_instruction", args=[row.id]),
        page="desk_instructions",
    ).answer()
