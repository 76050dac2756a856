"""Which tokens are accepted, and as whom."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from joserfc.jwk import ECKey, OctKey, RSAKey

from services.serving.auth import TOKEN_BYTES, Authenticator, bearer
from services.serving.keys import PublicKeys, SharedSecret
from sessiond.errors import Unauthenticated
from sessiond.session.access import Identity, Role
from tests.serving.tokens import AUDIENCE, ISSUER, SECRET, Clock, Provider


async def test_a_good_token_of_each_pinned_algorithm_names_its_subject(
    authenticator: Authenticator, provider: Provider, clock: Clock
) -> None:
    """`sub` becomes the identity, and the role is `user` where no role is claimed."""
    for key, algorithm in ((provider.ec, "ES256"), (provider.rsa, "RS256")):
        verified = await authenticator.verify(provider.signed(provider.claims(), key, algorithm))
        assert verified.identity == Identity("alice", Role.USER)
        assert verified.expires_at == clock.now + 600 + 5


async def test_an_agents_names_and_sessions_are_read(
    authenticator: Authenticator, provider: Provider
) -> None:
    """`agents` and `sessions` say where an agent may go."""
    token = provider.token(sub="w-1", role="agent", agents=["gtm", "pm"], sessions=["s1"])
    assert (await authenticator.verify(token)).identity == Identity(
        "w-1", Role.AGENT, agents=frozenset({"gtm", "pm"}), sessions=frozenset({"s1"})
    )


async def test_the_lists_of_an_agent_count_for_agents_alone(
    authenticator: Authenticator, provider: Provider
) -> None:
    """A user whose token carries agent names gains nothing by them."""
    token = provider.token(agents=["gtm"], sessions=["s1"])
    assert (await authenticator.verify(token)).identity == Identity("alice", Role.USER)


@pytest.mark.parametrize("role", list(Role))
async def test_every_role_can_be_claimed(
    authenticator: Authenticator, provider: Provider, role: Role
) -> None:
    """The `role` claim is one of our words."""
    verified = await authenticator.verify(provider.token(role=role.value))
    assert verified.identity.role is role


BAD_CLAIMS: dict[str, dict[str, Any]] = {
    "no issuer": {"iss": None},
    "another issuer": {"iss": "https://evil.example.com"},
    "a list of issuers": {"iss": [ISSUER]},
    "no audience": {"aud": None},
    "another audience": {"aud": "other"},
    "an empty list of audiences": {"aud": []},
    "a number as audience": {"aud": [1]},
    "no expiry": {"exp": None},
    "text as expiry": {"exp": "1900000000"},
    "true as expiry": {"exp": True},
    "NaN as expiry": {"exp": float("nan")},
    "infinity as expiry": {"exp": float("inf")},
    "an expiry that no float holds": {"exp": 10**400},
    "no subject": {"sub": None},
    "an empty subject": {"sub": ""},
    "a number as subject": {"sub": 7},
    "a subject of 129 bytes": {"sub": "a" * 129},
    "a subject of 130 bytes in 65 characters": {"sub": "ü" * 65},
    "a control character in the subject": {"sub": "al\x00ice"},
    "a C1 control character in the subject": {"sub": "al\x85ice"},
    "half a surrogate pair as subject": {"sub": "\ud800"},
    "an unknown role": {"role": "root"},
    "a role in capitals": {"role": "ADMIN"},
    "a list of roles": {"role": ["admin"]},
    "a number as role": {"role": 1},
    "an empty role": {"role": ""},
    "agents that are no list": {"role": "agent", "agents": "gtm"},
    "agents that are no text": {"role": "agent", "agents": [1]},
    "sessions that are a mapping": {"role": "agent", "sessions": {"s": 1}},
    "not yet valid": {"nbf": 1_800_000_006},
    "issued in the future": {"iat": 1_800_000_006},
    "text as issuing time": {"iat": "yesterday"},
}


@pytest.mark.parametrize("claims", BAD_CLAIMS.values(), ids=BAD_CLAIMS)
async def test_a_well_signed_token_with_bad_claims_is_refused(
    authenticator: Authenticator, provider: Provider, claims: dict[str, Any]
) -> None:
    """`iss`, `aud`, `exp` and `sub` are required; what is there must be right."""
    text = json.dumps(provider.claims(**claims))
    token = signed_text(provider, text)
    with pytest.raises(Unauthenticated):
        await authenticator.verify(token)


@pytest.mark.parametrize(
    "claims",
    [
        {"aud": ["other", AUDIENCE]},
        {"sub": "a" * 128},
        {"sub": "ü" * 64},
        {"sub": "a:b/c%2F.."},
        {"nbf": 1_800_000_005, "iat": 1_800_000_005},
        {"exp": 1_799_999_996},
        {"exp": 1_800_000_000.5},
        {"unknown": {"a": [1]}},
    ],
    ids=str,
)
async def test_a_token_at_the_edge_of_what_is_good_is_accepted(
    authenticator: Authenticator, provider: Provider, claims: dict[str, Any]
) -> None:
    """Clocks may differ by five seconds; ids may hold what addresses and paths hold."""
    verified = await authenticator.verify(provider.token(**claims))
    assert verified.identity.subject == claims.get("sub", "alice")


async def test_an_expired_token_is_told_so(
    authenticator: Authenticator, provider: Provider, clock: Clock
) -> None:
    """A client learns that it needs a fresh token."""
    token = provider.token()
    clock.now += 605
    with pytest.raises(Unauthenticated, match="expired"):
        await authenticator.verify(token)


def signed_text(provider: Provider, payload: str) -> str:
    """Sign a payload as it stands, which no library would write."""
    from joserfc import jws

    header = {"alg": "ES256", "kid": provider.ec.kid}
    return jws.serialize_compact(header, payload.encode(), provider.ec, algorithms=["ES256"])


def encoded(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


def _unsigned(provider: Provider, algorithm: str) -> str:
    return f"{encoded({'alg': algorithm, 'kid': 'test-ec'})}.{encoded(provider.claims())}."


def _public_key_as_secret(provider: Provider) -> str:
    pem = provider.rsa.as_pem(private=False)
    # Built by hand: joserfc itself refuses a PEM as a shared secret.
    import hashlib
    import hmac

    signing = f"{encoded({'alg': 'HS256', 'kid': 'test-rsa'})}.{encoded(provider.claims())}"
    mac = hmac.new(pem, signing.encode(), hashlib.sha256).digest()
    return f"{signing}.{base64.urlsafe_b64encode(mac).decode().rstrip('=')}"


def _own_key_in_header(provider: Provider) -> str:
    mine = ECKey.generate_key("P-256")
    return provider.signed(
        provider.claims(), mine, "ES256", kid="test-ec", jwk=mine.as_dict(private=False)
    )


ATTACKS: dict[str, Callable[[Provider], str]] = {
    "none": lambda p: _unsigned(p, "none"),
    "None": lambda p: _unsigned(p, "None"),
    "no signature": lambda p: _unsigned(p, "ES256"),
    "an empty algorithm": lambda p: _unsigned(p, ""),
    "the public key as a shared secret": _public_key_as_secret,
    "an algorithm that is not pinned": lambda p: p.signed(p.claims(), p.rsa, "PS256"),
    "another algorithm of the right family": lambda p: p.signed(p.claims(), p.rsa, "RS512"),
    "a stranger's key with our key's id": lambda p: p.signed(
        p.claims(), ECKey.generate_key("P-256"), "ES256", kid="test-ec"
    ),
    "its own key in the header": _own_key_in_header,
    "an unknown key id": lambda p: p.signed(p.claims(), p.ec, "ES256", kid="other"),
    "a key id of another kind of key": lambda p: p.signed(
        p.claims(), p.ec, "ES256", kid="test-rsa"
    ),
    "a key id that is no text": lambda p: (
        f"{encoded({'alg': 'ES256', 'kid': ['test-ec']})}.{encoded(p.claims())}.AAAA"
    ),
    "an algorithm that is no text": lambda p: (
        f"{encoded({'alg': ['ES256'], 'kid': 'test-ec'})}.{encoded(p.claims())}.AAAA"
    ),
    "a critical extension": lambda p: p.signed(p.claims(), p.ec, "ES256", crit=["b64"], b64=True),
    "changed claims": lambda p: _with_claims(p.token(), p.claims(role="admin")),
    "a list as claims": lambda p: signed_text(p, "[]"),
    "no JSON as claims": lambda p: signed_text(p, "sub=alice"),
    "claims nested beyond reading": lambda p: signed_text(p, "[" * 3000 + "]" * 3000),
    "no token at all": lambda p: "",
    "garbage": lambda p: "garbage",
    "dots": lambda p: "....",
    "text that is not ASCII": lambda p: "é.é.é",
    "a header that is no JSON": lambda p: "bm8.e30.AAAA",
    "a header that is a list": lambda p: f"{encoded([])}.e30.AAAA",
    "a header nested beyond reading": lambda p: (
        base64.urlsafe_b64encode(b"[" * 4000).decode().rstrip("=") + ".e30.AAAA"
    ),
    "an encrypted token": lambda p: f"{encoded({'alg': 'dir', 'enc': 'A256GCM'})}....",
    "too much": lambda p: p.token(filler="x" * TOKEN_BYTES),
    "a signature of another size": lambda p: p.token() + "AAAA",
}


def _with_claims(token: str, claims: dict[str, Any]) -> str:
    header, _, signature = token.split(".")
    return f"{header}.{encoded(claims)}.{signature}"


@pytest.mark.parametrize("attack", ATTACKS.values(), ids=ATTACKS)
async def test_a_forged_token_is_refused(
    authenticator: Authenticator, provider: Provider, attack: Callable[[Provider], str]
) -> None:
    """Whatever a stranger sends, the answer is `Unauthenticated`, and it says nothing more."""
    token = attack(provider)
    for _ in range(2):  # and what was refused is not remembered as good
        with pytest.raises(Unauthenticated) as refused:
            await authenticator.verify(token)
        assert refused.value.detail in ("The token is not valid.", "The token has expired.")
        assert refused.value.__cause__ is None


async def test_a_token_without_key_id_is_accepted_only_where_one_key_suits(
    authenticator: Authenticator, provider: Provider, clock: Clock
) -> None:
    """Which of two keys was meant would be a guess."""
    from joserfc import jwt

    token = jwt.encode({"alg": "ES256"}, provider.claims(), provider.ec, algorithms=["ES256"])
    assert (await authenticator.verify(token)).identity.subject == "alice"
    second = ECKey.generate_key("P-256", {"kid": "second"})
    keys = PublicKeys.parse(provider.key_set(provider.ec, second), production=False)
    assert keys.find(None, "ES256") is None


async def test_a_shared_secret_checks_its_own_family_alone(
    provider: Provider, clock: Clock
) -> None:
    """With a secret, HS256 is good, and another secret or an asymmetric token is not."""
    authenticator = Authenticator(
        SharedSecret(SECRET),
        issuer=ISSUER,
        audience=AUDIENCE,
        algorithms=("HS256",),
        clock=clock,
    )
    good = provider.signed(provider.claims(), provider.secret, "HS256")
    assert (await authenticator.verify(good)).identity.subject == "alice"
    stranger = OctKey.import_key(b"another secret that is long enough")
    for bad in (provider.signed(provider.claims(), stranger, "HS256"), provider.token()):
        with pytest.raises(Unauthenticated):
            await authenticator.verify(bad)


def test_an_authenticator_needs_its_algorithms_named() -> None:
    """An empty list must not come to mean the library's own choice, nor may `none` be chosen."""
    for algorithms in ((), ("none",)):
        with pytest.raises(ValueError, match="algorithms"):
            Authenticator(SharedSecret(SECRET), issuer="i", audience="a", algorithms=algorithms)


class CountedSecret(SharedSecret):
    """A secret that counts how often it was asked for."""

    def __init__(self) -> None:
        super().__init__(SECRET)
        self.asked = 0

    async def find(self, kid: str | None, algorithm: str) -> Any:
        self.asked += 1
        return await super().find(kid, algorithm)


async def test_a_token_is_verified_once_in_a_while_and_never_past_its_end(
    provider: Provider, clock: Clock
) -> None:
    """The hot path costs no signature; a withdrawn key is noticed within the half minute."""
    keys = CountedSecret()
    authenticator = Authenticator(
        keys,
        issuer=ISSUER,
        audience=AUDIENCE,
        algorithms=("HS256",),
        clock=clock,
        capacity=2,
    )

    def token(**changes: Any) -> str:
        return provider.signed(provider.claims(**changes), provider.secret, "HS256")

    alice = token()
    for _ in range(3):
        await authenticator.verify(alice)
    assert keys.asked == 1
    clock.now += 31
    await authenticator.verify(alice)
    assert keys.asked == 2

    ending = token(sub="bob", exp=int(clock.now) + 1)
    await authenticator.verify(ending)
    clock.now += 6
    assert authenticator.recall(ending) is None
    with pytest.raises(Unauthenticated, match="expired"):
        await authenticator.verify(ending)

    for name in ("carol", "dave", "erin"):
        await authenticator.verify(token(sub=name))
    assert authenticator.recall(alice) is None, "only two are remembered"
    assert authenticator.recall(token(sub="erin")) is not None


@pytest.mark.parametrize("header", [None, "", "Bearer", "Bearer ", "Basic YTpi", "abc"])
def test_a_header_without_a_bearer_token_is_no_login(header: str | None) -> None:
    """Only `Authorization: Bearer <token>` is read; the word's case does not matter."""
    with pytest.raises(Unauthenticated):
        bearer(header)
    assert bearer("bEaReR  abc ") == "abc"


def test_a_public_key_as_pem_is_what_the_attack_uses(provider: Provider) -> None:
    """The forged HS256 token is signed with the very public key, as an attacker would."""
    pem = provider.rsa.as_pem(private=False)
    loaded = serialization.load_pem_public_key(pem)
    assert loaded == RSAKey.import_key(pem).public_key
