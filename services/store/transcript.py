"""A session's log at one revision, read in runs, and the messages in it."""

from __future__ import annotations

from collections.abc import AsyncGenerator

import structlog

from services.store.acquisition import run_length, whole
from services.store.answers import Snapshot
from services.store.repository import Repository
from sessiond.errors import Internal
from sessiond.session.conversation import Conversation
from sessiond.store import codec
from sessiond.store.codec import StoredHead
from sessiond.store.messages import Messages

_log = structlog.get_logger(__name__)

# Small events stand between messages: so many more records than messages are read.
_MARGIN = 8


class Transcript:
    """The log of one session as it stood at the revision of a snapshot.

    Only what belongs to a conversation is read of it, by default the present one.
    """

    def __init__(
        self,
        repository: Repository,
        session_id: str,
        snapshot: Snapshot,
        head: StoredHead,
        conversation: Conversation | None = None,
    ) -> None:
        self._repository = repository
        self._session_id = session_id
        self._revision = snapshot.revision
        self._head = head
        self._conversation = conversation or head.conversation

    async def forward(
        self, first_seq: int, last_seq: int, *, messages: int
    ) -> AsyncGenerator[list[bytes], None]:
        """Yield the records of a range in runs, oldest first, fit to find so many messages.

        Raises:
            RevisionCompacted: the revision is gone.
        """
        length = self._length(messages)
        for run in self._conversation.between(first_seq, last_seq):
            for first in range(run.first, run.last + 1, length):
                yield await self._read(first, min(first + length - 1, run.last))

    async def backward(
        self, first_seq: int, last_seq: int, *, messages: int
    ) -> AsyncGenerator[list[bytes], None]:
        """Yield the records of a range in runs, each newest first, as `forward` does."""
        length = self._length(messages)
        for run in reversed(self._conversation.between(first_seq, last_seq)):
            for last in range(run.last, run.first - 1, -length):
                yield (await self._read(max(last - length + 1, run.first), last))[::-1]

    def _length(self, messages: int) -> int:
        return max(1, min(messages + messages // 8 + _MARGIN, 4 * run_length(self._head)))

    async def _read(self, first_seq: int, last_seq: int) -> list[bytes]:
        found = await self._repository.records(
            self._session_id, first_seq, last_seq, revision=self._revision
        )
        whole(self._session_id, found, last_seq - first_seq + 1)
        return found


def add_message(messages: Messages, data: bytes, session_id: str) -> bool:
    """Add the message that a record of the session holds; False where it holds none.

    Raises:
        Internal: it is no record that this version knows; that is a fault of ours, and logged.
    """
    try:
        return codec.add_message(messages, data, session_id)
    except ValueError:
        _log.exception("record cannot be read", session=session_id)
        raise Internal from None
