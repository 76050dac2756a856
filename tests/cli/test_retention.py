"""`sessiond hold`, `scan`, `retention`, `erase` and `erasure`, before real parts."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

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


async def test_a_scan_tells_of_everybodys_sessions(
    system: System, admin: Command, sessiond: Command, name: Callable[[str], str]
) -> None:
    """Under each user theirs, as they are asked for; with --json as REST shows them."""
    bob = Command(system, name("bob"))
    for command, title in ((sessiond, "Plan"), (sessiond, "Launch"), (bob, "Other")):
        asked = ("sessions", "new", "--workflow", "chat", "--title", title, "--no-demo")
        assert (await command.inside(*asked)).code == 0
    done = await admin.inside("scan", "--status", "active", "--workflow", "chat")
    assert (done.code, done.err) == (0, "")
    first = done.lines.index(sessiond.user)
    launch, plan = done.lines[first + 1 : first + 3]
    assert (launch.split()[1], launch.split()[-1], plan.split()[-1]) == ("active", "Launch", "Plan")
    assert done.lines[done.lines.index(bob.user) + 1].endswith("  Other")
    told = [json.loads(line) for line in (await admin.inside("scan", "--json")).lines]
    titles = [each["title"] for each in told if each["userId"] in (sessiond.user, bob.user)]
    assert sorted(titles) == ["Launch", "Other", "Plan"]
    assert len((await admin.inside("scan", "--json", "--limit", "2")).lines) == 2
    assert (await admin.inside("scan", "--inactive-since", "2001-01-01T00:00:00Z")).lines == []
    done = await admin.inside("scan", "--inactive-since", "soon")
    assert done.err == "--inactive-since soon must be a time, as 2026-11-29T14:30:00Z\n"
    assert refused(await sessiond.inside("scan"), "PERMISSION_DENIED")


async def test_what_retention_would_let_go_is_listed(
    admin: Command, sessiond: Command, tmp_path: Path
) -> None:
    """By the first policy that covers it, nothing that is held, and nothing goes."""
    policies, workflow = tmp_path / "policies.yaml", ("--workflow", "chat", "--no-demo")
    ids = [f"{sessiond.user}-{each}" for each in ("due", "held")]
    for session_id in ids:
        await sessiond.inside("sessions", "new", "--id", session_id, *workflow)
    await sessiond.inside("sessions", "new", "--id", f"{sessiond.user}-else", "--no-demo")
    assert (await admin.inside("hold", ids[1])).code == 0
    policies.write_text(
        "policies:\n"
        "  - {name: old, workflow: chat, age: 365d}\n"
        "  - {name: chats, workflow: chat, inactive_for: 0s}\n"
    )
    asked = ("retention", "--policies", str(policies))
    done = await admin.inside(*asked, "--json")
    assert (done.code, done.err) == (0, "")
    told = [json.loads(line) for line in done.lines]
    (mine,) = (each for each in told if each["user"] == sessiond.user)
    assert (mine["session"], mine["policy"]) == (ids[0], "chats")
    assert mine["lastActive"] == mine["createdAt"]
    lines = (await admin.inside(*asked)).lines
    row = lines[lines.index(sessiond.user) + 1].split()
    assert row[:3] == ["chats", ids[0], "active"]
    assert lines[-1].startswith(f"{len(told)} of ")
    assert int(lines[-1].split("hold keeps ")[1].split()[0]) >= 1
    for session_id in ids:
        assert (await sessiond.inside("sessions", "show", session_id)).code == 0
    assert refused(await sessiond.inside(*asked), "PERMISSION_DENIED")


async def test_bad_policies_list_nothing(admin: Command, tmp_path: Path) -> None:
    """All that is wrong is told on one line, before anybody is asked."""
    policies = tmp_path / "policies.yaml"
    policies.write_text("policies: [{name: a}, {name: b, age: 1d, state: x}]")
    done = await admin.inside("retention", "--policies", str(policies))
    assert (done.code, done.out) == (1, "")
    assert done.err == (
        "--policies: policy 1: inactive_for or age: is required; policy 2: state: is not known\n"
    )
    done = await admin.inside("retention", "--policies", str(tmp_path / "none"))
    assert done.err == f"--policies: {tmp_path / 'none'}: cannot be read\n"


async def test_a_scan_may_be_called_by_its_name(admin: Command) -> None:
    """A read that has no operation id, and a change that has none either."""
    page = await admin.inside("call", "ScanSessions", '{"pageSize": 1}')
    assert "sessions" in json.loads(page.out)
    asked = await admin.inside("call", "EraseUser", '{"userId": "x-of-call"}')
    assert json.loads(asked.out)["erasure"]["requestedBy"]["subject"] == "root"
