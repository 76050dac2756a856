"""What is asked of etcd, and what its answers mean."""

from __future__ import annotations

from collections.abc import Sequence

from services.store.etcd import commit
from services.store.etcd.commit import Commits
from services.store.etcd.etcd_pb2 import TxnRequest, TxnResponse
from services.store.etcd.transactions import Transaction, prefix_end
from services.store.keys import EntryKey, Keys, Span
from services.store.writes import Committed
from tests.faults.check import Law
from tests.simulation.bugs.bug import breaks, etcd, every, fault
from tests.simulation.bugs.ownership import LOSES, PROMISE
from tests.simulation.patching import Patch

revoked = every(etcd, fault("revoke"))


@breaks("durable: acknowledged is stored", Law.ACKNOWLEDGED_LOST, needs=revoked)
def report_the_wrong_branch() -> Sequence[Patch]:
    """Tell of a transaction that went the other way what its first branch would have done."""

    def first(answer: TxnResponse) -> Committed:
        return Committed()

    return [(commit, "outcome", first)]


@breaks(PROMISE, *LOSES, needs=revoked)
def check_by_compares_alone() -> Sequence[Patch]:
    """Compare first, in a transaction that does nothing else, and write after that."""
    send = Commits._send

    async def apart(self: Commits, parts: Sequence[Transaction]) -> list[TxnResponse]:
        sent = []
        for part in parts:
            asked = TxnRequest.FromString(part)
            compares = TxnRequest(compare=asked.compare)
            done = await self._etcd.txn(Transaction(compares.SerializeToString()))
            if done.succeeded:
                asked.ClearField("compare")
            sent.append(Transaction(asked.SerializeToString()))
        return await send(self, sent)

    return [(Commits, "_send", apart)]


@breaks(
    "a list is its user's",
    Law.INDEX_ORPHAN,
    needs=every(etcd, lambda schedule: schedule.stranger),
)
def list_all_that_begins_so() -> Sequence[Patch]:
    """Read a user's list from all keys that begin as theirs do: those of longer names, too."""

    def entries(self: Keys, user_id: str) -> Span:
        start = self._join(b"user", user_id.encode())
        return Span(start, prefix_end(start))

    def place_in(self: Keys, entries: Span, key: bytes) -> tuple[int, str]:
        found = self.parse(key)
        assert isinstance(found, EntryKey)
        return found.position_ms, found.session_id

    return [(Keys, "entries", entries), (Keys, "place_in", place_in)]
