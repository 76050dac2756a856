"""A fork is whole or absent, and a copy."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from services.store import forking
from services.store.forking import Forks
from sessiond.session.events import Record, SessionCreated
from tests.faults.check import Law
from tests.simulation.bugs.bug import breaks, every, forked, in_pieces
from tests.simulation.patching import Patch

PROMISE = "a fork is whole or absent"


@breaks(PROMISE, Law.FORK_HALF, needs=every(forked, in_pieces))
def show_a_fork_with_its_first_piece() -> Sequence[Patch]:
    """Make a session of a copy as soon as something of it is written."""
    add = Forks._add

    async def finished(self: Forks, copy: Any, *given: Any) -> Any:
        session = await add(self, copy, *given)
        await copy.finish(session)
        return session

    return [(Forks, "_add", finished)]


@breaks(PROMISE, Law.FORK_DIFFERS, needs=forked)
def keep_the_operation_ids() -> Sequence[Patch]:
    """Copy records with the operation ids of their parent."""
    copied = forking._copied

    def kept(record: Record, session_id: str) -> Record:
        return copied(record, session_id)._replace(op_id=record.op_id)

    return [(forking, "_copied", kept)]


@breaks(PROMISE, Law.FORK_DIFFERS, needs=forked)
def date_what_is_copied() -> Sequence[Patch]:
    """Let what is copied have happened a little later."""
    copied = forking._copied

    def later(record: Record, session_id: str) -> Record:
        new = copied(record, session_id)
        return (
            new if isinstance(new.event, SessionCreated) else new._replace(time_ms=new.time_ms + 1)
        )

    return [(forking, "_copied", later)]
