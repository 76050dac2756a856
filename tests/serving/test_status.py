"""Failures survive the way over gRPC."""

from __future__ import annotations

import pytest
from google.rpc import error_details_pb2, status_pb2
from grpc import StatusCode

from sessiond.errors import (
    BY_REASON,
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
    SessionMoved,
    StaleRevision,
    Unauthenticated,
    Unavailable,
)
from sessiond.status import DETAILS_KEY, DOMAIN, from_rpc_error, to_status


class Failed:
    """What an RPC raises, as far as it is read."""

    def __init__(
        self, code: StatusCode, details: str | None = "", *metadata: tuple[str, str | bytes]
    ) -> None:
        self._code, self._details, self._metadata = code, details, metadata

    def code(self) -> StatusCode:
        return self._code

    def details(self) -> str | None:
        return self._details

    def trailing_metadata(self) -> tuple[tuple[str, str | bytes], ...]:
        return self._metadata


def carried(status: status_pb2.Status) -> Failed:
    code = next(code for code in StatusCode if code.value[0] == status.code)
    return Failed(code, status.message, ("x", "y"), (DETAILS_KEY, status.SerializeToString()))


def example(kind: type[SessiondError]) -> SessiondError:
    if kind is StaleRevision:
        return StaleRevision(41)
    if kind is SessionMoved:
        return SessionMoved("10.0.0.7:7301", retry_after=0.25)
    if kind is InvalidArgument:
        return InvalidArgument([FieldViolation("title", "is too long"), FieldViolation("ü", "")])
    return kind("One sentence, with an ü.", retry_after=1.5)


@pytest.mark.parametrize("kind", CARRIED, ids=lambda kind: str(kind.reason))
def test_every_failure_comes_back_as_what_it_was(kind: type[SessiondError]) -> None:
    """Name, sentence, facts, bad fields and when to come back; never an address."""
    sent = example(kind)
    status = to_status(sent)
    assert b"10.0.0.7" not in status.SerializeToString()
    for mutating in (True, False):
        came = from_rpc_error(carried(status), mutating=mutating)
        assert type(came) is kind
        assert came.detail == sent.detail
        assert came.retry_after == sent.retry_after
        assert came.facts() == sent.facts()
        if isinstance(sent, InvalidArgument) and isinstance(came, InvalidArgument):
            assert came.violations == sent.violations


def test_the_status_is_readable_without_our_library() -> None:
    """ErrorInfo, BadRequest and RetryInfo are what any gRPC client knows."""
    status = to_status(Unavailable(retry_after=2.0))
    info, retry = error_details_pb2.ErrorInfo(), error_details_pb2.RetryInfo()
    assert status.details[0].Unpack(info)
    assert status.details[1].Unpack(retry)
    assert (info.reason, info.domain, dict(info.metadata)) == (
        "UNAVAILABLE",
        "sessiond",
        {"retry_after": "2"},
    )
    assert retry.retry_delay.seconds == 2


def test_very_many_bad_fields_are_cut_to_what_metadata_can_carry() -> None:
    """A status that breaks the limit on metadata would be lost whole."""
    many = [FieldViolation(f"field-{n}" + "é" * 500, "must not be there" * 50) for n in range(5000)]
    status = to_status(InvalidArgument(many, "long " * 1000))
    assert len(status.SerializeToString()) < 4096
    came = from_rpc_error(carried(status), mutating=True)
    assert isinstance(came, InvalidArgument)
    assert came.violations


def test_a_field_name_that_utf8_cannot_hold_does_not_lose_the_status() -> None:
    """JSON can spell half a surrogate pair, as a key too."""
    status = to_status(InvalidArgument.of("\ud800", "is unknown"))
    came = from_rpc_error(carried(status), mutating=True)
    assert isinstance(came, InvalidArgument)
    assert came.violations == (FieldViolation("?", "is unknown"),)


@pytest.mark.parametrize(
    ("code", "text", "read", "change"),
    [
        (StatusCode.UNAVAILABLE, "Socket closed", Unavailable, OutcomeUnknown),
        # Never sent, so never acted on.
        (StatusCode.UNAVAILABLE, "failed to connect to all addresses; x", Unavailable, Unavailable),
        (StatusCode.CANCELLED, "", Unavailable, OutcomeUnknown),
        (StatusCode.UNKNOWN, "", Unavailable, OutcomeUnknown),
        (StatusCode.ABORTED, "", Unavailable, OutcomeUnknown),
        (StatusCode.DEADLINE_EXCEEDED, "", DeadlineExceeded, DeadlineExceeded),
        (StatusCode.INTERNAL, "", Internal, Internal),
        (StatusCode.DATA_LOSS, "", Internal, Internal),
        (StatusCode.NOT_FOUND, "", Internal, Internal),
        (StatusCode.INVALID_ARGUMENT, "", InvalidArgument, InvalidArgument),
        (StatusCode.OUT_OF_RANGE, "", InvalidArgument, InvalidArgument),
        (StatusCode.UNAUTHENTICATED, "", Unauthenticated, Unauthenticated),
        (StatusCode.PERMISSION_DENIED, "", PermissionDenied, PermissionDenied),
        (StatusCode.UNIMPLEMENTED, "Method not found!", RouteNotFound, RouteNotFound),
        (
            StatusCode.RESOURCE_EXHAUSTED,
            "CLIENT: Received message larger than max (9 vs. 4)",
            PayloadTooLarge,
            OutcomeUnknown,
        ),
        (
            StatusCode.RESOURCE_EXHAUSTED,
            "SERVER: Received message larger than max (9 vs. 4)",
            PayloadTooLarge,
            PayloadTooLarge,
        ),
        (StatusCode.RESOURCE_EXHAUSTED, "Concurrent RPC limit", RateLimited, RateLimited),
    ],
)
def test_without_our_details_nobody_claims_to_know_the_outcome(
    code: StatusCode, text: str, read: type[SessiondError], change: type[SessiondError]
) -> None:
    """A broken connection leaves a change unknown; a read changed nothing either way."""
    assert type(from_rpc_error(Failed(code, text), mutating=False)) is read
    assert type(from_rpc_error(Failed(code, text), mutating=True)) is change
    assert type(from_rpc_error(Failed(code, None), mutating=False)) in (read, RateLimited)


@pytest.mark.parametrize("value", [b"\xff\xff", b"", "text"], ids=["damaged", "empty", "text"])
def test_damaged_details_count_as_none(value: str | bytes) -> None:
    """What came between may have broken them."""
    failed = Failed(StatusCode.UNAVAILABLE, "", (DETAILS_KEY, value))
    assert type(from_rpc_error(failed, mutating=True)) is OutcomeUnknown


def test_another_domains_details_are_not_ours() -> None:
    """A proxy may speak of its own UNAVAILABLE."""
    status = status_pb2.Status(code=14)
    status.details.add().Pack(error_details_pb2.ErrorInfo(reason="INTERNAL", domain="proxy"))
    assert type(from_rpc_error(carried(status), mutating=True)) is OutcomeUnknown


def test_a_newer_servers_failure_keeps_its_sentence() -> None:
    """An old client meets a name that it does not know."""
    status = status_pb2.Status(code=9, message="The turn is over.")
    status.details.add().Pack(error_details_pb2.ErrorInfo(reason="TURN_OVER", domain=DOMAIN))
    came = from_rpc_error(carried(status), mutating=True)
    assert type(came) is Internal
    assert came.detail == "The turn is over."
    assert "TURN_OVER" not in BY_REASON


def test_a_damaged_fact_is_no_crash() -> None:
    """Facts are text from the other side."""
    status = status_pb2.Status(code=10)
    info = error_details_pb2.ErrorInfo(
        reason="STALE_REVISION", domain=DOMAIN, metadata={"revision": "x"}
    )
    status.details.add().Pack(info)
    came = from_rpc_error(carried(status), mutating=True)
    assert isinstance(came, StaleRevision)
    assert came.revision == 0
