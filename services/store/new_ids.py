"""The id of a new session that was given none."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

from sessiond.session.access import Actor
from sessiond.session.identifiers import uuid7, uuid8


def new_session_id(
    actor: Actor, op_id: str | None, *, now_ms: int, random_bytes: Callable[[int], bytes]
) -> str:
    """Return an id: the same for the same caller and operation id, through whichever replica."""
    if op_id is None:
        return uuid7(now_ms, random_bytes(10))
    scope = "\0".join((actor.subject, actor.role, actor.acting_for, op_id))
    return uuid8(hashlib.sha256(scope.encode("utf-8", "surrogatepass")).digest())
