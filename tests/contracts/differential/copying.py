"""Copies: what is written piece by piece, by some who know how it stands and some who do not."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from services.store.writes import Committed, CopyEnd, CopyPiece
from tests.contracts.chats import head_bytes, some_bytes
from tests.contracts.differential.changing import Changing
from tests.contracts.differential.works import (
    LARGE,
    USERS,
    agents,
    picks,
    positions,
    sessions,
    users,
)
from tests.contracts.test_copies import building_head

ends = st.builds(
    CopyEnd,
    session_id=st.just(""),
    expected_head=st.just(b""),
    head=st.just(b""),
    maker_id=users,
    user_id=users,
    entry=st.just(b"entry of a copy"),
    position_ms=positions,
    outputs=st.sampled_from([b"", b"outputs"]),
    members=st.sampled_from([b"", b"members"]),
    shared_with=st.sampled_from([(), USERS[:1], USERS]),
    awaited_agent=st.just("") | agents,
)
"""What makes a copy visible, before it is said which."""


class Copying(Changing):
    """Everything that copies are written with."""

    def __init__(self, *told: Any) -> None:
        super().__init__(*told)
        self.begun: list[tuple[str, bytes, str]] = []  # with their makers
        self.pieces: list[CopyPiece] = []
        self.ends: list[CopyEnd] = []
        self.building: dict[str, tuple[bytes, int]] = {}  # the head that stands, and its seq

    def one_building(self, pick: int) -> str:
        """Return a session of which a copy stands."""
        return sorted(self.building)[pick % len(self.building)]

    @rule(session_id=sessions, maker_id=users)
    def begin_copy(self, session_id: str, maker_id: str) -> None:
        """Mostly where something stands already."""
        self.begun_with(session_id, building_head(), maker_id)

    @precondition(lambda self: self.begun)
    @rule(pick=picks)
    def begin_copy_again(self, pick: int) -> None:
        """Whatever became of the first one."""
        self.begun_with(*self.begun[-1 - pick % len(self.begun)])

    def begun_with(self, session_id: str, head: bytes, maker_id: str) -> None:
        self.begun.append((session_id, head, maker_id))
        done = self.ask(
            lambda side: side.repository.begin_copy(session_id, head, maker_id=maker_id)
        )
        if done == Committed():
            self.building[session_id] = head, 0

    @precondition(lambda self: self.building)
    @rule(
        pick=picks,
        count=st.integers(0, 3),
        large=st.sampled_from([False] * 9 + [True]),
        stale=st.sampled_from([False] * 4 + [True]),
    )
    def write_piece(self, pick: int, count: int, large: bool, stale: bool) -> None:
        """Seldom one that is too large, or of somebody who is behind."""
        session_id = self.one_building(pick)
        head, seq = self.building[session_id]
        records = (LARGE,) if large else tuple(b"copied " + some_bytes() for _ in range(count))
        expected = building_head(seq) if stale else head
        after = building_head(seq + len(records))
        self.write(CopyPiece(session_id, expected, after, seq + 1, records))

    @precondition(lambda self: self.pieces)
    @rule(pick=picks)
    def write_piece_again(self, pick: int) -> None:
        """One whose answer was lost, or that comes late."""
        self.write(self.pieces[-1 - pick % len(self.pieces)])

    def write(self, piece: CopyPiece) -> None:
        self.pieces.append(piece)
        done = self.ask(lambda side: side.repository.write_copy(piece))
        if done == Committed():
            self.building[piece.session_id] = piece.head, piece.first_seq - 1 + len(piece.records)

    @precondition(lambda self: self.building)
    @rule(pick=picks, told=ends, stale=st.sampled_from([False] * 4 + [True]))
    def finish_copy(self, pick: int, told: CopyEnd, stale: bool) -> None:
        """Make a copy a session, which others may own from then on."""
        session_id = self.one_building(pick)
        head, seq = self.building[session_id]
        expected = building_head(seq) if stale else head
        named = replace(told, session_id=session_id, expected_head=expected)
        self.finish(replace(named, head=head_bytes(seq=seq)))

    @precondition(lambda self: self.ends)
    @rule(pick=picks)
    def finish_copy_again(self, pick: int) -> None:
        """Whatever became of the session since."""
        self.finish(self.ends[-1 - pick % len(self.ends)])

    def finish(self, end: CopyEnd) -> None:
        self.ends.append(end)
        done = self.ask(lambda side: side.repository.finish_copy(end))
        if done == Committed() and self.building.pop(end.session_id, None):
            self.heads[end.session_id] = end.head
            self.places[end.session_id] = end.user_id, end.position_ms, end.awaited_agent

    @precondition(lambda self: self.begun)
    @rule(pick=picks, other=st.none() | picks)
    def drop_copy(self, pick: int, other: int | None) -> None:
        """The one that stands, or one that was seen once."""
        session_id, head, maker_id = self.begun[-1 - pick % len(self.begun)]
        if other is None and session_id in self.building:
            head, _ = self.building[session_id]
        done = self.ask(lambda side: side.repository.drop_copy(session_id, head, maker_id=maker_id))
        if done == Committed():
            self.building.pop(session_id, None)
