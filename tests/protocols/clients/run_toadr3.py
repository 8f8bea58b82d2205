"""Run in toadr3's own environment: what a site does with it, through 3.0.1."""

from __future__ import annotations

import asyncio
import json
import sys

import toadr3
from toadr3.models import Report

config = json.loads(sys.stdin.read())


async def run() -> dict[str, object]:
    oauth = toadr3.OAuthConfig(
        token_url=f"{config['url']}/auth/token",
        grant_type="client_credentials",
        claims={"scope": "read_all write_reports"},
        **config["site"],
    )
    async with toadr3.ToadrClient(config["url"], oauth) as site:
        programs = await site.get_programs()
        events = await site.get_events(program_id=config["program"])
        aimed = await site.get_events(target_type="GROUP", target_values=["feeder-7"])
        report = Report.create_report(
            event=aimed[0],
            client_name="toadr3",
            report_type="USAGE",
            report_values=[1.5],
            target_type="GROUP",
        )
        made = await site.post_report(report)
        reports = await site.get_reports()
        return {
            "programs": sorted(program.program_name for program in programs),
            "events": sorted(event.event_name for event in events),
            "aimed": [event.event_name for event in aimed],
            "report": made.client_name,
            "reports": len(reports),
        }


sys.stdout.write(json.dumps(asyncio.run(run())))
