"""One bid on a trader's desk: who bids with what in which auction, and what is typed so far."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property
from typing import Any, Final

from django.http import Http404, HttpRequest
from django.utils.translation import gettext

from accounts.core.errors import Conflict, NotFound
from accounts.parties.models import Organisation
from accounts.parties.sight import Sight
from aggregator.core.terms import SettlementRules, rules_from_mapping
from aggregator.core.value_of_compute import CostStep
from aggregator.portal import words
from aggregator.portal.answering import Changed, Difference
from aggregator.portal.dc import meaning, selectors
from aggregator.portal.dc.offered import OFFERS, whole_in_form
from aggregator.portal.dc.offers import OfferForm, StepsForm
from aggregator.portal.drafts import DraftText, draft_find, draft_save, draft_text
from aggregator.portal.frame import sight_in
from aggregator.portal.models import Draft, DraftKind
from market.registry.models import Resource, WorkloadClass
from market.trading.models import Auction, Bid, BidState
from market.trading.selectors import auction_named, content_of

KIND: Final = DraftKind.BID
ASIDE: Final = frozenset(
    {"csrfmiddlewaretoken", "form_token", "version", "version_now", "act", "merge"}
)
STEPS_PREFILLED: Final = 4


@dataclass(kw_only=True)
class BidDesk:
    """A bid being written: its draft, or what the book says of it."""

    sight: Sight
    auction: Auction
    organisation: Organisation
    name: str
    draft: Draft | None
    bid: Bid | None

    @cached_property
    def text(self) -> DraftText:
        """The text of the draft; of a bid that came another way, what its book shows."""
        if self.draft is not None:
            return draft_text(self.draft)
        if self.bid is None:
            raise Http404(gettext("この入札は見つかりません。"))
        bid = self.bid
        return DraftText(
            head={
                "form": bid.form,
                "resource": bid.resource.code if bid.resource else "",
                "mechanism": bid.mechanism,
                "workload_class": bid.workload_class.kind if bid.workload_class else "",
            },
            fields={},
        )

    @property
    def form_name(self) -> str:
        """Form of the bid."""
        return str(self.text.head.get("form", ""))

    @cached_property
    def resource(self) -> Resource:
        """The resource that is bid.

        Raises
        ------
        Http404
            If it is not one of the organisation's any more.
        """
        row = selectors.resource_own(self.sight, str(self.text.head.get("resource")))
        if row is not None and row.site.organisation_id == self.organisation.id:
            return row
        raise Http404(gettext("この入札のリソースは見つかりません。"))

    @property
    def mechanism(self) -> str:
        """What is done to deliver."""
        return str(self.text.head.get("mechanism", ""))

    @cached_property
    def work(self) -> WorkloadClass | None:
        """Class of work that is cut, if the bid names one."""
        kind = self.text.head.get("workload_class")
        rows = self.resource.workload_classes.all()
        return next((row for row in rows if row.kind == kind), None)

    @cached_property
    def rules(self) -> SettlementRules:
        """Settlement rules of the auction."""
        section = self.auction.ruleset.rules.get("settlement", {})
        return rules_from_mapping(section)

    @cached_property
    def prices(self) -> Mapping[Any, Any]:
        """Published prices at the site, of the latest days."""
        return selectors.prices_before(self.resource.site, self.auction.delivery_on)

    @cached_property
    def floors(self) -> list[CostStep]:
        """Cost curve of the mechanism at this resource."""
        cheap = None
        if self.prices:
            cheap = min(min(series) for series in self.prices.values())
        return meaning.cost_floors(
            self.resource, self.mechanism, self.work, charge_jpy_per_kwh=cheap
        )

    @property
    def version(self) -> int | None:
        """Version of the draft."""
        return self.draft.version if self.draft else None

    @property
    def is_open(self) -> bool:
        """Whether the auction is said to take bids; the gate decides when a bid comes."""
        return self.auction.state == "OPEN"

    def form(
        self, data: Any = None, *, initial: Mapping[str, Any] | None = None, is_loose: bool = False
    ) -> OfferForm:
        """Make the form of what was sent or, without it, of what is kept."""
        kind = OFFERS.get(self.form_name)
        if kind is None:
            raise Http404(gettext("この形式の入札は CSV か API で編集します。"))
        more: dict[str, Any] = {"is_loose": is_loose}
        if self.form_name == "SHIFT":
            more["destinations"] = [
                (row.code, words.local_name(row))
                for row in selectors.destinations_for(self.resource)
            ]
            more["paths"] = [
                (row.code, words.local_name(row)) for row in selectors.paths_of(self.sight)
            ]
        if data is not None:
            return kind(data, **more)
        return kind(initial=self.initial() if initial is None else initial, **more)

    def initial(self) -> dict[str, Any]:
        """Return what the form shows: the kept text, else the open book's, else a proposal."""
        if self.text.fields:
            return dict(self.text.fields)
        if self.bid is not None:
            content = content_of(self.bid)
            if content is not None and whole_in_form(self.form_name, content):
                return OFFERS[self.form_name].initial_of(content)
        return self.proposal()

    def proposal(self) -> dict[str, Any]:
        """Prefill: where grid operators need something, at the computed cost floor."""
        first, end = self.window_needed()
        found: dict[str, Any] = {"t_first": first, "t_end": end, "direction": "UP"}
        limit = self.resource.limit_up_kw
        steps = self.floors or []
        if self.form_name == "STEPS":
            for i, step in enumerate(steps[:STEPS_PREFILLED]):
                found[f"kw_{i}"] = step.quantity_kw
                found[f"ask_{i}"] = step.cost_jpy_per_kwh
        elif self.form_name == "STORAGE":
            found |= self._store()
        elif self.form_name == "DEFERRAL":
            power = self.work.power_kw if self.work else limit
            slack = int(self.work.slack_h * 2) if self.work else 1
            found |= {
                "t_end": min(48, end + max(1, slack)),
                "arriving_kw": power,
                "service_kw": power + self.resource.limit_down_kw,
                "slack_count": Decimal(max(1, min(48, slack))),
                "rebound_kw": self.resource.limit_down_kw,
            }
        elif self.form_name == "BLOCK":
            found["profile_kw"] = limit
        else:
            found["kw"] = limit
        if steps and self.form_name in ("BLOCK", "DEFERRAL", "SHIFT"):
            found["ask"] = steps[-1].cost_jpy_per_kwh
        return found

    def _store(self) -> dict[str, Any]:
        store = getattr(self.resource, "storage", None)
        if store is None:
            return {}
        half = (store.energy_kwh + store.reserve_kwh) / 2
        return {
            "t_first": 0,
            "t_end": 48,
            "discharge_kw": min(store.discharge_kw, self.resource.limit_up_kw),
            "charge_kw": min(store.charge_kw, self.resource.limit_down_kw),
            "energy_kwh": store.energy_kwh,
            "reserve_kwh": store.reserve_kwh,
            "start_kwh": half,
            "end_min_kwh": store.reserve_kwh,
            "charge_efficiency": store.charge_efficiency_ratio * 100,
            "discharge_efficiency": store.discharge_efficiency_ratio * 100,
            "standing_loss": store.standing_loss_ratio * 100,
            "wear": meaning.WEAR_DEFAULT_JPY_PER_KWH,
            "cycles_max": Decimal(1),
        }

    @cached_property
    def need_kw(self) -> list[Decimal]:
        """What is published as needed, per half hour."""
        return selectors.need_kw_of(self.auction)

    def window_needed(self) -> tuple[int, int]:
        """Return the stretch in which most is needed; the evening if nothing is published."""
        peak = max(self.need_kw)
        if peak <= 0:
            return 34, 40
        at = self.need_kw.index(peak)
        first = end = at
        while first > 0 and self.need_kw[first - 1] > 0:
            first -= 1
        while end < len(self.need_kw) and self.need_kw[end] > 0:
            end += 1
        return first, end

    def bid_body(self, form: OfferForm) -> dict[str, Any]:
        """Return the bid as the service reads it."""
        body = {
            "client_bid_id": self.name,
            "form": self.form_name,
            "mechanism": self.mechanism,
            "resource": self.resource.code,
            **form.content(form.cleaned_data),
        }
        if self.text.head.get("workload_class"):
            body["workload_class"] = self.text.head["workload_class"]
        return body

    def save(self, sent: Mapping[str, Any], *, author_id: int, is_sent: bool = False) -> Draft:
        """Keep what was typed.

        Raises
        ------
        Changed
            If another version was saved meanwhile.
        """
        fields = {
            name: str(sent[name])
            for name in sent
            if name not in ASIDE and not name.startswith(("pick-", "theirs-"))
        }
        text = str(sent.get("version") or "")
        version = int(text) if text.isascii() and text.isdigit() and len(text) < 10 else None  # noqa: PLR2004 - of an integer
        try:
            return draft_save(
                organisation=self.organisation,
                author_id=author_id,
                kind=KIND,
                subject=self.auction.code,
                name=self.name,
                text=DraftText(head=self.text.head, fields=fields),
                version=version if self.draft else None,
                is_sent=is_sent,
            )
        except Conflict as conflict:
            raise self.changed(fields, author_id) from conflict

    def changed(self, mine: Mapping[str, str], reader_id: int) -> Changed:
        """Compare what was typed with what somebody else, or another tab, saved."""
        now = draft_find(
            organisation=self.organisation, kind=KIND, subject=self.auction.code, name=self.name
        )
        if now is None:
            raise Http404(gettext("この入札は見つかりません。"))
        theirs = draft_text(now).fields
        form = self.form(mine)
        names = [*form.fields, *(name for name in theirs if name not in form.fields)]
        rows = [
            Difference(
                name=name,
                label=str(form.fields[name].label) if name in form.fields else name,
                mine=mine.get(name, ""),
                theirs=theirs.get(name, ""),
            )
            for name in names
            if mine.get(name, "") != theirs.get(name, "")
        ]
        at = words.jst(now.saved_at, seconds=True)
        who = (
            gettext("あなたは別の画面で %(at)s にこの入札を保存しました。")
            if now.author_id == reader_id
            else gettext("%(who)sさんが %(at)s にこの入札を保存しました。")
        ) % {"at": at, "who": str(now.author)}
        return Changed(rows=rows, version=now.version, who=who)


def desk_of(request: HttpRequest, code: str, name: str, *, action: str = "bid.submit") -> BidDesk:
    """Return the bid of an address that the person may write.

    Raises
    ------
    Http404
        If there is none, or it is another's.
    """
    sight = sight_in(request)
    try:
        auction = auction_named(code)
    except NotFound as unknown:
        raise Http404(gettext("このオークションは見つかりません。")) from unknown
    for organisation in selectors.operators_of(sight, action):
        draft = draft_find(organisation=organisation, kind=KIND, subject=code, name=name)
        bid = selectors.bid_current(organisation, auction, name)
        if draft is not None or bid is not None:
            return BidDesk(
                sight=sight,
                auction=auction,
                organisation=organisation,
                name=name,
                draft=draft,
                bid=bid,
            )
    raise Http404(gettext("この入札は見つかりません。"))


def is_in_book(bid: Bid | None) -> bool:
    """Whether a version of the bid stands in the book."""
    return bid is not None and bid.state == BidState.SUBMITTED


__all__ = ["BidDesk", "StepsForm", "desk_of", "is_in_book"]
