"""A Store that has a user of its own in etcd, by its settings."""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry
from structlog.testing import capture_logs

from services.serving.channels import open_channel
from services.serving.health import Health
from services.serving.running import Running
from services.serving.settings import load
from services.store.app import store
from services.store.etcd.configured import client_of
from services.store.etcd.doctor.command import Ending, doctor
from services.store.etcd.repository import EtcdRepository
from services.store.settings import StoreSettings
from sessiond.v1 import store_pb2 as pb
from sessiond.v1.store_pb2_grpc import StoreServiceStub
from tests.etcd.servers import members
from tests.etcd.test_login import PREFIX, Guarded, guard
from tests.model.parts import SECRET, token
from tests.store.author import Author

LOOK = argparse.Namespace(fix=False, new_logs=False)


@pytest.fixture
async def guarded(tmp_path: Path) -> AsyncIterator[Guarded]:
    """Return an etcd of the test's own that asks for users."""
    async with members(1) as (member,):
        yield await guard(member, tmp_path)


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, ports: Iterator[int]) -> None:
    """Set what a Store needs, except for etcd's user, at an etcd that is not there."""
    (tmp_path / "jwt-secret").write_bytes(SECRET)
    for name, value in {
        "LISTEN": f"127.0.0.1:{next(ports)}",
        "JWT_ISSUER": "tests",
        "JWT_AUDIENCE": "sessiond",
        "JWT_ALGORITHMS": "HS256",
        "JWT_SECRET_FILE": str(tmp_path / "jwt-secret"),
        "ETCD_ENDPOINTS": "127.0.0.1:1",
        "ETCD_NAMESPACE": PREFIX.decode(),
    }.items():
        monkeypatch.setenv(f"SESSIOND_{name}", value)


@pytest.fixture
def settings(told: None, guarded: Guarded, monkeypatch: pytest.MonkeyPatch) -> StoreSettings:
    """Return the settings of a Store with a user at that etcd."""
    monkeypatch.setenv("SESSIOND_ETCD_ENDPOINTS", guarded.member.address)
    monkeypatch.setenv("SESSIOND_ETCD_USERNAME", guarded.credentials.user)
    monkeypatch.setenv("SESSIOND_ETCD_PASSWORD_FILE", str(guarded.credentials.password_file))
    return load(StoreSettings)


@asynccontextmanager
async def running(settings: StoreSettings) -> AsyncIterator[Health]:
    """Run a Store; it may not be ready."""
    part = Running(Health(), CollectorRegistry())
    async with store(part, settings):
        yield part.health


async def until(health: Health, *, ready: bool) -> None:
    """Wait until the part is ready, or says that it is not."""
    async with asyncio.timeout(30):
        async for now in health.changes():
            if now is ready:
                return


async def test_a_session_lives_at_an_etcd_that_asks_who_it_is(
    guarded: Guarded, settings: StoreSettings
) -> None:
    """Created, written, loaded, listed and watched, while the tokens are taken away; and well."""
    alice = (("authorization", f"Bearer {token('alice')}"),)
    async with (
        running(settings) as health,
        client_of(settings) as etcd,
        EtcdRepository(etcd, namespace=settings.etcd_namespace) as repository,
        open_channel(settings.listen, settings) as channel,
        asyncio.timeout(60),
    ):
        await until(health, ready=True)
        author = await Author(repository).register()
        service = StoreServiceStub(channel)
        request = pb.CreateSessionRequest(workflow_id="chat", id="s-1")
        await service.CreateSession(request, metadata=alice)
        watch = service.WatchSessions(pb.WatchSessionsRequest(user_id="alice"), metadata=alice)
        for _ in ("the session", "the end of the listing"):
            await watch.read()
        said = ["one", "two", "three"]
        for text in said:
            # What sets a password takes the tokens of its user away, also where it is the same.
            await guarded.set_password("secret")
            await author.say("s-1", text)
            change = await watch.read()
            assert isinstance(change, pb.WatchSessionsResponse)
            assert change.session.last_message == text
        watch.cancel()
        listed = await service.ListSessions(pb.ListSessionsRequest(user_id="alice"), metadata=alice)
        assert [summary.message_count for summary in listed.sessions] == [3]
        loaded = await service.GetSession(pb.GetSessionRequest(session_id="s-1"), metadata=alice)
        assert [message.content for message in loaded.session.conversation_history] == said
        lines: list[str] = []
        assert await doctor(LOOK, settings, lines.append) is Ending.WELL, lines
        assert lines[0].startswith("1 sessions, 4 records, ")


async def test_a_store_with_a_wrong_password_is_not_ready_and_says_why_once(
    guarded: Guarded, settings: StoreSettings
) -> None:
    """Store tries on, and is ready with the right one; the doctor says it in a line, and ends."""
    file = guarded.credentials.password_file
    file.write_text("a guess")
    with capture_logs() as logs:
        async with running(settings) as health, asyncio.timeout(60):
            # The login has failed, and Store has heard so.
            while sum(line["log_level"] != "info" for line in logs) < 2:
                await guarded.logins()
            assert not health.ready
            file.write_text("secret")
            await until(health, ready=True)
    said = [line for line in logs if "password" in line["event"]]
    assert [line["log_level"] for line in said] == ["error", "info"]
    assert "a guess" not in str(logs)
    file.write_text("a guess")
    lines: list[str] = []
    assert await doctor(LOOK, settings, lines.append) is Ending.UNANSWERED
    assert len(lines) == 1 and "authentication failed" in lines[0] and "guess" not in lines[0]


@pytest.mark.parametrize(
    ("user", "password", "complaint"),
    [
        ("sessiond", None, "must be set together"),
        (None, "secret", "must be set together"),
        ("sessiond", "\n", "must hold a password"),
    ],
)
def test_user_and_password_go_together(
    *,
    told: None,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    user: str | None,
    password: str | None,
    complaint: str,
) -> None:
    """Both are set or neither, and the file holds something; the complaint shows no value."""
    if user is not None:
        monkeypatch.setenv("SESSIOND_ETCD_USERNAME", user)
    if password is not None:
        (tmp_path / "password").write_text(password)
        monkeypatch.setenv("SESSIOND_ETCD_PASSWORD_FILE", str(tmp_path / "password"))
    with pytest.raises(SystemExit):
        load(StoreSettings)
    _, *complaints = capsys.readouterr().err.splitlines()
    (line,) = complaints
    assert line.strip().startswith("SESSIOND_ETCD_PASSWORD_FILE: ") and complaint in line


def test_neither_user_nor_password_is_fine(told: None) -> None:
    """Most etcds ask nobody."""
    assert load(StoreSettings).etcd_username is None
