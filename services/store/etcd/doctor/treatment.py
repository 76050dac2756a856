"""What the doctor writes: what is of a session, under a comparison of the head that it has read."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from services.store.doctor.findings import Repair
from services.store.etcd.client import EtcdClient
from services.store.etcd.reads import answered
from services.store.etcd.settling import settle
from services.store.etcd.transactions import (
    Compare,
    absent,
    delete,
    put,
    read,
    transaction,
    value_is,
)
from services.store.keys import Keys
from sessiond.store.codec import decode_head
from sessiond.store.v1 import records_pb2

_SECONDS: Final = 10.0


class LivesRun(Exception):
    """Instances of Live are registered: logs cannot be renewed under them."""


class Treatment:
    """Repairs what was found, and renews logs. `new_log_id` draws 64 random bits."""

    def __init__(
        self, etcd: EtcdClient, namespace: str = "", *, new_log_id: Callable[[], int]
    ) -> None:
        self._etcd = etcd
        self._keys = Keys(namespace)
        self._new_log_id = new_log_id

    async def apply(self, repair: Repair) -> bool:
        """Carry out a repair; False, and nothing done, where the session has changed meanwhile.

        Raises:
            Unavailable: it is not known whether it was done; to do it again does no harm.
        """
        writes = [put(key, value, repair.lease) for key, value in repair.puts.items()]
        writes += [delete(*span) for span in repair.deletes]
        key = self._keys.head(repair.session_id)
        head = absent(key) if repair.head is None else value_is(key, repair.head)
        with answered():
            done = await settle(self._etcd, transaction([head], writes), seconds=_SECONDS)
        return done.succeeded

    async def renew_log(self, session_id: str) -> bool:
        """Give a living session's log another id, so that cursors of before are of another log.

        False where there is nothing to renew: no head, one of a deleted session, or unreadable.

        Raises:
            LivesRun: a Live is registered; its rooms would stop at the head that we write.
            Unavailable: it is not known whether it was done.
        """
        key = self._keys.head(session_id)
        while True:
            with answered():
                found = (await self._etcd.consensus_range(read(key))).first()
            if found is None or not _is_living(found.value):
                return False
            head = records_pb2.Head.FromString(found.value)
            head.log_id = self._new_log_id()
            new = head.SerializeToString()
            # The same again after a lost answer fails, and shows what stands now.
            request = transaction([value_is(key, found.value), self._no_live()], [put(key, new)])
            with answered():
                done = await settle(self._etcd, request, seconds=_SECONDS)
                if done.succeeded:
                    return True
                stands = (await self._etcd.consensus_range(read(key))).first()
            if stands is not None and stands.value == new:
                return True
            await self.check_no_live()

    async def renew_history(self) -> None:
        """Say that revisions are of another history, so that cursors of before are of another one.

        Raises:
            LivesRun: a Live is registered: this etcd is at work.
            Unavailable: it is not known whether it was done; to do it again does no harm.
        """
        history_id = f"{self._new_log_id():016x}".encode()
        request = transaction([self._no_live()], [put(self._keys.history, history_id)])
        with answered():
            done = await settle(self._etcd, request, seconds=_SECONDS)
        if not done.succeeded:
            raise LivesRun

    async def check_no_live(self) -> None:
        """Return if no instance of Live is registered.

        Raises:
            LivesRun: some are.
        """
        with answered():
            lives = await self._etcd.consensus_range(read(*self._keys.instances, count_only=True))
        if lives.answers[0].count:
            raise LivesRun

    def _no_live(self) -> Compare:
        """Hold where no instance is registered: no key of the range was ever made."""
        return absent(*self._keys.instances)


def _is_living(head: bytes) -> bool:
    try:
        return decode_head(head).tombstone is None
    except ValueError:
        return False
