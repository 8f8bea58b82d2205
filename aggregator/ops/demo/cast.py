"""The demo's cast as tables: who takes part, with which plant, under which rules.

All names, ratings and prices are made up; areas and their numbers are Japan's. The sites,
their places and schedules come with the grid (grid.md).
"""

from __future__ import annotations

from datetime import date
from typing import Any, Final

from accounts.core.registration import check_digit
from accounts.parties.models import OrganisationKind as Kind
from accounts.parties.roles import Role

# code, kind, name, English name
ORGANISATIONS: Final = (
    ("wattbit", Kind.AGGREGATOR, "ワットビット", "WattBit"),
    ("grid-n", Kind.TSO, "北送配電", "Grid-N"),
    ("grid-t", Kind.TSO, "中央送配電", "Grid-T"),
    ("grid-w", Kind.TSO, "西送配電", "Grid-W"),
    ("inzai", Kind.DC_OPERATOR, "印西DC", "Inzai DC"),
    ("shiroi", Kind.DC_OPERATOR, "白井DC", "Shiroi DC"),
    ("newtown", Kind.DC_OPERATOR, "ニュータウン計算", "Newtown Compute"),
    ("makinohara", Kind.DC_OPERATOR, "牧の原DC", "Makinohara DC"),
    ("imba", Kind.DC_OPERATOR, "印旛クラウド", "Imba Cloud"),
    ("hikari-path", Kind.PATH_OWNER, "光パス回線", "Light Path"),
    ("retail-a", Kind.RETAILER, "小売A", "Retailer A"),
    ("compute-c", Kind.COMPUTE_CUSTOMER, "計算需要家C", "Compute Customer C"),
)

UNREGISTERED: Final = "imba"
"""A party that issues no qualified invoices: what is bought from it is deducted in part."""


def registration_number_of(code: str) -> str:
    """Return a number for qualified invoices that the tax office gives to nobody (9999…)."""
    if code == UNREGISTERED:
        return ""
    position = next(n for n, row in enumerate(ORGANISATIONS, start=1) if row[0] == code)
    base = f"9999{position:08d}"
    return f"T{check_digit(base)}{base}"


# organisation, username, display name, role
MEMBERS: Final = (
    ("wattbit", "desk", "市場運用A", Role.MARKET_DESK),
    ("wattbit", "desk-2", "市場運用B", Role.MARKET_DESK),
    ("wattbit", "settlement", "精算B", Role.SETTLEMENT),
    ("wattbit", "settlement-2", "精算E", Role.SETTLEMENT),
    ("wattbit", "auditor", "監査C", Role.AUDITOR),
    ("wattbit", "admin", "管理者D", Role.ADMINISTRATOR),
    ("grid-n", "grid-n-planner", "系統計画N", Role.GRID_PLANNER),
    ("grid-t", "grid-t-planner", "系統計画T", Role.GRID_PLANNER),
    ("grid-t", "grid-t-approver", "承認T", Role.GRID_APPROVER),
    ("grid-t", "grid-t-admin", "管理者T", Role.ADMINISTRATOR),
    ("grid-w", "grid-w-planner", "系統計画W", Role.GRID_PLANNER),
    ("inzai", "inzai-trader", "取引担当A", Role.OPERATOR_TRADER),
    ("inzai", "inzai-viewer", "閲覧A", Role.OPERATOR_VIEWER),
    ("inzai", "inzai-admin", "管理者A", Role.ADMINISTRATOR),
    ("shiroi", "shiroi-trader", "取引担当S", Role.OPERATOR_TRADER),
    ("newtown", "newtown-trader", "取引担当N", Role.OPERATOR_TRADER),
    ("makinohara", "makinohara-trader", "取引担当M", Role.OPERATOR_TRADER),
    ("imba", "imba-trader", "取引担当I", Role.OPERATOR_TRADER),
)

# code, name, English name, Hz, code of the grid operator where it takes part
AREAS: Final = (
    ("01", "北海道", "Hokkaido", 50, None),
    ("02", "東北", "Tohoku", 50, "grid-n"),
    ("03", "東京", "Tokyo", 50, "grid-t"),
    ("04", "中部", "Chubu", 60, "grid-w"),
    ("05", "北陸", "Hokuriku", 60, None),
    ("06", "関西", "Kansai", 60, "grid-w"),
    ("07", "中国", "Chugoku", 60, "grid-w"),
    ("08", "四国", "Shikoku", 60, None),
    ("09", "九州", "Kyushu", 60, "grid-w"),
    ("10", "沖縄", "Okinawa", 60, None),
)

# code, name, English name, contract from kW, to kW
SCALE_CLASSES: Final = (
    ("micro", "マイクロ", "Micro", 0, 10_000),
    ("small", "小規模", "Small", 10_000, 100_000),
    ("medium", "中規模", "Medium", 100_000, 300_000),
    ("large", "大規模", "Large", 300_000, 1_000_000),
    ("hyperscale", "超大規模", "Hyperscale", 1_000_000, None),
)

# code, name, English name, response s, smallest kW, tick kW
PRODUCTS: Final = (
    ("local-day-ahead", "ローカル混雑（前日）", "Local congestion, day-ahead", 1800, 1, "0.1"),
    ("balance-day-ahead", "需給（前日）", "Area balance, day-ahead", 1800, 1, "0.1"),
    ("dkw-up-3h", "調整力 上げ（3時間継続）", "Capacity up, sustained 3 h", 2700, 1, "0.1"),
)
CAPACITY_PRODUCT: Final = "dkw-up-3h"
# stands for all energy: a bid of it serves congestion and balance at once
ENERGY_PRODUCT: Final = "local-day-ahead"
# resource -> kW for which it is fit to hold capacity ready
QUALIFIED_KW: Final = {"tama-bess": 20_000, "toshin-dc-load": 10_000}
COMPUTE_CUSTOMER: Final = "compute-c"

RULESET_VERSION: Final = "2024-04"
RULESET_FROM_ON: Final = date(2024, 4, 1)
RULES: Final[dict[str, Any]] = {
    "clearing": {
        "deviation_limit_kw": 0.0,
        "deviation_price_jpy_per_kwh": 200.0,
        "payment": "pay_as_clear",
        "price_tick_jpy_per_kwh": 0.01,
        "quantity_tick_kw": 0.1,
        "gap_max_ratio": 1e-7,
        "iteration_limit": 2_000_000,
    },
    "publication": {"solver_deadline_s": 60, "deadline_min": 60},
    "products": [{"id": CAPACITY_PRODUCT, "direction": "UP", "sustained_h": 3.0}],
    "prequalification": {
        "capacity_products": [CAPACITY_PRODUCT],
        "energy_product": ENERGY_PRODUCT,
    },
    # the demo closes a period of one day, on the 20th day after it at 11:00, when the grid
    # operators' final values (確定) are in
    "settlement": {
        "tolerance_ratio": "0.1",
        "penalty_factor_ratio": "1.5",
        "fee_ratio": "0.02",
        "pay_stage": "FINAL",
        "period": "DAY",
        "close_lag_h": 19 * 24 + 11,
    },
    # a day-ahead award is ordered as soon as it is published
    "dispatch": {"send_before_h": 48, "respond_before_h": 1, "respond_min_h": 0.5},
}

# who runs which site; a site of another owner stands under FACILITY_OWNERS
OPERATORS: Final[dict[str, str]] = {
    "inzai-dc": "inzai",
    "kumamoto-dc": "inzai",
    "itoshima-dc": "inzai",
    "shiroi-dc": "shiroi",
    "shiroi-edge": "shiroi",
    "kamikita-dc": "shiroi",
    "akita-dc": "shiroi",
    "newtown-dc": "newtown",
    "tama-dc": "newtown",
    "keihanna-dc": "newtown",
    "okayama-dc": "newtown",
    "makinohara-dc": "makinohara",
    "kitakyushu-dc": "makinohara",
    "sendai-dc": "makinohara",
    "satsuma-dc": "makinohara",
    "imba-cloud": "imba",
    "toshin-dc": "imba",
    "shirakawa-dc": "imba",
    "osaka-dc": "imba",
    "oita-edge": "imba",
}

# site -> (facility owner, share of receipts the tenant passes on)
FACILITY_OWNERS: Final = {"newtown-dc": ("inzai", "0.20")}

LABELS: Final[dict[str, tuple[str, ...]]] = {
    "inzai-dc": ("country:JP", "cert:A"),
    "kumamoto-dc": ("country:JP", "cert:A"),
    "itoshima-dc": ("country:JP",),
}
LABELS_DEFAULT: Final = ("country:JP",)
HARDWARE: Final[dict[str, tuple[str, ...]]] = {
    "oita-edge": ("CPU",),
    "shiroi-edge": ("CPU",),
    "akita-dc": ("CPU",),
}
HARDWARE_DEFAULT: Final = ("CPU", "GPU")

# seconds from an order to full power
RESPONSE_S: Final[dict[str, int]] = {
    "DC_LOAD": 300,
    "BATTERY": 5,
    "UPS": 1,
    "THERMAL": 300,
    "HYDROGEN": 60,
    "PV": 10,
    "WIND": 30,
}

# share of a site's contract, kind, pool, slack h, latency ms, value of compute JPY/kWh
WORKLOADS: Final = (
    ("0.35", "TRAINING", "GPU", "12", None, "450"),
    ("0.15", "FINE_TUNING", "GPU", "8", None, "280"),
    ("0.30", "INFERENCE", "GPU", "0", "40", "600"),
    ("0.20", "BATCH", "CPU", "24", None, "200"),
)

# code, site, kind, name, English name, kW, kWh, reserve kWh, efficiency one way, loss per hour
STORAGE: Final = (
    (
        "inzai-bess",
        "inzai-dc",
        "BATTERY",
        "印西 蓄電池",
        "Inzai battery",
        20_000,
        80_000,
        8_000,
        "0.95",
        "0.0002",
    ),
    (
        "shiroi-bess",
        "shiroi-dc",
        "BATTERY",
        "白井 蓄電池",
        "Shiroi battery",
        15_000,
        60_000,
        6_000,
        "0.95",
        "0.0002",
    ),
    (
        "tama-bess",
        "tama-dc",
        "BATTERY",
        "多摩 蓄電池",
        "Tama battery",
        20_000,
        80_000,
        0,
        "0.95",
        "0.0002",
    ),
    (
        "sendai-bess",
        "sendai-dc",
        "BATTERY",
        "仙台 蓄電池",
        "Sendai battery",
        10_000,
        40_000,
        0,
        "0.95",
        "0.0002",
    ),
    (
        "kumamoto-bess",
        "kumamoto-dc",
        "BATTERY",
        "熊本 蓄電池",
        "Kumamoto battery",
        25_000,
        100_000,
        0,
        "0.95",
        "0.0002",
    ),
    (
        "kitakyushu-bess",
        "kitakyushu-dc",
        "BATTERY",
        "北九州 蓄電池",
        "Kitakyushu battery",
        30_000,
        120_000,
        0,
        "0.95",
        "0.0002",
    ),
    (
        "newtown-ups",
        "newtown-dc",
        "UPS",
        "ニュータウン UPS",
        "Newtown UPS",
        8_000,
        6_000,
        4_000,
        "0.96",
        "0.0005",
    ),
    (
        "imba-chill",
        "imba-cloud",
        "THERMAL",
        "印旛 蓄熱槽",
        "Imba cold store",
        5_000,
        20_000,
        0,
        "0.92",
        "0.004",
    ),
    (
        "kamikita-h2",
        "kamikita-dc",
        "HYDROGEN",
        "上北 水素貯蔵",
        "Kamikita hydrogen",
        10_000,
        200_000,
        0,
        "0.65",
        "0",
    ),
)
WEAR_JPY_PER_KWH: Final = {"BATTERY": "3", "UPS": "1", "THERMAL": "0.5", "HYDROGEN": "2"}

# code, site, kind, name, English name, peak kW
RENEWABLES: Final = (
    ("kumamoto-pv", "kumamoto-dc", "PV", "熊本 太陽光", "Kumamoto PV", 30_000),
    ("satsuma-pv", "satsuma-dc", "PV", "薩摩 太陽光", "Satsuma PV", 20_000),
    ("kamikita-wind", "kamikita-dc", "WIND", "上北 風力", "Kamikita wind", 40_000),
)

# share of what it could give that a plant is scheduled for; all of it unless said here
SCHEDULED_RATIO: Final = {"kamikita-wind": 0.9}


def scheduled_ratio(code: str) -> float:
    """Return the share of its expected output that a plant is scheduled for."""
    return SCHEDULED_RATIO.get(code, 1.0)


# units of a few kW inside a factory that nobody could run together, bid as one portfolio
MICRO_SITE: Final = "oita-edge"
MICRO_UNITS_KW: Final = (1, 2, 3, 4, 5, 5)

# from site, to site, one-way latency ms, GB per half hour (100 Gbps at 80 % is 18,000)
PATHS: Final = (
    ("inzai-dc", "kumamoto-dc", "9.5", 18_000),
    ("inzai-dc", "itoshima-dc", "9.0", 18_000),
    ("shiroi-dc", "kamikita-dc", "6.0", 18_000),
    ("shiroi-dc", "akita-dc", "5.0", 9_000),
    ("newtown-dc", "tama-dc", "1.0", 36_000),
    ("newtown-dc", "keihanna-dc", "4.5", 18_000),
    ("makinohara-dc", "kitakyushu-dc", "9.0", 18_000),
    ("makinohara-dc", "sendai-dc", "3.5", 18_000),
    ("imba-cloud", "toshin-dc", "0.6", 36_000),
    ("imba-cloud", "osaka-dc", "5.0", 18_000),
)
PATH_PRICE_JPY_PER_GB: Final = "0.02"

# code, name, GB per half hour, sites it reaches from the first
TRUNKS: Final = (
    (
        "p2mp-inzai",
        "印西 – 九州 共有波長",
        30_000,
        ("inzai-dc", "kumamoto-dc", "itoshima-dc"),
    ),
)

# site with a flexible connection -> kW it may import above its highest schedule
ENVELOPES: Final = {"shirakawa-dc": 1_000}

# area, product, kW asked from 16:00 to 22:00, most JPY per kW and half hour
CAPACITY_NEEDS: Final = (("03", CAPACITY_PRODUCT, 5_000, "4.5"),)
