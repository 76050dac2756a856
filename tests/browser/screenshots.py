"""Take the pictures of the README from the real thing: `python -m tests.browser.screenshots`."""

from __future__ import annotations

import asyncio
import os
import random
import shutil
import tempfile
from pathlib import Path
from typing import Any

from playwright.async_api import Page, async_playwright, expect

from cluster.etcd_binary import find_etcd, in_package
from cluster.ports import free_ports
from cluster.topology import Topology
from tests.browser.agents import agent_in
from tests.browser.visits import Visits
from tests.e2e.answers import good
from tests.e2e.system import System, running
from tests.e2e.talking import created, said

PICTURES = Path("docs/screenshots")
USER = "alice"
WIDE = {"width": 1280, "height": 800}
NARROW = {"width": 360, "height": 740}

FOUNDATION = """### Who it is for

Commuters of 25 to 45 in Lyon, Ghent and Utrecht who drive less than 12 km to work.

### How we reach them

1. **Employers** with a mobility budget: 40 of them can be named today.
2. **Repair shops** as partners: they lend the bicycle for the first week.
3. Search and maps for *e-bike lease*, within each city alone.

> One week on the bicycle convinces more people than any page of ours.
"""

PERSONAS = """### Nadia, 34, Ghent

Works at a hospital, 7 km from home. Sold her second car and has not replaced it.

- **Wants** to arrive dry, on time, and without a word about maintenance.
- **Fears** theft, and being left alone with a flat battery.
- **Decides** after a week on loan, together with her partner.

### Luc, 41, Lyon

Runs a team of twelve. His employer pays a mobility budget that he never uses up.
"""

ANSWER = (
    "The **first week** decides. I would lend the bicycle through repair shops, and ask one "
    "question on day five:\n\n- *Would you miss it on Monday?*\n\nOf those who say yes, about a "
    "third should sign within two weeks. That gives us a figure to test before we"
)


async def furnished(system: System) -> str:
    """Make the sessions that are shown; return the id of the one that is opened."""
    api = system.api(USER)

    async def at_step(title: str, steps: int, last: str) -> str:
        session = await created(api, title=title)
        for _ in range(steps):
            good(await api.post(f"/api/chat/{session['id']}/outputs", json={"content": "-"}), 201)
            good(await api.put(f"/api/chat/{session['id']}/approve"))
        await said(api, session["id"], last)
        return str(session["id"])

    pricing = await at_step("Pricing for employers", 1, "Which of the segments do we begin with?")
    good(await api.put(f"/api/sessions/{pricing}/pause"))
    await at_step("Spring campaign", 8, "All eight steps are approved. Thank you.")
    quick = await created(api, title="Notes on leasing law", workflowId="chat")
    await said(api, quick["id"], "Does the lease count as a benefit in kind in Belgium?")
    await at_step("Repair network in Flanders", 4, "Let us talk about churn in the second year.")
    launch = await created(
        api, title="E-bike launch in three cities", userInputs={"market": "FR, BE, NL"}
    )
    await said(api, launch["id"], "We lease e-bikes to commuters. Where do we start?")
    async with agent_in(system, launch["id"]) as agent:
        async with agent.turn() as turn:
            await turn.write("I have read it. Here is a first draft of the foundation.")
        await agent.submit_output(FOUNDATION, quality_score=0.87)
        good(await api.put(f"/api/chat/{launch['id']}/approve", json={"feedback": "Exactly."}))
        await said(api, launch["id"], "Good. Who are these people, really?")
        await agent.submit_output(PERSONAS, quality_score=0.91)
        async with agent.turn() as turn:
            await turn.write("Two personas, from eleven interviews. Tell me who is missing.")
    return str(launch["id"])


async def take(page: Page, name: str) -> None:
    await page.screenshot(path=PICTURES / f"{name}.png", animations="disabled")


async def picture(visit: Visits, system: System) -> None:
    session_id = await furnished(system)
    page = await visit(USER, viewport=WIDE)
    await expect(page.get_by_role("listitem")).to_have_count(5)
    await take(page, "list")
    looks: dict[str, dict[str, Any]] = {
        "approval": {"viewport": WIDE},
        "dark": {"viewport": WIDE, "color_scheme": "dark"},
        "narrow": {"viewport": NARROW, "device_scale_factor": 2},
    }
    for name, look in looks.items():
        page = await visit(USER, f"/chat/{session_id}", **look)
        await expect(page.get_by_role("button", name="Approve")).to_be_in_viewport()
        await take(page, name)
    api = system.api(USER)
    good(await api.put(f"/api/chat/{session_id}/approve"))
    await said(api, session_id, "And what makes them stay?")
    page = await visit(USER, f"/chat/{session_id}", viewport=WIDE)
    async with agent_in(system, session_id) as agent, agent.turn() as turn:
        await turn.write(ANSWER)
        await expect(page.locator(".is-writing")).to_contain_text("before we")
        await take(page, "streaming")


async def main() -> None:
    """Start everything, furnish it, take the pictures."""
    ports = free_ports(random.SystemRandom())
    arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
    with tempfile.TemporaryDirectory() as home:
        topology = Topology.anywhere(ports, sign_in=True)
        binary = find_etcd(os.environ, in_package())
        async with (
            running(topology, Path(home), binary) as system,
            async_playwright() as playwright,
        ):
            browser = await playwright.chromium.launch(
                executable_path=shutil.which("chromium"), args=arguments
            )
            visit = Visits(browser, system)
            await picture(visit, system)
            await visit.end()
            await browser.close()
    assert visit.faults == [], visit.faults


if __name__ == "__main__":
    PICTURES.mkdir(parents=True, exist_ok=True)
    asyncio.run(main())
