"""Where the keys that tokens are checked with come from: a shared secret, a file, or a URL.

A source answers `find(kid, algorithm)`. It looks for new keys by itself: a file is read again
when it changed, a URL is fetched again when its answer is old, and both when a token names a key
that is not known. Keys that were good stay in use while a new set cannot be had.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

import httpx
import structlog
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, JWKRegistry, Key, OctKey, OKPKey, RSAKey

from services.serving import development
from sessiond.errors import Unavailable

Clock = Callable[[], float]

_log = structlog.get_logger(__name__)

SHARED_SECRET_ALGORITHMS = ("HS256", "HS384", "HS512")
PUBLIC_KEY_ALGORITHMS = (
    *("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"),
    *("ES256", "ES384", "ES512", "Ed25519"),
)
_KEY_TYPES: Mapping[str, type[Key]] = {
    "RS": RSAKey,
    "PS": RSAKey,
    "ES": ECKey,
    "Ed": OKPKey,
    "HS": OctKey,
}
_RSA_BITS = 2048


class KeySource(Protocol):
    """Finds the key that a token was signed with."""

    async def find(self, kid: str | None, algorithm: str) -> Key | None:
        """Return the key of that id which may be used with the algorithm; None if there is none.

        A token without a key id finds a key only where a single one suits its algorithm.
        """


class SharedSecret:
    """One secret for all tokens, of the HS256 family. Key ids are ignored."""

    def __init__(self, secret: bytes) -> None:
        self._key = OctKey.import_key(secret)

    @classmethod
    def from_file(cls, path: Path) -> SharedSecret:
        """Read the secret once; its final line break does not count."""
        return cls(path.read_bytes().rstrip(b"\r\n"))

    async def find(self, kid: str | None, algorithm: str) -> Key | None:
        """Return the secret, for the algorithms that use one."""
        return self._key if algorithm.startswith("HS") else None


class PublicKeys:
    """An immutable set of public signing keys."""

    def __init__(self, keys: tuple[Key, ...] = ()) -> None:
        self._keys = keys

    def __len__(self) -> int:
        return len(self._keys)

    def find(self, kid: str | None, algorithm: str) -> Key | None:
        """Return the key of that id which may be used with the algorithm; None if there is none."""
        kind = _KEY_TYPES.get(algorithm[:2])
        suitable = [
            key
            for key in self._keys
            if isinstance(key, kind or ()) and (key.get("alg") or algorithm) == algorithm
        ]
        if kid is None:
            return suitable[0] if len(suitable) == 1 else None
        return next((key for key in suitable if key.kid == kid), None)

    @classmethod
    def parse(cls, content: bytes, *, production: bool) -> PublicKeys:
        """Read a JSON Web Key Set.

        Left out: keys that are no public signing keys, that are damaged or too short, and in
        production those of development.

        Raises:
            ValueError: it is no key set, or no key is left.
        """
        try:
            document = json.loads(content)
        except RecursionError:
            raise ValueError("not a JSON Web Key Set") from None
        entries = document.get("keys") if isinstance(document, dict) else None
        if not isinstance(entries, list):
            raise ValueError("not a JSON Web Key Set")
        found = []
        for entry in entries:
            key = _public_key(entry)
            if key is None or (production and development.is_development_key_id(key.kid)):
                _log.warning("key left out")
            else:
                found.append(key)
        if not found:
            raise ValueError("no usable key in the set")
        return cls(tuple(found))


def _public_key(entry: Any) -> Key | None:
    # A set may hold kinds of keys that we do not know (RFC 7517, section 5): they are no error.
    if not isinstance(entry, dict) or entry.get("kty") not in ("RSA", "EC", "OKP"):
        return None
    if entry.get("use", "sig") != "sig":
        return None
    try:
        key = JWKRegistry.import_key(entry)
        if isinstance(key, RSAKey) and key.public_key.key_size < _RSA_BITS:
            return None
    except (JoseError, ValueError, TypeError, KeyError):
        return None
    return key


class KeyFile:
    """A key set in a file, read again when the file changed or a token names an unknown key.

    An unknown key makes us read it once a second at most: anyone can send one.
    """

    def __init__(self, path: Path, *, production: bool, clock: Clock = time.monotonic) -> None:
        self._path = path
        self._production = production
        self._clock = clock
        self._keys = PublicKeys()
        self._seen: tuple[int, int, int] | None = None
        self._read_at = float("-inf")

    async def find(self, kid: str | None, algorithm: str) -> Key | None:
        """Return the key, reading the file again where that could help."""
        if self._stamp() != self._seen:
            self._read()
        key = self._keys.find(kid, algorithm)
        if key is None and self._clock() - self._read_at >= 1.0:
            self._read()
            key = self._keys.find(kid, algorithm)
        return key

    def _stamp(self) -> tuple[int, int, int] | None:
        try:
            status = self._path.stat()
        except OSError:
            return self._seen
        return status.st_mtime_ns, status.st_size, status.st_ino

    def _read(self) -> None:
        self._read_at = self._clock()
        self._seen = self._stamp()
        try:
            self._keys = PublicKeys.parse(self._path.read_bytes(), production=self._production)
        except (OSError, ValueError) as error:
            _log.warning("key file not read; the last keys stay in use", error=type(error).__name__)


class KeyUrl:
    """A key set behind a URL.

    Fetched when first needed, when the last answer is older than `max_age` seconds, and when a
    token names an unknown key; never more than once in `pause` seconds, and by one request that
    all waiting calls share.
    """

    def __init__(
        self,
        url: str,
        client: httpx.AsyncClient,
        *,
        production: bool,
        clock: Clock = time.monotonic,
        pause: float = 10.0,
        max_age: float = 300.0,
    ) -> None:
        self._url = url
        self._client = client
        self._production = production
        self._clock = clock
        self._pause = pause
        self._max_age = max_age
        self._keys = PublicKeys()
        self._fetched_at = float("-inf")
        self._tried_at = float("-inf")
        self._fetching: asyncio.Task[None] | None = None

    async def find(self, kid: str | None, algorithm: str) -> Key | None:
        """Return the key, fetching the set again where that could help.

        Raises:
            Unavailable: no set could be had yet, so that no token can be judged.
        """
        key = self._keys.find(kid, algorithm)
        if key is None:
            await self._refresh()
            if not self._keys:
                raise Unavailable("Tokens cannot be checked at the moment; nothing was changed.")
            return self._keys.find(kid, algorithm)
        if self._clock() - self._fetched_at > self._max_age:
            self._start()  # nobody waits for it: the key at hand is good until told otherwise
        return key

    async def close(self) -> None:
        """Stop a fetch that is under way."""
        if self._fetching is not None:
            self._fetching.cancel()
            await asyncio.gather(self._fetching, return_exceptions=True)

    async def _refresh(self) -> None:
        fetching = self._start()
        if fetching is not None:
            # Shielded: a caller who gives up does not take the answer from the others.
            await asyncio.shield(fetching)

    def _start(self) -> asyncio.Task[None] | None:
        if self._fetching is not None and not self._fetching.done():
            return self._fetching
        if self._clock() - self._tried_at < self._pause:
            return None
        self._tried_at = self._clock()
        self._fetching = asyncio.create_task(self._fetch(), name="fetch keys")
        return self._fetching

    async def _fetch(self) -> None:
        try:
            answer = await self._client.get(self._url, timeout=5.0, follow_redirects=False)
            answer.raise_for_status()
            self._keys = PublicKeys.parse(answer.content, production=self._production)
            self._fetched_at = self._clock()
        except (httpx.HTTPError, ValueError) as error:
            _log.warning("keys not fetched; the last keys stay in use", error=type(error).__name__)
