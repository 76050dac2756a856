"""The keys of etcd by the names that the in-memory reference has for them."""

from __future__ import annotations

from services.store import history
from services.store.keys import (
    AwaitedKey,
    CopyKey,
    DeletedKey,
    DraftKey,
    EntryKey,
    ErasureKey,
    EventKey,
    HeadKey,
    JobKey,
    Key,
    LiveKey,
    MembersKey,
    OutputsKey,
    SharedKey,
    TemplateKey,
)


def named(key: Key) -> history.Key:
    """Return the reference's key; () for what it keeps otherwise."""
    match key:
        case HeadKey(session_id):
            return "head", session_id
        case EventKey(session_id, seq):
            return "record", session_id, seq
        case OutputsKey(session_id):
            return "outputs", session_id
        case MembersKey(session_id):
            return "members", session_id
        case DraftKey(session_id, turn_id, number):
            return "draft", session_id, turn_id, number
        case EntryKey(user_id, position_ms, session_id):
            return "entry", user_id, -position_ms, session_id
        case SharedKey(user_id, session_id):
            return "shared", user_id, session_id
        case TemplateKey(user_id, name):
            return "template", user_id, name
        case CopyKey(user_id, session_id):
            return "copy", user_id, session_id
        case AwaitedKey(agent, session_id):
            return "awaited", agent, session_id
        case ErasureKey(user_id):
            return "erasure", user_id
        case LiveKey() | JobKey() | DeletedKey():
            return ()
