"""The doctor on a real etcd: what is broken by hand is named, repaired, and named no more."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from cluster.etcd import Place, etcd_parts
from cluster.etcd_binary import EtcdBinary
from cluster.supervisor import Cluster
from services.store.doctor.examination import ABANDONED_MS
from services.store.doctor.findings import Kind
from services.store.etcd.client import EtcdClient
from services.store.etcd.doctor.command import Ending, examine_all, renew_logs
from services.store.etcd.doctor.treatment import LivesRun, Treatment
from services.store.etcd.doctor.visit import Visit
from services.store.etcd.errors import Compacted
from services.store.etcd.repository import EtcdRepository
from services.store.etcd.transactions import delete, read, transaction
from services.store.keys import Keys
from services.store.writes import Committed, CopyPiece
from sessiond.session.access import Identity, MemberRole
from sessiond.session.changes import (
    AppendMessage,
    ApproveOutput,
    CreateSession,
    EndTurn,
    ShareSession,
    SubmitOutput,
    TransferSession,
    UpdateSession,
)
from sessiond.store.codec import Building, encode_building_head
from sessiond.store.v1 import records_pb2 as pb
from tests.store.author import ADMIN, CRM, Author
from tests.store.conftest import Clock, sessions_of
from tests.store.copying import Copier, history_of


@dataclass
class Ward:
    """Sessions in an etcd, someone who writes them, and a doctor."""

    etcd: EtcdClient
    namespace: str
    author: Author

    @property
    def keys(self) -> Keys:
        return Keys(self.namespace)

    async def begin(self, session_id: str, user: str = "alice", workflow: str = "chat") -> None:
        sessions = sessions_of(self.author.repository, Clock())
        change = CreateSession(workflow_id=workflow, id=session_id, metadata={"b": "1", "a": "2"})
        await sessions.create(Identity(user), change, None)

    async def look(self, *, fix: bool = False) -> tuple[Ending, list[str]]:
        """Return how the doctor ended and what it said, the summary last."""
        said: list[str] = []
        visit = Visit(self.etcd, self.namespace)
        return await examine_all(visit, self.treatment if fix else None, said.append), said

    async def kinds(self) -> list[str]:
        ending, said = await self.look()
        assert (ending is Ending.ILL) == (len(said) > 1)
        return [line.split()[0] for line in said[:-1]]

    @property
    def treatment(self) -> Treatment:
        ids = itertools.count(77)
        return Treatment(self.etcd, self.namespace, new_log_id=lambda: next(ids))

    async def value(self, key: bytes) -> bytes:
        return (await self.etcd.range(read(key))).kvs[0].value

    async def head(self, session_id: str) -> pb.Head:
        return pb.Head.FromString(await self.value(self.keys.head(session_id)))

    async def entry_key(self, session_id: str) -> bytes:
        head = await self.head(session_id)
        return self.keys.entry(head.user_id, head.index_ms, session_id)

    async def everything(self) -> dict[bytes, bytes]:
        stem = self.namespace.encode()
        found = await self.etcd.range(read(stem, stem + b"\xff"))
        return {kv.key: kv.value for kv in found.kvs}


@pytest.fixture
async def ward(etcd: Cluster, namespace: str) -> AsyncIterator[Ward]:
    """Sessions of every kind: plain, in a workflow, in a turn, of ids with one stem, deleted."""
    async with (
        EtcdClient([etcd.address("etcd-1")]) as client,
        EtcdRepository(client, namespace=namespace) as repository,
    ):
        ward = Ward(client, namespace, await Author(repository).register())
        author = ward.author
        for session_id in ("chat", "chat-1", "chat-1-b", "chat.2", "gone", "turn"):
            await ward.begin(session_id, user="al:ice" if session_id == "chat.2" else "alice")
        await ward.begin("flow", workflow="master-workflow-v2")
        await author.say("chat", *(f"message {number}" for number in range(20)), apart_ms=40)
        await author.say("chat-1", "one")
        await author.change("flow", SubmitOutput("one", output_id="o-1"), identity=CRM)
        await author.change("flow", ApproveOutput("o-1"), AppendMessage("go on"))
        await author.change("flow", UpdateSession(title="A title", user_inputs='{"a": 1}'))
        await author.begin_turn("turn")
        assert await repository.commit([await author.draft_of("turn", "Once", " upon")]) == [
            Committed()
        ]
        await author.change("chat.2", ShareSession("bob", MemberRole.VIEWER))
        await author.say("gone", "soon")
        assert await author.delete("gone") == Committed()
        yield ward


async def test_all_that_our_parts_write_is_well(ward: Ward) -> None:
    """Workflows, turns, drafts, moved entries, ids with one stem and tombstones are no findings."""
    ending, said = await ward.look()
    assert ending is Ending.WELL, said
    (summary,) = said
    assert summary.startswith("7 sessions, "), summary
    assert " 6 entries, 3 awaited, " in summary and summary.endswith("all is well")


Harm = Callable[[Ward], Awaitable[None]]


async def _lose_entry(ward: Ward) -> None:
    await ward.etcd.delete(await ward.entry_key("chat"))


async def _age_entry(ward: Ward) -> None:
    key = await ward.entry_key("chat")
    entry = pb.IndexEntry.FromString(await ward.value(key))
    entry.revision -= 1
    await ward.etcd.put(key, entry.SerializeToString())


async def _spoil_entry(ward: Ward) -> None:
    await ward.etcd.put(await ward.entry_key("chat"), b"\xff")


async def _list_twice(ward: Ward) -> None:
    entry = await ward.value(await ward.entry_key("chat"))
    await ward.etcd.put(ward.keys.entry("alice", 1, "chat"), entry)


async def _list_for_another(ward: Ward) -> None:
    head = await ward.head("chat")
    entry = await ward.value(await ward.entry_key("chat"))
    await ward.etcd.put(ward.keys.entry("bob", head.index_ms, "chat"), entry)


async def _list_nothing(ward: Ward) -> None:
    entry = await ward.value(await ward.entry_key("chat"))
    await ward.etcd.put(ward.keys.entry("alice", 1, "never"), entry)


async def _list_the_deleted(ward: Ward) -> None:
    await ward.etcd.put(ward.keys.entry("alice", 1, "gone"), b"")


async def _await_nobody(ward: Ward) -> None:
    head = await ward.head("flow")
    await ward.etcd.delete(ward.keys.awaited(head.awaited_agent, "flow"))


async def _await_in_vain(ward: Ward) -> None:
    head = await ward.head("flow")
    await ward.etcd.put(ward.keys.awaited(head.awaited_agent, "flow"), b"")


async def _await_another(ward: Ward) -> None:
    await ward.etcd.put(ward.keys.awaited("nobody", "flow"), b"")


async def _leave_draft(ward: Ward) -> None:
    await ward.etcd.put(ward.keys.draft("chat", "t-9", 1), b"")
    await ward.etcd.put(ward.keys.draft("chat", "t-9", 2), b"")


async def _share_with_a_stranger(ward: Ward) -> None:
    await ward.etcd.put(ward.keys.shared("carol", "chat.2"), b"")


async def _share_nothing(ward: Ward) -> None:
    await ward.etcd.put(ward.keys.shared("bob", "never"), b"")


async def _lose_share(ward: Ward) -> None:
    await ward.etcd.delete(ward.keys.shared("bob", "chat.2"))


async def _abandon_copy(ward: Ward, *, rested_ms: int = ABANDONED_MS + 60_000) -> None:
    now_ms = time.time_ns() // 1_000_000
    building = Building(Identity("alice").actor, "op", b"", now_ms - rested_ms)
    repository = ward.author.repository
    first = encode_building_head(9, building)
    assert await repository.begin_copy("copy", first, maker_id="alice") == Committed()
    head = encode_building_head(9, building, seq=2, size=6)
    piece = CopyPiece("copy", first, head, 1, (b"one", b"two"))
    assert await repository.write_copy(piece) == Committed()


async def _lose_copy(ward: Ward) -> None:
    await ward.author.repository.begin_copy("begun", _new_copy(), maker_id="alice")
    await ward.etcd.delete(ward.keys.copy("alice", "begun"))


async def _call_a_session_a_copy(ward: Ward) -> None:
    await ward.etcd.put(ward.keys.copy("alice", "chat"), b"")


async def _call_the_living_deleted(ward: Ward) -> None:
    await ward.etcd.put(ward.keys.deleted("chat"), b"")


async def _call_nothing_deleted(ward: Ward) -> None:
    await ward.etcd.put(ward.keys.deleted("never"), b"")


async def _lose_deleted(ward: Ward) -> None:
    await ward.etcd.delete(ward.keys.deleted("gone"))


def _new_copy() -> bytes:
    now_ms = time.time_ns() // 1_000_000
    return encode_building_head(9, Building(Identity("alice").actor, "op", b"", now_ms))


async def _leave_record(ward: Ward) -> None:
    await ward.etcd.put(ward.keys.event("gone", 1), await ward.value(ward.keys.event("chat", 1)))


@pytest.mark.parametrize(
    ("harm", "kind"),
    [
        (_lose_entry, Kind.ENTRY_MISSING),
        (_age_entry, Kind.ENTRY_WRONG),
        (_spoil_entry, Kind.ENTRY_WRONG),
        (_list_twice, Kind.ENTRY_STRAY),
        (_list_for_another, Kind.ENTRY_STRAY),
        (_list_nothing, Kind.ENTRY_STRAY),
        (_list_the_deleted, Kind.ENTRY_STRAY),
        (_await_nobody, Kind.AWAITED_MISSING),
        (_await_in_vain, Kind.AWAITED_WRONG),
        (_await_another, Kind.AWAITED_STRAY),
        (_leave_draft, Kind.DRAFT_ORPHANED),
        (_leave_record, Kind.LEFTOVER),
        (_share_with_a_stranger, Kind.SHARED_STRAY),
        (_share_nothing, Kind.SHARED_STRAY),
        (_lose_share, Kind.SHARED_MISSING),
        (_abandon_copy, Kind.COPY_ABANDONED),
        (_call_a_session_a_copy, Kind.COPY_STRAY),
        (_call_the_living_deleted, Kind.DELETED_STRAY),
        (_call_nothing_deleted, Kind.DELETED_STRAY),
        (_lose_deleted, Kind.DELETED_MISSING),
    ],
)
async def test_what_follows_from_the_rest_is_named_and_repaired(
    ward: Ward, harm: Harm, kind: Kind
) -> None:
    """One line names it, `--fix` puts it right, and then nothing is left to say."""
    before = await ward.everything()
    await harm(ward)
    assert await ward.kinds() == [kind]
    ending, said = await ward.look(fix=True)
    assert ending is Ending.WELL and said[0].endswith("(repaired)"), said
    assert said[-1].endswith("1 findings, 1 repaired")
    assert await ward.kinds() == []
    after = await ward.everything()
    assert after.keys() == before.keys()
    agents = f"{ward.namespace}agent:".encode()  # those entries are of when it came to await
    changed = [key for key in before if before[key] != after[key] and not key.startswith(agents)]
    assert [pb.IndexEntry.FromString(before[key]) for key in changed] == [
        pb.IndexEntry.FromString(after[key]) for key in changed
    ]


async def _lose_record(ward: Ward) -> None:
    await ward.etcd.delete(ward.keys.event("chat", 5))


async def _lose_the_last_record(ward: Ward) -> None:
    await ward.etcd.delete(ward.keys.event("chat", 21))


async def _spoil_record(ward: Ward) -> None:
    await ward.etcd.put(ward.keys.event("chat", 5), b"\xff")


async def _misplace_record(ward: Ward) -> None:
    await ward.etcd.put(ward.keys.event("chat", 5), await ward.value(ward.keys.event("chat", 6)))


async def _write_late(ward: Ward) -> None:
    await ward.etcd.put(ward.keys.event("chat", 22), await ward.value(ward.keys.event("chat", 6)))


async def _write_as_a_former_owner(ward: Ward) -> None:
    await ward.author.say("chat", "in a later epoch")
    key = ward.keys.event("chat", 22)
    record = pb.Record.FromString(await ward.value(key))
    record.epoch = 0
    await ward.etcd.put(key, record.SerializeToString())


async def _change_history(ward: Ward) -> None:
    key = ward.keys.event("chat", 2)
    record = pb.Record.FromString(await ward.value(key))
    record.message_appended.title = "Another"
    await ward.etcd.put(key, record.SerializeToString())


async def _lose_outputs(ward: Ward) -> None:
    await ward.etcd.delete(ward.keys.outputs("flow"))


async def _misname_output(ward: Ward) -> None:
    table = pb.OutputTable.FromString(await ward.value(ward.keys.outputs("flow")))
    table.rows[0].body_seq = 99
    await ward.etcd.put(ward.keys.outputs("flow"), table.SerializeToString())


async def _lose_members(ward: Ward) -> None:
    await ward.etcd.delete(ward.keys.members("chat.2"))


async def _spoil_members(ward: Ward) -> None:
    await ward.etcd.put(ward.keys.members("chat.2"), b"\xff")


async def _spoil_head(ward: Ward) -> None:
    await ward.etcd.put(ward.keys.head("chat"), b"\xff")


async def _head_of_a_later_format(ward: Ward) -> None:
    head = await ward.head("chat")
    head.format = 9
    await ward.etcd.put(ward.keys.head("chat"), head.SerializeToString())


async def _await_against_the_rule(ward: Ward) -> None:
    head = await ward.head("chat-1")
    await ward.etcd.delete(ward.keys.awaited(head.awaited_agent, "chat-1"))
    head.awaited_agent = ""
    await ward.etcd.put(ward.keys.head("chat-1"), head.SerializeToString())


async def _write_beside_us(ward: Ward) -> None:
    await ward.etcd.put(ward.keys.head("chat") + b":else", b"")


async def _spoil_erasure(ward: Ward) -> None:
    await ward.etcd.put(ward.keys.erasure("alice"), b"\xff")


async def _spoil_job(ward: Ward) -> None:
    await ward.etcd.put(ward.keys.job("retention"), b"\xff")


async def _spoil_template(ward: Ward) -> None:
    await ward.etcd.put(ward.keys.template("alice", "plan"), b"\xff")


async def _ask_for_an_erasure_elsehow(ward: Ward) -> None:
    await ward.etcd.put(ward.keys.erasure("alice") + b":else", b"")


@pytest.mark.parametrize(
    ("harm", "kind"),
    [
        (_lose_record, Kind.LOG_HOLE),
        (_lose_the_last_record, Kind.LOG_HOLE),
        (_spoil_record, Kind.RECORD_UNREADABLE),
        (_misplace_record, Kind.RECORD_MISPLACED),
        (_write_late, Kind.RECORD_BEYOND),
        (_write_as_a_former_owner, Kind.EPOCH_FELL),
        (_change_history, Kind.HEAD_DISAGREES),
        (_lose_outputs, Kind.OUTPUTS_DISAGREE),
        (_misname_output, Kind.OUTPUTS_DISAGREE),
        (_lose_members, Kind.MEMBERS_DISAGREE),
        (_spoil_members, Kind.MEMBERS_DISAGREE),
        (_spoil_head, Kind.HEAD_UNREADABLE),
        (_head_of_a_later_format, Kind.HEAD_UNREADABLE),
        (_await_against_the_rule, Kind.HEAD_DISAGREES),
        (_write_beside_us, Kind.KEY_UNKNOWN),
        (_spoil_erasure, Kind.VALUE_UNREADABLE),
        (_spoil_job, Kind.VALUE_UNREADABLE),
        (_spoil_template, Kind.VALUE_UNREADABLE),
        (_ask_for_an_erasure_elsehow, Kind.KEY_UNKNOWN),
    ],
)
async def test_what_only_a_guess_could_repair_is_named_and_left(
    ward: Ward, harm: Harm, kind: Kind
) -> None:
    """Holes are reported, never invented: `--fix` says so, and changes nothing."""
    await harm(ward)
    assert kind in await ward.kinds()
    before = await ward.everything()
    ending, said = await ward.look(fix=True)
    assert ending is Ending.ILL
    assert all(line.endswith("only a guess could repair it)") for line in said[:-1]), said
    assert await ward.everything() == before


async def test_a_copy_that_is_being_written_is_left_alone(ward: Ward) -> None:
    """For an hour after its last piece; its records are no session's yet."""
    await _abandon_copy(ward, rested_ms=ABANDONED_MS - 60_000)
    before = await ward.everything()
    assert (await ward.look(fix=True))[0] is Ending.WELL
    assert await ward.everything() == before
    await ward.etcd.put(ward.keys.entry("alice", 1, "copy"), b"")
    assert await ward.kinds() == [Kind.ENTRY_STRAY]


async def test_a_copy_is_put_back_among_those_of_its_maker(ward: Ward) -> None:
    """An erasure finds it there, and nowhere else."""
    await _lose_copy(ward)
    assert await ward.kinds() == [Kind.COPY_MISSING]
    assert (await ward.look(fix=True))[0] is Ending.WELL
    assert await ward.author.repository.copies("alice") == ("begun",)
    assert await ward.kinds() == []


async def test_a_copy_is_looked_for_under_whom_it_is_listed(ward: Ward) -> None:
    """An administrator's import under its owner, and not under who makes it."""
    repository = ward.author.repository
    building = Building(ADMIN.actor, "", b"", time.time_ns() // 1_000_000, "bob")
    await repository.begin_copy("begun", encode_building_head(9, building), maker_id="bob")
    assert await ward.kinds() == []
    await ward.etcd.delete(ward.keys.copy("bob", "begun"))
    assert await ward.kinds() == [Kind.COPY_MISSING]
    assert (await ward.look(fix=True))[0] is Ending.WELL
    assert await repository.copies("bob") == ("begun",)


async def test_what_says_where_a_tombstone_stands_is_put_back(ward: Ward) -> None:
    """On the lease of the tombstone, so that it goes with it."""
    await _lose_deleted(ward)
    assert (await ward.look(fix=True))[0] is Ending.WELL
    found = await ward.etcd.range(read(ward.keys.deleted("gone")))
    tombstone = await ward.etcd.range(read(ward.keys.head("gone")))
    assert [kv.lease for kv in found.kvs] == [tombstone.kvs[0].lease] != [0]
    assert await ward.kinds() == []


async def test_forks_and_imports_are_sessions_like_any_other(ward: Ward) -> None:
    """With members, a rewind and a lineage there is nothing to say of them."""
    repository, clock = ward.author.repository, Clock()
    copier = Copier(repository, clock)
    await copier.fork("flow", new_id="fork")
    events = await history_of(repository, "chat.2")
    await ward.author.delete("chat.2")
    await ward.etcd.delete(ward.keys.head("chat.2"))
    await ward.etcd.delete(ward.keys.deleted("chat.2"))  # the day is over
    imported = await copier.store("chat.2", events, identity=Identity("al:ice"))
    assert imported.imported
    assert (await ward.look())[0] is Ending.WELL, await ward.look()


async def test_a_session_that_was_given_away_is_well(ward: Ward) -> None:
    """Its entry, its pointers and its place under an agent name the new owner."""
    await ward.author.change("chat.2", TransferSession("bob"))
    assert (await ward.look())[0] is Ending.WELL, await ward.look()


async def test_a_lost_head_is_no_reason_to_forget_the_rest(ward: Ward) -> None:
    """Records and entries of a session without a head stay where they are."""
    await ward.etcd.delete(ward.keys.head("chat"))
    before = await ward.everything()
    ending, said = await ward.look(fix=True)
    assert ending is Ending.ILL and Kind.HEAD_MISSING in {line.split()[0] for line in said}
    assert await ward.everything() == before


async def test_a_session_that_moves_on_is_not_repaired(ward: Ward) -> None:
    """A repair of what was read before compares the head, and then does nothing."""
    await _leave_draft(ward)
    findings = [finding async for finding in Visit(ward.etcd, ward.namespace).findings()]
    (repair,) = [finding.repair for finding in findings]
    assert repair is not None
    await ward.author.say("chat", "moving on")
    before = await ward.everything()
    assert not await ward.treatment.apply(repair)
    assert await ward.everything() == before
    assert (await ward.look(fix=True))[0] is Ending.WELL


async def test_more_keys_than_a_page_are_all_looked_at(ward: Ward) -> None:
    """A log longer than a page, sessions behind it, and one whose id begins with its id."""
    for _ in range(24):
        await ward.author.say("chat-1", *(f"{number}" for number in range(50)))
    await ward.etcd.delete(ward.keys.event("chat-1", 1100))
    await ward.etcd.put(ward.keys.draft("turn", "t-9", 1), b"")
    await ward.etcd.put(ward.keys.draft("chat", "t-9", 1), b"")
    ending, said = await ward.look()
    assert ending is Ending.ILL
    lines = [" ".join(line.split()[:2]) for line in said[:-1]]
    assert lines == ["draft-orphaned chat:", "log-hole chat-1:", "draft-orphaned turn:"]
    assert said[1].endswith("no record 1100 of 1202")
    assert said[-1].startswith("7 sessions, ")


async def test_new_logs_need_the_lives_to_be_gone(ward: Ward) -> None:
    """While an instance is registered nothing is written; then every living log is new."""
    said: list[str] = []
    before = await ward.everything()
    with pytest.raises(LivesRun):
        await renew_logs(Visit(ward.etcd, ward.namespace), ward.treatment, said.append)
    with pytest.raises(LivesRun):
        await ward.treatment.renew_log("chat")
    assert await ward.everything() == before and said == []
    await ward.author.repository.deregister(ward.author.instance, ward.author.lease)
    ending = await renew_logs(Visit(ward.etcd, ward.namespace), ward.treatment, said.append)
    assert (ending, said) == (Ending.WELL, ["6 logs have new ids"])
    assert await ward.author.repository.history_id() == f"{77:016x}"
    for number, session_id in enumerate(("chat", "chat-1", "chat-1-b", "chat.2", "flow", "turn")):
        head = await ward.head(session_id)
        was = pb.Head.FromString(before[ward.keys.head(session_id)])
        assert head.log_id == 78 + number != was.log_id
        head.log_id = was.log_id
        assert head == was
    assert (await ward.look())[0] is Ending.WELL


async def test_a_busy_system_is_not_called_ill(
    etcd_binary: EtcdBinary, ports: Iterator[int], tmp_path: Path
) -> None:
    """Under creations, appends, turns, deletions and constant compaction no look finds anything."""
    place = Place(next(ports), next(ports))
    parts = etcd_parts(etcd_binary, [place], tmp_path, {})
    async with (
        Cluster([parts], logs=tmp_path) as cluster,
        EtcdClient([cluster.address("etcd-1")]) as client,
        EtcdRepository(client) as repository,
    ):
        looked = asyncio.Event()

        async def work(name: str) -> int:
            author = Author(repository, name.encode())
            await author.register(address=name)
            ward = Ward(client, "", author)
            for turn in itertools.count():
                session_id = f"{name}-{turn % 3}" + f"-{turn}" * (turn % 2)
                await ward.begin(session_id)
                await author.say(session_id, "one", "two", apart_ms=200)
                turn_id = await author.begin_turn(session_id)
                await repository.commit([await author.draft_of(session_id, "Once", " upon")])
                await author.change(session_id, EndTurn(turn_id, 9), identity=CRM, text="Once upon")
                if turn % 2 == 0:
                    await author.delete(session_id)
                    gone = [delete(Keys().head(session_id)), delete(Keys().deleted(session_id))]
                    await client.txn(transaction((), gone))  # the day is over
                revision = (await client.range(read(b"batch"))).header.revision
                # Who writes reads at the revision just before; the doctor's is older, and gone.
                with suppress(Compacted):
                    await client.compact(max(1, revision - 20))
                if looked.is_set():
                    return turn
            raise AssertionError

        async with asyncio.TaskGroup() as tasks:
            workers = [tasks.create_task(work("a")), tasks.create_task(work("b"))]
            looks = overtaken = 0
            while looks < 10 or overtaken < 3:
                said: list[str] = []
                visit = Visit(client)
                assert await examine_all(visit, None, said.append) is Ending.WELL, said
                looks += 1
                overtaken += visit.seen.renewals > 0
            looked.set()
        assert all(worker.result() for worker in workers)
