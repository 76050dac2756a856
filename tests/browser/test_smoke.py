"""The dashboard comes up, signs in, and shows a user's list."""

from __future__ import annotations

import re
from collections.abc import Callable

from playwright.async_api import expect

from tests.browser.accessibility import axe
from tests.browser.visits import Visits
from tests.e2e.answers import good
from tests.e2e.system import System


async def test_a_newcomer_chooses_a_name_and_finds_the_list(
    visit: Visits, system: System, name: Callable[[str], str]
) -> None:
    """The token stands in no address and in no storage; the next load signs in by itself."""
    bob, title = name("bob"), name("Launch plan")
    good(await system.api(bob).post("/api/sessions", json={"title": title}), 201)
    page = await visit.stranger(color_scheme="dark")
    assert await axe(page) == []
    await page.emulate_media(color_scheme="light")
    assert await axe(page) == []
    await page.get_by_label("Another name").fill(bob)
    await page.get_by_role("button", name="Sign in").click()
    for _ in range(2):
        await expect(page.locator("#app")).to_contain_text(title)
        await expect(page).not_to_have_url(re.compile("#"))
        kept = await page.evaluate("JSON.stringify([{...localStorage}, {...sessionStorage}])")
        assert "eyJ" not in kept
        await page.reload(wait_until="commit")


async def test_who_is_known_sees_their_own_list_at_once(
    visit: Visits, system: System, name: Callable[[str], str]
) -> None:
    """And nobody else's."""
    titles = {user: name(f"Plan of {user}") for user in ("alice", "bob")}
    for user, title in titles.items():
        good(await system.api(name(user)).post("/api/sessions", json={"title": title}), 201)
    page = await visit(name("alice"))
    await expect(page.locator("#app")).to_contain_text(titles["alice"])
    await expect(page.locator("#app")).not_to_contain_text(titles["bob"])
