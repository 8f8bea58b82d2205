"""Bid an evening's flexibility to the auction that is open, and keep the signed receipt.

    python docs/examples/bid.py https://market.example.jp CLIENT_ID RESOURCE < secret

Needs Python 3.11, httpx and PyNaCl, and the folder ``aggregator/api/client`` on the path.
"""

import json
import sys
from pathlib import Path

from aggregator.api.client import Problem, WattBit

URL, CLIENT_ID, RESOURCE = sys.argv[1:4]
SECRET = sys.stdin.readline().strip()
EVENING = {
    "first_t": 34,  # 17:00 JST
    "last_t": 39,  # until 20:00
    "steps": [
        {"quantity_kw": "2000", "ask_jpy_per_kwh": "12.50"},
        {"quantity_kw": "1500", "ask_jpy_per_kwh": "28.00"},
    ],
}

with WattBit(URL, client_id=CLIENT_ID, client_secret=SECRET) as market:
    auction = next(market.auctions(state="OPEN"), None)
    if auction is None:
        sys.exit("no auction is open")
    print(f"{auction.code}: bids until {auction.gate_closure_at.isoformat()}")
    name = f"evening-{auction.delivery_on.isoformat()}"
    bid = {
        "client_bid_id": name,
        "resource": RESOURCE,
        "form": "STEPS",
        "mechanism": "DEFERRAL",
        "direction": "UP",
        "curves": [EVENING],
    }
    try:
        # The key names this act: run again after a broken line, and nothing is done twice.
        done = market.bids_submit(auction.code, [bid], key=name)
    except Problem as refused:
        sys.exit(json.dumps(refused.body, ensure_ascii=False, indent=2))
    if done.signed is not None:
        kept = Path(f"{name}.receipt.json")
        kept.write_text(json.dumps(done.signed))
        print(f"in the book; signed receipt in {kept}")
