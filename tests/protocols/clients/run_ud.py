"""Run in oadr30-ven-ud's own environment: what a site reads with it, through 3.0.1."""

from __future__ import annotations

import json
import sys

from oadr30.vtn import VTNOps

config = json.loads(sys.stdin.read())
site = VTNOps(config["url"], config["site"]["client_id"], config["site"]["client_secret"])
programs = site.get_programs()
events = site.get_events()
of_program = site.get_events(config["program"])
found = {
    "programs": sorted(program["programName"] for program in programs),
    "events": sorted(event["eventName"] for event in events),
    "of_program": len(of_program),
    "program": site.get_program(config["program"])["programName"],
}
sys.stdout.write(json.dumps(found))
