"""Who signs in, where the token is kept, and what is left of a page when it ends."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import parse_qs, urlsplit

from playwright.async_api import Page, Route, expect

from cluster.sign_in import PATH
from tests.browser.visits import Visits
from tests.e2e.system import System
from tests.e2e.talking import created

Names = Callable[[str], str]


async def signs_in_with(page: Page, fragment: Callable[[str], str]) -> None:
    """From here on the sign-in page answers with this fragment, made from the state."""

    async def answer(route: Route) -> None:
        asked = parse_qs(urlsplit(route.request.url).query)
        there = f"{asked['return_to'][0]}#{fragment(asked['state'][0])}"
        await route.fulfill(status=303, headers={"Location": there})

    await page.route(f"**{PATH}?*", answer)


async def test_another_name_can_be_chosen(visit: Visits, name: Names) -> None:
    """In the same tab."""
    page = await visit(name("alice"))
    await expect(page.get_by_text(name("alice"))).to_be_visible()
    await page.get_by_role("button", name="Switch user").click()
    await page.get_by_label("Another name").fill(name("bob"))
    await page.get_by_role("button", name="Sign in").click()
    await expect(page.get_by_text(name("bob"))).to_be_visible()


async def test_a_token_that_was_not_asked_for_is_dropped(
    visit: Visits, system: System, name: Names
) -> None:
    """Nobody can sign somebody else in by a link."""
    page = await visit(name("alice"))
    await expect(page.get_by_text(name("alice"))).to_be_visible()
    await signs_in_with(page, lambda state: "error=access_denied&state=" + state)
    token = system.keys.user_token(name("mallory"))
    await page.goto("about:blank")
    await page.goto(f"/#token={token}&state=guessed")
    await expect(page.get_by_role("alert")).to_contain_text("not started in this tab")
    await expect(page.locator("#app")).not_to_contain_text(name("mallory"))
    assert "#" not in page.url
    await page.get_by_role("button", name="Sign in").click()
    await expect(page.get_by_role("alert")).to_contain_text("access_denied")


async def test_what_is_typed_outlives_the_token(visit: Visits, system: System, name: Names) -> None:
    """The banner comes before the end; signing in again leads back to the same words."""
    session = await created(system.api(name("alice")), title="Kept")
    page = await visit(name("alice"), f"/chat/{session['id']}")
    await expect(page.get_by_role("heading", name="Kept")).to_be_visible()
    token = system.keys.user_token(name("alice"), seconds=50)
    await signs_in_with(page, lambda state: f"token={token}&state={state}")
    await page.reload(wait_until="commit")
    banner = page.get_by_role("alert").filter(has_text="Your sign-in ends within a minute.")
    await expect(banner).to_be_visible()
    await page.get_by_role("textbox", name="Message").fill("half a thought")
    await page.unroute(f"**{PATH}?*")
    await banner.get_by_role("button", name="Sign in again").click()
    await expect(page.get_by_role("heading", name="Kept")).to_be_visible()
    await expect(page.get_by_role("textbox", name="Message")).to_have_value("half a thought")
    await expect(banner).to_have_count(0)


async def test_an_ended_sign_in_is_said(visit: Visits, system: System, name: Names) -> None:
    """What was loaded stays to be read. A development token is good for a day."""
    session = await created(system.api(name("alice")), title="Kept")
    page = await visit(name("alice"), f"/chat/{session['id']}")
    await expect(page.get_by_role("heading", name="Kept")).to_be_visible()
    await page.clock.install()
    await page.reload(wait_until="commit")
    await expect(page.get_by_role("heading", name="Kept")).to_be_visible()
    await page.clock.fast_forward("24:01:00")
    banner = page.get_by_role("alert").filter(has_text="Your sign-in has ended.")
    await expect(banner).to_be_visible()
    await expect(page.get_by_role("heading", name="Kept")).to_be_visible()
