"""The development sign-in: whom it lets in as whom, and where alone it sends tokens."""

from __future__ import annotations

import html
import json
import re
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urldefrag

import httpx
import pytest
from joserfc import jwt
from joserfc.jwk import KeySet

from cluster.etcd_binary import EtcdBinary
from cluster.keys import DevelopmentKeys
from cluster.sign_in import COOKIE, SignIn
from cluster.supervisor import Cluster
from cluster.topology import Topology

GATEWAY = "http://127.0.0.1:8080"
OTHER = "http://127.0.0.1:18080"
ASKED = {"return_to": f"{GATEWAY}/chat/a%2Fb?x=1&y='2'", "state": 'Zm9v+/=&#"<é>'}


@pytest.fixture
def keys(tmp_path: Path) -> DevelopmentKeys:
    return DevelopmentKeys(tmp_path / "keys")


@pytest.fixture
async def http(keys: DevelopmentKeys) -> AsyncIterator[httpx.AsyncClient]:
    """A browser that keeps cookies, and looks at redirects."""
    transport = httpx.ASGITransport(SignIn(keys, [GATEWAY, OTHER]).application())
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:7401") as client:
        yield client


def answer_of(response: httpx.Response) -> dict[str, str]:
    """What is sent back to the page that asked."""
    assert response.status_code == 303
    url, fragment = urldefrag(response.headers["Location"])
    assert url == ASKED["return_to"]
    return dict(parse_qsl(fragment, strict_parsing=True))


def claims_of(token: str, keys: DevelopmentKeys) -> dict[str, Any]:
    public = KeySet.import_key_set(json.loads(keys.jwks.read_text()))
    return jwt.decode(token, public, algorithms=["ES256"]).claims


def subject_of(token: str, keys: DevelopmentKeys) -> object:
    claims = claims_of(token, keys)
    assert "role" not in claims
    return claims["sub"]


async def test_a_name_is_chosen_once_and_remembered(
    http: httpx.AsyncClient, keys: DevelopmentKeys
) -> None:
    """The page comes back with a token and its state; the next time by itself."""
    page = await http.get("/sign-in", params=ASKED)
    assert page.status_code == 200
    for name in ("alice", "bob", "carol", "root"):
        assert f'<button name="name" value="{name}">' in page.text
    hidden = dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)">', page.text))
    form = {name: html.unescape(value) for name, value in hidden.items()}
    assert form == ASKED
    for answer in (
        answer_of(await http.post("/sign-in", data={**form, "name": "bob"})),
        answer_of(await http.get("/sign-in", params=ASKED)),
    ):
        assert answer.keys() == {"token", "state"}
        assert answer["state"] == ASKED["state"]
        assert subject_of(answer["token"], keys) == "bob"


async def test_root_is_an_administrator(http: httpx.AsyncClient, keys: DevelopmentKeys) -> None:
    """Whoever tries the administrators' place needs no command for it."""
    answer = answer_of(await http.post("/sign-in", data={**ASKED, "name": "root"}))
    claims = claims_of(answer["token"], keys)
    assert (claims["sub"], claims["role"]) == ("root", "admin")


async def test_another_name_may_be_chosen(http: httpx.AsyncClient, keys: DevelopmentKeys) -> None:
    """`prompt=login` asks whoever is remembered; what is chosen then is remembered instead."""
    await http.post("/sign-in", data={**ASKED, "name": "bob"})
    asked = await http.get("/sign-in", params={**ASKED, "prompt": "login"})
    assert asked.status_code == 200
    await http.post("/sign-in", data={**ASKED, "name": "carol"})
    answer = answer_of(await http.get("/sign-in", params=ASKED))
    assert subject_of(answer["token"], keys) == "carol"


async def test_who_does_not_want_goes_back_without_a_token(http: httpx.AsyncClient) -> None:
    """With an error by the name that OAuth 2.0 has for it, and the state."""
    page = await http.get("/sign-in", params=ASKED)
    (link,) = re.findall(r'<a href="([^"]*)"', page.text)
    url, fragment = urldefrag(html.unescape(link))
    assert url == ASKED["return_to"]
    assert dict(parse_qsl(fragment)) == {"error": "access_denied", "state": ASKED["state"]}


@pytest.mark.parametrize("name", ["alice@example.com", "a:/%2F;,\" '", "你好", "x" * 128])
async def test_any_user_id_is_a_name(
    http: httpx.AsyncClient, keys: DevelopmentKeys, name: str
) -> None:
    """The cookie carries them all."""
    await http.post("/sign-in", data={**ASKED, "name": name})
    assert unquote(http.cookies[COOKIE]) == name
    answer = answer_of(await http.get("/sign-in", params=ASKED))
    assert subject_of(answer["token"], keys) == name


@pytest.mark.parametrize("name", ["", "a\nb", "\x00", "\x9f", "x" * 129, "é" * 65])
async def test_a_name_that_is_no_user_id_is_asked_again(http: httpx.AsyncClient, name: str) -> None:
    """Nothing is remembered and nobody sent anywhere."""
    answer = await http.post("/sign-in", data={**ASKED, "name": name})
    assert (answer.status_code, COOKIE in http.cookies) == (400, False)
    assert '<p role="alert">A name has' in answer.text


@pytest.mark.parametrize(
    "return_to",
    [
        "",
        "/",
        "//127.0.0.1:8080/",
        GATEWAY,
        "https://127.0.0.1:8080/",
        "http://127.0.0.1:8081/",
        "http://127.0.0.1/",
        "http://localhost:8080/",
        "http://evil.example/",
        "http://127.0.0.1:8080.evil.example/",
        "http://127.0.0.1:8080@evil.example/",
        "http://127.0.0.1:80801/",
        "http://127x0x0x1:8080/",
        "http://evil.example/http://127.0.0.1:8080/",
        "http://127.0.0.1:8080\\@evil.example/",
        "javascript:alert(1)//http://127.0.0.1:8080/",
        f"{GATEWAY}/#a",
        f"{GATEWAY}/ a",
        f"{GATEWAY}/\n",
        f"\t{GATEWAY}/",
        f"{GATEWAY}/é",
    ],
)
async def test_tokens_go_nowhere_else(http: httpx.AsyncClient, return_to: str) -> None:
    """A link of somebody's is refused, also to those who are remembered."""
    await http.post("/sign-in", data={**ASKED, "name": "bob"})
    asked = {"return_to": return_to, "state": "s"}
    for answer in (
        await http.get("/sign-in", params=asked),
        await http.get("/sign-in", params={**asked, "prompt": "login"}),
        await http.post("/sign-in", data={**asked, "name": "bob"}),
    ):
        assert (answer.status_code, "Location" in answer.headers) == (400, False)
        assert answer.text.endswith(f"Open it at {GATEWAY}/\n")


async def test_without_a_state_nothing_is_given(http: httpx.AsyncClient) -> None:
    """A page that asked can tell its answer from somebody's link."""
    await http.post("/sign-in", data={**ASKED, "name": "bob"})
    for given in ({}, {"state": ""}):
        answer = await http.get("/sign-in", params={"return_to": f"{GATEWAY}/", **given})
        assert answer.status_code == 400


async def test_every_gateway_of_the_installation_may_ask(http: httpx.AsyncClient) -> None:
    """Each at its own origin."""
    await http.post("/sign-in", data={**ASKED, "name": "bob"})
    asked = {"return_to": f"{OTHER}/", "state": "s"}
    answer = await http.get("/sign-in", params=asked)
    assert answer.headers["Location"].startswith(f"{OTHER}/#token=")


async def test_the_cookie_is_for_the_sign_in_alone(http: httpx.AsyncClient) -> None:
    """No script reads it, no other page's call brings it, and it ends with the browser."""
    answer = await http.post("/sign-in", data={**ASKED, "name": "bob"})
    (cookie,) = answer.headers.get_list("Set-Cookie")
    given, *attributes = (part.strip().lower() for part in cookie.split(";"))
    assert given == f"{COOKIE}=bob"
    assert sorted(attributes) == ["httponly", "path=/sign-in", "samesite=lax"]


async def test_every_answer_is_dressed(http: httpx.AsyncClient) -> None:
    """Nothing is kept, nothing framed, and no form or script goes elsewhere."""
    for answer in (
        await http.get("/sign-in", params=ASKED),
        await http.get("/sign-in"),
        await http.post("/sign-in", data={**ASKED, "name": "bob"}),
    ):
        assert answer.headers["Cache-Control"] == "no-store"
        assert answer.headers["Referrer-Policy"] == "no-referrer"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        policy = answer.headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        assert f"form-action 'self' {GATEWAY} {OTHER};" in policy


async def test_what_others_wrote_stays_text(http: httpx.AsyncClient) -> None:
    """Neither the state nor the address breaks out of the page."""
    asked = {"return_to": f"{GATEWAY}/?'><script>", "state": '"><script>alert(1)</script>'}
    page = await http.get("/sign-in", params=asked)
    assert page.status_code == 200
    assert "<script" not in page.text


async def test_it_runs_as_a_part_and_leaves_when_asked(
    etcd_binary: EtcdBinary, ports: Iterator[int], tmp_path: Path
) -> None:
    """With the keys of the others, at the port that it was given."""
    keys = DevelopmentKeys(tmp_path / "keys")
    topology = Topology.anywhere(ports, sign_in=True)
    stages = topology.stages(binary=etcd_binary, keys=keys, data_dir=tmp_path, environ={})
    (part,) = [part for stage in stages for part in stage if part.kind == "sign-in"]
    gateway = f"http://{topology.gateways[0].address}"
    async with (
        Cluster([[part]], logs=tmp_path / "logs") as cluster,
        httpx.AsyncClient(base_url=f"http://{part.address}", trust_env=False) as http,
    ):
        form = {"return_to": f"{gateway}/", "state": "s", "name": "alice"}
        sent = await http.post("/sign-in", data=form)
        answer = dict(parse_qsl(urldefrag(sent.headers["Location"]).fragment))
        assert subject_of(answer["token"], keys) == "alice"
        assert "text/css" in (await http.get("/sign-in/style.css")).headers["Content-Type"]
        await cluster.stop(part.name)
    assert "Traceback" not in (tmp_path / "logs" / f"{part.name}.log").read_text()
