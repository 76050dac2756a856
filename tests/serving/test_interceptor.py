"""What every gRPC call passes through, on a real server."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest

from sessiond.errors import (
    CARRIED,
    FieldViolation,
    Internal,
    InvalidArgument,
    OutcomeUnknown,
    PayloadTooLarge,
    PermissionDenied,
    RouteNotFound,
    SessiondError,
    SessionNotFound,
    StaleRevision,
    Unauthenticated,
    Unavailable,
)
from sessiond.session.access import Identity, Role
from sessiond.status import from_rpc_error
from tests.serving.conftest import Serve, Served
from tests.serving.echo import BIDI, CLIENT_STREAM, OTHER, SERVER_STREAM, UNARY, Context
from tests.serving.lines import logged
from tests.serving.tokens import Provider

Metadata = tuple[tuple[str, str], ...]
METHODS = (UNARY, SERVER_STREAM, CLIENT_STREAM, BIDI)


@pytest.fixture
async def served(serve: Serve) -> AsyncIterator[Served]:
    """An echo behind the interceptor, with nothing special."""
    async with serve() as opened:
        yield opened


@pytest.fixture
def alice(provider: Provider) -> Metadata:
    """The metadata of a user's call."""
    return login(provider.token())


def login(token: str, **more: str) -> Metadata:
    pairs = (("authorization", f"Bearer {token}"), *more.items())
    return tuple((key.replace("_", "-"), value) for key, value in pairs)


async def _only(request: bytes) -> AsyncIterator[bytes]:
    yield request


def opened(
    channel: grpc.aio.Channel,
    method: str,
    request: bytes,
    metadata: Metadata | None,
    timeout: float | None = 10,
) -> Any:
    """Start a call of any kind with one request."""
    untyped: Any = channel
    if method == SERVER_STREAM:
        return untyped.unary_stream(method)(request, metadata=metadata, timeout=timeout)
    if method == CLIENT_STREAM:
        return untyped.stream_unary(method)(_only(request), metadata=metadata, timeout=timeout)
    if method == BIDI:
        return untyped.stream_stream(method)(_only(request), metadata=metadata, timeout=timeout)
    return untyped.unary_unary(method)(request, metadata=metadata, timeout=timeout)


async def answers(call: Any) -> list[bytes]:
    """Return all that the call answers, or raise what it failed with."""
    if hasattr(call, "__aiter__"):
        return [each async for each in call]
    return [await call]


async def failure(
    served: Served, method: str, metadata: Metadata | None, request: bytes = b"x"
) -> SessiondError:
    """Return what a call that must fail is told."""
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await answers(opened(served.channel, method, request, metadata))
    return from_rpc_error(raised.value, mutating=True)


@pytest.mark.parametrize("method", METHODS)
async def test_a_handler_knows_who_calls(served: Served, alice: Metadata, method: str) -> None:
    """Identity, token and request id are those of the call, in every kind of method."""
    call = opened(served.channel, method, b"hi", (*alice, ("x-request-id", "r.1_2-3")))
    assert set(await answers(call)) == {b"hi"}
    assert dict(await call.trailing_metadata())["x-request-id"] == "r.1_2-3"
    if method in (SERVER_STREAM, BIDI):
        assert dict(await call.initial_metadata())["x-request-id"] == "r.1_2-3"
    (seen,) = served.echo.seen
    assert seen is not None
    assert seen.identity == Identity("alice")
    assert seen.request_id == "r.1_2-3"
    assert seen.metadata() == (("x-request-id", "r.1_2-3"), *alice)


@pytest.mark.parametrize("brought", [None, "", "a" * 65, "a b", "a;b", "a%0A"])
async def test_a_request_id_that_is_no_good_is_replaced(
    served: Served, alice: Metadata, brought: str | None
) -> None:
    """A fresh one is made, so that a caller cannot write into our logs."""
    metadata = alice if brought is None else (*alice, ("x-request-id", brought))
    call = opened(served.channel, UNARY, b"", metadata)
    await answers(call)
    made = dict(await call.trailing_metadata())["x-request-id"]
    assert re.fullmatch(r"[0-9a-f]{32}", made)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    "metadata",
    [
        (),
        (("authorization", "Bearer nonsense"),),
        (("authorization", "Basic YTpi"),),
        (("authorization", ""),),
    ],
    ids=["none", "nonsense", "basic", "empty"],
)
async def test_without_a_valid_token_nothing_is_called(
    served: Served, method: str, metadata: Metadata
) -> None:
    """The handler never runs, and the answer is UNAUTHENTICATED."""
    assert type(await failure(served, method, metadata)) is Unauthenticated
    assert served.echo.seen == []


async def test_two_tokens_are_none(served: Served, alice: Metadata) -> None:
    """Which of them counts would be a guess."""
    assert type(await failure(served, UNARY, alice + alice)) is Unauthenticated


async def test_health_and_public_methods_need_no_token(serve: Serve) -> None:
    """Who watches over processes has no token; other methods stay closed."""
    from grpc_health.v1 import health_pb2, health_pb2_grpc

    async with serve(public=frozenset({OTHER})) as served:
        assert await answers(opened(served.channel, OTHER, b"x", None)) == [b"x"]
        (seen,) = served.echo.seen
        assert seen is not None
        assert seen.identity is None
        assert type(await failure(served, UNARY, None)) is Unauthenticated
        stub = health_pb2_grpc.HealthStub(served.channel)
        answer = await stub.Check(health_pb2.HealthCheckRequest(), timeout=10)
        assert answer.status == health_pb2.HealthCheckResponse.SERVING


async def test_roles_open_services_and_methods(serve: Serve, provider: Provider) -> None:
    """The longest fitting name decides; what nothing fits is open to all who have a token."""
    roles = {
        "/test.Echo/": frozenset({Role.LIVE, Role.GATEWAY}),
        SERVER_STREAM: frozenset({Role.LIVE}),
    }
    async with serve(roles=roles) as served:
        for role, allowed in (
            ("live", {UNARY, SERVER_STREAM, OTHER}),
            ("gateway", {UNARY, OTHER}),
            ("admin", {OTHER}),
            ("user", {OTHER}),
        ):
            metadata = login(provider.token(sub=role, role=role))
            for method in (UNARY, SERVER_STREAM, OTHER):
                if method in allowed:
                    assert await answers(opened(served.channel, method, b"x", metadata))
                else:
                    assert type(await failure(served, method, metadata)) is PermissionDenied


async def test_a_service_acts_for_a_user_and_nobody_else_does(
    served: Served, provider: Provider
) -> None:
    """`sessiond-user` is a service's; a bad name is named as a bad field."""
    service = provider.token(sub="crm", role="service")
    await answers(
        opened(served.channel, UNARY, b"x", login(service, sessiond_user="al%C3%AFce%2F1"))
    )
    seen = served.echo.seen[0]
    assert seen is not None
    assert seen.identity == Identity("crm", Role.SERVICE, acting_for="alïce/1")
    bad = await failure(served, UNARY, login(service, sessiond_user="%00"))
    assert isinstance(bad, InvalidArgument)
    assert bad.violations[0].field == "sessiond-user"
    for role in ("user", "admin", "agent", "live", "gateway"):
        metadata = login(provider.token(role=role), sessiond_user="bob")
        assert type(await failure(served, UNARY, metadata)) is PermissionDenied


@pytest.mark.parametrize("method", METHODS)
async def test_a_failure_of_ours_reaches_the_caller_by_name(
    served: Served, alice: Metadata, method: str
) -> None:
    """Whatever kind of method raised it, and after answers were streamed too."""

    async def fail(request: bytes, rpc: Context) -> None:
        raise StaleRevision(41)

    served.echo.act = fail
    told = await failure(served, method, alice)
    assert isinstance(told, StaleRevision)
    assert told.revision == 41


async def test_a_failed_call_names_its_request(served: Served) -> None:
    """Also where nobody was let in: who asks us for help can say which call it was."""
    call = opened(served.channel, UNARY, b"", (("x-request-id", "r1"),))
    with pytest.raises(grpc.aio.AioRpcError):
        await answers(call)
    assert dict(await call.trailing_metadata())["x-request-id"] == "r1"


async def test_every_failure_of_ours_travels(served: Served, alice: Metadata) -> None:
    """All of the catalogue, over a real connection, the bad fields of a large request included."""
    many = [FieldViolation(f"field{n}", "ü" * 300) for n in range(1000)]
    for kind in CARRIED:
        raised: SessiondError = (
            StaleRevision(1)
            if kind is StaleRevision
            else InvalidArgument(many, "ü" * 5000)
            if kind is InvalidArgument
            else kind("Eine Übung.")
        )

        async def fail(request: bytes, rpc: Context, error: SessiondError = raised) -> None:
            raise error

        served.echo.act = fail
        told = await failure(served, UNARY, alice)
        assert type(told) is kind
        if isinstance(told, InvalidArgument):
            assert told.violations


@pytest.mark.parametrize("method", METHODS)
async def test_a_fault_of_ours_is_internal_and_tells_nothing(
    served: Served, alice: Metadata, method: str
) -> None:
    """The caller learns neither the exception's text nor its name; our log has the traceback."""

    async def fail(request: bytes, rpc: Context) -> None:
        raise KeyError("a-secret-key")

    served.echo.act = fail
    with logged() as lines:
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await answers(opened(served.channel, method, b"x", alice))
        await lines.reach(2)
    assert raised.value.code() is grpc.StatusCode.INTERNAL
    assert type(from_rpc_error(raised.value, mutating=True)) is Internal
    assert "KeyError" not in repr(raised.value)
    assert "a-secret-key" not in repr(raised.value)
    assert isinstance(lines[0]["exc_info"], KeyError)
    assert lines[1]["level"] == "error"


async def test_a_status_that_the_handler_sends_itself_passes(
    served: Served, alice: Metadata
) -> None:
    """`abort` is the handler's word, and is counted as such."""

    async def fail(request: bytes, rpc: Context) -> None:
        await rpc.abort(grpc.StatusCode.ALREADY_EXISTS, "as it was")

    served.echo.act = fail
    with logged() as lines:
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await answers(opened(served.channel, UNARY, b"x", alice))
        await lines.reach(1)
    assert raised.value.code() is grpc.StatusCode.ALREADY_EXISTS
    assert raised.value.details() == "as it was"
    assert lines[0]["code"] == "ALREADY_EXISTS"


async def test_an_unknown_method_is_no_route(served: Served, alice: Metadata) -> None:
    """And it makes no label of the metrics: their number stays bounded."""
    assert type(await failure(served, "/test.Echo/Nothing", alice)) is RouteNotFound
    assert "Nothing" not in str(list(served.registry.collect()))


async def test_a_request_beyond_the_limit_is_too_large(serve: Serve, alice: Metadata) -> None:
    """The server does not read it; an answer beyond the caller's limit leaves a change unknown."""
    async with serve(request_bytes=1000) as served:
        assert type(await failure(served, UNARY, alice, b"x" * 1001)) is PayloadTooLarge
        options = (("grpc.max_receive_message_length", 10),)
        async with grpc.aio.insecure_channel(str(served.address), options=options) as narrow:
            with pytest.raises(grpc.aio.AioRpcError) as raised:
                await answers(opened(narrow, UNARY, b"x" * 100, alice))
        assert type(from_rpc_error(raised.value, mutating=True)) is OutcomeUnknown
        assert type(from_rpc_error(raised.value, mutating=False)) is PayloadTooLarge


async def test_one_line_per_call_says_what_happened_and_no_more(
    serve: Serve, provider: Provider
) -> None:
    """Method, code, duration, request id and caller; neither the token nor the request."""
    token = provider.token(sub="crm", role="service")
    async with serve() as served:

        async def fail(request: bytes, rpc: Context) -> None:
            raise SessionNotFound

        with logged() as lines:
            metadata = login(token, sessiond_user="bob", x_request_id="r1")
            await answers(opened(served.channel, UNARY, b"the content", metadata))
            served.echo.act = fail
            await failure(served, UNARY, metadata, b"the content")
            await lines.reach(2)
    good, bad = lines
    assert good.pop("ms") >= 0
    assert good == {
        "event": "call",
        "level": "info",
        "method": UNARY,
        "code": "OK",
        "request_id": "r1",
        "subject": "crm",
        "role": "service",
        "acting_for": "bob",
    }
    assert (bad["level"], bad["code"], bad["reason"]) == (
        "warning",
        "NOT_FOUND",
        "SESSION_NOT_FOUND",
    )
    assert token not in str(lines)
    assert "content" not in str(lines)


async def test_good_calls_of_quiet_methods_are_told_at_level_debug(
    serve: Serve, provider: Provider, alice: Metadata
) -> None:
    """Except where a service acted for a user, which always stays on record."""
    async with serve(quiet=frozenset({UNARY})) as served:
        service = login(provider.token(role="service"), sessiond_user="bob")
        with logged() as lines:
            await answers(opened(served.channel, UNARY, b"", alice))
            await answers(opened(served.channel, UNARY, b"", service))
            await lines.reach(2)
    assert [line["level"] for line in lines] == ["debug", "info"]


async def test_calls_are_counted_by_method_and_code(served: Served, alice: Metadata) -> None:
    """And by nothing else, so that no user or session ever becomes a label."""

    def value(name: str, **labels: str) -> float | None:
        return served.registry.get_sample_value(name, labels)

    entered, leave = asyncio.Event(), asyncio.Event()

    async def wait(request: bytes, rpc: Context) -> None:
        entered.set()
        await leave.wait()

    served.echo.act = wait
    call = opened(served.channel, UNARY, b"", alice)
    answered = asyncio.create_task(answers(call))
    await asyncio.wait_for(entered.wait(), 5)
    assert value("sessiond_grpc_calls_in_flight", method=UNARY) == 1
    leave.set()
    with logged() as lines:
        await answered
        await failure(served, UNARY, None)
        await lines.reach(2)
    assert value("sessiond_grpc_calls_in_flight", method=UNARY) == 0
    assert value("sessiond_grpc_calls_total", method=UNARY, code="OK") == 1
    assert value("sessiond_grpc_calls_total", method=UNARY, code="UNAUTHENTICATED") == 1
    assert value("sessiond_grpc_call_seconds_count", method=UNARY, code="OK") == 1


async def test_a_cancelled_call_ends_its_handler_and_is_no_fault(
    served: Served, alice: Metadata
) -> None:
    """A caller who leaves, or whose deadline passes, takes the handler along."""
    entered, ended = asyncio.Event(), asyncio.Event()

    async def wait(request: bytes, rpc: Context) -> None:
        entered.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    served.echo.act = wait
    for timeout, code in (
        (None, grpc.StatusCode.CANCELLED),
        (0.2, grpc.StatusCode.DEADLINE_EXCEEDED),
    ):
        entered.clear()
        ended.clear()
        with logged() as lines:
            call = opened(served.channel, UNARY, b"", alice, timeout)
            waiting = asyncio.ensure_future(answers(call))
            await asyncio.wait_for(entered.wait(), 5)
            if timeout is None:
                call.cancel()
            await asyncio.wait({waiting}, timeout=5)
            assert await call.code() is code
            await asyncio.wait_for(ended.wait(), 5)
            await lines.reach(1)
        assert (lines[0]["code"], lines[0]["level"]) == ("CANCELLED", "info")
        if not waiting.cancelled():
            assert waiting.exception() is not None


@pytest.mark.parametrize("method", [SERVER_STREAM, BIDI])
async def test_a_stream_that_is_given_up_closes_its_handler(
    served: Served, alice: Metadata, method: str
) -> None:
    """What the handler holds is let go at once, and the call is counted."""
    entered = asyncio.Event()

    async def wait(request: bytes, rpc: Context) -> None:
        entered.set()
        await asyncio.Event().wait()

    served.echo.act = wait
    with logged() as lines:
        call = opened(served.channel, method, b"x", alice)
        assert await call.read() == b"x"
        await asyncio.wait_for(entered.wait(), 5)
        call.cancel()
        await asyncio.wait_for(served.echo.closed.wait(), 5)
        await lines.reach(1)
    assert lines[0]["code"] == "CANCELLED"


async def test_a_call_to_a_server_that_is_gone_was_never_sent(
    serve: Serve, alice: Metadata
) -> None:
    """There was no connection to send it on, so a change was certainly not made."""
    async with serve() as served:
        address = served.address
    async with grpc.aio.insecure_channel(str(address)) as channel:
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await answers(opened(channel, UNARY, b"", alice))
    assert type(from_rpc_error(raised.value, mutating=True)) is Unavailable
    assert type(from_rpc_error(raised.value, mutating=False)) is Unavailable
