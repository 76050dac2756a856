"""Erasures: asked for once, and completed only where nothing changed meanwhile."""

from __future__ import annotations

import asyncio

from services.store.answers import Entry
from services.store.history import Key
from services.store.keys import Keys
from tests.contracts.chats import START_MS, creation
from tests.contracts.places import EtcdPlace, MemoryPlace, Place


async def leave(
    place: Place, *, shared: str = "", template: str = "", session: str = "", copy: str = ""
) -> None:
    """Write a pointer or a template of alice's, as sharing and saving do, or begin something."""
    if session:
        await place.repository.create(creation(session))
    if copy:
        await place.repository.begin_copy(copy, b"head", maker_id="alice")
    if isinstance(place, MemoryPlace):
        written: dict[Key, bytes | None] = {}
        if shared:
            written["shared", "alice", shared] = b""
        if template:
            written["template", "alice", template] = b"t"
        place.memory._kept.write(written)
    elif isinstance(place, EtcdPlace):
        keys = Keys(place.namespace)
        if shared:
            await place.etcd.put(keys.shared_with("alice").start + shared.encode(), b"")
        if template:
            await place.etcd.put(keys.templates("alice").start + template.encode(), b"t")


async def test_an_erasure_takes_the_place_that_is_expected(place: Place) -> None:
    """Of many who ask at once one is written, and all hear which."""
    repository = place.repository
    assert await repository.erasure("alice") is None
    asked = [f"erasure {number}".encode() for number in range(8)]
    told = await asyncio.gather(
        *(repository.ask_erasure("alice", each, expected=None) for each in asked)
    )
    (stands,) = set(told)
    assert await repository.erasure("alice") == stands
    assert await repository.ask_erasure("alice", b"next", expected=b"wrong") == stands
    assert await repository.ask_erasure("alice", b"next", expected=stands) == b"next"
    await repository.ask_erasure("bob:x", b"other", expected=None)
    assert sorted(await repository.erasures()) == [("alice", b"next"), ("bob:x", b"other")]


async def test_what_remains_of_a_user_is_found(place: Place) -> None:
    """Sessions with their entries, pointers by their sessions, templates by their number."""
    repository = place.repository
    assert not (await repository.remains("alice")).anything
    await repository.create(creation("s1"))
    await repository.create(creation("s2", "bob"))
    await leave(place, shared="s2", template="t1")
    await leave(place, template="t2")
    remains = await repository.remains("alice")
    assert remains.entries == (Entry("s1", START_MS, b"entry of s1 at 1"),)
    assert (remains.shared, remains.templates, remains.anything) == (("s2",), 2, True)
    assert (await repository.remains("bob")).shared == ()


async def test_a_receipt_is_written_with_the_removal(place: Place) -> None:
    """Pointers and templates go in its transaction, and what names copies; sessions do not."""
    repository = place.repository
    await repository.create(creation("s1"))
    await leave(place, shared="s2", template="t1", copy="s3")
    await repository.ask_erasure("alice", b"asked", expected=None)
    revision = (await repository.remains("alice")).revision
    assert not await repository.complete_erasure(
        "alice", b"receipt", expected=b"another", revision=revision
    )
    for _ in range(2):  # the second time it stands already
        assert await repository.complete_erasure(
            "alice", b"receipt", expected=b"asked", revision=revision
        )
    assert await repository.erasure("alice") == b"receipt"
    remains = await repository.remains("alice")
    assert (len(remains.entries), remains.shared, remains.templates) == (1, (), 0)
    assert remains.copies == ()


async def test_a_receipt_is_not_written_over_what_came_meanwhile(place: Place) -> None:
    """What was written after the revision stays, and so does the asking."""
    repository = place.repository
    await repository.ask_erasure("alice", b"asked", expected=None)
    came: tuple[dict[str, str], ...] = (
        {"shared": "s2"},
        {"template": "t1"},
        {"template": "t1"},  # the same again, too
        {"session": "s3"},
        {"copy": "s4"},
    )
    for left in came:
        revision = (await repository.remains("alice")).revision
        await leave(place, **left)
        assert not await repository.complete_erasure(
            "alice", b"receipt", expected=b"asked", revision=revision
        )
    assert await repository.erasure("alice") == b"asked"
    remains = await repository.remains("alice")
    assert (remains.shared, remains.templates) == (("s2",), 1)
