"""`sessiond share` and what belongs to it, before real parts."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from tests.cli.running import Command
from tests.e2e.system import System
from tests.e2e.talking import said


async def good(command: Command, *arguments: str) -> list[str]:
    """Run a command that must do what it is asked; return the lines that it prints."""
    done = await command.inside(*arguments)
    assert (done.code, done.err) == (0, "")
    return done.lines


async def test_a_session_is_shared_joined_left_and_given_away(
    system: System, sessiond: Command, name: Callable[[str], str]
) -> None:
    """By three users; each sees in their list what is theirs to see."""
    chosen, bob, carol = name("plan"), Command(system, name("bob")), Command(system, name("carol"))
    await good(sessiond, "sessions", "new", "--id", chosen, "--title", "Plan", "--no-demo")
    assert await good(sessiond, "share", chosen, bob.user, "--role", "editor") == []
    (listed,) = await good(bob, "sessions", "list")
    assert listed.split()[0] == chosen
    assert listed.endswith(f"Plan  (editor of {sessiond.user}'s)")
    member = system.api(bob.user)
    await said(member, chosen, "Hello from Bob")
    shown = await good(sessiond, "sessions", "show", chosen)
    assert shown[-1].endswith(f" {bob.user}: Hello from Bob")
    assert await good(bob, "sessions", "list", "--scope", "own") == []
    assert len(await good(bob, "sessions", "list", "--scope", "shared")) == 1
    (link,) = await good(sessiond, "link", chosen, "--expires", "12h")
    assert await good(carol, "join", link) == [chosen]
    owner, first, second, made = await good(carol, "members", chosen)
    assert owner.split() == ["owner", sessiond.user]
    assert first.split()[:2] == ["editor", bob.user]
    assert second.split()[:2] == ["viewer", carol.user]
    assert made.split()[0] == "link"
    (told,) = await good(carol, "members", chosen, "--json")
    link_id = json.loads(told)["links"][0]["linkId"]
    assert made.split()[1] == link_id
    assert await good(sessiond, "unlink", chosen, link_id) == []
    late = await Command(system, name("dave")).inside("join", link)
    assert (late.code, late.err) == (1, "SESSION_NOT_FOUND: There is no such session.\n")
    assert await good(bob, "unshare", chosen, bob.user) == []
    assert await good(bob, "sessions", "list") == []
    assert await good(sessiond, "transfer", chosen, carol.user) == []
    assert (await good(carol, "sessions", "list"))[0].endswith("Plan")
    (listed,) = await good(sessiond, "sessions", "list")
    assert listed.endswith(f"(editor of {carol.user}'s)")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("join", "nothing"), "a link is ID.SECRET, as `sessiond link` prints it"),
        (("link", "s", "--expires", "soon"), "--expires soon must be like 90s"),
        (("link", "s", "--expires", "0d"), "--expires 0d must be like 90s"),
    ],
)
async def test_what_cannot_be_is_said(
    sessiond: Command, arguments: tuple[str, ...], told: str
) -> None:
    """Before anything is asked."""
    done = await sessiond.inside(*arguments)
    assert done.code == 1
    assert done.err.startswith(told)
