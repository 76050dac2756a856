"""Development identities: a key pair made at first run, and the tokens signed with it.

Never for production: a part refuses a key set whose key ids start with `dev-` there.
"""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Callable, Iterable
from pathlib import Path
from time import time

from joserfc import jwt
from joserfc.jwk import ECKey, KeySet

ISSUER = "sessiond-dev"
AUDIENCE = "sessiond"
ALGORITHM = "ES256"
KEY_ID_PREFIX = "dev-"
DAY = 24 * 3600
# Parts that run under `docker compose` are not given a new token until they are made anew.
PART_TOKEN_SECONDS = 365 * DAY
PARTS_WITH_IDENTITY = {"live": "live", "gateway": "gateway", "retention": "service"}
"""Our own parts that call others in their own name, and the role of each."""


def _write_private(path: Path, content: str) -> None:
    """Replace the file in one step; nobody but its owner can ever read it."""
    fresh = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(content)
    fresh.replace(path)


class DevelopmentKeys:
    """The keys in one folder: `dev.pem` (private), `jwks.json`, and one token file per own part.

    Made when they are not there; two processes that make them at the same time agree on one.
    """

    def __init__(self, folder: Path, *, now: Callable[[], float] = time) -> None:
        self.folder = folder
        self._now = now
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._key = self._load_or_make()
        self.jwks = folder / "jwks.json"
        public = json.dumps(KeySet([self._key]).as_dict(private=False), indent=2) + "\n"
        if not self.jwks.exists() or self.jwks.read_text() != public:
            _write_private(self.jwks, public)

    def user_token(
        self,
        user: str,
        *,
        role: str | None = None,
        agents: Iterable[str] = (),
        sessions: Iterable[str] = (),
        seconds: float = DAY,
    ) -> str:
        """Return a token for a person or a program that uses sessiond, good for `seconds`."""
        claims: dict[str, object] = {}
        if role is not None:
            claims["role"] = role
        if names := list(agents):
            claims["agents"] = names
        if ids := list(sessions):
            claims["sessions"] = ids
        return self._sign(user, claims, seconds)

    def part_token_file(self, part: str) -> Path:
        """Write a fresh token for one of our own parts (`live`, ...); return its file."""
        path = self.folder / f"{part}.jwt"
        role = PARTS_WITH_IDENTITY[part]
        _write_private(path, self._sign(part, {"role": role}, PART_TOKEN_SECONDS))
        return path

    def agent_token_file(self, agents: Iterable[str]) -> Path:
        """Write a fresh token for the example agent, which may speak as these; return its file."""
        path = self.folder / "agent.jwt"
        claims: dict[str, object] = {"role": "agent", "agents": sorted(agents)}
        _write_private(path, self._sign("example-agent", claims, PART_TOKEN_SECONDS))
        return path

    def _sign(self, subject: str, claims: dict[str, object], seconds: float) -> str:
        issued = int(self._now())
        return jwt.encode(
            {"alg": ALGORITHM, "kid": self._key.kid},
            {
                "iss": ISSUER,
                "aud": AUDIENCE,
                "sub": subject,
                "iat": issued,
                "exp": issued + int(seconds),
                **claims,
            },
            self._key,
            algorithms=[ALGORITHM],
        )

    def _load_or_make(self) -> ECKey:
        path = self.folder / "dev.pem"
        if not path.exists():
            made = ECKey.generate_key("P-256", private=True)
            candidate = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
            _write_private(candidate, made.as_pem(private=True).decode())
            try:
                # Unlike a rename, a link never replaces a key that another process made meanwhile.
                os.link(candidate, path)
            except FileExistsError:
                pass
            finally:
                candidate.unlink()
        plain = ECKey.import_key(path.read_bytes())
        kid = KEY_ID_PREFIX + plain.thumbprint()[:16]
        return ECKey.import_key(path.read_bytes(), {"kid": kid, "alg": ALGORITHM, "use": "sig"})
