"""Subscriptions: addresses that echo, messages by the subscriber's own sight, endpoints apart."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any, ClassVar

import pytest
from django.db.models.functions import Now

from accounts.jobs.models import Job
from accounts.jobs.selectors import jobs_due
from accounts.jobs.services import job_claim
from aggregator.dispatch.services import instruction_cancel
from aggregator.messages.models import ProtocolMessage
from aggregator.outbox import endpoints
from aggregator.outbox.client import Answer, DeliveryFailed, Policy
from aggregator.outbox.models import MessageState, OutboxEndpoint, OutboxMessage
from aggregator.protocols.openadr3.models import Subscription, SubscriptionRule
from aggregator.protocols.openadr3.notices import voids_tell
from tests import cast
from tests.dispatching import event_of, instruction, is_problem, sent_day
from tests.listening import Listener, listening
from tests.protocols.openadr import BASE_3_0, Machine, business

pytestmark = pytest.mark.django_db
LOAD = "inzai-dc-1-load"
ALL = ["CREATE", "UPDATE", "DELETE"]
GIGABYTE = 2**30


class Receiver(Listener):
    """Echoes challenges, keeps what it is told, and misbehaves as its path says."""

    told: ClassVar[list[tuple[str, dict[str, str], Any]]] = []
    asked: ClassVar[list[str]] = []

    def got(self) -> None:
        self.asked.append(self.path)
        path, _, query = self.path.partition("?")
        word = query.rpartition("echo=")[2]
        if path == "/moved":
            self.send_response(302)
            self.send_header("Location", f"/echo?{query}")
            self.end_headers()
            return
        self.answer(200, b"no" if path == "/silent" else f'{{"echo": "{word}"}}'.encode())

    def posted(self, body: bytes) -> None:
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.told.append((self.path, headers, json.loads(body)))
        if self.path == "/hang":
            time.sleep(8)
        if self.path == "/huge":
            self.send_response(200)
            self.send_header("Content-Length", str(GIGABYTE))
            self.end_headers()
            try:
                for _ in range(1024):
                    self.wfile.write(b"x" * 2**20)
            except OSError:
                return
        self.answer(503 if self.path == "/broken" else 204, b"")


@pytest.fixture
def receiver(settings: Any) -> Iterator[str]:
    settings.OUTBOX_CALLS_THIS_MACHINE = True
    Receiver.told.clear()
    Receiver.asked.clear()
    with listening(Receiver) as address:
        yield address


def _wish(url: str, *objects: str, operations: list[str] | None = None, **more: Any) -> Any:
    rule = {
        "objects": list(objects) or ["EVENT"],
        "operations": operations or ALL,
        "callbackUrl": url,
        "bearerToken": "s3cret",
    }
    return {"clientName": "c", "objectOperations": [rule], **more}


def _deliver() -> None:
    """Run every job that is due to deliver, as the worker does."""
    for job_id, kind in jobs_due():
        if kind == endpoints.DRAIN_KIND:
            claim = job_claim(job_id=job_id, lease_s=30)
            if claim is not None:
                endpoints.endpoint_drain(claim=claim)


def _told(path: str = "/echo") -> list[tuple[str, Any]]:
    return [(body["operation"], body["object"]) for at, _, body in Receiver.told if at == path]


def test_an_address_echoes_before_the_subscription_is_made(receiver: str) -> None:
    site = Machine(cast.people().inzai_dc)
    made = site.made("subscriptions", _wish(f"{receiver}/echo?key=1", programID=None))
    assert made["objectOperations"] == [
        {
            "objects": ["EVENT"],
            "operations": ALL,
            "callbackUrl": f"{receiver}/echo?key=1",
            "bearerToken": None,
        }
    ]
    assert (made["clientID"], made["programID"]) == (site.client.client_id, None)
    assert len(Receiver.asked) == 1
    assert Receiver.asked[0].startswith("/echo?key=1&echo=")
    assert site.get("subscriptions").json() == [made]
    for path in ("silent", "moved"):
        body = is_problem(site.post("subscriptions", _wish(f"{receiver}/{path}")), 400)
        assert "callbackUrl" in body["detail"]
    assert Subscription.objects.count() == 1


@pytest.mark.parametrize(
    "url",
    [
        "http://example.org/x",
        "https://127.0.0.1/x",
        "https://10.0.0.1/x",
        "https://[::1]/x",
        "https://169.254.169.254/latest",
        "https://0x7f000001/",
        "https://user:secret@example.org/",
        "https://example.org:22/",
        "ftp://example.org/",
        "nonsense",
    ],
)
def test_private_and_strange_addresses_are_refused(url: str) -> None:
    site = Machine(cast.people().inzai_dc)
    assert "callbackUrl" in is_problem(site.post("subscriptions", _wish(url)), 400)["detail"]
    assert not Subscription.objects.exists()


def test_a_deployment_may_do_without_the_echo_and_on_a_private_network(settings: Any) -> None:
    settings.OPENADR_ECHO_CHALLENGE = False
    site = Machine(cast.people().inzai_dc)
    is_problem(site.post("subscriptions", _wish("https://10.0.0.1/x")), 400)
    settings.OUTBOX_PRIVATE_ADDRESSES = True
    site.made("subscriptions", _wish("https://10.0.0.1/x"))
    is_problem(site.post("subscriptions", _wish("http://10.0.0.1/x")), 400)  # not in plain HTTP


def test_a_subscriber_is_told_with_its_token_and_sees_its_own_targets_only(receiver: str) -> None:
    tso, site = business(cast.people().grid_t), Machine(cast.people().inzai_dc)
    tso.made(
        "vens",
        {
            "objectType": "BL_VEN_REQUEST",
            "venName": "v",
            "clientID": site.client.client_id,
            "targets": ["a"],
        },
    )
    site.made("subscriptions", _wish(f"{receiver}/echo", "EVENT", "PROGRAM"))
    program = tso.program("p")
    event = tso.event(program, targets=["a", "b"])
    tso.event(program, targets=["b"])
    changed = tso.put(f"events/{event['id']}", {"programID": program["id"], "targets": ["a"]})
    # out of its sight: gone, as far as it may know
    hidden = tso.put(f"events/{event['id']}", {"programID": program["id"], "targets": ["b"]})
    assert changed.status_code == hidden.status_code == 200
    tso.delete(f"events/{event['id']}")
    _deliver()
    shown = {**event, "targets": ["a"]}
    assert _told() == [
        ("CREATE", program),
        ("CREATE", shown),
        ("UPDATE", changed.json()),
        ("DELETE", changed.json()),
    ]
    _, headers, body = Receiver.told[1]
    assert headers["authorization"] == "Bearer s3cret"
    assert body["targets"] == ["a"]
    assert body["objectType"] == "EVENT"
    message = OutboxMessage.objects.get(id=headers["message-id"])
    assert message.state == MessageState.DELIVERED
    logged = ProtocolMessage.objects.get(message_id=str(message.id))
    assert (logged.direction, logged.content) == ("OUT", message.body)


def test_rules_narrow_by_object_operation_program_and_target(receiver: str) -> None:
    tso, site = business(cast.people().grid_t), Machine(cast.people().inzai_dc)
    first, second = tso.program("p1"), tso.program("p2")
    site.made(
        "subscriptions",
        _wish(f"{receiver}/one", operations=["DELETE"], programID=first["id"]),
    )
    site.made("subscriptions", _wish(f"{receiver}/verbs", operations=["POST"]))
    site.made("subscriptions", _wish(f"{receiver}/none", targets=["x"]))
    events = [tso.event(first), tso.event(second)]
    for event in events:
        tso.delete(f"events/{event['id']}")
    _deliver()
    assert _told("/one") == [("DELETE", events[0])]
    # who spells operations as methods is told in methods
    assert _told("/verbs") == [("POST", events[0]), ("POST", events[1])]
    assert _told("/none") == []


def test_own_objects_are_told_to_their_client_and_to_whose_program_it_is(receiver: str) -> None:
    people = cast.people()
    tso, other = business(people.grid_t), business(people.platform)
    site, rival = Machine(people.inzai_dc), Machine(people.shiroi_dc)
    for name, machine in (("tso", tso), ("desk", other), ("site", site), ("rival", rival)):
        kinds = ("REPORT", "VEN", "RESOURCE", "SUBSCRIPTION")
        machine.made("subscriptions", _wish(f"{receiver}/{name}", *kinds, operations=["CREATE"]))
    event = tso.event(tso.program("p"))
    report = site.made("reports", {"eventID": event["id"], "clientName": "c", "resources": []})
    ven = site.made("vens", {"objectType": "VEN_VEN_REQUEST", "venName": "v"})
    _deliver()
    assert _told("/tso") == [("CREATE", report)]
    assert _told("/desk") == [("CREATE", ven)]  # sites that enrol do so with the platform
    assert _told("/site") == [("CREATE", report), ("CREATE", ven)]
    assert _told("/rival") == []


def test_an_order_that_becomes_void_is_told_as_deleted_once(receiver: str) -> None:
    day = sent_day()
    site = Machine(cast.people().inzai_dc).enrol(LOAD)
    event = event_of(day, "inzai-defer")
    shown = site.get(f"events/{event.id}").json()
    site.made("subscriptions", _wish(f"{receiver}/echo"))
    assert voids_tell() == 0
    instruction_cancel(instruction_id=instruction(day, "inzai-defer").id, reason="a line is out")
    is_problem(site.get(f"events/{event.id}"), 404)
    assert (voids_tell(), voids_tell()) == (1, 0)
    _deliver()
    assert _told() == [("DELETE", shown)]


def test_tokens_are_sealed_and_nowhere_else(receiver: str) -> None:
    site = Machine(cast.people().inzai_dc)
    made = site.made("subscriptions", _wish(f"{receiver}/echo"))
    assert "s3cret" not in json.dumps(list(Subscription.objects.values_list("body")))
    assert not ProtocolMessage.objects.filter(content__contains="s3cret").exists()
    assert ProtocolMessage.objects.filter(content__contains="callbackUrl").count() == 1
    # what is read and sent back keeps the token; another one replaces it
    Receiver.asked.clear()
    endpoint = SubscriptionRule.objects.get().endpoint
    assert site.put(f"subscriptions/{made['id']}", made).status_code == 200
    assert SubscriptionRule.objects.get().endpoint == endpoint
    wish = _wish(f"{receiver}/echo")
    wish["objectOperations"][0]["bearerToken"] = "another"
    assert site.put(f"subscriptions/{made['id']}", wish).status_code == 200
    assert Receiver.asked == []  # the address had echoed
    endpoint.refresh_from_db()
    assert not endpoint.is_active
    assert site.delete(f"subscriptions/{made['id']}").status_code == 200
    assert not OutboxEndpoint.objects.filter(is_active=True).exists()
    is_problem(site.get(f"subscriptions/{made['id']}"), 404)


def test_subscriptions_are_their_clients_own(receiver: str) -> None:
    people = cast.people()
    site, rival, colleague = (
        Machine(people.inzai_dc),
        Machine(people.shiroi_dc),
        Machine(people.inzai_dc),
    )
    made = site.made("subscriptions", _wish(f"{receiver}/echo"))
    path = f"subscriptions/{made['id']}"
    for other in (rival, colleague):
        for answer in (other.get(path), other.put(path, _wish(f"{receiver}/echo"))):
            is_problem(answer, 404)
        is_problem(other.delete(path), 404)
        assert other.get("subscriptions").json() == []
    assert site.get("subscriptions", {"objects": "EVENT"}).json() == [made]
    assert site.get("subscriptions", {"objects": "VEN"}).json() == []
    is_problem(site.get("subscriptions", {"objects": "NONSENSE"}), 400)


@pytest.mark.parametrize(("path", "error"), [("/hang", "no answer within 5 s"), ("/broken", "503")])
def test_a_receiver_that_fails_is_marked_and_holds_up_nobody_else(
    receiver: str, path: str, error: str
) -> None:
    tso, site = business(cast.people().grid_t), Machine(cast.people().inzai_dc)
    site.made("subscriptions", _wish(f"{receiver}{path}"))
    site.made("subscriptions", _wish(f"{receiver}/echo"))
    program = tso.program("p")
    tso.event(program)
    began_s = time.monotonic()
    _deliver()
    assert time.monotonic() - began_s < 7
    assert len(_told("/echo")) == 1
    broken = OutboxEndpoint.objects.get(url__endswith=path)
    assert (broken.failures_count, broken.broken_at) == (1, None)
    message = OutboxMessage.objects.get(endpoint=broken)
    assert (message.state, error in message.error) == (MessageState.WAITING, True)


def test_an_endpoint_that_fails_three_times_rests_and_comes_back(receiver: str) -> None:
    tso, site = business(cast.people().grid_t), Machine(cast.people().inzai_dc)
    site.made("subscriptions", _wish(f"{receiver}/echo"))
    tso.event(tso.program("p"))
    job = Job.objects.get(kind=endpoints.DRAIN_KIND)

    def attempt(*, fails: bool) -> OutboxEndpoint:
        OutboxMessage.objects.filter(state="WAITING").update(next_attempt_at=Now())
        OutboxEndpoint.objects.update(paused_until=None)
        Job.objects.filter(id=job.id).update(due_at=Now())
        claim = job_claim(job_id=job.id)
        assert claim is not None

        def send(_url: str, *, policy: Policy, **_: Any) -> Answer:
            assert policy.plain_http
            if fails:
                raise DeliveryFailed("out of order")
            return Answer(status=204, body=b"")

        endpoints.endpoint_drain(claim=claim, send=send)
        return OutboxEndpoint.objects.get()

    counts = [attempt(fails=True) for _ in range(4)]
    assert [row.failures_count for row in counts] == [1, 2, 3, 4]
    assert [row.broken_at is not None for row in counts] == [False, False, True, True]
    assert [row.paused_until is not None for row in counts] == [False, False, True, True]
    well = attempt(fails=False)
    assert (well.failures_count, well.broken_at, well.paused_until) == (0, None, None)
    assert OutboxMessage.objects.get().state == MessageState.DELIVERED
    assert OutboxMessage.objects.get().attempts_count == 5


def test_an_answer_of_a_gigabyte_is_survived(receiver: str) -> None:
    tso, site = business(cast.people().grid_t), Machine(cast.people().inzai_dc)
    site.made("subscriptions", _wish(f"{receiver}/huge"))
    tso.event(tso.program("p"))
    began_s = time.monotonic()
    _deliver()
    assert time.monotonic() - began_s < 4
    assert OutboxMessage.objects.get().state == MessageState.DELIVERED


def test_a_subscriber_through_3_0_1_is_told_in_its_version(receiver: str) -> None:
    tso = business(cast.people().grid_t)
    site = Machine(cast.people().inzai_dc, base=BASE_3_0)
    program = tso.program("p")
    wish = _wish(f"{receiver}/echo", operations=["POST", "PUT"], programID=program["id"])
    made = site.made("subscriptions", wish)
    assert made["objectOperations"][0]["operations"] == ["POST", "PUT"]
    event = tso.event(program)
    _deliver()
    (told,) = _told()
    assert told == ("POST", {**event, "intervals": []})
