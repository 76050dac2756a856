"""Forks that are no copies, or were seen before they were, each beside what is almost that."""

from __future__ import annotations

from dataclasses import replace

from tests.faults.check import Law
from tests.faults.check_stories import MESSAGES, Story, asked, breaks, recorded
from tests.faults.check_tales.members import BOB, granted
from tests.faults.final import StoredHead, StoredSession
from tests.faults.history import EventKind, Kind, Operation, digest, place


def forked(told: Story, *, at_seq: int = 3, past: int | None = None) -> None:
    """Let alice fork the session after its third event, or another one."""
    content, seq = digest(place(at_seq, "s")), at_seq + 1
    records = [
        replace(each, epoch=0, instance="", commit_id="", op_id="")
        for each in told.records[:at_seq]
    ]
    ends = at_seq if past is None else past
    last = recorded(seq, EventKind.FORKED, content, "s", op_id="fork", past=ends)
    records.append(replace(last, epoch=0, instance="", commit_id=""))
    told.beside["f"] = StoredSession(StoredHead("m", seq, 0, "", "alice"), records)
    more = {"session": "f", "user": "alice", "about": "s", "content": content, "seq": seq}
    told.add(asked(Kind.FORK, "fork", 130, **more))


@breaks(Law.FORK_HALF)
def a_fork_is_read_before_it_is_whole(told: Story, broken: bool) -> None:
    forked(told)
    seq = 3 if broken else 4
    told.add(asked(Kind.GET, "", 129, session="f", seq=seq, messages=MESSAGES[:2]))


@breaks(Law.FORK_HALF)
def a_fork_says_that_it_is_shorter(told: Story, broken: bool) -> None:
    forked(told, past=2 if broken else 3)


@breaks(Law.FORK_DIFFERS)
def a_fork_holds_another_text(told: Story, broken: bool) -> None:
    forked(told)
    if broken:
        record = replace(told.beside["f"].records[2], content=digest("thirty"))
        records = [*told.beside["f"].records[:2], record, told.beside["f"].records[3]]
        told.beside["f"] = replace(told.beside["f"], records=records)


@breaks(Law.FORK_DIFFERS)
def a_fork_answers_its_parents_retries(told: Story, broken: bool) -> None:
    forked(told)
    records = list(told.beside["f"].records)
    records[2] = replace(records[2], op_id="op-3" if broken else "")
    told.beside["f"] = replace(told.beside["f"], records=records)


@breaks(Law.STRANGER_SERVED)
def a_stranger_forks_a_session(told: Story, broken: bool) -> None:
    forked(told)
    fork = told.entries.pop()
    assert isinstance(fork, Operation)
    actor = "al/user/" if broken else "alice/user/"
    told.add(replace(fork, actor=actor, user="al" if broken else "alice"))
    stored = told.beside["f"]
    records = [*stored.records[:3], replace(stored.records[3], actor=actor)]
    head = replace(stored.head, user="al" if broken else "alice")
    told.beside["f"] = replace(stored, head=head, records=records)


@breaks(Law.STRANGER_SERVED)
def a_copy_is_shown_to_a_member_of_what_it_copies(told: Story, broken: bool) -> None:
    granted(told, "viewer", at=120)
    forked(told, at_seq=11)
    session, seq = ("f", 12) if broken else ("s", 11)
    told.add(asked(Kind.GET, "", 140, session=session, actor=BOB, seq=seq, messages=MESSAGES))
