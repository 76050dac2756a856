"""The list of sessions: what is in it, how one finds it, and what one does there."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from typing import Any

from playwright.async_api import Locator, Page, Route, expect

from tests.browser.visits import Visits
from tests.e2e.answers import good
from tests.e2e.system import System
from tests.e2e.talking import created, said

Names = Callable[[str], str]


def row(page: Page, title: str) -> Locator:
    """The row of a session."""
    return page.get_by_role("listitem").filter(has=page.get_by_role("heading", name=title))


def titles(page: Page) -> Locator:
    return page.get_by_role("listitem").get_by_role("heading")


async def test_who_has_no_session_is_shown_how_to_begin(visit: Visits, name: Names) -> None:
    """An empty list is a beginning; a search that finds nothing is not."""
    page = await visit(name("alice"))
    await expect(page.get_by_role("heading", name="Nothing here yet")).to_be_visible()
    await page.get_by_role("searchbox").fill("x")
    await expect(page.get_by_role("heading", name="No session matches")).to_be_visible()
    await page.get_by_role("searchbox").fill("")
    await page.get_by_role("button", name="Start the first one").click()
    await expect(page.get_by_role("dialog", name="New session")).to_be_visible()


async def test_what_is_typed_into_the_search_stays_whatever_comes(
    visit: Visits, system: System, name: Names
) -> None:
    """A list that changes between two letters takes nothing away, and no space is lost."""
    alice = name("alice")
    page = await visit(alice)
    search = page.get_by_role("searchbox")
    await expect(page.get_by_role("heading", name="Nothing here yet")).to_be_visible()
    await page.clock.install()
    await page.clock.pause_at(await page.evaluate("Date.now() + 1000"))
    await search.fill("launch ")
    for title in ["Launch plan", "Budget"]:
        await created(system.api(alice), title=title)
    await expect(row(page, "Budget")).to_be_visible()  # typed, and not yet asked for
    await expect(search).to_have_value("launch ")
    await page.clock.resume()
    await expect(titles(page)).to_have_text(["Launch plan"])
    await expect(search).to_have_value("launch ")


async def test_a_new_session_has_what_was_chosen(
    visit: Visits, system: System, name: Names
) -> None:
    """Workflow, title and inputs; then one is in it."""
    page = await visit(name("alice"))
    await page.get_by_role("button", name="New session").click()
    dialog = page.get_by_role("dialog")
    await dialog.get_by_role("radio", name="Chat").check()
    await dialog.get_by_role("textbox", name="Title").fill("Launch plan")
    await dialog.get_by_role("textbox", name="Name of input 1").fill("market")
    await dialog.get_by_role("textbox", name="Value of input 1").fill("EU")
    await dialog.get_by_role("button", name="Start session").click()
    await expect(page.get_by_role("heading", level=1, name="Launch plan")).to_be_visible()
    session_id = page.url.rsplit("/", 1)[1]
    made = good(await system.api(name("alice")).get(f"/api/sessions/{session_id}"))
    assert (made["workflowId"], made["title"]) == ("chat", "Launch plan")
    assert (made["userInputs"], made["metadata"]) == ({"market": "EU"}, {"demo": "true"})


async def test_what_is_refused_is_told_in_the_dialogue(visit: Visits, name: Names) -> None:
    """With what was filled in still there."""
    visit.expect("answered: POST .*/api/sessions: 400", "console: .* 400")
    page = await visit(name("alice"))
    await page.get_by_role("button", name="New session").click()
    dialog = page.get_by_role("dialog")
    title = dialog.get_by_role("textbox", name="Title")
    await title.evaluate("field => field.removeAttribute('maxlength')")
    await title.fill("x" * 201)
    await dialog.get_by_role("button", name="Start session").click()
    await expect(dialog.get_by_role("alert")).to_contain_text("title")
    await expect(title).to_have_value("x" * 201)


async def test_workflows_that_did_not_load_are_loaded_again(visit: Visits, name: Names) -> None:
    """The dialogue says what it lacks."""
    visit.expect("failed: GET .*/workflows", "console: .*net::ERR_FAILED")
    page = await visit(name("alice"))
    await expect(page.get_by_role("heading", name="Nothing here yet")).to_be_visible()
    await page.route("**/api/workflows", lambda route: route.abort())
    await page.reload(wait_until="commit")
    await page.get_by_role("button", name="New session").click()
    dialog = page.get_by_role("dialog")
    await expect(dialog.get_by_role("button", name="Start session")).to_be_disabled()
    # By then the page has given up trying by itself.
    await expect(page.get_by_text("The server cannot be reached.")).to_be_visible()
    await page.unroute("**/api/workflows")
    await dialog.get_by_role("button", name="Load them again").click()
    await expect(dialog.get_by_role("radio", name="Master workflow")).to_be_checked()


async def test_the_list_moves_by_itself(visit: Visits, system: System, name: Names) -> None:
    """Newest activity first, whoever is active; what is deleted elsewhere goes."""
    alice = system.api(name("alice"))
    first, second = [await created(alice, title=title) for title in ("First", "Second")]
    page = await visit(name("alice"))
    await expect(titles(page)).to_have_text(["Second", "First"])
    await said(alice, first["id"], "Where do we start?")
    await expect(titles(page)).to_have_text(["First", "Second"])
    await expect(row(page, "First")).to_contain_text("Where do we start?")
    await created(alice, title="Third")
    await expect(titles(page)).to_have_text(["Third", "First", "Second"])
    good(await alice.delete(f"/api/sessions/{second['id']}"), 204)
    await expect(titles(page)).to_have_text(["Third", "First"])


async def test_a_row_tells_where_a_session_stands(
    visit: Visits, system: System, name: Names
) -> None:
    """Workflow, status, agent, steps by stage and the time that is left."""
    alice = system.api(name("alice"))
    session = await created(alice, title="Plan")
    good(await alice.post(f"/api/chat/{session['id']}/outputs", json={"content": "Draft"}), 201)
    good(await alice.put(f"/api/chat/{session['id']}/approve"))
    page = await visit(name("alice"))
    here = row(page, "Plan")
    for text in ("Master workflow", "Active", "with Persona strategist", "1 of 8 steps"):
        await expect(here).to_contain_text(text)
    await expect(here).to_contain_text("4 h 10 min left")
    bar = here.get_by_role("progressbar")
    await expect(bar).to_have_attribute("aria-valuetext", re.compile("Foundation 33 %, Strategy 0"))


async def test_search_and_status_narrow_the_list(
    visit: Visits, system: System, name: Names
) -> None:
    """Also for what changes while one looks."""
    alice = system.api(name("alice"))
    plan, other = [await created(alice, title=title) for title in ("Launch plan", "Other")]
    good(await alice.put(f"/api/sessions/{other['id']}/pause"))
    page = await visit(name("alice"))
    await expect(titles(page)).to_have_text(["Other", "Launch plan"])
    await page.get_by_role("searchbox").fill("LAUNCH")
    await expect(titles(page)).to_have_text(["Launch plan"])
    await said(alice, other["id"], "Now the launch is here, too")
    await expect(titles(page)).to_have_text(["Other", "Launch plan"])
    await page.get_by_role("radio", name="Paused").check()
    await expect(titles(page)).to_have_text(["Other"])
    good(await alice.put(f"/api/sessions/{plan['id']}/pause"))
    await expect(titles(page)).to_have_text(["Launch plan", "Other"])


async def test_more_is_loaded_when_it_is_wanted(visit: Visits, system: System, name: Names) -> None:
    """A page of 50, then the rest; each session once."""
    alice = system.api(name("alice"))
    for n in range(60):
        await created(alice, title=f"Session {n:02}", workflowId="chat")
    page = await visit(name("alice"))
    await expect(titles(page)).to_have_count(50)
    await page.get_by_role("button", name="Load more").click()
    await expect(titles(page)).to_have_text([f"Session {n:02}" for n in reversed(range(60))])
    await expect(page.get_by_role("button", name="Load more")).to_have_count(0)


async def test_a_list_that_begins_anew_is_as_long_as_was_wished(
    visit: Visits, system: System, name: Names
) -> None:
    """The page that was under way belongs to a list that is gone: more comes all the same."""
    alice = system.api(name("alice"))
    for n in range(60):
        await created(alice, title=f"Session {n:02}", workflowId="chat")
    page = await visit(name("alice"))
    await expect(titles(page)).to_have_count(50)
    begun_anew = asyncio.Event()

    async def hold(route: Route) -> None:
        await begun_anew.wait()
        await route.continue_()

    await page.route("**/sessions?*pageToken=*", hold)
    await page.get_by_role("button", name="Load more").click()
    async with page.expect_response(lambda answer: "/sessions?pageSize=50" in answer.url):
        await page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    begun_anew.set()
    await expect(titles(page)).to_have_text([f"Session {n:02}" for n in reversed(range(60))])
    await page.unroute("**/sessions?*pageToken=*")


async def test_a_session_is_renamed_in_place(visit: Visits, system: System, name: Names) -> None:
    """Enter keeps the new title, Escape the old one, and the focus comes back."""
    alice = system.api(name("alice"))
    session = await created(alice, title="Old")
    page = await visit(name("alice"))
    await page.get_by_role("button", name="Rename Old").click()
    await expect(page.get_by_role("textbox", name="Title")).to_be_focused()
    await page.keyboard.type("Dropped")
    await page.keyboard.press("Escape")
    await expect(page.get_by_role("button", name="Rename Old")).to_be_focused()
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("textbox", name="Title")).to_be_focused()
    await page.keyboard.type("New")
    await page.keyboard.press("Enter")
    await expect(titles(page)).to_have_text(["New"])
    await expect(page.get_by_role("button", name="Rename New")).to_be_focused()
    assert good(await alice.get(f"/api/sessions/{session['id']}"))["title"] == "New"


async def test_a_session_is_paused_and_resumed(visit: Visits, system: System, name: Names) -> None:
    """By one button."""
    session = await created(system.api(name("alice")), title="Plan")

    async def status() -> Any:
        shown = await system.api(name("alice")).get(f"/api/sessions/{session['id']}")
        return good(shown)["status"]

    page = await visit(name("alice"))
    await page.get_by_role("button", name="Pause Plan").click()
    await expect(row(page, "Plan")).to_contain_text("Paused")
    assert await status() == "paused"
    await page.get_by_role("button", name="Resume Plan").click()
    await expect(row(page, "Plan")).to_contain_text("Active")
    assert await status() == "active"


async def test_a_deletion_can_be_taken_back(visit: Visits, system: System, name: Names) -> None:
    """For five seconds; then the session is gone."""
    alice = system.api(name("alice"))
    kept, doomed = [await created(alice, title=title) for title in ("Kept", "Doomed")]
    page = await visit(name("alice"))
    await page.get_by_role("button", name="Delete Kept").click()
    await expect(titles(page)).to_have_text(["Doomed"])
    await page.get_by_role("button", name="Undo").click()
    await expect(titles(page)).to_have_text(["Doomed", "Kept"])
    await page.get_by_role("button", name="Delete Doomed").click()
    await expect(titles(page)).to_have_text(["Kept"])
    assert (await alice.get(f"/api/sessions/{doomed['id']}")).status_code == 200
    async with (
        asyncio.timeout(20),
        page.expect_response(lambda answer: answer.request.method == "DELETE") as deleted,
    ):
        pass
    assert (await deleted.value).status == 204
    assert (await alice.get(f"/api/sessions/{doomed['id']}")).status_code == 404
    assert (await alice.get(f"/api/sessions/{kept['id']}")).status_code == 200
    await expect(page.get_by_role("button", name="Undo")).to_have_count(0)


async def test_a_list_that_does_not_load_says_so(visit: Visits, name: Names) -> None:
    """And loads when it is asked again."""
    visit.expect("failed: GET .*/sessions", "console: .*net::ERR_FAILED")
    page = await visit(name("alice"))
    await expect(page.get_by_role("heading", name="Nothing here yet")).to_be_visible()
    await page.route("**/api/users/*/sessions*", lambda route: route.abort())
    await page.get_by_role("searchbox").fill("x")
    failure = page.get_by_role("heading", name="Your sessions did not load")
    await expect(failure).to_be_visible(timeout=20_000)
    await page.unroute("**/api/users/*/sessions*")
    await page.get_by_role("button", name="Try again").click()
    await expect(page.get_by_role("heading", name="No session matches")).to_be_visible()
