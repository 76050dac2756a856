"""What the readable forms tell of a session: its facts, its conversation, its outputs.

Only at its end does a log say what of it counts, since a rewind takes away what stands before it.
So it is kept in a file without a name while it is read, and told from there; of an event no more
than its place stays in memory.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from tempfile import SpooledTemporaryFile
from types import TracebackType
from typing import NamedTuple, Self

from sessiond.event_wire import workflow_from_wire
from sessiond.mapping.spelling import time_text
from sessiond.numbers import OUTPUT_STATUS_WORD, SENDER_WORD, TURN_OUTCOME_WORD
from sessiond.session.conversation import WHOLE, Conversation
from sessiond.session.state import OutputStatus, Sender, TurnOutcome
from sessiond.session.workflow import Step, Workflow
from sessiond.standing_wire import runs_from_wire
from sessiond.v1 import event_pb2
from sessiond.v1.session_pb2 import Message, SessionSummary
from sessiond.v1.store_pb2 import HistoryEvent

_IN_MEMORY = 1024 * 1024
_LINE_ENDS = re.compile(r"\r\n|[\r\u2028\u2029]")
# What would take a terminal over, or turn the text around it: other people wrote these texts.
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_TURNING = re.compile(r"[\u202a-\u202e\u2066-\u2069]")


class Said(NamedTuple):
    """One message; `note` says how its turn ended, where it did not end well."""

    who: str
    sender: Sender
    when: str
    text: str
    note: str


class Made(NamedTuple):
    """One output. `by` decided it, and said `feedback`; "" while it waits."""

    id: str
    step: str
    agent: str
    status: OutputStatus
    when: str
    text: str
    by: str
    decided: str
    feedback: str


@dataclass(slots=True)
class _Output:
    """Where an output is to be found; `decision_seq` 0 while it waits."""

    status: OutputStatus
    body_seq: int
    decision_seq: int = 0


class Story:
    """A session as it is told; to be used with `with`. `add` takes its events in order."""

    def __init__(self, session: SessionSummary) -> None:
        self.session = session
        self.workflow = Workflow("", "")
        self._conversation: Conversation = WHOLE
        self._messages: list[int] = []
        self._outputs: dict[str, _Output] = {}
        self._places: dict[int, tuple[int, int]] = {}
        self._kept = SpooledTemporaryFile(max_size=_IN_MEMORY)  # noqa: SIM115

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._kept.close()

    def add(self, told: HistoryEvent) -> None:
        """Take the next event."""
        event = told.event
        match event.WhichOneof("event"):
            case "session_created":
                self.workflow = workflow_from_wire(event.session_created.workflow)
            case "message_appended":
                self._messages.append(event.seq)
                self._keep(event)
            case "turn_ended" if event.turn_ended.HasField("message"):
                self._messages.append(event.seq)
                self._keep(event)
            case "output_submitted":
                output_id = event.output_submitted.output_id
                self._outputs[output_id] = _Output(OutputStatus.PENDING, event.seq)
                self._keep(event)
            case "output_edited":
                self._outputs[event.output_edited.output_id].body_seq = event.seq
                self._keep(event)
            case "output_decided":
                output = self._outputs[event.output_decided.output_id]
                output.status = OUTPUT_STATUS_WORD[event.output_decided.status]
                output.decision_seq = event.seq
                self._keep(event)
            case "rewound":
                self._go_back(event)

    # --- what is told --------------------------------------------------------------------------

    @property
    def title(self) -> str:
        """The title, on one line; the id where there is none."""
        return line(self.session.title) or self.session.id

    @property
    def steps(self) -> Sequence[tuple[Step, bool]]:
        """The steps of the workflow, and whether each is done."""
        done = self.session.progress.completed_steps
        return [(step, place < done) for place, step in enumerate(self.workflow.steps)]

    def messages(self) -> Iterator[Said]:
        """Yield the messages of the conversation, oldest first."""
        for seq in self._messages:
            if self._conversation.holds(seq):
                yield self._said(self._event(seq))

    def outputs(self) -> Iterator[Made]:
        """Yield the outputs, in the order of their submission."""
        names = {step.id: step.name for step in self.workflow.steps}
        for output_id, place in self._outputs.items():
            event = self._event(place.body_seq)
            which = event.WhichOneof("event")
            output = (
                event.output_edited if which == "output_edited" else event.output_submitted
            ).output
            by = decided = feedback = ""
            if place.decision_seq:
                decision = self._event(place.decision_seq)
                by, decided = _actor(decision), when(time_text(decision.time))
                feedback = text(decision.output_decided.feedback)
            yield Made(
                id=output_id,
                step=line(names.get(output.step_id, output.step_id)),
                agent=line(output.agent_id),
                status=place.status,
                when=when(time_text(output.generated_at)),
                text=text(output.content),
                by=by,
                decided=decided,
                feedback=feedback,
            )

    # --- inside --------------------------------------------------------------------------------

    def _go_back(self, event: event_pb2.Event) -> None:
        rewound = event.rewound
        self._conversation = Conversation(event.seq, runs_from_wire(rewound.runs))
        self._outputs = {
            row.output_id: _Output(OUTPUT_STATUS_WORD[row.status], row.body_seq, row.decision_seq)
            for row in rewound.outputs
        }

    def _keep(self, event: event_pb2.Event) -> None:
        data = event.SerializeToString()
        self._places[event.seq] = (self._kept.tell(), len(data))
        self._kept.write(data)

    def _event(self, seq: int) -> event_pb2.Event:
        place, length = self._places[seq]
        self._kept.seek(place)
        return event_pb2.Event.FromString(self._kept.read(length))

    def _said(self, event: event_pb2.Event) -> Said:
        note = ""
        message: Message = event.message_appended.message
        if event.WhichOneof("event") == "turn_ended":
            message = event.turn_ended.message
            outcome = TURN_OUTCOME_WORD[event.turn_ended.outcome]
            note = "" if outcome is TurnOutcome.COMPLETED else outcome.value
        sender = SENDER_WORD[message.sender]
        by = line(message.agent_id) or sender.value
        who = _actor(event) if sender is Sender.USER else by
        return Said(who, sender, when(time_text(message.timestamp)), text(message.content), note)


def text(written: str) -> str:
    """Return what somebody wrote with plain line ends, and without what acts on its surroundings.

    Control characters are replaced; those that turn the direction of what follows are left out.
    """
    plain = _CONTROL.sub("\ufffd", _LINE_ENDS.sub("\n", written))
    return _TURNING.sub("", plain)


def line(written: str) -> str:
    """Return what somebody wrote as one line."""
    return " ".join(text(written).split())


def when(spelled: str) -> str:
    """Return a time, spelled by RFC 3339 in UTC, as people read it."""
    return f"{datetime.fromisoformat(spelled):%Y-%m-%d %H:%M:%S} UTC"


def _actor(event: event_pb2.Event) -> str:
    return line(event.actor.acting_for or event.actor.subject)
