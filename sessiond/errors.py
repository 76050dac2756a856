"""One vocabulary of failure.

An exception states a fact (`SessionNotFound`, `StaleRevision`); how that fact is carried over
gRPC, HTTP or a WebSocket is one row of `CARRIED`. A test walks the subclasses of `SessiondError`
and finds each of them there and in the `ErrorReason` enum of the protos.

Standard library only: the rules raise these, and the rules know no transport.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar, NamedTuple


class FieldViolation(NamedTuple):
    """One field that broke a rule: its path as the caller wrote it, and what was expected."""

    field: str
    message: str


class SessiondError(Exception):
    """A failure that a caller is told about, by a name that never changes.

    Attributes:
        reason: the name, `ErrorInfo.reason` in gRPC and `code` in problem+json.
        detail: one sentence for a person; never a key, an address or another exception's text.
        retry_after: seconds to wait before the same call may succeed, where that is known.
    """

    reason: ClassVar[str]
    default_detail: ClassVar[str]

    def __init__(self, detail: str | None = None, *, retry_after: float | None = None) -> None:
        self.detail = self.default_detail if detail is None else detail
        self.retry_after = retry_after
        super().__init__(self.detail)

    def facts(self) -> Mapping[str, str]:
        """Machine-readable facts beside the name: `ErrorInfo.metadata`."""
        return {}


class InvalidArgument(SessiondError):
    """The request breaks a rule of form; every bad field is named."""

    reason = "INVALID_ARGUMENT"
    default_detail = "The request is not valid."

    def __init__(
        self,
        violations: Sequence[FieldViolation] = (),
        detail: str | None = None,
    ) -> None:
        self.violations = tuple(violations)
        super().__init__(detail)

    @classmethod
    def of(cls, field: str, message: str) -> InvalidArgument:
        """Return the error for one bad field."""
        return cls([FieldViolation(field, message)])


class Unauthenticated(SessiondError):
    """There is no valid token."""

    reason = "UNAUTHENTICATED"
    default_detail = "A valid bearer token is required."


class PermissionDenied(SessiondError):
    """The caller is known and sees the thing, and may not do this to it."""

    reason = "PERMISSION_DENIED"
    default_detail = "You may not do this."


class SessionNotFound(SessiondError):
    """No such session, or not the caller's: the two look the same."""

    reason = "SESSION_NOT_FOUND"
    default_detail = "There is no such session."


class OutputNotFound(SessiondError):
    """The session has no output of that id."""

    reason = "OUTPUT_NOT_FOUND"
    default_detail = "The session has no such output."


class RouteNotFound(SessiondError):
    """No route has this path."""

    reason = "ROUTE_NOT_FOUND"
    default_detail = "There is nothing at this path."


class MethodNotAllowed(SessiondError):
    """The path exists, but not with this method."""

    reason = "METHOD_NOT_ALLOWED"
    default_detail = "This path does not take this method."


class UnsupportedMediaType(SessiondError):
    """The body is not of a type that this route reads."""

    reason = "UNSUPPORTED_MEDIA_TYPE"
    default_detail = "The body must be application/json."


class IdTaken(SessiondError):
    """The id is in use, or was deleted less than a day ago."""

    reason = "ID_TAKEN"
    default_detail = "This session id is not available."


class AlreadyDecided(SessiondError):
    """The output was decided the other way."""

    reason = "ALREADY_DECIDED"
    default_detail = "This output has already been decided differently."


class NothingPending(SessiondError):
    """The current step has no output that waits for a decision."""

    reason = "NOTHING_PENDING"
    default_detail = "The current step has no pending output."


class OutputPending(SessiondError):
    """The current step already has an output that waits for a decision."""

    reason = "OUTPUT_PENDING"
    default_detail = "The current step already has a pending output."


class SessionPaused(SessiondError):
    """A paused session takes no turns, outputs or decisions."""

    reason = "SESSION_PAUSED"
    default_detail = "The session is paused."


class SessionCompleted(SessiondError):
    """A completed session takes no outputs, decisions or pause."""

    reason = "SESSION_COMPLETED"
    default_detail = "The session is completed."


class TurnActive(SessiondError):
    """Another turn runs in the session."""

    reason = "TURN_ACTIVE"
    default_detail = "Another turn runs in this session."


class TurnNotFound(SessiondError):
    """No such turn runs, or this stream is not its worker's: it has to begin it first."""

    reason = "TURN_NOT_FOUND"
    default_detail = "No such turn of yours runs in this session."


class NotAttached(SessiondError):
    """The stream has not attached the session."""

    reason = "NOT_ATTACHED"
    default_detail = "Attach the session on this stream first."


class TooManyAttached(SessiondError):
    """The stream has attached as many sessions as one may."""

    reason = "TOO_MANY_ATTACHED"
    default_detail = "This stream has attached as many sessions as one may."


class StaleRevision(SessiondError):
    """The session has moved on since the revision that the caller expected."""

    reason = "STALE_REVISION"
    default_detail = "The session has changed since that revision."

    def __init__(self, revision: int) -> None:
        self.revision = revision
        super().__init__()

    def facts(self) -> Mapping[str, str]:
        """Name the revision that the session has now."""
        return {"revision": str(self.revision)}


class IdempotencyMismatch(SessiondError):
    """The operation id was used before, for another change."""

    reason = "IDEMPOTENCY_MISMATCH"
    default_detail = "This idempotency key was used for a different request."


class SessionFull(SessiondError):
    """The session has reached a limit on its whole size."""

    reason = "SESSION_FULL"
    default_detail = "The session has reached its limit."


class TooManySessions(SessiondError):
    """The user has reached the number of sessions that one user may have."""

    reason = "TOO_MANY_SESSIONS"
    default_detail = "This user has reached the number of sessions allowed."


class PayloadTooLarge(SessiondError):
    """The request is larger than any request may be."""

    reason = "PAYLOAD_TOO_LARGE"
    default_detail = "The request is too large."


class RateLimited(SessiondError):
    """Too many changes in too short a time."""

    reason = "RATE_LIMITED"
    default_detail = "Too many requests."


class PageTokenExpired(SessiondError):
    """The revision that the page token reads at is gone; start the listing again."""

    reason = "PAGE_TOKEN_EXPIRED"
    default_detail = "This page token has expired; start from the first page."


class SlowReader(SessiondError):
    """The client does not read as fast as things happen; it resumes by its cursor."""

    reason = "SLOW_READER"
    default_detail = "Events come faster than they are read; resume from the cursor."


class Draining(SessiondError):
    """This replica is about to stop; another one goes on."""

    reason = "DRAINING"
    default_detail = "This replica is about to stop; connect again."


class SessionMoved(SessiondError):
    """Another Live instance owns the session; nothing was done here."""

    reason = "SESSION_MOVED"
    default_detail = "The session is held elsewhere at the moment."

    def __init__(self, owner_address: str = "", *, retry_after: float | None = 1.0) -> None:
        self.owner_address = owner_address
        super().__init__(retry_after=retry_after)


class Unavailable(SessiondError):
    """The service cannot do this now, and nothing was changed."""

    reason = "UNAVAILABLE"
    default_detail = "The service is not available at the moment; nothing was changed."

    def __init__(self, detail: str | None = None, *, retry_after: float | None = 1.0) -> None:
        super().__init__(detail, retry_after=retry_after)


class OutcomeUnknown(SessiondError):
    """The change may or may not have been stored; the same operation id settles it."""

    reason = "OUTCOME_UNKNOWN"
    default_detail = (
        "The change may or may not have been stored; repeat it with the same idempotency key."
    )

    def __init__(self, detail: str | None = None, *, retry_after: float | None = 1.0) -> None:
        super().__init__(detail, retry_after=retry_after)


class DeadlineExceeded(SessiondError):
    """The time that the caller gave is over; a change may or may not have been stored."""

    reason = "DEADLINE_EXCEEDED"
    default_detail = "The request took longer than its deadline."


class LegalHold(SessiondError):
    """A legal hold keeps the session."""

    reason = "LEGAL_HOLD"
    default_detail = "A legal hold keeps this session."


class TemplateNotFound(SessiondError):
    """The user has no template of that name."""

    reason = "TEMPLATE_NOT_FOUND"
    default_detail = "There is no such template."


class TooManyTemplates(SessiondError):
    """The user has as many templates as one user may have."""

    reason = "TOO_MANY_TEMPLATES"
    default_detail = "This user has reached the number of templates allowed."


class TooManyShared(SessiondError):
    """As many sessions are shared with the user as may be; leaving one makes room."""

    reason = "TOO_MANY_SHARED"
    default_detail = "The number of sessions that may be shared with this user is reached."


class ErasureNotFound(SessiondError):
    """Nobody asked for this user's erasure."""

    reason = "ERASURE_NOT_FOUND"
    default_detail = "Nobody asked for this erasure."


class FontMissing(SessiondError):
    """No font here shows some characters of the session."""

    reason = "FONT_MISSING"
    default_detail = "No font of this installation shows some characters of the session."


class FormatUnavailable(SessiondError):
    """This installation does not export to that format."""

    reason = "FORMAT_UNAVAILABLE"
    default_detail = "This installation does not export to this format."


class Internal(SessiondError):
    """A fault of ours; a change may or may not have been stored."""

    reason = "INTERNAL"
    default_detail = "Something went wrong on our side."


class Carriage(NamedTuple):
    """How one failure travels.

    `close` is the WebSocket close code: see `COME_BACK`.
    """

    grpc: str
    http: int
    close: int
    retryable: bool
    title: str


CARRIED: Mapping[type[SessiondError], Carriage] = {
    InvalidArgument: Carriage("INVALID_ARGUMENT", 400, 4500, False, "Invalid request"),
    Unauthenticated: Carriage("UNAUTHENTICATED", 401, 4501, False, "Authentication required"),
    PermissionDenied: Carriage("PERMISSION_DENIED", 403, 4503, False, "Not allowed"),
    SessionNotFound: Carriage("NOT_FOUND", 404, 4504, False, "Session not found"),
    OutputNotFound: Carriage("NOT_FOUND", 404, 4505, False, "Output not found"),
    RouteNotFound: Carriage("UNIMPLEMENTED", 404, 4506, False, "Nothing here"),
    MethodNotAllowed: Carriage("UNIMPLEMENTED", 405, 4507, False, "Method not allowed"),
    UnsupportedMediaType: Carriage("INVALID_ARGUMENT", 415, 4508, False, "Unsupported media type"),
    IdTaken: Carriage("ALREADY_EXISTS", 409, 4509, False, "Id not available"),
    AlreadyDecided: Carriage("FAILED_PRECONDITION", 409, 4510, False, "Already decided"),
    NothingPending: Carriage("FAILED_PRECONDITION", 409, 4511, False, "Nothing pending"),
    OutputPending: Carriage("FAILED_PRECONDITION", 409, 4512, False, "Output pending"),
    SessionPaused: Carriage("FAILED_PRECONDITION", 409, 4513, False, "Session paused"),
    SessionCompleted: Carriage("FAILED_PRECONDITION", 409, 4514, False, "Session completed"),
    StaleRevision: Carriage("ABORTED", 412, 4515, False, "Stale revision"),
    IdempotencyMismatch: Carriage("FAILED_PRECONDITION", 422, 4516, False, "Idempotency mismatch"),
    SessionFull: Carriage("RESOURCE_EXHAUSTED", 413, 4517, False, "Session full"),
    TooManySessions: Carriage("RESOURCE_EXHAUSTED", 429, 4518, False, "Too many sessions"),
    PayloadTooLarge: Carriage("RESOURCE_EXHAUSTED", 413, 4519, False, "Request too large"),
    PageTokenExpired: Carriage("FAILED_PRECONDITION", 410, 4520, False, "Page token expired"),
    TurnActive: Carriage("FAILED_PRECONDITION", 409, 4521, False, "Turn active"),
    TurnNotFound: Carriage("NOT_FOUND", 404, 4522, False, "Turn not found"),
    NotAttached: Carriage("FAILED_PRECONDITION", 409, 4523, False, "Not attached"),
    TooManyAttached: Carriage("RESOURCE_EXHAUSTED", 429, 4524, False, "Too many attached"),
    LegalHold: Carriage("FAILED_PRECONDITION", 409, 4525, False, "Legal hold"),
    TemplateNotFound: Carriage("NOT_FOUND", 404, 4526, False, "Template not found"),
    TooManyTemplates: Carriage("RESOURCE_EXHAUSTED", 429, 4527, False, "Too many templates"),
    ErasureNotFound: Carriage("NOT_FOUND", 404, 4528, False, "Erasure not found"),
    FontMissing: Carriage("FAILED_PRECONDITION", 422, 4529, False, "Font missing"),
    FormatUnavailable: Carriage("FAILED_PRECONDITION", 422, 4530, False, "Format not available"),
    TooManyShared: Carriage("RESOURCE_EXHAUSTED", 429, 4531, False, "Too many shared"),
    RateLimited: Carriage("RESOURCE_EXHAUSTED", 429, 4001, True, "Too many requests"),
    SessionMoved: Carriage("UNAVAILABLE", 503, 4002, True, "Session moved"),
    Unavailable: Carriage("UNAVAILABLE", 503, 4003, True, "Service unavailable"),
    OutcomeUnknown: Carriage("UNAVAILABLE", 503, 4004, True, "Outcome unknown"),
    DeadlineExceeded: Carriage("DEADLINE_EXCEEDED", 504, 4005, True, "Deadline exceeded"),
    SlowReader: Carriage("UNAVAILABLE", 503, 4007, True, "Slow reader"),
    Draining: Carriage("UNAVAILABLE", 503, 4008, True, "Draining"),
    Internal: Carriage("INTERNAL", 500, 4006, False, "Internal error"),
}

BY_REASON: Mapping[str, type[SessiondError]] = {failure.reason: failure for failure in CARRIED}

COME_BACK = range(4000, 4500)
"""The close codes that say "come back and resume"; those from 4500 to 4999 say "do not"."""


def comes_back(error: SessiondError) -> bool:
    """Return whether one who was sent away by this failure shall come back."""
    return CARRIED[type(error)].close in COME_BACK


def named(
    reason: str,
    detail: str = "",
    *,
    retry_after: float | None = None,
    violations: Sequence[FieldViolation] = (),
    facts: Mapping[str, str] | None = None,
) -> SessiondError:
    """Return the failure of this name, as it was told; `Internal` for a newer server's name.

    `facts` are those of `SessiondError.facts`.
    """
    kind = BY_REASON.get(reason)
    sentence = detail or None
    if kind is None:
        return Internal(sentence)  # its sentence is all that we can give
    if kind is StaleRevision:
        revision = (facts or {}).get("revision", "")
        return StaleRevision(int(revision) if revision.isdigit() else 0)
    if kind is SessionMoved:
        return SessionMoved(retry_after=retry_after)
    if kind is InvalidArgument:
        return InvalidArgument(violations, sentence)
    return kind(sentence, retry_after=retry_after)


class Violations:
    """Collects every bad field of a request, so that the caller hears of all of them at once."""

    __slots__ = ("found",)

    def __init__(self) -> None:
        self.found: list[FieldViolation] = []

    def add(self, field: str, message: str) -> None:
        """Remember one bad field."""
        self.found.append(FieldViolation(field, message))

    def check(self) -> None:
        """Raise `InvalidArgument` with all bad fields, if there are any."""
        if self.found:
            raise InvalidArgument(self.found)
