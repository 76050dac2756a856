"""Development tokens, signed here with the key that `make run` made.

Who can read the key's file is anybody they like, which is what development is. The names and the
key's id are those of the supervisor that makes the keys; a test holds the two together.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from joserfc import jwt
from joserfc.jwk import ECKey

from sessiond.cli.failures import CommandFailure
from sessiond.client.tokens import claims_of

ISSUER = "sessiond-dev"
AUDIENCE = "sessiond"
ALGORITHM = "ES256"
DAY = 24 * 3600


def keys_folder(environ: Mapping[str, str]) -> Path:
    """Return where `make run` keeps its keys."""
    return Path(environ.get("SESSIOND_DATA_DIR") or ".sessiond").resolve() / "keys"


def is_of_development(token: str) -> bool:
    """Return whether the token says that a development key signed it."""
    return claims_of(token).get("iss") == ISSUER


def development_token(
    folder: Path,
    user: str,
    *,
    now: float,
    role: str | None = None,
    agents: Sequence[str] = (),
) -> str:
    """Return a token for this user, good for a day from `now` (seconds since 1970).

    Raises:
        CommandFailure: there is no development key in the folder.
    """
    try:
        private = (folder / "dev.pem").read_bytes()
        (public,) = json.loads((folder / "jwks.json").read_bytes())["keys"]
        kid = public["kid"]
        key = ECKey.import_key(private, {"kid": kid, "alg": ALGORITHM, "use": "sig"})
    except (OSError, KeyError, ValueError):
        raise CommandFailure(
            f"there is no development key in {folder}: start `make run` there, name its folder "
            "with SESSIOND_DATA_DIR, or give a token with SESSIOND_TOKEN"
        ) from None
    claims: dict[str, object] = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": user,
        "iat": int(now),
        "exp": int(now) + DAY,
    }
    if role is not None:
        claims["role"] = role
    if agents:
        claims["agents"] = list(agents)
    return jwt.encode({"alg": ALGORITHM, "kid": kid}, claims, key, algorithms=[ALGORITHM])
