"""Who this client is to etcd, and the token that etcd gave it for that.

    no token --Authenticate--> token --refused: forgotten, expired, old--> Authenticate, again
                  |
                  +-- etcd asks nobody: no token is needed
                  +-- etcd does not take the password: not shown again for a while, another one is

A call that etcd refuses for its token has done nothing, so it is sent again with a fresh one. One
`Authenticate` is in flight at a time: etcd works for long on each. Who waited for it uses what it
brought.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeAlias

import structlog

from services.store.etcd.errors import AuthDisabled, LoginFailed, Unavailable
from services.store.etcd.etcd_pb2 import AuthenticateRequest, AuthenticateResponse

Metadata: TypeAlias = tuple[tuple[str, str], ...]
Authenticate: TypeAlias = Callable[[AuthenticateRequest, float], Awaitable[AuthenticateResponse]]

# In seconds. A refusal is not asked for again and again, and a mended password is found soon.
_PAUSE: Final = 5.0
_LOGIN_SECONDS: Final = 5.0

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Credentials:
    """A user of etcd.

    Attributes:
        user: the name.
        password_file: holds the password; read for each login, so it may change meanwhile.
    """

    user: str
    password_file: Path

    def password(self) -> str:
        """Return the password, without its final line break.

        Raises:
            LoginFailed: there is none.
        """
        try:
            return self.password_file.read_text("utf-8").rstrip("\r\n")
        except (OSError, ValueError) as error:
            raise LoginFailed("the password file cannot be read") from error


class Login:
    """Logs in when a token is missing or refused.

    Attributes:
        metadata: what every call carries now; None before the first login.
    """

    __slots__ = ("_authenticate", "_credentials", "_pause", "_refusal", "_running", "metadata")

    def __init__(
        self, credentials: Credentials, authenticate: Authenticate, *, pause: float = _PAUSE
    ) -> None:
        """Take how to reach etcd, and the seconds for which a refused password is not shown."""
        self._credentials = credentials
        self._authenticate = authenticate
        self._pause = pause
        self._refusal: _Refusal | None = None
        self._running: asyncio.Task[Metadata] | None = None
        self.metadata: Metadata | None = None

    async def fresh(self, refused: Metadata | None, seconds: float) -> Metadata:
        """Return what to send instead of what was refused, or for the first time.

        Whoever gives up meanwhile leaves the login to the next: a call may have less time than
        etcd needs to check a password.

        Raises:
            LoginFailed: etcd does not take the name and the password.
            Unavailable: it did not answer in time.
        """
        if self.metadata is not None and self.metadata != refused:
            return self.metadata
        if self._running is None:
            self._running = asyncio.create_task(self._log_in(), name="etcd login")
            self._running.add_done_callback(self._ran)
        try:
            async with asyncio.timeout(seconds):
                return await asyncio.shield(self._running)
        except TimeoutError as error:
            raise Unavailable("there was no time left to log in") from error

    async def close(self) -> None:
        """End a login that is under way."""
        if self._running is not None:
            self._running.cancel()
            await asyncio.wait((self._running,))

    def _ran(self, done: asyncio.Task[Metadata]) -> None:
        self._running = None
        if not done.cancelled():
            done.exception()  # has been looked at, also when who asked is gone

    async def _log_in(self) -> Metadata:
        password, now = self._credentials.password(), asyncio.get_running_loop().time()
        refusal = self._refusal
        if refusal is not None and refusal.password == password and now < refusal.until:
            raise LoginFailed(refusal.why)
        request = AuthenticateRequest(name=self._credentials.user, password=password)
        try:
            answer = await self._authenticate(request, _LOGIN_SECONDS)
        except AuthDisabled:
            _log.warning("etcd asks nobody for a password: authentication is not enabled")
            self._refusal, self.metadata = None, ()
            return self.metadata
        except LoginFailed as failure:
            if refusal is None:
                _log.error(
                    "etcd does not take the user name and password; trying again",
                    user=self._credentials.user,
                    every_seconds=self._pause,
                )
            self._refusal = _Refusal(password, str(failure), now + self._pause)
            raise
        if refusal is not None:
            _log.info("etcd takes the user name and password", user=self._credentials.user)
        self._refusal, self.metadata = None, (("token", answer.token),)
        return self.metadata


@dataclass(frozen=True, slots=True, repr=False)
class _Refusal:
    """A password that etcd did not take, and until when it is not shown again."""

    password: str
    why: str
    until: float
