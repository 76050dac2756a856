"""The names of what can be wrong, and one finding."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Law(Enum):
    """A law that was broken, by what broke it."""

    # Answers, and what is stored.
    ACKNOWLEDGED_LOST = "an acknowledged change is not stored"
    ACKNOWLEDGED_TWICE = "an acknowledged change is stored twice"
    ACKNOWLEDGED_ELSEWHERE = "a change stands at another seq than was acknowledged"
    STORED_DIFFERENTLY = "a change is stored as another one than was asked for"
    FAILED_STORED = "a change that was refused is stored"
    UNKNOWN_TWICE = "a change of unknown outcome is stored twice"
    UNASKED_STORED = "a change that nobody asked for is stored"
    EXPECTATION_IGNORED = "a change was made at another revision than it asked for"
    STRANGER_SERVED = "somebody who has no access was served"
    MEMBER_EXCEEDED = "a member was granted what the role does not give, or no longer gives"
    UNCHANGED_WRONGLY = "a change was answered as if it changed nothing, and it would have"
    # The log.
    SEQ_HOLE = "the stored log is not numbered from 1 without a hole"
    HEAD_DIFFERS = "the head stands at another seq than the log ends"
    EPOCH_ORDER = "a record is of an older epoch than the one before"
    WRONG_AUTHOR = "two instances wrote in one epoch"
    COMMIT_SPLIT = "a commit's records do not stand together"
    DECIDED_TWICE = "an output was decided twice"
    TURN_ORDER = "a turn began while one ran, or ended that did not run"
    TWO_CONTENTS = "one seq of a session was told with two contents"
    STATE_DIFFERS = "a session was shown otherwise than its log makes it"
    WRONG_LOG = "a stream named another log than the session has"
    # Time.
    REAL_TIME_ORDER = "a change stands before one that was known when it was asked for"
    STALE_READ = "a read holds less than was known when it was asked for"
    FUTURE_READ = "a read holds what was asked for after it"
    SHOWN_EARLY = "an event was shown before it was asked for"
    READ_TORN = "a read or snapshot holds other messages than the log at its revision"
    # Deletion.
    RETURNED_FROM_DELETION = "a session was there after its deletion"
    DELETED_TWICE = "a session was deleted by two changes"
    DELETED_UNASKED = "a session is deleted, and nobody asked for that"
    # Streams.
    STREAM_GAP = "a stream left out an event"
    STREAM_REPEAT = "a stream showed an event again"
    STREAM_LATE = "a stream began with less than was known when it was asked for"
    STREAM_BACK = "a stream began before what its client had"
    SHOWN_NOT_STORED = "something was shown that is not stored"
    REWIND_UNTOLD = "a stream went on after a rewind without a snapshot"
    REVOKED_SHOWN = "somebody was shown what was made after they were a member no longer"
    # Turns.
    TOKEN_HOLE = "a turn's text was shown with a hole"
    TOKEN_REPEAT = "a turn's text was shown again"
    TOKEN_AFTER_END = "a turn's text was shown after the turn's end"
    TURN_TEXT = "a turn's text is not what its worker wrote"
    DRAFT_ORPHAN = "a draft is stored of a turn that does not run"
    CHILD_ORPHAN = "records or drafts are stored of a session that is not there"
    # Lists.
    INDEX_MISSING = "a session is not in its user's list"
    INDEX_STALE = "a session's entry is of another revision than its head"
    INDEX_ORPHAN = "a list holds a session that is not there"
    INDEX_TWICE = "a list holds a session twice"
    AWAITED_DIFFERS = "an agent's list does not hold exactly the sessions that await it"
    # Forks.
    FORK_HALF = "a fork was there before it was whole"
    FORK_DIFFERS = "a fork does not begin with its parent's records"
    # The feed.
    FEED_GAP = "the feed told of a change before the one that it follows"
    FEED_LOST = "the feed left out what is stored"
    FEED_RESET = "the feed said that it may have left something out, within a day"


@dataclass(frozen=True, slots=True)
class Violation:
    """One broken law, in which session, and the entries and stored things that show it."""

    law: Law
    session: str
    evidence: tuple[object, ...]

    def __str__(self) -> str:
        lines = "".join(f"\n    {each}" for each in self.evidence)
        return f"{self.law.name} in {self.session or 'a list'}: {self.law.value}{lines}"
