"""The eye on a page sees what goes wrong in it; otherwise a quiet test proves nothing."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable

import pytest_asyncio
from playwright.async_api import Browser, expect

from tests.browser.accessibility import axe
from tests.browser.visits import Visits
from tests.e2e.system import System, until

HARM = """() => {
  const add = (name, more) => {
    document.body.append(Object.assign(document.createElement(name), more));
  };
  console.error("said");
  setTimeout(() => { throw new Error("thrown"); });
  add("script", { textContent: "console.error('inline code ran')" });
  document.body.setAttribute("style", "color: red");
  add("img", { src: "https://elsewhere.example/a.png", alt: "" });
  fetch("https://elsewhere.example/").catch(() => {});
  fetch("/api/workflows");
}"""
SEEN = (
    "^console: said",
    "^exception: .*thrown",
    "^console: .*Content Security Policy.*script-src",
    "^console: .*Content Security Policy.*style-src",
    "^console: .*Content Security Policy.*img-src",
    "^console: .*Content Security Policy.*connect-src",
    "^answered: GET .*/api/workflows: 401$",
)


@pytest_asyncio.fixture
async def visits(browser: Browser, system: System) -> AsyncIterator[Visits]:
    """Visits that nobody judges in the end."""
    made = Visits(browser, system)
    yield made
    await made.end()


async def test_what_goes_wrong_is_seen_unless_it_was_expected(
    visits: Visits, name: Callable[[str], str]
) -> None:
    """Errors, exceptions, refusals, and whatever the Content-Security-Policy keeps out."""
    page = await visits(name("alice"))
    await expect(page).not_to_have_url(re.compile("#"))
    assert visits.faults == []
    await page.evaluate(HARM)

    async def all_seen() -> bool:
        return all(any(re.search(each, fault) for fault in visits.faults) for each in SEEN)

    await until(all_seen)
    assert not any("inline code ran" in fault for fault in visits.faults)
    visits.expect("^console: ", "^exception: ", "^failed: ")
    assert all(fault.startswith("answered: ") for fault in visits.faults)


async def test_axe_finds_what_a_screen_reader_cannot_tell(
    visit: Visits, name: Callable[[str], str]
) -> None:
    """The strict policy of the page does not keep axe out."""
    page = await visit(name("alice"))
    await expect(page).not_to_have_url(re.compile("#"))
    await page.evaluate("document.body.append(document.createElement('button'))")
    assert any("button-name" in fault for fault in await axe(page))
