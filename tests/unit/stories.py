"""Sessions lived through in memory: changes go in, records and states come out."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import yaml

from sessiond.errors import FieldViolation, InvalidArgument
from sessiond.session.access import Identity, Role
from sessiond.session.apply import apply, message_of
from sessiond.session.changes import (
    BeginTurn,
    Change,
    CreateSession,
    RewindSession,
    SubmitOutput,
    fingerprint,
)
from sessiond.session.decide import create, decide
from sessiond.session.events import Event, Record, TurnEnded
from sessiond.session.limits import DEFAULT_LIMITS, Limits
from sessiond.session.rewinding import fill, filled_from, fold
from sessiond.session.state import Message, Session
from sessiond.session.workflow import Workflow, parse

WORKFLOWS = Path(__file__).resolve().parents[2] / "workflows"


def workflow(name: str) -> Workflow:
    """The shipped workflow of this name."""
    return parse(yaml.safe_load((WORKFLOWS / f"{name}.yaml").read_text(encoding="utf-8")))


MASTER = workflow("master-workflow-v2")
CHAT = workflow("chat")

ALICE = Identity("alice")
ADMIN = Identity("root", Role.ADMIN)
SERVICE = Identity("crm", Role.SERVICE, acting_for="alice")
CONSULTANT = Identity("worker-1", Role.AGENT, agents=frozenset({"gtm-consultant"}))
GUEST_AGENT = Identity("worker-2", Role.AGENT, sessions=frozenset({"s-1"}))


def created(
    *,
    workflow: Workflow | None = MASTER,
    identity: Identity = ALICE,
    session_id: str = "s-1",
    limits: Limits = DEFAULT_LIMITS,
    **asked: Any,
) -> Event:
    """Decide about a creation."""
    return create(
        CreateSession(**asked),
        workflow=workflow,
        session_id=session_id,
        identity=identity,
        limits=limits,
    )


@dataclass
class Story:
    """One session from its creation on. `now_ms` moves a second with every change.

    `text` is what has been written in the running turn; a turn that ends leaves none.
    """

    workflow: Workflow = MASTER
    limits: Limits = DEFAULT_LIMITS
    asked: dict[str, Any] = field(default_factory=dict)
    now_ms: int = 1_700_000_000_000
    text: str = ""
    session: Session = field(init=False)
    records: list[Record] = field(init=False)
    ids: Iterator[int] = field(init=False)

    def __post_init__(self) -> None:
        self.ids = count(1)
        event = created(workflow=self.workflow, limits=self.limits, **self.asked)
        self.records = [Record(1, self.now_ms, ALICE.actor, event, "op-0", b"\1" * 16)]
        self.session = apply(None, self.records[0])

    def decide(self, change: Change, identity: Identity = ALICE) -> tuple[Event, ...]:
        """Decide about a change without making it."""
        return decide(
            self.session,
            change,
            identity=identity,
            now_ms=self.now_ms,
            new_id=lambda: f"id-{next(self.ids)}",
            limits=self.limits,
            text=self.text,
            past=self.past_of(change),
        )

    def past_of(self, change: Change) -> Session | None:
        """The session as it was where a rewind goes back to; None for every other change."""
        if isinstance(change, RewindSession) and 1 <= change.to_seq <= self.session.seq:
            return fill(fold(None, self.records[: change.to_seq]), self.records)
        return None

    def make(
        self, change: Change, identity: Identity = ALICE, *, after_ms: int = 1000
    ) -> tuple[Event, ...]:
        """Decide about a change and make it."""
        self.now_ms += after_ms
        past = self.past_of(change)
        events = self.decide(change, identity)
        for event in events:
            record = Record(
                seq=self.session.seq + 1,
                time_ms=self.now_ms,
                actor=identity.actor,
                event=event,
                op_id=f"op-{self.session.seq}",
                hash=fingerprint(change),
                epoch=3,
                instance=b"i" * 16,
                commit_id=b"c" * 16,
            )
            self.records.append(record)
            self.session = apply(self.session, record)
            if isinstance(event, TurnEnded):
                self.text = ""
            if past is not None:
                self.session = filled_from(self.session, past)
        return events

    def begin(self, identity: Identity = CONSULTANT, text: str = "") -> str:
        """Begin a turn, write a text in it, and return its id."""
        self.make(BeginTurn(), identity)
        self.text = text
        assert self.session.turn is not None
        return self.session.turn.id

    def submit(self, output_id: str, **asked: Any) -> None:
        """Submit an output for the current step, as a service."""
        self.make(SubmitOutput(f"about {output_id}", output_id=output_id, **asked), SERVICE)

    @property
    def messages(self) -> list[Message]:
        """The whole conversation."""
        holds = self.session.conversation.holds
        return [
            message
            for record in self.records
            if holds(record.seq) and (message := message_of(record))
        ]

    @property
    def event(self) -> Event:
        """What happened last."""
        return self.records[-1].event


def bad_fields(refused: pytest.ExceptionInfo[InvalidArgument]) -> list[str]:
    """The fields that the error names, in order, each once."""
    return list(dict.fromkeys(violation.field for violation in refused.value.violations))


def violations(refused: pytest.ExceptionInfo[InvalidArgument]) -> tuple[FieldViolation, ...]:
    """All that the error names."""
    return refused.value.violations
