"""What each kind of charge is called: one row per code that is ever posted, for every page."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple


class MoneyWord(NamedTuple):
    """A code's name in both languages."""

    ja: str
    en: str


MONEY_WORDS: Final[Mapping[str, MoneyWord]] = {
    "NEED_CHARGE": MoneyWord("調整力利用料", "Need charge"),
    "SELLER_ENERGY": MoneyWord("電力量料金", "Energy"),
    "SHORTFALL_REFUND": MoneyWord("未達返還", "Shortfall refund"),
    "SHORTFALL_PENALTY": MoneyWord("未達ペナルティ", "Shortfall penalty"),
    "SHORTFALL_CREDIT": MoneyWord("未達分の返金", "Shortfall credit"),
    "CONGESTION_RENT": MoneyWord("混雑収入", "Congestion rent"),
    "LINK_RENT": MoneyWord("連系収入", "Link rent"),
    "PATH_FEE": MoneyWord("光パス利用料", "Optical path fee"),
    "PLATFORM_FEE": MoneyWord("市場利用手数料", "Platform fee"),
    "REVENUE_SPLIT": MoneyWord("収益分配", "Revenue split"),
    "DEVIATION": MoneyWord("インバランス", "Imbalance"),
    "CAPACITY_CHARGE": MoneyWord("調整力（ΔkW）利用料", "Capacity charge"),
    "CAPACITY": MoneyWord("調整力（ΔkW）料金", "Capacity"),
    "COMPUTE_CHARGE": MoneyWord("計算利用料", "Compute charge"),
    "COMPUTE": MoneyWord("計算提供料", "Compute"),
    "ENVELOPE": MoneyWord("受電枠料金", "Connection envelope"),
    "ENVELOPE_PENALTY": MoneyWord("受電枠超過金", "Import above the envelope"),
    "TRUNK_RENT": MoneyWord("光幹線収入", "Optical trunk rent"),
    "PAYMENT_RULE": MoneyWord("支払規則による調整", "Payment rule"),
    "MARKET_FEE": MoneyWord("市場手数料（買い手）", "Market fee"),
    "ACTIVATION_UP": MoneyWord("上げ調整電力量料金（V1）", "Activation energy up (V1)"),
    "ACTIVATION_DOWN": MoneyWord("下げ調整電力量料金（V2）", "Activation energy down (V2)"),
    "CAPACITY_PENALTY_I": MoneyWord("アセスメントIペナルティ", "Capacity penalty, assessment I"),
    "CAPACITY_PENALTY_II": MoneyWord("アセスメントIIペナルティ", "Capacity penalty, assessment II"),
    "CAPACITY_CREDIT": MoneyWord("調整力不適合の返金", "Credit for capacity not fit"),
    "EXCHANGE_FEE": MoneyWord("取引所手数料", "Exchange fee"),
    "NEGAWATT_COMPENSATION": MoneyWord("ネガワット調整金", "Negawatt compensation"),
    "IMBALANCE_CAUSED": MoneyWord("未達によるインバランス負担", "Imbalance caused by a shortfall"),
    "REPLACEMENT": MoneyWord("差替電力量料金", "Replacement energy"),
    "ADJUSTMENT": MoneyWord("異議訂正の負担", "Adjustment after a dispute"),
    "RESIDUAL": MoneyWord("公表値の端数", "Rounding of published values"),
    "ROUNDING": MoneyWord("円未満の端数", "Rounding to whole yen"),
    "CONSUMPTION_TAX": MoneyWord("消費税", "Consumption tax"),
    "PAYMENT": MoneyWord("お支払", "Payment"),
    "RECEIPT": MoneyWord("ご入金", "Money received"),
}
