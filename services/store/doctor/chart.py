"""A session as it stands at one revision, key by key."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

from services.store.keys import DraftKey, EventKey, Key, Keys, MembersKey, OutputsKey


@dataclass(frozen=True)
class Chart:
    """One session's keys and values, all read at one revision.

    `head` is None where none stands; `children` are all other keys of the session. `entry` and
    `awaited` are the values under the two keys that the head speaks of; None where none stands.
    `shared` are the users of the members table in whose lists of shared sessions it stands. Of a
    copy that is being written, `listed` says whether it stands among those of its maker, and of a
    deleted session, whether it stands among these. `lease` is that of the head; 0 for none.
    """

    session_id: str
    head: bytes | None
    children: Mapping[bytes, bytes] = field(default_factory=dict)
    entry: bytes | None = None
    awaited: bytes | None = None
    shared: frozenset[str] = frozenset()
    listed: bool = False
    lease: int = 0


class Children:
    """The children of a chart, sorted by what they are."""

    def __init__(self, chart: Chart, keys: Keys) -> None:
        self.records: dict[int, bytes] = {}
        self.drafts: dict[str, list[bytes]] = {}
        self.outputs = b""
        self.members = b""
        self.unknown: list[bytes] = []
        for key, value in chart.children.items():
            match _parsed(keys, key):
                case EventKey(_, seq):
                    self.records[seq] = value
                case DraftKey(_, turn_id):
                    self.drafts.setdefault(turn_id, []).append(key)
                case OutputsKey():
                    self.outputs = value
                case MembersKey():
                    self.members = value
                case _:
                    self.unknown.append(key)

    @cached_property
    def last_seq(self) -> int:
        """The greatest seq of a record; 0 for none."""
        return max(self.records, default=0)


def _parsed(keys: Keys, key: bytes) -> Key | None:
    try:
        return keys.parse(key)
    except ValueError:
        return None
