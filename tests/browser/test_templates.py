"""Templates in the dashboard: a session is saved as one, and another begins with it."""

from __future__ import annotations

import re
from collections.abc import Callable

from playwright.async_api import expect

from tests.browser.accessibility import axe
from tests.browser.visits import Visits
from tests.e2e.answers import good
from tests.e2e.system import System
from tests.e2e.talking import created

Names = Callable[[str], str]
NAME, TITLE = re.compile("^Name"), re.compile("^Title")


async def test_a_session_is_saved_as_a_template_and_begun_again(
    visit: Visits, system: System, name: Names
) -> None:
    """What is not changed comes as it was, numbers too."""
    alice = system.api(name("alice"))
    inputs = {"market": "EU", "seats": 12}
    made = await created(alice, title="Launch", workflowId="chat", userInputs=inputs)
    page = await visit(name("alice"), f"/chat/{made['id']}")
    await page.get_by_role("button", name="Save as a template").click()
    dialog = page.get_by_role("dialog", name="Save as a template")
    await dialog.get_by_role("textbox", name=NAME).fill("launch")
    await dialog.get_by_role("textbox", name=TITLE).fill("Launch in {input.market}")
    assert await axe(page) == []
    await dialog.get_by_role("button", name="Save template").click()
    await expect(page.get_by_text("“launch” is saved.")).to_be_visible()
    await page.get_by_role("link", name="To your sessions").click()
    await page.get_by_role("button", name="New session").click()
    dialog = page.get_by_role("dialog", name="New session")
    await dialog.get_by_role("combobox", name="Begin with").select_option("launch")
    await expect(dialog.get_by_role("radio", name="Chat")).to_be_checked()
    await expect(dialog.get_by_role("textbox", name="Value of input 2")).to_have_value("12")
    assert await axe(page) == []
    await dialog.get_by_role("textbox", name="Value of input 1").fill("US")
    await dialog.get_by_role("button", name="Start session").click()
    await expect(page.get_by_role("heading", level=1, name="Launch in US")).to_be_visible()
    session_id = page.url.rsplit("/", 1)[1]
    begun = good(await alice.get(f"/api/sessions/{session_id}"))
    assert (begun["workflowId"], begun["userInputs"]) == ("chat", {"market": "US", "seats": 12})


async def test_a_name_that_is_taken_by_a_workflow_is_refused_in_the_dialogue(
    visit: Visits, system: System, name: Names
) -> None:
    """With what was filled in still there."""
    visit.expect("answered: PUT .*/templates/chat: 400", "console: .* 400")
    made = await created(system.api(name("alice")), title="Launch")
    page = await visit(name("alice"), f"/chat/{made['id']}")
    await page.get_by_role("button", name="Save as a template").click()
    dialog = page.get_by_role("dialog")
    await dialog.get_by_role("textbox", name=NAME).fill("chat")
    await dialog.get_by_role("button", name="Save template").click()
    await expect(dialog.get_by_role("alert")).to_contain_text("must not be the id of a workflow")
    await expect(dialog.get_by_role("textbox", name=NAME)).to_have_value("chat")


async def test_a_template_is_deleted_where_it_is_chosen(
    visit: Visits, system: System, name: Names
) -> None:
    """At the second word, and what it filled in is gone with it."""
    alice = system.api(name("alice"))
    template = f"/api/users/{name('alice')}/templates/launch"
    good(await alice.put(template, json={"workflowId": "chat", "userInputs": {"market": "EU"}}))
    page = await visit(name("alice"))
    await page.get_by_role("button", name="New session").click()
    dialog = page.get_by_role("dialog", name="New session")
    choice = dialog.get_by_role("combobox", name="Begin with")
    await choice.select_option("launch")
    await expect(dialog.get_by_role("textbox", name="Value of input 1")).to_have_value("EU")
    await dialog.get_by_role("button", name="Delete this template").click()
    assert good(await alice.get(template))["name"] == "launch"
    await dialog.get_by_role("button", name="Delete it for good").click()
    await expect(choice).to_have_count(0)
    await expect(dialog.get_by_role("textbox", name="Value of input 1")).to_have_value("")
    assert (await alice.get(template)).status_code == 404
