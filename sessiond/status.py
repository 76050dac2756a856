"""Failures as gRPC carries them: `to_status` at the server, `from_rpc_error` at the caller.

A status holds `google.rpc.ErrorInfo` (the name, in the domain `sessiond`, and its facts),
`BadRequest` where fields are bad, and `RetryInfo` where it is known when to come back. What has no
such details did not come from our code, but from gRPC or something between: then nobody can say
whether a change was stored.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Protocol

import grpc
from google.protobuf.message import DecodeError
from google.rpc import code_pb2, error_details_pb2, status_pb2

from sessiond.errors import (
    CARRIED,
    DeadlineExceeded,
    FieldViolation,
    Internal,
    InvalidArgument,
    OutcomeUnknown,
    PayloadTooLarge,
    PermissionDenied,
    RateLimited,
    RouteNotFound,
    SessiondError,
    Unauthenticated,
    Unavailable,
    named,
)

DOMAIN = "sessiond"
DETAILS_KEY = "grpc-status-details-bin"
"""The trailing metadata key that holds the status, serialised."""

# Metadata of a call has a limit of 8 KiB in all, and a status that breaks it is lost whole. So a
# request with very many bad fields hears of those that fit.
_VIOLATIONS_BYTES = 3072
_TEXT_CHARACTERS = 200
_DETAIL_CHARACTERS = 500

# gRPC says by its text alone who refused a message for its size. "CLIENT" is the caller, who then
# has lost an answer; "SERVER" did not read the request.
_ANSWER_TOO_LARGE = "CLIENT: Received message larger than max"
_TOO_LARGE = "larger than max"

_NOT_SENT = "failed to connect to all addresses"


class RpcFailure(Protocol):
    """What asyncio's and the synchronous RPC errors of gRPC have in common."""

    def code(self) -> grpc.StatusCode:
        """Return the status code."""

    def details(self) -> str | None:
        """Return the status message."""

    def trailing_metadata(self) -> Iterable[Any] | None:
        """Return pairs of key and value."""


def to_status(error: SessiondError) -> status_pb2.Status:
    """Return the status that carries the failure; `from_rpc_error` gives the failure back.

    The owner's address of a `SessionMoved` and the bad fields beyond 3 KiB do not travel.
    """
    status = status_pb2.Status(
        code=code_pb2.Code.Value(CARRIED[type(error)].grpc),
        message=_text(error.detail[:_DETAIL_CHARACTERS]),
    )
    facts = dict(error.facts())
    if error.retry_after is not None:
        facts["retry_after"] = f"{error.retry_after:g}"
    info = error_details_pb2.ErrorInfo(reason=error.reason, domain=DOMAIN, metadata=facts)
    status.details.add().Pack(info)
    if isinstance(error, InvalidArgument) and error.violations:
        status.details.add().Pack(_bad_request(error.violations))
    if error.retry_after is not None:
        retry = error_details_pb2.RetryInfo()
        retry.retry_delay.FromNanoseconds(round(error.retry_after * 1e9))
        status.details.add().Pack(retry)
    return status


def from_rpc_error(error: RpcFailure, *, mutating: bool) -> SessiondError:
    """Return the failure that an RPC ended with.

    `mutating` says whether the call was to change something: a broken connection then leaves the
    outcome unknown, while a read changed nothing either way.
    """
    told = _told(error.trailing_metadata() or ())
    return told if told is not None else _guessed(error, mutating=mutating)


def was_never_sent(error: RpcFailure) -> bool:
    """Return whether a call found no connection at all, so that nobody can have acted on it."""
    return error.code() is grpc.StatusCode.UNAVAILABLE and (error.details() or "").startswith(
        _NOT_SENT
    )


def _bad_request(violations: Iterable[FieldViolation]) -> error_details_pb2.BadRequest:
    bad = error_details_pb2.BadRequest()
    left = _VIOLATIONS_BYTES
    for field, message in violations:
        named, expected = field[:_TEXT_CHARACTERS], message[:_TEXT_CHARACTERS]
        left -= len(named.encode("utf-8", "replace")) + len(expected.encode("utf-8", "replace")) + 8
        if left < 0:
            break
        bad.field_violations.add(field=_text(named), description=_text(expected))
    return bad


def _text(text: str) -> str:
    # A field's name may come from a body whose JSON spelled a lone surrogate, which no proto holds.
    return text.encode("utf-8", "replace").decode()


def _told(metadata: Iterable[Any]) -> SessiondError | None:
    """Return the failure that our own code named, or None."""
    for key, value in metadata:
        if key == DETAILS_KEY and isinstance(value, bytes):
            try:
                return _failure_of(status_pb2.Status.FromString(value))
            except (DecodeError, ValueError):
                return None
    return None


def _failure_of(status: status_pb2.Status) -> SessiondError | None:
    info = error_details_pb2.ErrorInfo()
    bad = error_details_pb2.BadRequest()
    retry = error_details_pb2.RetryInfo()
    for detail in status.details:
        for kind in (info, bad, retry):
            if detail.Is(kind.DESCRIPTOR):
                detail.Unpack(kind)
    if info.domain != DOMAIN:
        return None
    retry_after = retry.retry_delay.ToNanoseconds() / 1e9 if retry.HasField("retry_delay") else None
    return named(
        info.reason,
        status.message,
        retry_after=retry_after,
        violations=[FieldViolation(each.field, each.description) for each in bad.field_violations],
        facts=info.metadata,
    )


def _guessed(error: RpcFailure, *, mutating: bool) -> SessiondError:
    """Return what a status without our details comes closest to."""
    code, text = error.code(), error.details() or ""
    match code:
        case grpc.StatusCode.INVALID_ARGUMENT | grpc.StatusCode.OUT_OF_RANGE:
            return InvalidArgument()
        case grpc.StatusCode.UNAUTHENTICATED:
            return Unauthenticated()
        case grpc.StatusCode.PERMISSION_DENIED:
            return PermissionDenied()
        case grpc.StatusCode.UNIMPLEMENTED:
            return RouteNotFound()
        case grpc.StatusCode.DEADLINE_EXCEEDED:
            return DeadlineExceeded()
        case grpc.StatusCode.RESOURCE_EXHAUSTED:
            if mutating and _ANSWER_TOO_LARGE in text:
                return OutcomeUnknown()
            return PayloadTooLarge() if _TOO_LARGE in text else RateLimited()
        case (
            grpc.StatusCode.UNAVAILABLE
            | grpc.StatusCode.CANCELLED
            | grpc.StatusCode.UNKNOWN
            | grpc.StatusCode.ABORTED
        ):
            lost = mutating and not was_never_sent(error)
            return OutcomeUnknown() if lost else Unavailable()
    return Internal()
