"""Deciding: what a change means for a session, as events, or why it is refused.

Form comes first, with every bad field at once; then what the caller may say; then the session's
state; room in the session comes last. Whether the caller may enter the session at all is checked
before, by `access.check_access`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import assert_never

from sessiond.errors import PermissionDenied, SessionCompleted, Violations
from sessiond.session import sharing
from sessiond.session.access import Identity
from sessiond.session.capacity import check_count
from sessiond.session.changes import (
    AbandonTurn,
    AppendMessage,
    ApproveOutput,
    BeginTurn,
    CancelTurn,
    Change,
    CreateSession,
    DeleteSession,
    EditOutput,
    EndTurn,
    JoinSession,
    MakeLink,
    PauseSession,
    ResumeSession,
    RevokeLink,
    RewindSession,
    SetHold,
    ShareSession,
    SubmitOutput,
    TransferSession,
    UnshareSession,
    UpdateSession,
)
from sessiond.session.checks import (
    check_metadata,
    check_session_id,
    check_title,
    check_user_id,
)
from sessiond.session.events import (
    Event,
    SessionCreated,
    SessionPaused,
    SessionResumed,
    SessionUpdated,
)
from sessiond.session.holding import check_deletion, set_hold
from sessiond.session.jsontext import check_object, merge_patch, same_object
from sessiond.session.limits import Limits
from sessiond.session.messages import append_message
from sessiond.session.outputs import approve_output, edit_output, submit_output
from sessiond.session.rewinding import rewind
from sessiond.session.state import Session, Status, TurnOutcome
from sessiond.session.templates import check_template_name
from sessiond.session.turns import begin_turn, end_turn, stop_turn
from sessiond.session.workflow import Workflow


def create(
    change: CreateSession,
    *,
    workflow: Workflow | None,
    session_id: str,
    identity: Identity,
    limits: Limits,
) -> SessionCreated:
    """Return the event that begins a session, owned by the user that the caller is or acts for.

    Args:
        workflow: the definition that the change names; None when there is none of that name.
        session_id: `change.id`, or the id that the server gives.

    Raises:
        InvalidArgument: with every bad field.
        PermissionDenied: the caller owns no sessions: an agent, or a service that acts for nobody.
    """
    found = Violations()
    check_session_id(session_id, "id", found)
    if workflow is None:
        found.add("workflow_id", "must be the id of a workflow of this installation")
    check_title(change.title or "", "title", found, limits=limits)
    check_metadata(change.metadata, "metadata", found, limits=limits)
    if change.template is not None:
        check_template_name(change.template, "template", found)
    _check_inputs(change.user_inputs, found, limits)
    if identity.user_id:
        check_user_id(identity.user_id, "user_id", found, limits=limits)
    found.check()
    if workflow is None or not identity.user_id:
        raise PermissionDenied("Only users, and services acting for one, create sessions.")
    return SessionCreated(
        session_id=session_id,
        user_id=identity.user_id,
        workflow=workflow,
        user_inputs="{}" if change.user_inputs is None else change.user_inputs,
        title=change.title or "",
        metadata=dict(change.metadata),
    )


def decide(
    session: Session,
    change: Change,
    *,
    identity: Identity,
    now_ms: int,
    new_id: Callable[[], str],
    limits: Limits,
    text: str = "",
    secret_hash: bytes = b"",
    past: Session | None = None,
) -> tuple[Event, ...]:
    """Return what the change does to the session; () when it leaves it as it is.

    Nothing changes when the same decision is repeated, a paused session is paused, one that is
    not paused is resumed, a hold stands already, an update or an edit gives what is there already,
    or a rewind goes to where the session stands. A deletion ends the log instead of lengthening it:
    it gives no event, and its caller writes the tombstone.

    Args:
        now_ms: when an output that the change makes was generated.
        new_id: gives the ids of messages, outputs and turns; not called for a refused change.
        text: everything written so far in the turn that runs; "" where none does.
        secret_hash: the SHA-256 of the secret of a link that is made.
        past: the session as it was where a rewind goes back to, whole; None for other changes.

    Raises:
        SessiondError: why not; the session stays as it is.
    """
    events = _decide(
        session,
        change,
        identity=identity,
        now_ms=now_ms,
        new_id=new_id,
        limits=limits,
        text=text,
        secret_hash=secret_hash,
        past=past,
    )
    for seq, event in enumerate(events, session.seq + 1):
        check_count(seq, event, limits)
    return events


def _decide(
    session: Session,
    change: Change,
    *,
    identity: Identity,
    now_ms: int,
    new_id: Callable[[], str],
    limits: Limits,
    text: str,
    secret_hash: bytes,
    past: Session | None,
) -> tuple[Event, ...]:
    match change:
        case AppendMessage():
            return append_message(session, change, identity=identity, new_id=new_id, limits=limits)
        case UpdateSession():
            return _update_session(session, change, limits=limits)
        case SubmitOutput():
            return submit_output(
                session, change, identity=identity, now_ms=now_ms, new_id=new_id, limits=limits
            )
        case EditOutput():
            return edit_output(session, change, now_ms=now_ms, limits=limits)
        case ApproveOutput():
            return approve_output(session, change, limits=limits)
        case PauseSession():
            if session.status is Status.COMPLETED:
                raise SessionCompleted
            return () if session.status is Status.PAUSED else (SessionPaused(),)
        case ResumeSession():
            return (SessionResumed(),) if session.status is Status.PAUSED else ()
        case BeginTurn():
            return begin_turn(session, change, identity=identity, new_id=new_id, limits=limits)
        case EndTurn():
            return end_turn(
                session, change, identity=identity, text=text, new_id=new_id, limits=limits
            )
        case CancelTurn(turn_id):
            return stop_turn(session, turn_id, TurnOutcome.CANCELLED, text=text, new_id=new_id)
        case AbandonTurn(turn_id, outcome):
            return stop_turn(session, turn_id, outcome, text=text, new_id=new_id)
        case RewindSession(to_seq):
            return rewind(session, to_seq, past=past)
        case SetHold():
            return set_hold(session, change)
        case DeleteSession():
            check_deletion(session)
            return ()
        case ShareSession():
            return sharing.share(session, change, limits=limits)
        case UnshareSession():
            return sharing.unshare(session, change, limits=limits)
        case MakeLink():
            return sharing.make_link(
                session,
                change,
                secret_hash=secret_hash,
                now_ms=now_ms,
                new_id=new_id,
                limits=limits,
            )
        case RevokeLink():
            return sharing.revoke_link(session, change)
        case JoinSession():
            return sharing.join(session, change, identity=identity, now_ms=now_ms, limits=limits)
        case TransferSession():
            return sharing.transfer(session, change, limits=limits)
        case _:  # pragma: no cover
            assert_never(change)


def _update_session(
    session: Session, change: UpdateSession, *, limits: Limits
) -> tuple[SessionUpdated, ...]:
    found = Violations()
    if change.title is not None:
        check_title(change.title, "title", found, limits=limits)
    metadata = _patched_metadata(session.metadata, change)
    check_metadata(metadata, "metadata", found, limits=limits)
    before = len(found.found)
    # What counts is what it leads to: a patch may remove all that there is and give as much anew.
    _check_inputs(change.user_inputs, found, limits, times=2)
    inputs = "{}" if change.clear_user_inputs else session.user_inputs
    if change.user_inputs is not None and len(found.found) == before:
        inputs = merge_patch(inputs, change.user_inputs)
        _check_inputs(inputs, found, limits)
    found.check()
    retitled = change.title is not None and change.title != session.title
    updated = SessionUpdated(
        title=change.title if retitled else None,
        title_given=retitled and change.title != "",
        metadata=metadata if metadata != session.metadata else None,
        user_inputs=None if same_object(inputs, session.user_inputs) else inputs,
    )
    return () if updated == SessionUpdated() else (updated,)


def _patched_metadata(metadata: Mapping[str, str], change: UpdateSession) -> dict[str, str]:
    patched = {} if change.clear_metadata else dict(metadata)
    for key, value in change.metadata.items():
        if value is None:
            patched.pop(key, None)
        else:
            patched[key] = value
    return patched


def _check_inputs(inputs: str | None, found: Violations, limits: Limits, *, times: int = 1) -> None:
    if inputs is not None:
        limit = times * limits.user_inputs
        check_object(inputs, "user_inputs", found, limit=limit, depth=limits.json_depth)
