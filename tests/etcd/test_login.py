"""An etcd that asks for a user and a password, and forgets whom it let in."""

from __future__ import annotations

import asyncio
import re
import signal
import urllib.request
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from structlog.testing import capture_logs

from services.store.etcd.client import EtcdClient
from services.store.etcd.errors import (
    Ambiguous,
    AuthDisabled,
    Denied,
    EtcdError,
    LoginFailed,
    Refused,
    TokenRefused,
    Unavailable,
)
from services.store.etcd.etcd_pb2 import AuthenticateRequest, AuthenticateResponse
from services.store.etcd.login import Credentials, Login
from services.store.etcd.settling import settle
from services.store.etcd.transactions import (
    Transaction,
    exists,
    get,
    put,
    read,
    transaction,
    value_is,
)
from tests.etcd.relay import Relay
from tests.etcd.servers import Member, members, until_ready

PREFIX = b"ours/"
ROOT = "root:top secret"
SNAPSHOT_COUNT = 5


@dataclass
class Guarded:
    """An etcd whose user `sessiond` may use the keys under `PREFIX`, and its password's file."""

    member: Member
    credentials: Credentials

    def client(self, address: str = "") -> EtcdClient:
        return EtcdClient([address or self.member.address], credentials=self.credentials)

    async def control(self, *command: str, said: str = "") -> None:
        """Run etcdctl as root; `said` is what it is told on its standard input."""
        process = await asyncio.create_subprocess_exec(
            *("etcdctl", "--endpoints", self.member.address, *command),
            env={"ETCDCTL_API": "3", "PATH": "/usr/bin:/usr/local/bin", "ETCDCTL_USER": ROOT},
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
        )
        errors = (await process.communicate(said.encode()))[1]
        assert process.returncode == 0, errors.decode()

    async def set_password(self, password: str) -> None:
        await self.control("user", "passwd", "sessiond", "--interactive=false", said=password)

    async def restart(self) -> None:
        """Let etcd forget every token that it gave before, and go on."""
        # What comes after its last snapshot it does again at its start, logins too.
        async with self.client() as client:
            for _ in range(2 * SNAPSHOT_COUNT):
                await client.put(PREFIX, b"")
        assert self.member.process is not None
        self.member.signal(signal.SIGTERM)
        await self.member.process.wait()
        await self.member.start()
        await until_ready(self.member.address)

    async def logins(self) -> int:
        """Return how often anybody has logged in since etcd started."""
        url = f"http://{self.member.address}/metrics"
        page = await asyncio.to_thread(lambda: urllib.request.urlopen(url).read().decode())
        counted = re.search(
            r'^grpc_server_started_total\{grpc_method="Authenticate".* (\d+)', page, re.M
        )
        assert counted is not None
        return int(counted[1])


async def guard(member: Member, folder: Path) -> Guarded:
    """Let an etcd ask for users from now on."""
    await until_ready(member.address)
    file = folder / "password"
    file.write_text("secret\n")
    guarded = Guarded(member, Credentials("sessiond", file))
    for command in (
        f"user add {ROOT.replace(' ', '_')}",
        "user grant-role root root",
        "role add sessiond",
        f"role grant-permission sessiond readwrite --prefix {PREFIX.decode()}",
        "user add sessiond:secret",
        "user grant-role sessiond sessiond",
        "auth enable",
    ):
        await guarded.control(*(word.replace("_", " ") for word in command.split()))
    return guarded


@pytest.fixture
async def guarded(tmp_path: Path) -> AsyncIterator[Guarded]:
    """Return an etcd of the test's own that asks for users."""
    async with members(1, "--snapshot-count", str(SNAPSHOT_COUNT)) as (member,):
        yield await guard(member, tmp_path)


async def test_every_kind_of_call_shows_who_it_is(guarded: Guarded) -> None:
    """Reads, writes, leases, watches, status and compaction, with one login for all of them."""
    before = await guarded.logins()
    async with guarded.client() as client, asyncio.timeout(30):
        assert (await client.range(read(PREFIX))).count == 0
        start = (await client.put(PREFIX, b"1")).header.revision
        lease = (await client.lease_grant(60)).ID
        await client.put(PREFIX + b"leased", b"", lease=lease)
        assert await client.keep_alive(lease) == 60
        assert list((await client.time_to_live(lease, keys=True)).keys) == [PREFIX + b"leased"]
        assert (await client.consensus_range(read(PREFIX))).answers[0].count == 1
        assert (await client.txn(transaction([exists(PREFIX)], [put(PREFIX, b"2")]))).succeeded
        async with client.watch(PREFIX, start_revision=start) as watch:
            assert [event.kv.value for event in (await anext(watch)).events] == [b"1", b"2"]
        await client.lease_revoke(lease)
        assert (await client.delete(PREFIX)).deleted == 1
        await client.compact((await client.status()).header.revision)
    assert await guarded.logins() == before + 1


async def test_what_the_role_does_not_hold_stays_denied(guarded: Guarded) -> None:
    """A token opens nothing else, and no fresh one is asked for, except once for a watch."""
    async with guarded.client() as client, asyncio.timeout(30):
        await client.put(PREFIX, b"")
        before = await guarded.logins()
        for call in (lambda: client.range(read(b"a")), lambda: client.put(b"a", b"")):
            with pytest.raises(Denied) as denied:
                await call()
            assert not isinstance(denied.value, TokenRefused | LoginFailed)
        assert await guarded.logins() == before
        async with client.watch(b"a", start_revision=1) as watch:
            with pytest.raises(Denied):
                await anext(watch)
        assert await guarded.logins() == before + 1


async def test_a_forgotten_token_is_no_failure_of_any_call(guarded: Guarded) -> None:
    """After etcd forgot it, calls that come together wait for one login, and each succeeds."""
    async with guarded.client() as client, asyncio.timeout(60):
        lease = (await client.lease_grant(60)).ID
        await client.put(PREFIX, b"")
        await guarded.restart()
        calls: list[Callable[[], Awaitable[object]]] = [
            lambda: client.put(PREFIX, b""),
            lambda: client.txn(transaction(success=[put(PREFIX, b"")])),
            lambda: client.range(read(PREFIX)),
            lambda: client.consensus_range(read(PREFIX)),
            lambda: client.keep_alive(lease),
            lambda: client.time_to_live(lease),
        ]
        with capture_logs() as logs:
            await until_answered(client)
            await asyncio.gather(*(call() for call in calls * 20))
        assert await guarded.logins() == 1
        assert logs == []


async def until_answered(client: EtcdClient) -> None:
    """Wait until a member that was gone answers a read that needs no login."""
    while True:
        try:
            await client.status()
            return
        except Unavailable:
            continue


async def test_a_write_whose_token_is_forgotten_is_done_once(guarded: Guarded) -> None:
    """Commits and watches go on across three restarts: each change once, in order, none lost."""
    writers, rounds = 4, 3
    async with guarded.client() as client, guarded.client() as other, asyncio.timeout(120):
        keys = [PREFIX + b"%d" % number for number in range(writers)]
        start = (await client.put(PREFIX, b"")).header.revision + 1
        written = asyncio.Condition()
        counts = dict.fromkeys(keys, 0)
        enough = 0

        async def write(key: bytes, number: int) -> None:
            done = await settle(client, step(key, number), seconds=30)
            shown = done.succeeded or done.responses[0].response_range.kvs[0].value
            assert shown in (True, b"%d" % number)

        async def work(key: bytes) -> None:
            while counts[key] < enough or enough == 0:
                await write(key, counts[key] + 1)
                counts[key] += 1
                async with written:
                    written.notify_all()

        async def seen() -> dict[bytes, list[int]]:
            values: dict[bytes, list[int]] = {key: [] for key in keys}
            async with other.watch(PREFIX + b"0", PREFIX + b"9", start_revision=start) as watch:
                async for batch in watch:
                    for event in batch.events:
                        values[event.kv.key].append(int(event.kv.value))
                    if enough and all(found[-1:] >= [enough] for found in values.values()):
                        return values
            raise AssertionError

        async with asyncio.TaskGroup() as tasks:
            watching = tasks.create_task(seen())
            for key in keys:
                tasks.create_task(work(key))
            for _ in range(rounds):
                before = max(counts.values())
                async with written:
                    await written.wait_for(partial(all_past, counts, before + 5))
                await guarded.restart()
            enough = max(counts.values()) + 5
        assert all(
            values[:enough] == list(range(1, enough + 1)) for values in watching.result().values()
        )
        for key in keys:
            (kv,) = (await client.range(read(key))).kvs
            assert kv.version == int(kv.value) == counts[key]


def all_past(counts: Mapping[bytes, int], least: int) -> bool:
    """Return whether every key has been counted so far."""
    return min(counts.values()) >= least


def step(key: bytes, number: int) -> Transaction:
    """Return what counts a key from one number to the next."""
    before = exists(key) if number == 0 else value_is(key, b"%d" % (number - 1))
    return transaction([before] if number > 1 else [], [put(key, b"%d" % number)], [get(read(key))])


async def test_what_is_unknown_stays_unknown(guarded: Guarded) -> None:
    """A lost answer is ambiguous with a token, too; without one, the write was never sent."""
    async with Relay(guarded.member.address) as relay, asyncio.timeout(30):
        async with guarded.client(relay.address) as client:
            await client.put(PREFIX, b"1")
            relay.answers_pass = False
            with pytest.raises(Ambiguous):
                await client.txn(transaction(success=[put(PREFIX, b"2")]), within=0.3)
        async with guarded.client(relay.address) as client:
            with pytest.raises(Unavailable) as never_sent:
                await client.txn(transaction(success=[put(PREFIX, b"3")]), within=0.3)
            assert isinstance(never_sent.value, Refused)
    async with guarded.client() as client:
        assert (await client.range(read(PREFIX))).kvs[0].value == b"2"


async def test_a_login_that_gets_no_answer_is_tried_again_by_who_settles(guarded: Guarded) -> None:
    """A transaction waits for etcd to come back, whether its token is there or not."""
    async with Relay(guarded.member.address) as relay, asyncio.timeout(60):
        await relay.shut()
        async with guarded.client(relay.address) as client:
            settling = asyncio.ensure_future(settle(client, step(PREFIX, 1), seconds=30))
            with pytest.raises(Unavailable):
                await client.range(read(PREFIX))
            assert not settling.done()
            await relay.open()
            assert (await settling).succeeded


async def test_a_wrong_password_has_a_name_and_is_not_shown_again_and_again(
    guarded: Guarded,
) -> None:
    """Every call fails as `LoginFailed`, after one login and one line in the log for all."""
    guarded.credentials.password_file.write_text("a guess")
    before = await guarded.logins()
    async with guarded.client() as client, asyncio.timeout(30):
        with capture_logs() as logs:
            for call in (
                lambda: client.range(read(PREFIX)),
                lambda: client.consensus_range(read(PREFIX)),
                lambda: client.put(PREFIX, b""),
                lambda: client.txn(transaction(success=[put(PREFIX, b"")])),
                lambda: client.lease_grant(60),
                lambda: client.keep_alive(7),
                client.status,
                lambda: anext(client.watch(PREFIX, start_revision=1)),
            ):
                with pytest.raises(LoginFailed):
                    await call()
        assert await guarded.logins() == before + 1
        (line,) = logs
        assert line["log_level"] == "error" and "password" in line["event"]
        assert "a guess" not in str(logs)

        guarded.credentials.password_file.write_text("secret")
        with capture_logs() as logs:
            await client.put(PREFIX, b"")
        assert [line["log_level"] for line in logs] == ["info"]


async def test_a_changed_password_is_read_from_its_file(guarded: Guarded) -> None:
    """etcd forgets the tokens of a user whose password changes; the file may change before that."""
    async with guarded.client() as client, asyncio.timeout(30):
        start = (await client.put(PREFIX, b"1")).header.revision
        async with client.watch(PREFIX, start_revision=start) as watch:
            await anext(watch)
            guarded.credentials.password_file.write_text("another\n")
            await client.put(PREFIX, b"2")
            await guarded.set_password("another\n")
            await client.put(PREFIX, b"3")
            seen: list[bytes] = []
            while len(seen) < 2:
                seen += [event.kv.value for event in (await anext(watch)).events]
            assert seen == [b"2", b"3"]
            await guarded.set_password("third\n")
            with pytest.raises(LoginFailed):
                await client.put(PREFIX, b"4")
            guarded.credentials.password_file.write_text("third")
            await client.put(PREFIX, b"5")


async def test_etcd_may_begin_to_ask_and_stop_asking(guarded: Guarded) -> None:
    """A client with a password needs no restart when authentication is enabled or disabled."""
    await guarded.control("auth", "disable")
    async with guarded.client() as client, asyncio.timeout(30):
        with capture_logs() as logs:
            await client.put(PREFIX, b"1")
            await client.put(PREFIX, b"2")
        assert [line["log_level"] for line in logs] == ["warning"]
        await guarded.control("auth", "enable")
        await client.put(PREFIX, b"3")
        async with client.watch(PREFIX, start_revision=1) as watch:
            assert [event.kv.value for event in (await anext(watch)).events] == [b"1", b"2", b"3"]
        await guarded.control("auth", "disable")
        await client.put(PREFIX, b"4")


async def test_a_signed_token_is_old_after_any_change_of_users(tmp_path: Path) -> None:
    """With JWTs, etcd refuses what it signed before the change; nobody notices."""
    key = rsa.generate_private_key(public_exponent=65_537, key_size=2048)
    (tmp_path / "key").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.TraditionalOpenSSL,
            serialization.NoEncryption(),
        )
    )
    (tmp_path / "public").write_bytes(
        key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
    )
    signed = f"jwt,pub-key={tmp_path / 'public'},priv-key={tmp_path / 'key'},sign-method=RS256"
    async with members(1, "--auth-token", signed) as (member,), asyncio.timeout(30):
        guarded = await guard(member, tmp_path)
        async with guarded.client() as client, guarded.client() as idle:
            start = (await client.put(PREFIX, b"1")).header.revision
            await idle.range(read(PREFIX))
            await guarded.control("role", "add", "another")
            before = await guarded.logins()
            await client.put(PREFIX, b"2")
            assert (await client.txn(step(PREFIX, 3))).succeeded
            async with idle.watch(PREFIX, start_revision=start) as watch:
                assert len((await anext(watch)).events) == 3
            assert await guarded.logins() == before + 2


class Gate:
    """etcd's side of a login: each waits until the test answers it."""

    def __init__(self) -> None:
        self.asked: list[AuthenticateRequest] = []
        self.answers: asyncio.Queue[str | EtcdError] = asyncio.Queue()

    async def __call__(self, request: AuthenticateRequest, seconds: float) -> AuthenticateResponse:
        self.asked.append(request)
        answer = await self.answers.get()
        if isinstance(answer, EtcdError):
            raise answer
        return AuthenticateResponse(token=answer)


@pytest.fixture
def credentials(tmp_path: Path) -> Credentials:
    """Return a user whose password is `one`."""
    (tmp_path / "password").write_text("one\n")
    return Credentials("sessiond", tmp_path / "password")


async def test_one_login_at_a_time(credentials: Credentials) -> None:
    """Who waits uses what the first one brought; who comes with an older token, too."""
    gate = Gate()
    login = Login(credentials, gate)
    gate.answers.put_nowait("first")
    first, second = (("token", "first"),), (("token", "second"),)
    assert await asyncio.gather(*(login.fresh(None, 5) for _ in range(100))) == [first] * 100
    gate.answers.put_nowait("second")
    assert await asyncio.gather(*(login.fresh(first, 5) for _ in range(100))) == [second] * 100
    assert await login.fresh(first, 5) == second
    assert [(each.name, each.password) for each in gate.asked] == [("sessiond", "one")] * 2


async def test_who_gives_up_leaves_the_login_to_the_next(credentials: Credentials) -> None:
    """A caller that runs out of time, or is cancelled, takes nobody with it."""
    gate = Gate()
    login = Login(credentials, gate)
    cancelled, patient = (asyncio.ensure_future(login.fresh(None, 30)) for _ in range(2))
    with pytest.raises(Unavailable):
        await login.fresh(None, 0)
    cancelled.cancel()
    gate.answers.put_nowait("token")
    assert await patient == (("token", "token"),)


async def test_a_refused_password_is_shown_again_after_a_pause(credentials: Credentials) -> None:
    """Not before; and one that is changed, or a login that had no answer, waits for nothing."""
    for pause, shown in ((0.0, 2), (1e9, 1)):
        gate = Gate()
        login = Login(credentials, gate, pause=pause)
        for _ in range(2):
            gate.answers.put_nowait(LoginFailed("no"))
            with pytest.raises(LoginFailed):
                await login.fresh(None, 30)
        assert len(gate.asked) == shown
    credentials.password_file.write_text("two")
    gate.answers = asyncio.Queue()
    for answer in (Unavailable("busy"), AuthDisabled("open")):
        gate.answers.put_nowait(answer)
    with pytest.raises(Unavailable):
        await login.fresh(None, 30)
    assert await login.fresh(None, 30) == ()
    assert [each.password for each in gate.asked] == ["one", "two", "two"]


async def test_a_password_file_that_is_gone_is_a_failed_login(credentials: Credentials) -> None:
    """It has the same name as a wrong password, and etcd is not asked."""
    gate = Gate()
    credentials.password_file.unlink()
    with pytest.raises(LoginFailed):
        await Login(credentials, gate).fresh(None, 30)
    assert gate.asked == []
