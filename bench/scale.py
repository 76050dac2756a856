"""From what one session costs to what 100,000 cost, and which wall is met first."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

SESSIONS = 100_000
QUOTA_BYTES = 8 * 2**30
REFUSED_AT = 0.85
"""Store refuses appends above this part of the quota."""

KEPT_SECONDS = 360
"""Store compacts each minute, to five minutes ago."""

APPENDS_A_MINUTE = 1
"""Of each session: a chat that goes on, its agent's answers included."""

_KIB, _GIB = 1024, 2**30


@dataclass(frozen=True, slots=True)
class Costs:
    """What was measured, per session of `messages` messages where nothing else is said.

    Attributes:
        message: bytes of a message's key and record.
        session: bytes of everything else of a session.
        database: bytes of etcd's file, pages and all.
        memory: bytes of Live for a session that it holds.
        cpu: seconds of each process per append.
    """

    messages: int
    message: float
    session: float
    database: float
    memory: float
    cpu: dict[str, float]


def costs(made: dict[str, Any]) -> Costs | None:
    """Return what a document holds of this; None where it was not measured."""
    rows = [row for row in made["rows"] if row["group"] == "cost"]
    if not rows:
        return None
    kept = _also(rows, "stored in etcd")
    held = _also(rows, "Live, memory")
    busy = next(row for row in rows if row["cpu_ms"])
    return Costs(
        messages=made["plan"]["kept_messages"],
        message=kept["bytes per message"],
        session=kept["bytes per session beside its messages"],
        database=kept["KB of database per session"] * _KIB,
        memory=held["KB per held session"] * _KIB,
        cpu={
            name: ms / 1000
            for name, ms in busy["cpu_ms"].items()
            if name in ("live", "store", "etcd")
        },
    )


def lines(found: Costs) -> Iterator[str]:
    """Yield a table of what 100,000 sessions need, and a sentence about the first wall."""
    per_second = SESSIONS * APPENDS_A_MINUTE / 60
    past = (found.message + found.session) * per_second * KEPT_SECONDS
    database = found.database * SESSIONS
    yield f"| {SESSIONS:,} sessions of {found.messages} messages | each | all |"
    yield "|---|---:|---:|"
    yield _row("keys and values in etcd", _bytes(found), _bytes(found) * SESSIONS)
    yield _row("etcd's database, at rest", found.database, database)
    yield _row(
        f"the past that is kept, at {APPENDS_A_MINUTE} append a minute in each",
        past / SESSIONS,
        past,
    )
    yield _row("memory of Live, all of them held", found.memory, found.memory * SESSIONS)
    for name, seconds in found.cpu.items():
        each, cores = f"{seconds * 1e6:,.0f} µs an append", f"{seconds * per_second:.2f} cores"
        yield f"| CPU of {name}, the same pace | {each} | {cores} |"
    yield ""
    room = QUOTA_BYTES * REFUSED_AT
    wall = int(room / (found.database + past / SESSIONS))
    yield (
        f"**The first wall is etcd's space.** Store refuses appends above {REFUSED_AT:.0%} of the"
        f" quota, which is {room / _GIB:.1f} GiB of the largest that etcd supports; at this pace"
        f" that is reached with about {_round(wall):,} sessions of {found.messages} messages in one"
        " etcd, and no number of replicas moves it. Memory and CPU of Live and Store are shared by"
        " their replicas; etcd's is not, and the table says how much of it this pace takes."
    )


def _bytes(found: Costs) -> float:
    return found.session + found.messages * found.message


def _row(what: str, each: float, total: float) -> str:
    return f"| {what} | {each / _KIB:,.1f} KiB | {total / _GIB:,.2f} GiB |"


def _round(number: int) -> int:
    """Return it with two digits that mean something."""
    unit = int(10 ** max(0, len(str(number)) - 2))
    return number // unit * unit


def _also(rows: list[dict[str, Any]], what: str) -> dict[str, float]:
    row = next(each for each in rows if each["what"] == what)
    return {name: spread["median"] for name, spread in row["also"].items()}
