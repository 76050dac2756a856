"""Whom a command asks, and as whom: from its options, and otherwise from the environment."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from sessiond.cli.development import development_token, is_of_development, keys_folder
from sessiond.cli.failures import CommandFailure
from sessiond.client.channels import Tls
from sessiond.client.client import Client
from sessiond.client.sync import SyncClient
from sessiond.client.tokens import subject_of

DEFAULT_USER = "alice"
LIVE_PORT, STORE_PORT = "7301", "7201"
"""The ports of `make run`; `SESSIOND_LIVE_PORT` and `SESSIOND_STORE_PORT` move them there too."""

_LOOPBACK = ("127.0.0.1", "localhost", "[::1]")


@dataclass(frozen=True)
class Connection:
    """An installation, and a caller.

    Without a token, and with all addresses on this machine, the caller is `user`, by a development
    token that is made as often as one is needed.
    """

    live: tuple[str, ...]
    store: tuple[str, ...]
    given_token: str | None
    user: str
    acting_for: str | None
    tls: Tls | None
    seconds: float
    environ: Mapping[str, str] = field(default_factory=lambda: os.environ)

    def token(self) -> str:
        """Return a bearer token.

        Raises:
            CommandFailure: there is none, and none can be made.
        """
        if self.given_token:
            return self.given_token
        elsewhere = [
            address
            for address in (*self.live, *self.store)
            if address.rpartition(":")[0] not in _LOOPBACK
        ]
        if elsewhere:
            raise CommandFailure(
                f"{elsewhere[0]} is not on this machine: give a token, by --token or SESSIOND_TOKEN"
            )
        return development_token(keys_folder(self.environ), self.user, now=time.time())

    @cached_property
    def me(self) -> str:
        """The user as whom the command speaks."""
        return self.acting_for or subject_of(self.token())

    @cached_property
    def in_development(self) -> bool:
        """Whether the caller is known by a development key, so that nobody's real work is here."""
        return is_of_development(self.token())

    @property
    def asked(self) -> str:
        """The addresses, for a failure to name."""
        return ", ".join(dict.fromkeys((*self.store, *self.live)))

    def client(self) -> Client:
        """Return an asynchronous client."""
        self.token()  # a failure of ours is told before anybody is asked
        return Client(
            live=self.live,
            store=self.store,
            token=self.given_token or self.token,
            acting_for=self.acting_for,
            tls=self.tls,
            deadline=self.seconds,
        )

    def sync_client(self) -> SyncClient:
        """Return a synchronous client."""
        self.token()
        return SyncClient(
            live=self.live,
            store=self.store,
            token=self.given_token or self.token,
            acting_for=self.acting_for,
            tls=self.tls,
            deadline=self.seconds,
        )


def addresses(given: str | None, port: str) -> tuple[str, ...]:
    """Return a comma list of addresses as a tuple; by default this machine, at the port."""
    found = tuple(part for part in (part.strip() for part in (given or "").split(",")) if part)
    return found or (f"127.0.0.1:{port}",)


def tls_of(*, tls: bool, ca: Path | None, cert: Path | None, key: Path | None) -> Tls | None:
    """Return how to speak; None is plainly.

    Raises:
        CommandFailure: a file cannot be read.
    """
    if not (tls or ca or cert or key):
        return None
    return Tls(ca=_read(ca), certificate=_read(cert), key=_read(key))


def _read(path: Path | None) -> bytes | None:
    try:
        return None if path is None else path.read_bytes()
    except OSError as failure:
        raise CommandFailure(f"{path}: {failure.strerror}") from None
