"""One REST operation: from HTTP, one RPC, to HTTP."""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple
from urllib.parse import quote

import orjson
from google.protobuf.message import Message
from starlette.datastructures import Headers
from starlette.responses import Response

from gateway import bodies
from gateway.annotations import Operation
from gateway.callers import identify
from gateway.conditional import HEADERS, Known, etag, known_tags
from gateway.exchange import Exchange
from gateway.mapping.texts import QueryReader, TextReader
from gateway.problems import in_http_words
from gateway.upstream import Call
from services.serving import context
from services.serving.auth import Authenticator
from sessiond.errors import OutcomeUnknown, SessiondError, Violations
from sessiond.mapping.parsing import parse
from sessiond.mapping.reading import ObjectReader, filler
from sessiond.mapping.showing import shower
from sessiond.mapping.spelling import header_of
from sessiond.v1.live_pb2 import MakeLinkRequest

# A free object may have 64 levels, and stands one level down in its request.
JSON_DEPTH = 65
KEY_HEADER = "Idempotency-Key"
KNOWN_HEADER = "If-None-Match"
NOT_UTF8 = "must be percent-encoded UTF-8"

_PARAMETER = re.compile(r"\{([a-z0-9_.]+)\}")


class _Asked(NamedTuple):
    """What a request asks for, what its caller has, and who can repeat it: the caller, or we."""

    request: Message
    known: Known
    has_key: bool
    repeatable: bool


class RestOperation:
    """Answers one route by calling its RPC.

    A change that comes without an operation id gets one here, so that repeating the call to
    another replica cannot do it twice.
    """

    def __init__(
        self,
        operation: Operation,
        call: Call,
        authenticator: Authenticator,
        *,
        body_bytes: int,
        body_seconds: float,
        new_id: Callable[[], str],
    ) -> None:
        self._operation = operation
        self._request_class = operation.request_class
        self._call = call
        self._authenticator = authenticator
        self._body_bytes = body_bytes
        self._body_seconds = body_seconds
        self._new_id = new_id
        self._in_path = [(field.name, field.json_name) for field in operation.path_fields]
        self._path_readers = {field.name: TextReader(field) for field in operation.path_fields}
        self._query = QueryReader(
            operation.request, [field.name for field in operation.query_fields]
        )
        self._headers = [
            (field.name, header_of(field), HEADERS[header_of(field)])
            for field in operation.header_fields
        ]
        self._key = next((name for name, header, _ in self._headers if header == KEY_HEADER), "")
        self._fill_body = self._body_filler()
        self._types = (
            (bodies.JSON, bodies.MERGE_PATCH) if operation.verb == "PATCH" else (bodies.JSON,)
        )
        self._show = shower(operation.rpc.output_type)
        if operation.response_body:
            inner = operation.rpc.output_type.fields_by_name[operation.response_body].message_type
            self._show = shower(inner)

    async def __call__(self, exchange: Exchange) -> Response:
        """Answer; raises the `SessiondError` that the request ends with."""
        exchange.call = await identify(
            self._authenticator, exchange.request.headers, exchange.request_id
        )
        with context.during(exchange.call):
            asked = await self._read(exchange)
            try:
                answer = await self._call(
                    asked.request, exchange.call.metadata(), repeatable=asked.repeatable
                )
            except OutcomeUnknown as unknown:
                if asked.has_key:
                    raise
                raise OutcomeUnknown(
                    "The change may or may not have been stored; look before you repeat it.",
                    retry_after=unknown.retry_after,
                ) from None
            except SessiondError as error:
                raise in_http_words(error, self._operation.request) from None
            return self._answer(answer, asked.known)

    async def _read(self, exchange: Exchange) -> _Asked:
        http = exchange.request
        body = await bodies.read_body(
            http.receive, http.headers, limit=self._body_bytes, seconds=self._body_seconds
        )
        if body and self._operation.body:
            bodies.check_type(http.headers, self._types)
        found = parse(body, depth=JSON_DEPTH)
        request, violations = self._request_class(), Violations()
        for name, shown in self._in_path:
            value = exchange.parameters[name]
            if value is None:
                violations.add(shown, NOT_UTF8)
            else:
                self._path_readers[name].fill(request, value, shown, violations)
        self._query.fill(request, http.scope["query_string"], violations)
        has_key = self._read_headers(request, http.headers, violations)
        known = self._known(http.headers, violations)
        self._fill_body(request, found, violations)
        violations.check()
        # A change of something that is there gets a key of ours, so that it may be repeated. What
        # is made under a key gets its id from it: without one, the id tells the time instead.
        own_key = bool(self._key and self._in_path) and not has_key
        if own_key:
            setattr(request, self._key, self._new_id())
        if isinstance(request, MakeLinkRequest) and not request.HasField("secret"):
            # As the key: another replica that is asked again makes the link with the same one.
            request.secret = secrets.token_urlsafe(32)
        repeatable = has_key or own_key or self._operation.reads
        return _Asked(request, known, has_key=has_key, repeatable=repeatable)

    def _read_headers(self, request: Message, headers: Headers, violations: Violations) -> bool:
        for name, header, read in self._headers:
            values = headers.getlist(header)
            if len(values) > 1:
                violations.add(header, "must be given once")
            elif values:
                value = read(values[0], header, violations)
                if value is not None:
                    setattr(request, name, value)
        return bool(self._key) and request.HasField(self._key)

    def _body_filler(self) -> Callable[[Message, dict[str, Any], Violations], None]:
        operation = self._operation
        if operation.body and operation.body != "*":
            field = operation.request.fields_by_name[operation.body]
            fill = filler(field)
            return lambda request, found, violations: fill(
                request, found, field.json_name, violations
            )
        # Without a body in the contract, an object may come, but nothing may stand in it.
        bound = (
            (*operation.path_fields, *operation.header_fields)
            if operation.body
            else operation.request.fields
        )
        return ObjectReader(operation.request, elsewhere={field.name for field in bound}).fill

    def _known(self, headers: Headers, violations: Violations) -> Known:
        values = headers.getlist(KNOWN_HEADER)
        if not (values and self._operation.reads and self._operation.etag):
            return Known()
        return known_tags(", ".join(values), KNOWN_HEADER, violations)

    def _answer(self, answer: Message, known: Known) -> Response:
        operation = self._operation
        headers: dict[str, str] = {}
        if operation.etag:
            headers["ETag"] = etag(int(_value(answer, operation.etag)))
            if headers["ETag"] in known:
                return Response(status_code=304, headers=headers)
        if operation.location:
            headers["Location"] = _PARAMETER.sub(
                lambda field: quote(str(_value(answer, field[1].split("."))), safe=""),
                operation.location,
            )
        if operation.status == 204:
            return Response(status_code=204, headers=headers)
        shown = getattr(answer, operation.response_body) if operation.response_body else answer
        return Response(
            orjson.dumps(self._show(shown)), operation.status, headers, media_type=bodies.JSON
        )


def _value(message: Message, path: Sequence[str]) -> Any:
    value: Any = message
    for name in path:
        value = getattr(value, name)
    return value
