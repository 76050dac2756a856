"""A session as it was: to look at, to go back to, and to come back from."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest
from playwright.async_api import Locator, Page, expect

from tests.browser.accessibility import axe
from tests.browser.visits import Visits
from tests.e2e.answers import good
from tests.e2e.system import System
from tests.e2e.talking import created, said

Names = Callable[[str], str]


def message(page: Page, text: str) -> Locator:
    return page.get_by_role("article").filter(has_text=text)


async def look_back(page: Page, text: str) -> None:
    await message(page, text).hover()
    await message(page, text).get_by_role("button", name="As it was after this message").click()
    await expect(page.get_by_text("This is how the session was")).to_be_visible()


async def test_one_looks_back_and_nothing_is_changed(
    visit: Visits, system: System, name: Names
) -> None:
    """What came later is not shown, and nothing of what is can be decided or said."""
    alice = system.api(name("alice"))
    session = await created(alice, title="Launch plan")
    chat = f"/api/chat/{session['id']}"
    good(await alice.post(f"{chat}/outputs", json={"content": "A plan", "outputId": "o"}), 201)
    await said(alice, session["id"], "What do you think?")
    good(await alice.put(f"{chat}/approve"))
    await said(alice, session["id"], "Now the personas.")
    before = good(await alice.get(f"/api/sessions/{session['id']}"))
    page = await visit(name("alice"), f"/chat/{session['id']}")
    await look_back(page, "What do you think?")
    await expect(message(page, "Now the personas.")).to_have_count(0)
    await expect(message(page, "What do you think?")).to_have_count(1)
    output = page.get_by_role("region", name="Go-to-market foundation")
    await expect(output).to_contain_text("Waits for you")
    await expect(page.get_by_role("button", name="Approve")).to_have_count(0)
    await expect(page.get_by_role("textbox", name="Message")).to_have_count(0)
    await expect(page.locator(".steps:visible")).to_contain_text("0 of 8 steps")
    assert await axe(page) == []
    await page.get_by_role("button", name="Back to now").click()
    await expect(message(page, "Now the personas.")).to_have_count(1)
    await expect(page.get_by_role("textbox", name="Message")).to_be_visible()
    assert good(await alice.get(f"/api/sessions/{session['id']}")) == before


async def test_one_looks_back_at_an_output_and_at_a_decision(
    visit: Visits, system: System, name: Names
) -> None:
    """As it was when either happened; and one may go back to there."""
    alice = system.api(name("alice"))
    session = await created(alice, title="Launch plan")
    chat = f"/api/chat/{session['id']}"
    good(await alice.post(f"{chat}/outputs", json={"content": "A plan", "outputId": "o"}), 201)
    good(await alice.put(f"{chat}/approve"))
    await said(alice, session["id"], "Now the personas.")
    page = await visit(name("alice"), f"/chat/{session['id']}")
    output = page.get_by_role("region", name="Go-to-market foundation")
    for button, word in (("this output", "Waits for you"), ("the decision", "Approved by")):
        await output.get_by_role("button", name=f"As it was after {button}").click()
        await expect(page.get_by_text("This is how the session was on ")).to_be_visible()
        await expect(output).to_contain_text(word)
        await expect(message(page, "Now the personas.")).to_have_count(0)
        await expect(output.get_by_role("button", name="As it was")).to_have_count(0)
        await page.get_by_role("button", name="Back to now").click()
        await expect(message(page, "Now the personas.")).to_have_count(1)
    await output.get_by_role("button", name="As it was after this output").click()
    await page.get_by_role("button", name="Go back to here").click()
    await expect(message(page, "Now the personas.")).to_have_count(0)
    stored = good(await alice.get(f"/api/sessions/{session['id']}"))
    assert [each["status"] for each in stored["agentOutputs"].values()] == ["pending"]


async def test_one_looks_at_a_time(visit: Visits, system: System, name: Names) -> None:
    """To the second, by one's own clock; a time before there was a session says so."""
    alice = system.api(name("alice"))
    session = await created(alice, workflowId="chat")
    await said(alice, session["id"], "one")
    await asyncio.sleep(1.1)  # the clock of the field has whole seconds
    await said(alice, session["id"], "two")
    page = await visit(name("alice"), f"/chat/{session['id']}", timezone_id="Asia/Kolkata")
    await page.get_by_role("button", name="As it was at a time").click()
    await expect(page.get_by_text("This is how the session was on ")).to_be_visible()
    await expect(message(page, "two")).to_have_count(1)
    stored = good(await alice.get(f"/api/sessions/{session['id']}"))
    then = stored["conversationHistory"][0]["timestamp"]
    local = "time => new Date(Date.parse(time) + 5.5 * 3600_000).toISOString().slice(0, 19)"
    await page.get_by_label("As it was at", exact=True).fill(await page.evaluate(local, then))
    await page.get_by_role("button", name="Show", exact=True).click()
    await expect(message(page, "two")).to_have_count(0)
    await expect(message(page, "one")).to_have_count(1)
    assert await axe(page) == []
    early = page.get_by_label("As it was at", exact=True)
    await early.fill("2001-01-01T00:00:00")
    await page.get_by_role("button", name="Show", exact=True).click()
    assert await early.evaluate("field => field.validity.rangeUnderflow")
    await page.get_by_role("button", name="Back to now").click()
    await expect(message(page, "two")).to_have_count(1)


async def test_one_goes_back_and_undoes_that(visit: Visits, system: System, name: Names) -> None:
    """Everybody who has the session open sees it go back, and its owner can have it all again."""
    alice = system.api(name("alice"))
    session = await created(alice, workflowId="chat", title="Together")
    for content in ("one", "two", "three"):
        await said(alice, session["id"], content)
    path = f"/chat/{session['id']}"
    page, other = await visit(name("alice"), path), await visit(name("alice"), path)
    await expect(message(other, "three")).to_have_count(1)
    await look_back(page, "one")
    await page.get_by_role("button", name="Go back to here").click()
    for each in (page, other):
        await expect(message(each, "three")).to_have_count(0)
        await expect(message(each, "one")).to_have_count(1)
    await expect(other.get_by_text("You took the session back to how it was.")).to_be_visible()
    await other.get_by_role("button", name="Undo").click()
    for each in (page, other):
        await expect(message(each, "three")).to_have_count(1)
    stored = good(await alice.get(f"/api/sessions/{session['id']}"))
    assert [each["content"] for each in stored["conversationHistory"]] == ["one", "two", "three"]
    assert stored["revision"] == 6


async def test_a_past_that_does_not_load_can_be_asked_for_again(
    visit: Visits, system: System, name: Names
) -> None:
    """Nobody is stuck in it."""
    visit.expect("ERR_INTERNET_DISCONNECTED")
    alice = system.api(name("alice"))
    session = await created(alice, workflowId="chat")
    await said(alice, session["id"], "one")
    page = await visit(name("alice"), f"/chat/{session['id']}")
    await expect(message(page, "one")).to_have_count(1)
    await page.route("**/api/sessions/*atSeq*", lambda route: route.abort("internetdisconnected"))
    await message(page, "one").hover()
    await message(page, "one").get_by_role("button", name="As it was").click()
    await expect(page.get_by_text("This did not load")).to_be_visible(timeout=30_000)
    await page.unroute("**/api/sessions/*atSeq*")
    await page.get_by_role("button", name="Try again").click()
    await expect(page.get_by_text("This is how the session was")).to_be_visible()


@pytest.mark.parametrize("width", [320, 1280])
async def test_it_fits_small_screens(
    visit: Visits, system: System, name: Names, width: int
) -> None:
    """Nothing scrolls sideways, and what can be done is in sight."""
    alice = system.api(name("alice"))
    session = await created(alice, workflowId="chat")
    await said(alice, session["id"], "one")
    viewport = {"width": width, "height": 640}
    page = await visit(name("alice"), f"/chat/{session['id']}", viewport=viewport)
    await look_back(page, "one")
    await expect(page.get_by_role("button", name="Go back to here")).to_be_in_viewport()
    wide = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
    assert await page.evaluate(wide) == 0
