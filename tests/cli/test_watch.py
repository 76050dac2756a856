"""`sessiond watch`, before real parts."""

from __future__ import annotations

import asyncio
import json

from tests.cli.running import PATIENCE, Command, interrupted, line_with


async def test_a_list_is_followed_until_ctrl_c(sessiond: Command) -> None:
    """First as it is, then each change; Ctrl-C is how it ends, without a complaint."""
    before, after = f"{sessiond.user}-before", f"{sessiond.user}-after"
    await sessiond.good("sessions", "new", "--id", before, "--workflow", "chat", "--no-demo")
    async with sessiond.under_way("watch") as watch:
        assert (await line_with(watch, before)).split()[1] == "active"
        await line_with(watch, "from here on, changes")
        await sessiond.good("sessions", "new", "--id", after, "--title", "Second", "--no-demo")
        assert (await line_with(watch, after)).endswith("Second")
        await sessiond.good("sessions", "delete", after)
        assert (await line_with(watch, after)).endswith("gone")
        assert await interrupted(watch) == (0, "")


async def test_a_watch_in_json_goes_on_from_its_cursor(sessiond: Command) -> None:
    """One object a line; with the last cursor nothing comes twice."""
    async with sessiond.under_way("watch", "--json") as watch:
        listed = json.loads(await line_with(watch, "listed"))
        assert listed["listed"] == {}
        await interrupted(watch)
    made = f"{sessiond.user}-made"
    await sessiond.good("sessions", "new", "--id", made, "--no-demo")
    async with sessiond.under_way("watch", "--json", "--cursor", listed["cursor"]) as watch:
        assert watch.stdout is not None
        async with asyncio.timeout(PATIENCE):
            first = json.loads(await watch.stdout.readline())
        assert first["session"]["id"] == made
        assert first["cursor"] != listed["cursor"]


async def test_a_watch_that_is_refused_says_why(sessiond: Command) -> None:
    """Another user's list, and agents for who is none."""
    for words in (("--of", "somebody"), ("--agent", "assistant")):
        done = await sessiond("watch", *words)
        assert (done.code, done.out) == (1, "")
        assert done.err.startswith("PERMISSION_DENIED: ")
        assert done.err.count("\n") == 1
