"""Texts that want to be more than text stay text."""

from __future__ import annotations

import re
from collections.abc import Callable

from playwright.async_api import expect

from tests.browser.visits import Visits
from tests.e2e.system import System
from tests.e2e.talking import created, said

Names = Callable[[str], str]

HOSTILE = [
    "<script>window.harmed = 1</script>",
    '<img src="x" onerror="window.harmed = 1"><svg onload="window.harmed = 1">',
    "[click](javascript:window.harmed=1)",
    "[click](JaVaScRiPt:window.harmed=1) [data](data:text/html,<script>1</script>)",
    '[click](https://example.com/" onmouseover="window.harmed=1)',
    "</div></body><iframe src=javascript:window.harmed=1></iframe>",
    "`<b>` **<i>x</i>** <javascript:window.harmed=1>",
    "&lt;script&gt; &amp; &#x3C;",
    "__proto__ constructor ${window.harmed = 1} {{7*7}}",
]


async def test_a_message_stays_text(visit: Visits, system: System, name: Names) -> None:
    """In the list, the title, the conversation, inputs and outputs; nothing of it is run."""
    alice = system.api(name("alice"))
    session = await created(alice, title=HOSTILE[1], userInputs={HOSTILE[0]: HOSTILE[0]})
    for text in HOSTILE:
        await said(alice, session["id"], text)
    await alice.post(f"/api/chat/{session['id']}/outputs", json={"content": HOSTILE[0]})
    page = await visit(name("alice"))
    await expect(page.get_by_role("heading", name=HOSTILE[1])).to_be_visible()
    await page.get_by_role("link", name="Continue").click()
    bubbles = page.locator(".bubble")
    await expect(bubbles).to_have_count(len(HOSTILE))
    for bubble, text in zip(await bubbles.all(), HOSTILE, strict=True):
        plain = re.sub(r"\*\*|__|`", "", text)
        await expect(bubble).to_have_text(plain)
    await expect(page.locator(".output .prose")).to_have_text(HOSTILE[0])
    made = "main :is(script, iframe, img, svg[onload], object, embed, [onerror], [onmouseover])"
    await expect(page.locator(made)).to_have_count(0)
    # An address in the open is a link, and leads to nothing but itself.
    links = await page.locator(".bubble a").evaluate_all("found => found.map(each => each.href)")
    assert links == ["https://example.com/"]
    assert await page.evaluate("window.harmed") is None


async def test_links_leave_safely(visit: Visits, system: System, name: Names) -> None:
    """In a tab of their own, which learns nothing of ours."""
    alice = system.api(name("alice"))
    session = await created(alice)
    await said(alice, session["id"], "[home](https://example.com/a?b=1) or mail [us](mailto:a@b.c)")
    await said(alice, session["id"], "See https://example.com/x_y_z. And *that* (it is).")
    page = await visit(name("alice"), f"/chat/{session['id']}")
    links = page.locator(".bubble a")
    await expect(links).to_have_text(["home", "us", "https://example.com/x_y_z"])
    for link in await links.all():
        await expect(link).to_have_attribute("rel", "noopener noreferrer")
        await expect(link).to_have_attribute("target", "_blank")
    await expect(page.locator(".bubble em")).to_have_text("that")


async def test_text_from_right_to_left_stays_in_its_place(
    visit: Visits, system: System, name: Names
) -> None:
    """It runs its own way inside its block, and turns nothing around outside."""
    alice = system.api(name("alice"))
    session = await created(alice, title="\u202eoge \u05e9\u05dc\u05d5\u05dd")
    await said(alice, session["id"], "\u05e9\u05dc\u05d5\u05dd \u05e2\u05d5\u05dc\u05dd, hello")
    await said(alice, session["id"], "plain \u202e reversed")
    page = await visit(name("alice"), f"/chat/{session['id']}")
    hebrew, plain = page.locator(".bubble p").first, page.locator(".bubble p").last
    await expect(hebrew).to_have_css("direction", "rtl")
    await expect(plain).to_have_css("direction", "ltr")
    await expect(page.locator("main")).to_have_css("direction", "ltr")
    await expect(page.get_by_role("heading", level=1).locator("bdi")).to_have_count(1)


async def test_marks_without_end_do_not_stop_the_page(
    visit: Visits, system: System, name: Names
) -> None:
    """Large messages of nothing but marks: they are shown, and one goes on."""
    alice = system.api(name("alice"))
    session = await created(alice)
    for mark in ("*a ", "**", "[", "`a``", "> ", "- a\n", "<", "_a*b ", "[a](b "):
        await said(alice, session["id"], (mark * 400_000)[: 256 * 1024])
    await said(alice, session["id"], "the end")
    page = await visit(name("alice"), f"/chat/{session['id']}")
    await expect(page.get_by_text("the end")).to_be_visible()
    await page.get_by_role("button", name="Show all of it").first.click()
    await page.get_by_role("textbox", name="Message").fill("still here")
    await page.keyboard.press("Enter")
    await expect(page.locator(".bubble").last).to_have_text("still here")
