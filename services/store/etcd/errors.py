"""Every way in which etcd fails, and the one place that reads etcd's words.

etcd tells failures apart by a gRPC code and a text; several share a code, so the text decides.
For a writer only one question matters, and the class answers it: `Refused` was certainly not
applied, `Ambiguous` may have been. What this module does not know is taken as ambiguous for a
write, so a text that a newer etcd changes can cost a repetition, never the truth.

These stay inside Store; callers of sessiond see the vocabulary of `sessiond.errors`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from grpc import StatusCode
from grpc.aio import AioRpcError


class EtcdError(Exception):
    """A call to etcd failed. The message is etcd's or gRPC's own text: for logs alone."""


class Refused(EtcdError):
    """The call changed nothing, and it never will."""


class Ambiguous(EtcdError):
    """The write may have been applied or not, or may still be applied."""


class Unavailable(Refused):
    """A read, or the login before any call, got no answer from any endpoint in its time."""


class Compacted(Refused):
    """The revision to read at is gone.

    Attributes:
        compact_revision: the oldest revision that is left, or 0 where etcd does not say.
    """

    def __init__(self, text: str, compact_revision: int = 0) -> None:
        self.compact_revision = compact_revision
        super().__init__(text)


class FutureRevision(Refused):
    """The revision to read at has not happened yet."""


class TooLarge(Refused):
    """The request is over etcd's limit (1.5 MiB as shipped)."""


class TooManyOperations(Refused):
    """The transaction holds more operations than etcd takes (128 as shipped)."""


class DuplicateKey(Refused):
    """The transaction writes one key twice, also by a put under a deleted range."""


class LeaseNotFound(Refused):
    """The lease is gone; a transaction that names it anywhere is refused whole."""


class InvalidRequest(Refused):
    """etcd does not take a request of this form."""


class Denied(Refused):
    """etcd does not know this client, or does not let it do this."""


class TokenRefused(Denied):
    """The call carried no token, or one that etcd does not know any more."""


class LoginFailed(Denied):
    """etcd does not take this client's name and password."""


class AuthDisabled(Refused):
    """etcd gives no tokens, for it asks nobody for one."""


class Overloaded(Refused):
    """etcd has too much to do, and took nothing of this."""


class WatchCancelled(Refused):
    """etcd ended the watch for a reason of its own, and would end it again."""


class NoSpace(Ambiguous):
    """The database is full. etcd may say so of a transaction that it has applied."""


class AnswerTooLarge(Ambiguous):
    """The answer is over what this client receives; the call itself was carried out."""


# A failure is known by its code and a part of its text. The first row that fits decides.
_KNOWN: Final[Sequence[tuple[StatusCode, str, type[EtcdError]]]] = (
    (StatusCode.OUT_OF_RANGE, "has been compacted", Compacted),
    (StatusCode.OUT_OF_RANGE, "future revision", FutureRevision),
    (StatusCode.OUT_OF_RANGE, "too large lease TTL", InvalidRequest),
    (StatusCode.NOT_FOUND, "lease not found", LeaseNotFound),
    (StatusCode.INVALID_ARGUMENT, "request is too large", TooLarge),
    # etcd's gRPC library says this; when our own says it, the sentence begins otherwise.
    (StatusCode.RESOURCE_EXHAUSTED, "grpc: received message larger than max", TooLarge),
    (StatusCode.RESOURCE_EXHAUSTED, "eceived message larger than max", AnswerTooLarge),
    (StatusCode.RESOURCE_EXHAUSTED, "database space exceeded", NoSpace),
    (StatusCode.RESOURCE_EXHAUSTED, "too many requests", Overloaded),
    (StatusCode.INVALID_ARGUMENT, "too many operations", TooManyOperations),
    (StatusCode.INVALID_ARGUMENT, "duplicate key", DuplicateKey),
    (StatusCode.INVALID_ARGUMENT, "authentication failed", LoginFailed),
    (StatusCode.INVALID_ARGUMENT, "user name is empty", TokenRefused),
    (StatusCode.INVALID_ARGUMENT, "revision of auth store is old", TokenRefused),
    (StatusCode.INVALID_ARGUMENT, "", InvalidRequest),
    (StatusCode.FAILED_PRECONDITION, "authentication is not enabled", AuthDisabled),
    (StatusCode.UNAUTHENTICATED, "invalid auth token", TokenRefused),
    (StatusCode.UNAUTHENTICATED, "", Denied),
    (StatusCode.PERMISSION_DENIED, "", Denied),
    (StatusCode.UNIMPLEMENTED, "", InvalidRequest),
)
# A cancelled watch carries the same words without a code.
_TOKEN_REFUSALS: Final = (
    "invalid auth token",
    "user name is empty",
    "revision of auth store is old",
)
# The endpoint is gone, cut off from its cluster, or hangs: another one may do better.
_TURNS: Final = frozenset({StatusCode.UNAVAILABLE, StatusCode.DEADLINE_EXCEEDED})


def endpoint_failed(error: AioRpcError) -> bool:
    """Return whether the failure speaks for trying another endpoint."""
    return error.code() in _TURNS


def token_refused(error: AioRpcError) -> bool:
    """Return whether the call did nothing for want of a token that etcd knows."""
    return isinstance(_known(error.code(), error.details() or ""), TokenRefused)


def of_write(error: AioRpcError) -> EtcdError:
    """Return what became of a write."""
    text = error.details() or ""
    return _known(error.code(), text) or Ambiguous(f"{error.code().name}: {text}")


def of_read(error: AioRpcError) -> EtcdError:
    """Return why a read has no answer."""
    text = error.details() or ""
    return _known(error.code(), text) or Unavailable(f"{error.code().name}: {text}")


def of_watch(error: AioRpcError) -> EtcdError | None:
    """Return what ends a watch for good, or None for what a new stream may mend."""
    return _known(error.code(), error.details() or "")


def of_cancelled_watch(reason: str, compact_revision: int) -> EtcdError:
    """Return why etcd cancelled a watch."""
    if compact_revision > 0:
        text = reason or f"the oldest revision left is {compact_revision}"
        return Compacted(text, compact_revision)
    if any(part in reason for part in _TOKEN_REFUSALS):
        return TokenRefused(reason)
    if "permission denied" in reason:
        return Denied(reason)
    return WatchCancelled(reason)


def _known(code: StatusCode, text: str) -> EtcdError | None:
    for known, part, kind in _KNOWN:
        if code is known and part in text:
            return kind(text)
    return None
