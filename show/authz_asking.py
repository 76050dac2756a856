"""One caller, who asks one thing at a time and says in one word what they were told."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import cycle
from typing import Any

import grpc
import httpx
import orjson
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.json_format import ParseDict
from google.protobuf.message_factory import GetMessageClass
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from sessiond.status import from_rpc_error
from sessiond.v1 import job_pb2, live_pb2, store_pb2
from sessiond.v1.live_pb2 import Attach, ClientFrame, Hello, Ping, ServerFrame
from show.authz_table import ABSENT, DENIED, MAY, STALE, UNKNOWN_CALLER, Row

_WORDS: Mapping[str, str] = {
    "UNAUTHENTICATED": UNKNOWN_CALLER,
    "PERMISSION_DENIED": DENIED,
    "SESSION_NOT_FOUND": ABSENT,
    "NOT_ATTACHED": ABSENT,
    "ROUTE_NOT_FOUND": "it is not served",
    "METHOD_NOT_ALLOWED": "it is not served",
}
_LET_IN = frozenset(
    {
        "",
        "ERASURE_NOT_FOUND",
        "INVALID_ARGUMENT",
        "STALE_REVISION",
        "TEMPLATE_NOT_FOUND",
        "TURN_NOT_FOUND",
    }
)
"""What only those hear whose right was looked at, and found good."""

_AGAIN = frozenset(
    {
        "DEADLINE_EXCEEDED",
        "DRAINING",
        "OUTCOME_UNKNOWN",
        "SESSION_MOVED",
        "UNAVAILABLE",
    }
)
_TRIES = 100
_PAUSE_SECONDS = 0.05
_PATIENCE_SECONDS = 20.0
_SILENCE_SECONDS = 2.0
"""A stream that says nothing for so long has let its caller in."""

_SERVICES = (
    *store_pb2.DESCRIPTOR.services_by_name.values(),
    *live_pb2.DESCRIPTOR.services_by_name.values(),
    *job_pb2.DESCRIPTOR.services_by_name.values(),
)
_METHODS: Mapping[str, MethodDescriptor] = {
    f"{service.name}/{method.name}": method for service in _SERVICES for method in service.methods
}
_CONNECT = "/sessiond.v1.LiveService/Connect"
_UNCHANGING = ("hello", "ping", "close", "attach", "detach", "token", "presence")


@dataclass(frozen=True, slots=True)
class Places:
    """Where to ask: a gateway's host:port, and channels to a Store and to each Live."""

    gateway: str
    store: grpc.aio.Channel
    lives: Sequence[grpc.aio.Channel]


@dataclass(frozen=True, slots=True)
class Setting:
    """What there is: a session, the caller's own name, users, a secret, and ids of new sessions."""

    session: str
    me: str
    owner: str
    nobody: str
    secret: str
    new: Callable[[], str]

    def fill(self, value: Any) -> Any:
        """Return a value of the table with all that it names."""
        if isinstance(value, Mapping):
            return {key: self.fill(each) for key, each in value.items()}
        if isinstance(value, list):
            return [self.fill(each) for each in value]
        if not isinstance(value, str):
            return value
        new = self.new() if "{new}" in value else ""
        return value.format(
            session=self.session,
            me=self.me,
            owner=self.owner,
            nobody=self.nobody,
            secret=self.secret,
            new=new,
        )


class Caller:
    """Somebody with a token, or with none: ""."""

    def __init__(self, places: Places, token: str) -> None:
        self._places = places
        self._token = token
        self._lives = cycle(places.lives)
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._http = httpx.AsyncClient(
            base_url=f"http://{places.gateway}",
            headers=headers,
            timeout=_PATIENCE_SECONDS,
            trust_env=False,
            verify=ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT),
        )

    async def close(self) -> None:
        """Leave."""
        await self._http.aclose()

    async def ask(self, surface: str, name: str, row: Row, setting: Setting) -> str:
        """Return what the caller is told, in the table's words; another code as it is."""
        ways: Mapping[str, Callable[[str, Row, Setting], Awaitable[str]]] = {
            "routes": self._route,
            "rpcs": self._rpc,
            "frames": self._frame,
        }
        code = ""
        for _ in range(_TRIES):
            async with asyncio.timeout(_PATIENCE_SECONDS):
                code = await ways[surface](name, row, setting)
            if code not in _AGAIN:
                return MAY if code in _LET_IN else _WORDS.get(code, code)
            await asyncio.sleep(_PAUSE_SECONDS)
        return code

    # --- REST and WebSocket --------------------------------------------------------------------

    async def _route(self, name: str, row: Row, setting: Setting) -> str:
        method, path = name.split(" ")
        path = setting.fill(path)
        if path.startswith("/api/ws/"):
            return await self._socket(path)
        headers = {} if method == "GET" else {"If-Match": f'"{STALE}"'}
        body = setting.fill(row.body)
        content = orjson.dumps(body) if body else None
        if content is not None:
            headers["Content-Type"] = "application/json"
        # As a stream: of one that goes on for ever, the beginning is enough.
        async with self._http.stream(method, path, headers=headers, content=content) as answer:
            if answer.is_success:
                return ""
            return str(orjson.loads(await answer.aread())["code"])

    async def _socket(self, path: str) -> str:
        hello = {"hello": {"token": self._token} if self._token else {}}
        async with connect(f"ws://{self._places.gateway}{path}", proxy=None) as socket:
            await socket.send(orjson.dumps(hello).decode())
            try:
                async for text in socket:
                    message = orjson.loads(text)
                    for frame in message.get("batch") or (message,):
                        if "attached" in frame:
                            return ""
                        if "goaway" in frame:
                            return str(frame["goaway"]["reason"])
            except ConnectionClosed as closed:
                return closed.rcvd.reason if closed.rcvd is not None else "UNAVAILABLE"
        return "UNAVAILABLE"

    # --- gRPC ----------------------------------------------------------------------------------

    async def _rpc(self, name: str, row: Row, setting: Setting) -> str:
        method = _METHODS[name]
        if name == "LiveService/Connect":
            return await self._frame("hello", row, setting)
        request = ParseDict(setting.fill(row.body), GetMessageClass(method.input_type)())
        service = method.containing_service
        is_live = service.name == "LiveService"
        channel = next(self._lives) if is_live else self._places.store
        path = f"/{service.full_name}/{method.name}"
        codecs: dict[str, Any] = {
            "request_serializer": GetMessageClass(method.input_type).SerializeToString,
            "response_deserializer": GetMessageClass(method.output_type).FromString,
        }
        calling: dict[str, Any] = {"metadata": self._metadata, "timeout": _PATIENCE_SECONDS}
        try:
            if method.client_streaming:
                await channel.stream_unary(path, **codecs)(_only(request), **calling)
            elif method.server_streaming:
                await _first(channel.unary_stream(path, **codecs)(request, **calling))
            else:
                await channel.unary_unary(path, **codecs)(request, **calling)
        except grpc.aio.AioRpcError as error:
            return _reason(error)
        return ""

    @property
    def _metadata(self) -> tuple[tuple[str, str], ...]:
        return (("authorization", f"Bearer {self._token}"),) if self._token else ()

    # --- streams -------------------------------------------------------------------------------

    async def _frame(self, name: str, row: Row, setting: Setting) -> str:
        call: Any = next(self._lives).stream_stream(
            _CONNECT,
            request_serializer=ClientFrame.SerializeToString,
            response_deserializer=ServerFrame.FromString,
        )(metadata=self._metadata)
        try:
            return await self._say(_Heard(call), name, row, setting)
        except asyncio.InvalidStateError:
            return "UNAVAILABLE"
        except grpc.aio.AioRpcError as error:
            # What is written while the call ends hides why it did: it is asked again, then.
            reason = _reason(error)
            return "UNAVAILABLE" if reason == "INTERNAL" else reason
        finally:
            call.cancel()

    async def _say(self, heard: _Heard, name: str, row: Row, setting: Setting) -> str:
        await heard.say(ClientFrame(hello=Hello()))
        await heard.until("welcome")
        if name == "hello":
            return ""
        frame = ClientFrame()
        said = getattr(frame, name)
        said.SetInParent()
        ParseDict(setting.fill(row.body), said)
        fields = said.DESCRIPTOR.fields_by_name
        if "session_id" in fields:
            said.session_id = setting.session
        if "op_id" in fields:
            said.op_id = setting.new()
        if name in ("ping", "close", "detach"):
            await heard.say(frame)
            await heard.until({"ping": "pong", "close": "", "detach": "goaway"}[name])
            return ""
        await heard.say(ClientFrame(attach=Attach(session_id=setting.session)))
        attached = await heard.until("attached", "goaway")
        refused = str(getattr(attached, "reason", ""))
        if name == "attach" or refused in _AGAIN:
            return refused
        await heard.say(frame)
        if name in _UNCHANGING and not refused:
            await heard.say(ClientFrame(ping=Ping()))
            gone = await heard.until("pong", "goaway")
            return str(getattr(gone, "reason", ""))
        reply = await heard.until("reply", "goaway")
        return str(reply.error.code if hasattr(reply, "error") else reply.reason)


@dataclass(slots=True)
class _Heard:
    """A stream, and what came on it and was not looked at."""

    call: Any
    frames: list[ServerFrame] = field(default_factory=list)

    async def say(self, frame: ClientFrame) -> None:
        await self.call.write(frame)

    async def until(self, *kinds: str) -> Any:
        """Return the next of these; None at the stream's end, where nothing else is waited for."""
        while True:
            while not self.frames:
                message = await self.call.read()
                if message is grpc.aio.EOF:
                    if kinds == ("",):
                        return None
                    raise await _failure(self.call)
                self.frames.extend(message.batch or (message,))
            frame = self.frames.pop(0)
            kind = frame.WhichOneof("frame") or ""
            if kind in kinds:
                return getattr(frame, kind)


async def _failure(call: Any) -> grpc.aio.AioRpcError:
    return grpc.aio.AioRpcError(
        await call.code(),
        await call.initial_metadata(),
        await call.trailing_metadata(),
        await call.details(),
    )


async def _first(call: Any) -> None:
    try:
        async with asyncio.timeout(_SILENCE_SECONDS):
            await call.read()
    except TimeoutError:
        return
    finally:
        call.cancel()


async def _only(request: Any) -> AsyncIterator[Any]:
    yield request


def _reason(error: grpc.aio.AioRpcError) -> str:
    if error.code() is grpc.StatusCode.UNIMPLEMENTED:
        return "ROUTE_NOT_FOUND"
    return from_rpc_error(error, mutating=False).reason
