"""Privacy over the whole surface: no site reads a word of another, by any door or notification.

Whatever two sites and an operator write, in any order, is looked for in both versions' lists, by
id, by filters and in what is put out for the sites' subscriptions. Every word that a site writes
carries the site's own mark, and so do the targets granted to it.
"""

from __future__ import annotations

from typing import Any

import pytest
from django.db import transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aggregator.outbox.models import OutboxMessage
from tests import cast
from tests.dispatching import BASE
from tests.protocols.openadr import BASE_3_0, Machine, business

pytestmark = pytest.mark.django_db
MARKS = ("aaaa", "bbbb")
LISTS = ("programs", "events", "reports", "subscriptions", "vens", "resources")
SIDE = st.integers(0, 1)
WHAT = st.sampled_from(["ven", "resource", "subscription", "grant", "event", "report", "rename"])
DEEDS = st.lists(st.tuples(WHAT, SIDE, st.booleans()), min_size=4, max_size=14)


class Stage:
    """Two sites that listen to everything, and an operator that grants to both."""

    def __init__(self) -> None:
        people = cast.people()
        self.operator = business(people.grid_t)
        self.sites = [Machine(people.inzai_dc), Machine(people.shiroi_dc)]
        self.vens: list[list[str]] = [[], []]
        self.events: list[list[str]] = [[], []]
        self.count = 0
        self.program = self.operator.program("p")
        for side in (0, 1):
            self.ven(side, is_both=False)
            self.subscription(side, is_both=False)

    def do(self, what: str, side: int, *, is_both: bool) -> None:
        """Do one of the deeds."""
        self.count += 1
        getattr(self, what)(side, is_both=is_both)

    def _name(self, side: int) -> str:
        return f"{MARKS[side]}-{self.count}"

    def ven(self, side: int, *, is_both: bool) -> None:
        body: dict[str, Any] = {"objectType": "VEN_VEN_REQUEST", "venName": f"{self._name(side)}v"}
        if is_both:
            body["attributes"] = [{"type": "NOTE", "values": [self._name(side)]}]
        self.vens[side].append(self.sites[side].made("vens", body)["id"])

    def resource(self, side: int, *, is_both: bool) -> None:
        del is_both
        body = {
            "objectType": "VEN_RESOURCE_REQUEST", "resourceName": f"{self._name(side)}r",
            "venID": self.vens[side][-1],
        }  # fmt: skip
        self.sites[side].made("resources", body)

    def subscription(self, side: int, *, is_both: bool) -> None:
        del is_both
        rule = {
            "objects": ["PROGRAM", "EVENT", "REPORT", "SUBSCRIPTION", "VEN", "RESOURCE"],
            "operations": ["CREATE", "UPDATE", "DELETE"],
            "callbackUrl": f"https://{MARKS[side]}.example.com/{self.count}",
        }
        body = {"clientName": self._name(side), "objectOperations": [rule]}
        self.sites[side].made("subscriptions", body)

    def grant(self, side: int, *, is_both: bool) -> None:
        targets = [MARKS[side], "shared"] if is_both else [MARKS[side]]
        body = {
            "objectType": "BL_VEN_REQUEST", "venName": f"{self._name(side)}g", "targets": targets,
            "clientID": self.sites[side].client.client_id,
        }  # fmt: skip
        self.operator.made("vens", body)

    def event(self, side: int, *, is_both: bool) -> None:
        # an event for both shows each its own target only
        targets = [*MARKS, "shared"] if is_both else [MARKS[side]]
        more = {} if is_both else {"eventName": self._name(side)}
        descriptors = [{"payloadType": "USAGE", "targets": targets}]
        made = self.operator.event(
            self.program, targets=targets, reportDescriptors=descriptors, **more
        )
        self.events[side].append(made["id"])

    def report(self, side: int, *, is_both: bool) -> None:
        seen = self.sites[side].get("events").json()
        if not seen:
            return
        body = {
            "eventID": seen[0 if is_both else -1]["id"],
            "clientName": self._name(side),
            "resources": [{"resourceName": self._name(side), "intervals": []}],
        }
        self.sites[side].post("reports", body)

    def rename(self, side: int, *, is_both: bool) -> None:
        path = f"vens/{self.vens[side][-1]}"
        if is_both and len(self.vens[side]) > 1:
            assert self.sites[side].delete(path).status_code == 200
            self.vens[side].pop()
            return
        body = {"objectType": "VEN_VEN_REQUEST", "venName": f"{self._name(side)}n"}
        assert self.sites[side].put(path, body).status_code == 200


def _checked(stage: Stage, ids: list[set[str]]) -> None:
    for side, site in enumerate(stage.sites):
        other = MARKS[1 - side]
        for base in (BASE, BASE_3_0):
            site.base = base
            _lists_checked(site, other)
        _ids_checked(site, other, own=stage.vens[side], others=ids[1 - side])
        for message in OutboxMessage.objects.filter(destination__contains=MARKS[side]):
            assert other not in message.body, message.body


def _lists_checked(site: Machine, other: str) -> None:
    for path in LISTS:
        if site.base == BASE_3_0 and path == "resources":
            continue
        answer = site.get(path)
        assert answer.status_code == 200, (path, answer.content)
        assert other not in answer.content.decode(), (site.base, path)
        # what is skipped counts nothing of another's: page by page all is there, and no more
        whole = answer.json()
        pages = [site.get(path, {"skip": n, "limit": 1}).json() for n in range(len(whole) + 1)]
        assert pages == [*([row] for row in whole), []]
        name = "targetValues" if site.base == BASE_3_0 else "targets"
        if path in ("programs", "events", "vens", "resources"):
            assert other not in site.get(path, {name: other}).content.decode()


def _ids_checked(site: Machine, other: str, *, own: list[str], others: set[str]) -> None:
    site.base = BASE_3_0
    for known in own:
        answer = site.get(f"vens/{known}/resources")
        assert (answer.status_code, other in answer.content.decode()) == (200, False)
    for known in others:
        assert site.get(f"vens/{known}/resources").status_code == 404
        assert site.get(f"vens/{known}/resources/{known}").status_code == 404
    site.base = BASE
    for known in others:
        for path in ("reports", "subscriptions", "vens", "resources"):
            assert site.get(f"{path}/{known}").status_code == 404
            assert site.delete(f"{path}/{known}").status_code in (403, 404)


@settings(
    max_examples=5,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(deeds=DEEDS)
def test_no_site_reads_a_word_of_another_by_any_door(deeds: list[tuple[str, int, bool]]) -> None:
    with transaction.atomic(), pytest.MonkeyPatch.context() as patched:
        # the challenge of an address has tests of its own
        patched.setattr(
            "aggregator.protocols.openadr3.subscribing.addresses_confirm", lambda **_: None
        )
        stage = Stage()
        for what, side, is_both in deeds:
            stage.do(what, side, is_both=is_both)
        ids = [
            {
                row["id"]
                for path in ("reports", "subscriptions", "vens", "resources")
                for row in site.get(path).json()
            }
            for site in stage.sites
        ]
        _checked(stage, ids)
        # who is told of its own things is told at all
        assert OutboxMessage.objects.filter(destination__contains=MARKS[0]).exists() or all(
            side for _, side, _ in deeds
        )
        transaction.set_rollback(True)
