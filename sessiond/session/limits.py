"""The limits of a session, and their checks. Each has a reason; all of them are settings."""

from __future__ import annotations

from dataclasses import dataclass

KIB = 1024
MIB = 1024 * KIB

HEADROOM_EVENTS = 128
"""Events beyond the limit up to which a legal hold still begins or ends; see `capacity`."""

HEADROOM_BYTES = 2 * MIB
"""Bytes beyond the limit, likewise: the end of a turn, which etcd holds below 1.5 MiB, may be in
them already."""


@dataclass(frozen=True, slots=True)
class Limits:
    """How large things may be. Sizes are bytes of UTF-8 unless said otherwise.

    The defaults keep a head under 4 KiB, an outputs table under 64 KiB and any one commit far
    under etcd's 1.5 MiB for a transaction. `content` bounds a message, an output, and all the text
    of a turn. `members` bounds members, and `links` links that have not expired.
    `shared_per_user` bounds the sessions that others share with one user: each page of their list
    reads all of these. `events` and `session` are passed only by what `capacity` lets happen in a
    full session.
    """

    user_id: int = 128
    op_id: int = 128
    title_characters: int = 200
    metadata_keys: int = 16
    metadata: int = 2 * KIB
    content: int = 512 * KIB
    message_metadata: int = 64 * KIB
    feedback: int = 16 * KIB
    user_inputs: int = 512 * KIB
    json_depth: int = 64
    agent_id: int = 128
    outputs: int = 256
    events: int = 20_000
    session: int = 32 * MIB
    sessions_per_user: int = 10_000
    shared_per_user: int = 1000
    templates_per_user: int = 100
    members: int = 32
    links: int = 32
    workflow_steps: int = 64
    workflow: int = 16 * KIB

    @property
    def most_events(self) -> int:
        """Events that a session can come to have: full, with every hold, and all that can end."""
        return self.events + HEADROOM_EVENTS + self.members + self.links + 1

    @property
    def most_bytes(self) -> int:
        """Bytes of records that a session can come to have, likewise."""
        return self.session + 2 * HEADROOM_BYTES


DEFAULT_LIMITS = Limits()
