"""A conversation of 10,000 messages: the newest at once, all of it on the way up."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest
from playwright.async_api import Page, expect

from sessiond import Client
from tests.browser.visits import Visits
from tests.e2e.system import System
from tests.e2e.talking import created, said

Names = Callable[[str], str]

MANY = 10_000
TOGETHER = 200
SLOW = 60_000

# Which message is at the middle of the screen, and where exactly.
_MIDDLE = """() => {
  const found = Array.from(document.querySelectorAll('.message'))
    .find(each => each.getBoundingClientRect().bottom > innerHeight / 2);
  return [found.dataset.seq, Math.round(found.getBoundingClientRect().top)];
}"""
_SEQS = "Array.from(document.querySelectorAll('.message'), each => Number(each.dataset.seq))"


async def filled(system: System, user: str, session_id: str) -> None:
    client = Client(
        live=system.cluster.addresses("live"),
        store=system.cluster.addresses("store"),
        token=system.keys.user_token(user, role="service"),
        acting_for=user,
    )
    async with client, client.attach(session_id) as session:
        for first in range(0, MANY, TOGETHER):
            numbers = range(first, first + TOGETHER)
            await asyncio.gather(*(session.append(f"message {n}") for n in numbers))


async def held(page: Page) -> int:
    return int(await page.locator(".message").count())


@pytest.mark.timeout(300)
async def test_a_long_history_is_all_there(visit: Visits, system: System, name: Names) -> None:
    """Older pages come as one scrolls up, and move nothing that one reads."""
    alice = system.api(name("alice"))
    session = await created(alice, workflowId="chat")
    await filled(system, name("alice"), session["id"])
    page = await visit(name("alice"), f"/chat/{session['id']}")
    await expect(page.locator(".message").last).to_be_in_viewport()
    assert await held(page) == 100
    scroller = page.get_by_role("region", name="Conversation")
    await scroller.evaluate("e => e.scrollTop = 700")
    before = await page.evaluate(_MIDDLE)
    await scroller.evaluate("e => e.scrollTop -= 150")
    await expect(page.locator(".message")).not_to_have_count(100)
    seq, _ = await page.evaluate(_MIDDLE)
    moved = await page.locator(f".message[data-seq='{before[0]}']").evaluate(
        "e => Math.round(e.getBoundingClientRect().top)"
    )
    assert int(seq) < int(before[0])
    assert abs(moved - before[1] - 150) <= 2, (moved, before)

    while (count := await held(page)) < MANY:
        await scroller.evaluate("e => e.scrollTop = 0")
        await expect(page.locator(".message")).not_to_have_count(count, timeout=SLOW)
    seqs = await page.evaluate(_SEQS)
    assert seqs == list(range(2, MANY + 2))
    await page.get_by_role("button", name="Newest").click()
    await expect(page.locator(".message").last).to_be_in_viewport()
    await said(alice, session["id"], "one more")
    await expect(page.get_by_text("one more")).to_be_in_viewport()
    await page.get_by_role("textbox", name="Message").fill("and mine")
    await page.keyboard.press("Enter")
    await expect(page.locator(".bubble").last).to_have_text("and mine")
    await expect(page.locator(".message").last).to_be_in_viewport()
