"""Drafts: what is stored of a running turn's text, until the turn ends."""

from __future__ import annotations

import dataclasses

import pytest

from services.store.answers import RevisionCompacted
from services.store.keys import LAST_DRAFT
from services.store.repository import Repository
from services.store.writes import (
    AwaitedWrite,
    Commit,
    Committed,
    DraftWrite,
    IndexWrite,
    Refused,
    Unstorable,
)
from sessiond.errors import Unavailable
from tests.contracts.chats import (
    START_MS,
    all_drafts,
    all_records,
    new_chat,
    now,
    own,
    register,
)
from tests.contracts.places import Place

LARGE = 1536 * 1024


def pieces(*values: bytes, turn_id: str = "t", first: int = 1) -> tuple[DraftWrite, ...]:
    """Return drafts with consecutive numbers."""
    return tuple(DraftWrite(turn_id, number, value) for number, value in enumerate(values, first))


async def test_drafts_come_in_the_order_of_their_numbers(repository: Repository) -> None:
    """Whatever the order they were written in, and however many digits the numbers have."""
    chat = await new_chat(repository, "abc")
    for draft in reversed(pieces(*(b"%d" % n for n in range(1, 13)))):
        await chat.write(repository, chat.drafting(draft))
    await chat.write(repository, chat.drafting(DraftWrite("t", 100, b"100")))
    assert await all_drafts(repository, "abc", "t") == [*(b"%d" % n for n in range(1, 13)), b"100"]


async def test_drafts_come_without_neighbours(repository: Repository) -> None:
    """Of this turn of this session alone, even where ids begin alike or hold separators."""
    chat = await new_chat(repository, "abc")
    beside = await new_chat(repository, "abc-1", instance=chat.instance)
    turns = ["t", "t:", "t:1", "t1", "t-1", "t%3A"]
    for session in (chat, beside):
        for turn_id in turns:
            value = f"{turn_id} of {session.session_id}".encode()
            await session.write(repository, session.drafting(DraftWrite(turn_id, 1, value)))
    for session_id in ("abc", "abc-1"):
        for turn_id in turns:
            found = await all_drafts(repository, session_id, turn_id)
            assert found == [f"{turn_id} of {session_id}".encode()]
    assert await all_drafts(repository, "abc", "other") == []


async def test_more_drafts_than_one_answer_holds_come_whole(repository: Repository) -> None:
    """In pages that the caller does not see."""
    chat = await new_chat(repository, "abc")
    for first in range(1, 1081, 60):
        values = (b"%d" % number for number in range(first, first + 60))
        await chat.write(repository, chat.drafting(*pieces(*values, first=first)))
    assert await all_drafts(repository, "abc", "t") == [b"%d" % n for n in range(1, 1081)]


async def test_drafts_alone_leave_all_else_as_it_is(repository: Repository) -> None:
    """Head, records, outputs, entry and awaited place stay; the next commit is over that head."""
    chat = await new_chat(repository, "abc", agent="planner")
    await chat.write(repository, chat.commit(b"two", outputs=b"table"))
    before = await now(repository, "abc")
    entries = (await repository.entries("alice", after=None, limit=9, revision=None)).entries
    waiting = (await repository.awaited("planner")).entries
    await chat.write(repository, chat.drafting(*pieces(b"Once", b" upon")))
    after = await now(repository, "abc")
    assert (after.head, after.outputs) == (before.head, before.outputs)
    page = await repository.entries("alice", after=None, limit=9, revision=None)
    assert page.entries == entries
    assert (await repository.awaited("planner")).entries == waiting
    assert (await all_records(repository, "abc"))[1:] == [b"two"]
    await chat.write(repository, chat.commit(b"three"))
    assert await all_drafts(repository, "abc", "t") == [b"Once", b" upon"]


async def test_the_same_drafts_may_be_stored_again(repository: Repository) -> None:
    """Any number of times, without a difference."""
    chat = await new_chat(repository, "abc")
    commit = chat.drafting(*pieces(b"Once", b" upon"))
    for _ in range(3):
        assert await repository.commit([commit]) == [Committed()]
    assert await all_drafts(repository, "abc", "t") == [b"Once", b" upon"]
    assert (await now(repository, "abc")).head == chat.head


async def test_drafts_alone_are_compared_as_every_commit(place: Place) -> None:
    """An older head, or no registration, refuses them; the refusal shows what stands there."""
    repository = place.repository
    chat = await new_chat(repository, "abc")
    late = chat.drafting(*pieces(b"late"))
    await chat.write(repository, chat.commit(b"two"))
    assert await repository.commit([late]) == [Refused(chat.head, registered=True)]
    fresh = chat.drafting(*pieces(b"late"))
    await place.expire(chat.instance)
    assert await repository.commit([fresh]) == [Refused(chat.head, registered=False)]
    assert await all_drafts(repository, "abc", "t") == []


async def test_a_new_owner_finds_the_drafts_and_fences_later_ones(place: Place) -> None:
    """What was stored stands at the revision of the acquisition; the former owner adds nothing."""
    repository = place.repository
    former = await new_chat(repository, "abc")
    await former.write(repository, former.drafting(*pieces(b"Once")))
    late = former.drafting(*pieces(b" late", first=2))
    await place.expire(former.instance)
    present = await own(repository, "abc", await register(repository, "live:2"))
    assert await all_drafts(repository, "abc", "t") == [b"Once"]
    assert await repository.commit([late]) == [Refused(present.head, registered=False)]
    await present.write(repository, present.drafting(*pieces(b" upon", first=2)))
    assert await all_drafts(repository, "abc", "t") == [b"Once", b" upon"]


async def test_drafts_travel_with_a_commit(repository: Repository) -> None:
    """They are visible at the revision of its records, and not before."""
    chat = await new_chat(repository, "abc")
    old = (await now(repository, "abc")).revision
    await chat.write(repository, chat.commit(b"two", drafts=pieces(b"Once", b" upon")))
    revision = (await now(repository, "abc")).revision
    for at in range(old, revision + 1):
        stored = await repository.records("abc", 2, 2, revision=at) == [b"two"]
        drafts = await repository.drafts("abc", "t", revision=at)
        assert drafts == ([b"Once", b" upon"] if stored else [])
    assert await all_drafts(repository, "abc", "t") == [b"Once", b" upon"]


async def test_a_turn_that_ends_leaves_no_draft(repository: Repository) -> None:
    """All of its own go where the commit's records appear; those of another turn stay."""
    chat = await new_chat(repository, "abc")
    beside = await new_chat(repository, "abc-1", instance=chat.instance)
    for session in (chat, beside):
        for turn_id in ("t", "t1"):
            drafts = pieces(b"Once", b" upon", b" a time", turn_id=turn_id)
            await session.write(repository, session.drafting(*drafts))
    old = (await now(repository, "abc")).revision
    await chat.write(repository, chat.commit(b"ended", ended_turn="t"))
    revision = (await now(repository, "abc")).revision
    for at in range(old, revision + 1):
        ended = await repository.records("abc", 2, 2, revision=at) == [b"ended"]
        found = await repository.drafts("abc", "t", revision=at)
        assert found == ([] if ended else [b"Once", b" upon", b" a time"])
    assert await all_drafts(repository, "abc", "t") == []
    assert len(await all_drafts(repository, "abc", "t1")) == 3
    assert len(await all_drafts(repository, "abc-1", "t")) == 3


async def test_a_turn_without_drafts_may_end(repository: Repository) -> None:
    """There is nothing to remove, and the next turn's may come along."""
    chat = await new_chat(repository, "abc")
    next_turn = pieces(b"Again", turn_id="t2")
    await chat.write(repository, chat.commit(b"ended", ended_turn="t", drafts=next_turn))
    assert await all_drafts(repository, "abc", "t") == []
    assert await all_drafts(repository, "abc", "t2") == [b"Again"]


async def test_a_refused_end_removes_nothing(repository: Repository) -> None:
    """The drafts go with the commit or not at all."""
    chat = await new_chat(repository, "abc")
    late = chat.commit(b"ended", ended_turn="t")
    await chat.write(repository, chat.commit(b"two", drafts=pieces(b"Once")))
    assert await repository.commit([late]) == [Refused(chat.head, registered=True)]
    assert await all_drafts(repository, "abc", "t") == [b"Once"]


async def test_a_late_draft_does_not_come_back(repository: Repository) -> None:
    """What was formed before the turn ended is over an older head."""
    chat = await new_chat(repository, "abc")
    late = chat.drafting(*pieces(b"late"))
    await chat.write(repository, chat.commit(b"ended", ended_turn="t"))
    assert await repository.commit([late]) == [Refused(chat.head, registered=True)]
    assert await all_drafts(repository, "abc", "t") == []


async def test_drafts_at_a_revision_are_those_of_that_moment(place: Place) -> None:
    """Until that is forgotten; and the future has no answer."""
    repository = place.repository
    chat = await new_chat(repository, "abc")
    await chat.write(repository, chat.drafting(*pieces(b"Once")))
    revision = (await now(repository, "abc")).revision
    await chat.write(repository, chat.drafting(*pieces(b" upon", first=2)))
    await chat.write(repository, chat.commit(b"ended", ended_turn="t"))
    assert await repository.drafts("abc", "t", revision=revision) == [b"Once"]
    with pytest.raises(Unavailable):
        await repository.drafts("abc", "t", revision=revision + 1000)
    await place.compact()
    with pytest.raises(RevisionCompacted):
        await repository.drafts("abc", "t", revision=revision)


DRAFTING = Commit(b"i", "abc", b"old", b"", drafts=pieces(b"text"))
ENDING = Commit(b"i", "abc", b"old", b"new", ended_turn="t")
MALFORMED = {
    "nothing at all": dataclasses.replace(DRAFTING, drafts=()),
    "records without a head": dataclasses.replace(DRAFTING, first_seq=2, records=(b"two",)),
    "outputs without a head": dataclasses.replace(DRAFTING, outputs=b""),
    "an entry without a head": dataclasses.replace(
        DRAFTING, index=IndexWrite("alice", START_MS, START_MS, b"entry")
    ),
    "a place without a head": dataclasses.replace(DRAFTING, awaited=AwaitedWrite("", "planner")),
    "a successor without a head": dataclasses.replace(DRAFTING, successor=b"i"),
    "an end without a head": dataclasses.replace(DRAFTING, ended_turn="other"),
    "an end alone": dataclasses.replace(ENDING, head=b""),
    "a draft of the turn that ends": dataclasses.replace(ENDING, drafts=pieces(b"text")),
    "a draft twice": dataclasses.replace(DRAFTING, drafts=pieces(b"one") + pieces(b"two")),
    "a draft of no turn": dataclasses.replace(DRAFTING, drafts=pieces(b"one", turn_id="")),
    "a draft before all": dataclasses.replace(DRAFTING, drafts=pieces(b"one", first=-1)),
    "a draft beyond all": dataclasses.replace(
        DRAFTING, drafts=pieces(b"one", first=LAST_DRAFT + 1)
    ),
}


@pytest.mark.parametrize("malformed", MALFORMED.values(), ids=MALFORMED)
async def test_parts_that_do_not_go_together_are_unstorable(
    repository: Repository, malformed: Commit
) -> None:
    """Such a commit is never stored, and the others of its batch are."""
    chat = await new_chat(repository, "xyz")
    mine = await new_chat(repository, "abc", instance=chat.instance)
    malformed = dataclasses.replace(malformed, instance=mine.instance, expected_head=mine.head)
    good = chat.drafting(*pieces(b"text"))
    assert await repository.commit([malformed]) == [Unstorable()]
    assert await repository.commit([malformed, good]) == [Unstorable(), Committed()]
    assert (await now(repository, "abc")).head == mine.head
    assert await all_drafts(repository, "abc", "t") == []


async def test_drafts_over_the_limit_are_unstorable(repository: Repository) -> None:
    """Their bytes count, so that one write holds no more than it can."""
    chat = await new_chat(repository, "abc")
    half = bytes(LARGE // 2)
    assert await repository.commit([chat.drafting(*pieces(half, half))]) == [Unstorable()]
    assert chat.drafting(*pieces(half, half)).size > LARGE
    await chat.write(repository, chat.drafting(*pieces(half)))
    assert await all_drafts(repository, "abc", "t") == [half]
