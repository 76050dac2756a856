"""Reading one session whole: as it stands, or as it stood, with its newest messages."""

from __future__ import annotations

import asyncio
from contextlib import aclosing

import structlog

from services.store.answers import Snapshot
from services.store.moments import Moment, session_at
from services.store.repository import Repository
from services.store.transcript import Transcript, add_message
from sessiond.errors import Internal
from sessiond.session.state import Session
from sessiond.store.codec import StoredHead, decode_outputs, decode_record, load, needed_seqs
from sessiond.v1 import session_pb2, store_pb2
from sessiond.wire import session_to_wire

_log = structlog.get_logger(__name__)


async def read_session(
    repository: Repository,
    session_id: str,
    snapshot: Snapshot,
    head: StoredHead,
    *,
    tail: int | None,
    moment: Moment | None,
) -> store_pb2.GetSessionResponse:
    """Return the session with its newest `tail` messages, or all of them.

    Raises:
        InvalidArgument: the session has no such moment.
        RevisionCompacted: the snapshot's revision is gone.
    """
    # Filled where it travels: a session made beside its answer would be copied into it whole.
    response = store_pb2.GetSessionResponse()
    session = response.session
    if moment is None or moment.is_present(head):
        transcript = Transcript(repository, session_id, snapshot, head)
        wanted = _wanted(head.message_count, tail)
        state, _ = await asyncio.gather(
            _state(repository, session_id, snapshot, head),
            _add_newest(session, session_id, transcript, head.last_message_seq, wanted),
        )
    else:
        state = await session_at(repository, session_id, snapshot, head, moment)
        transcript = Transcript(repository, session_id, snapshot, head, state.conversation)
        wanted = _wanted(state.message_count, tail)
        await _add_newest(session, session_id, transcript, state.last_message_seq, wanted)
    session.MergeFrom(session_to_wire(state, ()))
    return response


def _wanted(count: int, tail: int | None) -> int:
    return count if tail is None else min(tail, count)


async def _state(
    repository: Repository, session_id: str, snapshot: Snapshot, head: StoredHead
) -> Session:
    try:
        outputs = decode_outputs(snapshot.outputs)
        needed = await repository.records_at(
            session_id, needed_seqs(head, outputs), revision=snapshot.revision
        )
        return load(head, outputs, map(decode_record, needed), snapshot.members)
    except ValueError:
        _log.exception("session cannot be loaded", session=session_id)
        raise Internal from None


async def _add_newest(
    session: session_pb2.Session,
    session_id: str,
    transcript: Transcript,
    last_message_seq: int,
    wanted: int,
) -> None:
    """Add the `wanted` newest messages, oldest first."""
    messages = session.conversation_history
    last = last_message_seq if wanted else 0
    async with aclosing(transcript.backward(1, last, messages=wanted)) as runs:
        async for run in runs:
            for record in run:
                add_message(messages, record, session_id)
            if len(messages) >= wanted:
                break
    if len(messages) < wanted:
        _log.error("messages are missing", session=session_id, found=len(messages))
        raise Internal
    del messages[wanted:]
    messages.reverse()
