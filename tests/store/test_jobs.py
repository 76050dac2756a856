"""JobService over the wire: for our own services and administrators."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

import grpc
import pytest

from services.store.memory import MemoryRepository
from sessiond.errors import ErasureNotFound, InvalidArgument, PermissionDenied, SessiondError
from sessiond.status import from_rpc_error
from sessiond.v1 import job_pb2 as pb
from sessiond.v1 import store_pb2
from sessiond.v1.job_pb2_grpc import JobServiceStub
from tests.store.conftest import Serve, Served

if TYPE_CHECKING:
    from sessiond.v1.job_pb2_grpc import JobServiceAsyncStub

ONE, OTHER = b"1" * 16, b"2" * 16


@pytest.fixture
async def served(serve: Serve, repository: MemoryRepository) -> AsyncIterator[Served]:
    async with serve(repository) as opened:
        yield opened


@pytest.fixture
def jobs(served: Served) -> JobServiceAsyncStub:
    return JobServiceStub(served.channel)


async def failure(call: Any) -> SessiondError:
    with pytest.raises(grpc.aio.AioRpcError) as failed:
        await call
    return from_rpc_error(failed.value, mutating=False)


async def test_a_job_is_held_prolonged_and_let_go(
    served: Served, jobs: JobServiceAsyncStub
) -> None:
    """The term stays while it is prolonged, and rises when it is taken anew."""
    crm = served.bearer("retention", role="service")

    async def hold(holder: bytes) -> pb.HoldJobResponse:
        return await jobs.HoldJob(pb.HoldJobRequest(job="work", holder=holder), metadata=crm)

    first = await hold(ONE)
    assert first.held
    assert (first.term > 0, first.ttl_ms) == (True, 10_000)
    assert await hold(ONE) == first
    assert await hold(OTHER) == pb.HoldJobResponse(ttl_ms=10_000)
    await jobs.ReleaseJob(pb.ReleaseJobRequest(job="work", holder=OTHER), metadata=crm)
    assert await hold(ONE) == first
    await jobs.ReleaseJob(pb.ReleaseJobRequest(job="work", holder=ONE), metadata=crm)
    assert (await hold(OTHER)).term > first.term


async def test_who_works_for_nobody_alone_does_jobs(
    served: Served, jobs: JobServiceAsyncStub
) -> None:
    """Users, agents and services that act for one are refused, whatever they ask for."""
    asked = [
        (jobs.HoldJob, pb.HoldJobRequest(job="work", holder=ONE)),
        (jobs.ReleaseJob, pb.ReleaseJobRequest(job="work", holder=ONE)),
        (jobs.ListErasures, pb.ListErasuresRequest()),
        (jobs.CompleteErasure, pb.CompleteErasureRequest(user_id="alice")),
    ]
    callers = [
        served.bearer("alice"),
        served.bearer("w", role="agent"),
        (*served.bearer("crm", role="service"), ("sessiond-user", "alice")),
        served.bearer("live-1", role="live"),
    ]
    for method, request in asked:
        for caller in callers:
            untyped: Any = method
            refused = await failure(untyped(request, metadata=caller))
            assert isinstance(refused, PermissionDenied)
    admin = served.bearer("root", role="admin")
    assert (await jobs.HoldJob(pb.HoldJobRequest(job="a", holder=ONE), metadata=admin)).held


@pytest.mark.parametrize(
    ("job", "holder", "fields"),
    [("", ONE, {"job"}), ("A:b", ONE, {"job"}), ("a" * 65, b"", {"job", "holder"})],
)
async def test_a_job_has_a_name_and_a_holder(
    served: Served, jobs: JobServiceAsyncStub, job: str, holder: bytes, fields: set[str]
) -> None:
    """Both become keys and values in etcd."""
    request = pb.HoldJobRequest(job=job, holder=holder)
    refused = await failure(jobs.HoldJob(request, metadata=served.bearer("s", role="service")))
    assert isinstance(refused, InvalidArgument)
    assert {each.field for each in refused.violations} == fields


async def test_an_erasure_is_asked_for_done_and_shown(
    served: Served, jobs: JobServiceAsyncStub
) -> None:
    """From EraseUser to the receipt that GetErasure shows."""
    crm, alice = served.bearer("retention", role="service"), served.bearer("alice")
    about = store_pb2.GetErasureRequest(user_id="alice")
    assert isinstance(
        await failure(served.store.GetErasure(about, metadata=alice)), ErasureNotFound
    )
    await served.store.EraseUser(store_pb2.EraseUserRequest(user_id="alice"), metadata=alice)
    (pending,) = (await jobs.ListErasures(pb.ListErasuresRequest(), metadata=crm)).erasures
    assert (pending.user_id, pending.requested_by.role) == ("alice", "user")
    request = pb.CompleteErasureRequest(user_id="alice", sessions=3, shares=1)
    done = (await jobs.CompleteErasure(request, metadata=crm)).erasure
    assert (done.sessions, done.shares) == (3, 1)
    assert (await served.store.GetErasure(about, metadata=alice)).erasure == done
    assert not (await jobs.ListErasures(pb.ListErasuresRequest(), metadata=crm)).erasures
    for user_id, caller in (("bob", alice), ("alice", served.bearer("bob"))):
        erase = store_pb2.EraseUserRequest(user_id=user_id)
        refused = await failure(served.store.EraseUser(erase, metadata=caller))
        assert isinstance(refused, PermissionDenied)
    bad = pb.CompleteErasureRequest(user_id="\0", sessions=-1)
    wrong = await failure(jobs.CompleteErasure(bad, metadata=crm))
    assert isinstance(wrong, InvalidArgument)
    assert {each.field for each in wrong.violations} == {"user_id", "sessions"}
