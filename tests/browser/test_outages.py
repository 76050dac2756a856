"""Parts end while somebody looks: the page ends with what is stored, and shows nothing twice."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
from playwright.async_api import Page, expect

from sessiond import Turn
from tests.browser.agents import agent_in
from tests.browser.visits import Visits
from tests.e2e.answers import good
from tests.e2e.places import placed_on, places
from tests.e2e.system import System
from tests.e2e.talking import created

Names = Callable[[str], str]
Harm = Callable[[System], Awaitable[None]]

SLOW = 30_000
WORDS = [f"word-{n}" for n in range(400)]
FIRST = 200
WORD_SECONDS = 0.02


async def live_killed(system: System) -> None:
    """The owner of the session dies, and is replaced."""
    await system.cluster.kill("live-1")
    await system.cluster.start("live-1")


async def gateway_killed(system: System) -> None:
    await system.cluster.kill("gateway-1")
    await system.cluster.start("gateway-1")


async def gateway_restarted(system: System) -> None:
    """Asked to leave, as in every deployment."""
    await system.cluster.restart("gateway-1")


@asynccontextmanager
async def writing(turn: Turn) -> AsyncIterator[None]:
    """Let the first words be written while the block runs, at a model's pace; then the rest."""

    async def write(words: list[str]) -> None:
        for word in words:
            await turn.write(f"{word} ")
            await asyncio.sleep(WORD_SECONDS)

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(write(WORDS[:FIRST]))
        yield
    await write(WORDS[FIRST:])


async def bubbles(page: Page) -> list[str]:
    return await page.locator(".bubble").all_inner_texts()


@pytest.mark.parametrize("harm", [live_killed, gateway_killed, gateway_restarted])
async def test_an_answer_outlives_what_carries_it(
    visit: Visits, system: System, name: Names, harm: Harm
) -> None:
    """The page ends with the very text that is stored, and so does what is said meanwhile."""
    visit.expect("console: .*(WebSocket|ERR_)", "failed: ", "answered: .* 503", "console: .* 503")
    alice = system.api(name("alice"))
    (session_id,) = placed_on("live-1", await places(system, "live-1", "live-2"), name("turn"))
    await created(alice, id=session_id, workflowId="chat", title="Outage")
    page = await visit(name("alice"), f"/chat/{session_id}")
    await expect(page.get_by_role("heading", name="Outage")).to_be_visible()
    async with agent_in(system, session_id) as agent, agent.turn() as turn, writing(turn):
        await expect(page.locator(".is-writing")).to_contain_text("word-20 ")
        await harm(system)
        await page.get_by_role("textbox", name="Message").fill("meanwhile")
        await page.keyboard.press("Enter")
        # Each character once, also while it is written.
        written = page.locator(".is-writing .bubble")
        await expect(written).to_have_text(" ".join(WORDS[:FIRST]), timeout=SLOW)
    last = page.locator(".bubble").last
    await expect(last).to_contain_text(WORDS[-1], timeout=SLOW)
    await expect(page.locator(".is-writing, .is-outgoing")).to_have_count(0, timeout=SLOW)
    await expect(page.get_by_text("No connection.")).to_have_count(0, timeout=SLOW)
    stored = good(await alice.get(f"/api/sessions/{session_id}"))["conversationHistory"]
    assert [each["content"].strip() for each in stored] == ["meanwhile", " ".join(WORDS)]
    assert await bubbles(page) == [each["content"].strip() for each in stored]


async def test_the_list_comes_back_after_its_gateway(
    visit: Visits, system: System, name: Names
) -> None:
    """What changed meanwhile is there, without a reload."""
    visit.expect("console: .*ERR_", "failed: ", "answered: .* 503", "console: .* 503")
    alice = system.api(name("alice"))
    await created(alice, title="Before")
    page = await visit(name("alice"))
    rows = page.get_by_role("listitem").get_by_role("heading")
    await expect(rows).to_have_text(["Before"])
    await system.cluster.kill("gateway-1")
    await expect(page.get_by_text("Changes do not come")).to_be_visible(timeout=SLOW)
    await system.cluster.start("gateway-1")
    await created(alice, title="After")
    await expect(rows).to_have_text(["After", "Before"], timeout=SLOW)
    await expect(page.get_by_text("Changes do not come")).to_have_count(0)
