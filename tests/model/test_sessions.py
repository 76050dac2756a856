"""Store and Live do, step by step, what the model does, however often Live is lost in between."""

from __future__ import annotations

import asyncio
import itertools
import os
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import initialize, precondition, rule, run_state_machine_as_test

from sessiond.v1 import session_pb2, store_pb2
from tests.model.comparison import Comparison, attempt, pairs
from tests.model.model import STEPS, Change
from tests.model.parts import Parts
from tests.model.speaking import expected, shown, shown_messages
from tests.model.strategies import (
    Aim,
    agents,
    aims,
    callers,
    contents,
    keys,
    maybe_object,
    numbers,
    outputs,
    revisions,
    texts,
    titles,
    values,
    words,
)

EXAMPLES = int(os.environ.get("SESSIOND_MODEL_EXAMPLES", "50"))
STEPS_OF_ONE = int(os.environ.get("SESSIOND_MODEL_STEPS", "40"))
PATIENCE = 60.0


class Sessions(Comparison):
    """Everything that callers do to sessions, and that befalls Live."""

    # --- creating ------------------------------------------------------------------------------

    @initialize(workflow=st.sampled_from(sorted(STEPS, reverse=True)), inputs=texts)
    def begin(self, workflow: str, inputs: str) -> None:
        alice, op = self.caller("alice"), self.ops[0]
        self.create(alice, op, workflow=workflow, inputs=inputs, title="", id=None)

    @precondition(lambda self: len(self.sids) < 6)
    @rule(
        aim=aims,
        workflow=st.sampled_from(["chat", "master-workflow-v2", "none-such"]),
        inputs=texts,
        title=st.sampled_from(["", "Given", "t" * 201]),
        named=st.sampled_from([None, None, "new", "used"]),
    )
    def create_another(self, aim: Aim, named: str | None, **asked: Any) -> None:
        used = self.sids[aim.pick % len(self.sids)]
        sid = {None: None, "new": f"given-{self.mark}-{len(self.sids)}", "used": used}[named]
        self.create(self.caller(aim.who), self.operation(aim), id=sid, **asked)

    # --- changing ------------------------------------------------------------------------------

    @rule(
        aim=aims,
        content=contents,
        sender=st.sampled_from([None, None, None, "user", "agent", "system"]),
        type=st.sampled_from([None, None, "text", "approval_request"]),
        agent=agents,
        metadata=maybe_object,
    )
    def append(self, aim: Aim, **asked: Any) -> None:
        self.change(aim, "append", **asked)

    @rule(
        aim=aims,
        title=titles,
        metadata=st.dictionaries(keys, values, max_size=2).map(lambda m: tuple(sorted(m.items()))),
        inputs=maybe_object,
        clear_metadata=st.booleans(),
        clear_inputs=st.booleans(),
    )
    def update(self, aim: Aim, **asked: Any) -> None:
        self.change(aim, "update", **asked)

    @rule(
        aim=aims,
        content=words,
        output=outputs,
        agent=agents,
        score=st.sampled_from([None, 0.0, 0.75]),
        metadata=maybe_object,
    )
    def submit(self, aim: Aim, **asked: Any) -> None:
        self.change(aim, "submit", **asked)

    @rule(aim=aims, which=numbers, content=st.none() | words, metadata=maybe_object)
    def edit(self, aim: Aim, which: int, **asked: Any) -> None:
        self.change(aim, "edit", output=self.output(self.sid(aim.pick), which), **asked)

    @rule(
        aim=aims,
        which=st.none() | numbers,
        decision=st.sampled_from(["approved", "approved", "approved", "rejected"]),
        feedback=st.sampled_from([None, "", "good"]),
    )
    def decide(self, aim: Aim, which: int | None, **asked: Any) -> None:
        named = None if which is None else self.output(self.sid(aim.pick), which)
        self.change(aim, "decide", output=named, **asked)

    @precondition(lambda self: self.workable)
    @rule(pick=numbers, steps=st.integers(1, 8))
    def go_on(self, pick: int, steps: int) -> None:
        """A session is taken some steps on, so that its end is reached now and then."""
        submitted = pairs(content="done", output=None, agent=None, score=None, metadata=None)
        decided = pairs(output=None, decision="approved", feedback=None)
        sid, root = self.workable[pick % len(self.workable)], self.caller("root")
        for _ in range(steps):
            self.changed(Change(sid, root, "submit", submitted))
            self.changed(Change(sid, root, "decide", decided))

    @precondition(lambda self: self.model.chats)
    @rule(pick=numbers, said=st.lists(words, min_size=1, max_size=4))
    def talk(self, pick: int, said: list[str]) -> None:
        sid = list(self.model.chats)[pick % len(self.model.chats)]
        for content in said:
            asked = pairs(content=content, sender=None, type=None, agent=None, metadata=None)
            self.changed(Change(sid, self.caller("root"), "append", asked))

    @property
    def workable(self) -> list[str]:
        """The sessions that a step can be done in."""
        chats = self.model.chats.values()
        return [c.id for c in chats if c.workflow != "chat" and c.status == "active"]

    @rule(aim=aims, kind=st.sampled_from(["pause", "resume", "resume"]))
    def pause_or_resume(self, aim: Aim, kind: str) -> None:
        self.change(aim, kind)

    @rule(aim=aims, chance=numbers)
    def delete(self, aim: Aim, chance: int) -> None:
        """Seldom by somebody who may: what is gone shows nothing more."""
        if aim.who in ("bob", "gtm", "guest") or chance % 6 == 1:
            self.change(aim, "delete")

    @rule(pick=numbers, who=st.none() | callers, revision=revisions, twisted=st.booleans())
    def repeat(self, pick: int, who: str | None, revision: str, twisted: bool) -> None:
        """An earlier request comes again: as it was, from somebody else, or with other words."""
        change = self.done[-1 - pick % len(self.done)]
        if who is not None:
            change = replace(change, caller=self.caller(who))
        if change.kind == "create":
            self.created(change)
            return
        if twisted and change.kind in ("append", "submit"):
            twisted_content = dict(change.asked) | {"content": "twisted"}
            change = replace(change, asked=pairs(**twisted_content))
        self.changed(replace(change, revision=self.revision(revision, change.sid)))

    @precondition(lambda self: self.accepted)
    @rule(pick=numbers, revision=revisions)
    def again(self, pick: int, revision: str) -> None:
        """What was accepted comes again, as after a lost answer."""
        change = self.accepted[-1 - pick % len(self.accepted)]
        if change.kind == "create":
            self.created(change)
        else:
            self.changed(replace(change, revision=self.revision(revision, change.sid)))

    # --- Live is lost --------------------------------------------------------------------------

    @precondition(lambda self: self.model.chats)
    @rule(pick=numbers, how=st.sampled_from(["drained", "killed", "fenced"]))
    def live_is_lost(self, pick: int, how: str) -> None:
        """It ends, and another starts; or its registration ends while it believes itself alive,
        so that it is fenced by its next write, and is born again."""
        if how == "fenced":
            self.on_loop(self.parts.end_registration())
        else:
            self.on_loop(self.parts.restart_live(drained=how == "drained"))
            self.speaking.meet_live()
        self.model.forget()
        sid = list(self.model.chats)[pick % len(self.model.chats)]
        asked = pairs(content="still here", sender=None, type=None, agent=None, metadata=None)
        self.changed(Change(sid, self.caller("root"), "append", asked))

    # --- reading -------------------------------------------------------------------------------

    @rule(pick=numbers, who=callers, tail=st.none() | st.integers(0, 6))
    def get(self, pick: int, who: str, tail: int | None) -> None:
        """Whoever may see a session sees it, with as much of its end as asked for."""
        sid, caller = self.sid(pick), self.caller(who)
        session, refused = attempt(lambda: self.loaded(sid, caller, tail))
        chat, expected_refusal = attempt(lambda: self.model.see(sid, caller))
        assert refused == expected_refusal
        if session is not None:
            newest = chat.messages if tail is None else chat.messages[::-1][:tail][::-1]
            assert shown(session) == expected(chat) | {"messages": newest}

    @rule(pick=numbers, who=callers, size=st.integers(1, 4), newest_first=st.booleans())
    def list_messages(self, pick: int, who: str, size: int, newest_first: bool) -> None:
        """Pages of any size hold each message once, in the order asked for."""
        sid, caller = self.sid(pick), self.caller(who)
        order = store_pb2.ORDER_DESC if newest_first else store_pb2.ORDER_UNSPECIFIED
        request = store_pb2.ListMessagesRequest(session_id=sid, page_size=size, order=order)
        rpc = self.speaking.store.ListMessages
        pages, refused = attempt(lambda: self.pages(rpc, request, caller))
        chat, expected_refusal = attempt(lambda: self.model.see(sid, caller))
        assert refused == expected_refusal
        if pages is not None:
            assert all(len(page.messages) == size for page in pages[:-1])
            found = shown_messages(sid, itertools.chain(*(page.messages for page in pages)))
            assert found == (chat.messages[::-1] if newest_first else chat.messages)

    @rule(
        who=callers,
        whose=st.sampled_from(["alice", "alice", "bob"]),
        size=st.integers(1, 3),
        status=st.sampled_from([None, None, "active", "paused", "completed"]),
        workflow_id=st.sampled_from([None, None, "chat", "none-such"]),
        q=st.sampled_from([None, None, "", "title", "GRÖSSE", "still"]),
    )
    def list_sessions(self, who: str, whose: str, size: int, **told: str | None) -> None:
        """Pages of any size hold each session that matches once, newest activity first."""
        caller, user = self.caller(who), self.caller(whose).user
        status, workflow_id, q = told["status"], told["workflow_id"], told["q"]
        asked: dict[str, Any] = {"page_size": size, "workflow_id": workflow_id, "q": q}
        if status is not None:
            asked["status"] = session_pb2.SessionStatus.Value(f"SESSION_STATUS_{status.upper()}")
        entries, refused = attempt(lambda: self.listed(caller, user, **asked))
        if caller.role != "admin" and (caller.role == "agent" or caller.user != user):
            assert refused == "PERMISSION_DENIED"
            return
        assert refused is None
        order = [(-each.last_active.ToNanoseconds(), each.id) for each in entries]
        assert order == sorted(set(order))
        assert {each.id for each in entries} == {
            chat.id
            for chat in self.model.chats.values()
            if chat.user == user
            and status in (None, chat.status)
            and workflow_id in (None, chat.workflow)
            and any((q or "").casefold() in t.casefold() for t in (chat.title, chat.last_message))
        }


@pytest.mark.timeout(900)
async def test_store_and_live_do_what_the_model_does(parts: Parts) -> None:
    """After every step, answers, refusals, sessions and lists are those of the model."""
    loop = asyncio.get_running_loop()

    def on_loop(coroutine: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(coroutine, loop).result(PATIENCE)

    told = settings(
        max_examples=EXAMPLES,
        stateful_step_count=STEPS_OF_ONE,
        derandomize="CI" in os.environ,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.generate, Phase.shrink],
    )

    made: Any = lambda: Sessions(parts, on_loop)  # noqa: E731 (typed as a class, used as a factory)

    def compare() -> None:
        run_state_machine_as_test(made, settings=told)

    # The parts serve in this loop, so whoever waits for their answers must not stand in it.
    await asyncio.to_thread(compare)
