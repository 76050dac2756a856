"""Forking from a message, and importing a file, as a person does it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable

from playwright.async_api import Page, expect

from tests.browser.accessibility import axe
from tests.browser.visits import Visits
from tests.e2e.answers import good
from tests.e2e.system import System
from tests.e2e.talking import created, said

Names = Callable[[str], str]


async def test_one_forks_from_a_message_and_is_there(
    visit: Visits, system: System, name: Names
) -> None:
    """The new session has what was said until then, says where it comes from, and goes on."""
    alice = system.api(name("alice"))
    session = await created(alice, workflowId="chat", title="Together")
    for content in ("one", "two", "three"):
        await said(alice, session["id"], content)
    page = await visit(name("alice"), f"/chat/{session['id']}")
    two = page.get_by_role("article").filter(has_text="two")
    await two.hover()
    await two.get_by_role("button", name="As it was after this message").click()
    assert await axe(page) == []
    await page.get_by_role("button", name="Fork from here").click()
    origin = page.get_by_role("link", name="forked from another session, after its event 3")
    await expect(origin).to_be_visible()
    await expect(page).not_to_have_url(re.compile(re.escape(session["id"])))
    await expect(page.get_by_role("article").filter(has_text="two")).to_have_count(1)
    await expect(page.get_by_role("article").filter(has_text="three")).to_have_count(0)
    await page.get_by_role("textbox", name="Message").fill("another way")
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("article").filter(has_text="another way")).to_contain_text("Sent")
    await origin.click()
    await expect(page.get_by_role("article").filter(has_text="three")).to_have_count(1)


async def test_one_imports_a_file_and_is_there(visit: Visits, system: System, name: Names) -> None:
    """A second time it says that it is there; a file that is none is refused in words."""
    visit.expect("400")
    alice = system.api(name("alice"))
    session = await created(alice, workflowId="chat", title="Kept")
    await said(alice, session["id"], "hello")
    answer = await alice.get(f"/api/sessions/{session['id']}/export")
    copy = name("copy")
    exported = answer.text.replace(json.dumps(session["id"]), json.dumps(copy)).encode()
    page = await visit(name("alice"), "/")
    await choose(page, "kept.json", exported)
    await expect(page.get_by_role("heading", name="Kept", level=1)).to_be_visible()
    await expect(page.get_by_role("article").filter(has_text="hello")).to_have_count(1)
    assert good(await alice.get(f"/api/sessions/{copy}"))["revision"] == 2
    await page.get_by_role("link", name="To your sessions").click()
    await choose(page, "kept.json", exported)
    await expect(page.get_by_text("This session is here already.")).to_be_visible()
    await page.get_by_role("link", name="To your sessions").click()
    await choose(page, "none.ndjson", b"hello")
    await expect(page.locator(".toast.is-failure")).to_be_visible()
    assert await axe(page) == []


async def choose(page: Page, file: str, content: bytes) -> None:
    """Choose a file to be imported, as the browser's dialogue does."""
    async with page.expect_file_chooser() as opening:
        await page.get_by_role("button", name="Import").click()
    await (await opening.value).set_files(
        {"name": file, "mimeType": "application/octet-stream", "buffer": content}
    )
