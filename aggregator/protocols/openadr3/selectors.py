# ruff: noqa: S608 - statements are put together of pieces that stand here; values are parameters
"""What a client may see: object privacy, target granting and target hiding, in one place.

A site's client sees its own vens, resources, reports and subscriptions; programs and events
without targets, and those whose targets meet the ones granted to its vens and resources by whoever
made the program. Of an object's targets it sees only its own. A client of business logic (of the
aggregator or a grid operator) sees what its organisation made, and what was said about that.

Statements are put together of pieces that stand here; whatever a client names is a parameter.

Every list, every single object and every notification is made by :func:`rows_shown`: one
statement, one rule.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from django.db import connection

from accounts.core.together import Together
from accounts.parties.models import ApiClient, OrganisationKind
from aggregator.dispatch.models import InstructionState
from aggregator.protocols.openadr3.asking import AT_ONCE_MAX, Question, rows_of
from aggregator.protocols.openadr3.models import ObjectKind

# An order that is void must not be read as one: its event is gone, as if deleted.
LISTED_STATES = (
    InstructionState.SENT,
    InstructionState.ACKNOWLEDGED,
    InstructionState.ACTIVE,
    InstructionState.FINISHED,
    InstructionState.OPTED_OUT,
    # until the changed version is told on it
    InstructionState.PARTIAL,
    InstructionState.EXTENDED,
)
# Events of the platform itself leave the lists so long after their end; by id they stay.
LISTED_DAYS: Final = 8
BUSINESS_KINDS: Final = (OrganisationKind.AGGREGATOR, OrganisationKind.TSO)
BUSINESS_SCOPES: Final = frozenset({"read_all", "write_programs", "write_events"})
Grants = Mapping[UUID | None, frozenset[str]]


@dataclass(frozen=True, kw_only=True)
class Caller:
    """The client behind a request, with the scopes of its token.

    Parameters
    ----------
    kind
        Of its organisation; looked up if it is not given.
    grants
        Targets of its vens and resources, by the organisation that granted them.
    market_at
        The market's time when it was read.
    """

    client: ApiClient
    scopes: frozenset[str]
    kind: str = ""
    grants: Grants = field(default_factory=dict)
    market_at: datetime | None = None

    @property
    def is_business(self) -> bool:
        """Whether this is business logic: of the aggregator or of a grid operator."""
        kind = self.kind or self.client.organisation.kind
        return kind in BUSINESS_KINDS and not BUSINESS_SCOPES.isdisjoint(self.client.scopes)

    @property
    def owner_id(self) -> UUID | None:
        """Whose objects this business logic writes: its organisation's, or the platform's."""
        kind = self.kind or self.client.organisation.kind
        return None if kind == OrganisationKind.AGGREGATOR else self.client.organisation_id


@dataclass(frozen=True)
class Sql:
    """A piece of a statement with its parameters."""

    text: str
    given: tuple[Any, ...] = ()

    def __and__(self, other: Sql) -> Sql:
        return Sql(f"({self.text}) AND ({other.text})", self.given + other.given)

    def __or__(self, other: Sql) -> Sql:
        return Sql(f"({self.text}) OR ({other.text})", self.given + other.given)


@dataclass(frozen=True, kw_only=True)
class Shown:
    """An object as one client is shown it.

    Parameters
    ----------
    text
        The JSON of OpenADR 3.1.
    body_3_0
        What was sent through 3.0.1, if it was.
    """

    id: UUID
    text: str
    targets: tuple[str, ...] | None
    body_3_0: Mapping[str, Any] | None = None


@dataclass(frozen=True, kw_only=True)
class _Shape:
    """How a kind of object lies in tables: `o` is the object, `p` the program that it is of."""

    source: str
    owner: str
    stamps: str
    own_client: str


_SHAPES: Final[Mapping[str, _Shape]] = {
    ObjectKind.PROGRAM: _Shape(
        source="openadr3_program o",
        owner="o.organisation_id",
        stamps="'programName', o.name",
        own_client="",
    ),
    ObjectKind.EVENT: _Shape(
        source="openadr3_event o JOIN openadr3_program p ON p.id = o.program_id "
        "LEFT JOIN dispatch_dispatchinstruction i ON i.id = o.instruction_id",
        owner="p.organisation_id",
        stamps="'programID', o.program_id",
        own_client="",
    ),
    ObjectKind.REPORT: _Shape(
        source="openadr3_report o JOIN openadr3_event e ON e.id = o.event_id "
        "JOIN openadr3_program p ON p.id = e.program_id "
        "JOIN parties_apiclient c ON c.id = o.client_id",
        owner="p.organisation_id",
        stamps="'eventID', o.event_id, 'clientID', c.client_id",
        own_client="o.client_id",
    ),
    ObjectKind.SUBSCRIPTION: _Shape(
        source="openadr3_subscription o JOIN parties_apiclient c ON c.id = o.client_id",
        owner="c.organisation_id",
        stamps="'programID', o.program_id, 'clientID', c.client_id",
        own_client="o.client_id",
    ),
    ObjectKind.VEN: _Shape(
        source="openadr3_ven o JOIN parties_apiclient c ON c.id = o.client_id",
        owner="o.organisation_id",
        stamps="'venName', o.name, 'clientID', c.client_id",
        own_client="o.client_id",
    ),
    ObjectKind.RESOURCE: _Shape(
        source="openadr3_venresource o JOIN openadr3_ven v ON v.id = o.ven_id "
        "JOIN parties_apiclient c ON c.id = v.client_id",
        owner="v.organisation_id",
        stamps="'resourceName', o.name, 'venID', o.ven_id, 'clientID', c.client_id",
        own_client="v.client_id",
    ),
}
TARGETED: Final = (ObjectKind.PROGRAM, ObjectKind.EVENT)
TRUE: Final = Sql("true")


def caller_read(client_id: UUID) -> tuple[Caller, int, bool] | None:
    """Return a client as it stands now, its token epoch and whether it is active, if it exists.

    Nothing is kept between requests, so that what is switched off is refused at once; callers
    that come while a query is under way share the next one.
    """
    if connection.in_atomic_block:
        return _callers_read([client_id])[0]
    return _callers_together.of(client_id)


def _callers_read(client_ids: Sequence[UUID]) -> list[tuple[Caller, int, bool] | None]:
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            SELECT c.id, c.client_id, c.scopes::text, c.organisation_id, o.kind, c.token_epoch,
                   c.is_active, market_now(), ({_GRANTS_OF})::text
            FROM parties_apiclient c JOIN parties_organisation o ON o.id = c.organisation_id
            WHERE c.id = ANY(%s)
            """,
            [list(set(client_ids))],
        )
        found = {row[0]: _caller(row) for row in cursor.fetchall()}
    return [found.get(client_id) for client_id in client_ids]


def _caller(row: Sequence[Any]) -> tuple[Caller, int, bool]:
    client_id, name, scopes, organisation_id, kind, epoch, is_active, market_at, grants = row
    known = json.loads(scopes)
    client = ApiClient(id=client_id, client_id=name, organisation_id=organisation_id, scopes=known)
    caller = Caller(
        client=client,
        scopes=frozenset(known),
        kind=kind,
        grants=_grants(json.loads(grants) if grants else ()),
        market_at=market_at,
    )
    return caller, epoch, is_active


_callers_together: Final[Together[UUID, tuple[Caller, int, bool] | None]] = Together(
    _callers_read, count_max=AT_ONCE_MAX
)
_GRANTS_OF: Final = """
    SELECT json_agg(DISTINCT jsonb_build_array(g.owner, g.target)) FROM (
        SELECT v.organisation_id AS owner, unnest(v.targets) AS target
        FROM openadr3_ven v WHERE v.client_id = c.id AND v.removed_at IS NULL
        UNION ALL
        SELECT v.organisation_id, unnest(r.targets)
        FROM openadr3_ven v JOIN openadr3_venresource r ON r.ven_id = v.id
        WHERE v.client_id = c.id AND v.removed_at IS NULL AND r.removed_at IS NULL) g
"""


def grants_read(
    client_ids: Collection[UUID], *, names: Collection[str] | None = None
) -> dict[UUID, Grants]:
    """Return what is granted to each client; of it only these names, if any are given."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT c.id, ({_GRANTS_OF})::text FROM parties_apiclient c WHERE c.id = ANY(%s)",
            [list(client_ids)],
        )
        rows = cursor.fetchall()
    found = {}
    for client_id, text in rows:
        pairs = json.loads(text) if text else ()
        found[client_id] = _grants(p for p in pairs if names is None or p[1] in names)
    return found


def _grants(pairs: Iterable[Sequence[str | None]]) -> Grants:
    by_owner: dict[UUID | None, set[str]] = {}
    for owner, target in pairs:
        by_owner.setdefault(None if owner is None else UUID(owner), set()).add(str(target))
    return {owner: frozenset(targets) for owner, targets in by_owner.items()}


def granted_names(caller: Caller) -> frozenset[str]:
    """Every target granted to the caller, by whomever."""
    return frozenset().union(*caller.grants.values())


def rows_shown(
    kind: str,
    caller: Caller,
    *,
    where: Sql = TRUE,
    targets: Collection[str] = (),
    skip: int = 0,
    limit: int = 50,
    is_list: bool = True,
    with_void: bool = False,
) -> list[Shown]:
    """Return the objects of a kind that the caller sees, the oldest first, as it is shown them.

    Parameters
    ----------
    where
        Further conditions; `o` is the object.
    targets
        Keep what meets one of these; asking for another's adds nothing.
    is_list
        Whether events of the platform that are long over are left out.
    with_void
        Whether events of orders that are void are shown, to tell that they are gone.
    """
    shape = _SHAPES[kind]
    shown = _targets_shown(kind, shape, caller)
    condition = _condition(kind, shape, caller, with_void=with_void) & where
    if kind == ObjectKind.EVENT and is_list:
        condition &= Sql(
            # without an end (a conditional connection) it holds until something else is said
            "o.key IS NULL OR o.ends_at IS NULL"
            f" OR o.ends_at > market_now() - make_interval(days => {LISTED_DAYS})"
        )
    if targets:
        condition &= _asked(kind, shape, caller, targets)
    question = Question(
        columns=f"""
            o.id, (o.body || jsonb_build_object(
                'id', o.id, 'createdDateTime', openadr3_date_time(o.created_at),
                'modificationDateTime', openadr3_date_time(o.modified_at),
                'objectType', '{ObjectKind(kind).value}', {shape.stamps}, 'targets', t.shown)
            )::text, t.shown::text, o.body_3_0::text,
            jsonb_path_exists(o.body, '$.reportDescriptors[*].targets[*]')
        """,
        source=f"{shape.source} CROSS JOIN LATERAL ({shown.text}) t(shown) WHERE {condition.text}",
        order="o.created_at, o.id",
        limit=limit,
        skip=skip,
        given=shown.given + condition.given,
    )
    return [_shown(caller, *row) for row in rows_of(question)]


def object_shown(
    kind: str, caller: Caller, object_id: UUID | None, *, with_void: bool = False
) -> Shown | None:
    """Return one object, or None if there is none or it is hidden: the two are not told apart."""
    if object_id is None:
        return None
    found = rows_shown(
        kind,
        caller,
        where=Sql("o.id = %s", (object_id,)),
        limit=1,
        is_list=False,
        with_void=with_void,
    )
    return found[0] if found else None


def object_is_seen(kind: str, caller: Caller, object_id: UUID) -> bool:
    """Whether the caller would be shown an object."""
    shape = _SHAPES[kind]
    condition = _condition(kind, shape, caller) & Sql("o.id = %s", (object_id,))
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT EXISTS (SELECT FROM {shape.source} WHERE {condition.text})",
            condition.given,
        )
        return bool(cursor.fetchone()[0])


def _condition(kind: str, shape: _Shape, caller: Caller, *, with_void: bool = False) -> Sql:
    """Say that an object is there and the caller may see it."""
    condition = Sql("o.removed_at IS NULL") & _visible(kind, shape, caller)
    if kind == ObjectKind.EVENT and not with_void:
        condition &= Sql(f"i.id IS NULL OR i.state = ANY('{{{','.join(LISTED_STATES)}}}')")
    if kind == ObjectKind.REPORT:
        condition &= Sql("e.removed_at IS NULL")
    return condition


def events_void(*, count: int) -> list[tuple[UUID, UUID]]:
    """Return events, with their programs, whose orders are void and whose subscribers don't know.

    Locked until the transaction ends; those that another worker has are left out.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT e.id, e.program_id FROM openadr3_event e
            JOIN dispatch_dispatchinstruction i ON i.id = e.instruction_id
            WHERE e.ends_at > market_now() - interval '1 day' AND e.void_told_at IS NULL
              AND e.removed_at IS NULL AND i.state <> ALL(%s) AND i.state <> 'PLANNED'
            ORDER BY e.ends_at, e.id LIMIT %s FOR UPDATE OF e SKIP LOCKED
            """,
            [list(LISTED_STATES), count],
        )
        return list(cursor.fetchall())


def event_where(*, active: bool | None = None, program_id: UUID | None = None) -> Sql:
    """Narrow a list of events: by program, and to those that are not over."""
    found = TRUE
    if program_id is not None:
        found &= Sql("o.program_id = %s", (program_id,))
    if active:
        found &= Sql("o.ends_at IS NULL OR o.ends_at > market_now()")
    return found


def _visible(kind: str, shape: _Shape, caller: Caller) -> Sql:
    if caller.is_business:
        owner = caller.owner_id
        if kind == ObjectKind.SUBSCRIPTION:
            owner = caller.client.organisation_id
        if owner is None:
            return Sql(f"{shape.owner} IS NULL")
        return Sql(f"{shape.owner} = %s", (owner,))
    if shape.own_client:
        return Sql(f"{shape.own_client} = %s", (caller.client.id,))
    if kind == ObjectKind.PROGRAM:
        return Sql("o.targets = '{}'") | _granted("o.targets", shape.owner, caller)
    # an event that names no target of its own is for those its program is for
    program = Sql("p.targets = '{}'") | _granted("p.targets", shape.owner, caller)
    return (Sql("o.targets = '{}'") & program) | _granted("o.targets", shape.owner, caller)


def _granted(column: str, owner: str, caller: Caller) -> Sql:
    """Say that a column of targets meets what the program's owner granted to the caller."""
    found = Sql("false")
    for owner_id, names in caller.grants.items():
        found |= _of_owner(owner, owner_id) & Sql(f"{column} && %s::varchar[]", (sorted(names),))
    return found


def _of_owner(column: str, owner_id: UUID | None) -> Sql:
    return Sql(f"{column} IS NULL") if owner_id is None else Sql(f"{column} = %s", (owner_id,))


def _targets_shown(kind: str, shape: _Shape, caller: Caller) -> Sql:
    """Return the targets of an object that the caller is shown; null where it has none."""
    if kind == ObjectKind.REPORT:
        return Sql("SELECT NULL::jsonb")
    if kind not in TARGETED:
        return Sql("SELECT to_jsonb(o.targets)")
    if caller.is_business:
        return Sql("SELECT CASE WHEN o.targets <> '{}' THEN to_jsonb(o.targets) END")
    own = Sql("false")
    for owner_id, names in caller.grants.items():
        own |= _of_owner(shape.owner, owner_id) & Sql("u.name = ANY(%s)", (sorted(names),))
    return Sql(
        "SELECT CASE WHEN o.targets <> '{}' THEN to_jsonb(ARRAY("
        "SELECT u.name FROM unnest(o.targets) WITH ORDINALITY AS u(name, n) "
        f"WHERE {own.text} ORDER BY u.n)) END",
        own.given,
    )


def _asked(kind: str, shape: _Shape, caller: Caller, targets: Collection[str]) -> Sql:
    if kind in TARGETED and not caller.is_business:
        narrowed = {owner: names & set(targets) for owner, names in caller.grants.items()}
        return _granted("o.targets", shape.owner, replace(caller, grants=narrowed))
    return Sql("o.targets && %s::varchar[]", (sorted(targets),))


def _shown(
    caller: Caller,
    row_id: UUID,
    text: str,
    targets: str | None,
    body_3_0: str | None,
    has_inner: bool,  # noqa: FBT001
) -> Shown:
    return Shown(
        id=row_id,
        text=_inner_hidden(caller, text) if has_inner and not caller.is_business else text,
        targets=None if targets is None else tuple(json.loads(targets) or ()),
        body_3_0=None if body_3_0 is None else json.loads(body_3_0),
    )


def _inner_hidden(caller: Caller, text: str) -> str:
    """Hide others' targets in what an event asks to be reported, too."""
    body = json.loads(text)
    names = granted_names(caller)
    for descriptor in body["reportDescriptors"]:
        if descriptor.get("targets"):
            descriptor["targets"] = [name for name in descriptor["targets"] if name in names]
    return json.dumps(body, ensure_ascii=False)
