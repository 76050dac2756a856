"""What commits do, and what can be wrong with them: small worlds, so that things meet."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Final

from hypothesis import strategies as st

from services.store.keys import LAST_POSITION_MS
from services.store.writes import Commit, DraftWrite, IndexWrite, SharedWrite
from tests.contracts.chats import START_MS, Chat, some_bytes

# Ids that begin alike, sort beside one another, or hold separators.
SESSIONS: Final = ("abc", "abc-1", "abc.", "ab")
USERS: Final = ("a", "a:b", "a%3Ab")
AGENTS: Final = ("planner", "planner:x")
TURNS: Final = ("t", "t:1", "t;")
NAMES: Final = ("plan", "plan:b", "pla")
JOBS: Final = ("retention", "retention:x")
ADDRESSES: Final = ("live:1", "live:2", "live:3", "live:4")
LARGE: Final = bytes(1600 * 1024)

picks = st.integers(0, 1000)
users = st.sampled_from(USERS)
agents = st.sampled_from(AGENTS)
turns = st.sampled_from(TURNS)
sessions = st.sampled_from(SESSIONS[:1] * 3 + SESSIONS[:2] * 2 + SESSIONS)
positions = st.sampled_from(
    [START_MS, START_MS, START_MS + 1, START_MS + 250, START_MS - 9, 0, LAST_POSITION_MS]
)
drafts = st.builds(
    DraftWrite,
    turn_id=turns,
    number=st.integers(1, 3),
    value=st.sampled_from([b"", b"text", b"more"]),
)


def _index(commit: Commit) -> IndexWrite:
    assert commit.index is not None
    return commit.index


TWISTS: Final[Mapping[str, Callable[[Commit], Commit]]] = {
    "drafts alone": lambda told: Commit(
        told.instance, told.session_id, told.expected_head, b"", drafts=told.drafts
    ),
    "no entry": lambda told: replace(told, index=None),
    "no head": lambda told: replace(told, head=b""),
    "a draft twice": lambda told: replace(told, drafts=told.drafts * 2),
    "too large": lambda told: replace(told, records=(LARGE,)),
    "too many": lambda told: replace(
        told, drafts=tuple(DraftWrite("many", number, b"") for number in range(1, 131))
    ),
    "another head": lambda told: replace(told, expected_head=told.head),
    "no such session": lambda told: replace(told, session_id="absent"),
    "no such instance": lambda told: replace(told, instance=some_bytes()),
    "no instance": lambda told: replace(told, instance=b""),
    "no session": lambda told: replace(told, session_id=""),
    "no user": lambda told: replace(told, index=replace(_index(told), user_id="")),
    "no turn": lambda told: replace(told, drafts=(DraftWrite("", 1, b"text"),)),
    "no such place": lambda told: replace(told, index=replace(_index(told), position_ms=-1)),
    "no such past": lambda told: replace(
        told, index=replace(_index(told), previous_position_ms=LAST_POSITION_MS + 1)
    ),
    "no such seq": lambda told: replace(told, records=(b"text",), first_seq=-1),
    "no such draft": lambda told: replace(told, drafts=(DraftWrite("t", -1, b"text"),)),
    "a user twice": lambda told: replace(
        told, shared=(SharedWrite("a", True), SharedWrite("a", False))
    ),
    "nobody": lambda told: replace(told, shared=(SharedWrite("", True),)),
}
"""What is done to a commit before it is written. None of these depends on the others."""


@dataclass(frozen=True)
class Work:
    """One commit; `pick` chooses whose, `successor` an instance, `given_to` a new owner."""

    pick: int
    records: int
    position_ms: int | None
    agent: str | None
    outputs: bytes | None
    drafts: tuple[DraftWrite, ...]
    ended_turn: str
    successor: int | None
    members: bytes | None
    shared: Mapping[str, bool]
    given_to: str
    twist: str | None

    def commit(self, chat: Chat, successor: bytes) -> Commit:
        """Return it as the chat's owner would write it."""
        texts = (b"text " + some_bytes() for _ in range(self.records))
        told = chat.commit(
            *texts,
            position_ms=self.position_ms,
            agent=self.agent,
            outputs=self.outputs,
            successor=successor,
            drafts=self.drafts,
            ended_turn=self.ended_turn,
            members=self.members,
            shared=self.shared,
            given_to=self.given_to,
        )
        return TWISTS[self.twist](told) if self.twist else told


works = st.builds(
    Work,
    pick=picks,
    records=st.integers(0, 3),
    position_ms=st.none() | positions,
    agent=st.none() | st.sampled_from(["", *AGENTS]),
    outputs=st.sampled_from([None, None, b"table", b""]),
    drafts=st.lists(drafts, max_size=3, unique_by=lambda each: (each.turn_id, each.number)).map(
        tuple
    ),
    ended_turn=st.sampled_from([""] * 6 + [*TURNS]),
    successor=st.sampled_from([None] * 4 + [0, 1, 5]),
    members=st.sampled_from([None, None, None, b"members", b""]),
    shared=st.just({}) | st.dictionaries(users, st.booleans(), max_size=3),
    given_to=st.sampled_from([""] * 9 + [*USERS]),
    twist=st.sampled_from([None] * 40 + ["drafts alone"] * 15 + sorted(TWISTS)),
)
