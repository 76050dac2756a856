"""What stands in etcd, and the way back."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sessiond.session.access import Actor, Role
from sessiond.session.changes import (
    AppendMessage,
    ApproveOutput,
    CancelTurn,
    EndTurn,
    UpdateSession,
)
from sessiond.session.events import Record, SessionPaused
from sessiond.session.state import LastWord, OutputStatus, Status, Turn
from sessiond.store.codec import (
    Building,
    HeadMeta,
    OutputRow,
    Tombstone,
    add_message,
    decode_draft,
    decode_entry,
    decode_head,
    decode_outputs,
    decode_record,
    encode_building_head,
    encode_draft,
    encode_entry,
    encode_head,
    encode_outputs,
    encode_record,
    encode_tombstone_head,
    load,
    needed_seqs,
    read_record,
    take_over,
)
from sessiond.store.v1 import records_pb2 as pb
from sessiond.v1 import session_pb2
from tests.unit.stories import CONSULTANT, MASTER, SERVICE, Story

META = HeadMeta(
    log_id=(1 << 64) - 1,
    epoch=7,
    owner=b"o" * 16,
    commit_id=b"c" * 16,
    size=1234,
    index_ms=1_700_000_000_001,
    awaited_agent="gtm-consultant",
)


@pytest.fixture
def story() -> Story:
    """A session with a bit of everything."""
    story = Story(asked={"title": "Mine", "metadata": {"team": "a"}})
    story.make(AppendMessage("Hello"))
    story.submit("o-1", quality_score=0.25, metadata='{"a":1}')
    story.make(ApproveOutput(feedback="Good"))
    story.submit("o-2")
    story.make(UpdateSession(user_inputs='{"market":"EU"}'))
    story.make(
        AppendMessage("ж" * 200), replace(CONSULTANT, agents=frozenset({"persona-strategist"}))
    )
    return story


def test_every_record_comes_back_as_it_went(story: Story) -> None:
    """Seq, time, actor, operation, hash, epoch, instance, commit and event."""
    for record in story.records:
        assert decode_record(encode_record(record)) == record


def test_a_record_tells_whose_change_it_is_without_being_decoded_whole(story: Story) -> None:
    """Seq, actor, operation and hash; the rest is there for whoever asks."""
    for record in story.records:
        stored = read_record(encode_record(record))
        assert (stored.seq, stored.actor) == (record.seq, record.actor)
        assert (stored.op_id, stored.hash) == (record.op_id, record.hash)
        assert stored.whole() == record


def test_a_head_says_what_the_session_is(story: Story) -> None:
    """The small state, and beside it the log and its keepers."""
    head = decode_head(encode_head(story.session, META))
    assert head.meta == META
    assert head.tombstone is None
    assert (head.seq, head.user_id, head.status) == (7, "alice", Status.ACTIVE)
    assert (head.current_step, head.current_agent) == (1, "persona-strategist")
    assert (head.title, head.title_given, head.metadata) == ("Mine", True, {"team": "a"})
    assert (head.created_ms, head.last_active_ms) == (1_700_000_000_000, story.now_ms)
    assert (head.message_count, head.last_message_seq, head.inputs_seq) == (2, 7, 6)
    assert head.last_word is LastWord.AGENT


def test_the_largest_head_stays_within_4_kib() -> None:
    """Every field at its limit."""
    wide = "\U0001f600"
    story = Story(
        asked={
            "session_id": "s" * 128,
            "title": wide * 200,
            "metadata": {f"{n:x}" * 4: "v" * 124 for n in range(16)},
        }
    )
    session = story.session._replace(
        user_id="u" * 128,
        workflow=replace(
            story.session.workflow,
            steps=(replace(story.session.workflow.steps[0], agent="a" * 128),),
        ),
        seq=20_000,
        message_count=20_000,
        last_message_seq=20_000,
        inputs_seq=20_000,
        last_word=LastWord.OTHER,
        turn=Turn(
            id="0" * 36,
            actor=Actor("v" * 128, Role.SERVICE, "u" * 128),
            op_id="o" * 128,
            agent_id="a" * 128,
            seq=20_000,
        ),
    )
    head = encode_head(session, META._replace(awaited_agent="a" * 128, epoch=1 << 40, size=1 << 25))
    assert sum(map(len, (*session.metadata, *session.metadata.values()))) == 2048
    assert len(head) <= 4096


def test_the_needed_records_are_few(story: Story) -> None:
    """The first, the inputs', the newest message's, each output's body and decision."""
    head = decode_head(encode_head(story.session, META))
    rows = decode_outputs(encode_outputs(story.session))
    assert rows == (
        OutputRow("o-1", OutputStatus.APPROVED, 3, 4),
        OutputRow("o-2", OutputStatus.PENDING, 5, 0),
    )
    assert needed_seqs(head, rows) == [1, 3, 4, 5, 6, 7]
    fresh = Story()
    assert needed_seqs(decode_head(encode_head(fresh.session, META)), ()) == [1]


def test_a_session_loads_from_the_needed_records_alone(story: Story) -> None:
    """And more of them do no harm; a missing or another one is told."""
    head = decode_head(encode_head(story.session, META))
    rows = decode_outputs(encode_outputs(story.session))
    needed = [record for record in story.records if record.seq in needed_seqs(head, rows)]
    assert load(head, rows, needed) == story.session
    assert load(head, rows, reversed(story.records)) == story.session
    for missing in needed:
        with pytest.raises(ValueError, match=f"record {missing.seq} is missing"):
            load(head, rows, [record for record in needed if record is not missing])
        other = Record(missing.seq, 0, missing.actor, SessionPaused())
        with pytest.raises(ValueError, match=f"record {missing.seq} "):
            load(head, rows, [other if record is missing else record for record in needed])


def test_a_session_without_outputs_has_an_empty_table() -> None:
    """b"" is what stands for a table that was never written."""
    assert encode_outputs(Story().session) == b""
    assert decode_outputs(b"") == ()


def test_an_entry_is_the_summary(story: Story) -> None:
    """Everything that a list shows, and no inputs, outputs or history."""
    entry = decode_entry(encode_entry(story.session))
    assert (entry.id, entry.user_id, entry.workflow_id) == ("s-1", "alice", "master-workflow-v2")
    assert (entry.status, entry.current_step, entry.revision) == (1, 1, 7)
    assert (entry.current_agent, entry.current_step_id) == (
        "persona-strategist",
        "persona_development",
    )
    assert (entry.total_steps, entry.completed_steps) == (8, 1)
    assert entry.estimated_time_remaining == 250
    assert entry.stage_progress == {"foundation": 1 / 3, "strategy": 0.0, "validation": 0.0}
    assert (entry.title, dict(entry.metadata)) == ("Mine", {"team": "a"})
    assert (entry.message_count, entry.last_message) == (2, "ж" * 140)
    assert (entry.created_ms, entry.last_active_ms) == (1_700_000_000_000, story.now_ms)


def test_a_session_keeps_the_workflow_that_it_was_created_with() -> None:
    """Another one of the same id, as after a change of its file, is told from it."""
    first = replace(MASTER, steps=MASTER.steps[:1])
    for workflow in (first, MASTER, first):
        story = Story(workflow)
        assert decode_entry(encode_entry(story.session)).total_steps == len(workflow.steps)
        assert decode_record(encode_record(story.records[0])) == story.records[0]


TOMBSTONE = Tombstone(Actor("crm", Role.SERVICE, "alice"), "op-9", b"h" * 16, 1_700_000_000_000)


def test_the_head_of_a_copy_says_how_far_it_came_and_whose_it_is() -> None:
    """It is no session's head yet, and nobody takes it for one."""
    building = Building(SERVICE.actor, "op", b"h" * 16, 1_700_000_000_001, "bob", 2**64 - 1)
    head = decode_head(encode_building_head(5, building, seq=7, size=900))
    assert head.meta == HeadMeta(log_id=5, size=900, building=building)
    assert (head.seq, head.user_id, head.tombstone) == (7, "", None)


def test_a_tombstone_comes_back_and_nothing_beside_it() -> None:
    """Only format and log id stand there too."""
    data = encode_tombstone_head(5, TOMBSTONE)
    head = decode_head(data)
    assert (head.tombstone, head.meta) == (TOMBSTONE, HeadMeta(log_id=5))
    assert {field.name for field, _ in pb.Head.FromString(data).ListFields()} == {
        "format",
        "log_id",
        "tombstone",
    }
    with pytest.raises(ValueError, match="deleted"):
        load(head, (), Story().records)
    with pytest.raises(ValueError, match="deleted"):
        take_over(data, owner=b"", epoch=2, commit_id=b"")


def test_taking_over_changes_owner_epoch_and_commit_alone(story: Story) -> None:
    """Fields that a later version wrote stay too."""
    unknown = b"\xfa\x7f\x05later"  # field 2047, bytes
    data = encode_head(story.session, META) + unknown
    taken = take_over(data, owner=b"n" * 16, epoch=8, commit_id=b"d" * 16)
    meta = META._replace(owner=b"n" * 16, epoch=8, commit_id=b"d" * 16)
    assert decode_head(taken) == replace(decode_head(data), meta=meta)
    assert unknown in taken
    assert decode_head(take_over(taken, owner=b"", epoch=9, commit_id=b"")).meta.owner == b""


def read_message(data: bytes) -> bool:
    """Read a message of these bytes."""
    return add_message(session_pb2.Session().conversation_history, data, "s-1")


@pytest.mark.parametrize(
    "decode",
    [
        decode_record,
        read_record,
        read_message,
        decode_head,
        decode_outputs,
        decode_entry,
        decode_draft,
    ],
)
def test_bytes_that_nobody_wrote_are_a_value_error(decode: object) -> None:
    """Not a crash of protobuf's own kind."""
    assert callable(decode)
    with pytest.raises(ValueError, match="these bytes are no"):
        decode(b"\xff\xff\xff")


def test_numbers_of_a_later_version_are_a_value_error(story: Story) -> None:
    """A record without an event, a head of another format, words that are not known."""
    for read in (decode_record, read_message):
        with pytest.raises(ValueError, match="no event"):
            read(pb.Record(seq=1, actor=pb.Actor(role="user")).SerializeToString())
    unknown_sender = pb.Record(
        actor=pb.Actor(role="user"), message_appended=pb.MessageAppended(sender=99, type=1)
    )
    with pytest.raises(ValueError, match="no record"):
        decode_record(unknown_sender.SerializeToString())
    with pytest.raises(ValueError, match="format 2"):
        decode_head(pb.Head(format=2).SerializeToString())
    with pytest.raises(ValueError, match="format 0"):
        decode_head(b"")
    with pytest.raises(ValueError, match="does not know"):
        decode_head(pb.Head(format=1, status=99).SerializeToString())
    turn = pb.RunningTurn(actor=pb.Actor(role="owl"))
    with pytest.raises(ValueError, match="owl"):
        decode_head(pb.Head(format=1, status=1, turn=turn).SerializeToString())
    unknown_outcome = pb.Record(
        actor=pb.Actor(role="user"), turn_ended=pb.TurnEnded(turn_id="t", outcome=99)
    )
    with pytest.raises(ValueError, match="no record"):
        decode_record(unknown_outcome.SerializeToString())
    with pytest.raises(ValueError, match="table"):
        decode_outputs(pb.OutputTable(rows=[pb.OutputRow(status=99)]).SerializeToString())


def test_a_draft_comes_back_as_it_went() -> None:
    """A piece of text, and how many characters stand before it."""
    for offset, text in ((0, ""), (0, "Hello"), (5, "жж\U0001f600\n"), (1 << 40, "x" * 70_000)):
        assert decode_draft(encode_draft(offset, text)) == (offset, text)


def test_a_running_turn_stands_in_the_head() -> None:
    """Whose it is and by which event, so a session loads without the record of that."""
    story = Story()
    story.begin(SERVICE)
    turn = story.session.turn
    assert turn == Turn("id-1", SERVICE.actor, "op-1", "gtm-consultant", 2)
    head = decode_head(encode_head(story.session, META))
    assert head.turn == turn
    assert load(head, (), story.records[:1]) == story.session
    nobodys = story.session._replace(turn=replace(turn, agent_id=None))
    assert decode_head(encode_head(nobodys, META)).turn == nobodys.turn
    story.make(CancelTurn("id-1"))
    assert decode_head(encode_head(story.session, META)).turn is None


def test_the_newest_message_may_be_a_turns(story: Story) -> None:
    """The event that ended it is needed to load the session; a turn that said nothing is none."""
    agent = replace(CONSULTANT, agents=frozenset({"persona-strategist"}))
    turn_id = story.begin(agent, "ж" * 200)
    story.make(EndTurn(turn_id, 200, metadata="{}"), agent)
    said = story.session.seq
    turn_id = story.begin(agent)
    story.make(EndTurn(turn_id, 0), agent)
    for record in story.records:
        assert decode_record(encode_record(record)) == record
    head = decode_head(encode_head(story.session, META))
    rows = decode_outputs(encode_outputs(story.session))
    assert needed_seqs(head, rows) == [1, 3, 4, 5, 6, said]
    needed = [record for record in story.records if record.seq in needed_seqs(head, rows)]
    assert load(head, rows, needed) == story.session
    silent = story.records[-1]._replace(seq=said)
    with pytest.raises(ValueError, match=f"record {said} appends no message"):
        load(head, rows, [*needed[:-1], silent])
