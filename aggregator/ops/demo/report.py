"""What the demo day shows at its end: facts read back from rows, then printed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

from django.db.models import Case, Count, F, Max, QuerySet, Sum, When

from accounts.ledger.selectors import transfers_of, trial_balance_at
from accounts.ledger.statements import statement_csv, statement_of
from accounts.parties.models import Organisation
from accounts.parties.selectors import aggregator
from aggregator.dispatch.models import DispatchInstruction
from aggregator.metering.selectors import deliveries_effective
from aggregator.settlement.chains import runs_in_force
from aggregator.settlement.models import RunKind, SettlementLine
from market.clearing.models import (
    CapacityPrice,
    ClearingPrice,
    ClearingRun,
    ComputeUse,
    ElementFlow,
    PriceKind,
)
from market.clearing.selectors import run_published_of
from market.trading.models import Auction, Bid, Need, NeedKind, NeedState

Facts = dict[str, Any]
HALF = Decimal("0.5")
BARS = "▁▂▃▄▅▆▇█"
SHOWN_MAX = 6


def facts_of(auction: Auction, directory: Path) -> Facts:
    """Collect what happened on the day; statements are written to `directory` as CSV."""
    run = run_published_of(auction)
    if run is None:
        raise LookupError(f"{auction.code} has no published result")
    needs = [_need(need, run) for need in _needs(auction)]
    trial = trial_balance_at()
    transfers = transfers_of(seen_by=aggregator())
    return {
        "auction": auction.code,
        "delivery_on": auction.delivery_on.isoformat(),
        "state": auction.state,
        "needs": needs,
        "capacity": _capacity(auction, run),
        "computing": _computing(run),
        "legs": _legs(run),
        "unserved_kwh": float(sum(Decimal(str(need["unserved_kwh"])) for need in needs)),
        "bids": _bids(auction),
        "awards_count": run.awards.count(),
        "welfare_jpy": float(run.objective_jpy or 0),
        "certificate_passed": bool(run.certificate.get("passed")),
        "prices_jpy_per_kwh": _prices(run),
        "loading_ratio": _loadings(run),
        "instructions": _instructions(auction),
        "shortfalls": _shortfalls(auction),
        "statements": _statements(directory),
        "transfers_count": transfers.count(),
        "example_transfer": _example_transfer(transfers),
        "trial_balance_jpy": trial.difference_jpy,
        "clearing_house_jpy": trial.clearing_jpy,
        "result_sha256": run.result_sha256,
    }


def _needs(auction: Auction) -> Sequence[Need]:
    rows = Need.objects.filter(auction=auction, state=NeedState.PUBLISHED).exclude(
        kind=NeedKind.CAPACITY
    )
    return list(rows.select_related("congestion_point", "area").order_by("kind", "code"))


def _need(need: Need, run: ClearingRun) -> Facts:
    prices = ClearingPrice.objects.filter(run=run, need=need)
    sums = prices.aggregate(served=Sum("served_kw"), unserved=Sum("unserved_kw"))
    cost = sum((row.price_jpy_per_kwh * (row.served_kw or 0) * HALF for row in prices), Decimal(0))
    return {
        "code": need.code,
        "place": str(need.congestion_point or need.area),
        "direction": need.direction,
        "revision": need.revision,
        "peak_kw": float(max(need.quantity_kw)),
        "served_kwh": float((sums["served"] or 0) * HALF),
        "unserved_kwh": float((sums["unserved"] or 0) * HALF),
        "price_max_jpy_per_kwh": float(max(row.price_jpy_per_kwh for row in prices)),
        "cost_jpy": float(cost),
    }


def _capacity(auction: Auction, run: ClearingRun) -> list[Facts]:
    """Capacity asked for and reserved: kilowatts for half an hour each, and their dearest price."""
    found = []
    needs = Need.objects.filter(auction=auction, state=NeedState.PUBLISHED, kind=NeedKind.CAPACITY)
    for need in needs.order_by("code"):
        sums = CapacityPrice.objects.filter(run=run, need=need).aggregate(
            served=Sum("served_kw"), unserved=Sum("unserved_kw"), top=Max("price_jpy_per_kw_30min")
        )
        found.append(
            {
                "code": need.code,
                "product": need.product_id,
                "served_kw_30min": float(sums["served"] or 0),
                "unserved_kw_30min": float(sums["unserved"] or 0),
                "price_max_jpy_per_kw_30min": float(sums["top"] or 0),
            }
        )
    return found


def _computing(run: ClearingRun) -> Facts:
    sums = ComputeUse.objects.filter(run=run).aggregate(used=Sum("used_kw"))
    return {
        "used_kwh": float((sums["used"] or 0) * HALF),
        "placements_count": run.compute_placements.count(),
    }


def _legs(run: ClearingRun) -> dict[str, int]:
    rows = run.awards.values_list("leg").annotate(n=Count("id")).order_by("leg")
    return {str(leg): count for leg, count in rows}


def _bids(auction: Auction) -> Facts:
    rows = Bid.objects.filter(auction=auction).values_list("state").annotate(n=Count("id"))
    return {str(state): count for state, count in rows.order_by("state")}


def _prices(run: ClearingRun) -> dict[str, list[float]]:
    prices: dict[str, list[float]] = {}
    rows = ClearingPrice.objects.filter(run=run, kind=PriceKind.AREA).select_related("area")
    for row in rows.order_by("area", "t"):
        prices.setdefault(str(row.area), []).append(float(row.price_jpy_per_kwh))
    pocket = ClearingPrice.objects.filter(
        run=run, kind=PriceKind.PLACE, site__code="inzai-dc"
    ).select_related("site")
    for row in pocket.order_by("t"):
        prices.setdefault(str(row.site), []).append(float(row.price_jpy_per_kwh))
    return prices


def _loadings(run: ClearingRun) -> list[Facts]:
    loadings: dict[str, Facts] = {}
    for flow in ElementFlow.objects.filter(run=run).select_related("congestion_point"):
        point = flow.congestion_point
        entry = loadings.setdefault(
            point.code, {"name": point.name, "before_ratio": 0.0, "after_ratio": 0.0}
        )
        for key, flow_kw in (("before_ratio", flow.before_kw), ("after_ratio", flow.after_kw)):
            entry[key] = max(entry[key], round(float(abs(flow_kw) / point.rating_kw), 4))
    return sorted(loadings.values(), key=lambda entry: -entry["before_ratio"])


def _instructions(auction: Auction) -> Facts:
    rows = (
        DispatchInstruction.objects.filter(award__auction=auction)
        .values_list("state")
        .annotate(n=Count("id"))
        .order_by("state")
    )
    return {str(state): count for state, count in rows}


def _shortfalls(auction: Auction) -> list[Facts]:
    """Resources that gave less than ordered, worst first, with what it cost them.

    UP and DOWN are told apart: a battery that neither discharges nor charges breaks two promises.
    """
    runs = runs_in_force(auction=auction, kind=RunKind.FINAL)
    if not runs:
        return []
    short = (
        deliveries_effective(verification_id=runs[-1].verification_id)
        .filter(shortfall_kwh__gt=0)
        .values("award__resource__code", "award__direction", "award_id")
        .annotate(shortfall=Sum("shortfall_kwh"), ordered=Sum("ordered_kwh"))
    )
    # a correction that gives back is a line the other way round
    owed = Case(
        When(payee__kind="CLEARING", then=F("amount_exact_jpy")), default=-F("amount_exact_jpy")
    )
    taken = ("SHORTFALL_REFUND", "SHORTFALL_PENALTY")
    paid = dict(
        SettlementLine.objects.filter(run__in=runs, item__in=taken)
        .values_list("award_id")
        .annotate(total=Sum(owed))
    )
    by_promise: dict[tuple[str, str], Facts] = {}
    for row in short:
        entry = by_promise.setdefault(
            (row["award__resource__code"], row["award__direction"]),
            {"ordered_kwh": 0.0, "shortfall_kwh": 0.0, "refund_and_penalty_jpy": 0.0},
        )
        entry["ordered_kwh"] += float(row["ordered"])
        entry["shortfall_kwh"] += float(row["shortfall"])
        entry["refund_and_penalty_jpy"] += float(paid.get(row["award_id"], 0))
    rows = [
        {"resource": code, "direction": direction, **entry}
        for (code, direction), entry in by_promise.items()
    ]
    return sorted(rows, key=lambda entry: -entry["refund_and_penalty_jpy"])


def _statements(directory: Path) -> list[Facts]:
    rows = []
    for organisation in Organisation.objects.order_by("code"):
        statement = statement_of(organisation=organisation)
        if not statement.lines:
            continue
        path = directory / f"statement-{organisation.code}.csv"
        path.write_bytes(statement_csv(statement))
        rows.append(
            {
                "organisation": organisation.name,
                "code": organisation.code,
                "received_jpy": statement.received_jpy,
                "paid_jpy": statement.paid_jpy,
                "total_jpy": statement.total_jpy,
                "csv": str(path),
            }
        )
    return rows


def _example_transfer(transfers: QuerySet[Any]) -> str | None:
    """Return a transfer worth tracing: the largest that pays a seller for energy."""
    largest = transfers.order_by("-amount_jpy", "id")
    transfer = largest.filter(code="SELLER_ENERGY").first() or largest.first()
    return str(transfer.id) if transfer else None


def lines_of(facts: Facts, seconds: Mapping[str, float]) -> Iterator[str]:
    """Print the facts for people, section by section."""
    yield ""
    yield f"{facts['auction']} · {facts['state']} · delivery day {facts['delivery_on']}"
    yield from _need_lines(facts)
    yield from _price_lines(facts["prices_jpy_per_kwh"])
    yield from _loading_lines(facts["loading_ratio"])
    yield ""
    counts = ", ".join(f"{count} {state}" for state, count in facts["instructions"].items())
    yield f"Instructions   {counts}"
    yield from _shortfall_lines(facts["shortfalls"])
    yield from _statement_lines(facts["statements"])
    yield ""
    yield (
        f"Trial balance  {facts['trial_balance_jpy']} JPY over "
        f"{facts['transfers_count']} transfers; clearing account {facts['clearing_house_jpy']} JPY"
    )
    certificate = "passed" if facts["certificate_passed"] else "FAILED"
    yield f"Certificate    {certificate}; replay identical: {facts['replay_identical']}"
    yield f"Trace a yen    python3 manage.py trace {facts['example_transfer']}"
    timed = ", ".join(f"{name} {value:.1f}" for name, value in seconds.items())
    yield f"Seconds        {timed}"


def _need_lines(facts: Facts) -> Iterator[str]:
    bids = facts["bids"]
    yield ""
    yield f"Bids           {', '.join(f'{count} {state}' for state, count in bids.items())}"
    yield ""
    heads = (("served MWh", 11), ("unserved", 10), ("peak MW", 9), ("max JPY/kWh", 13), ("JPY", 14))
    yield f"{'Need':<18}" + "".join(f"{head:>{width}}" for head, width in heads)
    for need in facts["needs"]:
        yield (
            f"{need['code'][:17]:<18}{need['served_kwh'] / 1000:>11.1f}"
            f"{need['unserved_kwh'] / 1000:>10.1f}{need['peak_kw'] / 1000:>9.1f}"
            f"{need['price_max_jpy_per_kwh']:>13.2f}{need['cost_jpy']:>14,.0f}  "
            f"{need['direction']} {need['place']}"
        )


def _price_lines(prices: Mapping[str, Sequence[float]]) -> Iterator[str]:
    """Draw each price curve as 48 bars, areas with one price on one line."""
    yield ""
    yield "Prices         00:00       06:00       12:00       18:00"
    names_of: dict[str, list[str]] = {}
    for name, values in prices.items():
        low, high = min(values), max(values)
        span = (high - low) or 1.0
        bars = "".join(BARS[int((value - low) / span * (len(BARS) - 1))] for value in values)
        names_of.setdefault(f"{low:>7.2f}…{high:<6.2f} {bars}", []).append(name)
    for curve, names in names_of.items():
        yield f"  {curve} {'、'.join(names)}"


def _loading_lines(loadings: Sequence[Facts]) -> Iterator[str]:
    yield ""
    yield "Line loading   before → after (highest half hour)"
    for entry in loadings[:SHOWN_MAX]:
        yield (
            f"  {entry['before_ratio'] * 100:>6.1f} % → {entry['after_ratio'] * 100:>5.1f} %  "
            f"{entry['name']}"
        )


def _shortfall_lines(shortfalls: Sequence[Facts]) -> Iterator[str]:
    for entry in shortfalls[:SHOWN_MAX]:
        yield (
            f"Shortfall      {entry['resource']} {entry['direction']}: "
            f"{entry['shortfall_kwh']:,.0f} of "
            f"{entry['ordered_kwh']:,.0f} kWh, "
            f"pays back {entry['refund_and_penalty_jpy']:,.0f} JPY"
        )


def _statement_lines(statements: Sequence[Facts]) -> Iterator[str]:
    yield ""
    yield f"{'Statement':<22}{'receives JPY':>16}{'pays JPY':>16}{'total JPY':>16}"
    for row in statements:
        yield (
            f"{row['code']:<22}{row['received_jpy']:>16,}{row['paid_jpy']:>16,}"
            f"{row['total_jpy']:>16,}"
        )
    if statements:
        yield f"CSV files      {Path(statements[0]['csv']).parent}"
