"""Check a snapshot document and bring it into its one canonical form.

Everything a stranger could get wrong is refused here with its path, so that the tables and the
mathematics behind them need no check. The canonical form has every default written out, one
number per interval where one number for all was given, and its entities in ascending order of id:
two documents that mean the same become the same bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from market.core.errors import InvalidSnapshot
from market.core.needs import DEMAND, demand_parse
from market.core.offers import blocks
from market.core.offers.forms import FORMS
from market.core.offers.terms import Terms
from market.core.reading import Reader
from market.core.rules import rules_from_json
from market.core.units import DIRECTIONS

SCHEMA: Final = "wattbit-snapshot/2"
CONVENTIONS: Final = ("reactance", "series")
INTERVAL_COUNT_MAX: Final = 10_000
LISTS: Final = (
    "transfers",
    "elements",
    "places",
    "resources",
    "paths",
    "trunks",
    "envelopes",
    "products",
    "local_needs",
    "balance_needs",
    "place_needs",
    "capacity_needs",
    "bids",
)
ENVELOPES: Final = ("FIXED", "ONLINE")


@dataclass(frozen=True)
class _Scope:
    """What has been read so far: the interval count and the ids of each kind."""

    count: int
    buses: Mapping[str, dict[str, Any]]
    branches: Mapping[str, dict[str, Any]]
    areas: Mapping[str, str]


def document_from_json(mapping: Mapping[str, Any]) -> dict[str, Any]:
    """Return the canonical document of a snapshot.

    Parameters
    ----------
    mapping
        A document in the layout ``wattbit-snapshot/2`` (``docs/snapshot.md``).

    Raises
    ------
    InvalidSnapshot
        With path, value and rule; nothing of the document is used then.
    """
    root = Reader(mapping, "", InvalidSnapshot)
    entry = root.fields(
        required=("schema", "auction", "interval_h", "interval_count", "rules", "network"),
        optional=(*LISTS, "labels"),
    )
    entry["schema"].choice((SCHEMA,))
    count = entry["interval_count"].integer(low=1, high=INTERVAL_COUNT_MAX)
    interval_h = entry["interval_h"].number(low=1e-3, high=24.0)
    rules = rules_from_json(entry["rules"]).as_json()
    lists = {name: entry.get(name, Reader([], name, InvalidSnapshot)) for name in LISTS}
    network = network_document(entry["network"], count)
    buses = {bus["id"]: bus for bus in network["buses"]}
    scope = _Scope(
        count=count,
        buses=buses,
        branches={branch["id"]: branch for branch in network["branches"]},
        areas={bus["area"]: bus["island"] for bus in network["buses"]},
    )
    places = _table(lists["places"], lambda item: _place(item, scope))
    place_ids = {place["id"] for place in places}
    elements = _table(lists["elements"], lambda item: _element(item, scope, place_ids))
    element_ids = {element["id"] for element in elements}
    resources = _table(lists["resources"], lambda item: _resource(item, scope, place_ids))
    paths = _table(lists["paths"], lambda item: _path(item, scope, place_ids))
    path_ids = {path["id"] for path in paths}
    products = _table(lists["products"], _product)
    terms = Terms(
        interval_count=count,
        interval_h=interval_h,
        resources=_by_id(resources),
        paths=_by_id(paths),
        places=_by_id(places),
        products=_by_id(products),
    )
    bids = bids_parse(lists["bids"], terms)
    labels = entry["labels"].texts() if "labels" in entry else []
    _check_labels(
        lists["bids"], {*labels, *(name for item in resources for name in item["labels"])}
    )
    return {
        "schema": SCHEMA,
        "auction": entry["auction"].text(),
        "interval_h": interval_h,
        "interval_count": count,
        "rules": rules,
        "network": network,
        "transfers": _table(lists["transfers"], lambda item: _transfer(item, scope, element_ids)),
        "elements": elements,
        "places": places,
        "labels": labels,
        "resources": resources,
        "paths": paths,
        "trunks": _table(lists["trunks"], lambda item: _trunk(item, scope, path_ids)),
        "envelopes": _table(lists["envelopes"], lambda item: _envelope(item, scope, place_ids)),
        "products": products,
        **_needs(lists, scope, (element_ids, place_ids, terms.products)),
        "bids": bids,
    }


def _by_id(entities: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {entity["id"]: entity for entity in entities}


def bids_parse(reader: Reader, terms: Terms) -> list[dict[str, Any]]:
    """Return the canonical bids of an array, in ascending order of id.

    Raises
    ------
    InvalidSnapshot
        Or whichever refusal the reader carries; also for what only all bids together can break.
    """
    bids = _table(reader, lambda item: bid_parse(item, terms))
    blocks.check_links(reader, bids)
    return bids


def _check_labels(reader: Reader, known: set[str]) -> None:
    """Refuse a requirement that nobody could ever meet: most likely a label misspelt."""
    for bid in reader.items():
        required = bid.value.get("labels_required", [])
        if not known.issuperset(required):
            bid.entries()["labels_required"].refuse(
                "must be labels that some resource has, or that the snapshot lists"
            )


def _needs(
    lists: Mapping[str, Reader],
    scope: _Scope,
    known: tuple[set[str], set[str], Mapping[str, dict[str, Any]]],
) -> dict[str, list[dict[str, Any]]]:
    """Read the needs of all kinds; `known` are elements, places and products."""
    element_ids, place_ids, products = known

    def local(entry: Mapping[str, Reader]) -> dict[str, Any]:
        sign = entry["sign"].integer(low=-1, high=1)
        if sign == 0:
            entry["sign"].refuse("must be 1 or −1: the sign of the flow to be reduced")
        return {"element": entry["element"].reference(element_ids, "element"), "sign": sign}

    def balance(entry: Mapping[str, Reader]) -> dict[str, Any]:
        return {
            "area": entry["area"].reference(scope.areas, "area"),
            "direction": entry["direction"].choice(DIRECTIONS),
        }

    def place(entry: Mapping[str, Reader]) -> dict[str, Any]:
        return {"place": entry["place"].reference(place_ids, "place")}

    def capacity(entry: Mapping[str, Reader]) -> dict[str, Any]:
        return {
            "area": entry["area"].reference(scope.areas, "area"),
            "product": entry["product"].reference(products, "product"),
        }

    def table(
        name: str, keys: tuple[str, ...], where: Callable[[Mapping[str, Reader]], dict[str, Any]]
    ) -> list[dict[str, Any]]:
        def parse(item: Reader) -> dict[str, Any]:
            entry = item.fields(required=("id", *keys), optional=DEMAND)
            return {
                "id": entry["id"].text(),
                **where(entry),
                **demand_parse(item, entry, scope.count),
            }

        return _table(lists[name], parse)

    return {
        "local_needs": table("local_needs", ("element", "sign"), local),
        "balance_needs": table("balance_needs", ("area", "direction"), balance),
        "place_needs": table("place_needs", ("place",), place),
        "capacity_needs": table("capacity_needs", ("area", "product"), capacity),
    }


def bid_parse(reader: Reader, terms: Terms) -> dict[str, Any]:
    """Return the canonical content of one bid of any form.

    The gate can use this on a bid alone, so that what it lets in the snapshot never refuses.

    Raises
    ------
    InvalidSnapshot
        Or whichever refusal the reader carries.
    """
    if not isinstance(reader.value, Mapping) or "form" not in reader.value:
        reader.refuse("must be an object with a form")
    form = Reader(reader.value["form"], f"{reader.path}.form".lstrip("."), reader.error)
    return FORMS[form.choice(FORMS)].parse(reader, terms)


def _table(reader: Reader, parse: Callable[[Reader], dict[str, Any]]) -> list[dict[str, Any]]:
    """Read an array of entities with distinct ids, in ascending order of id."""
    found: dict[str, dict[str, Any]] = {}
    for item in reader.items():
        entity = parse(item)
        if entity["id"] in found:
            raise reader.error(
                field=f"{item.path}.id", value=entity["id"], rule="must be an id used once"
            )
        found[entity["id"]] = entity
    return [found[name] for name in sorted(found)]


def network_document(reader: Reader, count: int) -> dict[str, Any]:
    """Return the canonical form of the ``network`` the reader stands on, `count` half hours long.

    Raises
    ------
    InvalidSnapshot
        Or whichever refusal the reader carries.
    """
    entry = reader.fields(
        required=("convention", "base_mva", "buses"), optional=("branches", "links")
    )
    buses = _table(entry["buses"], _bus)
    ids = {bus["id"]: bus for bus in buses}
    convention = entry["convention"].choice(CONVENTIONS)
    empty = Reader([], "network.branches", reader.error)
    branches = _table(entry.get("branches", empty), lambda item: _branch(item, ids))
    links = _table(entry.get("links", empty), lambda item: _link(item, ids, count))
    _check_islands(entry["buses"], buses, branches)
    return {
        "convention": convention,
        "base_mva": entry["base_mva"].number(low=1e-3, high=1e9),
        "buses": buses,
        "branches": branches,
        "links": links,
    }


def _bus(reader: Reader) -> dict[str, Any]:
    entry = reader.fields(required=("id", "area", "island", "slack_share_ratio"))
    return {
        "id": entry["id"].text(),
        "area": entry["area"].text(),
        "island": entry["island"].text(),
        "slack_share_ratio": entry["slack_share_ratio"].number(low=0),
    }


def _check_islands(
    reader: Reader, buses: list[dict[str, Any]], branches: list[dict[str, Any]]
) -> None:
    """Refuse islands without a slack or in pieces, and areas in two islands."""
    island_of_area: dict[str, str] = {}
    slack: dict[str, float] = {}
    for bus in buses:
        if island_of_area.setdefault(bus["area"], bus["island"]) != bus["island"]:
            raise reader.error(
                field=reader.path,
                value=bus["area"],
                rule="must have each area within one synchronous island",
            )
        slack[bus["island"]] = slack.get(bus["island"], 0.0) + bus["slack_share_ratio"]
    for island, share in slack.items():
        if share <= 0:
            raise reader.error(
                field=reader.path,
                value=island,
                rule="must give each island a slack: some slack_share_ratio above 0",
            )
    root = {bus["id"]: bus["id"] for bus in buses}

    def find(name: str) -> str:
        while root[name] != name:
            root[name] = root[root[name]]
            name = root[name]
        return name

    for branch in branches:
        root[find(branch["from"])] = find(branch["to"])
    pieces: dict[str, str] = {}
    for bus in buses:
        if pieces.setdefault(bus["island"], find(bus["id"])) != find(bus["id"]):
            raise reader.error(
                field=reader.path,
                value=bus["island"],
                rule="must have each island connected by its branches",
            )


def _branch(reader: Reader, buses: Mapping[str, dict[str, Any]]) -> dict[str, Any]:
    entry = reader.fields(
        required=("id", "from", "to", "resistance_pu", "reactance_pu", "rating_kw"),
        optional=("tap_ratio", "shift_deg"),
    )
    ends = [entry[end].reference(buses, "bus") for end in ("from", "to")]
    if ends[0] == ends[1]:
        entry["to"].refuse("must be another bus than the one the branch comes from")
    if buses[ends[0]]["island"] != buses[ends[1]]["island"]:
        entry["to"].refuse("must be in the island of the other end: islands are joined by links")
    if entry["reactance_pu"].number() == 0:
        entry["reactance_pu"].refuse("must not be zero")
    return {
        "id": entry["id"].text(),
        "from": ends[0],
        "to": ends[1],
        "resistance_pu": entry["resistance_pu"].number(low=0),
        "reactance_pu": entry["reactance_pu"].number(),
        "tap_ratio": entry["tap_ratio"].number(low=1e-3, high=1e3) if "tap_ratio" in entry else 1.0,
        "shift_deg": entry["shift_deg"].number(low=-360, high=360) if "shift_deg" in entry else 0.0,
        "rating_kw": entry["rating_kw"].number(low=0),
    }


def _link(reader: Reader, buses: Mapping[str, Any], count: int) -> dict[str, Any]:
    entry = reader.fields(required=("id", "from", "to", "limit_kw"))
    ends = [entry[end].reference(buses, "bus") for end in ("from", "to")]
    if ends[0] == ends[1]:
        entry["to"].refuse("must be another bus than the one the link comes from")
    return {
        "id": entry["id"].text(),
        "from": ends[0],
        "to": ends[1],
        "limit_kw": entry["limit_kw"].series(count, low=0),
    }


def _transfer(reader: Reader, scope: _Scope, element_ids: set[str]) -> dict[str, Any]:
    entry = reader.fields(
        required=("id", "from_area", "to_area", "limit_kw"), optional=("element",)
    )
    ends = [entry[end].reference(scope.areas, "area") for end in ("from_area", "to_area")]
    if ends[0] == ends[1]:
        entry["to_area"].refuse("must be another area than the one it comes from")
    if scope.areas[ends[0]] != scope.areas[ends[1]]:
        entry["to_area"].refuse("must be in the same synchronous island: islands trade over links")
    transfer: dict[str, Any] = {
        "id": entry["id"].text(),
        "from_area": ends[0],
        "to_area": ends[1],
        "limit_kw": entry["limit_kw"].series(scope.count, low=0),
    }
    if "element" in entry and entry["element"].value is not None:
        transfer["element"] = entry["element"].reference(element_ids, "element")
    return transfer


def _element(reader: Reader, scope: _Scope, place_ids: set[str]) -> dict[str, Any]:
    entry = reader.fields(
        required=("id", "rating_kw", "base_flow_kw"),
        optional=("branch", "sensitivity", "owners", "flow_cost_jpy_per_kwh"),
    )
    cost = entry.get("flow_cost_jpy_per_kwh")
    element: dict[str, Any] = {
        "id": entry["id"].text(),
        "rating_kw": entry["rating_kw"].number(low=0),
        "base_flow_kw": entry["base_flow_kw"].series(scope.count),
        "flow_cost_jpy_per_kwh": 0.0 if cost is None else cost.number(low=0, high=1e6),
        "owners": entry["owners"].texts() if "owners" in entry else [],
    }
    if cost is not None and element["flow_cost_jpy_per_kwh"] > 0 and any(element["base_flow_kw"]):
        cost.refuse("must be zero where there is a base flow: it is for absolute mode")
    if ("branch" in entry) == ("sensitivity" in entry):
        reader.refuse("must have either a branch or sensitivities of places")
    if "branch" in entry:
        element["branch"] = entry["branch"].reference(scope.branches, "branch")
        if "owners" not in entry:
            branch = scope.branches[element["branch"]]
            element["owners"] = sorted({scope.buses[branch[end]]["area"] for end in ("from", "to")})
        return element
    found = entry["sensitivity"].entries()
    for name, item in found.items():
        if name not in place_ids:
            item.refuse("must belong to a known place")
    element["sensitivity"] = {name: item.number(low=-1e6, high=1e6) for name, item in found.items()}
    return element


def _place(reader: Reader, scope: _Scope) -> dict[str, Any]:
    entry = reader.fields(required=("id", "bus"), optional=("loss_ratio",))
    return {
        "id": entry["id"].text(),
        "bus": entry["bus"].reference(scope.buses, "bus"),
        "loss_ratio": entry["loss_ratio"].number(low=0, high=0.5) if "loss_ratio" in entry else 0.0,
    }


def _resource(reader: Reader, scope: _Scope, place_ids: set[str]) -> dict[str, Any]:
    entry = reader.fields(
        required=("id", "place", "limit_up_kw", "limit_down_kw"), optional=("labels", "hardware")
    )
    return {
        "id": entry["id"].text(),
        "place": entry["place"].reference(place_ids, "place"),
        "limit_up_kw": entry["limit_up_kw"].series(scope.count, low=0),
        "limit_down_kw": entry["limit_down_kw"].series(scope.count, low=0),
        "labels": entry["labels"].texts() if "labels" in entry else [],
        "hardware": entry["hardware"].texts() if "hardware" in entry else [],
    }


def _path(reader: Reader, scope: _Scope, place_ids: set[str]) -> dict[str, Any]:
    entry = reader.fields(
        required=("id", "from_place", "to_place", "capacity_gb", "price_jpy_per_gb", "latency_ms"),
        optional=("owner",),
    )
    return {
        "id": entry["id"].text(),
        "from_place": entry["from_place"].reference(place_ids, "place"),
        "to_place": entry["to_place"].reference(place_ids, "place"),
        "capacity_gb": entry["capacity_gb"].series(scope.count, low=0),
        "price_jpy_per_gb": entry["price_jpy_per_gb"].number(low=0),
        "latency_ms": entry["latency_ms"].number(low=0),
        **_owner(entry),
    }


def _owner(entry: Mapping[str, Reader]) -> dict[str, str]:
    """Read an owner; an unknown one is the empty text."""
    known = "owner" in entry and entry["owner"].value not in (None, "")
    return {"owner": entry["owner"].text() if known else ""}


def _trunk(reader: Reader, scope: _Scope, path_ids: set[str]) -> dict[str, Any]:
    entry = reader.fields(required=("id", "paths", "capacity_gb"), optional=("owner",))
    names = entry["paths"].texts()
    for item in entry["paths"].items():
        item.reference(path_ids, "path")
    return {
        "id": entry["id"].text(),
        "paths": names,
        "capacity_gb": entry["capacity_gb"].series(scope.count, low=0),
        **_owner(entry),
    }


def _envelope(reader: Reader, scope: _Scope, place_ids: set[str]) -> dict[str, Any]:
    entry = reader.fields(
        required=("id", "place", "kind", "max_import_kw", "scheduled_import_kw"),
        optional=("owner",),
    )
    return {
        "id": entry["id"].text(),
        "place": entry["place"].reference(place_ids, "place"),
        "kind": entry["kind"].choice(ENVELOPES),
        "max_import_kw": entry["max_import_kw"].series(scope.count, low=0),
        "scheduled_import_kw": entry["scheduled_import_kw"].series(scope.count),
        **_owner(entry),
    }


def _product(reader: Reader) -> dict[str, Any]:
    entry = reader.fields(required=("id", "direction", "sustained_h"))
    return {
        "id": entry["id"].text(),
        "direction": entry["direction"].choice(DIRECTIONS),
        "sustained_h": entry["sustained_h"].number(low=1e-3, high=168.0),
    }
