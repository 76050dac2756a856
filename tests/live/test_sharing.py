"""Sharing through several Lives: by calls and by streams, whoever owns the session."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import grpc
import pytest

from services.live.request import Request
from sessiond.errors import (
    IdempotencyMismatch,
    InvalidArgument,
    PermissionDenied,
    RateLimited,
    SessiondError,
    SessionFull,
    SessionNotFound,
    TooManySessions,
    TooManyShared,
)
from sessiond.session.access import Identity
from sessiond.session.changes import Change, UpdateSession, fingerprint
from sessiond.session.limits import DEFAULT_LIMITS
from sessiond.standing_wire import make_link_from_wire
from sessiond.status import from_rpc_error
from sessiond.v1 import live_pb2 as pb
from sessiond.v1.session_pb2 import (
    MEMBER_ROLE_APPROVER,
    MEMBER_ROLE_EDITOR,
    MEMBER_ROLE_VIEWER,
)
from sessiond.wire import append_message_from_wire, submit_output_from_wire
from tests.live.following import client
from tests.live.kept import PATIENCE
from tests.live.replicas import Replica, calling, replicas
from tests.live.standing import House

SECRET = "s" * 43


async def failure(call: Any) -> SessiondError:
    """Return the failure that a call ends with."""
    with pytest.raises(grpc.aio.AioRpcError) as failed:
        await call
    return from_rpc_error(failed.value, mutating=True)


async def share(at: Replica, user_id: str, role: int) -> pb.ShareSessionResponse:
    request: Any = pb.ShareSessionRequest(session_id="s1", user_id=user_id)
    request.role = role
    answer: pb.ShareSessionResponse = await at.stub.ShareSession(
        request, metadata=calling(), timeout=PATIENCE
    )
    return answer


async def test_every_method_is_passed_on(house: House, ports: Iterator[int]) -> None:
    """Through any Live, the secret of a link included: it is made where the call comes in."""
    await house.kept.make()
    async with replicas(house, ports, 2) as started:
        owner = started.place("s1")
        (other,) = [each for each in started.all if each is not owner]
        stub, alice = other.stub, {"metadata": calling(), "timeout": PATIENCE}
        bob, carol = ({"metadata": calling(who), "timeout": PATIENCE} for who in ("bob", "carol"))
        shared = await share(other, "bob", MEMBER_ROLE_VIEWER)
        assert (shared.member.user_id, shared.seq) == ("bob", 2)
        assert (await share(other, "bob", MEMBER_ROLE_VIEWER)).seq == 2
        made = await stub.MakeLink(
            pb.MakeLinkRequest(session_id="s1", role=MEMBER_ROLE_EDITOR, op_id="l"), **alice
        )
        assert (len(made.secret), made.seq) == (43, 3)
        again = await stub.MakeLink(
            pb.MakeLinkRequest(session_id="s1", role=MEMBER_ROLE_EDITOR, op_id="l"), **alice
        )
        assert (again.link, again.HasField("secret")) == (made.link, False)
        join = pb.JoinSessionRequest(session_id="s1", secret=made.secret)
        joined = await stub.JoinSession(join, **carol)
        assert (joined.seq, joined.session.revision) == (4, 4)
        assert await other.say("hello", metadata=calling("carol")) == 5
        revoke = pb.RevokeLinkRequest(session_id="s1", link_id=made.link.link_id)
        assert (await stub.RevokeLink(revoke, **alice)).seq == 6
        denied = await failure(share_as(stub, bob))
        assert isinstance(denied, PermissionDenied)
        transfer = pb.TransferSessionRequest(session_id="s1", user_id="carol", op_id="t")
        for _ in range(2):
            given = await stub.TransferSession(transfer, **alice)
            assert (given.seq, given.session.user_id) == (7, "carol")
        leave = pb.UnshareSessionRequest(session_id="s1", user_id="bob", op_id="u")
        for _ in range(2):
            assert (await stub.UnshareSession(leave, **bob)).seq == 8
        assert isinstance(
            await failure(other.say("late", metadata=calling("bob"))), SessionNotFound
        )


async def test_nobody_is_given_more_sessions_than_they_may_have(
    house: House, ports: Iterator[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """By a call or a stream; an answer that was given stands, and a stranger learns no number."""
    counted = {"bob": DEFAULT_LIMITS.sessions_per_user - 1}

    async def count(user_id: str) -> int:
        return counted[user_id]

    monkeypatch.setattr(house.kept, "count", count)
    await house.kept.make()
    async with replicas(house, ports, 2) as started:
        owner = started.place("s1")
        (other,) = [each for each in started.all if each is not owner]
        await share(other, "bob", MEMBER_ROLE_VIEWER)
        alice = {"metadata": calling(), "timeout": PATIENCE}
        given = pb.TransferSessionRequest(session_id="s1", user_id="bob", op_id="t")
        counted["bob"] += 1
        for at in (owner, other):
            refused = await failure(at.stub.TransferSession(given, **alice))
            assert isinstance(refused, TooManySessions)
        async with client(owner) as streaming:
            await streaming.follow()
            await streaming.say(pb.ClientFrame(transfer=given))
            assert (await streaming.until("reply")).error.code == "TOO_MANY_SESSIONS"
        counted["bob"] -= 1
        assert (await other.stub.TransferSession(given, **alice)).seq == 3
        counted["bob"] += 1
        assert (await other.stub.TransferSession(given, **alice)).seq == 3
        bob = {"metadata": calling("bob"), "timeout": PATIENCE}
        stranger = pb.TransferSessionRequest(session_id="s1", user_id="carol")
        assert isinstance(
            await failure(other.stub.TransferSession(stranger, **bob)), InvalidArgument
        )


async def test_so_many_sessions_may_be_shared_with_a_user(
    house: House, ports: Iterator[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One more is refused for who shares, joins, or gives away; all else needs no count."""
    limit = DEFAULT_LIMITS.shared_per_user
    counted = {"bob": limit - 1, "carol": limit}
    asked: list[str] = []

    async def count_shared(user_id: str) -> int:
        asked.append(user_id)
        return counted[user_id]

    monkeypatch.setattr(house.kept, "count_shared", count_shared)
    await house.kept.make()
    async with replicas(house, ports, 2) as started:
        owner = started.place("s1")
        (other,) = [each for each in started.all if each is not owner]
        alice = {"metadata": calling(), "timeout": PATIENCE}
        for at in (owner, other):
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await share(at, "carol", MEMBER_ROLE_VIEWER)
            assert isinstance(from_rpc_error(refused.value, mutating=True), TooManyShared)
        async with client(owner) as streaming:
            await streaming.follow()
            sharing = pb.ShareSessionRequest(
                session_id="s1", user_id="carol", role=MEMBER_ROLE_VIEWER, op_id="s"
            )
            await streaming.say(pb.ClientFrame(share=sharing))
            assert (await streaming.until("reply")).error.code == "TOO_MANY_SHARED"
        assert (await share(other, "bob", MEMBER_ROLE_VIEWER)).seq == 2
        counted["bob"] = limit
        asked.clear()
        assert (await share(other, "bob", MEMBER_ROLE_EDITOR)).seq == 3  # they have it already
        made = await other.stub.MakeLink(
            pb.MakeLinkRequest(session_id="s1", role=MEMBER_ROLE_EDITOR, op_id="l", secret=SECRET),
            **alice,
        )
        assert made.seq == 4
        assert (await join(other, "s1", SECRET, "bob")).seq == 4
        # Who guesses learns nothing, least of all that there is a session.
        assert isinstance(await failure(join(other, "s1", "x" * 43, "carol")), SessionNotFound)
        assert isinstance(await failure(join(other, "absent", SECRET, "carol")), SessionNotFound)
        assert asked == []
        assert isinstance(await failure(join(other, "s1", SECRET, "carol")), TooManyShared)
        counted["carol"] -= 1
        assert (await join(other, "s1", SECRET, "carol")).seq == 5
        given = pb.TransferSessionRequest(session_id="s1", user_id="bob", op_id="t")
        counted["alice"] = limit
        assert isinstance(await failure(other.stub.TransferSession(given, **alice)), TooManyShared)
        counted["alice"] -= 1
        assert (await other.stub.TransferSession(given, **alice)).seq == 6


def share_as(stub: Any, who: Any) -> Any:
    request = pb.ShareSessionRequest(session_id="s1", user_id="dave", role=MEMBER_ROLE_VIEWER)
    return stub.ShareSession(request, **who)


async def test_bad_grants_and_links_are_refused(house: House, ports: Iterator[int]) -> None:
    """To oneself, to nobody, of unknown roles; links that would have expired."""
    await house.kept.make()
    async with replicas(house, ports, 1) as started:
        (only,) = started.all
        for user_id, role in (("alice", 1), ("", 1), ("bob", 0), ("bob", 9)):
            refused = await failure(share(only, user_id, role))
            assert isinstance(refused, InvalidArgument)
        request = pb.MakeLinkRequest(session_id="s1", role=MEMBER_ROLE_VIEWER)
        request.expires_at.FromSeconds(0)
        link = only.stub.MakeLink(request, metadata=calling(), timeout=PATIENCE)
        assert isinstance(await failure(link), InvalidArgument)


async def test_guesses_look_as_an_absent_session_and_are_counted(
    house: House, ports: Iterator[int]
) -> None:
    """Whether the session is there or not, through whichever Live; others go on."""
    await house.kept.make()
    async with replicas(house, ports, 2) as started:
        for session_id in ("s1", "absent"):
            for at in started.all:
                for guess in range(5 if at is started.all[0] else 1):
                    call = join(at, session_id, f"{guess}", "mallory")
                    assert isinstance(await failure(call), SessionNotFound)
        limited = await failure(join(started.all[0], "s1", SECRET, "mallory"))
        assert isinstance(limited, RateLimited)
        made = pb.MakeLinkRequest(session_id="s1", role=MEMBER_ROLE_VIEWER, secret=SECRET)
        await started.all[0].stub.MakeLink(made, metadata=calling(), timeout=PATIENCE)
        assert (await join(started.all[0], "s1", SECRET, "bob")).seq == 3


def join(at: Replica, session_id: str, secret: str, subject: str) -> Any:
    request = pb.JoinSessionRequest(session_id=session_id, secret=secret)
    return at.stub.JoinSession(request, metadata=calling(subject), timeout=PATIENCE)


async def test_a_link_into_a_session_without_room_says_so(
    house: House, ports: Iterator[int]
) -> None:
    """Through any Live, however often: who has the secret is no guesser, nor is it a bad link."""
    await house.kept.make()
    async with replicas(house, ports, 2) as started:
        at = started.all[0]
        made = pb.MakeLinkRequest(session_id="s1", role=MEMBER_ROLE_EDITOR, secret=SECRET)
        await at.stub.MakeLink(made, metadata=calling(), timeout=PATIENCE)
        for number in range(DEFAULT_LIMITS.members):
            await share(at, f"member-{number}", MEMBER_ROLE_VIEWER)
        for number in range(12):
            refused = await failure(join(started.all[number % 2], "s1", SECRET, "bob"))
            assert isinstance(refused, SessionFull)
            assert refused.detail == "The session may have 32 members."
        again = await at.stub.JoinSession(
            pb.JoinSessionRequest(session_id="s1", secret=SECRET),
            metadata=calling("member-0"),
            timeout=PATIENCE,
        )
        assert again.seq == DEFAULT_LIMITS.members + 3  # who is a member may become an editor


async def test_a_record_that_tells_of_another_change_answers_none(
    house: House, ports: Iterator[int]
) -> None:
    """What was imported may say anything: its operation id was used for something else."""
    await house.kept.make()
    async with replicas(house, ports, 1) as started:
        (only,) = started.all
        append = pb.AppendMessageRequest(session_id="s1", content="x", op_id="append")
        submit = pb.SubmitOutputRequest(session_id="s1", content="x", op_id="submit")
        link = pb.MakeLinkRequest(session_id="s1", role=MEMBER_ROLE_VIEWER, op_id="link")
        told: list[tuple[str, Change]] = [
            (append.op_id, append_message_from_wire(append)),
            (submit.op_id, submit_output_from_wire(submit)),
            (link.op_id, make_link_from_wire(link)),
        ]
        held = await only.live.rooms.enter("s1")
        for number, (op_id, change) in enumerate(told):
            forged = Request(
                UpdateSession(title=f"{number}"), Identity("alice"), op_id, hash=fingerprint(change)
            )
            await only.live.rooms.submit("s1", held, forged)
        stub, alice = only.stub, {"metadata": calling(), "timeout": PATIENCE}
        for call in (
            stub.AppendMessage(append, **alice),
            stub.SubmitOutput(submit, **alice),
            stub.MakeLink(link, **alice),
        ):
            assert isinstance(await failure(call), IdempotencyMismatch)


async def test_a_stream_shares_and_a_revoked_one_ends(house: House, ports: Iterator[int]) -> None:
    """At whichever Live it is open, also where that one forwards it."""
    await house.kept.make()
    async with replicas(house, ports, 2) as started:
        await share(started.all[0], "bob", MEMBER_ROLE_APPROVER)
        for number, at in enumerate(started.all):
            await share(at, "bob", MEMBER_ROLE_VIEWER)
            async with client(at) as alice, client(at, "bob") as bob:
                await alice.follow()
                await bob.follow()
                link = pb.MakeLinkRequest(
                    session_id="s1", role=MEMBER_ROLE_VIEWER, op_id=f"l{number}"
                )
                await alice.say(pb.ClientFrame(make_link=link))
                reply = await alice.until("reply")
                assert (len(reply.link.secret), reply.link.seq) == (43, reply.seq)
                unshare = pb.UnshareSessionRequest(
                    session_id="s1", user_id="bob", op_id=f"u{number}"
                )
                await alice.say(pb.ClientFrame(unshare=unshare))
                async with asyncio.timeout(PATIENCE):
                    goaway = await bob.until("goaway")
                assert (goaway.reason, goaway.reconnect) == ("SESSION_NOT_FOUND", False)
