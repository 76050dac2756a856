"""Templates as callers see them, and sessions that are made of them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest

from services.store.memory import MemoryRepository
from services.store.sessions import Sessions
from services.store.space import Space
from sessiond.errors import (
    IdempotencyMismatch,
    InvalidArgument,
    PermissionDenied,
    SessiondError,
    SessionNotFound,
    TemplateNotFound,
    TooManyTemplates,
    Unavailable,
)
from sessiond.session.access import Identity
from sessiond.session.changes import CreateSession
from sessiond.session.limits import Limits
from sessiond.session.templates import Template
from sessiond.status import from_rpc_error
from sessiond.v1 import store_pb2 as pb
from sessiond.v1.session_pb2 import JsonObject
from tests.store.conftest import Clock, Serve, Served, sessions_of

ALICE = Identity("alice")
PLAN = Template("chat", '{"market":"EU"}', "Plan for {input.market}, {date}", {"team": "red"})


@pytest.fixture
async def served(serve: Serve, repository: MemoryRepository) -> AsyncIterator[Served]:
    """A served Store on the repository."""
    async with serve(repository) as opened:
        yield opened


async def failure(call: Any) -> SessiondError:
    """Return the failure that a call ends with."""
    with pytest.raises(grpc.aio.AioRpcError) as failed:
        await call
    return from_rpc_error(failed.value, mutating=False)


async def test_a_session_begins_with_what_the_template_says(sessions: Sessions) -> None:
    """What the request gives comes before it."""
    await sessions.templates.put("alice", "plan", PLAN)
    made = await sessions.create(ALICE, CreateSession(template="plan"), None)
    assert (made.workflow_id, made.title) == ("chat", "Plan for EU, 2027-01-15")
    assert (made.user_inputs.text, dict(made.metadata)) == ('{"market":"EU"}', {"team": "red"})
    change = CreateSession(user_inputs='{"market":"US"}', metadata={"k": "v"}, template="plan")
    made = await sessions.create(ALICE, change, None)
    assert made.title == "Plan for US, 2027-01-15"
    assert dict(made.metadata) == {"team": "red", "k": "v"}


async def test_workflows_are_templates_too(sessions: Sessions) -> None:
    """Under their ids, and the user cannot take their names."""
    made = await sessions.create(ALICE, CreateSession(template="chat"), None)
    assert (made.workflow_id, made.title, made.user_inputs.text) == ("chat", "", "{}")
    with pytest.raises(InvalidArgument) as refused:
        await sessions.templates.put("alice", "chat", PLAN)
    assert [each.field for each in refused.value.violations] == ["name"]
    with pytest.raises(InvalidArgument):
        await sessions.templates.delete("alice", "chat")


async def test_a_repeated_creation_does_not_ask_the_template_again(sessions: Sessions) -> None:
    """Whatever became of it: the first answer stands, and another request is told from it."""
    await sessions.templates.put("alice", "plan", PLAN)
    change = CreateSession(template="plan")
    made = await sessions.create(ALICE, change, "op-1")
    await sessions.templates.put("alice", "plan", Template("master-workflow-v2"))
    assert await sessions.create(ALICE, change, "op-1") == made
    await sessions.templates.delete("alice", "plan")
    assert await sessions.create(ALICE, change, "op-1") == made
    with pytest.raises(IdempotencyMismatch):
        await sessions.create(ALICE, CreateSession(template="chat"), "op-1")
    with pytest.raises(TemplateNotFound):
        await sessions.create(ALICE, change, "op-2")


async def test_templates_are_their_users_own(sessions: Sessions) -> None:
    """Nobody begins with another user's."""
    await sessions.templates.put("bob", "plan", PLAN)
    with pytest.raises(TemplateNotFound):
        await sessions.create(ALICE, CreateSession(template="plan"), None)


@pytest.mark.parametrize(
    ("change", "fields"),
    [
        (CreateSession(template="a/b", title="\0"), ["title", "template"]),
        (CreateSession(template=""), ["template"]),
        (CreateSession(template="plan", workflow_id="nope"), ["workflow_id"]),
        (
            CreateSession(template="plan", metadata={f"k{n}": "" for n in range(16)}),
            ["metadata"],
        ),
    ],
)
async def test_what_a_creation_may_not_say_is_named(
    sessions: Sessions, change: CreateSession, fields: list[str]
) -> None:
    """Before the template is looked for, and after it was put in."""
    await sessions.templates.put("alice", "plan", PLAN)
    with pytest.raises(InvalidArgument) as refused:
        await sessions.create(ALICE, change, "op")
    assert [each.field for each in refused.value.violations] == fields


async def test_a_user_has_so_many_templates_and_no_more(
    repository: MemoryRepository, clock: Clock
) -> None:
    """What is there already can still be replaced, and built-in ones do not count."""
    templates = sessions_of(repository, clock, Limits(templates_per_user=2)).templates
    for name in ("one", "two", "one"):
        await templates.put("alice", name, PLAN)
    with pytest.raises(TooManyTemplates):
        await templates.put("alice", "three", PLAN)
    await templates.put("bob", "three", PLAN)
    await templates.delete("alice", "one")
    await templates.put("alice", "three", PLAN)
    names = [name for name, _ in await templates.all("alice")]
    assert names == ["three", "two", "master-workflow-v2", "chat"]


async def test_no_template_is_saved_while_space_is_short(
    repository: MemoryRepository, sessions: Sessions
) -> None:
    """It is refused plainly, and deleting goes on."""
    space = Space()
    space.seen(90, 100)
    templates = sessions.templates
    await templates.put("alice", "plan", PLAN)
    templates._space = space
    with pytest.raises(Unavailable):
        await templates.put("alice", "other", PLAN)
    await templates.delete("alice", "plan")
    assert await repository.templates("alice") == ()


async def test_templates_over_the_wire(served: Served) -> None:
    """Saved, loaded, listed without its inputs, used and deleted."""
    alice = served.bearer("alice")
    saved = await served.store.PutTemplate(
        pb.PutTemplateRequest(
            user_id="alice",
            name="plan",
            workflow_id="chat",
            user_inputs=JsonObject(text='{"n": 12345678901234567890}'),
            title="Plan {input.n}",
            metadata={"k": "v"},
        ),
        metadata=alice,
    )
    template = saved.template
    assert (template.name, template.workflow_id, template.built_in) == ("plan", "chat", False)
    assert (template.user_inputs.text, template.title) == (
        '{"n": 12345678901234567890}',
        "Plan {input.n}",
    )
    assert template.HasField("updated_at")
    named = pb.GetTemplateRequest(user_id="alice", name="plan")
    assert (await served.store.GetTemplate(named, metadata=alice)).template == template
    listed = await served.store.ListTemplates(
        pb.ListTemplatesRequest(user_id="alice"), metadata=alice
    )
    own, master, chat = listed.templates
    assert (own.name, own.user_inputs.text, own.updated_at) == ("plan", "{}", template.updated_at)
    assert (master.name, master.workflow_id, master.built_in) == (
        "master-workflow-v2",
        "master-workflow-v2",
        True,
    )
    assert (chat.name, chat.built_in, chat.HasField("updated_at")) == ("chat", True, False)
    made = await served.store.CreateSession(
        pb.CreateSessionRequest(template="plan"), metadata=alice
    )
    assert made.session.title == "Plan 12345678901234567890"
    for _ in range(2):
        await served.store.DeleteTemplate(
            pb.DeleteTemplateRequest(user_id="alice", name="plan"), metadata=alice
        )
    gone = served.store.GetTemplate(named, metadata=alice)
    assert isinstance(await failure(gone), TemplateNotFound)


async def test_a_session_is_saved_as_a_template(served: Served) -> None:
    """Its workflow, inputs, title and metadata, unless others are given."""
    alice = served.bearer("alice")
    made = await served.store.CreateSession(
        pb.CreateSessionRequest(
            id="s-1",
            workflow_id="chat",
            title="Plan",
            user_inputs=JsonObject(text='{"a":1}'),
            metadata={"k": "v"},
        ),
        metadata=alice,
    )
    request = pb.PutTemplateRequest(user_id="alice", name="whole", session_id=made.session.id)
    whole = (await served.store.PutTemplate(request, metadata=alice)).template
    assert (whole.workflow_id, whole.user_inputs.text, whole.title, dict(whole.metadata)) == (
        "chat",
        '{"a":1}',
        "Plan",
        {"k": "v"},
    )
    request.title, request.user_inputs.text = "", "{}"
    request.workflow_id, request.metadata["l"] = "master-workflow-v2", "w"
    part = (await served.store.PutTemplate(request, metadata=alice)).template
    assert (part.workflow_id, part.user_inputs.text, part.title, dict(part.metadata)) == (
        "master-workflow-v2",
        "{}",
        "",
        {"l": "w"},
    )
    request.session_id = "nowhere"
    absent = served.store.PutTemplate(request, metadata=alice)
    assert isinstance(await failure(absent), SessionNotFound)
    bob = pb.PutTemplateRequest(user_id="bob", name="stolen", session_id="s-1")
    stolen = served.store.PutTemplate(bob, metadata=served.bearer("bob"))
    assert isinstance(await failure(stolen), SessionNotFound)


async def test_templates_of_others_are_refused(served: Served) -> None:
    """But administrators, and a service that acts for their user."""
    store, bob = served.store, served.bearer("bob")
    put = pb.PutTemplateRequest(user_id="alice", name="plan")
    get = pb.GetTemplateRequest(user_id="alice", name="chat")
    listing = pb.ListTemplatesRequest(user_id="alice")
    delete = pb.DeleteTemplateRequest(user_id="alice", name="plan")
    for who in (bob, served.bearer("a", role="agent"), served.bearer("s", role="service")):
        for call in (
            store.PutTemplate(put, metadata=who),
            store.GetTemplate(get, metadata=who),
            store.ListTemplates(listing, metadata=who),
            store.DeleteTemplate(delete, metadata=who),
        ):
            assert isinstance(await failure(call), PermissionDenied)
    await store.PutTemplate(put, metadata=served.bearer("root", role="admin"))
    acting = (*served.bearer("crm", role="service"), ("sessiond-user", "alice"))
    assert len((await store.ListTemplates(listing, metadata=acting)).templates) == 3


@pytest.mark.parametrize(
    ("request_", "fields"),
    [
        (pb.PutTemplateRequest(user_id="", name="a/b"), ["user_id", "name"]),
        (pb.PutTemplateRequest(user_id="alice", name="x" * 65), ["name"]),
        (pb.PutTemplateRequest(user_id="alice", name="chat"), ["name"]),
        (pb.PutTemplateRequest(user_id="alice", name="x", session_id="a/b"), ["session_id"]),
        (pb.PutTemplateRequest(user_id="alice", name="x", workflow_id="nope"), ["workflow_id"]),
        (
            pb.PutTemplateRequest(
                user_id="alice", name="x", user_inputs=JsonObject(text="[1]"), title="\n"
            ),
            ["user_inputs", "title"],
        ),
    ],
)
async def test_a_template_of_the_wrong_shape_is_refused(
    served: Served, request_: pb.PutTemplateRequest, fields: list[str]
) -> None:
    """With every bad field; nothing is saved."""
    refused = await failure(served.store.PutTemplate(request_, metadata=served.bearer("alice")))
    assert isinstance(refused, InvalidArgument)
    assert [each.field for each in refused.violations] == fields
    listed = await served.store.ListTemplates(
        pb.ListTemplatesRequest(user_id="alice"), metadata=served.bearer("alice")
    )
    assert all(template.built_in for template in listed.templates)
