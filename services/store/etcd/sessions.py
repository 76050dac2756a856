"""Sessions: how one is made, and how its parts are read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from services.store.answers import Existing, Snapshot
from services.store.etcd.client import EtcdClient
from services.store.etcd.commit import UNSTORABLE
from services.store.etcd.errors import EtcdError
from services.store.etcd.reads import ConsensusReads, answered, read_all, value_of
from services.store.etcd.settling import settle
from services.store.etcd.transactions import absent, get, put, read, transaction
from services.store.keys import Keys
from services.store.writes import Committed, Creation
from sessiond.errors import OutcomeUnknown, SessionFull

# Single records in one request; etcd takes 127 reads in a transaction.
_AT_ONCE: Final = 100


class Sessions:
    """Makes sessions, and reads them."""

    def __init__(
        self, etcd: EtcdClient, reads: ConsensusReads, keys: Keys, *, settle_seconds: float
    ) -> None:
        self._etcd = etcd
        self._reads = reads
        self._keys = keys
        self._settle_seconds = settle_seconds

    async def create(self, creation: Creation) -> Committed | Existing:
        """Store a new session where no head stands; repeat that until it is settled."""
        keys, session_id = self._keys, creation.session_id
        head, first = keys.head(session_id), keys.event(session_id, 1)
        writes = [
            put(head, creation.head),
            put(first, creation.record),
            put(keys.entry(creation.user_id, creation.position_ms, session_id), creation.entry),
        ]
        if creation.awaited_agent:
            writes.append(put(keys.awaited(creation.awaited_agent, session_id), creation.entry))
        request = transaction([absent(head)], writes, [get(read(head)), get(read(first))])
        try:
            done = await settle(self._etcd, request, seconds=self._settle_seconds)
        except UNSTORABLE as error:
            raise SessionFull from error
        except EtcdError as error:
            raise OutcomeUnknown from error
        if done.succeeded:
            return Committed()
        # The head stood there, or the transaction would have succeeded.
        heads, records = (answer.response_range.kvs for answer in done.responses)
        record = records[0].value if records else b""
        if record == creation.record:  # an earlier try was applied, and its answer lost
            return Committed()
        return Existing(heads[0].value, record)

    async def snapshot(self, session_id: str) -> Snapshot | None:
        """Read head and tables together, through consensus."""
        keys = self._keys
        revision, (heads, outputs, members) = await self._reads.read(
            read(keys.head(session_id)),
            read(keys.outputs(session_id)),
            read(keys.members(session_id)),
        )
        if not heads.kvs:
            return None
        return Snapshot(revision, heads.kvs[0].value, value_of(outputs), value_of(members))

    async def records(
        self, session_id: str, first_seq: int, last_seq: int, *, revision: int
    ) -> list[bytes]:
        """Read a range of records at a revision."""
        span = self._keys.events(session_id, first_seq, last_seq)
        return [kv.value for kv in await read_all(self._etcd, span, revision=revision)]

    async def records_at(
        self, session_id: str, seqs: Sequence[int], *, revision: int
    ) -> list[bytes]:
        """Read single records at a revision, many in one request."""
        requests = [read(self._keys.event(session_id, seq), revision=revision) for seq in seqs]
        found: list[bytes] = []
        for start in range(0, len(requests), _AT_ONCE):
            with answered():
                some = await self._etcd.consensus_range(*requests[start : start + _AT_ONCE])
            found.extend(kv.value for answer in some.answers for kv in answer.kvs)
        return found

    async def drafts(self, session_id: str, turn_id: str, *, revision: int) -> list[bytes]:
        """Read all drafts of a turn at a revision."""
        span = self._keys.drafts(session_id, turn_id)
        return [kv.value for kv in await read_all(self._etcd, span, revision=revision)]
