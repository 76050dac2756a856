"""An identity provider for tests: keys, tokens as they should be, and tokens as they should not."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from joserfc import jwt
from joserfc.jwk import ECKey, Key, KeySet, OctKey, RSAKey

ISSUER = "https://id.example.com"
AUDIENCE = "sessiond"
SECRET = b"a secret of tests, and long enough"


class Clock:
    """A clock that stands still until a test moves it."""

    def __init__(self, now: float = 1_800_000_000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


class Provider:
    """Signs tokens with one RSA and one EC key, or with a shared secret."""

    def __init__(self, clock: Clock, *, prefix: str = "test-") -> None:
        self.clock = clock
        self.rsa = RSAKey.generate_key(2048, {"kid": prefix + "rsa", "use": "sig"})
        self.ec = ECKey.generate_key("P-256", {"kid": prefix + "ec", "alg": "ES256"})
        self.secret = OctKey.import_key(SECRET)

    def claims(self, **changes: Any) -> dict[str, Any]:
        """Return good claims for `alice` with changes; a change to None leaves the claim out."""
        now = int(self.clock())
        claims = {"iss": ISSUER, "aud": AUDIENCE, "sub": "alice", "exp": now + 600} | changes
        return {name: value for name, value in claims.items() if value is not None}

    def token(self, **changes: Any) -> str:
        """Return an ES256 token of `claims(**changes)`."""
        return self.signed(self.claims(**changes), self.ec, "ES256")

    def signed(self, claims: dict[str, Any], key: Key, algorithm: str, **header: Any) -> str:
        """Return a token of these claims; `kid` is the key's own unless the header says other."""
        kid = {} if key.kid is None else {"kid": key.kid}
        fields = {"alg": algorithm} | kid | header
        return jwt.encode(fields, claims, key, algorithms=[algorithm])

    def key_set(self, *keys: Key) -> bytes:
        """Return the public keys as JSON; both of them when none are named."""
        public = KeySet(list(keys or (self.rsa, self.ec))).as_dict(private=False)
        return json.dumps(public).encode()

    def write_keys(self, path: Path, *keys: Key) -> Path:
        """Write the public keys to a file."""
        path.write_bytes(self.key_set(*keys))
        return path
