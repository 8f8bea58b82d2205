"""What other apps may ask of settlement."""

from aggregator.settlement.close_requests import period_close_request
from aggregator.settlement.closes import period_close, period_open
from aggregator.settlement.runs import settlement_run_execute

__all__ = ["period_close", "period_close_request", "period_open", "settlement_run_execute"]
