"""Which ledger account each party of an auction settles through."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property
from uuid import UUID

from accounts.core.errors import NotFound
from accounts.ledger.services import ledger_account_open
from accounts.parties.models import Organisation
from accounts.parties.selectors import aggregator
from aggregator.core.settlement import House, Share
from aggregator.settlement.agreed import AgreedTerms, terms_in_force
from market.clearing.models import Award, ClearingRun
from market.registry.models import (
    Area,
    CongestionPoint,
    ControllableLink,
    OpticalPath,
    OpticalTrunk,
    Site,
)
from market.trading.models import Bid, Need

MEMBER_CODE = "member"
ID_LENGTH = 36  # of an organisation's id as text
HALF = Decimal("0.5")


@dataclass(frozen=True, kw_only=True)
class NeedParty:
    """A need and the account of its buyer."""

    need: Need
    buyer: str


def house_of_market() -> House:
    """Return the aggregator's accounts, opened when first asked for."""
    owner = aggregator()
    accounts = {
        code: ledger_account_open(organisation=owner, code=code, name=name, kind=kind)
        for code, name, kind in (
            ("clearing", "清算勘定", "CLEARING"),
            ("fee", "市場利用手数料", "REVENUE"),
            ("rounding", "端数調整", "ROUNDING"),
        )
    }
    return House(**{code: str(account.id) for code, account in accounts.items()})


class MarketParties:
    """Accounts of everyone concerned in one clearing run, opened when first met.

    Accounts are named by their ledger id as text, which is what the pure core passes around.

    Parameters
    ----------
    run
        The published run.
    kept
        What a settlement run was told of agreements; those in force now if omitted.
    """

    def __init__(self, run: ClearingRun, *, kept: AgreedTerms | None = None) -> None:
        self._run = run
        self._kept = kept
        self._auction = run.auction
        self._members: dict[UUID, str] = {}
        self._imbalances: dict[str, str] = {}
        self._bidders: dict[str, UUID] = {}

    @cached_property
    def house(self) -> House:
        """Return the aggregator's clearing, fee and rounding accounts."""
        return house_of_market()

    def imbalance(self, area: str) -> str:
        """Return the imbalance account of an area."""
        if area not in self._imbalances:
            account = ledger_account_open(
                organisation=aggregator(),
                code=f"imbalance-{area}",
                name=f"インバランス {area}",
                kind="IMBALANCE",
            )
            self._imbalances[area] = str(account.id)
        return self._imbalances[area]

    def member(self, organisation: Organisation) -> str:
        """Return the account through which an organisation pays and is paid."""
        if organisation.id not in self._members:
            account = ledger_account_open(
                organisation=organisation, code=MEMBER_CODE, name="参加者勘定", kind="MEMBER"
            )
            self._members[organisation.id] = str(account.id)
        return self._members[organisation.id]

    def need(self, need_id: str) -> NeedParty:
        """Return a need of the auction and its buyer."""
        try:
            return self._needs[UUID(need_id)]
        except KeyError:
            raise NotFound(field="needs.id", value=need_id, rule="a need of the auction") from None

    @cached_property
    def _needs(self) -> Mapping[UUID, NeedParty]:
        needs = Need.objects.filter(auction=self._auction).select_related(
            "organisation", "congestion_point"
        )
        return {
            need.id: NeedParty(need=need, buyer=self.member(need.organisation)) for need in needs
        }

    @cached_property
    def sellers(self) -> Mapping[UUID, str]:
        """Return the account of each award's seller."""
        awards = Award.objects.filter(run=self._run).select_related("organisation")
        return {award.id: self.member(award.organisation) for award in awards}

    @cached_property
    def accounts_of_sellers(self) -> Mapping[UUID, str]:
        """Return the account of each organisation that sold."""
        sellers = Organisation.objects.filter(awards__run=self._run).distinct()
        return {seller.id: self.member(seller) for seller in sellers}

    def element_owners(self, code: str) -> tuple[Share, ...]:
        """Return who earns an element's rent: its owner, of a tie both, half each."""
        point = self._points.get(code)
        if point is None:
            raise NotFound(field="elements.id", value=code, rule="an element of the grid model")
        return self._equal_shares([point.owner, point.co_owner])

    @cached_property
    def _points(self) -> Mapping[str, CongestionPoint]:
        points = CongestionPoint.objects.filter(grid_model=self._auction.grid_model).select_related(
            "owner", "co_owner"
        )
        return {point.code: point for point in points}

    def link_owners(self, code: str) -> tuple[Share, ...]:
        """Return who earns a link's rent: the TSOs of both ends, half each."""
        link = (
            ControllableLink.objects.filter(grid_model=self._auction.grid_model, code=code)
            .select_related("from_bus__area__tso", "to_bus__area__tso")
            .first()
        )
        if link is None:
            raise NotFound(field="links.id", value=code, rule="a link of the grid model")
        return self._equal_shares([link.from_bus.area.tso, link.to_bus.area.tso])

    def transfer_owners(self, code: str) -> tuple[Share, ...]:
        """Return who earns the rent of a transfer between two areas, named ``03-02``."""
        areas = Area.objects.filter(code__in=code.split("-")).select_related("tso")
        return self._equal_shares([area.tso for area in areas])

    def path_owners(self, code: str) -> tuple[Share, ...]:
        """Return the owner of an optical path."""
        path = OpticalPath.objects.filter(code=code).select_related("owner").first()
        if path is None:
            raise NotFound(field="paths.id", value=code, rule="an optical path")
        return self._equal_shares([path.owner])

    def trunk_owners(self, code: str) -> tuple[Share, ...]:
        """Return the owner of a shared wavelength."""
        trunk = OpticalTrunk.objects.filter(code=code).select_related("owner").first()
        if trunk is None:
            raise NotFound(field="trunks.id", value=code, rule="an optical trunk")
        return self._equal_shares([trunk.owner])

    def bidder(self, bid_id: str) -> str:
        """Return the account of the organisation that made a bid."""
        if not self._bidders:
            bids = Bid.objects.filter(auction=self._auction).values_list("id", "organisation_id")
            self._bidders = {str(row): organisation_id for row, organisation_id in bids}
        return self.account_of(self._bidders[bid_id])

    def site_operator(self, code: str) -> str:
        """Return the account of the organisation that operates a site."""
        return self.member(Site.objects.select_related("organisation").get(code=code).organisation)

    def owner(self, name: str) -> str:
        """Return the account of an owner as a result names it: an id, or a grid operator's area.

        Raises
        ------
        NotFound
            If nobody of that name takes part.
        """
        area = Area.objects.filter(code=name).first()
        owner_id = None if area is None else area.tso_id
        if area is None and len(name) == ID_LENGTH:
            owner_id = UUID(name)
        if owner_id is None:
            raise NotFound(field="payments.rents.owner", value=name, rule="an owner in the market")
        return self.account_of(owner_id)

    def account_of(self, organisation_id: UUID) -> str:
        """Return the account of the organisation with an id."""
        known = self._members.get(organisation_id)
        return known or self.member(Organisation.objects.get(id=organisation_id))

    def _equal_shares(self, organisations: Iterable[Organisation | None]) -> tuple[Share, ...]:
        known = {o.id: o for o in organisations if o is not None}
        return tuple(Share(account=self.member(o), weight=HALF) for o in known.values())

    def splits_of(self, site_id: UUID | None) -> tuple[Share, ...]:
        """Return the parts of one site's receipts that its operator passes on, if it is known."""
        return self.splits.get(site_id, ()) if site_id is not None else ()

    @cached_property
    def sites_of_bids(self) -> Mapping[str, UUID]:
        """Return the site of each bid that is of one resource."""
        rows = Bid.objects.filter(auction=self._auction, resource__isnull=False)
        return {
            str(bid_id): site_id for bid_id, site_id in rows.values_list("id", "resource__site_id")
        }

    @property
    def exchange(self) -> str:
        """Return the account in which fees stand that the exchange is owed."""
        account = ledger_account_open(
            organisation=aggregator(), code="exchange-fee", name="取引所手数料", kind="REVENUE"
        )
        return str(account.id)

    @cached_property
    def terms(self) -> AgreedTerms:
        """Return what the parties of the auction agreed on beside the market."""
        return terms_in_force(self._run, self.member) if self._kept is None else self._kept

    @property
    def splits(self) -> Mapping[UUID, tuple[Share, ...]]:
        """Return the parts of each site's receipts that its operator passes on."""
        return self.terms.splits
