"""What a kW at each site does to each monitored element, for those who act after the clearing.

A result shows the sensitivities that make its prices; whoever replaces an award has to look at
every element.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from market.clearing.book import network_row
from market.core.network import bus_sensitivity
from market.core.snapshot import network_from_json
from market.core.timegrid import INTERVALS_PER_DAY
from market.registry.models import CongestionPoint, Site
from market.trading.models import Auction


def sensitivities_of(auction: Auction, sites: Iterable[Site]) -> dict[str, dict[str, float]]:
    """Return kW on each monitored element per kW sent, by site and element."""
    network = network_from_json(network_row(auction), interval_count=INTERVALS_PER_DAY)
    branch_of = {name: row for row, name in enumerate(network.branch_ids)}
    bus_of = {name: column for column, name in enumerate(network.bus_ids)}
    points = list(
        CongestionPoint.objects.filter(grid_model=auction.grid_model_id)
        .select_related("branch")
        .order_by("code")
    )
    branches = np.array([branch_of[point.branch.code] for point in points], dtype=np.int64)
    rows = bus_sensitivity(network, branches)
    return {
        site.code: {
            point.code: float(rows[row, bus_of[site.bus_code]]) for row, point in enumerate(points)
        }
        for site in sites
        if site.bus_code in bus_of
    }
