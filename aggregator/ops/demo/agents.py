"""Give the demo's site agents their keys and their plant, as a private file."""

from __future__ import annotations

import json
import os
import sys
from datetime import date
from pathlib import Path
from typing import Any

from accounts.parties.keys import api_client_create
from accounts.parties.models import Organisation
from aggregator.ops.demo.inputs import SEED, profiles_kw
from aggregator.ops.demo.steps import inputs_on
from market.registry.models import Resource

POLL_S = 0.15
# One resource declines its order, one delivers too little: the day shows both.
OPTS_OUT = "sendai-bess"
FALLS_SHORT = {"makinohara-dc-load": 0.78}
SCOPES = ("read_targets", "read_ven_objects", "write_reports", "write_vens")


def config_write(*, base_url: str, delivery_on: date, is_real: bool, directory: Path) -> Path:
    """Write the agents' configuration, readable by its owner only; returns its path."""
    profiles = profiles_kw(inputs_on(delivery_on, is_real=is_real))
    vens = []
    resources: dict[str, list[Resource]] = {}
    for resource in Resource.objects.select_related("site__organisation").order_by("code"):
        resources.setdefault(resource.site.organisation.code, []).append(resource)
    for code, owned in sorted(resources.items()):
        organisation = Organisation.objects.get(code=code)
        client, secret = api_client_create(
            organisation=organisation, client_id=f"ven-{code}", scopes=SCOPES
        )
        vens.append(
            {
                "ven_name": code,
                "client_id": client.client_id,
                "client_secret": secret,
                "resources": [_resource(resource, profiles) for resource in owned],
            }
        )
    config = {
        "base_url": base_url,
        "poll_s": POLL_S,
        "seed": SEED,
        "delivery_on": delivery_on.isoformat(),
        "vens": vens,
    }
    path = directory / "agents.json"
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        json.dump(config, file, ensure_ascii=False)
    return path


def _resource(resource: Resource, profiles: dict[str, Any]) -> dict[str, Any]:
    return {
        "name": resource.code,
        "profile_kw": [round(float(value), 1) for value in profiles[resource.code]],
        "delivery_ratio": FALLS_SHORT.get(resource.code, 1.0),
        "opt_out": resource.code == OPTS_OUT,
    }


def argv(config: Path) -> list[str]:
    """Return the command that runs the agents."""
    module = "aggregator.protocols.openadr3.client.simulator"
    return [sys.executable, "-m", module, "--config", str(config)]
