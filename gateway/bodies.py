"""Request bodies: of a type that we read, within a size and a time."""

from __future__ import annotations

import asyncio

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
