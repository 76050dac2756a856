"""What stands in etcd, as the Stores show it to our own parts: heads and records, not copies."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import grpc

from sessiond.session.events import Record
from sessiond.store.codec import StoredHead, decode_head, decode_record
from sessiond.v1.ownership_pb2 import HandOverRequest, ReadHeadRequest, ReadRecordsRequest
from sessiond.v1.ownership_pb2_grpc import OwnershipServiceStub

_AT_ONCE = 16
_SECONDS = 20.0


class Stored:
    """Reads heads through consensus, and records by them."""

    def __init__(self, store: grpc.aio.Channel, token: str) -> None:
        """Take a channel to a Store, and the token of one of our own parts."""
        self._store: Any = OwnershipServiceStub(store)
        self._calling = (("authorization", f"Bearer {token.strip()}"),)
        self._places = asyncio.Semaphore(_AT_ONCE)

    async def head(self, session_id: str) -> StoredHead:
        """Return a session's head."""
        return decode_head((await self._head(session_id)).head)

    async def owner_address(self, session_id: str) -> str:
        """Return where a session's owner is; "" when there is none or it is gone."""
        return str((await self._head(session_id)).owner_address)

    async def hand_over(
        self, session_id: str, instances: Sequence[bytes], *, commit_id: bytes
    ) -> None:
        """Give a session that an instance owns to another one of these, as if its owner did."""
        head = (await self._head(session_id)).head
        owner = decode_head(head).meta.owner
        if owner in instances:
            target = next(each for each in instances if each != owner)
            request = HandOverRequest(
                instance=owner,
                session_id=session_id,
                expected_head=head,
                target=target,
                commit_id=commit_id,
            )
            await self._store.HandOver(request, metadata=self._calling, timeout=_SECONDS)

    async def records(self, session_id: str) -> list[Record]:
        """Return all records of a session, in order of seq."""
        head = await self.head(session_id)
        request = ReadRecordsRequest(session_id=session_id, first_seq=1, last_seq=head.seq)
        async with self._places:
            return [
                decode_record(record)
                async for answer in self._store.ReadRecords(
                    request, metadata=self._calling, timeout=_SECONDS
                )
                for record in answer.records
            ]

    async def _head(self, session_id: str) -> Any:
        async with self._places:
            return await self._store.ReadHead(
                ReadHeadRequest(session_id=session_id), metadata=self._calling, timeout=_SECONDS
            )
