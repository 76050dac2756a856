"""What administrators look after in the dashboard, and that nobody else finds it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import pytest
from playwright.async_api import Locator, Page, Route, expect

from tests.browser.accessibility import axe
from tests.browser.visits import Visits
from tests.e2e.answers import good
from tests.e2e.system import System
from tests.e2e.talking import created, said

Names = Callable[[str], str]

PLACES = ("/administration", "/administration/erasure", "/administration/changes")
HOSTILE = '<img src=x onerror="document.title=1">'
WIDE = "document.documentElement.scrollWidth - document.documentElement.clientWidth"


async def as_root(visit: Visits, system: System, path: str, **options: Any) -> Page:
    return await visit.bearer(system.keys.user_token("root", role="admin"), path, **options)


def rows(page: Page, user: str) -> Locator:
    """Return a user's rows in the list of everybody's sessions."""
    listed = page.get_by_role("list", name="Everybody's sessions, user by user")
    return listed.get_by_role("listitem").filter(has_text=user)


async def all_of(page: Page, user: str, count: int) -> None:
    """Load pages until so many rows of a user are here: other tests have sessions, too."""
    more, standing = page.get_by_role("button", name="Load more"), page.get_by_role("status")
    await expect(standing.filter(has_text="user by user")).to_be_visible()
    while await rows(page, user).count() < count and await more.count():
        await more.click()
        await expect(standing.filter(has_text="user by user")).to_be_visible()
    await expect(rows(page, user)).to_have_count(count)


@pytest.mark.parametrize("path", PLACES)
async def test_nobody_else_finds_it(visit: Visits, system: System, name: Names, path: str) -> None:
    """No link, and the page that stands at every place that is none; nothing is asked for."""
    page = await visit(name("alice"), path)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    await expect(page.get_by_role("heading", name="There is no such session")).to_be_visible()
    there = await page.locator("#app").inner_html()
    await page.goto("/administration/none")
    await expect(page.get_by_role("heading", name="There is no such session")).to_be_visible()
    assert await page.locator("#app").inner_html() == there
    await page.goto("/")
    await expect(page.get_by_role("heading", name="Sessions")).to_be_visible()
    await expect(page.get_by_role("link", name="Administration")).to_have_count(0)
    assert not [url for url in asked if "/api/admin" in url or "/api/changes" in url]
    service = await visit.bearer(system.keys.user_token("s", role="service"), path)
    await expect(service.get_by_role("heading", name="There is no such session")).to_be_visible()


async def test_all_sessions_are_listed_and_narrowed(
    visit: Visits, system: System, name: Names
) -> None:
    """Whosever they are, by status, workflow, inactivity and age; titles are text."""
    alice, bob = name("alice"), name("bob")
    await created(system.api(alice), title=HOSTILE)
    session = await created(system.api(alice), title="Paused one", workflowId="chat")
    good(await system.api(alice).put(f"/api/sessions/{session['id']}/pause"))
    await created(system.api(bob), title="Other")
    page = await as_root(visit, system, "/")
    await page.get_by_role("link", name="Administration").click()
    await all_of(page, alice, 2)
    await all_of(page, bob, 1)
    await expect(rows(page, alice).get_by_role("heading", name=HOSTILE)).to_be_visible()
    await page.get_by_role("radio", name="Paused").check()
    await expect(rows(page, bob)).to_have_count(0)
    await all_of(page, alice, 1)
    await page.get_by_role("combobox", name="Workflow").select_option("chat")
    await all_of(page, alice, 1)
    for days in ("Inactive for days", "Older than days"):
        field = page.get_by_role("spinbutton", name=days)
        await field.fill("1")
        await field.press("Enter")
        await expect(page.get_by_text("No session matches.")).to_be_visible()
        await field.fill("")
        await field.press("Enter")
        await all_of(page, alice, 1)
    await rows(page, alice).get_by_role("link", name="Paused one").click()
    await expect(page.get_by_role("heading", name="Paused one", level=1)).to_be_visible()


async def test_the_list_goes_on_page_by_page(visit: Visits, system: System) -> None:
    """A page may be empty and not the last one; a row that comes twice is shown once."""
    pages: list[list[str]] = [["a", "b"], [], ["b", "c"]]
    asked: list[str] = []

    async def answer(route: Route) -> None:
        asked.append(route.request.url)
        number = len(asked) - 1
        last = number == len(pages) - 1
        body = {
            "sessions": [summary(each) for each in pages[number]],
            "nextPageToken": "" if last else f"t{number}",
        }
        await route.fulfill(json=body)

    def summary(session_id: str) -> dict[str, Any]:
        made = "2026-01-02T03:04:05.000Z"
        return {
            "id": session_id,
            "userId": "ann",
            "workflowId": "chat",
            "status": "active",
            "title": session_id,
            "createdAt": made,
            "lastActive": made,
        }

    page = await as_root(visit, system, "/")
    await expect(page.get_by_role("heading", name="Sessions")).to_be_visible()
    await page.route("**/api/admin/sessions*", answer)
    await page.get_by_role("link", name="Administration").click()
    await expect(rows(page, "ann")).to_have_count(2)
    await page.get_by_role("button", name="Load more").click()
    await expect(rows(page, "ann")).to_have_count(3)
    await expect(page.get_by_role("button", name="Load more")).to_have_count(0)
    assert [re.findall(r"pageToken=(\w+)", url) for url in asked] == [[], ["t0"], ["t1"]]


async def test_a_session_is_held_from_the_list(visit: Visits, system: System, name: Names) -> None:
    """And let go again, each for a reason; the row says so."""
    alice = system.api(name("alice"))
    session = await created(alice, title="Launch plan")
    page = await as_root(visit, system, "/administration")
    await all_of(page, name("alice"), 1)
    row = rows(page, name("alice"))
    await row.get_by_role("button", name="Put Launch plan under a legal hold").click()
    await page.get_by_role("dialog").get_by_label("Why").fill("Smith v. Jones")
    await page.get_by_role("button", name="Hold the session").click()
    await expect(page.get_by_role("dialog")).to_have_count(0)
    await expect(row).to_contain_text("Legal hold")
    assert good(await alice.get(f"/api/sessions/{session['id']}"))["held"]
    await row.get_by_role("button", name="End the legal hold of Launch plan").click()
    await page.get_by_role("dialog").get_by_label("Why").fill("Settled")
    await page.get_by_role("button", name="End the hold").click()
    await expect(row).not_to_contain_text("Legal hold")
    assert "held" not in good(await alice.get(f"/api/sessions/{session['id']}"))


async def test_an_administrator_erases_a_user_and_sees_the_receipt(
    visit: Visits, system: System, name: Names
) -> None:
    """Only after typing the name once more; the receipt is there once it is done."""
    visit.expect("404")
    alice = name("alice")
    page = await as_root(visit, system, "/administration/erasure")
    await page.get_by_role("textbox", name="User to erase").fill(alice)
    await page.get_by_role("button", name="Go on…").click()
    dialog = page.get_by_role("dialog", name=f"Erase {alice}")
    erase = dialog.get_by_role("button", name="Erase everything")
    await expect(erase).to_be_disabled()
    await dialog.get_by_role("textbox").fill(alice)
    assert await axe(page) == []
    await erase.click()
    await expect(dialog.get_by_role("status")).to_contain_text("It is done soon.")
    asked = good(await system.api(alice).get(f"/api/users/{alice}/erasure"))
    assert asked["requestedBy"]["subject"] == "root"
    receipt = asked | {
        "completedAt": "2026-11-29T08:00:30.000Z",
        "sessions": 2,
        "shares": 1,
        "templates": 0,
        "heldSessionIds": ["s1"],
    }
    # Nobody here does erasures.
    await page.route("**/erasure", lambda route: route.fulfill(json=receipt))
    await dialog.get_by_role("button", name="Look again").click()
    await expect(dialog.get_by_role("status")).to_contain_text("2 sessions and 0 templates deleted")
    await expect(dialog.get_by_role("status")).to_contain_text("A legal hold keeps 1 session.")


def changes(page: Page) -> Locator:
    return page.get_by_role("list", name="Changes, newest first").get_by_role("listitem")


async def test_changes_are_seen_as_they_come(visit: Visits, system: System, name: Names) -> None:
    """Paused, they wait, and then come all; contents of messages are not among them."""
    alice = system.api(name("alice"))
    session = await created(alice, workflowId="chat")
    page = await as_root(visit, system, "/administration")
    mine = changes(page).filter(has_text=session["id"])
    async with page.expect_response("**/api/changes"):
        await page.get_by_role("link", name="Changes").click()
    await said(alice, session["id"], "Nobody's business")
    await expect(mine).to_have_count(1)
    await expect(mine).to_contain_text(f"Message appendedevent 2by {name('alice')}")
    await page.get_by_role("button", name="Pause").click()
    await expect(page.get_by_role("status").filter(has_text="Paused.")).to_be_visible()
    await said(alice, session["id"], "Two")
    good(await alice.delete(f"/api/sessions/{session['id']}"), 204)
    await page.wait_for_timeout(1000)
    await expect(mine).to_have_count(1)
    await page.get_by_role("button", name="Resume").click()
    await expect(mine).to_have_count(3)
    await expect(mine.first).to_contain_text("Deleted")
    await expect(page.get_by_text("Nobody's business")).to_have_count(0)


async def test_the_tail_is_bounded_and_tells_of_a_reset(visit: Visits, system: System) -> None:
    """The newest 200, of however many; a reset stands among them where it was said."""

    def told(seq: int) -> str:
        event = {
            "sessionId": "s1",
            "seq": seq,
            "time": "2026-11-29T08:00:00.000Z",
            "actor": {"subject": HOSTILE},
            "sessionPaused": {},
        }
        change = {"changed": {"userId": "ann", "workflowId": "chat", "event": event}}
        return f"event: changed\nid: c{seq}\ndata: {json.dumps(change)}\n\n"

    stream = "".join(map(told, range(1, 301)))
    stream += 'event: reset\nid: c301\ndata: {"reset": {}}\n\n' + told(301)
    stream += 'event: goaway\ndata: {"goaway": {"reconnect": false, "retryAfterMs": 0}}\n\n'
    headers = {"Content-Type": "text/event-stream"}
    page = await as_root(visit, system, "/administration")
    await expect(page.get_by_role("heading", name="Administration")).to_be_visible()
    await page.route("**/api/changes", lambda route: route.fulfill(body=stream, headers=headers))
    await page.get_by_role("link", name="Changes").click()
    await expect(changes(page)).to_have_count(200)
    await expect(changes(page).nth(0)).to_contain_text("event 301")
    await expect(changes(page).nth(1)).to_contain_text("Reset.")
    await expect(changes(page).nth(199)).to_contain_text("event 103")
    await expect(changes(page).nth(0)).to_contain_text(f"by {HOSTILE}")


@pytest.mark.parametrize("look", ["light", "dark", "narrow"])
async def test_every_place_of_it_is_accessible(
    visit: Visits, system: System, name: Names, look: str
) -> None:
    """To those who listen, in the dark, and where there is little room; by keys alone, too."""
    visit.expect("404")  # nobody asked for this erasure
    options: dict[str, dict[str, Any]] = {
        "light": {"color_scheme": "light"},
        "dark": {"color_scheme": "dark"},
        "narrow": {"viewport": {"width": 320, "height": 640}, "reduced_motion": "reduce"},
    }
    # A name that begins the list, and is as long as one may be.
    user = f"!{name('alice')}-".ljust(128, "x")
    session = await created(system.api(user), title="A plan with a rather long title " * 4)
    hold = f"/api/sessions/{session['id']}/hold"
    good(await system.api("root", role="admin").put(hold, json={"held": True}))
    page = await as_root(visit, system, "/", **options[look])
    await page.get_by_role("link", name="Administration").focus()
    await page.keyboard.press("Enter")
    await all_of(page, user, 1)
    await expect(rows(page, user)).to_contain_text("Legal hold")

    async def sound() -> None:
        assert await axe(page) == []
        assert await page.evaluate(WIDE) == 0, "the page scrolls sideways"

    async def go(name: str) -> None:
        link = page.get_by_role("link", name=name)
        await link.focus()
        await page.keyboard.press("Enter")
        await expect(link).to_have_attribute("aria-current", "page")

    await sound()
    await go("Erase a user")
    await page.get_by_role("textbox", name="User to erase").fill(user)
    await sound()
    await page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog")
    await expect(dialog.get_by_role("button", name="Erase everything")).to_be_visible()
    await sound()
    assert await dialog.evaluate("dialog => dialog.scrollWidth - dialog.clientWidth") == 0
    await page.keyboard.press("Escape")
    await expect(dialog).to_have_count(0)
    async with page.expect_response("**/api/changes"):
        await go("Changes")
    await said(system.api(user), session["id"], "Hello")
    await expect(changes(page).filter(has_text=session["id"])).to_have_count(1)
    await sound()
