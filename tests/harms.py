"""What clients do wrong on streams, each with the reply or the end that it must get for it.

The same harms are done to a Live in the test's own process and to one that runs as a process.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any

import grpc

from sessiond.v1 import live_pb2 as pb
from tests.live.streaming import Client

INVALID = "INVALID_ARGUMENT"


@dataclass
class Victim:
    """A session that others use meanwhile, and what a client needs to do harm.

    Attributes:
        session_id: of the client's own user.
        log_id: of its log.
        make: makes a session of that user's.
        delete: deletes it.
        token: gives another caller's token.
        over: set when clients that wait shall go.
    """

    session_id: str
    log_id: str
    make: Callable[[], Awaitable[str]]
    delete: Callable[[str], Awaitable[None]]
    token: Callable[[str], str]
    over: asyncio.Event = field(default_factory=asyncio.Event)


Harm = Callable[[Client, Victim], Coroutine[Any, Any, None]]


def attach(session_id: str, **fields: Any) -> pb.ClientFrame:
    return pb.ClientFrame(attach=pb.Attach(session_id=session_id, **fields))


def detach(session_id: str) -> pb.ClientFrame:
    return pb.ClientFrame(detach=pb.Detach(session_id=session_id))


def ping(payload: str = "") -> pb.ClientFrame:
    return pb.ClientFrame(ping=pb.Ping(payload=payload))


def message(session_id: str, op_id: str, content: str = "x") -> pb.ClientFrame:
    request = pb.AppendMessageRequest(session_id=session_id, content=content, op_id=op_id)
    return pb.ClientFrame(append=request)


async def answers(client: Client, many: int, *kinds: str) -> list[Any]:
    """Return so many frames of these kinds, whatever comes between them."""
    found: list[Any] = []
    while len(found) < many:
        frame = await client.frame()
        kind = frame.WhichOneof("frame") or ""
        if kind in kinds:
            found.append(getattr(frame, kind))
    return found


async def sent_away(client: Client, reason: str, code: grpc.StatusCode) -> None:
    """See that the stream ends for this reason, in a frame and in its status."""
    while (goaway := await client.until("goaway")).HasField("session_id"):
        pass
    assert (goaway.reason, goaway.reconnect) == (reason, False)
    assert await client.ends() is code


# --- what is no conversation -------------------------------------------------------------------


def says(data: bytes, *, greeted: bool = True) -> Harm:
    """Say something that is no frame."""

    async def harm(client: Client, victim: Victim) -> None:
        if greeted:
            await client.hello()
        await client.raw(data)
        await sent_away(client, INVALID, grpc.StatusCode.INVALID_ARGUMENT)

    return harm


async def more_than_grpc_takes(client: Client, victim: Victim) -> None:
    await client.hello()
    await client.raw(b"x" * (5 * 1024 * 1024))
    assert await client.ends() is grpc.StatusCode.RESOURCE_EXHAUSTED


async def a_token_that_is_none(client: Client, victim: Victim) -> None:
    await client.follow(victim.session_id)
    await client.say(pb.ClientFrame(hello=pb.Hello(token="not a token")))
    await sent_away(client, "UNAUTHENTICATED", grpc.StatusCode.UNAUTHENTICATED)


async def a_token_of_somebody_else(client: Client, victim: Victim) -> None:
    await client.follow(victim.session_id)
    await client.say(pb.ClientFrame(hello=pb.Hello(token=victim.token("mallory"))))
    await sent_away(client, "PERMISSION_DENIED", grpc.StatusCode.PERMISSION_DENIED)


# --- what is refused ---------------------------------------------------------------------------


async def sessions_that_are_not_there(client: Client, victim: Victim) -> None:
    await client.hello()
    for session_id, reason in (
        ("never-made", "SESSION_NOT_FOUND"),
        ("", INVALID),
        ("a:b", INVALID),
        ("x" * 129, INVALID),
    ):
        await client.say(attach(session_id))
        goaway = await client.hear("goaway")
        assert (goaway.session_id, goaway.reason, goaway.reconnect) == (session_id, reason, False)


async def cursors_that_cannot_be_served(client: Client, victim: Victim) -> None:
    await client.hello()
    for cursor, reason in (
        ("damaged", "CURSOR_INVALID"),
        ("x" * 5000, "CURSOR_INVALID"),
        ("0123456789abcdef.1", "LOG_CHANGED"),
        (f"{victim.log_id}.999999999", "CURSOR_INVALID"),
    ):
        await client.say(attach(victim.session_id, cursor=cursor))
        (reset,) = await answers(client, 1, "reset")
        assert reset.reason == reason
        await client.until("caught_up")
        await client.say(detach(victim.session_id))
        await client.until("goaway")


async def changes_of_what_is_not_attached(client: Client, victim: Victim) -> None:
    await client.hello()
    await client.say(
        message(victim.session_id, "op"),
        pb.ClientFrame(token=pb.WriteToken(session_id=victim.session_id, turn_id="t", text="x")),
        pb.ClientFrame(presence=pb.UpdatePresence(session_id=victim.session_id, typing=True)),
    )
    for reply in await answers(client, 3, "reply"):
        assert reply.error.code == "NOT_ATTACHED"


async def a_turn_that_is_not_theirs(client: Client, victim: Victim) -> None:
    await client.follow(victim.session_id)
    turn: dict[str, Any] = {"session_id": victim.session_id, "turn_id": "none"}
    await client.say(
        pb.ClientFrame(token=pb.WriteToken(**turn, text="x")),
        pb.ClientFrame(end_turn=pb.EndTurn(**turn, op_id="e", length=1)),
        pb.ClientFrame(cancel=pb.CancelTurn(**turn, op_id="c")),
    )
    for reply in await answers(client, 3, "reply"):
        # All of one user's harmful clients share its rate.
        assert reply.error.code in ("TURN_NOT_FOUND", "PERMISSION_DENIED", "RATE_LIMITED"), reply


async def ten_thousand_attaches(client: Client, victim: Victim) -> None:
    await client.hello()
    await client.say(*[attach(victim.session_id) for _ in range(10_000)])
    refused = await answers(client, 9_999, "reply")
    assert {reply.error.code for reply in refused} == {INVALID}


async def a_session_that_goes(client: Client, victim: Victim) -> None:
    session_id = await victim.make()
    await client.follow(session_id)
    await victim.delete(session_id)
    goaway = await client.until("goaway")
    assert (goaway.session_id, goaway.reason, goaway.reconnect) == (
        session_id,
        "SESSION_NOT_FOUND",
        False,
    )


# --- floods ------------------------------------------------------------------------------------


async def pings(client: Client, victim: Victim) -> None:
    await client.hello()
    await client.say(*[ping("x" * 64)] * 14_000)
    await answers(client, 14_000, "pong")


async def hellos(client: Client, victim: Victim) -> None:
    await client.hello()
    await client.say(*[pb.ClientFrame(hello=pb.Hello())] * 5_000)
    await answers(client, 5_000, "welcome")


async def presence(client: Client, victim: Victim) -> None:
    await client.follow(victim.session_id)
    here = [
        pb.ClientFrame(presence=pb.UpdatePresence(session_id=victim.session_id, typing=typing))
        for typing in (True, False)
    ]
    await client.say(*here * 5_000, ping())
    await client.until("pong")


async def tokens(client: Client, victim: Victim) -> None:
    await client.follow(victim.session_id)
    token = pb.WriteToken(session_id=victim.session_id, turn_id="none", text="x" * 100)
    await client.say(*[pb.ClientFrame(token=token)] * 5_000)
    await answers(client, 5_000, "reply")


async def comings_and_goings(client: Client, victim: Victim) -> None:
    await client.hello()
    session_id = victim.session_id
    await client.say(
        *[each for _ in range(500) for each in (attach(session_id), detach(session_id))]
    )
    assert {goaway.reason for goaway in await answers(client, 500, "goaway")} == {"NOT_ATTACHED"}


async def messages(client: Client, victim: Victim) -> None:
    await client.follow(victim.session_id)
    await client.say(*[message(victim.session_id, f"{id(client)}-{n}") for n in range(1_000)])
    replies = await answers(client, 1_000, "reply")
    assert {reply.error.code for reply in replies} <= {"", "RATE_LIMITED", "UNAVAILABLE"}


async def half_a_flood(client: Client, victim: Victim) -> None:
    """It asks much, and goes without a look at the answers."""
    await client.hello()
    await client.say(*[ping("x" * 64)] * 14_000)


# --- ends --------------------------------------------------------------------------------------


async def reads_nothing(client: Client, victim: Victim) -> None:
    await client.follow(victim.session_id)
    await victim.over.wait()


async def reads_nothing_of_the_past(client: Client, victim: Victim) -> None:
    await client.hello()
    await client.say(attach(victim.session_id, cursor=f"{victim.log_id}.1"))
    await victim.over.wait()


async def vanishes(client: Client, victim: Victim) -> None:
    await client.follow(victim.session_id)


async def vanishes_while_it_comes(client: Client, victim: Victim) -> None:
    await client.hello()
    await client.say(attach(victim.session_id))


async def vanishes_without_a_word(client: Client, victim: Victim) -> None:
    await client.call.wait_for_connection()


async def vanishes_with_changes_under_way(client: Client, victim: Victim) -> None:
    await client.follow(victim.session_id)
    await client.say(*[message(victim.session_id, f"{id(client)}-{n}") for n in range(20)])


async def says_no_more(client: Client, victim: Victim) -> None:
    await client.follow(victim.session_id)
    await client.call.done_writing()
    assert await client.ends() is grpc.StatusCode.OK


_NESTED = pb.ClientFrame(batch=[pb.ClientFrame(batch=[ping()])]).SerializeToString()
_BOTH = pb.ClientFrame(batch=[ping()], ping=pb.Ping()).SerializeToString()
_HELLO_AT = pb.ClientFrame(hello=pb.Hello(cursor="x")).SerializeToString()

HARMS: dict[str, Harm] = {
    "unknown": says(b"\x0a\x04\xfa\x07\x01x"),
    "empty": says(b""),
    "undecodable": says(b"\xff\xff\xff"),
    "oversize": says(b"x" * 1_500_000),
    "nested": says(_NESTED),
    "a batch and more": says(_BOTH),
    "a cursor in hello": says(_HELLO_AT),
    "before hello": says(attach("s1").SerializeToString(), greeted=False),
    **{
        harm.__name__: harm
        for harm in (
            more_than_grpc_takes,
            a_token_that_is_none,
            a_token_of_somebody_else,
            sessions_that_are_not_there,
            cursors_that_cannot_be_served,
            changes_of_what_is_not_attached,
            a_turn_that_is_not_theirs,
            ten_thousand_attaches,
            a_session_that_goes,
            pings,
            hellos,
            presence,
            tokens,
            comings_and_goings,
            messages,
            half_a_flood,
            reads_nothing,
            reads_nothing_of_the_past,
            vanishes,
            vanishes_while_it_comes,
            vanishes_without_a_word,
            vanishes_with_changes_under_way,
            says_no_more,
        )
    },
}
"""By their names: what clients do wrong."""
