"""A second person's word on a page: what is asked for, line by line, and a yes or a no."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from django.http import Http404, HttpRequest, HttpResponse, QueryDict
from django.utils.translation import gettext

from accounts.approvals.kinds import (
    AUCTION_CLOSE_EARLY,
    INSTRUCTION_CHANGE,
    INSTRUCTION_EXTEND,
    KINDS,
    NEED_PUBLISH,
    RESULT_CANCEL,
)
from accounts.approvals.models import Approval, ApprovalState
from accounts.approvals.selectors import approvals_seen
from accounts.approvals.services import approval_reject
from accounts.core.errors import NotPermitted
from accounts.parties.models import User
from accounts.parties.sight import Sight
from aggregator.dispatch.cancelling import result_cancel_approve
from aggregator.dispatch.changes import change_approve
from aggregator.portal import words
from aggregator.portal.answering import Done, FormPage
from aggregator.portal.forms import PortalForm, TextField
from aggregator.portal.frame import frame, sight_in
from market.trading.early_closing import auction_close_early
from market.trading.proposals import need_approve, need_reject

REASON_LENGTH_MAX: Final = 200
APPROVERS: Final[Mapping[str, Callable[..., Any]]] = {
    NEED_PUBLISH: need_approve,
    AUCTION_CLOSE_EARLY: auction_close_early,
    RESULT_CANCEL: result_cancel_approve,
    INSTRUCTION_CHANGE: change_approve,
    INSTRUCTION_EXTEND: change_approve,
}


def kind_words(kind: str) -> tuple[str, str]:
    """Return what is asked for, and the verb of the button."""
    return {
        NEED_PUBLISH: (gettext("必要量の公表"), gettext("公表を承認する")),
        AUCTION_CLOSE_EARLY: (gettext("早期締切"), gettext("早期締切を承認する")),
        RESULT_CANCEL: (gettext("結果の取消"), gettext("取消を承認する")),
        INSTRUCTION_CHANGE: (gettext("指令の変更"), gettext("変更を承認する")),
        INSTRUCTION_EXTEND: (gettext("指令の延長"), gettext("延長を承認する")),
    }[kind]


def state_word(state: str) -> str:
    """Say how a request stands."""
    return {
        ApprovalState.REQUESTED: gettext("承認待ち"),
        ApprovalState.APPROVED: gettext("承認済"),
        ApprovalState.REJECTED: gettext("却下"),
        ApprovalState.EXPIRED: gettext("失効"),
        ApprovalState.USED: gettext("実行済"),
    }[ApprovalState(state)]


def people_of(rows: list[Approval]) -> dict[str, str]:
    """Return the names behind ``user:7``; machines are told as such."""
    ids = {
        int(who.removeprefix("user:"))
        for row in rows
        for who in (row.maker, row.checker)
        if who.startswith("user:")
    }
    return {f"user:{user.pk}": str(user) for user in User.objects.filter(id__in=ids)}


@dataclass(frozen=True, kw_only=True)
class Asked:
    """A request in words."""

    row: Approval
    name: str
    verb: str
    subject: str
    maker: str
    checker: str
    state: str
    expires: str
    may_decide: bool
    is_own: bool


def asked_of(rows: list[Approval], sight: Sight) -> list[Asked]:
    """Say requests, and whether the visitor may decide them."""
    people = people_of(rows)
    found = []
    for row in rows:
        if row.kind not in APPROVERS:
            continue
        name, verb = kind_words(row.kind)
        waits = row.state == ApprovalState.REQUESTED
        allowed = row.organisation_id in sight.organisations_for(KINDS[row.kind].check)
        is_own = row.maker == sight.actor
        found.append(
            Asked(
                row=row,
                name=name,
                verb=verb,
                subject=subject_word(row),
                maker=people.get(row.maker, gettext("システム")),
                checker=people.get(row.checker, ""),
                state=state_word(row.state),
                expires=words.jst_day(row.expires_at),
                may_decide=waits and allowed and not is_own,
                is_own=is_own,
            )
        )
    return found


def subject_word(row: Approval) -> str:
    """Name what a request is about."""
    detail = row.detail
    for key in ("auction", "resource", "code", "need"):
        if isinstance(detail.get(key), str):
            return str(detail[key])
    return row.subject.rpartition(":")[2]


class DecisionForm(PortalForm):
    """A yes or a no; a no owes a reason."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["reason"] = TextField(
            label=gettext("理由（却下では必須）"), required=False, max_length=REASON_LENGTH_MAX
        )


def approval_in(
    request: HttpRequest, approval_id: UUID, kinds: tuple[str, ...]
) -> tuple[Sight, Approval]:
    """Return a request the visitor may see.

    Raises
    ------
    Http404
        If there is none of these kinds.
    """
    sight = sight_in(request)
    row = approvals_seen(seen_by=sight).filter(id=approval_id, kind__in=kinds).first()
    if row is None:
        raise Http404(gettext("この申請は見つかりません。"))
    return sight, row


@dataclass(frozen=True, kw_only=True)
class Decision:
    """One request's page; `facts` are its rows: label and value."""

    request: HttpRequest
    row: Approval
    sight: Sight
    facts: list[dict[str, str]]
    back_url: str
    page: str
    stake: str = ""
    irreversible: str = ""

    def answer(self) -> HttpResponse:
        """Show it, or do what the visitor decides."""
        form_page = FormPage(
            form=self._form,
            work=self._work,
            template="portal/desk/decision.html",
            context=self._context,
        )
        return form_page.answer(self.request)

    def _form(self, fields: QueryDict | None, _files: Any) -> PortalForm:
        return DecisionForm(fields)

    def _work(self, clean: dict[str, Any]) -> Done:
        asked = asked_of([self.row], self.sight)[0]
        if not asked.may_decide:
            raise NotPermitted(
                field="reason", value=self.sight.actor, rule="somebody else than who asked"
            )
        if self.request.POST.get("decision") == "reject":
            reject = need_reject if self.row.kind == NEED_PUBLISH else approval_reject
            reject(approval_id=self.row.id, by=self.sight, reason=clean["reason"])
            return Done(
                url=self.back_url, said=gettext("却下しました：%(name)s") % {"name": asked.name}
            )
        APPROVERS[self.row.kind](
            approval_id=self.row.id,
            by=self.sight,
            # of what stood on the page that was sent, not of what the row says now
            content_sha256=self.request.POST.get("content_sha256", ""),
            reason=clean["reason"],
        )
        said = gettext("承認しました：%(name)s") % {"name": asked.name}
        return Done(url=self.back_url, said=said)

    def _context(self, _form: PortalForm) -> dict[str, Any]:
        self.row.refresh_from_db()
        return {
            **frame(self.request, page=self.page),
            "asked": asked_of([self.row], self.sight)[0],
            "facts": self.facts,
            "back_url": self.back_url,
            "stake": self.stake,
            "irreversible": self.irreversible,
        }
