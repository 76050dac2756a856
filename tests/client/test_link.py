"""One session over streams that break: each event once and in order, each change answered once."""

from __future__ import annotations

from collections import deque

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sessiond.client.link import CHANGES, FAULT_SECONDS, Heard, Link, State, frames_in
from sessiond.client.unanswered import CAPACITY
from sessiond.errors import IdempotencyMismatch, InvalidArgument, RateLimited
from sessiond.v1 import event_pb2, live_pb2, session_pb2
from sessiond.v1.live_pb2 import ClientFrame, ServerFrame
from tests.client.sessions import LOG_ID, Conversation, StoredSession


def test_every_change_of_the_contract_is_taken() -> None:
    """One that the link does not know would be refused as a slip of the caller's."""
    frames = ClientFrame.DESCRIPTOR.oneofs_by_name["frame"].fields
    kinds = {each.name: each.message_type for each in frames}
    changes = {name for name, kind in kinds.items() if kind and "op_id" in kind.fields_by_name}
    assert changes == CHANGES


class Wire:
    """A client and a server with frames on their way between them, moved by hand."""

    def __init__(self, session: StoredSession, link: Link) -> None:
        self.session = session
        self.link = link
        self.seen: list[ServerFrame] = []
        self.up: deque[ClientFrame] = deque()
        self.down: deque[ServerFrame] = deque()
        self._conversation: Conversation | None = None

    def connect(self) -> None:
        self.cut()
        self._conversation = Conversation({self.session.id: self.session}, self.down.append)
        self.up.append(self.link.attach())

    def cut(self) -> None:
        """Lose what is on its way."""
        if self._conversation is not None:
            self._conversation.end()
        self._conversation = None
        self.up.clear()
        self.down.clear()
        self.link.lost()

    def send(self, frame: ClientFrame) -> None:
        said = self.link.send(frame)
        if self._conversation is not None:
            for each in said:
                copy = ClientFrame()
                copy.CopyFrom(each)
                self.up.append(copy)

    def carry_up(self, count: int = 1000) -> None:
        while count and self.up and self._conversation is not None:
            self._conversation.hear(self.up.popleft())
            count -= 1

    def carry_down(self, count: int = 1000) -> None:
        while count and self.down:
            self.hear(self.down.popleft())
            count -= 1

    def hear(self, frame: ServerFrame) -> Heard:
        heard = self.link.receive(frame)
        self.seen.extend(heard.frames)
        for each in heard.writes:
            copy = ClientFrame()
            copy.CopyFrom(each)
            self.up.append(copy)
        if heard.again is not None:
            self.up.append(self.link.attach())
        return heard

    def settle(self) -> None:
        while self.up or self.down:
            self.carry_up()
            self.carry_down()

    def kinds(self) -> list[str | None]:
        return [frame.WhichOneof("frame") for frame in self.seen]

    def seqs(self) -> list[int]:
        return [frame.event.seq for frame in self.seen if frame.HasField("event")]


@pytest.fixture
def wire() -> Wire:
    return Wire(StoredSession("s"), Link("s"))


def append(op_id: str, content: str = "hello") -> ClientFrame:
    return ClientFrame(append=live_pb2.AppendMessageRequest(content=content, op_id=op_id))


def begin(op_id: str = "b") -> ClientFrame:
    return ClientFrame(begin_turn=live_pb2.BeginTurn(op_id=op_id))


def token(turn_id: str, offset: int, text: str) -> ClientFrame:
    written = live_pb2.WriteToken(turn_id=turn_id, offset=offset, text=text)
    return ClientFrame(token=written)


def end(turn_id: str, length: int, op_id: str = "e") -> ClientFrame:
    ended = live_pb2.EndTurn(op_id=op_id, turn_id=turn_id, length=length)
    return ClientFrame(end_turn=ended)


def test_a_first_attach_shows_a_snapshot_and_then_events(wire: Wire) -> None:
    wire.session.append("before")
    wire.connect()
    wire.settle()
    assert wire.kinds() == ["attached", "snapshot", "snapshot", "snapshot", "caught_up"]
    assert wire.link.cursor == f"{LOG_ID}.2"
    wire.session.append("after")
    wire.settle()
    assert wire.seqs() == [3]
    assert wire.link.cursor == f"{LOG_ID}.3"


def test_a_reader_does_not_see_a_reconnect_whose_cursor_was_served(wire: Wire) -> None:
    wire.connect()
    wire.settle()
    wire.cut()
    wire.session.append("while away")
    wire.connect()
    wire.settle()
    assert wire.kinds()[5:] == ["event"]


def test_a_cursor_that_is_not_served_is_told_as_a_reset_and_a_snapshot(wire: Wire) -> None:
    wire.connect()
    wire.settle()
    wire.cut()
    wire.session.append("while away")
    wire.session.oldest = 2
    wire.connect()
    wire.settle()
    assert wire.kinds()[5:] == [
        "attached", "reset", "snapshot", "snapshot", "snapshot", "caught_up"
    ]  # fmt: skip
    assert wire.seen[6].reset.reason == "CURSOR_TOO_OLD"
    assert wire.link.cursor == f"{LOG_ID}.2"


def test_a_reset_that_the_server_tells_is_told_once(wire: Wire) -> None:
    wire.connect()
    wire.settle()
    wire.cut()
    wire.session.oldest = 9
    wire.connect()
    wire.carry_up()
    wire.carry_down(1)
    wire.hear(ServerFrame(reset=live_pb2.Reset(session_id="s", reason="CURSOR_INVALID")))
    wire.settle()
    assert wire.kinds()[5:8] == ["attached", "reset", "snapshot"]
    assert wire.kinds().count("reset") == 1
    assert wire.seen[6].reset.reason == "CURSOR_INVALID"


def test_a_reset_in_the_middle_voids_what_came_before(wire: Wire) -> None:
    wire.connect()
    wire.settle()
    worker = Wire(wire.session, Link("s"))
    worker.connect()
    worker.settle()
    wire.session.attachments[0].leave()  # a reader that was overtaken hears no more events
    worker.send(begin())
    worker.settle()
    wire.hear(ServerFrame(reset=live_pb2.Reset(session_id="s", reason="SLOW_READER")))
    assert not wire.link.cursor
    for part in wire.session.snapshot(50):
        wire.hear(part)
    assert wire.link.cursor == f"{LOG_ID}.2"
    text = live_pb2.Token(session_id="s", turn_id="t2", offset=0, text="since the beginning")
    assert len(wire.hear(ServerFrame(token=text)).frames) == 1


def test_a_reader_with_a_cursor_resumes_on_a_new_link() -> None:
    session = StoredSession("s")
    session.append("seen")
    session.append("not seen")
    wire = Wire(session, Link("s", cursor=f"{LOG_ID}.2"))
    wire.connect()
    wire.settle()
    assert wire.kinds() == ["attached", "event", "caught_up"]
    assert wire.seqs() == [3]


@pytest.mark.parametrize("cursor", ["nonsense", f"{LOG_ID}.x", "00000000000000bb.1"])
def test_a_damaged_or_foreign_cursor_ends_in_a_snapshot(cursor: str) -> None:
    session = StoredSession("s", oldest=1)
    wire = Wire(session, Link("s", cursor=cursor))
    assert wire.link.attach().attach.cursor == cursor
    wire.connect()
    wire.settle()
    assert wire.kinds()[:3] == ["attached", "reset", "snapshot"]
    assert wire.link.cursor == f"{LOG_ID}.1"


def test_a_snapshot_that_was_cut_begins_anew(wire: Wire) -> None:
    wire.connect()
    wire.carry_up()
    wire.carry_down(2)
    assert wire.link.cursor is None
    wire.connect()
    wire.settle()
    assert wire.kinds()[:2] == ["attached", "snapshot"]
    assert wire.kinds()[2:] == ["attached", "snapshot", "snapshot", "snapshot", "caught_up"]


def test_caught_up_comes_even_if_the_first_stream_broke_before_it(wire: Wire) -> None:
    wire.connect()
    wire.carry_up()
    wire.carry_down(4)
    assert wire.link.cursor is not None
    wire.connect()
    wire.settle()
    assert wire.kinds() == ["attached", "snapshot", "snapshot", "snapshot", "caught_up"]


def test_events_that_were_seen_are_dropped(wire: Wire) -> None:
    wire.connect()
    wire.settle()
    wire.session.append("one")
    wire.settle()
    wire.hear(ServerFrame(event=wire.session.events[1]))
    assert wire.seqs() == [2]


def test_a_gap_makes_the_link_leave_and_come_back_by_its_cursor(wire: Wire) -> None:
    wire.connect()
    wire.settle()
    wire.session.append("lost")
    wire.session.append("found")
    wire.down.popleft()
    heard = wire.hear(wire.down.popleft())
    assert heard.frames == ()
    assert heard.again == FAULT_SECONDS
    assert [each.WhichOneof("frame") for each in wire.up] == ["detach", "attach"]
    wire.settle()
    assert wire.seqs() == [2, 3]


def test_a_goaway_that_says_come_back_is_hidden(wire: Wire) -> None:
    wire.connect()
    wire.settle()
    wire.session.move()
    wire.session.append("at the next owner")
    wire.settle()
    assert "goaway" not in wire.kinds()
    assert wire.seqs() == [2]


def test_a_goaway_says_how_long_to_wait(wire: Wire) -> None:
    wire.connect()
    wire.settle()
    goaway = live_pb2.Goaway(session_id="s", reason="DRAINING", reconnect=True, retry_after_ms=250)
    assert wire.link.receive(ServerFrame(goaway=goaway)) == ((), (), 0.25)


def test_a_final_goaway_is_handed_on_and_ends_the_link(wire: Wire) -> None:
    wire.connect()
    wire.settle()
    wire.hear(ServerFrame(goaway=live_pb2.Goaway(session_id="s", reason="SESSION_NOT_FOUND")))
    assert wire.kinds()[-1] == "goaway"
    assert wire.link.state is State.ENDED
    with pytest.raises(ValueError, match="ended"):
        wire.link.attach()


def test_nothing_is_said_before_the_session_is_attached(wire: Wire) -> None:
    wire.send(append("one"))
    assert wire.link.send(ClientFrame(presence=live_pb2.UpdatePresence(typing=True))) == ()
    wire.connect()
    wire.send(append("two"))
    assert [each.WhichOneof("frame") for each in wire.up] == ["attach"]
    wire.settle()
    assert [event.op_id for event in wire.session.events[1:]] == ["one", "two"]
    assert wire.link.unanswered == []


def test_what_has_no_reply_is_said_again_with_the_same_since(wire: Wire) -> None:
    wire.connect()
    wire.settle()
    wire.send(append("one"))
    wire.carry_up()
    wire.cut()
    wire.session.append("other")
    wire.connect()
    wire.settle()
    assert wire.session.sinces["one"] == {1}
    assert wire.seqs() == [2, 3]
    replies = [frame.reply for frame in wire.seen if frame.HasField("reply")]
    assert [(reply.op_id, reply.seq) for reply in replies] == [("one", 2)]


def test_since_is_the_head_while_no_snapshot_is_there(wire: Wire) -> None:
    wire.session.append("before")
    wire.send(append("one"))
    wire.connect()
    wire.carry_up()
    wire.carry_down(1)
    assert [each.since for each in wire.up] == [2]


def test_a_second_reply_is_dropped(wire: Wire) -> None:
    wire.connect()
    wire.settle()
    wire.send(append("one"))
    wire.settle()
    again = live_pb2.Reply(session_id="s", op_id="one", seq=2)
    assert wire.link.receive(ServerFrame(reply=again)).frames == ()


def test_a_refusal_is_a_reply(wire: Wire) -> None:
    wire.connect()
    wire.settle()
    wire.session.refuse["append"] = [RateLimited()]
    wire.send(append("one"))
    wire.settle()
    assert wire.seen[-1].reply.error.code == "RATE_LIMITED"
    assert wire.link.unanswered == []


def test_a_change_that_crossed_with_the_end_of_the_attachment_is_said_again(wire: Wire) -> None:
    wire.connect()
    wire.settle()
    wire.session.move()
    wire.send(append("one"))
    wire.settle()
    assert [event.op_id for event in wire.session.events[1:]] == ["one"]
    replies = [frame.reply for frame in wire.seen if frame.HasField("reply")]
    assert [(reply.seq, reply.error.code) for reply in replies] == [(2, "")]


def test_changes_meant_for_a_session_whose_id_is_another_now_are_refused(wire: Wire) -> None:
    wire.connect()
    wire.settle()
    wire.cut()
    wire.send(append("one"))
    wire.session = StoredSession("s", log_id="00000000000000bb")
    wire.connect()
    wire.settle()
    assert wire.session.head == 1
    assert wire.kinds()[5:8] == ["reply", "attached", "reset"]
    assert wire.seen[5].reply.error.code == "SESSION_NOT_FOUND"
    assert wire.seen[7].reset.reason == "LOG_CHANGED"


def test_an_operation_id_that_waits_is_joined_and_not_reused(wire: Wire) -> None:
    assert wire.link.send(append("one", "a")) == ()
    assert wire.link.send(append("one", "a")) == ()
    assert len(wire.link.unanswered) == 1
    with pytest.raises(IdempotencyMismatch):
        wire.link.send(append("one", "b"))


def test_a_frame_must_be_this_session_s_and_repeatable(wire: Wire) -> None:
    with pytest.raises(InvalidArgument):
        wire.link.send(append(""))
    other = append("one")
    other.append.session_id = "other"
    with pytest.raises(InvalidArgument):
        wire.link.send(other)
    with pytest.raises(ValueError, match="hello"):
        wire.link.send(ClientFrame(hello=live_pb2.Hello()))


def test_changes_without_a_reply_are_bounded(wire: Wire) -> None:
    for number in range(CAPACITY):
        wire.link.send(append(f"{number}"))
    with pytest.raises(RateLimited):
        wire.link.send(append("one more"))


def test_tokens_are_shown_by_offset_each_character_once(wire: Wire) -> None:
    wire.connect()
    wire.settle()
    wire.send(begin())
    wire.settle()
    for offset, text in [(0, "ab"), (1, "bc"), (0, "abc"), (3, "é𝄞"), (5, "!")]:
        wire.hear(
            ServerFrame(
                token=live_pb2.Token(session_id="s", turn_id="t2", offset=offset, text=text)
            )
        )
    shown = [frame.token for frame in wire.seen if frame.HasField("token")]
    assert [(each.offset, each.text) for each in shown] == [
        (0, "ab"), (2, "c"), (3, "é𝄞"), (5, "!")
    ]  # fmt: skip


def test_a_token_that_leaves_a_hole_is_a_gap(wire: Wire) -> None:
    wire.connect()
    wire.settle()
    wire.send(begin())
    wire.settle()
    hole = live_pb2.Token(session_id="s", turn_id="t2", offset=3, text="x")
    assert wire.hear(ServerFrame(token=hole)).frames == ()
    assert wire.up[0].HasField("detach")


def test_a_token_of_a_turn_that_ended_is_dropped(wire: Wire) -> None:
    wire.connect()
    wire.settle()
    wire.send(begin())
    wire.settle()
    wire.session.end_turn(event_pb2.TURN_OUTCOME_FAILED)
    wire.settle()
    late = live_pb2.Token(session_id="s", turn_id="t2", offset=0, text="x")
    assert wire.hear(ServerFrame(token=late)) == Heard()


def test_text_written_while_away_comes_as_one_token(wire: Wire) -> None:
    worker = Wire(wire.session, Link("s"))
    worker.connect()
    wire.connect()
    worker.settle()
    wire.settle()
    worker.send(begin())
    worker.settle()
    worker.send(token("t2", 0, "one "))
    worker.settle()
    wire.settle()
    wire.cut()
    worker.send(token("t2", 4, "two "))
    worker.settle()
    wire.connect()
    wire.settle()
    worker.send(token("t2", 8, "three"))
    worker.settle()
    wire.settle()
    shown = [frame.token for frame in wire.seen if frame.HasField("token")]
    assert [(each.offset, each.text) for each in shown] == [
        (0, "one "), (4, "two "), (8, "three")
    ]  # fmt: skip


def test_a_running_turn_s_begin_is_said_again_and_its_reply_handed_on(wire: Wire) -> None:
    wire.connect()
    wire.settle()
    wire.send(begin())
    wire.settle()
    wire.send(token("t2", 0, "kept and lost"))
    wire.settle()
    assert wire.session.turn is not None
    wire.session.turn.stored = 4
    wire.session.move()
    wire.settle()
    replies = [frame.reply.turn for frame in wire.seen if frame.HasField("reply")]
    assert [(turn.turn_id, turn.offset, turn.ended) for turn in replies] == [
        ("t2", 0, False), ("t2", 4, False)
    ]  # fmt: skip


def test_a_token_that_would_leave_a_hole_after_a_resumption_is_dropped(wire: Wire) -> None:
    wire.connect()
    wire.settle()
    wire.send(begin())
    wire.settle()
    wire.send(token("t2", 0, "lost"))
    wire.settle()
    wire.session.move()
    wire.send(token("t2", 4, "on its way"))  # the session no longer stands as its worker thinks
    wire.carry_up()
    wire.carry_down()
    assert wire.link.send(token("t2", 4, "before the reply")) == ()
    wire.settle()
    assert wire.link.send(token("t2", 4, "a hole")) == ()
    wire.send(token("t2", 0, "lost"))
    wire.send(token("t2", 4, " and found"))
    wire.settle()
    assert wire.session.turn is not None
    assert wire.session.turn.text == "lost and found"


def test_the_end_of_a_turn_waits_until_its_text_is_said_again(wire: Wire) -> None:
    wire.connect()
    wire.settle()
    wire.send(begin())
    wire.settle()
    wire.send(token("t2", 0, "whole"))
    wire.send(end("t2", 5))
    wire.session.move()
    wire.settle()
    assert wire.session.turn is not None
    wire.send(token("t2", 0, "who"))
    wire.settle()
    assert wire.session.turn is not None
    wire.send(token("t2", 3, "le"))
    wire.settle()
    assert wire.session.events[-1].turn_ended.message.content == "whole"
    assert wire.link.unanswered == []


def test_a_begin_is_forgotten_when_its_turn_ends(wire: Wire) -> None:
    wire.connect()
    wire.settle()
    wire.send(begin())
    wire.settle()
    assert len(wire.link.unanswered) == 1
    wire.session.end_turn(event_pb2.TURN_OUTCOME_CANCELLED)
    wire.settle()
    assert wire.link.unanswered == []


def test_a_turn_that_ended_while_its_worker_was_away_is_told_as_ended(wire: Wire) -> None:
    wire.connect()
    wire.settle()
    wire.send(begin())
    wire.carry_up()
    wire.cut()
    wire.session.end_turn(event_pb2.TURN_OUTCOME_INTERRUPTED)
    wire.connect()
    wire.settle()
    assert wire.seen[-1].reply.turn.ended
    assert wire.link.unanswered == []


def test_a_refused_begin_is_forgotten(wire: Wire) -> None:
    wire.connect()
    wire.settle()
    wire.session.refuse["begin_turn"] = [RateLimited()]
    wire.send(begin())
    wire.settle()
    assert wire.link.unanswered == []


def test_a_link_that_was_left_hears_nothing(wire: Wire) -> None:
    wire.connect()
    wire.settle()
    assert [each.WhichOneof("frame") for each in wire.link.detach()] == ["detach"]
    wire.session.append("after")
    wire.carry_down()
    assert wire.seqs() == []
    assert wire.link.detach() == ()


def test_a_link_that_is_rewound_hears_events_once_more(wire: Wire) -> None:
    wire.connect()
    wire.settle()
    for content in ("one", "two", "three"):
        wire.session.append(content)
    wire.settle()
    wire.session.append("under way")
    wire.up.extend(wire.link.rewind(2))
    wire.settle()
    assert wire.seqs() == [2, 3, 4, 3, 4, 5]
    assert wire.link.rewind(5) == ()
    wire.cut()
    assert wire.link.rewind(4) == ()
    wire.connect()
    wire.settle()
    assert wire.seqs()[-1:] == [5]


def test_a_batch_holds_its_frames_in_order() -> None:
    one = ServerFrame(pong=live_pb2.Pong(payload="1"))
    two = ServerFrame(pong=live_pb2.Pong(payload="2"))
    assert list(frames_in(ServerFrame(batch=[one, two]))) == [one, two]
    assert list(frames_in(one)) == [one]


TEXT = "The quick brown fox jumps over the lazy dog: é𝄞! " * 4

STEPS = st.one_of(
    st.tuples(st.just("up"), st.integers(1, 4)),
    st.tuples(st.just("down"), st.integers(1, 8)),
    st.tuples(st.sampled_from(["cut", "move", "forget"]), st.just(0)),
    st.tuples(st.sampled_from(["connect", "settle"]), st.just(0)),
    st.tuples(st.sampled_from(["change", "other", "store"]), st.just(0)),
    st.tuples(st.just("write"), st.integers(1, 30)),
    st.tuples(st.sampled_from(["begin", "end"]), st.just(0)),
)


class Worker:
    """Writes one text in one turn, and goes on where it is told."""

    def __init__(self, wire: Wire) -> None:
        self.wire = wire
        self.turn_id = ""
        self.sent = 0
        self.read = 0
        self.ended = False

    def listen(self) -> None:
        for frame in self.wire.seen[self.read :]:
            if frame.HasField("reply") and frame.reply.op_id == "b":
                self.turn_id = frame.reply.turn.turn_id
                self.sent = frame.reply.turn.offset
        self.read = len(self.wire.seen)

    def write(self, count: int) -> None:
        self.listen()
        if self.turn_id:
            self.wire.send(token(self.turn_id, self.sent, TEXT[self.sent : self.sent + count]))
            self.sent = min(self.sent + count, len(TEXT))

    def end(self) -> None:
        self.write(len(TEXT))
        if self.turn_id and not self.ended:
            self.ended = True
            self.wire.send(end(self.turn_id, len(TEXT)))


@settings(max_examples=200, deadline=None)
@given(st.lists(STEPS, min_size=30, max_size=80))
def test_however_streams_are_cut_each_event_and_each_reply_comes_once(
    steps: list[tuple[str, int]],
) -> None:
    """Any cutting of the conversation gives the reader the log, and each change one answer."""
    wire = Wire(StoredSession("s"), Link("s"))
    worker = Worker(wire)
    changes: list[str] = []
    begun = False
    wire.connect()
    for step, count in steps:
        match step:
            case "up":
                wire.carry_up(count)
            case "down":
                wire.carry_down(count)
            case "cut":
                wire.cut()
            case "connect":
                wire.connect()
            case "settle":
                wire.settle()
            case "move":
                wire.session.move()
            case "other":
                wire.session.append("another's")
            case "forget":
                wire.session.oldest = wire.session.head
            case "change":
                changes.append(f"op{len(changes)}")
                wire.send(append(changes[-1]))
            case "begin" if not begun:
                begun = True
                wire.send(begin())
            case "write":
                worker.write(count)
            case "store":
                if wire.session.turn is not None:
                    wire.session.turn.stored = len(wire.session.turn.text)
            case "end":
                worker.end()
    if wire.link.state is State.AWAY:
        wire.connect()
    wire.settle()
    if begun:
        worker.end()
        worker.write(len(TEXT))
        wire.settle()
    _check(wire, changes, begun=begun)


def _check(wire: Wire, changes: list[str], *, begun: bool) -> None:
    at = 0
    whole = False
    text: dict[str, str] = {}
    told: list[session_pb2.Message] = []
    for frame in wire.seen:
        match frame.WhichOneof("frame"):
            case "reset":
                whole = False
            case "attached":
                whole = whole and frame.attached.recovered
                text = {turn.turn_id: turn.text for turn in frame.attached.turns}
            case "snapshot" if frame.snapshot.last:
                at, whole = frame.snapshot.seq, True
            case "event":
                assert whole
                assert frame.event.seq == at + 1
                assert frame.event == wire.session.events[at]
                at += 1
                if frame.event.HasField("turn_ended"):
                    told.append(frame.event.turn_ended.message)
            case "token":
                have = text.get(frame.token.turn_id, "")
                assert frame.token.offset == len(have)
                text[frame.token.turn_id] = have + frame.token.text
                assert TEXT.startswith(text[frame.token.turn_id])
    assert at == wire.session.head
    replies = [frame.reply for frame in wire.seen if frame.HasField("reply")]
    answered = [reply.op_id for reply in replies if reply.op_id not in ("b", "e")]
    assert sorted(answered) == sorted(changes)
    mine = [event.op_id for event in wire.session.events if event.op_id.startswith("op")]
    assert sorted(mine) == sorted(changes)
    assert all(len(sinces) == 1 for sinces in wire.session.sinces.values())
    if begun:
        assert [reply.op_id for reply in replies].count("e") == 1
        ended = [event for event in wire.session.events if event.HasField("turn_ended")]
        assert [event.turn_ended.message.content for event in ended] == [TEXT]
        assert all(message.content == TEXT for message in told)
    assert wire.link.unanswered == []
