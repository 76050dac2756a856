"""What a commit's outcome means for the room that sent it: a table, pure.

| head found, and the own registration        | verdict                                            |
|---------------------------------------------|----------------------------------------------------|
| head carries the commit's id                | committed                                          |
| head as expected, registration gone         | fenced: not applied, never can be; instance dead   |
| head of another epoch, no try unknown       | lost: not applied; the session has another owner   |
| head of another epoch, some try unknown     | lost, unknown: the same operation id settles it    |
| tombstone of the same actor and operation   | committed (this was the delete)                    |
| another tombstone, or nothing               | as the two rows of another epoch, and gone         |
| put off by Store, no try unknown            | put off: not applied; its callers come back later  |
| anything else                               | broken: our bug; the room stops loudly             |
"""

from __future__ import annotations

from enum import Enum, auto
from typing import NamedTuple

from sessiond.session.access import Actor
from sessiond.store.codec import decode_head
from sessiond.v1.ownership_pb2 import CommitOutcome


class Verdict(Enum):
    """What became of a commit, as far as its writer is concerned."""

    COMMITTED = auto()
    AGAIN = auto()  # not known: write the identical commit again
    FENCED = auto()
    LOST = auto()
    LOST_UNKNOWN = auto()
    GONE = auto()
    GONE_UNKNOWN = auto()
    UNSTORABLE = auto()
    PUT_OFF = auto()  # not applied, since space is short; the room goes on as it was
    BROKEN = auto()


class Attempt(NamedTuple):
    """What the writer knows of its own commit.

    `unknown` says whether any earlier try of it ended unknown. `actor` and `op_id` are those of a
    deletion; None and "" for every other commit.
    """

    expected_head: bytes
    commit_id: bytes
    epoch: int
    unknown: bool
    actor: Actor | None = None
    op_id: str = ""


def judge(attempt: Attempt, outcome: CommitOutcome) -> Verdict:
    """Return what one outcome means."""
    kind = outcome.WhichOneof("outcome")
    if kind == "committed":
        return Verdict.COMMITTED
    if kind == "unknown":
        return Verdict.AGAIN
    if kind == "unstorable":
        # An unknown try of the same bytes cannot have passed where this one cannot.
        return Verdict.UNSTORABLE
    if kind == "put_off":
        return Verdict.AGAIN if attempt.unknown else Verdict.PUT_OFF
    if kind != "refused":
        return Verdict.BROKEN
    return _judge_refusal(attempt, outcome.refused)


def _judge_refusal(attempt: Attempt, refused: CommitOutcome.Refused) -> Verdict:
    if refused.head == attempt.expected_head:
        return Verdict.BROKEN if refused.registered else Verdict.FENCED
    if not refused.head:
        return Verdict.GONE_UNKNOWN if attempt.unknown else Verdict.GONE
    head = decode_head(refused.head)
    if head.tombstone is not None:
        ours = attempt.actor is not None and (
            (head.tombstone.actor, head.tombstone.op_id) == (attempt.actor, attempt.op_id)
        )
        if ours:
            return Verdict.COMMITTED
        return Verdict.GONE_UNKNOWN if attempt.unknown else Verdict.GONE
    if head.meta.commit_id == attempt.commit_id:
        return Verdict.COMMITTED
    if head.meta.epoch != attempt.epoch:
        return Verdict.LOST_UNKNOWN if attempt.unknown else Verdict.LOST
    return Verdict.BROKEN
