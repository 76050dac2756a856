"""Durable, honest, exactly once: what a caller is told of a change, and what is stored of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from services.live import changes, room, stream
from services.live.forming import Formed
from services.live.operations import Answered, Operations
from services.live.outcome import Attempt, Verdict
from services.live.registration import Instance
from services.live.relay import Relay
from services.live.request import Asked
from services.live.room import Room
from services.live.writing import Writing
from sessiond.errors import SessiondError, SessionFull, Unavailable
from sessiond.session.access import Actor
from sessiond.session.changes import ApproveOutput
from sessiond.session.decide import decide
from sessiond.session.events import OutputDecided
from sessiond.session.state import OutputStatus
from sessiond.store.codec import decode_head
from sessiond.v1.ownership_pb2 import Commit
from tests.faults.check import Law
from tests.simulation.bugs.bug import breaks, every, fault, short, steps
from tests.simulation.patching import Patch

DURABLE = "durable: acknowledged is stored"
HONEST = "honest failures"
ONCE = "exactly once"
RULES = "the rules decide"


@breaks(DURABLE, Law.ACKNOWLEDGED_LOST, Law.ACKNOWLEDGED_ELSEWHERE)
def acknowledge_before_commit() -> Sequence[Patch]:
    """Give the answers of a commit when it is formed."""
    form = Room.form

    def early(self: Room) -> Formed | None:
        formed = form(self)
        if formed is not None:
            formed.give()
        return formed

    return [(Room, "form", early)]


@breaks(HONEST, Law.FAILED_STORED, needs=fault("ambiguous", seconds=2.0))
def settle_by_reading() -> Sequence[Patch]:
    """Take a write of unknown fate for one that failed, when a read does not show it."""

    settled = Writing._settled

    async def read(self: Writing, instance: Instance, formed: Formed, attempt: Attempt) -> Verdict:
        if isinstance(formed.write, Commit) and attempt.unknown:
            try:
                head = decode_head(await self._store.read_head(formed.session.id))
            except SessiondError:
                pass
            else:
                if head.meta.commit_id == attempt.commit_id:
                    return Verdict.COMMITTED
                for request, _ in formed.answers:
                    request.give(SessionFull())
                return Verdict.PUT_OFF
        return await settled(self, instance, formed, attempt)

    return [(Writing, "_settled", read)]


@breaks(HONEST, Law.FAILED_STORED, needs=fault("away", seconds=3.0))
def tell_unknown_as_failed() -> Sequence[Patch]:
    """Say that nothing was changed, where nobody knows."""
    return [(changes, "OutcomeUnknown", Unavailable)]


@breaks(ONCE, Law.UNASKED_STORED, Law.ACKNOWLEDGED_LOST)
def retry_with_a_new_op_id() -> Sequence[Patch]:
    """Ask again under another name, where the first try has no answer."""
    asked: set[tuple[Actor, str]] = set()
    forwarded: set[tuple[str, str]] = set()
    call = Relay.call

    def again(request: Asked, **more: Any) -> Asked:
        op_id = f"{request.op_id}-again" if request.key in asked else request.op_id
        asked.add(request.key)
        return replace(request, op_id=op_id, **more)

    async def forward(self: Relay, peer: Any, request: Any, *more: Any, **also: Any) -> Any:
        key = request.session_id, request.op_id
        if key in forwarded:
            request.op_id = f"{request.op_id}-again"
        forwarded.add(key)
        return await call(self, peer, request, *more, **also)

    return [(changes, "replace", again), (Relay, "call", forward)]


crash = fault("crash")


@breaks(ONCE, Law.ACKNOWLEDGED_TWICE, Law.UNKNOWN_TWICE, needs=crash)
def forget_operations() -> Sequence[Patch]:
    """Know no operation ids after a takeover."""
    init: Callable[..., None] = Operations.__init__

    def empty(self: Operations, records: Any, *more: Any, **also: Any) -> None:
        init(self, (), *more, **also)

    return [(Operations, "__init__", empty)]


@breaks(ONCE, Law.ACKNOWLEDGED_TWICE, Law.UNKNOWN_TWICE, needs=every(short, crash))
def look_no_further_back() -> Sequence[Patch]:
    """Know only the operation ids of the few changes that were loaded with a session."""

    async def nothing(*asked: Any) -> None:
        return None

    return [
        (changes, "recall", nothing),
        (stream, "recall", nothing),
        (stream, "look_back", nothing),
    ]


@breaks(ONCE, Law.ACKNOWLEDGED_LOST, needs=lambda schedule: schedule.twin)
def know_others_operations() -> Sequence[Patch]:
    """Take an operation id for the same one, whoever says it."""
    find = Operations.find

    def whoever(self: Operations, actor: Actor, op_id: str, change_hash: bytes) -> Answered | None:
        for (_, known), answered in self._recorded.items():
            if known == op_id and answered.hash == change_hash:
                return answered
        return find(self, actor, op_id, change_hash)

    return [(Operations, "find", whoever)]


@breaks(RULES, Law.EXPECTATION_IGNORED)
def ignore_expectations() -> Sequence[Patch]:
    """Make a change whatever revision it expects."""
    check = Room._check

    def careless(self: Room, request: Asked, session: Any) -> Answered | None:
        request.expected_revision = None
        return check(self, request, session)

    return [(Room, "_check", careless)]


@breaks(RULES, Law.DECIDED_TWICE, needs=steps)
def decide_again() -> Sequence[Patch]:
    """Decide on an output that is decided."""

    def again(session: Any, change: Any, **more: Any) -> Any:
        if isinstance(change, ApproveOutput) and change.output_id is not None:
            output = session.outputs.get(change.output_id)
            if output is not None and output.status is not OutputStatus.PENDING:
                return (OutputDecided(output.body.id, change.decision, change.feedback),)
        return decide(session, change, **more)

    return [(room, "decide", again)]
