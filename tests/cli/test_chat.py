"""`sessiond chat` through pipes, before real parts and the example agent."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

from tests.cli.running import Command, interrupted, line_with
from tests.e2e.system import System

WORDS = "This is the assistant, and I have read it. I went by this: {}"


async def test_a_piped_conversation_is_answered_and_ends(sessiond: Command) -> None:
    """Each line waits for the answer to the one before; after the last one the chat ends."""
    lines = await sessiond.good("chat", typed="One\nTwo, without an end")
    talk = [line.rstrip() for line in lines if not line.startswith("--")]
    assert talk[0].endswith("(active, with assistant)")
    assert talk[1:] == [
        f"{sessiond.user}: One",
        f"assistant: {WORDS.format('One')}",
        f"{sessiond.user}: Two, without an end",
        f"assistant: {WORDS.format('Two, without an end')}",
    ]


async def test_a_workflow_is_walked_through_by_a_script(sessiond: Command) -> None:
    """Outputs are shown, rejected, approved; the agents of the next steps take over."""
    chosen = f"{sessiond.user}-flow"
    typed = "We sell bicycles.\n/reject shorter\n/approve good\n"
    out = "\n".join(
        await sessiond.good(
            *("chat", chosen, "--new", "--workflow", "master-workflow-v2"), typed=typed
        )
    )
    assert "-- gtm-consultant submits an output for foundation_gtm:\nDraft 1 for" in out
    assert f"-- {sessiond.user} rejected foundation_gtm-1: shorter\n" in out
    assert "Draft 2 for foundation_gtm. I went by this: We sell bicycles.; shorter\n" in out
    assert f"-- {sessiond.user} approved foundation_gtm-2: good\n" in out
    assert "1 of 8 steps done, now persona_development by persona-strategist" in out
    assert "-- persona-strategist submits an output for persona_development:" in out
    (shown,) = await sessiond.good("sessions", "show", chosen, "--json")
    outputs = json.loads(shown)["agentOutputs"]
    assert {key: output["status"] for key, output in outputs.items()} == {
        "foundation_gtm-1": "rejected",
        "foundation_gtm-2": "approved",
        "persona_development-1": "pending",
    }


async def test_a_line_that_is_refused_fails_the_chat_in_the_end(sessiond: Command) -> None:
    """The others are done all the same; what was refused is told on stderr."""
    done = await sessiond("chat", "--no-demo", "--wait", "0", typed="/approve\n//slash\n/nope\n")
    assert done.code == 1
    assert done.err.splitlines() == [
        "NOTHING_PENDING: The current step has no pending output.",
        "There is no /nope: /help lists what there is.",
    ]
    assert f"{sessiond.user}: /slash" in done.lines


async def test_nobody_is_waited_for_longer_than_patience(sessiond: Command) -> None:
    """Without an agent the lines are said, and the chat ends."""
    lines = await sessiond.good("chat", "--no-demo", "--wait", "0.2", typed="a\nb\nc\n")
    assert [line for line in lines if not line.startswith("--")][1:] == [
        f"{sessiond.user}: {word}" for word in "abc"
    ]


async def test_a_chat_in_a_file_is_read_to_its_end(sessiond: Command, tmp_path: Path) -> None:
    """A file cannot be waited for as a pipe can; /quit leaves before its end."""
    (made,) = await sessiond.good("sessions", "new", "--workflow", "chat", "--no-demo")
    process = await asyncio.create_subprocess_shell(
        'printf "one\\n/quit\\ntwo\\n" > "$TMPDIR/typed"; '
        f'"$PYTHON" -m sessiond chat {made} --wait 0 < "$TMPDIR/typed"',
        env={**sessiond.environ, "PYTHON": sys.executable, "TMPDIR": str(tmp_path)},
        stdout=asyncio.subprocess.PIPE,
    )
    out, _ = await asyncio.wait_for(process.communicate(), 30)
    assert f"{sessiond.user}: one" in out.decode()
    assert "two" not in out.decode()


async def test_two_people_see_each_other(system: System, sessiond: Command) -> None:
    """Who is here and what they say, as it happens; Ctrl-C leaves, and the others are told."""
    (made,) = await sessiond.good("sessions", "new", "--workflow", "chat", "--no-demo")
    admin = Command(system, f"{sessiond.user}-admin")
    token = system.keys.user_token(admin.user, role="admin")
    admin.environ["SESSIOND_TOKEN"] = token
    async with sessiond.under_way("chat", made, "--no-demo") as ours:
        await line_with(ours, f"-- here: {sessiond.user}")
        async with admin.under_way("chat", made, "--no-demo") as theirs:
            await line_with(ours, f"-- here: {sessiond.user}, {admin.user} (admin)")
            assert theirs.stdin is not None
            theirs.stdin.write(b"Good morning\n")
            assert await line_with(ours, "Good morning") == f"{admin.user}: Good morning"
            await line_with(theirs, "Good morning")
            assert await interrupted(theirs) == (0, "")
        assert await line_with(ours, "-- here: ") == f"-- here: {sessiond.user}"


async def test_a_session_that_is_deleted_ends_the_chat(sessiond: Command) -> None:
    """With the failure's name and exit code 1."""
    (made,) = await sessiond.good("sessions", "new", "--workflow", "chat", "--no-demo")
    async with sessiond.under_way("chat", made) as chat:
        await line_with(chat, "-- here")
        await sessiond.good("sessions", "delete", made)
        async with asyncio.timeout(30):
            _, err = await chat.communicate()
        assert (chat.returncode, err) == (1, b"SESSION_NOT_FOUND: There is no such session.\n")


async def test_an_existing_session_is_marked_for_the_agent(sessiond: Command) -> None:
    """In development a chat lets the example agent act, unless that is not wanted."""
    (made,) = await sessiond.good("sessions", "new", "--workflow", "chat", "--no-demo")
    await sessiond.good("chat", made, "--no-demo")
    (shown,) = await sessiond.good("sessions", "show", made, "--json")
    assert (json.loads(shown)["metadata"], json.loads(shown)["revision"]) == ({}, 1)
    lines = await sessiond.good("chat", made, typed="Anybody?\n")
    assert f"assistant: {WORDS.format('Anybody?')}" in [line.rstrip() for line in lines]
