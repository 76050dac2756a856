"""`sessiond share` and what belongs to it, before real parts."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from tests.cli.running import Command
from tests.e2e.system import System


async def test_a_session_is_shared_joined_left_and_given_away(
    system: System, sessiond: Command, name: Callable[[str], str]
) -> None:
    """By three users; each sees in their list what is theirs to see."""
    chosen, bob, carol = name("plan"), Command(system, name("bob")), Command(system, name("carol"))
    await sessiond.good("sessions", "new", "--id", chosen, "--title", "Plan", "--no-demo")
    assert await sessiond.good("share", chosen, bob.user, "--role", "editor") == []
    (listed,) = await bob.good("sessions", "list")
    assert listed.split()[0] == chosen
    assert listed.endswith(f"Plan  (editor of {sessiond.user}'s)")
    assert await bob.good("sessions", "list", "--scope", "own") == []
    assert len(await bob.good("sessions", "list", "--scope", "shared")) == 1
    (link,) = await sessiond.good("link", chosen, "--expires", "12h")
    assert await carol.good("join", link) == [chosen]
    owner, first, second, made = await carol.good("members", chosen)
    assert owner.split() == ["owner", sessiond.user]
    assert first.split()[:2] == ["editor", bob.user]
    assert second.split()[:2] == ["viewer", carol.user]
    assert made.split()[0] == "link"
    (told,) = await carol.good("members", chosen, "--json")
    link_id = json.loads(told)["links"][0]["linkId"]
    assert made.split()[1] == link_id
    assert await sessiond.good("unlink", chosen, link_id) == []
    late = await Command(system, name("dave"))("join", link)
    assert (late.code, late.err) == (1, "SESSION_NOT_FOUND: There is no such session.\n")
    assert await bob.good("unshare", chosen, bob.user) == []
    assert await bob.good("sessions", "list") == []
    assert await sessiond.good("transfer", chosen, carol.user) == []
    assert (await carol.good("sessions", "list"))[0].endswith("Plan")
    (listed,) = await sessiond.good("sessions", "list")
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
