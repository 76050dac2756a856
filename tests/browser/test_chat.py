"""A conversation: what one reads, says and decides in it, alone and together."""

from __future__ import annotations

import re
from collections.abc import Callable

from playwright.async_api import Locator, Page, expect

from tests.browser.agents import agent_in
from tests.browser.visits import Visits
from tests.e2e.answers import good
from tests.e2e.system import System
from tests.e2e.talking import created, said

Names = Callable[[str], str]

SLOW = 30_000


def message(page: Page, text: str) -> Locator:
    return page.get_by_role("article").filter(has_text=text)


async def say(page: Page, text: str) -> None:
    await page.get_by_role("textbox", name="Message").fill(text)
    await page.keyboard.press("Enter")


async def test_the_documented_flow(visit: Visits, system: System, name: Names) -> None:
    """See the sessions, continue one, find all of it, go on with the agent, and see it move."""
    alice = system.api(name("alice"))
    session = await created(alice, title="Launch plan", metadata={"demo": "true"})
    await said(alice, session["id"], "We sell bicycles in the EU.")
    page = await visit(name("alice"))
    await page.get_by_role("link", name="Continue Launch plan").click()
    await expect(page).to_have_url(re.compile(f"/chat/{session['id']}$"))
    mine = page.get_by_role("article", name="You")
    await expect(mine).to_contain_text("We sell bicycles in the EU.")
    step = page.locator("[aria-current=step]:visible")
    await expect(step).to_contain_text("Go-to-market foundation")

    output = page.get_by_role("region", name="Go-to-market foundation")
    await expect(output).to_contain_text("Draft 1 for foundation_gtm", timeout=SLOW)
    await output.get_by_role("button", name="Send back…").click()
    await expect(output.get_by_role("textbox")).to_be_focused()
    await page.keyboard.type("Name the channels.")
    await output.get_by_role("button", name="Send back").click()
    await expect(output.first).to_contain_text("Sent back")
    await expect(output.last).to_contain_text("Draft 2 for foundation_gtm", timeout=SLOW)
    await expect(output.last).to_contain_text("Name the channels.")

    await output.last.get_by_role("button", name="Edit").click()
    await output.last.get_by_role("textbox").fill("Bicycles, by way of **commuters**.")
    await output.last.get_by_role("button", name="Save").click()
    await expect(output.last.locator("strong")).to_have_text("commuters")
    await output.last.get_by_role("button", name="Approve").click()
    await expect(output.last).to_contain_text("Approved")
    await expect(step).to_contain_text("Persona development")
    await expect(page.locator(".steps:visible")).to_contain_text("1 of 8 steps")
    stored = good(await alice.get(f"/api/sessions/{session['id']}"))
    assert stored["currentStep"] == 1
    assert stored["agentOutputs"]["foundation_gtm-2"]["content"].startswith("Bicycles, by way")

    await say(page, "Now the personas.")
    await expect(mine.last).to_contain_text("Now the personas.")
    await expect(mine.last).to_contain_text("Sent")
    next_one = page.get_by_role("region", name="Persona development")
    await expect(next_one).to_contain_text("Draft 1", timeout=SLOW)
    await page.get_by_role("link", name="To your sessions").click()
    await expect(page.get_by_role("listitem").first).to_contain_text("1 of 8 steps")


async def test_two_browsers_see_the_same(visit: Visits, system: System, name: Names) -> None:
    """A message, typing, tokens and an approval in one appear in the other."""
    alice = system.api(name("alice"))
    session = await created(alice, title="Together")
    path = f"/chat/{session['id']}"
    one, other = await visit(name("alice"), path), await visit(name("alice"), path)
    for page in (one, other):
        await expect(page.get_by_role("heading", name="Together")).to_be_visible()
    await one.get_by_role("textbox", name="Message").press_sequentially("Hel")
    await expect(other.get_by_text("You, in another window, are typing")).to_be_visible()
    await say(one, "Hello")
    await expect(message(other, "Hello")).to_have_count(1)
    await expect(other.get_by_text("are typing")).to_have_count(0)
    async with agent_in(system, session["id"]) as agent:
        for page in (one, other):
            await expect(page.get_by_label("test-agent is here")).to_be_visible()
        async with agent.turn() as turn:
            await turn.write("I am ")
            for page in (one, other):
                await expect(message(page, "GTM consultant").locator(".prose")).to_have_text("I am")
            await turn.write("thinking")
            for page in (one, other):
                await expect(message(page, "I am thinking")).to_contain_text("writes")
        for page in (one, other):
            await expect(message(page, "I am thinking")).to_have_count(1)
            await expect(message(page, "I am thinking")).not_to_contain_text("writes")
        await agent.submit_output("A plan", output_id="plan")
    for page in (one, other):
        await expect(page.get_by_role("button", name="Approve")).to_be_visible()
    await one.get_by_role("button", name="Approve").click()
    for page in (one, other):
        await expect(page.locator("[aria-current=step]:visible")).to_contain_text("Persona")
        await expect(page.get_by_role("button", name="Approve")).to_have_count(0)


async def test_an_answer_can_be_stopped(visit: Visits, system: System, name: Names) -> None:
    """Then what was written so far is the message."""
    session = await created(system.api(name("alice")), workflowId="chat")
    page = await visit(name("alice"), f"/chat/{session['id']}")
    async with agent_in(system, session["id"]) as agent:
        turn = agent.turn()
        await turn.__aenter__()
        await turn.write("Half of it")
        await page.get_by_role("button", name="Stop the answer").click()
        await turn.wait_over()
        assert turn.cancelled
    await expect(message(page, "Half of it")).not_to_contain_text("writes")
    await expect(page.get_by_role("button", name="Stop the answer")).to_have_count(0)


async def test_what_is_said_offline_goes_out_later(
    visit: Visits, system: System, name: Names
) -> None:
    """Once, in order, and it is told how it stands meanwhile."""
    visit.expect("ERR_INTERNET_DISCONNECTED")
    alice = system.api(name("alice"))
    session = await created(alice, workflowId="chat")
    page = await visit(name("alice"), f"/chat/{session['id']}")
    await say(page, "before")
    await expect(message(page, "before")).to_contain_text("Sent")
    await page.context.set_offline(True)
    await expect(page.get_by_text("No connection.")).to_be_visible()
    await say(page, "one")
    await say(page, "two")
    await expect(message(page, "one")).to_contain_text("Sending…")
    await said(alice, session["id"], "meanwhile")
    await page.context.set_offline(False)
    for text in ("one", "two"):
        await expect(message(page, text)).to_contain_text("Sent")
    await expect(page.get_by_text("No connection.")).to_have_count(0)
    expected = ["before", "meanwhile", "one", "two"]
    await expect(page.locator(".bubble")).to_have_text(expected)
    stored = good(await alice.get(f"/api/sessions/{session['id']}"))
    assert [each["content"] for each in stored["conversationHistory"]] == expected


async def test_a_full_storage_stops_nobody(visit: Visits, system: System, name: Names) -> None:
    """Then what is written lives as long as the page does."""
    session = await created(system.api(name("alice")), workflowId="chat")
    page = await visit(name("alice"), f"/chat/{session['id']}")
    await expect(page.get_by_role("textbox", name="Message")).to_be_visible()
    await page.evaluate("void (Storage.prototype.setItem = () => { throw new Error('full'); })")
    await say(page, "one")
    await expect(message(page, "one")).to_contain_text("Sent")


async def test_what_was_not_sent_outlives_the_page(
    visit: Visits, system: System, name: Names
) -> None:
    """It goes out when its tab comes back to the session, once."""
    visit.expect("ERR_INTERNET_DISCONNECTED")
    alice = system.api(name("alice"))
    session = await created(alice, workflowId="chat")
    page = await visit(name("alice"), f"/chat/{session['id']}")
    await expect(page.get_by_role("textbox", name="Message")).to_be_visible()
    await page.context.set_offline(True)
    await say(page, "one")
    await expect(message(page, "one")).to_contain_text("Sending…")
    await page.goto("about:blank")
    await page.context.set_offline(False)
    await page.goto(f"/chat/{session['id']}", wait_until="commit")
    await expect(message(page, "one")).to_contain_text("Sent")
    await expect(page.locator(".bubble")).to_have_text(["one"])
    stored = good(await alice.get(f"/api/sessions/{session['id']}"))
    assert [each["content"] for each in stored["conversationHistory"]] == ["one"]


async def test_a_message_that_is_refused_says_why(
    visit: Visits, system: System, name: Names
) -> None:
    """It stands there until it is dropped, and keeps nothing else from going out."""
    session = await created(system.api(name("alice")), workflowId="chat")
    page = await visit(name("alice"), f"/chat/{session['id']}")
    await say(page, "no \0 in here")
    refused = page.get_by_role("article", name="You, not stored yet")
    await expect(refused.get_by_role("alert")).to_contain_text("content")
    await say(page, "but this")
    await expect(page.get_by_role("article").first).to_contain_text("but this")
    await refused.get_by_role("button", name="Try again").click()
    await expect(refused.get_by_role("alert")).to_contain_text("content")
    await refused.get_by_role("button", name="Discard").click()
    await expect(page.locator(".bubble")).to_have_text(["but this"])


async def test_a_paused_session_takes_words_and_no_decisions(
    visit: Visits, system: System, name: Names
) -> None:
    """Until it is resumed, by the same page."""
    alice = system.api(name("alice"))
    session = await created(alice)
    good(await alice.post(f"/api/chat/{session['id']}/outputs", json={"content": "Plan"}), 201)
    page = await visit(name("alice"), f"/chat/{session['id']}")
    await page.get_by_role("button", name="Pause the session").click()
    await expect(page.get_by_text("This session is paused")).to_be_visible()
    await expect(page.get_by_role("button", name="Approve")).to_be_disabled()
    await say(page, "Words always pass")
    await expect(message(page, "Words always pass")).to_contain_text("Sent")
    await page.get_by_role("button", name="Resume", exact=True).click()
    await page.get_by_role("button", name="Approve").click()
    await expect(page.get_by_role("region", name="Go-to-market foundation")).to_contain_text(
        "Approved by"
    )


async def test_another_users_link_shows_nothing(visit: Visits, system: System, name: Names) -> None:
    """The same page as for one that never was, and for what is no id at all."""
    session = await created(system.api(name("alice")), title="Secret")
    for path in (session["id"], "never-was", "no%20id", "%FF"):
        page = await visit(name("bob"), f"/chat/{path}")
        await expect(page.get_by_role("heading", name="There is no such session")).to_be_visible()
        await expect(page.locator("#app")).not_to_contain_text("Secret")
    await page.get_by_role("link", name="To your sessions").click()
    await expect(page.get_by_role("heading", name="Nothing here yet")).to_be_visible()


async def test_a_session_that_is_deleted_says_so(
    visit: Visits, system: System, name: Names
) -> None:
    """To whoever is in it."""
    alice = system.api(name("alice"))
    session = await created(alice, title="Short")
    page = await visit(name("alice"), f"/chat/{session['id']}")
    await expect(page.get_by_role("heading", name="Short")).to_be_visible()
    good(await alice.delete(f"/api/sessions/{session['id']}"), 204)
    await expect(
        page.get_by_role("heading", name="This session is not here any more")
    ).to_be_visible()


async def test_all_of_it_works_by_keyboard(visit: Visits, system: System, name: Names) -> None:
    """From the list through a message to a decision, without a pointer."""
    session = await created(system.api(name("alice")), title="By keys")
    page = await visit(name("alice"))
    await expect(page.get_by_role("link", name="Continue By keys")).to_be_visible()

    async def go_to(target: Locator) -> None:
        for _ in range(40):
            if await target.count() and await target.evaluate("e => e === document.activeElement"):
                return
            await page.keyboard.press("Tab")
        raise AssertionError("Tab does not lead there")

    await go_to(page.get_by_role("link", name="Continue By keys"))
    await page.keyboard.press("Enter")
    await go_to(page.get_by_role("textbox", name="Message"))
    await page.keyboard.type("One line")
    await page.keyboard.press("Shift+Enter")
    await page.keyboard.type("and another")
    await page.keyboard.press("Enter")
    await expect(message(page, "One line")).to_contain_text("and another")
    async with agent_in(system, session["id"]) as agent:
        await agent.submit_output("A plan")
    await go_to(page.get_by_role("button", name="Approve"))
    await page.keyboard.press("Space")
    await expect(page.locator("[aria-current=step]:visible")).to_contain_text("Persona")


async def test_listeners_hear_each_new_message_once(
    visit: Visits, system: System, name: Names
) -> None:
    """Whole, and not what was there before, nor each token."""
    alice = system.api(name("alice"))
    session = await created(alice, workflowId="chat")
    await said(alice, session["id"], "before")
    page = await visit(name("alice"), f"/chat/{session['id']}")
    live = page.locator(".conversation [aria-live=polite]")
    await expect(message(page, "before")).to_be_visible()
    await expect(live).to_have_text("")
    async with agent_in(system, session["id"]) as agent, agent.turn() as turn:
        await turn.write("An ")
        await expect(message(page, "An")).to_contain_text("writes")
        await turn.write("answer")
        await expect(live).to_have_text("")
    await expect(live).to_have_text("Assistant: An answer")
