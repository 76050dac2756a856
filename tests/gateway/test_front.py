"""What every request gets: a caller, an id, headers, a log line, figures."""

from __future__ import annotations

import asyncio
import re
import time
from pathlib import Path

import httpx
import pytest
import structlog
from structlog.testing import capture_logs

from services.serving.addresses import HostPort
from services.serving.health import Health
from sessiond.v1 import session_pb2, store_pb2
from tests.gateway.conftest import ORIGIN, bearer, client_of, opened, settings, token
from tests.gateway.parts import Part
from tests.gateway.raw import exchange

GET = "/api/sessions/s1"


async def test_the_callers_token_and_request_id_travel_on(
    http: httpx.AsyncClient, store: Part
) -> None:
    """Store judges the same caller, and logs the same request."""
    answer = await http.get(GET, headers={"X-Request-Id": "abc.DEF-1_2"})
    assert answer.headers["X-Request-Id"] == "abc.DEF-1_2"
    metadata = store.last().metadata
    assert metadata["x-request-id"] == "abc.DEF-1_2"
    assert metadata["authorization"] == http.headers["Authorization"]
    assert "sessiond-user" not in metadata


@pytest.mark.parametrize("given", ["", "a b", "x" * 65, "é", "a/b"])
async def test_a_request_id_that_could_harm_a_log_is_replaced(
    address: HostPort, store: Part, given: str
) -> None:
    """Every answer has an id, and every id is tame."""
    answer = await exchange(address, "GET", GET, headers={"X-Request-Id": given})
    assert re.fullmatch("[0-9a-f]{32}", answer.headers["x-request-id"])
    assert store.last().metadata["x-request-id"] == answer.headers["x-request-id"]


@pytest.mark.parametrize("path", ["/nothing", "/healthz", "/openapi.json", GET])
async def test_every_answer_is_dressed(address: HostPort, path: str) -> None:
    """Whatever the answer: an id, no sniffing, no caching, no referrer, no server name."""
    answer = await exchange(address, "GET", path)
    assert answer.headers["x-request-id"]
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert "server" not in answer.headers


@pytest.mark.parametrize(
    "authorization",
    [
        "",
        "Bearer",
        "Bearer ",
        "Basic YWxpY2U6eA==",
        "Bearer not.a.token",
        "Bearer " + "x" * 20_000,
        f"Bearer {token(exp=int(time.time()) - 60)}",
        f"Bearer {token(aud='others')}",
        f"Bearer {token(iss='others')}",
        f"Bearer {token(role='king')}",
        f"Bearer {token('')}",
        f"Bearer {token()[:-3]}abc",
    ],
)
async def test_without_a_valid_token_nothing_is_asked(
    address: HostPort, store: Part, authorization: str
) -> None:
    """401 with the way to authenticate, and no call behind."""
    answer = await exchange(address, "GET", GET, headers={"Authorization": authorization})
    assert (answer.status, answer.json()["code"]) == (401, "UNAUTHENTICATED")
    assert answer.headers["www-authenticate"] == "Bearer"
    assert store.asked == []


async def test_a_service_acts_for_a_user(http: httpx.AsyncClient, store: Part) -> None:
    """The user's name travels percent-encoded, whatever it holds."""
    service = bearer("billing", role="service") | {"Sessiond-User": "auth0%7C%E2%82%AC"}
    assert (await http.get(GET, headers=service)).status_code == 200
    assert store.last().metadata["sessiond-user"] == "auth0%7C%E2%82%AC"


async def test_only_a_service_acts_for_others(http: httpx.AsyncClient, store: Part) -> None:
    """A user who names another is refused."""
    answer = await http.get(GET, headers={"Sessiond-User": "bob"})
    assert (answer.status_code, answer.json()["code"]) == (403, "PERMISSION_DENIED")
    assert store.asked == []


@pytest.mark.parametrize("user", ["", "%", "%00", "%ff", "a b", "x" * 129])
async def test_a_user_that_is_none_is_named(address: HostPort, user: str) -> None:
    """The header that is wrong is the field that is named."""
    headers = bearer("billing", role="service") | {"Sessiond-User": user}
    answer = await exchange(address, "GET", GET, headers=headers)
    assert [error["field"] for error in answer.json()["errors"]] == ["Sessiond-User"]


async def test_an_allowed_page_may_read_answers_and_errors(http: httpx.AsyncClient) -> None:
    """CORS headers stand on both, and expose what a client needs."""
    for path in (GET, "/nothing"):
        answer = await http.get(path, headers={"Origin": ORIGIN})
        assert answer.headers["Access-Control-Allow-Origin"] == ORIGIN
        exposed = answer.headers["Access-Control-Expose-Headers"]
        assert exposed == "ETag, Location, Retry-After, X-Request-Id"
        assert "Access-Control-Allow-Credentials" not in answer.headers
        assert answer.headers["Vary"] == "Origin"


@pytest.mark.parametrize(
    "origin", ["https://evil.example", "null", f"{ORIGIN}.evil.example", "http://app.example.com"]
)
async def test_another_page_may_not(http: httpx.AsyncClient, origin: str) -> None:
    """What is not on the list gets no CORS header, asked before or not."""
    asking = {"Origin": origin, "Access-Control-Request-Method": "GET"}
    for answer in [await http.get(GET, headers=asking), await http.options(GET, headers=asking)]:
        assert not [name for name in answer.headers if name.startswith("access-control")]


async def test_a_preflight_is_told_methods_and_headers(http: httpx.AsyncClient) -> None:
    """A browser that asks first learns what it may send, without a token."""
    asking = {
        "Origin": ORIGIN,
        "Access-Control-Request-Method": "PATCH",
        "Access-Control-Request-Headers": "authorization, if-match",
        "Authorization": "",
    }
    answer = await http.options(GET, headers=asking)
    assert answer.status_code == 204
    assert answer.headers["Access-Control-Allow-Origin"] == ORIGIN
    assert "PATCH" in answer.headers["Access-Control-Allow-Methods"]
    assert "If-Match" in answer.headers["Access-Control-Allow-Headers"]


async def test_a_request_leaves_one_line_without_what_it_said(
    address: HostPort, store: Part
) -> None:
    """Who, what, how long; never the query, the body or the token."""
    structlog.reset_defaults()
    with capture_logs() as lines:
        answer = await exchange(address, "GET", "/api/users/u-secret/sessions?q=private-words")
    (line,) = [line for line in lines if line["event"] == "request"]
    assert line["route"] == "/api/users/{user_id}/sessions"
    assert (line["method"], line["code"], line["caller"]) == ("GET", 200, "alice")
    assert line["request_id"] == answer.headers["x-request-id"]
    assert "private" not in str(lines)
    assert token() not in str(lines)


async def test_figures_are_labelled_by_route(http: httpx.AsyncClient) -> None:
    """No session and no user ever becomes a label."""
    await http.get(GET)
    await http.get("/some/where")
    figures = (await http.get("/metrics")).text
    assert (
        'sessiond_http_requests_total{code="200",method="GET",route="/api/sessions/{session_id}"}'
    ) in figures
    assert 'sessiond_http_requests_total{code="404",method="GET",route="none"}' in figures
    assert "s1" not in figures


async def test_pages_need_no_token(http: httpx.AsyncClient) -> None:
    """Liveness, the document and the front page are for everyone."""
    for path in ("/healthz", "/openapi.json", "/", "/metrics"):
        assert (await http.get(path, headers={"Authorization": ""})).status_code == 200
    home = await http.get("/")
    assert "sessiond" in home.text
    assert "/openapi.json" in home.text
    assert (await http.post("/healthz")).status_code == 405


async def until(health: Health, *, ready: bool) -> None:
    """Return when the gateway says so; fail after 10 s."""
    async with asyncio.timeout(10):
        async for told in health.changes():
            if told is ready:
                return


async def test_ready_means_that_a_store_and_a_live_are(keys: Path) -> None:
    """Readiness follows the parts behind; liveness does not."""
    async with (
        Part() as one,
        Part() as other,
        Part() as live,
        opened(settings(keys, [one, other], [live])) as (address, running),
        client_of(address) as http,
    ):
        one.health.set_ready(False)
        await until(running.health, ready=True)
        live.health.set_ready(False)
        await until(running.health, ready=False)
        assert (await http.get("/readyz")).status_code == 503
        assert (await http.get("/healthz")).status_code == 200
        live.health.set_ready(True)
        await until(running.health, ready=True)
        await one.stop()
        await other.stop()
        await until(running.health, ready=False)


async def test_a_draining_gateway_finishes_what_it_began(keys: Path) -> None:
    """Not ready at once, no new connections, and requests under way get their answers."""
    arrived, go = asyncio.Event(), asyncio.Event()
    session = session_pb2.Session(id="s1", status=session_pb2.SESSION_STATUS_ACTIVE)

    async def slow(_: object) -> store_pb2.GetSessionResponse:
        arrived.set()
        await go.wait()
        return store_pb2.GetSessionResponse(session=session)

    async with Part({"GetSession": slow}) as store, Part() as live:
        serving = opened(settings(keys, [store], [live]))
        address, running = await serving.__aenter__()
        async with client_of(address) as http:
            request = asyncio.create_task(http.get(GET))
            await arrived.wait()
            running.health.begin_drain(5)
            assert (await http.get("/readyz")).status_code == 503
            leaving = asyncio.create_task(serving.__aexit__(None, None, None))
            await refused(address)
            go.set()
            assert (await request).status_code == 200
            await leaving


async def refused(address: HostPort) -> None:
    """Return when nobody listens any more; fail after 10 s."""
    async with asyncio.timeout(10):
        while True:
            try:
                _, writer = await asyncio.open_connection(address.host, address.port)
            except (ConnectionRefusedError, ConnectionResetError):  # it closes, and we were in line
                return
            writer.close()
            await asyncio.sleep(0.02)


def test_a_health_starts_unready() -> None:
    """Nothing is promised before it was looked at."""
    assert not Health().ready
