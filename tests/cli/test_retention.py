"""`sessiond hold`, `erase` and `erasure`, before real parts."""

from __future__ import annotations

import json

from tests.cli.running import Command
from tests.e2e.system import System


async def test_a_hold_is_for_administrators(system: System, sessiond: Command) -> None:
    """It keeps a session from `delete`, until it is ended."""
    made = f"{sessiond.user}-held"
    await sessiond.good("sessions", "new", "--id", made, "--no-demo")
    done = await sessiond("hold", made)
    assert (done.code, done.err.split(":")[0]) == (1, "PERMISSION_DENIED")
    admin = {"SESSIOND_TOKEN": system.keys.user_token("root", role="admin")}
    assert await sessiond.good("hold", made, "--reason", "case 7", **admin) == []
    done = await sessiond("sessions", "delete", made)
    assert (done.code, done.err) == (1, "LEGAL_HOLD: A legal hold keeps this session.\n")
    (shown,) = await sessiond.good("hold", made, "--off", "--json", **admin)
    assert "held" not in json.loads(shown)
    assert await sessiond.good("sessions", "delete", made) == []


async def test_an_erasure_is_asked_for_and_shown(sessiond: Command) -> None:
    """Nobody here does it: it stays asked for, by whom and when."""
    done = await sessiond("erasure", sessiond.user)
    assert (done.code, done.err.split(":")[0]) == (1, "ERASURE_NOT_FOUND")
    asked = await sessiond.good("erase", sessiond.user, "--yes")
    assert asked[0].endswith(f"by {sessiond.user}")
    assert asked[1] == "done       not yet"
    assert await sessiond.good("erasure", sessiond.user) == asked
    (shown,) = await sessiond.good("erasure", sessiond.user, "--json")
    assert json.loads(shown)["userId"] == sessiond.user
    done = await sessiond("erase", "somebody-else", "--yes")
    assert (done.code, done.err.split(":")[0]) == (1, "PERMISSION_DENIED")


async def test_a_scan_may_be_called_by_its_name(system: System, sessiond: Command) -> None:
    """A read that has no operation id."""
    admin = {"SESSIOND_TOKEN": system.keys.user_token("root", role="admin")}
    (page,) = await sessiond.good("call", "ScanSessions", '{"pageSize": 1}', **admin)
    assert "sessions" in json.loads(page)
    (asked,) = await sessiond.good("call", "EraseUser", '{"userId": "x-of-call"}', **admin)
    assert json.loads(asked)["erasure"]["requestedBy"]["subject"] == "root"
