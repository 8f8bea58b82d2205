"""OpenADR over HTTP: polls, reports and webhooks, each alone, with tokens and privacy.

Server, database and generator share the machine. Sites are clients of their own, each with a ven, a
resource and five events it may see among those of all others. Requests go one after the other on
sixteen connections: how many are answered in a second, and how long the slowest hundredth takes.
"""

from __future__ import annotations

import ipaddress
import json
import os
import ssl
import statistics
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar, Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from accounts.clock.selectors import market_now
from accounts.parties.keys import api_client_create
from accounts.parties.models import Organisation, OrganisationKind
from aggregator.metering.models import IntervalReading
from aggregator.ops.bench.api import Operator, _operators
from aggregator.ops.bench.book import opened_auction
from aggregator.ops.bench.open_loop import Shot, exchanged, fired, percentile_ms
from aggregator.ops.bench.processor import processor_s
from aggregator.ops.embedded import Servers
from aggregator.ops.stack import QUEUES, Stack
from aggregator.outbox.models import OutboxMessage
from aggregator.protocols.openadr3.models import Event, Program, Report, Ven, VenResource
from aggregator.protocols.openadr3.publishing import program_ensure
from aggregator.protocols.openadr3.tokens import token_issue

SCOPES: Final = (
    "read_targets", "read_ven_objects", "write_reports", "write_vens", "write_subscriptions",
)  # fmt: skip
BUSINESS: Final = ("read_all", "write_programs", "write_events")
BASE: Final = "/openadr3/3.1.0"
CONNECTION_COUNT: Final = 16
EVENTS_SEEN_COUNT: Final = 5
EVENTS_OF_OTHERS_COUNT: Final = 2_000
POLLS_COUNT: Final = 4_000
REPORTS_COUNT: Final = 4_000
WARM_COUNT: Final = 300
VALUES_COUNT: Final = 4
NOTICES_COUNT: Final = 200
NOTICES_PER_S: Final = 10.0
HALF_HOUR: Final = timedelta(minutes=30)
OK, CREATED = 200, 201


def run(stack: Stack) -> dict[str, Any]:
    """Measure polls, reports and webhooks on a server and a worker of the stack's."""
    certificate = _certificate(stack.home)
    # the receiver of webhooks stands on this machine, and is called by HTTPS like any other
    os.environ |= {"OUTBOX_PRIVATE_ADDRESSES": "true", "SSL_CERT_FILE": str(certificate)}
    opened_auction()
    operators = _operators()
    metering, tokens = _sites(operators)
    port = stack.start_api()
    stack.wait_ready()
    address = ("127.0.0.1", port)
    figures: dict[str, Any] = {"sites": len(operators), "connections": CONNECTION_COUNT}
    sides = _sides(stack)
    _measured(address, _polls(tokens, WARM_COUNT), sides)
    measured = _measured(address, _polls(tokens, POLLS_COUNT), sides)
    figures |= _named("poll", OK, measured)
    _measured(address, _reports(operators, tokens, metering, 0, WARM_COUNT), sides)
    measured = _measured(
        address, _reports(operators, tokens, metering, WARM_COUNT, REPORTS_COUNT), sides
    )
    figures |= _named("report", CREATED, measured)
    shots = measured.shots
    acked_count = sum(shot.status == CREATED for shot in shots) + WARM_COUNT
    figures["reports_lost"] = acked_count - Report.objects.count()
    figures["readings"] = IntervalReading.objects.count()
    figures |= _webhooks(stack, address, tokens[0], certificate)
    return figures


def _sites(operators: Sequence[Operator]) -> tuple[Event, list[str]]:
    """Enrol a ven for each operator, with events for it and the one that asks for readings."""
    now = market_now()
    program = program_ensure(name="bench")
    metering = Event.objects.create(
        program=program,
        key="metering",
        body={"programID": str(program.id), "reportDescriptors": [{"payloadType": "USAGE"}]},
        starts_at=now,
        ends_at=now + timedelta(days=2),
    )
    tokens = []
    for operator in operators:
        client, _ = api_client_create(
            organisation=operator.organisation,
            client_id=f"ven-{operator.organisation.code}",
            scopes=SCOPES,
        )
        tokens.append(token_issue(client=client, asked=frozenset()).text)
        ven = Ven.objects.create(client=client, name=client.client_id, body={})
        for unit in operator.resources:
            VenResource.objects.create(
                ven=ven, name=unit.code, resource=unit, targets=[unit.code], body={}
            )
        _events(program, operator.resources[0].code, EVENTS_SEEN_COUNT - 1)
    _events(program, "of-another-site", EVENTS_OF_OTHERS_COUNT)
    return metering, tokens


def _events(program: Program, target: str, count: int) -> None:
    start = market_now().astimezone(UTC).replace(minute=0, second=0, microsecond=0)
    setpoint = {"type": "DISPATCH_SETPOINT_RELATIVE", "values": [-9_000]}
    body = {
        "programID": str(program.id),
        "eventName": target,
        "priority": 0,
        "targets": [target],
        "payloadDescriptors": [
            {
                "objectType": "EVENT_PAYLOAD_DESCRIPTOR",
                "payloadType": "DISPATCH_SETPOINT_RELATIVE",
                "units": "KW",
            }
        ],
        "intervalPeriod": {"start": start.isoformat(), "duration": "PT30M"},
        "intervals": [{"id": n, "payloads": [setpoint]} for n in range(6)],
    }
    Event.objects.bulk_create(
        [
            Event(
                program=program,
                targets=[target],
                body=body,
                starts_at=start,
                ends_at=start + 6 * HALF_HOUR,
            )
            for _ in range(count)
        ],
        batch_size=200,
    )


def _polls(tokens: Sequence[str], count: int) -> list[bytes]:
    return [
        f"GET {BASE}/events HTTP/1.1\r\nHost: 127.0.0.1\r\n"
        f"Authorization: Bearer {tokens[number % len(tokens)]}\r\n\r\n".encode()
        for number in range(count)
    ]


def _reports(
    operators: Sequence[Operator],
    tokens: Sequence[str],
    metering: Event,
    first: int,
    count: int,
) -> list[bytes]:
    """Return reports of a resource's next four half hours each, in the past of the market."""
    begins = market_now().astimezone(UTC).replace(minute=0, second=0, microsecond=0)
    requests = []
    for number in range(first, first + count):
        which, turn = number % len(operators), number // len(operators)
        units = operators[which].resources
        unit, turn = units[turn % len(units)], turn // len(units)
        start = begins - (turn + 1) * VALUES_COUNT * HALF_HOUR
        body = {
            "eventID": str(metering.id),
            "clientName": "bench",
            "resources": [
                {
                    "resourceName": unit.code,
                    "intervalPeriod": {
                        "start": start.isoformat().replace("+00:00", "Z"),
                        "duration": "PT30M",
                    },
                    "intervals": [
                        {"id": n, "payloads": [{"type": "USAGE", "values": [1000.125 + n]}]}
                        for n in range(VALUES_COUNT)
                    ],
                }
            ],
        }
        requests.append(_post("reports", body, tokens[which]))
    return requests


def _post(path: str, body: Any, token: str) -> bytes:
    content = json.dumps(body).encode()
    head = (
        f"POST {BASE}/{path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {token}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(content)}\r\n\r\n"
    )
    return head.encode() + content


@dataclass(frozen=True, kw_only=True)
class _Measured:
    """What came of a closed loop, and the processor time of each side of it."""

    shots: Sequence[Shot]
    lasted_s: float
    processor_s: Mapping[str, float]


def _sides(stack: Stack) -> dict[str, int]:
    """Return the roots of the trees of processes that share the machine."""
    sides = {"server": stack.children[0].process.pid, "generator": os.getpid()}
    pid_file = Servers(instance=stack.instance).data / "postmaster.pid"
    if pid_file.exists():  # a database that is not ours has its processor elsewhere, or unknown
        sides["database"] = int(pid_file.read_text().split()[0])
    return sides


def _measured(
    address: tuple[str, int], requests: Sequence[bytes], sides: Mapping[str, int]
) -> _Measured:
    """Send all as fast as sixteen connections go, each waiting for its answer."""
    before_s = processor_s(sides)
    began_s = time.perf_counter()
    shots = exchanged(address, requests, connection_count=CONNECTION_COUNT)
    lasted_s = time.perf_counter() - began_s
    after_s = processor_s(sides)
    return _Measured(
        shots=shots,
        lasted_s=lasted_s,
        processor_s={name: after_s[name] - before_s[name] for name in sides},
    )


def _named(name: str, status: int, measured: _Measured) -> dict[str, Any]:
    done = [shot for shot in measured.shots if shot.status == status]
    return {
        f"{name}s_per_s": round(len(done) / measured.lasted_s, 1),
        f"{name}_p50_ms": percentile_ms(done, 0.5),
        f"{name}_p99_ms": percentile_ms(done, 0.99),
        f"{name}s_refused": len(measured.shots) - len(done),
        **{
            f"{name}_{side}_cpu_ms": round(1e3 * used_s / len(measured.shots), 2)
            for side, used_s in measured.processor_s.items()
        },
    }


class _Receiver(BaseHTTPRequestHandler):
    """Echoes the challenge, and notes when it was told of which event."""

    protocol_version = "HTTP/1.1"
    told: ClassVar[dict[str, float]] = {}

    def do_GET(self) -> None:
        """Echo."""
        self._answer(self.path.rpartition("echo=")[2].encode())

    def do_POST(self) -> None:
        """Note."""
        at = time.time()
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.told[body["object"]["id"]] = at
        self._answer(b"")

    def _answer(self, body: bytes) -> None:
        self.send_response(OK)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


def _certificate(home: Path) -> Path:
    """Write a key and a certificate of this machine for a day."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "bench")])
    now = market_now().astimezone(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=2))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]),
            critical=False,
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = home / "bench-receiver.pem"
    path.write_bytes(
        certificate.public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return path


def _webhooks(
    stack: Stack, address: tuple[str, int], token: str, certificate: Path
) -> dict[str, Any]:
    """Measure how long after an event is committed its subscriber is told."""
    # as it is deployed: who waits for others' servers is apart from who works
    stack.start_worker(concurrency=1, queues=QUEUES[:1], wait=False)
    stack.start_sender(wait=False)
    stack.start_beat(wait=False)
    stack.wait_ready()
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Receiver)
    server.daemon_threads = True
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate)
    server.socket = tls.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        wish = {
            "clientName": "bench",
            "objectOperations": [
                {
                    "objects": ["EVENT"],
                    "operations": ["CREATE"],
                    "callbackUrl": f"https://127.0.0.1:{server.server_port}/",
                }
            ],
        }
        (shot,) = exchanged(address, [_post("subscriptions", wish, token)], connection_count=1)
        if shot.status != CREATED:
            return {"webhooks_absent": f"{shot.status} {shot.body[:200]!r}"}
        return _told_within(address)
    finally:
        server.shutdown()
        server.server_close()


def _told_within(address: tuple[str, int]) -> dict[str, Any]:
    tso = Organisation.objects.filter(kind=OrganisationKind.TSO).order_by("code")[0]
    client, _ = api_client_create(organisation=tso, client_id="bench-business", scopes=BUSINESS)
    token = token_issue(client=client, asked=frozenset()).text
    (shot,) = exchanged(
        address, [_post("programs", {"programName": "told"}, token)], connection_count=1
    )
    program_id = json.loads(shot.body)["id"]
    requests = [
        _post("events", {"programID": program_id, "eventName": f"e-{n}"}, token)
        for n in range(NOTICES_COUNT)
    ]
    shots = fired(address, requests, rate_per_s=NOTICES_PER_S, connection_count=4)
    made = {json.loads(shot.body)["id"] for shot in shots if shot.status == CREATED}
    last_s = time.monotonic() + 20.0
    while made - _Receiver.told.keys() and time.monotonic() < last_s:
        time.sleep(0.05)
    sent = OutboxMessage.objects.filter(topic="openadr3").values_list("body", "created_at")
    waits_s = []
    for body, created_at in sent:
        told_s = _Receiver.told.get(json.loads(body)["object"]["id"])
        if told_s is not None:
            # the transaction's beginning: a little before its commit
            waits_s.append(told_s - created_at.timestamp())
    waits_s.sort()
    return {
        "webhooks_told": len(waits_s),
        "webhooks_lost": len(made - _Receiver.told.keys()),
        "webhook_p50_ms": round(1e3 * statistics.median(waits_s), 1),
        "webhook_p99_ms": round(1e3 * waits_s[int(0.99 * len(waits_s))], 1),
    }
