"""OwnershipService: how Live instances register, own sessions and write them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import Any

import grpc

from services.serving.addresses import HostPort
from services.serving.health import Health
from services.store.acquisition import Acquired, Deleted, acquire, decoded_head, read_records
from services.store.answers import NotRegistered, Owned
from services.store.beside import beside
from services.store.commit import Committer
from services.store.commit_stream import commit_stream
from services.store.hand_over import give_up, hand_over
from services.store.outcomes import INSTANCE_BYTES, outcome_to_wire
from services.store.repository import Repository
from services.store.unreachable import Unreachable
from services.store.writes import Deletion
from sessiond.errors import InvalidArgument, SessionNotFound, Unavailable, Violations
from sessiond.session.checks import check_session_id
from sessiond.v1 import ownership_pb2 as pb
from sessiond.v1.ownership_pb2_grpc import OwnershipServiceServicer

Context = grpc.aio.ServicerContext[Any, Any]


class OwnershipServicer(OwnershipServiceServicer):
    """Speaks for the repository and the committer; see the proto for what each method promises."""

    def __init__(
        self,
        repository: Repository,
        committer: Committer,
        unreachable: Unreachable,
        health: Health,
        *,
        ttl_seconds: int,
    ) -> None:
        self._repository = repository
        self._committer = committer
        self._unreachable = unreachable
        self._health = health
        self._ttl_seconds = ttl_seconds

    async def Register(self, request: pb.RegisterRequest, context: Context) -> pb.RegisterResponse:
        """Register a new instance."""
        found = Violations()
        _check_16_bytes(request.instance, "instance", found)
        try:
            HostPort.parse(request.address)
        except ValueError as error:
            found.add("address", str(error))
        found.check()
        lease = await self._repository.register(
            request.instance, address=request.address, ttl_seconds=self._ttl_seconds
        )
        return pb.RegisterResponse(lease=lease, ttl_ms=self._ttl_seconds * 1000)

    async def Heartbeat(
        self, request: pb.HeartbeatRequest, context: Context
    ) -> pb.HeartbeatResponse:
        """Keep an instance alive, behind the commits that wait."""
        _check(instance=request.instance)
        alive = await self._committer.in_turn(
            lambda: self._repository.heartbeat(
                request.instance, request.lease, draining=request.draining
            )
        )
        return pb.HeartbeatResponse(alive=alive)

    async def Deregister(
        self, request: pb.DeregisterRequest, context: Context
    ) -> pb.DeregisterResponse:
        """End a registration."""
        _check(instance=request.instance)
        await self._repository.deregister(request.instance, request.lease)
        return pb.DeregisterResponse()

    async def Acquire(self, request: pb.AcquireRequest, context: Context) -> pb.AcquireResponse:
        """Make an instance the owner of a session, and load it."""
        _check(request.session_id, instance=request.instance, commit_id=request.commit_id)
        outcome = await acquire(
            self._repository,
            request.session_id,
            request.instance,
            request.commit_id,
            recent=request.recent,
        )
        match outcome:
            case Acquired():
                acquired = pb.AcquireResponse.Acquired(
                    head=outcome.head,
                    outputs=outcome.outputs,
                    records=outcome.records,
                    drafts=outcome.drafts,
                    members=outcome.members,
                )
                return pb.AcquireResponse(acquired=acquired)
            case Deleted():
                return pb.AcquireResponse(deleted=outcome.head)
            case Owned(instance, address):
                owned = pb.AcquireResponse.Owned(instance=instance, address=address)
                return pb.AcquireResponse(owned=owned)
            case NotRegistered():
                return pb.AcquireResponse(not_registered=pb.AcquireResponse.NotRegistered())

    async def Commit(
        self, request_iterator: AsyncIterator[pb.CommitRequest], context: Context
    ) -> AsyncGenerator[pb.CommitResponse, None]:
        """Commit changes of sessions."""
        stream = commit_stream(request_iterator, self._committer, self._health)
        async with aclosing(stream) as responses:
            async for response in responses:
                yield response

    async def Delete(self, request: pb.DeleteRequest, context: Context) -> pb.DeleteResponse:
        """Replace a session by its tombstone."""
        _check(request.session_id, instance=request.instance)
        outcome = await self._repository.delete(
            Deletion(
                instance=request.instance,
                session_id=request.session_id,
                expected_head=request.expected_head,
                head=request.head,
                user_id=request.user_id,
                position_ms=request.position_ms,
                awaited_agent=request.awaited_agent,
                shared_with=tuple(request.shared_with),
            )
        )
        return pb.DeleteResponse(outcome=outcome_to_wire(0, outcome))

    async def HandOver(self, request: pb.HandOverRequest, context: Context) -> pb.HandOverResponse:
        """Give a session to another instance, or to none where that one is gone or leaving."""
        _check(
            request.session_id,
            instance=request.instance,
            target=request.target,
            commit_id=request.commit_id,
        )
        outcome, owner = await hand_over(
            self._committer,
            request.instance,
            request.session_id,
            request.expected_head,
            target=request.target,
            commit_id=request.commit_id,
        )
        return pb.HandOverResponse(outcome=outcome_to_wire(0, outcome), owner=owner)

    async def Release(self, request: pb.ReleaseRequest, context: Context) -> pb.ReleaseResponse:
        """Give sessions up."""
        _check(instance=request.instance)
        for releasing in request.sessions:
            _check(releasing.session_id, commit_id=releasing.commit_id)
        outcomes = await asyncio.gather(
            *(
                give_up(
                    self._committer,
                    request.instance,
                    releasing.session_id,
                    releasing.expected_head,
                    commit_id=releasing.commit_id,
                )
                for releasing in request.sessions
            )
        )
        return pb.ReleaseResponse(
            outcomes=[
                outcome_to_wire(releasing.tag, outcome)
                for releasing, outcome in zip(request.sessions, outcomes, strict=True)
            ]
        )

    async def ReadHead(self, request: pb.ReadHeadRequest, context: Context) -> pb.ReadHeadResponse:
        """Read a session's head through consensus."""
        _check(request.session_id)
        snapshot, (_, instances) = await asyncio.gather(
            self._repository.snapshot(request.session_id), self._repository.instances()
        )
        if snapshot is None:
            raise SessionNotFound
        owner = decoded_head(request.session_id, snapshot.head).meta.owner
        addresses = {each.instance: each.address for each in instances}
        return pb.ReadHeadResponse(head=snapshot.head, owner_address=addresses.get(owner, ""))

    async def ReadRecords(
        self, request: pb.ReadRecordsRequest, context: Context
    ) -> AsyncGenerator[pb.ReadRecordsResponse, None]:
        """Read records of a session in order."""
        _check(request.session_id)
        reading = read_records(
            self._repository, request.session_id, request.first_seq, request.last_seq
        )
        async with aclosing(reading) as chunks:
            async for records in chunks:
                yield pb.ReadRecordsResponse(records=records)

    async def CountSessions(
        self, request: pb.CountSessionsRequest, context: Context
    ) -> pb.CountSessionsResponse:
        """Count a user's sessions, or those that are shared with them."""
        if not request.user_id:
            raise InvalidArgument.of("user_id", "is required")
        count = self._repository.count_shared if request.shared else self._repository.count
        return pb.CountSessionsResponse(count=await count(request.user_id))

    async def WatchInstances(
        self, request: pb.WatchInstancesRequest, context: Context
    ) -> AsyncGenerator[pb.WatchInstancesResponse, None]:
        """Follow the living instances until the part drains."""
        async with (
            self._repository.watch_instances() as changes,
            beside(self._health.drain_begins()) as draining,
        ):
            while True:
                async with beside(_next(changes)) as change:
                    await asyncio.wait({change, draining}, return_when=asyncio.FIRST_COMPLETED)
                    if draining.done():
                        raise Unavailable
                    instances = change.result()
                yield pb.WatchInstancesResponse(
                    instances=[
                        pb.LiveInstance(
                            instance=each.instance, address=each.address, draining=each.draining
                        )
                        for each in instances
                    ]
                )

    async def ReportUnreachable(
        self, request: pb.ReportUnreachableRequest, context: Context
    ) -> pb.ReportUnreachableResponse:
        """Look at an instance that somebody could not reach."""
        _check(instance=request.instance)
        return pb.ReportUnreachableResponse(gone=await self._unreachable.report(request.instance))


async def _next(changes: AsyncIterator[Any]) -> Any:
    return await anext(changes)


def _check(session_id: str | None = None, **ids: bytes) -> None:
    found = Violations()
    if session_id is not None:
        check_session_id(session_id, "session_id", found)
    for field, value in ids.items():
        _check_16_bytes(value, field, found)
    found.check()


def _check_16_bytes(value: bytes, field: str, found: Violations) -> None:
    if len(value) != INSTANCE_BYTES:
        found.add(field, f"must be {INSTANCE_BYTES} bytes")
