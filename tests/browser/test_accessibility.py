"""What axe-core finds in each of the page's places: nothing serious."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from playwright.async_api import Page, expect

from tests.browser.accessibility import axe
from tests.browser.agents import agent_in
from tests.browser.visits import Visits
from tests.e2e.answers import good
from tests.e2e.system import System
from tests.e2e.talking import created, said

Names = Callable[[str], str]

LOOKS: dict[str, dict[str, Any]] = {
    "light": {"color_scheme": "light"},
    "dark": {"color_scheme": "dark"},
    "narrow": {"viewport": {"width": 320, "height": 640}, "reduced_motion": "reduce"},
}
TEXT = "# Plan\n\n- one\n- [two](https://example.com)\n\n```py\nx = 1\n```\n\n> quoted, `code`"


# What comes in is pale at first; what breathes for ever is to be legible at every moment.
ARRIVED = """Promise.allSettled(document.getAnimations()
    .filter((one) => one.effect.getComputedTiming().endTime !== Infinity)
    .map((one) => one.finished))"""


async def sound(page: Page) -> None:
    await page.evaluate(ARRIVED)
    assert await axe(page) == []
    wide = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
    assert await page.evaluate(wide) == 0, "the page scrolls sideways"


@pytest.mark.parametrize("look", LOOKS)
async def test_every_place_is_accessible(
    visit: Visits, system: System, name: Names, look: str
) -> None:
    """List, search without a find, dialogue, conversation, decision and what is not there."""
    options = LOOKS[look]
    alice = system.api(name("alice"))
    session = await created(alice, title="A plan with a rather long title that does not fit")
    chat = f"/api/chat/{session['id']}"
    good(await alice.post(f"{chat}/outputs", json={"content": TEXT}), 201)
    good(await alice.put(f"{chat}/approve", json={"feedback": "Good."}))
    await said(alice, session["id"], TEXT)
    page = await visit(name("alice"), **options)
    await expect(page.get_by_role("listitem")).to_have_count(1)
    await sound(page)
    await page.get_by_role("searchbox").fill("nothing like it")
    await expect(page.get_by_role("heading", name="No session matches")).to_be_visible()
    await sound(page)
    await page.get_by_role("button", name="New session").click()
    await expect(page.get_by_role("dialog")).to_be_visible()
    await sound(page)

    page = await visit(name("alice"), f"/chat/{session['id']}", **options)
    await expect(page.get_by_role("article")).to_have_count(1)
    async with agent_in(system, session["id"]) as agent:
        good(await alice.post(f"{chat}/outputs", json={"content": TEXT}), 201)
        async with agent.turn() as turn:
            await turn.write("I am writing.")
            await expect(page.locator(".is-writing")).to_be_visible()
            await expect(page.get_by_role("button", name="Approve")).to_be_visible()
            await sound(page)
    await page.get_by_role("button", name="Send back…").click()
    await sound(page)

    page = await visit(name("bob"), f"/chat/{session['id']}", **options)
    await expect(page.get_by_role("heading", name="There is no such session")).to_be_visible()
    await sound(page)
