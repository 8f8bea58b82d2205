"""The certificate of a published result as a file: public, like the result."""

from __future__ import annotations

import json

from django.http import HttpResponse

from market.clearing.published import run_published
from market.trading.models import Auction


def certificate_answer(auction: Auction) -> HttpResponse:
    """Hand out every figure of the certificate with the hashes it speaks of.

    Raises
    ------
    NotFound
        While nothing is published.
    """
    run = run_published(auction)
    told = {
        "auction": auction.code,
        "run": run.number,
        "published_at": run.published_at.isoformat() if run.published_at else None,
        "engine_version": run.engine_version,
        "snapshot_sha256": run.snapshot.sha256 if run.snapshot else None,
        "result_sha256": run.result_sha256,
        "objective_jpy": None if run.objective_jpy is None else f"{run.objective_jpy:f}",
        "certificate": run.certificate,
    }
    body = json.dumps(told, ensure_ascii=False, indent=2, sort_keys=True)
    answer = HttpResponse(body, content_type="application/json")
    name = f"certificate-{auction.code}.json"
    answer["Content-Disposition"] = f'attachment; filename="{name}"'
    return answer
