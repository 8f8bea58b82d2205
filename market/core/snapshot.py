"""The frozen input of one clearing: arrays for the mathematics, canonical bytes for the record."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from market.core import needs
from market.core.errors import InvalidSnapshot
from market.core.needs import Needs
from market.core.offers.forms import FORMS
from market.core.offers.terms import (
    FloatArray,
    IntArray,
    Numbers,
    Terms,
    frozen_floats,
    frozen_ints,
    frozen_series,
)
from market.core.parsing import document_from_json, network_document
from market.core.reading import Reader, canonical_bytes, json_read
from market.core.rules import ClearingRules, rules_from_json
from market.core.units import DIRECTION_SIGN


@dataclass(frozen=True, kw_only=True)
class Network:
    """A grid model; axes N = buses, L = branches, K = links. Ids are in ascending order."""

    convention: str
    bus_ids: tuple[str, ...]
    area_ids: tuple[str, ...]
    island_ids: tuple[str, ...]
    bus_area: IntArray
    bus_island: IntArray
    bus_slack_share_ratio: FloatArray
    """Share of each bus in the slack of its island; sums to 1 per island, (N,)."""
    branch_ids: tuple[str, ...]
    branch_from: IntArray
    branch_to: IntArray
    resistance_pu: FloatArray
    reactance_pu: FloatArray
    tap_ratio: FloatArray
    shift_deg: FloatArray
    base_mva: float
    link_ids: tuple[str, ...]
    link_from: IntArray
    link_to: IntArray
    link_limit_kw: FloatArray
    """(K, T), the same in both directions."""


@dataclass(frozen=True, kw_only=True)
class Elements:
    """Monitored elements; axis Q."""

    ids: tuple[str, ...]
    branch: IntArray
    """Branch of each element, −1 where the TSO published sensitivities instead, (Q,)."""
    published_kw_per_kw: FloatArray
    """Published sensitivities, (Q, P); zero rows where there is a branch."""
    rating_kw: FloatArray
    base_flow_kw: FloatArray
    """(Q, T), positive from the ``from`` end to the ``to`` end."""
    flow_cost_jpy_per_kwh: FloatArray
    """Cost of each kWh carried either way, (Q,); for absolute mode."""


@dataclass(frozen=True, kw_only=True)
class Trunks:
    """Trunks of optical paths from one point to many; axis U."""

    ids: tuple[str, ...]
    path_trunk: IntArray
    """Trunk of each (trunk, path) membership, (k,)."""
    path: IntArray
    """Path of each membership, (k,)."""
    capacity_gb: FloatArray
    """(U, T)."""


@dataclass(frozen=True, kw_only=True)
class Envelopes:
    """Flexible connections: how much a place may import; axis V."""

    ids: tuple[str, ...]
    place: IntArray
    max_import_kw: FloatArray
    """(V, T)."""
    scheduled_import_kw: FloatArray
    """(V, T), what the place imports if nothing is awarded."""


@dataclass(frozen=True, kw_only=True)
class Products:
    """Capacity products; axis W."""

    ids: tuple[str, ...]
    sign: FloatArray
    """+1 for UP, −1 for DOWN, (W,)."""
    sustained_h: FloatArray
    """How long full activation must be sustained, (W,). [h]"""


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    """One auction, frozen at its gate; axes as in the parts, T = half hours.

    Build it with :func:`snapshot_from_json` or :func:`snapshot_from_bytes`: they have refused
    every wrong shape, value and reference, so nothing downstream checks again. All arrays are
    read-only.
    """

    auction: str
    interval_h: float
    interval_count: int
    rules: ClearingRules
    network: Network
    transfer_ids: tuple[str, ...]
    transfer_from: IntArray
    transfer_to: IntArray
    transfer_limit_kw: FloatArray
    elements: Elements
    place_ids: tuple[str, ...]
    place_bus: IntArray
    place_loss_ratio: FloatArray
    resource_ids: tuple[str, ...]
    resource_place: IntArray
    limit_up_kw: FloatArray
    limit_down_kw: FloatArray
    path_ids: tuple[str, ...]
    capacity_gb: FloatArray
    tariff_jpy_per_gb: FloatArray
    trunks: Trunks
    envelopes: Envelopes
    products: Products
    local_needs: Needs
    balance_needs: Needs
    place_needs: Needs
    capacity_needs: Needs
    books: Mapping[str, Any]
    """Table of each bid form's bids."""
    canonical: bytes
    """The document these arrays were made from, as :func:`snapshot_bytes` returns it."""

    @property
    def place_area(self) -> IntArray:
        """Return the area of each place, (P,)."""
        return self.network.bus_area[self.place_bus]

    def document(self) -> dict[str, Any]:
        """Return the canonical document, parsed anew."""
        found: dict[str, Any] = json.loads(self.canonical)
        return found

    @property
    def sent_per_received_ratio(self) -> FloatArray:
        """Return the kW at the sending end per kW at the receiving end of each place, (P,)."""
        return np.asarray(1.0 / (1.0 - self.place_loss_ratio))


def snapshot_from_json(mapping: Mapping[str, Any]) -> Snapshot:
    """Return the snapshot a document describes (layout: ``docs/snapshot.md``).

    Parameters
    ----------
    mapping
        The document; numbers are int or float, a scalar stands for a series.

    Raises
    ------
    InvalidSnapshot
        Naming path, value and rule.
    """
    document = document_from_json(mapping)
    count = document["interval_count"]
    network = _network(document["network"], count)
    areas = {name: number for number, name in enumerate(network.area_ids)}
    places = _numbers(document["places"])
    elements = _numbers(document["elements"])
    products = document["products"]
    return Snapshot(
        auction=document["auction"],
        interval_h=document["interval_h"],
        interval_count=count,
        rules=rules_from_json(document["rules"]),
        network=network,
        transfer_ids=_ids(document["transfers"]),
        transfer_from=frozen_ints(areas[item["from_area"]] for item in document["transfers"]),
        transfer_to=frozen_ints(areas[item["to_area"]] for item in document["transfers"]),
        transfer_limit_kw=_series(document["transfers"], "limit_kw", count),
        elements=_elements(document["elements"], document["network"]["branches"], places, count),
        place_ids=_ids(document["places"]),
        place_bus=_references(document["places"], "bus", document["network"]["buses"]),
        place_loss_ratio=_floats(document["places"], "loss_ratio"),
        resource_ids=_ids(document["resources"]),
        resource_place=_references(document["resources"], "place", document["places"]),
        limit_up_kw=_series(document["resources"], "limit_up_kw", count),
        limit_down_kw=_series(document["resources"], "limit_down_kw", count),
        path_ids=_ids(document["paths"]),
        capacity_gb=_series(document["paths"], "capacity_gb", count),
        tariff_jpy_per_gb=_floats(document["paths"], "price_jpy_per_gb"),
        trunks=_trunks(document, count),
        envelopes=Envelopes(
            ids=_ids(document["envelopes"]),
            place=_references(document["envelopes"], "place", document["places"]),
            max_import_kw=_series(document["envelopes"], "max_import_kw", count),
            scheduled_import_kw=_series(document["envelopes"], "scheduled_import_kw", count),
        ),
        products=Products(
            ids=_ids(products),
            sign=frozen_floats(DIRECTION_SIGN[item["direction"]] for item in products),
            sustained_h=_floats(products, "sustained_h"),
        ),
        local_needs=_needs(document["local_needs"], count, lambda n: elements[n["element"]]),
        balance_needs=_needs(document["balance_needs"], count, lambda n: areas[n["area"]]),
        place_needs=_needs(document["place_needs"], count, lambda n: places[n["place"]]),
        capacity_needs=_needs(
            document["capacity_needs"],
            count,
            lambda n: _numbers(products)[n["product"]] * len(areas) + areas[n["area"]],
        ),
        books=books_of(document),
        canonical=canonical_bytes(document),
    )


def network_from_json(mapping: Mapping[str, Any], *, interval_count: int) -> Network:
    """Return the network a snapshot's ``network`` describes, without any book on it.

    Parameters
    ----------
    mapping
        The entry ``network`` of a snapshot (layout: ``docs/snapshot.md``).
    interval_count
        Number of half hours T of the links' limits.

    Raises
    ------
    InvalidSnapshot
        As for the whole document, with paths from ``network`` on.
    """
    document = network_document(Reader(mapping, "network", InvalidSnapshot), interval_count)
    return _network(document, interval_count)


def snapshot_from_bytes(content: bytes) -> Snapshot:
    """Return the snapshot written in JSON bytes.

    Raises
    ------
    InvalidSnapshot
        Also for duplicate keys, ``NaN``, ``Infinity``, half a file or text that is not UTF-8.
    """
    document = json_read(content, InvalidSnapshot)
    if not isinstance(document, dict):
        raise InvalidSnapshot(field="document", value=document, rule="must be an object")
    return snapshot_from_json(document)


def snapshot_bytes(snapshot: Snapshot) -> bytes:
    """Return the canonical bytes: equal for documents that mean the same."""
    return snapshot.canonical


def snapshot_sha256(snapshot: Snapshot) -> str:
    """Return the SHA-256 of the canonical bytes, in hexadecimal."""
    return hashlib.sha256(snapshot.canonical).hexdigest()


def _by_id(entities: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {entity["id"]: entity for entity in entities}


def _ids(entities: list[dict[str, Any]]) -> tuple[str, ...]:
    return tuple(entity["id"] for entity in entities)


def _numbers(entities: list[dict[str, Any]]) -> dict[str, int]:
    return {entity["id"]: number for number, entity in enumerate(entities)}


def _references(
    entities: list[dict[str, Any]], name: str, others: list[dict[str, Any]]
) -> IntArray:
    numbers = _numbers(others)
    return frozen_ints(numbers[entity[name]] for entity in entities)


def _floats(entities: list[dict[str, Any]], name: str) -> FloatArray:
    return frozen_floats(entity[name] for entity in entities)


def _series(entities: list[dict[str, Any]], name: str, count: int) -> FloatArray:
    return frozen_series((entity[name] for entity in entities), count)


def _network(document: dict[str, Any], count: int) -> Network:
    buses, branches, links = document["buses"], document["branches"], document["links"]
    area_ids = tuple(sorted({bus["area"] for bus in buses}))
    island_ids = tuple(sorted({bus["island"] for bus in buses}))
    areas = {name: number for number, name in enumerate(area_ids)}
    islands = {name: number for number, name in enumerate(island_ids)}
    bus_island = frozen_ints(islands[bus["island"]] for bus in buses)
    share = np.array([bus["slack_share_ratio"] for bus in buses], dtype=np.float64)
    total = np.bincount(bus_island, weights=share, minlength=len(island_ids))
    return Network(
        convention=document["convention"],
        base_mva=document["base_mva"],
        bus_ids=_ids(buses),
        area_ids=area_ids,
        island_ids=island_ids,
        bus_area=frozen_ints(areas[bus["area"]] for bus in buses),
        bus_island=bus_island,
        bus_slack_share_ratio=frozen_floats(share / total[bus_island]),
        branch_ids=_ids(branches),
        branch_from=_references(branches, "from", buses),
        branch_to=_references(branches, "to", buses),
        resistance_pu=_floats(branches, "resistance_pu"),
        reactance_pu=_floats(branches, "reactance_pu"),
        tap_ratio=_floats(branches, "tap_ratio"),
        shift_deg=_floats(branches, "shift_deg"),
        link_ids=_ids(links),
        link_from=_references(links, "from", buses),
        link_to=_references(links, "to", buses),
        link_limit_kw=_series(links, "limit_kw", count),
    )


def _elements(
    entities: list[dict[str, Any]],
    branches: list[dict[str, Any]],
    places: dict[str, int],
    count: int,
) -> Elements:
    numbers = _numbers(branches)
    published = np.zeros((len(entities), len(places)))
    for row, entity in enumerate(entities):
        for place, kw_per_kw in entity.get("sensitivity", {}).items():
            published[row, places[place]] = kw_per_kw
    published.setflags(write=False)
    return Elements(
        ids=_ids(entities),
        branch=frozen_ints(numbers[e["branch"]] if "branch" in e else -1 for e in entities),
        published_kw_per_kw=published,
        rating_kw=_floats(entities, "rating_kw"),
        flow_cost_jpy_per_kwh=_floats(entities, "flow_cost_jpy_per_kwh"),
        base_flow_kw=_series(entities, "base_flow_kw", count),
    )


def _needs(
    entities: list[dict[str, Any]], count: int, where: Callable[[dict[str, Any]], int]
) -> Needs:
    return needs.table(entities, frozen_ints(where(need) for need in entities), count)


def _trunks(document: dict[str, Any], count: int) -> Trunks:
    paths = _numbers(document["paths"])
    members = [
        (row, paths[name])
        for row, trunk in enumerate(document["trunks"])
        for name in trunk["paths"]
    ]
    return Trunks(
        ids=_ids(document["trunks"]),
        path_trunk=frozen_ints(row for row, _ in members),
        path=frozen_ints(path for _, path in members),
        capacity_gb=_series(document["trunks"], "capacity_gb", count),
    )


def books_of(document: dict[str, Any]) -> dict[str, Any]:
    """Return the table of each bid form, from a canonical document."""
    bids = document["bids"]
    terms = Terms(
        interval_count=document["interval_count"],
        interval_h=document["interval_h"],
        resources=_by_id(document["resources"]),
        paths=_by_id(document["paths"]),
        places=_by_id(document["places"]),
        products=_by_id(document["products"]),
        compute_offers={bid["id"]: bid for bid in bids if bid["form"] == "COMPUTE_OFFER"},
    )
    numbers = Numbers(
        terms=terms,
        resources=_numbers(document["resources"]),
        paths=_numbers(document["paths"]),
        places=_numbers(document["places"]),
        products=_numbers(document["products"]),
    )
    return {
        name: form.table([bid for bid in bids if bid["form"] == name], numbers)
        for name, form in FORMS.items()
    }
