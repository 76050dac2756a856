"""The dashboard's page and files: who may load what, how a browser keeps them, and nothing else."""

from __future__ import annotations

import re
from pathlib import Path

import httpx
import pytest

from gateway.assets import DASHBOARD, Asset, dashboard
from services.serving.addresses import HostPort
from tests.gateway.conftest import client_of, opened, settings
from tests.gateway.parts import Part
from tests.gateway.raw import exchange

FILES = sorted(
    f"/dashboard/{file.relative_to(DASHBOARD).as_posix()}"
    for file in DASHBOARD.rglob("*")
    if file.suffix in (".js", ".css", ".svg", ".txt")
)
PAGES = ["/", "/chat/s1", "/administration", "/administration/changes"]
POLICY = {
    "default-src": "'none'",
    "script-src": "'self'",
    "style-src": "'self'",
    "img-src": "'self'",
    "connect-src": "'self'",
    "base-uri": "'none'",
    "form-action": "'none'",
    "frame-ancestors": "'none'",
}
MEDIA_TYPES = {
    "js": "text/javascript; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "svg": "image/svg+xml",
    "txt": "text/plain; charset=utf-8",
}


@pytest.mark.parametrize("path", [*PAGES, *FILES])
async def test_what_a_browser_loads_is_dressed(address: HostPort, path: str) -> None:
    """Without a caller: our own origin alone, no guessing of types, no referrer, asked again."""
    answer = await exchange(address, "GET", path, headers={"Authorization": "Bearer none"})
    assert answer.status == 200
    policy = dict(
        part.strip().split(" ", 1) for part in answer.headers["content-security-policy"].split(";")
    )
    assert policy == POLICY
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert answer.headers["cache-control"] == "no-cache"
    assert re.fullmatch('"[0-9a-f]{32}"', answer.headers["etag"])
    expected = MEDIA_TYPES.get(path.rpartition(".")[2], "text/html; charset=utf-8")
    assert answer.headers["content-type"] == expected


@pytest.mark.parametrize("path", FILES)
async def test_a_file_is_served_as_it_is(http: httpx.AsyncClient, path: str) -> None:
    """Byte by byte."""
    assert (await http.get(path)).content == (DASHBOARD.parent / path[1:]).read_bytes()


@pytest.mark.parametrize("path", ["/", "/dashboard/icon.svg"])
async def test_what_a_browser_has_is_not_sent_again(http: httpx.AsyncClient, path: str) -> None:
    """304 for the tag of the same bytes, also among others and weak; 200 for another's."""
    whole = await http.get(path)
    tag = whole.headers["ETag"]
    for known in (tag, f'"x", W/{tag}', "*"):
        again = await http.get(path, headers={"If-None-Match": known})
        assert (again.status_code, again.content) == (304, b"")
        for name in ("ETag", "Cache-Control", "Content-Security-Policy"):
            assert again.headers[name] == whole.headers[name]
    other = await http.get(path, headers={"If-None-Match": '"x"'})
    assert (other.status_code, other.content) == (200, whole.content)


async def test_a_tag_that_is_none_is_named(http: httpx.AsyncClient) -> None:
    """As at every other path."""
    answer = await http.get("/", headers={"If-None-Match": "x"})
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (400, "If-None-Match")


def test_other_bytes_have_another_tag() -> None:
    """A new version is seen."""
    assert Asset(b"1", "text/plain").etag != Asset(b"2", "text/plain").etag


@pytest.mark.parametrize("path", ["/", "/chat/s1", "/dashboard/icon.svg"])
async def test_head_has_the_headers_alone(http: httpx.AsyncClient, path: str) -> None:
    """HEAD is GET without its body; nothing else is taken."""
    got, head = await http.get(path), await http.head(path)
    assert (head.status_code, head.content) == (200, b"")
    for name in ("ETag", "Content-Type", "Content-Length"):
        assert head.headers[name] == got.headers[name]
    assert (await http.post(path)).status_code == 405


@pytest.mark.parametrize(
    "session", ["s1", "%E2%82%AC", "a%2Fb", "..", "%2e%2e", "%00", "%ff", "a.b~c", "", "x" * 10_000]
)
async def test_the_page_stands_at_every_session(address: HostPort, session: str) -> None:
    """It looks for itself whether there is such a session: a link tells nothing away."""
    page = await exchange(address, "GET", "/")
    answer = await exchange(address, "GET", f"/chat/{session}")
    assert (answer.status, answer.body) == (200, page.body)


@pytest.mark.parametrize(
    "path",
    [
        "/dashboard",
        "/dashboard/",
        "/dashboard/index.html",
        "/dashboard/none.js",
        "/dashboard/vendor",
        "/dashboard/vendor/",
        "/dashboard/vendor/README.md",
        "/dashboard/vendor/../icon.svg",
        "/dashboard/../settings.py",
        "/dashboard/%2e%2e/settings.py",
        "/dashboard/..%2Fsettings.py",
        "/dashboard/%2Fetc%2Fpasswd",
        "/dashboard//etc/passwd",
        "/dashboard/ICON.svg",
        "/dashboard/icon.svg/",
        "/dashboard/icon.svg%00",
        "/index.html",
        "/chat",
        "/chat/a/b",
    ],
)
async def test_nothing_else_is_there(address: HostPort, path: str) -> None:
    """No folder, no way out of it, no second name for the page: a problem, and not the page."""
    answer = await exchange(address, "GET", path)
    assert (answer.status, answer.json()["code"]) == (404, "ROUTE_NOT_FOUND")
    assert answer.headers["content-type"] == "application/problem+json"


def sign_in_of(page: str) -> str:
    """What stands in the page, as it is written there."""
    (found,) = re.findall(r'<meta name="sessiond-sign-in" content="([^"]*)">', page)
    return str(found)


async def test_the_page_knows_where_to_sign_in(keys: Path) -> None:
    """What the settings say stands in it as text; "" where they say nothing."""
    url = "https://id.example/a&b='c'"
    for given, shown in ((url, "https://id.example/a&amp;b=&#x27;c&#x27;"), ("", "")):
        async with (
            Part() as part,
            opened(settings(keys, [part], [part], sign_in_url=given)) as (address, _),
            client_of(address) as http,
        ):
            for path in PAGES:
                assert sign_in_of((await http.get(path)).text) == shown


def test_no_setting_breaks_out_of_its_attribute() -> None:
    """Also one that the settings themselves would refuse."""
    hostile = '"><script>alert(1)</script>${sign_in_url}$x'
    page = dict(dashboard(hostile))["/"].content.decode()
    assert sign_in_of(page) == "&quot;&gt;&lt;script&gt;alert(1)&lt;/script&gt;${sign_in_url}$x"


def test_the_page_holds_no_code_and_asks_nobody_else() -> None:
    """No inline script or style, no handler, and no address but paths of ours."""
    page = (DASHBOARD / "index.html").read_text()
    assert not re.search(r"<style|\bstyle=|\bon\w+=|<script[^>]*>[^<]", page)
    assert all(found.startswith("/") for found in re.findall(r'(?:src|href)="([^"]*)"', page))
