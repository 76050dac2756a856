"""Visits to the dashboard: a browser context each, and an eye on all that goes wrong in it."""

from __future__ import annotations

import re
from contextlib import AsyncExitStack
from typing import Any
from urllib.parse import quote

from playwright.async_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Page,
    Request,
    Response,
    WebError,
)

from cluster.sign_in import COOKIE, PATH
from tests.e2e.system import System

# What a page itself gives up, when it is left or no longer wants an answer, is no fault.
_GIVEN_UP = "net::ERR_ABORTED"


class Visits:
    """Opens pages of a system's dashboard, and keeps what went wrong in them."""

    def __init__(self, browser: Browser, system: System) -> None:
        self._browser = browser
        self._base = f"http://{system.cluster.address('gateway-1')}"
        self._contexts = AsyncExitStack()
        self._seen: list[str] = []
        self._expected: list[str] = []

    async def __call__(self, user: str, path: str = "/", **options: Any) -> Page:
        """Return a page in a browser of its own, just signed in as `user`.

        `options` are those of a browser context: `color_scheme="dark"`.
        """
        context = await self._context(options)
        # As if the name had been chosen before: sign-in sends the page back by itself.
        await context.add_cookies(
            [{"name": COOKIE, "value": quote(user, safe=""), "domain": "127.0.0.1", "path": PATH}]
        )
        page = await context.new_page()
        async with page.expect_event("framenavigated", lambda frame: "#token=" in frame.url):
            await page.goto(path, wait_until="commit")
        return page

    async def bearer(self, token: str, path: str = "/", **options: Any) -> Page:
        """Return a page in a browser of its own, signed in by this token."""
        context = await self._context(options)
        # As if sign-in had been asked in this tab; an empty page has no storage.
        asked = "if (origin !== 'null') sessionStorage.setItem('sessiond.sign-in', 'asked');"
        await context.add_init_script(asked)
        page = await context.new_page()
        await page.goto(f"{path}#token={token}&state=asked", wait_until="commit")
        return page

    async def stranger(self, path: str = "/", **options: Any) -> Page:
        """Return a page in a browser that nobody knows yet: it is asked for a name."""
        page = await (await self._context(options)).new_page()
        async with page.expect_event("framenavigated", lambda frame: f"{PATH}?" in frame.url):
            await page.goto(path, wait_until="commit")
        return page

    def expect(self, *patterns: str) -> None:
        """Excuse what goes wrong, in all pages of the test, where it fits a regular expression."""
        self._expected += patterns

    @property
    def faults(self) -> list[str]:
        """What went wrong so far and was not expected, one line each."""
        return [
            fault
            for fault in self._seen
            if not any(re.search(pattern, fault) for pattern in self._expected)
        ]

    async def end(self) -> None:
        """Close every page."""
        await self._contexts.aclose()

    async def _context(self, options: dict[str, Any]) -> BrowserContext:
        context = await self._browser.new_context(
            **{"base_url": self._base, "locale": "en-GB", "timezone_id": "UTC", **options}
        )
        self._contexts.push_async_callback(context.close)
        context.on("console", self._said)
        context.on("weberror", self._broke)
        context.on("requestfailed", self._failed)
        context.on("response", self._answered)
        return context

    # Violations of the Content-Security-Policy are told on the console, as errors.
    def _said(self, message: ConsoleMessage) -> None:
        if message.type == "error":
            self._seen.append(f"console: {message.text} at {message.location.get('url')}")

    def _broke(self, error: WebError) -> None:
        self._seen.append(f"exception: {error.error}")

    def _failed(self, request: Request) -> None:
        if request.failure != _GIVEN_UP:
            self._seen.append(f"failed: {request.method} {request.url}: {request.failure}")

    def _answered(self, response: Response) -> None:
        if response.status >= 400:
            asked = response.request
            self._seen.append(f"answered: {asked.method} {asked.url}: {response.status}")
