"""`sessiond changes`, before real parts."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from tests.cli.running import PATIENCE, Command, interrupted, line_with
from tests.e2e.system import System, until


@pytest.fixture
def admin(system: System, sessiond: Command) -> Command:
    """The command as an administrator, who makes no sessions."""
    command = Command(system, sessiond.user)
    command.environ["SESSIOND_TOKEN"] = system.keys.user_token("root", role="admin")
    return command


async def told(process: asyncio.subprocess.Process) -> Any:
    assert process.stdout is not None
    async with asyncio.timeout(PATIENCE):
        return json.loads(await process.stdout.readline())


async def other(path: Path, than: str = "") -> str:
    """Wait until the file holds something else, and return that."""

    async def held() -> str:
        found = text(path)
        return found if found != than else ""

    return await until(held, seconds=PATIENCE)


def text(path: Path) -> str:
    return path.read_text() if path.exists() else ""


async def test_changes_are_followed_and_the_file_says_where_to_go_on(
    sessiond: Command, admin: Command, tmp_path: Path
) -> None:
    """What happens while nobody reads comes when somebody does, and what came does not."""
    cursor, made = tmp_path / "cursor", f"{sessiond.user}-made"
    words = ("changes", "--of", sessiond.user, "--cursor", str(cursor))
    async with admin.under_way(*words) as process:
        await other(cursor)
        await sessiond.good("sessions", "new", "--id", made, "--workflow", "chat", "--no-demo")
        created = (await told(process))["changed"]
        assert (created["userId"], created["workflowId"]) == (sessiond.user, "chat")
        assert created["event"]["sessionCreated"]["userId"] == sessiond.user
        before = text(cursor)
        await sessiond.good("call", "PauseSession", json.dumps({"sessionId": made}))
        assert (await told(process))["changed"]["event"]["sessionPaused"] == {}
        await other(cursor, before)
        assert await interrupted(process) == (0, "")
    await sessiond.good("sessions", "delete", made)
    async with admin.under_way(*words) as process:
        gone = json.loads(await line_with(process, f'"deleted":{{"sessionId":"{made}"'))
        assert gone["deleted"]["sessionId"] == made
        assert gone["deleted"]["actor"]["subject"] == sessiond.user
        assert gone["cursor"]


async def test_only_backends_follow_all(sessiond: Command) -> None:
    """And who may not is told so in one line."""
    done = await sessiond.inside("changes")
    assert (done.code, done.out) == (1, "")
    assert done.err.startswith("PERMISSION_DENIED: ")
    assert done.err.count("\n") == 1


async def test_bad_options_are_told(admin: Command, tmp_path: Path) -> None:
    """A kind that is none, a cursor that is none, and a file that is no text."""
    done = await admin.inside("changes", "--event", "nothing_happened")
    assert done.code == 1
    assert done.err.startswith("INVALID_ARGUMENT: event_types must be kinds of events: ")
    cursor = tmp_path / "cursor"
    cursor.write_text("nonsense\n")
    done = await admin.inside("changes", "--cursor", str(cursor))
    assert (done.code, done.err) == (
        1,
        "INVALID_ARGUMENT: cursor must be one that this query was given\n",
    )
    cursor.write_bytes(b"\xff")
    done = await admin.inside("changes", "--cursor", str(cursor))
    assert (done.code, done.err) == (1, f"{cursor}: it is no text\n")
    done = await admin.inside("changes", "--cursor", str(tmp_path))
    assert done.code == 1
    assert done.err.startswith(str(tmp_path))
