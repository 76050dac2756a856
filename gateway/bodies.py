"""Request bodies: of a type that we read, within a size and a time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect
from starlette.types import Receive

from sessiond.errors import InvalidArgument, PayloadTooLarge, UnsupportedMediaType

JSON = "application/json"
MERGE_PATCH = "application/merge-patch+json"


async def read_body(receive: Receive, headers: Headers, *, limit: int, seconds: float) -> bytes:
    """Return the body.

    Raises:
        PayloadTooLarge: it is longer than `limit` bytes; one that says so is not read at all.
        InvalidArgument: it did not arrive within `seconds`.
        ClientDisconnect: the client went away; there is nobody to answer.
    """
    if not has_body(headers):
        return b""
    if int(headers.get("content-length", "0")) > limit:
        raise PayloadTooLarge
    body = bytearray()
    try:
        async with asyncio.timeout(seconds):
            while True:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise ClientDisconnect
                body += message.get("body", b"")
                if len(body) > limit:
                    raise PayloadTooLarge
                if not message.get("more_body", False):
                    return bytes(body)
    except TimeoutError:
        raise InvalidArgument(detail=f"The body did not arrive within {seconds:g} s.") from None


async def body_chunks(
    receive: Receive, headers: Headers, *, limit: int, seconds: float
) -> AsyncGenerator[bytes, None]:
    """Yield a long body as it comes; `seconds` is how long the client may send nothing.

    It may raise as `read_body` does.
    """
    if int(headers.get("content-length", "0")) > limit:
        raise PayloadTooLarge
    size, more = 0, has_body(headers)
    while more:
        try:
            async with asyncio.timeout(seconds):
                message = await receive()
        except TimeoutError:
            raise InvalidArgument(detail=f"Nothing of the body came for {seconds:g} s.") from None
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        chunk = message.get("body", b"")
        size += len(chunk)
        if size > limit:
            raise PayloadTooLarge
        yield chunk
        more = message.get("more_body", False)


def has_body(headers: Headers) -> bool:
    """Return whether the request has a body to read. The server refuses malformed lengths."""
    return "transfer-encoding" in headers or headers.get("content-length", "0") != "0"


def check_type(headers: Headers, accepted: tuple[str, ...]) -> None:
    """Raise `UnsupportedMediaType` unless the body is of a type in `accepted`, and UTF-8."""
    media_type, *parameters = headers.get("content-type", "").split(";")
    wanted = " or ".join(accepted)
    if media_type.strip().lower() not in accepted:
        raise UnsupportedMediaType(f"The body must be {wanted}.")
    for parameter in parameters:
        name, _, value = parameter.strip().partition("=")
        if name.lower() == "charset" and value.strip('"').lower() not in ("utf-8", "utf8"):
            raise UnsupportedMediaType("The body must be in UTF-8.")
    if headers.get("content-encoding", "identity").lower() != "identity":
        raise UnsupportedMediaType("The body must not be compressed.")
