"""What axe-core says of a page."""

from __future__ import annotations

from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Page

_GRAVE = ("serious", "critical")


async def axe(page: Page) -> list[str]:
    """Return each serious fault of accessibility in the page as it is now, one line each."""
    found = (await Axe().run(page)).response
    return [
        f"{rule['id']} ({rule['impact']}): {rule['help']}: {node['target']}"
        for rule in found["violations"]
        if rule["impact"] in _GRAVE
        for node in rule["nodes"]
    ]
