"""`sessiond import --old`, before real parts."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from show.old_records import write
from tests.cli.running import Command


async def as_admin(sessiond: Command) -> tuple[str, str]:
    """The options of an administrator."""
    (token,) = (await sessiond.inside("token", "--user", "root", "--role", "admin")).lines
    return "--token", token


def told(out: str) -> dict[str, Any]:
    return {each["key"]: each["outcome"] for each in map(json.loads, out.splitlines())}


@pytest.fixture
def own(name: Callable[[str], str]) -> Callable[[str], str]:
    """Give names of users and sessions that no other test has."""
    return lambda text: text.replace("user-", f"{name('user')}-").replace("old-", f"{name('old')}-")


async def test_old_records_are_taken_over_once(
    sessiond: Command, own: Callable[[str], str], tmp_path: Path
) -> None:
    """Good ones are there, damaged ones told of, and the second time nothing is imported."""
    path, done = tmp_path / "dump", tmp_path / "done"
    sample = write(path, count=40, users=2, chance=random.Random(5))
    path.write_text(own(path.read_text()))
    admin = await as_admin(sessiond)
    words = ("import", "--old", str(path), "--json", *admin)
    first = await sessiond.inside(*words, "--resume", str(done))
    assert first.code == 1
    assert first.err.splitlines()[-1] == f"{len(sample.damaged)} records were refused"
    outcomes = told(first.out)
    good = {f"session:{own(one)}" for some in sample.sessions.values() for one in some}
    assert {key for key, outcome in outcomes.items() if outcome == "imported"} == good
    assert set(done.read_text().split()) == {json.dumps(key) for key in good}
    again = told((await sessiond.inside(*words, "--resume", str(done))).out)
    assert set(again.values()) == {"refused"}
    whole = told((await sessiond.inside(*words)).out)
    assert {key for key, outcome in whole.items() if outcome == "present"} == good
    user, sessions = next(iter(sample.sessions.items()))
    listed = await sessiond.inside("sessions", "list", "--of", own(user), "--json", *admin)
    assert {json.loads(line)["id"] for line in listed.lines} == {own(one) for one in sessions}


async def test_who_may_not_import_is_told_so_for_each_record(
    sessiond: Command, own: Callable[[str], str], tmp_path: Path
) -> None:
    """Other users' sessions are an administrator's to import; a line tells it to people."""
    path = tmp_path / "dump"
    write(path, count=3, users=1, chance=random.Random(1))
    path.write_text(own(path.read_text()))
    done = await sessiond.inside("import", "--old", str(path))
    assert done.code == 1
    assert all("PERMISSION_DENIED: " in line for line in done.lines)
    assert all(line.startswith("refused   session:") for line in done.lines)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--old", "/no/such/file"), "/no/such/file: No such file or directory\n"),
        (("--resume", "x", "y"), "--resume belongs to --old; "),
    ],
)
async def test_what_cannot_be_done_is_told_in_one_line(
    sessiond: Command, options: tuple[str, ...], said: str
) -> None:
    """As of every command."""
    done = await sessiond.inside("import", *options)
    assert (done.code, done.out) == (1, "")
    assert done.err.startswith(said)
