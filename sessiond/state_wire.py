"""Between the rules' states and what snapshots carry: symmetric pairs.

What only keepers of logs need (the seqs of large values) does not travel and comes out as 0. Into
the rules a word of a later version is an `InvalidArgument` that names its field.
"""

from __future__ import annotations

from sessiond.errors import InvalidArgument
from sessiond.numbers import OUTPUT_STATUS_WORD, STATUS_WORD
from sessiond.session.access import Actor, Role
from sessiond.session.conversation import Conversation
from sessiond.session.state import LastWord, Lineage, Output, OutputBody, Session, Turn
from sessiond.session.workflow import Step, Workflow
from sessiond.standing_wire import (
    UNKNOWN,
    links_from_wire,
    links_to_wire,
    members_from_wire,
    members_to_wire,
    runs_from_wire,
    runs_to_wire,
    word_of,
)
from sessiond.v1 import event_pb2, live_pb2, session_pb2
from sessiond.wire import session_to_wire, timestamp_from_wire


def state_to_wire(session: Session) -> live_pb2.SessionState:
    """Return the state without its large parts: inputs are {}, outputs and messages absent."""
    small = session._replace(user_inputs="{}", outputs={})
    turn = session.turn
    return live_pb2.SessionState(
        session=session_to_wire(small, ()),
        workflow=workflow_to_wire(session.workflow),
        message_count=session.message_count,
        last_message=session.last_message,
        title_given=session.title_given,
        agent_had_last_word=session.last_word is LastWord.AGENT,
        turn=None
        if turn is None
        else live_pb2.RunningTurn(
            turn_id=turn.id,
            agent_id=turn.agent_id,
            seq=turn.seq,
            actor=actor_to_wire(turn.actor),
            op_id=turn.op_id,
        ),
        members=members_to_wire(session.members),
        links=links_to_wire(session.links),
        runs=runs_to_wire(session.conversation.runs),
        rewound_seq=session.conversation.rewound_seq,
    )


def state_from_wire(state: live_pb2.SessionState) -> Session:
    """Return the state without its large parts: inputs are {}, and there are no outputs.

    Seqs of inputs and messages are 0. Before the first message the last word is nobody's, even if
    a decision was made: where there are outputs, the rule `awaited_agent` says the same of both.

    Raises:
        InvalidArgument: it is of a later version.
    """
    session = state.session
    last_word = LastWord.OTHER if state.message_count else LastWord.NOBODY
    return Session(
        id=session.id,
        user_id=session.user_id,
        workflow=workflow_from_wire(state.workflow),
        status=word_of(STATUS_WORD, session.status, "status"),
        current_step=session.current_step,
        created_ms=timestamp_from_wire(session.created_at),
        last_active_ms=timestamp_from_wire(session.last_active),
        user_inputs="{}",
        inputs_seq=0,
        title=session.title,
        title_given=state.title_given,
        metadata=dict(session.metadata),
        seq=session.revision,
        message_count=state.message_count,
        last_message=state.last_message,
        last_word=LastWord.AGENT if state.agent_had_last_word else last_word,
        turn=_turn(state.turn) if state.HasField("turn") else None,
        members=members_from_wire(state.members),
        links=links_from_wire(state.links),
        held=session.held,
        lineage=Lineage(session.lineage.session_id, session.lineage.seq)
        if session.HasField("lineage")
        else None,
        conversation=Conversation(state.rewound_seq, runs_from_wire(state.runs)),
    )


def output_from_wire(output_id: str, output: session_pb2.Output) -> Output:
    """Return an output of a snapshot; the seqs of its body and its decision are 0.

    Raises:
        InvalidArgument: it is of a later version.
    """
    return Output(
        body=body_from_wire(output_id, output),
        body_seq=0,
        status=word_of(OUTPUT_STATUS_WORD, output.status, "status"),
        feedback=output.user_feedback if output.HasField("user_feedback") else None,
        approved_ms=timestamp_from_wire(output.approved_at)
        if output.HasField("approved_at")
        else None,
        approved_by=output.approved_by if output.HasField("approved_by") else None,
    )


def workflow_to_wire(workflow: Workflow) -> event_pb2.Workflow:
    """Return a workflow's definition."""
    return event_pb2.Workflow(
        id=workflow.id,
        name=workflow.name,
        steps=[
            event_pb2.WorkflowStep(
                id=step.id,
                name=step.name,
                agent=step.agent,
                stage=step.stage,
                minutes=step.minutes,
            )
            for step in workflow.steps
        ],
        agent=workflow.agent,
    )


def workflow_from_wire(workflow: event_pb2.Workflow) -> Workflow:
    """Return a workflow's definition."""
    return Workflow(
        id=workflow.id,
        name=workflow.name,
        steps=tuple(
            Step(step.id, step.name, step.agent, step.stage, step.minutes)
            for step in workflow.steps
        ),
        agent=workflow.agent,
    )


def body_from_wire(output_id: str, output: session_pb2.Output) -> OutputBody:
    """Return an output as its agent made it."""
    return OutputBody(
        id=output_id,
        agent_id=output.agent_id,
        step_id=output.step_id,
        content=output.content,
        generated_ms=timestamp_from_wire(output.generated_at),
        quality_score=output.quality_score if output.HasField("quality_score") else None,
        metadata=output.metadata.text if output.HasField("metadata") else None,
    )


def _turn(turn: live_pb2.RunningTurn) -> Turn:
    return Turn(
        turn.turn_id, actor_from_wire(turn.actor), turn.op_id, agent_id_from_wire(turn), turn.seq
    )


def agent_id_from_wire(
    wire: event_pb2.TurnBegun | live_pb2.RunningTurn | live_pb2.BeginTurn,
) -> str | None:
    """Return the agent that a message of the contract names; None where it names none."""
    return wire.agent_id if wire.HasField("agent_id") else None


def actor_to_wire(actor: Actor) -> event_pb2.Actor:
    """Return who made a change."""
    wire = event_pb2.Actor()
    set_actor(wire, actor)
    return wire


def set_actor(wire: event_pb2.Actor, actor: Actor) -> None:
    """Write who made a change into where it stands."""
    wire.subject = actor.subject
    wire.role = actor.role
    wire.acting_for = actor.acting_for


def actor_from_wire(actor: event_pb2.Actor) -> Actor:
    """Return who made a change."""
    try:
        role = Role(actor.role)
    except ValueError:
        raise InvalidArgument.of("role", UNKNOWN) from None
    return Actor(actor.subject, role, actor.acting_for)
