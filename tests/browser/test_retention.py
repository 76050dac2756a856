"""The dashboard shows what is held, and lets people erase themselves."""

from __future__ import annotations

from collections.abc import Callable

from playwright.async_api import expect

from tests.browser.accessibility import axe
from tests.browser.visits import Visits
from tests.e2e.answers import good
from tests.e2e.system import System
from tests.e2e.talking import created

Names = Callable[[str], str]


async def test_a_held_session_says_so_and_offers_no_deletion(
    visit: Visits, system: System, name: Names
) -> None:
    """In the list and in the session, from the moment on that it is held, until it is not."""
    alice, admin = name("alice"), system.api("root", role="admin")
    session = await created(system.api(alice), title="Launch plan")
    hold = f"/api/sessions/{session['id']}/hold"
    page, chat = await visit(alice), await visit(alice, f"/chat/{session['id']}")
    row = page.get_by_role("listitem").filter(has_text="Launch plan")
    await expect(row.get_by_role("button", name="Delete")).to_have_count(1)
    await expect(chat.get_by_role("heading", name="Launch plan")).to_be_visible()
    good(await admin.put(hold, json={"held": True}))
    await expect(row).to_contain_text("Legal hold")
    await expect(row.get_by_role("button", name="Delete")).to_have_count(0)
    await expect(chat.get_by_text("Legal hold")).to_be_visible()
    good(await admin.put(hold, json={"held": False}))
    await expect(row.get_by_role("button", name="Delete")).to_have_count(1)
    await expect(chat.get_by_text("Legal hold")).to_have_count(0)


async def test_an_administrator_holds_a_session_and_lets_it_go(
    visit: Visits, system: System, name: Names
) -> None:
    """At the head of the session, and says why; nobody else is offered that."""
    alice = system.api(name("alice"))
    session = await created(alice, title="Launch plan")
    at = f"/chat/{session['id']}"
    page = await visit.bearer(system.keys.user_token("root", role="admin"), at)
    await page.get_by_role("button", name="Put under a legal hold").click()
    dialog = page.get_by_role("dialog", name="Legal hold")
    assert await axe(page) == []
    await expect(dialog.get_by_role("button", name="Hold the session")).to_be_disabled()
    await dialog.get_by_label("Why").fill(" Smith v. Jones ")
    await dialog.get_by_role("button", name="Hold the session").click()
    await expect(dialog).to_have_count(0)
    await expect(page.get_by_text("Legal hold")).to_be_visible()
    assert good(await alice.get(f"/api/sessions/{session['id']}"))["held"]
    assert await axe(page) == []
    owner = await visit(name("alice"), at)
    await expect(owner.get_by_text("Legal hold")).to_be_visible()
    await expect(owner.get_by_role("button", name="legal hold")).to_have_count(0)
    await page.get_by_role("button", name="End the legal hold").click()
    await page.get_by_role("dialog").get_by_label("Why").fill("Settled")
    await page.get_by_role("button", name="End the hold").click()
    await expect(owner.get_by_text("Legal hold")).to_have_count(0)
    assert "held" not in good(await alice.get(f"/api/sessions/{session['id']}"))
    exported = await alice.get(f"/api/sessions/{session['id']}/export")
    told = [each["holdSet"] for each in exported.json()["events"] if "holdSet" in each]
    assert [(each["held"], each["reason"]) for each in told] == [
        (True, "Smith v. Jones"),
        (False, "Settled"),
    ]


async def test_who_is_signed_in_may_ask_to_be_erased(
    visit: Visits, system: System, name: Names
) -> None:
    """Only after typing their own name; then the page says that it is asked for."""
    visit.expect("404")
    alice = name("alice")
    page = await visit(alice)
    await page.get_by_role("button", name="Erase my data").click()
    dialog = page.get_by_role("dialog", name="Erase my data")
    erase = dialog.get_by_role("button", name="Erase everything")
    await expect(erase).to_be_disabled()
    await dialog.get_by_role("textbox").fill(alice + "x")
    await expect(erase).to_be_disabled()
    await dialog.get_by_role("textbox").fill(alice)
    assert await axe(page) == []
    await erase.click()
    await expect(dialog.get_by_role("status")).to_contain_text("It is done soon.")
    asked = good(await system.api(alice).get(f"/api/users/{alice}/erasure"))
    assert asked["requestedBy"]["subject"] == alice
    await expect(erase).to_have_count(0)
