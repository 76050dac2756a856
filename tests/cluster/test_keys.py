"""Development keys: made once, private, and good for verifying what they signed."""

from __future__ import annotations

import json
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from joserfc import jwt
from joserfc.errors import InvalidKeyIdError
from joserfc.jwk import KeySet

from cluster.keys import DAY, DevelopmentKeys

NOW = 1_800_000_000


def keys_in(folder: Path) -> DevelopmentKeys:
    return DevelopmentKeys(folder, now=lambda: NOW)


def claims_of(token: str, keys: DevelopmentKeys) -> dict[str, object]:
    public = KeySet.import_key_set(json.loads(keys.jwks.read_text()))
    return dict(jwt.decode(token, public, algorithms=["ES256"]).claims)


def test_a_user_token_verifies_with_the_published_keys(tmp_path: Path) -> None:
    """It has issuer, audience, subject and a day of life, and no role: a user."""
    keys = keys_in(tmp_path)
    assert claims_of(keys.user_token("a:/%2F"), keys) == {
        "iss": "sessiond-dev",
        "aud": "sessiond",
        "sub": "a:/%2F",
        "iat": NOW,
        "exp": NOW + DAY,
    }


def test_an_agent_token_names_its_agents(tmp_path: Path) -> None:
    """Role and agents are claims."""
    keys = keys_in(tmp_path)
    claims = claims_of(keys.user_token("worker", role="agent", agents=["assistant"]), keys)
    assert (claims["role"], claims["agents"]) == ("agent", ["assistant"])


@pytest.mark.parametrize(
    ("part", "role"), [("live", "live"), ("gateway", "gateway"), ("retention", "service")]
)
def test_a_part_has_an_identity_of_its_own(tmp_path: Path, part: str, role: str) -> None:
    """Its token file holds a token of the part's role."""
    keys = keys_in(tmp_path)
    claims = claims_of(keys.part_token_file(part).read_text(), keys)
    assert (claims["sub"], claims["role"]) == (part, role)


def test_keys_outlive_the_process(tmp_path: Path) -> None:
    """A token of yesterday's run verifies with today's keys."""
    token = keys_in(tmp_path).user_token("alice")
    assert claims_of(token, keys_in(tmp_path))["sub"] == "alice"


def test_other_keys_do_not_verify(tmp_path: Path) -> None:
    """Two installations do not trust each other."""
    token = keys_in(tmp_path / "one").user_token("alice")
    with pytest.raises(InvalidKeyIdError):
        claims_of(token, keys_in(tmp_path / "two"))


def test_the_key_says_that_it_is_for_development(tmp_path: Path) -> None:
    """Its id starts with `dev-`, by which production refuses it; the set holds no private part."""
    (key,) = json.loads(keys_in(tmp_path).jwks.read_text())["keys"]
    assert key["kid"].startswith("dev-")
    assert "d" not in key


def test_only_the_owner_reads_the_keys(tmp_path: Path) -> None:
    """Every file is 0600, and nothing half-made stays behind."""
    keys = keys_in(tmp_path / "keys")
    keys.part_token_file("live")
    files = {file.name: stat.S_IMODE(file.stat().st_mode) for file in (tmp_path / "keys").iterdir()}
    assert files == {"dev.pem": 0o600, "jwks.json": 0o600, "live.jwt": 0o600}


def test_makers_at_the_same_time_agree_on_one_key(tmp_path: Path) -> None:
    """`make token` beside a first `make run` does not sign with a key that is thrown away."""
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda _: keys_in(tmp_path), range(8)))
    assert all(claims_of(keys.user_token("alice"), made[0]) for keys in made)
