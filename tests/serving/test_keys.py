"""Keys are renewed while parts run, from files and from URLs."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from joserfc.jwk import ECKey, OctKey, RSAKey
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from services.serving.addresses import HostPort
from services.serving.health import Health
from services.serving.keys import KeyFile, KeyUrl, PublicKeys
from services.serving.web import serving_http
from sessiond.errors import Unavailable
from tests.serving.tokens import Clock, Provider


def write(path: Path, content: bytes | None, *, time_ns: int | None = None) -> None:
    """Overwrite in place, or remove for None; with `time_ns`, as if it had been then."""
    if content is None:
        path.unlink()
    else:
        path.write_bytes(content)
    if time_ns is not None:
        os.utime(path, ns=(time_ns, time_ns))


def new_key(kid: str) -> ECKey:
    return ECKey.generate_key("P-256", {"kid": kid})


async def test_a_changed_file_is_read_again(provider: Provider, jwks: Path, clock: Clock) -> None:
    """A new key is good and an old one void at the next look, without a restart."""
    keys = KeyFile(jwks, production=False, clock=clock)
    assert await keys.find("test-ec", "ES256") is not None
    provider.write_keys(jwks, new_key("next"))
    assert await keys.find("next", "ES256") is not None
    assert await keys.find("test-ec", "ES256") is None


async def test_an_unknown_key_makes_the_file_be_read_again(
    provider: Provider, jwks: Path, clock: Clock
) -> None:
    """A change that the file's time does not show is found too, a second apart at most."""
    old, new = new_key("aaaa"), new_key("bbbb")
    write(jwks, provider.key_set(old), time_ns=1)
    keys = KeyFile(jwks, production=False, clock=clock)
    assert await keys.find("aaaa", "ES256") is not None
    write(jwks, provider.key_set(new), time_ns=1)  # the same file, size and time
    assert await keys.find("bbbb", "ES256") is None
    clock.now += 1
    assert await keys.find("bbbb", "ES256") is not None


@pytest.mark.parametrize("content", [None, b"", b"{}", b'{"keys": []}', b"[" * 100_000])
async def test_keys_stay_in_use_while_the_file_is_no_good(
    jwks: Path, clock: Clock, content: bytes | None
) -> None:
    """A file that is missing or half written locks nobody out."""
    keys = KeyFile(jwks, production=False, clock=clock)
    assert await keys.find("test-ec", "ES256") is not None
    write(jwks, content)
    assert await keys.find("test-ec", "ES256") is not None
    assert await keys.find("unknown", "ES256") is None


def test_only_public_signing_keys_are_taken_from_a_set(provider: Provider) -> None:
    """Secrets, encryption keys, short, damaged and unheard-of keys are left out one by one."""
    good = provider.ec.as_dict(private=False)
    entries = [
        OctKey.generate_key(256, {"kid": "secret"}).as_dict(),
        {**provider.rsa.as_dict(private=False), "kid": "for-encryption", "use": "enc"},
        {"kty": "AKP", "kid": "of-tomorrow"},
        {"kty": "EC", "kid": "damaged", "crv": "P-256", "x": "AA"},
        {"kty": "EC", "kid": "no-curve"},
        "text",
        good,
    ]
    keys = PublicKeys.parse(json.dumps({"keys": entries}).encode(), production=False)
    assert len(keys) == 1
    assert keys.find("test-ec", "ES256") is not None
    assert keys.find("secret", "HS256") is None


@pytest.mark.filterwarnings("ignore::joserfc.errors.SecurityWarning")
def test_a_short_rsa_key_is_no_key(provider: Provider) -> None:
    """Below 2048 bits, RSA protects nothing."""
    short = RSAKey.generate_key(1024, {"kid": "short"})
    with pytest.raises(ValueError, match="no usable key"):
        PublicKeys.parse(provider.key_set(short), production=False)


def test_development_keys_are_left_out_in_production() -> None:
    """Also where they come by URL, or into a file while the part runs."""
    content = Provider(Clock(), prefix="dev-").key_set()
    assert len(PublicKeys.parse(content, production=False)) == 2
    with pytest.raises(ValueError, match="no usable key"):
        PublicKeys.parse(content, production=True)


class KeyServer:
    """Serves a key set over HTTP; counts requests, and can hold them up or fail them."""

    def __init__(self, content: bytes) -> None:
        self.content = content
        self.status = 200
        self.requests = 0
        self.open = asyncio.Event()
        self.open.set()
        self.arrived = asyncio.Event()
        self.url = ""

    async def answer(self, request: Request) -> Response:
        self.requests += 1
        self.arrived.set()
        await self.open.wait()
        return Response(self.content, self.status, media_type="application/json")


@pytest.fixture
async def key_server(provider: Provider) -> AsyncIterator[KeyServer]:
    """A key server on loopback."""
    server = KeyServer(provider.key_set())
    app = Starlette(routes=[Route("/keys", server.answer)])
    async with serving_http(app, HostPort("127.0.0.1", 0), Health()) as address:
        server.url = f"http://{address}/keys"
        yield server


@pytest.fixture
async def by_url(key_server: KeyServer, clock: Clock) -> AsyncIterator[KeyUrl]:
    """Keys from that server."""
    async with httpx.AsyncClient() as client:
        keys = KeyUrl(key_server.url, client, production=False, clock=clock)
        yield keys
        await keys.close()


async def test_waiting_calls_share_one_fetch(key_server: KeyServer, by_url: KeyUrl) -> None:
    """A thousand first calls are one request to the identity provider."""
    key_server.open.clear()
    calls = [asyncio.create_task(by_url.find("test-ec", "ES256")) for _ in range(50)]
    await asyncio.wait_for(key_server.arrived.wait(), 5)
    calls[0].cancel()  # and one that gives up does not take it from the others
    key_server.open.set()
    found = await asyncio.gather(*calls, return_exceptions=True)
    assert isinstance(found[0], asyncio.CancelledError)
    assert all(isinstance(key, ECKey) for key in found[1:])
    assert key_server.requests == 1


async def test_unknown_keys_cause_a_fetch_every_ten_seconds_at_most(
    provider: Provider, key_server: KeyServer, by_url: KeyUrl, clock: Clock
) -> None:
    """A new key is found; strangers who invent key ids do not make us hammer the provider."""
    await by_url.find("test-ec", "ES256")
    key_server.content = provider.key_set(new_key("next"))
    for number in range(20):
        assert await by_url.find(f"invented-{number}", "ES256") is None
    assert key_server.requests == 1
    clock.now += 10
    assert await by_url.find("next", "ES256") is not None
    assert await by_url.find("test-ec", "ES256") is None
    assert key_server.requests == 2


@pytest.mark.parametrize(("status", "content"), [(500, b""), (200, b"no JSON"), (302, b"")])
async def test_keys_stay_in_use_while_a_fetch_fails(
    key_server: KeyServer, by_url: KeyUrl, clock: Clock, status: int, content: bytes
) -> None:
    """An identity provider's bad hour is not ours."""
    await by_url.find("test-ec", "ES256")
    key_server.status, key_server.content = status, content
    clock.now += 10
    assert await by_url.find("unknown", "ES256") is None
    assert key_server.requests == 2
    assert await by_url.find("test-ec", "ES256") is not None


async def test_old_keys_are_fetched_again_while_they_serve(
    provider: Provider, key_server: KeyServer, by_url: KeyUrl, clock: Clock
) -> None:
    """A withdrawn key is noticed without a token that names an unknown one; nobody waits."""
    await by_url.find("test-ec", "ES256")
    key_server.content = provider.key_set(new_key("next"))
    key_server.arrived.clear()
    clock.now += 301
    assert await by_url.find("test-ec", "ES256") is not None
    await asyncio.wait_for(key_server.arrived.wait(), 5)
    assert await by_url.find("next", "ES256") is not None
    assert await by_url.find("test-ec", "ES256") is None
    assert key_server.requests == 2


async def test_without_any_keys_the_part_is_unavailable(
    key_server: KeyServer, by_url: KeyUrl
) -> None:
    """Before the first keys came, a good token is not called a bad one."""
    key_server.status = 503
    with pytest.raises(Unavailable):
        await by_url.find("test-ec", "ES256")
