"""One run: environments, a Postgres, and the peers in turn, again and again."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from bench.environment import busy_seconds, sync_seconds
from bench.peers.figures import rows
from bench.peers.load import postgres_seconds
from bench.peers.plan import Plan, Sample, Turn
from bench.peers.postgres import Postgres, postgres

CHECKOUT = Path(__file__).resolve().parents[2]
_LAST_WORDS = 2000

Document = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Peer:
    """A library on a database.

    Attributes:
        key: its name in rows.
        name: its name for people.
        library: its environment, and its module in this package.
        scheme: how it spells its database's driver.
    """

    key: str
    name: str
    library: str
    scheme: str

    @property
    def on_postgres(self) -> bool:
        return self.scheme.startswith("postgresql")

    @property
    def database(self) -> str:
        return self.key.replace("-", "_")


PEERS = (
    Peer("adk-postgres", "ADK DatabaseSessionService, Postgres", "adk", "postgresql+asyncpg"),
    Peer("adk-sqlite", "ADK DatabaseSessionService, SQLite", "adk", "sqlite+aiosqlite"),
    Peer("langgraph-postgres", "LangGraph AsyncPostgresSaver", "langgraph", "postgresql"),
)


class Failed(Exception):
    """A peer's process did not do what it was told; the message holds its last words."""


def measure(
    plan: Plan,
    programs: Path,
    pythons: Mapping[str, Path],
    folder: Path,
    *,
    told: Callable[[str], None],
) -> Document:
    """Run every peer that has an environment, on data of its own in `folder` on a real disk.

    Raises:
        Failed: an operation failed, or something was lost: then there are no figures.
    """
    peers = [peer for peer in PEERS if peer.library in pythons]
    with (
        tempfile.TemporaryDirectory(dir=folder) as home,
        postgres(programs, folder) as server,
    ):
        run = _Run(plan, pythons, Path(home), server)
        about = {}
        for peer in peers:
            told(f"storing what {peer.name} will read")
            about[peer.key] = json.loads(run.turn(peer, None)[0])
        samples: dict[str, list[Sample]] = {peer.key: [] for peer in peers}
        others = _Others(server.pid)
        for repeat in range(plan.repeats):
            for peer in peers:
                told(f"measuring {peer.name}, {repeat + 1} of {plan.repeats}")
                samples[peer.key] += map(Sample.from_json, run.turn(peer, repeat))
        return {
            "environment": {
                "cores": len(os.sched_getaffinity(0)),
                "python": platform.python_version(),
                "sync_ms": sync_seconds(Path(home) / "sync") * 1000,
                "postgres": server.settings(),
            },
            "cpu_of_others": others.share(),
            "plan": asdict(plan),
            "peers": {peer.key: {"name": peer.name, **about[peer.key]} for peer in peers},
            "skipped": [peer.name for peer in PEERS if peer not in peers],
            "rows": rows(samples),
        }


@dataclass(frozen=True, slots=True)
class _Run:
    plan: Plan
    pythons: Mapping[str, Path]
    home: Path
    server: Postgres

    def turn(self, peer: Peer, repeat: int | None) -> Sequence[str]:
        """Let a peer take a turn in a process of its own; return the lines that it wrote."""
        if repeat is None and peer.on_postgres:
            self.server.create(peer.database)
        postmaster = self.server.pid if peer.on_postgres else None
        turn = Turn(self.plan, self._url(peer), postmaster, repeat)
        done = subprocess.run(
            [self.pythons[peer.library], "-m", f"bench.peers.{peer.library}", turn.to_json()],
            cwd=CHECKOUT,
            env={"PATH": os.environ.get("PATH", ""), "HOME": str(self.home)},
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise Failed(f"{peer.name} failed:\n{done.stderr[-_LAST_WORDS:]}")
        if peer.on_postgres:
            self.server.settle(peer.database)
        return done.stdout.splitlines()

    def _url(self, peer: Peer) -> str:
        if peer.on_postgres:
            return self.server.url(peer.scheme, peer.database)
        return f"{peer.scheme}:///{self.home / peer.database}.db"


class _Others:
    """How much of the machine was used by programs that are no part of the run."""

    def __init__(self, postmaster: int) -> None:
        self._postmaster = postmaster
        self._before = self._now()

    def share(self) -> float:
        """Return their part of all CPU time that the run did not use."""
        busy, there, ours = (
            now - before for now, before in zip(self._now(), self._before, strict=True)
        )
        return max(0.0, (busy - ours) / (there - ours))

    def _now(self) -> tuple[float, float, float]:
        times = os.times()
        ours = times.user + times.system + times.children_user + times.children_system
        return (*busy_seconds(), ours + postgres_seconds(self._postmaster))
