"""`sessiond hold`, `erase` and `erasure`, before real parts."""

from __future__ import annotations

import json

import pytest

from tests.cli.running import Command, Done
from tests.e2e.system import System


@pytest.fixture
def admin(system: System) -> Command:
    """The command, as an administrator."""
    command = Command(system, "root")
    command.environ["SESSIOND_TOKEN"] = system.keys.user_token("root", role="admin")
    return command


def refused(done: Done, reason: str) -> bool:
    return (done.code, done.out, done.err.split(":")[0]) == (1, "", reason)


async def test_a_hold_is_for_administrators(admin: Command, sessiond: Command) -> None:
    """It keeps a session from `delete`, until it is ended."""
    made = f"{sessiond.user}-held"
    await sessiond.inside("sessions", "new", "--id", made, "--no-demo")
    assert refused(await sessiond.inside("hold", made), "PERMISSION_DENIED")
    done = await admin.inside("hold", made, "--reason", "case 7")
    assert (done.code, done.out) == (0, "")
    assert refused(await sessiond.inside("sessions", "delete", made), "LEGAL_HOLD")
    done = await admin.inside("hold", made, "--off", "--json")
    assert "held" not in json.loads(done.out)
    assert (await sessiond.inside("sessions", "delete", made)).code == 0


async def test_an_erasure_is_asked_for_and_shown(sessiond: Command) -> None:
    """Nobody here does it: it stays asked for, by whom and when."""
    assert refused(await sessiond.inside("erasure", sessiond.user), "ERASURE_NOT_FOUND")
    asked = await sessiond.inside("erase", sessiond.user, "--yes")
    assert asked.lines[0].endswith(f"by {sessiond.user}")
    assert asked.lines[1] == "done       not yet"
    assert (await sessiond.inside("erasure", sessiond.user)).lines == asked.lines
    shown = await sessiond.inside("erasure", sessiond.user, "--json")
    assert json.loads(shown.out)["userId"] == sessiond.user
    assert refused(await sessiond.inside("erase", "another", "--yes"), "PERMISSION_DENIED")


async def test_a_scan_may_be_called_by_its_name(admin: Command) -> None:
    """A read that has no operation id, and a change that has none either."""
    page = await admin.inside("call", "ScanSessions", '{"pageSize": 1}')
    assert "sessions" in json.loads(page.out)
    asked = await admin.inside("call", "EraseUser", '{"userId": "x-of-call"}')
    assert json.loads(asked.out)["erasure"]["requestedBy"]["subject"] == "root"
