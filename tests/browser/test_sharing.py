"""The dashboard shares sessions: by name, by a link, and no longer."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from playwright.async_api import expect

from tests.browser.accessibility import axe
from tests.browser.visits import Visits
from tests.e2e.answers import good
from tests.e2e.system import System
from tests.e2e.talking import created, said

Names = Callable[[str], str]


async def test_an_owner_shares_and_stops_sharing(
    visit: Visits, system: System, name: Names
) -> None:
    """The member finds the session in their list at once, with their role, and loses it at once."""
    visit.expect("404")
    alice, bob = name("alice"), name("bob")
    session = await created(system.api(alice), title="Launch plan")
    other = await visit(bob)
    page = await visit(alice, f"/chat/{session['id']}")
    await page.get_by_role("button", name="Share the session").click()
    dialog = page.get_by_role("dialog", name="Shared with")
    await dialog.get_by_role("textbox", name="User to share with").fill(bob)
    await dialog.get_by_role("combobox", name="Role", exact=True).select_option("editor")
    await dialog.get_by_role("button", name="Share").click()
    await expect(dialog.get_by_role("listitem").filter(has_text=bob)).to_be_visible()
    row = other.get_by_role("listitem").filter(has_text="Launch plan")
    await expect(row).to_contain_text(f"{alice} shares it: Editor")
    await expect(row.get_by_role("button", name="Delete")).to_have_count(0)
    await dialog.get_by_role("combobox", name=f"Role of {bob}").select_option("viewer")
    await expect(row).to_contain_text("Viewer")
    await row.get_by_role("link", name="Continue Launch plan").click()
    await expect(other.get_by_role("heading", name="Launch plan")).to_be_visible()
    await dialog.get_by_role("button", name="Remove").click()
    gone = other.get_by_role("heading", name="This session is not here any more")
    await expect(gone).to_be_visible()


async def test_what_a_browser_cannot_ask_for_is_said(
    visit: Visits, system: System, name: Names
) -> None:
    """It would ask for another path, whatever escapes it; other clients can."""
    alice = name("alice")
    api = system.api(alice)
    session = await created(api, title="Launch plan")
    page = await visit(alice, f"/chat/{session['id']}")
    asked: list[str] = []
    await page.get_by_role("button", name="Share the session").click()
    dialog = page.get_by_role("dialog", name="Shared with")
    await expect(dialog.get_by_role("listitem")).to_have_count(1)
    page.on("request", lambda request: asked.append(request.url))
    for user in (".", ".."):
        await dialog.get_by_role("textbox", name="User to share with").fill(user)
        await dialog.get_by_role("button", name="Share").click()
        await expect(dialog.get_by_role("alert")).to_contain_text("A browser cannot ask for")
    assert asked == []
    await created(api, id="..", title="Up")
    await page.goto("/")
    await page.get_by_role("link", name="Up", exact=True).click()
    await expect(page.get_by_text("A browser cannot ask for")).to_be_visible()


async def test_what_a_member_may_not_do_is_not_offered(
    visit: Visits, system: System, name: Names
) -> None:
    """On the open page, as their role changes: a viewer reads, an approver decides."""
    alice, bob = name("alice"), name("bob")
    api = system.api(alice)
    session = await created(api, title="Launch plan")

    async def share(role: str) -> None:
        good(await api.put(f"/api/sessions/{session['id']}/members/{bob}", json={"role": role}))

    chat = f"/api/chat/{session['id']}"
    good(await api.post(f"{chat}/outputs", json={"content": "Sell it"}), 201)
    await share("viewer")
    page = await visit(bob, f"/chat/{session['id']}")
    await expect(page.get_by_text("You read this session as a viewer.")).to_be_visible()
    writing = page.get_by_role("textbox", name="Message")
    deciding = page.get_by_role("button", name="Approve")
    editing = [
        page.get_by_role("button", name=each, exact=True)
        for each in ("Rename Launch plan", "Pause the session", "Edit")
    ]
    for each in (writing, deciding, *editing):
        await expect(each).to_have_count(0)
    await share("approver")
    await expect(deciding).to_be_visible()
    for each in (writing, *editing):
        await expect(each).to_have_count(0)
    await share("editor")
    for each in (writing, *editing):
        await expect(each).to_be_visible()
    await expect(deciding).to_have_count(0)


async def test_a_link_lets_in_who_follows_it(visit: Visits, system: System, name: Names) -> None:
    """It is shown once, and leads into the session, also on an open page; a revoked one says so."""
    visit.expect("404")
    alice = name("alice")
    session = await created(system.api(alice), title="Launch plan")
    page = await visit(alice, f"/chat/{session['id']}")
    await page.get_by_role("button", name="Share the session").click()
    dialog = page.get_by_role("dialog", name="Shared with")
    await dialog.get_by_role("button", name="Make a link").click()
    shown = dialog.get_by_role("textbox", name="The link, shown only now")
    await expect(shown).to_have_value(re.compile(rf"/#join={re.escape(session['id'])}\."))
    link = (await shown.input_value()).split("/", 3)[3]
    bob = await visit(name("bob"))
    await expect(bob.get_by_role("heading", name="Sessions")).to_be_visible()
    await bob.evaluate("link => { location.hash = link; }", link)
    await expect(bob.get_by_role("heading", name="Launch plan")).to_be_visible()
    assert "join" not in bob.url
    members = good(await system.api(alice).get(f"/api/sessions/{session['id']}/members"))
    assert [each["userId"] for each in members["members"]] == [name("bob")]
    await dialog.get_by_role("button", name="Revoke").click()
    await expect(dialog.get_by_role("button", name="Revoke")).to_have_count(0)
    late = await visit(name("late"), f"/{link}")
    await expect(late.get_by_text("This link is good no longer.")).to_be_visible()


async def test_a_link_into_a_session_without_room_says_so(
    visit: Visits, system: System, name: Names
) -> None:
    """It is good, but nobody can join by it: the page says why, and shows the list."""
    visit.expect("413")
    api = system.api(name("alice"))
    session = await created(api, title="Launch plan")
    at = f"/api/sessions/{session['id']}"
    made = good(await api.post(f"{at}/links", json={"role": "viewer"}), 201)
    for number in range(32):
        good(await api.put(f"{at}/members/member-{number}", json={"role": "viewer"}))
    page = await visit(name("bob"), f"/#join={session['id']}.{made['secret']}")
    await expect(page.get_by_text("The session may have 32 members.")).to_be_visible()
    await expect(page.get_by_role("heading", name="Sessions")).to_be_visible()


@pytest.mark.parametrize("width", [320, 1280])
async def test_everybody_who_is_here_is_named(
    visit: Visits, system: System, name: Names, width: int
) -> None:
    """Four are seen at once, and all in a list that keys open and close."""
    alice, others = name("alice"), [name(f"guest{each}") for each in range(6)]
    api = system.api(alice)
    session = await created(api, title="Launch plan", workflowId="chat")
    path = f"/chat/{session['id']}"
    for other in others:
        member = f"/api/sessions/{session['id']}/members/{other}"
        good(await api.put(member, json={"role": "viewer"}))
        await expect((await visit(other, path)).get_by_role("heading", level=1)).to_be_visible()
    page = await visit(alice, path, viewport={"width": width, "height": 640})
    here = page.get_by_label("Others here: 6")
    await expect(here).to_contain_text("+2")
    await here.focus()
    await page.keyboard.press("Enter")
    for other in others:
        await expect(page.get_by_role("listitem").filter(has_text=other)).to_be_in_viewport()
    assert await axe(page) == []
    wide = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
    assert await page.evaluate(wide) == 0
    await page.keyboard.press("Escape")
    await expect(page.get_by_role("listitem").filter(has_text=others[0])).to_be_hidden()
    await page.get_by_label("Export", exact=True).click()
    await expect(page.get_by_role("button", name="Markdown")).to_be_in_viewport(ratio=1)


async def test_who_writes_in_a_shared_session_is_named(
    visit: Visits, system: System, name: Names
) -> None:
    """Each reads their own words as their own, and the other's under the other's name."""
    alice, bob = name("alice"), name("bob")
    session = await created(system.api(alice), title="Launch plan", workflowId="chat")
    member = f"/api/sessions/{session['id']}/members/{bob}"
    good(await system.api(alice).put(member, json={"role": "editor"}))
    path = f"/chat/{session['id']}"
    pages = {alice: await visit(alice, path), bob: await visit(bob, path)}
    for page in pages.values():
        await expect(page.get_by_role("heading", name="Launch plan", level=1)).to_be_visible()
    for user in (bob, alice):
        await said(system.api(user), session["id"], f"This is {user}")
    for reader, page in pages.items():
        for user in (bob, alice):
            voice = "You" if user == reader else user
            article = page.get_by_role("article", name=re.compile(f"^{re.escape(voice)}, "))
            await expect(article.filter(has_text=f"This is {user}")).to_have_count(1)
        # What is loaded says it, too.
        await page.reload()
        said_by_alice = page.get_by_role("article").filter(has_text=f"This is {alice}")
        await expect(said_by_alice).to_have_count(1)
        own = page.get_by_role("article", name=re.compile("^You, "))
        await expect(own).to_have_count(1)
        await expect(own).to_contain_text(f"This is {reader}")
