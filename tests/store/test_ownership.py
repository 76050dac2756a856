from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import grpc
import pytest

from services.store import acquisition
from services.store.acquisition import read_records
from services.store.memory import MemoryRepository
from sessiond.errors import (
    InvalidArgument,
    PermissionDenied,
    SessiondError,
    SessionNotFound,
    Unavailable,
)
from sessiond.session.access import Identity, Role
from sessiond.session.changes import AppendMessage, ApproveOutput, SubmitOutput
from sessiond.status import from_rpc_error
from sessiond.store.codec import decode_head, decode_outputs, decode_record, load
from sessiond.v1 import ownership_pb2 as pb
from tests.store.author import Author, wired
from tests.store.conftest import Begin, Serve, Served

GTM = Identity("worker", Role.AGENT, agents=frozenset({"gtm-consultant"}))
OTHER = b"other-instance!!"


@pytest.fixture
async def served(serve: Serve, repository: MemoryRepository) -> AsyncIterator[Served]:
    """A served Store on the repository."""
    async with serve(repository) as opened:
        yield opened


async def failure(call: Any) -> SessiondError:
    """Return the failure that a call ends with."""
    with pytest.raises(grpc.aio.AioRpcError) as failed:
        await call
    return from_rpc_error(failed.value, mutating=True)


async def test_an_instance_lives_from_register_to_deregister(served: Served) -> None:
    """Its lease keeps it alive, its address is found, and its end is for ever."""
    instance = b"0123456789abcdef"
    registered = await served.ownership.Register(
        pb.RegisterRequest(instance=instance, address="127.0.0.1:7301"), metadata=served.live
    )
    assert registered.ttl_ms == 5000
    beat = pb.HeartbeatRequest(instance=instance, lease=registered.lease)
    assert (await served.ownership.Heartbeat(beat, metadata=served.live)).alive
    watching = served.ownership.WatchInstances(pb.WatchInstancesRequest(), metadata=served.live)
    first = await watching.read()
    assert isinstance(first, pb.WatchInstancesResponse)
    assert [each.address for each in first.instances] == ["127.0.0.1:7301"]
    await served.ownership.Deregister(
        pb.DeregisterRequest(instance=instance, lease=registered.lease), metadata=served.live
    )
    second = await watching.read()
    assert isinstance(second, pb.WatchInstancesResponse) and not second.instances
    assert not (await served.ownership.Heartbeat(beat, metadata=served.live)).alive
    watching.cancel()


async def test_a_session_is_acquired_with_all_that_its_owner_needs(
    served: Served, author: Author, begin: Begin
) -> None:
    """Head, outputs and records in order: the needed ones and the newest, each once."""
    await begin("s-1", workflow="master-workflow-v2")
    await author.change("s-1", SubmitOutput("plan", output_id="o-1"), identity=GTM)
    await author.change("s-1", ApproveOutput())
    expected = await author.say("s-1", *(f"{number}" for number in range(20)))
    response = await served.ownership.Acquire(
        pb.AcquireRequest(
            session_id="s-1", instance=author.instance, commit_id=b"c" * 16, recent=5
        ),
        metadata=served.live,
    )
    assert response.WhichOneof("outcome") == "acquired"
    head = decode_head(response.acquired.head)
    records = [decode_record(record) for record in response.acquired.records]
    assert [record.seq for record in records] == [1, 2, 3, 19, 20, 21, 22, 23]
    assert (head.meta.owner, head.meta.commit_id) == (author.instance, b"c" * 16)
    assert load(head, decode_outputs(response.acquired.outputs), records) == expected


async def test_acquiring_says_who_else_owns_the_session(
    served: Served, author: Author, begin: Begin, repository: MemoryRepository
) -> None:
    """A living owner, no registration of one's own, a tombstone, or nothing at all."""
    await begin("s-1")
    await author.say("s-1", "hello")

    async def acquire(session_id: str, instance: bytes) -> pb.AcquireResponse:
        request = pb.AcquireRequest(
            session_id=session_id, instance=instance, commit_id=b"c" * 16, recent=0
        )
        return await served.ownership.Acquire(request, metadata=served.live)

    assert (await acquire("s-1", OTHER)).WhichOneof("outcome") == "not_registered"
    await repository.register(OTHER, address="127.0.0.1:7302", ttl_seconds=60)
    owned = (await acquire("s-1", OTHER)).owned
    assert (owned.instance, owned.address) == (author.instance, "127.0.0.1:7301")
    await author.delete("s-1")
    assert decode_head((await acquire("s-1", OTHER)).deleted).tombstone is not None
    assert isinstance(await failure(acquire("nowhere", OTHER)), SessionNotFound)


async def test_commits_are_pipelined_and_each_has_its_outcome(
    served: Served, author: Author, begin: Begin
) -> None:
    """Many requests at once on one stream: stored, refused and unstorable ones by their tags."""
    commits = []
    for number in range(100):
        await begin(f"s-{number}")
        commits.append((await author.commit_of(f"s-{number}", AppendMessage("hello")))[0])
    call = served.ownership.Commit(metadata=served.live)
    for start in range(0, 100, 10):
        batch = [wired(commit, start + place) for place, commit in enumerate(commits[start:][:10])]
        await call.write(pb.CommitRequest(instance=author.instance, commits=batch))
    stale = wired(commits[0], 1000)
    malformed = wired(commits[1], 1001)
    malformed.session_id = "not an id"
    huge = wired(replace(commits[2], expected_head=commits[2].head), 1002)
    huge.records[0] = b"x" * 2_000_000
    dead = wired(commits[3], 1003)
    await call.write(pb.CommitRequest(instance=author.instance, commits=[stale, malformed, huge]))
    await call.write(pb.CommitRequest(instance=OTHER, commits=[dead]))
    await call.done_writing()
    outcomes = {outcome.tag: outcome async for response in call for outcome in response.outcomes}
    assert sorted(outcomes) == [*range(100), 1000, 1001, 1002, 1003]
    assert all(outcomes[tag].WhichOneof("outcome") == "committed" for tag in range(100))
    assert outcomes[1000].refused == pb.CommitOutcome.Refused(head=commits[0].head, registered=True)
    assert outcomes[1001].WhichOneof("outcome") == "unstorable"
    assert outcomes[1002].WhichOneof("outcome") == "unstorable"
    assert not outcomes[1003].refused.registered


async def test_commits_run_to_their_end_when_their_stream_breaks(
    served: Served, author: Author, begin: Begin, repository: MemoryRepository
) -> None:
    """What was read is stored, whether or not anybody is left to hear of it."""
    await begin("s-1")
    commit, _ = await author.commit_of("s-1", AppendMessage("hello"))
    call = served.ownership.Commit(metadata=served.live)
    await call.write(pb.CommitRequest(instance=author.instance, commits=[wired(commit, 1)]))
    await call.read()
    call.cancel()
    snapshot = await repository.snapshot("s-1")
    assert snapshot is not None and snapshot.head == commit.head


async def test_a_drain_ends_a_commit_stream_after_its_outcomes(
    served: Served, author: Author, begin: Begin
) -> None:
    """What was read is answered; then the stream is Unavailable, and goes on at another Store."""
    await begin("s-1")
    commit, _ = await author.commit_of("s-1", AppendMessage("hello"))
    call = served.ownership.Commit(metadata=served.live)
    await call.write(pb.CommitRequest(instance=author.instance, commits=[wired(commit, 7)]))
    response = await call.read()
    assert isinstance(response, pb.CommitResponse)
    assert [outcome.tag for outcome in response.outcomes] == [7]
    served.health.begin_drain(5)
    assert isinstance(await failure(call.read()), Unavailable)


async def test_a_session_is_deleted(served: Served, author: Author, begin: Begin) -> None:
    """A tombstone stands where it was, and only there."""
    await begin("s-1")
    snapshot, session = await author.state("s-1")
    meta = decode_head(snapshot.head).meta
    request = pb.DeleteRequest(
        instance=author.instance,
        session_id="s-1",
        expected_head=snapshot.head,
        head=b"tombstone",
        user_id=session.user_id,
        position_ms=meta.index_ms,
    )
    response = await served.ownership.Delete(request, metadata=served.live)
    assert response.outcome.WhichOneof("outcome") == "committed"
    again = await served.ownership.Delete(request, metadata=served.live)
    assert again.outcome.refused.head == b"tombstone"


@pytest.mark.parametrize("target", ["registered", "draining", "gone"])
async def test_a_session_is_handed_over(
    served: Served, author: Author, begin: Begin, repository: MemoryRepository, target: str
) -> None:
    """To the target while it stands, to nobody when it is gone or leaving; twice is once."""
    await begin("s-1")
    snapshot, _ = await author.state("s-1")
    if target != "gone":
        lease = await repository.register(OTHER, address="127.0.0.1:7302", ttl_seconds=60)
        await repository.heartbeat(OTHER, lease, draining=target == "draining")
    request = pb.HandOverRequest(
        instance=author.instance,
        session_id="s-1",
        expected_head=snapshot.head,
        target=OTHER,
        commit_id=b"c" * 16,
    )
    expected = OTHER if target == "registered" else b""
    for _ in range(2):
        response = await served.ownership.HandOver(request, metadata=served.live)
        assert response.outcome.WhichOneof("outcome") == "committed"
        assert response.owner == expected
    after = await served.ownership.ReadHead(
        pb.ReadHeadRequest(session_id="s-1"), metadata=served.live
    )
    before, head = decode_head(snapshot.head), decode_head(after.head)
    assert (head.meta.owner, head.meta.epoch) == (expected, before.meta.epoch + 1)
    assert after.owner_address == ("127.0.0.1:7302" if expected else "")


async def test_a_stale_hand_over_is_refused(served: Served, author: Author, begin: Begin) -> None:
    """Whoever hands over what has changed meanwhile learns what stands there."""
    await begin("s-1")
    snapshot, _ = await author.state("s-1")
    await author.say("s-1", "meanwhile")
    response = await served.ownership.HandOver(
        pb.HandOverRequest(
            instance=author.instance,
            session_id="s-1",
            expected_head=snapshot.head,
            target=OTHER,
            commit_id=b"c" * 16,
        ),
        metadata=served.live,
    )
    assert decode_head(response.outcome.refused.head).seq == 2
    assert response.owner == b""


async def test_sessions_are_given_up(served: Served, author: Author, begin: Begin) -> None:
    """Each has its outcome, and no owner afterwards."""
    releasing = []
    for tag, name in enumerate(("a", "b")):
        await begin(name)
        snapshot, _ = await author.state(name)
        releasing.append(
            pb.ReleaseRequest.Releasing(
                tag=tag, session_id=name, expected_head=snapshot.head, commit_id=b"c" * 16
            )
        )
    releasing[1].expected_head = b"no head at all"
    response = await served.ownership.Release(
        pb.ReleaseRequest(instance=author.instance, sessions=releasing), metadata=served.live
    )
    assert [each.WhichOneof("outcome") for each in response.outcomes] == [
        "committed",
        "unstorable",
    ]
    head = (
        await served.ownership.ReadHead(pb.ReadHeadRequest(session_id="a"), metadata=served.live)
    ).head
    assert decode_head(head).meta.owner == b""


async def test_records_come_in_order_and_in_small_messages(
    served: Served, author: Author, begin: Begin
) -> None:
    """From the first asked for to the last there is, each message about 1 MiB at most."""
    await begin("s-1")
    for _ in range(5):
        await author.change("s-1", AppendMessage("x" * 400 * 1024))
    await author.say("s-1", *(str(number) for number in range(100)))
    call = served.ownership.ReadRecords(
        pb.ReadRecordsRequest(session_id="s-1", first_seq=2, last_seq=1000), metadata=served.live
    )
    responses = [response async for response in call]
    seqs = [decode_record(each).seq for response in responses for each in response.records]
    assert seqs == list(range(2, 107))
    assert max(response.ByteSize() for response in responses) < 1024 * 1024 + 4096
    absent = served.ownership.ReadRecords(
        pb.ReadRecordsRequest(session_id="nowhere", first_seq=1, last_seq=2), metadata=served.live
    )
    assert isinstance(await failure(absent.read()), SessionNotFound)


async def test_ownership_is_for_live_alone(served: Served) -> None:
    """Not for users, nor administrators; a gateway may watch instances and report them."""
    request = pb.ReadHeadRequest(session_id="s-1")
    report = pb.ReportUnreachableRequest(instance=OTHER)
    for role in ("user", "admin", "service", "agent", "gateway"):
        metadata = served.bearer("somebody", role=role)
        refused = await failure(served.ownership.ReadHead(request, metadata=metadata))
        assert isinstance(refused, PermissionDenied)
        if role != "gateway":
            refused = await failure(served.ownership.ReportUnreachable(report, metadata=metadata))
            assert isinstance(refused, PermissionDenied)
    gateway = served.bearer("gateway-1", role="gateway")
    assert (await served.ownership.ReportUnreachable(report, metadata=gateway)).gone
    watching = served.ownership.WatchInstances(pb.WatchInstancesRequest(), metadata=gateway)
    assert await watching.read() == pb.WatchInstancesResponse()
    watching.cancel()


async def test_every_malformed_id_is_named(served: Served) -> None:
    """Instances and commits are 16 bytes, session ids of their alphabet."""
    refused = await failure(
        served.ownership.Acquire(
            pb.AcquireRequest(session_id=":", instance=b"1", commit_id=b""), metadata=served.live
        )
    )
    assert isinstance(refused, InvalidArgument)
    fields = {violation.field for violation in refused.violations}
    assert fields == {"session_id", "instance", "commit_id"}


async def test_a_watch_of_instances_ends_with_the_drain(served: Served) -> None:
    """So that it does not hold up the stop."""
    watching = served.ownership.WatchInstances(pb.WatchInstancesRequest(), metadata=served.live)
    await watching.read()
    served.health.begin_drain(5)
    async with asyncio.timeout(2):
        assert isinstance(await failure(watching.read()), Unavailable)


async def test_a_reader_that_gets_on_may_take_longer_than_history_is_kept(
    repository: MemoryRepository, author: Author, begin: Begin, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Compaction sends away who gets nowhere, and nobody else: records never change."""
    monkeypatch.setattr(acquisition, "run_length", lambda _: 1)
    await begin("s-1")
    await author.say("s-1", *"abcdef")
    found = 0
    async for run in read_records(repository, "s-1", 1, 7):
        found += len(run)
        await author.say("s-1", "more")
        repository.compact()
    assert found == 7
