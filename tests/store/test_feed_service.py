"""The feed over the wire: who may follow it, and what may be asked."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest

from services.serving.claims import encode_user
from services.store.memory import MemoryRepository
from sessiond.errors import InvalidArgument, PermissionDenied, Unauthenticated
from sessiond.v1 import store_pb2 as pb
from tests.store.author import Author
from tests.store.conftest import Begin, Serve, Served
from tests.store.test_service import failure

Metadata = Sequence[tuple[str, str]]


@pytest.fixture
async def served(serve: Serve, repository: MemoryRepository) -> AsyncIterator[Served]:
    """A served Store on the repository."""
    async with serve(repository) as opened:
        yield opened


def watch(served: Served, metadata: Metadata | None, **asked: Any) -> Any:
    return served.store.WatchChanges(pb.WatchChangesRequest(**asked), metadata=metadata)


@pytest.mark.parametrize("role", ["service", "admin"])
async def test_backends_follow_everybody(
    served: Served, author: Author, begin: Begin, role: str
) -> None:
    """First where the feed begins; then what happens, by what is asked for."""
    await begin("a")
    feed = watch(served, served.bearer("indexer", role=role), event_types=["message_appended"])
    first = await feed.read()
    assert first.WhichOneof("change") == "moved"
    await begin("b", user="bob")
    await author.say("a", "one")
    second = await feed.read()
    assert second.changed.event.message_appended.message.content == "one"
    assert second.cursor != first.cursor
    feed.cancel()
    again = watch(served, served.bearer("indexer", role=role), cursor=first.cursor)
    assert (await again.read()).cursor == first.cursor
    assert (await again.read()).changed.event.session_id == "b"
    again.cancel()


async def test_nobody_else_does(served: Served) -> None:
    """No user, no agent, no other part, and no service that acts for somebody."""
    for role in ("user", "agent", "live", "gateway"):
        metadata = served.bearer("somebody", role=role)
        assert isinstance(await failure(watch(served, metadata).read()), PermissionDenied)
    acting = (*served.bearer("crm", role="service"), ("sessiond-user", encode_user("alice")))
    assert isinstance(await failure(watch(served, acting).read()), PermissionDenied)
    assert isinstance(await failure(watch(served, None).read()), Unauthenticated)


@pytest.mark.parametrize(
    ("asked", "field"),
    [
        ({"user_ids": [""]}, "user_ids"),
        ({"user_ids": ["a\n"]}, "user_ids"),
        ({"user_ids": [f"u{n}" for n in range(65)]}, "user_ids"),
        ({"workflow_ids": [f"w{n}" for n in range(65)]}, "workflow_ids"),
        ({"event_types": ["message_appended", "messageAppended"]}, "event_types"),
        ({"cursor": "nonsense"}, "cursor"),
    ],
)
async def test_a_bad_request_is_refused(served: Served, asked: dict[str, Any], field: str) -> None:
    """And names what is wrong, for a caller who may ask."""
    metadata = served.bearer("root", role="admin")
    refused = await failure(watch(served, metadata, **asked).read())
    assert isinstance(refused, InvalidArgument)
    assert {each.field for each in refused.violations} == {field}
