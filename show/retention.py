"""`make show-retention`: what is due goes exactly once, though the process that lets it go dies.

Of many sessions most are due, some are not, and some a legal hold keeps. Two processes take turns;
the one that works is killed when half is done, and the other one goes on.
"""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from cluster.etcd_binary import EtcdBinary
from sessiond import Client
from show.outcome import Outcome
from show.pace import at_once, until
from show.stage import DATA, Stage, staged

SECONDS = 1800.0
"""The patience, not the time that it takes."""

POLICIES = """\
policies:
  - name: old-chats
    workflow: chat
    inactive_for: 1s
"""
REASON = "kept for the show"


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """How many sessions there are, of how many users; every tenth stays, every twentieth is held.

    `per_second` is how many may go in a second.
    """

    sessions: int = 10_000
    users: int = 100
    per_second: int = 2_000


USUAL = Size()


@dataclass(slots=True)
class World:
    """What was made, and what was seen of it since.

    Attributes:
        due: ids of the sessions that are to go.
        staying: ids of those that no policy covers.
        held: ids of those that a legal hold keeps.
        removed: how often each session was seen to go.
    """

    due: set[str] = field(default_factory=set)
    staying: set[str] = field(default_factory=set)
    held: set[str] = field(default_factory=set)
    removed: Counter[str] = field(default_factory=Counter)


async def run(
    binary: EtcdBinary,
    outcome: Outcome,
    *,
    seconds: float,
    told: Callable[[str], None],
    data: Path = DATA,
    size: Size = USUAL,
) -> None:
    """Run it, with this patience, and fill the outcome."""
    folder = _folder(data)
    settings = {
        "SESSIOND_RETENTION_POLICIES_FILE": str(folder / "policies.yaml"),
        "SESSIOND_RETENTION_EXPORT_DIR": str(folder / "exports"),
        "SESSIOND_RETENTION_SESSIONS_PER_SECOND": str(size.per_second),
        # The youngest are not yet due when the first run looks.
        "SESSIOND_RETENTION_EVERY_SECONDS": "2",
    }
    async with staged(
        outcome,
        binary,
        told=told,
        data=data,
        stores=2,
        lives=2,
        gateways=0,
        retentions=2,
        settings={"retention": settings},
    ) as stage:
        for name in stage.names("retention"):
            await stage.cluster.stop(name)  # it begins to work when there is something to do
        admin = await stage.client(stage.token("root", role="admin"))
        told(f"{size.sessions} sessions of {size.users} users")
        world = await _fill(stage, admin, size)
        followers = [
            asyncio.create_task(_follow(admin, f"user-{number}", world))
            for number in range(size.users)
        ]
        clock = asyncio.get_running_loop().time
        try:
            await stage.cluster.start("retention-1")
            began = clock()
            await stage.cluster.start("retention-2")
            await until(lambda: 2 * len(world.removed) >= len(world.due), seconds)
            told(f"{len(world.removed)} of {len(world.due)} are gone: retention-1 is killed")
            await stage.cluster.kill("retention-1")
            killed, gone_by_then = clock(), len(world.removed)
            await until(lambda: len(world.removed) > gone_by_then + size.sessions // 100, seconds)
            taken_over = clock()
            await until(lambda: len(world.removed) >= len(world.due), seconds)
            ended = clock()
            await until(lambda: bool(_reports(stage.log("retention-2"))), 30.0)
        finally:
            for follower in followers:
                follower.cancel()
            await asyncio.gather(*followers, return_exceptions=True)
        outcome.tell(
            sessions=size.sessions,
            due=len(world.due),
            gone_when_killed=gone_by_then,
            deleted_by_the_next=sum(each["deleted"] for each in _reports(stage.log("retention-2"))),
            seconds=round(ended - began, 1),
        )
        outcome.aim("takeover_seconds", round(taken_over - killed, 1), 14.0)
        outcome.complain(seen_wrong(world))
        left = {summary.id async for summary in admin.scan()}
        outcome.complain(left_wrong(world, left))
        exports = await asyncio.to_thread(_exports, folder / "exports")
        outcome.complain(exported_wrong(world, exports))
    if outcome.ok:
        shutil.rmtree(folder, ignore_errors=True)


def seen_wrong(world: World) -> list[str]:
    """Return what is wrong with what was seen to go."""
    twice = sorted(each for each, times in world.removed.items() if times > 1)
    return [
        *_named("were seen to go more than once", twice),
        *_named("were seen to go and were not due", sorted(world.removed.keys() - world.due)),
        *_named("were due and not seen to go", sorted(world.due - world.removed.keys())),
    ]


def left_wrong(world: World, left: set[str]) -> list[str]:
    """Return what is wrong with what is left."""
    return [
        *_named("were due and are still there", sorted(left & world.due)),
        *_named("were held and are gone", sorted(world.held - left)),
        *_named("were not due and are gone", sorted(world.staying - left)),
    ]


def exported_wrong(world: World, exports: Sequence[tuple[str, str]]) -> list[str]:
    """Return what is wrong with exports: each a session's id, and what is wrong with its file."""
    times = Counter(session_id for session_id, _ in exports)
    broken = sorted(session_id for session_id, wrong in exports if wrong)
    return [
        *_named("were exported badly", broken),
        *_named("were exported and not due", sorted(times.keys() - world.due)),
        *_named("are gone and were not exported", sorted(world.due - times.keys())),
        *_named("have more than one export", sorted(each for each in times if times[each] > 1)),
    ]


def _named(what: str, session_ids: Sequence[str]) -> list[str]:
    if not session_ids:
        return []
    return [f"{len(session_ids)} sessions {what}; the first: {session_ids[0]}"]


async def _fill(stage: Stage, admin: Client, size: Size) -> World:
    world = World()
    clients = [await stage.client(stage.token(f"user-{number}")) for number in range(size.users)]

    async def one(number: int) -> None:
        client = clients[number % size.users]
        stays = number % 10 == 0
        session = await client.create(workflow_id=None if stays else "chat")
        if stays:
            world.staying.add(session.id)
        elif number % 20 == 1:
            await admin.set_hold(session.id, True, reason=REASON)
            world.held.add(session.id)
        else:
            world.due.add(session.id)

    await at_once(one, range(size.sessions), places=32)
    return world


async def _follow(admin: Client, user: str, world: World) -> None:
    async for response in admin.watch(user):
        if response.WhichOneof("change") == "removed_id":
            world.removed[response.removed_id] += 1


def _reports(log: str) -> list[dict[str, Any]]:
    """Return the reports of runs in a log."""
    lines = (orjson.loads(line) for line in log.splitlines() if line.startswith("{"))
    return [line for line in lines if line.get("event") == "retention" and "scanned" in line]


def _exports(folder: Path) -> list[tuple[str, str]]:
    """Return whose session each file in a folder is, and what is wrong with it; "" for nothing."""
    found = []
    for path in sorted(folder.iterdir()):
        try:
            document = orjson.loads(path.read_bytes())
            session, seqs = document["session"], [each["seq"] for each in document["events"]]
            whole = seqs == list(range(1, session["revision"] + 1))
            found.append((session["id"], "" if whole else "events are missing"))
        except (ValueError, KeyError):
            found.append((path.name, "it cannot be read"))
    return found


def _folder(data: Path) -> Path:
    data.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="retention-files-", dir=data))
    (folder / "policies.yaml").write_text(POLICIES)
    (folder / "exports").mkdir()
    return folder
