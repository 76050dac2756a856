"""How development keys are told from real ones: by name, so that production can refuse them.

Keys made at a first run have key ids that start with `dev-`; a shared secret made so starts with
`dev-secret-`. Both are marks against mistakes, not against attackers.
"""

from __future__ import annotations

import base64
import binascii
import json
from typing import Any

KEY_ID_MARK = "dev-"
SECRET_MARK = b"dev-secret-"


def is_development_key_id(kid: object) -> bool:
    """Return whether a key id (`kid`) is one of a development key."""
    return isinstance(kid, str) and kid.startswith(KEY_ID_MARK)


def is_development_secret(secret: bytes) -> bool:
    """Return whether a shared secret is a development secret."""
    return secret.lstrip().startswith(SECRET_MARK)


def is_key_set(content: bytes) -> bool:
    """Return whether the content has the form of a JSON Web Key Set with at least one key."""
    return bool(_keys(content))


def names_a_development_key(content: bytes) -> bool:
    """Return whether a JSON Web Key Set holds a development key."""
    return any(is_development_key_id(key.get("kid")) for key in _keys(content))


def is_development_token(token: bytes) -> bool:
    """Return whether a token's header names a development key."""
    header = token.split(b".", 1)[0]
    try:
        fields = json.loads(base64.urlsafe_b64decode(header + b"=" * (-len(header) % 4)))
    except (binascii.Error, ValueError):
        return False
    return isinstance(fields, dict) and is_development_key_id(fields.get("kid"))


def _keys(content: bytes) -> list[dict[str, Any]]:
    try:
        document = json.loads(content)
    except (ValueError, RecursionError):
        return []
    keys = document.get("keys") if isinstance(document, dict) else None
    return [key for key in keys if isinstance(key, dict)] if isinstance(keys, list) else []
