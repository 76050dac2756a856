"""TLS and mutual TLS between our parts, by settings alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from services.serving.addresses import HostPort
from services.serving.health import Health
from services.serving.settings import Settings
from services.serving.web import server_tls, serving_http
from sessiond.errors import Unavailable
from sessiond.status import from_rpc_error
from tests.serving.authority import Authority
from tests.serving.conftest import Configure, Serve
from tests.serving.echo import UNARY
from tests.serving.tokens import Provider


@pytest.fixture(scope="session")
def stranger(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """An authority that nobody of ours trusts."""
    return Authority(tmp_path_factory.mktemp("stranger"), "theirs")


async def echoed(serve: Serve, server: Settings, peers: Settings, token: str) -> Any:
    """Return what one call answers, or the failure that it was told."""
    metadata = (("authorization", f"Bearer {token}"),)
    async with serve(server, peers=peers) as served:
        call: Any = served.channel.unary_unary(UNARY)
        try:
            return await call(b"x", metadata=metadata, timeout=10)
        except grpc.aio.AioRpcError as error:
            return from_rpc_error(error, mutating=False)


async def test_parts_speak_tls_when_settings_say_so(
    serve: Serve,
    configure: Configure,
    authority: Authority,
    stranger: Authority,
    provider: Provider,
) -> None:
    """The caller checks the server's certificate, and never falls back to plain text."""
    ours, theirs = authority.issue("server"), stranger.issue("server")
    token = provider.token()
    server = configure(tls_cert=ours.certificate, tls_key=ours.key)
    false_server = configure(tls_cert=theirs.certificate, tls_key=theirs.key)
    peers = configure(peer_ca=authority.path)
    assert await echoed(serve, server, peers, token) == b"x"
    for one, other in ((false_server, peers), (server, configure()), (configure(), peers)):
        assert isinstance(await echoed(serve, one, other, token), Unavailable)


async def test_mutual_tls_lets_our_own_parts_in_and_nobody_else(
    serve: Serve,
    configure: Configure,
    authority: Authority,
    stranger: Authority,
    provider: Provider,
) -> None:
    """Without a certificate of our authority there is no connection, whatever the token."""
    pair, part, other = authority.issue("server"), authority.issue("live"), stranger.issue("live")
    server = configure(tls_cert=pair.certificate, tls_key=pair.key, tls_client_ca=authority.path)

    def peers(certificate: Path | None, key: Path | None) -> Settings:
        return configure(peer_ca=authority.path, peer_cert=certificate, peer_key=key)

    assert await echoed(serve, server, peers(*part), provider.token()) == b"x"
    for stranger_pair in ((None, None), other):
        told = await echoed(serve, server, peers(*stranger_pair), provider.token())
        assert isinstance(told, Unavailable)


async def test_http_listeners_take_the_same_settings(
    configure: Configure, authority: Authority, stranger: Authority
) -> None:
    """TLS and client certificates mean for HTTP what they mean for gRPC."""
    import ssl

    pair, part, other = authority.issue("gateway"), authority.issue("curl"), stranger.issue("curl")
    app = Starlette(routes=[Route("/", lambda request: PlainTextResponse("x"))])
    settings = configure(tls_cert=pair.certificate, tls_key=pair.key, tls_client_ca=authority.path)
    assert server_tls(configure()) is None
    tls = server_tls(settings)
    async with serving_http(app, HostPort("127.0.0.1", 0), Health(), tls=tls) as address:
        for shown, good in ((part, True), (other, False), (None, False)):
            trust = ssl.create_default_context(cafile=str(authority.path))
            if shown is not None:
                trust.load_cert_chain(shown.certificate, shown.key)
            async with httpx.AsyncClient(verify=trust) as client:
                if good:
                    assert (await client.get(f"https://{address}/")).text == "x"
                else:
                    with pytest.raises(httpx.TransportError):
                        await client.get(f"https://{address}/")
