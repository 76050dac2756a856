"""The export menu of an open session, as a person uses it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from playwright.async_api import expect

from tests.browser.accessibility import axe
from tests.browser.visits import Visits
from tests.e2e.answers import good
from tests.e2e.system import System


async def test_a_session_is_kept_as_a_file(
    visit: Visits, system: System, name: Callable[[str], str]
) -> None:
    """The menu names the formats; the file has the session's id as its name."""
    api, session_id = system.api(name("alice")), name("kept")
    body = {"id": session_id, "workflowId": "chat", "title": "Launch plan"}
    good(await api.post("/api/sessions", json=body), 201)
    good(await api.post(f"/api/chat/{session_id}/messages", json={"content": "hello"}), 201)
    page = await visit(name("alice"), f"/chat/{session_id}")
    menu = page.get_by_label("Export", exact=True)
    await menu.click()
    assert await axe(page) == []
    async with page.expect_download() as coming:
        await page.get_by_role("button", name="Markdown").click()
    download = await coming.value
    assert download.suggested_filename == f"{session_id}.md"
    assert "> hello" in read(await download.path())
    await expect(page.get_by_role("button", name="Markdown")).to_be_hidden()
    await menu.click()
    await page.keyboard.press("Escape")
    await expect(page.get_by_role("button", name="Markdown")).to_be_hidden()


def read(path: Path) -> str:
    """The text of a file."""
    return path.read_text(encoding="utf-8")
