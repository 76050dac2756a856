"""Doing the same to the parts and to the model, and looking at both."""

from __future__ import annotations

import itertools
import secrets
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from hypothesis.stateful import RuleBasedStateMachine, invariant

from sessiond.v1 import session_pb2, store_pb2
from tests.model.model import Caller, Change, Chat, Model, Refused
from tests.model.parts import Parts
from tests.model.speaking import (
    Speaking,
    expected,
    shown,
    shown_messages,
    shown_output,
    shown_summary,
)
from tests.model.strategies import Aim


class Comparison(RuleBasedStateMachine):
    """Parts and model side by side; `on_loop` runs a coroutine where the parts run."""

    def __init__(self, parts: Parts, on_loop: Callable[[Any], Any]) -> None:
        super().__init__()
        self.parts = parts
        self.on_loop = on_loop
        self.speaking = Speaking(parts)
        self.model = Model()
        self.mark = secrets.token_hex(6)
        self.sids: list[str] = []
        self.ops = [f"op-{self.mark}"]
        self.done: list[Change] = []
        self.accepted: list[Change] = []
        self.touched: str | None = None
        self.times: dict[str, tuple[int, int]] = {}

    def teardown(self) -> None:
        """Look at everything once more."""
        for sid in self.sids:
            self.look(sid)
        self.speaking.close()

    # --- who and what --------------------------------------------------------------------------

    def caller(self, name: str) -> Caller:
        alice, bob = f"alice-{self.mark}", f"bob-{self.mark}"
        return {
            "alice": Caller(alice),
            "bob": Caller(bob),
            "root": Caller(f"root-{self.mark}", "admin"),
            "gtm": Caller("gtm", "agent", agents=("gtm-consultant",)),
            "guest": Caller("guest", "agent", sessions=tuple(self.sids[:1])),
            "desk": Caller("desk", "service", acting_for=alice),
            "desk of bob": Caller("desk", "service", acting_for=bob),
            "nobody's desk": Caller("desk", "service"),
        }[name]

    def operation(self, aim: Aim) -> str | None:
        if aim.op == "none":
            return None
        if aim.op == "new":
            self.ops.append(f"op-{len(self.ops)}")
            return self.ops[-1]
        return self.ops[aim.pick % len(self.ops)]

    def revision(self, kind: str, sid: str) -> int | None:
        now = self.model.chats[sid].seq if sid in self.model.chats else 1
        return {"none": None, "right": now, "stale": max(1, now - 1), "ahead": now + 1}[kind]

    def sid(self, pick: int) -> str:
        """Return a session's id, mostly of one that is there, seldom of none."""
        if pick % 29 == 28:
            return f"absent-{self.mark}"
        there = list(self.model.chats) or self.sids
        return self.sids[pick % len(self.sids)] if pick % 5 == 0 else there[pick % len(there)]

    def output(self, sid: str, pick: int) -> str:
        chat = self.model.chats.get(sid)
        names: list[str] = ["none-such", *(chat.outputs if chat is not None else ())]
        return names[-1 - pick % len(names)]

    # --- doing ---------------------------------------------------------------------------------

    def create(self, caller: Caller, op: str | None, **asked: Any) -> None:
        self.created(Change("", caller, "create", pairs(**asked), op))

    def created(self, change: Change) -> None:
        self.done.append(change)
        answer, refused = attempt(lambda: self.speaking.create(change))
        given = answer.session.id if answer is not None else None
        chat, expected_refusal = attempt(lambda: self.model.create(change, given))
        assert refused == expected_refusal
        if answer is not None and chat is not None:
            self.accepted += [change] * (change.op is not None)
            assert answer.seq == 1
            assert shown(answer.session) == expected(chat)
            if chat.id not in self.sids:
                self.sids.append(chat.id)
            self.touched = chat.id

    def change(self, aim: Aim, kind: str, **asked: Any) -> None:
        sid = self.sid(aim.pick)
        arguments = pairs(**asked)
        change = Change(sid, self.caller(aim.who), kind, arguments, self.operation(aim))
        self.changed(replace(change, revision=self.revision(aim.revision, sid)))

    def changed(self, change: Change) -> None:
        self.done.append(change)
        answer, refused = attempt(lambda: self.speaking.change(change))
        given = None
        if answer is not None and change.kind == "append":
            given = answer.message.id
        if answer is not None and change.kind == "submit":
            given = answer.output_id
        seq, expected_refusal = attempt(lambda: self.model.change(change, given))
        assert refused == expected_refusal
        self.accepted += [change] * (answer is not None and change.op is not None)
        if answer is not None and change.kind != "delete":
            assert answer.seq == seq
            self.compare_answer(self.model.chats[change.sid], change.kind, answer)
        self.touched = change.sid

    def compare_answer(self, chat: Chat, kind: str, answer: Any) -> None:
        """The thing that was made, or the session as it now is."""
        if kind == "append":
            (message,) = shown_messages(chat.id, [answer.message])
            assert message in chat.messages
            assert message["seq"] == answer.seq
        elif kind in ("submit", "edit"):
            assert shown_output(answer.output) == chat.outputs[answer.output_id]
        else:
            assert shown(answer.session) == expected(chat)

    # --- looking -------------------------------------------------------------------------------

    @invariant()
    def the_touched_session_is_as_expected(self) -> None:
        if self.touched is not None:
            self.look(self.touched)
            self.touched = None

    def look(self, sid: str) -> None:
        """Compare a session, and its entry in its owner's list, with the model's."""
        chat, root = self.model.chats.get(sid), self.caller("root")
        answer, refused = attempt(lambda: self.loaded(sid, root, None))
        if chat is None or answer is None:
            assert (chat, refused) == (None, "SESSION_NOT_FOUND")
            return
        assert shown(answer) == expected(chat)
        self.check_times(answer)
        listed = {each.id: each for each in self.listed(root, chat.user, page_size=1000)}
        summary = listed[sid]
        assert shown_summary(summary) == chat.summary()
        assert summary.message_count == len(chat.messages)
        assert summary.last_message == chat.last_message
        assert summary.last_active == answer.last_active
        assert summary.created_at == answer.created_at
        assert listed.keys() == {c.id for c in self.model.chats.values() if c.user == chat.user}

    def check_times(self, session: session_pb2.Session) -> None:
        """lastActive never goes back, and moves with changes alone."""
        revision, before = self.times.get(session.id, (0, session.created_at.ToNanoseconds()))
        now = session.last_active.ToNanoseconds()
        assert now >= before
        assert revision != session.revision or now == before
        self.times[session.id] = session.revision, now

    def loaded(self, sid: str, caller: Caller, tail: int | None) -> session_pb2.Session:
        request = store_pb2.GetSessionRequest(session_id=sid, tail=tail)
        answer: store_pb2.GetSessionResponse = self.speaking.call(
            self.speaking.store.GetSession, request, caller
        )
        return answer.session

    def listed(self, caller: Caller, user: str, **asked: Any) -> list[session_pb2.SessionSummary]:
        request = store_pb2.ListSessionsRequest(user_id=user, **asked)
        pages = self.pages(self.speaking.store.ListSessions, request, caller)
        assert all(len(page.sessions) == request.page_size for page in pages[:-1])
        return list(itertools.chain(*(page.sessions for page in pages)))

    def pages(self, rpc: Any, request: Any, caller: Caller) -> list[Any]:
        """Return all pages, the first to the last."""
        found = [self.speaking.call(rpc, request, caller)]
        while found[-1].next_page_token:
            request.page_token = found[-1].next_page_token
            found.append(self.speaking.call(rpc, request, caller))
        return found


def attempt(act: Callable[[], Any]) -> tuple[Any, str | None]:
    """Return what came of it, or by which name it was refused."""
    try:
        return act(), None
    except Refused as refused:
        return None, str(refused)


def pairs(**asked: Any) -> tuple[tuple[str, Any], ...]:
    """Return arguments as a change holds them."""
    return tuple(sorted(asked.items()))
