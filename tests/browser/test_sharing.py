"""The dashboard shares sessions: by name, by a link, and no longer."""

from __future__ import annotations

import re
from collections.abc import Callable

from playwright.async_api import expect

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


async def test_a_link_lets_in_who_follows_it(visit: Visits, system: System, name: Names) -> None:
    """It is shown once, and leads into the session; a revoked one says so."""
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
    bob = await visit(name("bob"), f"/{link}")
    await expect(bob.get_by_role("heading", name="Launch plan")).to_be_visible()
    assert "join" not in bob.url
    members = good(await system.api(alice).get(f"/api/sessions/{session['id']}/members"))
    assert [each["userId"] for each in members["members"]] == [name("bob")]
    await dialog.get_by_role("button", name="Revoke").click()
    await expect(dialog.get_by_role("button", name="Revoke")).to_have_count(0)
    late = await visit(name("late"), f"/{link}")
    await expect(late.get_by_text("This link is good no longer.")).to_be_visible()


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
