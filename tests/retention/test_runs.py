"""Runs: what is due goes once, what is not stays, and a run that was cut off is made anew."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pytest
from prometheus_client import CollectorRegistry

from services.retention import runs
from services.retention.app import check_exports
from services.retention.exports import Exports
from services.retention.installation import Installation
from services.retention.metrics import OUTCOMES, RetentionMetrics
from services.retention.pace import Pace
from services.retention.runs import Runs
from services.serving.sockets import StartFailed
from sessiond.client.calls import Replicas
from sessiond.errors import LegalHold, SessionNotFound, StaleRevision, Unavailable
from sessiond.policies import Policy
from sessiond.session.state import Status
from sessiond.v1.session_pb2 import SessionSummary
from sessiond.v1.store_pb2 import ScanSessionsRequest, ScanSessionsResponse
from tests.retention.parts import NOW_MS, Parts, summary

COMPLETED = Policy("completed", Status.COMPLETED, None, 60_000)


class Told:
    """What a run told."""

    def __init__(self) -> None:
        self.lines: list[Mapping[str, Any]] = []

    def __call__(self, fields: Mapping[str, Any]) -> None:
        self.lines.append(fields)

    @property
    def report(self) -> dict[str, Any]:
        """The last report, without what is zero."""
        return {key: value for key, value in self.lines[-1].items() if value and key != "seconds"}


@pytest.fixture
def told() -> Told:
    return Told()


def files(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def read(path: Path) -> Any:
    return orjson.loads(path.read_bytes())


def runs_of(
    parts: Parts,
    folder: Path | None = None,
    *,
    policy: Policy = COMPLETED,
    registry: CollectorRegistry | None = None,
) -> Runs:
    clock = asyncio.get_running_loop().time
    return Runs(
        parts,
        [policy],
        None if folder is None else Exports(folder),
        Pace(1e9, clock=clock),
        RetentionMetrics(registry or CollectorRegistry()),
        now_ms=lambda: NOW_MS,
        clock=clock,
    )


async def test_what_is_due_is_exported_and_then_deleted(told: Told, tmp_path: Path) -> None:
    """For its owner, as it was scanned, under one operation id; all else stays."""
    young = summary("young")
    young.last_active.FromMilliseconds(NOW_MS - 59_999)
    parts = Parts(summary("s-1"), summary("s-2", "bob"), young)
    await runs_of(parts, tmp_path).make(7, told)
    assert sorted(parts.deletions) == [
        ("alice", "s-1", "retention:completed"),
        ("bob", "s-2", "retention:completed"),
    ]
    assert set(parts.sessions) == {"young"}
    assert told.report == {"term": 7, "scanned": 3, "due": 2, "exported": 2, "deleted": 2}
    assert files(tmp_path) == {"s-1.1000.3.json", "s-2.1000.3.json"}
    exported = read(tmp_path / "s-2.1000.3.json")
    assert exported["session"]["userId"] == "bob"
    assert [event["seq"] for event in exported["events"]] == [1, 2, 3]


async def test_a_policy_that_wants_no_exports_gets_none(told: Told, tmp_path: Path) -> None:
    """Then it just goes."""
    parts = Parts(summary("s-1"))
    await runs_of(parts, tmp_path, policy=replace(COMPLETED, export=False)).make(1, told)
    assert told.report == {"term": 1, "scanned": 1, "due": 1, "deleted": 1}
    assert files(tmp_path) == set()


def test_exports_without_a_folder_are_refused_before_anything_goes(tmp_path: Path) -> None:
    """Whoever wants nothing kept says so."""
    unkept = replace(COMPLETED, name="unkept", export=False)
    check_exports((COMPLETED, unkept), tmp_path)
    check_exports((unkept,), None)
    with pytest.raises(StartFailed, match="completed: give SESSIOND_RETENTION_EXPORT_DIR"):
        check_exports((unkept, COMPLETED), None)


async def test_what_was_used_meanwhile_stays(told: Told, tmp_path: Path) -> None:
    """It is deleted at the revision that was scanned or not at all, and its export goes again."""
    parts = Parts(summary("used"), summary("held"))
    parts.held = {"held"}
    scanned = [summary("used", revision=2), summary("held")]

    class Late(Parts):
        async def scan_pages(self, size: int) -> Any:
            yield scanned

    late = Late()
    late.__dict__ = parts.__dict__
    await runs_of(late, tmp_path).make(1, told)
    assert parts.deletions == []
    assert told.report == {
        **{"term": 1, "scanned": 2, "due": 2, "exported": 1},
        **{"stale": 1, "held": 1},
    }
    assert files(tmp_path) == set()


async def test_what_fails_is_left_to_the_next_run(told: Told, tmp_path: Path) -> None:
    """It hinders nobody else, and nothing is deleted that is not exported."""
    parts = Parts(summary("s-1"), summary("s-2"), summary("s-3"), summary("s-4"))
    parts.fails = {"s-1": Unavailable(), "s-2": SessionNotFound()}
    (tmp_path / "s-3.1000.3.json").mkdir()  # it cannot be replaced by a file
    await runs_of(parts, tmp_path).make(1, told)
    assert [session_id for _, session_id, _ in parts.deletions] == ["s-4"]
    assert told.report == {
        **{"term": 1, "scanned": 4, "due": 4, "exported": 1},
        **{"deleted": 1, "gone": 1, "failed": 2},
    }
    (tmp_path / "s-3.1000.3.json").rmdir()
    await runs_of(parts, tmp_path).make(2, told)
    assert told.report["deleted"] == 3
    assert parts.sessions == {}


async def test_an_answer_that_was_lost_keeps_the_export(told: Told, tmp_path: Path) -> None:
    """What is gone may have gone by our own hand: its file is all that is left."""
    parts = Parts(summary("s-1"))

    class Lost(Parts):
        async def delete(self, session_id: str, **asked: Any) -> None:
            await super().delete(session_id, **asked)
            raise SessionNotFound

    lost = Lost()
    lost.__dict__ = parts.__dict__
    await runs_of(lost, tmp_path).make(1, told)
    assert told.report["gone"] == 1
    assert files(tmp_path) == {"s-1.1000.3.json"}


async def test_who_is_too_late_takes_no_export_of_another_away(told: Told, tmp_path: Path) -> None:
    """It stood still since its answer; the next holder has exported and deleted what came then."""
    parts = Parts(summary("s-1"))

    class Late(Parts):
        async def delete(self, session_id: str, **asked: Any) -> None:
            parts.sessions[session_id] = summary(session_id, revision=4)
            try:
                await super().delete(session_id, **asked)
            finally:
                await runs_of(parts, tmp_path).make(2, told)

    late = Late()
    late.__dict__ = parts.__dict__
    await runs_of(late, tmp_path).make(1, told)
    assert told.report == {"term": 1, "scanned": 1, "due": 1, "exported": 1, "stale": 1}
    assert parts.sessions == {}
    assert files(tmp_path) == {"s-1.1000.4.json"}


async def test_a_session_that_breaks_an_export_does_not_end_the_run(told: Told) -> None:
    """Whatever it is: the next run would break at the same one."""
    parts = Parts(summary("s-1"), summary("s-2"))

    class Broken(Parts):
        async def delete(self, session_id: str, **asked: Any) -> None:
            if session_id == "s-1":
                raise ValueError
            await super().delete(session_id, **asked)

    broken = Broken()
    broken.__dict__ = parts.__dict__
    await runs_of(broken).make(1, told)
    assert told.report == {"term": 1, "scanned": 2, "due": 2, "deleted": 1, "failed": 1}


async def test_a_run_that_was_cut_off_is_made_anew(told: Told, tmp_path: Path) -> None:
    """Cut off between export and deletion; a half of another file lies about."""
    parts = Parts(summary("s-1"), summary("s-2"))
    begun = asyncio.Event()

    class Stuck(Parts):
        async def delete(self, session_id: str, **asked: Any) -> None:
            begun.set()
            await asyncio.Event().wait()

    stuck = Stuck()
    stuck.__dict__ = parts.__dict__
    run = asyncio.create_task(runs_of(stuck, tmp_path).make(1, told))
    await begun.wait()
    run.cancel()
    await asyncio.wait({run})
    assert told.report["term"] == 1
    (tmp_path / ".half.part").write_text("{")
    await runs_of(parts, tmp_path).make(2, told)
    assert told.report["deleted"] == 2
    assert len(parts.deletions) == 2
    assert files(tmp_path) == {"s-1.1000.3.json", "s-2.1000.3.json"}


async def test_a_history_that_ends_too_early_deletes_nothing(told: Told, tmp_path: Path) -> None:
    """There is no export that lacks something."""
    parts = Parts(summary("s-1"))

    class Short(Parts):
        async def history(self, session_id: str) -> Any:
            async for response in super().history(session_id):
                if not response.events or response.events[0].event.seq < 3:
                    yield response

    short = Short()
    short.__dict__ = parts.__dict__
    await runs_of(short, tmp_path).make(1, told)
    assert told.report["failed"] == 1
    assert set(parts.sessions) == {"s-1"}
    assert files(tmp_path) == set()


async def test_a_scan_that_breaks_tells_what_was_done(told: Told) -> None:
    """The report comes, and then the failure."""
    parts = Parts(summary("s-1"))
    parts.scan_breaks = Unavailable()
    with pytest.raises(Unavailable):
        await runs_of(parts).make(1, told)
    assert told.report["scanned"] == 1
    assert told.report["deleted"] == 1


async def test_a_dry_run_lists_what_would_go(told: Told, tmp_path: Path) -> None:
    """Nothing is exported or deleted."""
    held = summary("held")
    held.held = True
    parts = Parts(summary("s-1"), summary("s-2", "bob"), held)
    await runs_of(parts, tmp_path).list(told)
    assert [(line["session"], line["user"], line["policy"]) for line in told.lines[:-1]] == [
        ("s-1", "alice", "completed"),
        ("s-2", "bob", "completed"),
    ]
    assert told.lines[0]["lastActive"] == "1970-01-01T00:00:02.000Z"
    assert told.report == {"scanned": 3, "due": 2, "dryRun": True}
    assert len(parts.sessions) == 3
    assert files(tmp_path) == set()


async def test_only_so_many_are_handled_at_once(told: Told) -> None:
    """Gentle on Live, however much is due."""
    parts = Parts(*(summary(f"s-{number:02}") for number in range(40)))
    at_work = most = 0

    class Slow(Parts):
        async def delete(self, session_id: str, **asked: Any) -> None:
            nonlocal at_work, most
            at_work += 1
            most = max(most, at_work)
            for _ in range(3):
                await asyncio.sleep(0)
            await super().delete(session_id, **asked)
            at_work -= 1

    slow = Slow()
    slow.__dict__ = parts.__dict__
    await runs_of(slow).make(1, told)
    assert told.report["deleted"] == 40
    assert most == 8


async def test_pages_are_asked_for_at_a_pace(told: Told, monkeypatch: pytest.MonkeyPatch) -> None:
    """Gentle on etcd, however little is due: the first at once, and each other one in its turn."""
    monkeypatch.setattr(runs, "PAGE", 2)
    monkeypatch.setattr(runs, "PAGES_PER_SECOND", 20.0)
    clock = asyncio.get_running_loop().time
    asked_at: list[float] = []

    class Paged(Parts):
        async def scan_pages(self, size: int) -> AsyncGenerator[Sequence[SessionSummary], None]:
            async for page in super().scan_pages(size):
                asked_at.append(clock())
                yield page

    parts = Paged(*(summary(f"s-{number}") for number in range(7)))
    began = clock()
    await runs_of(parts).list(told)
    assert told.report["scanned"] == 7
    assert len(asked_at) == 4
    for number, at in enumerate(asked_at):
        assert at - began >= number / 20 - 0.001


async def test_a_scan_goes_from_page_to_page() -> None:
    """Each is asked for when the one before was used, by its token."""
    asked: list[ScanSessionsRequest] = []

    class Asked(Installation):
        async def _ask(self, replicas: Any, method: Any, request: Any, **_: Any) -> Any:
            asked.append(ScanSessionsRequest.FromString(request.SerializeToString()))
            token = "" if len(asked) == 3 else f"after-{len(asked)}"
            return ScanSessionsResponse(
                sessions=[summary(f"s-{len(asked)}")], next_page_token=token
            )

    calls = object.__new__(Asked)
    calls._store = Replicas([], 0)
    found = []
    async for page in calls.scan_pages(50):
        found += [each.id for each in page]
        assert len(asked) == len(found)
    assert found == ["s-1", "s-2", "s-3"]
    assert [each.page_token for each in asked] == ["", "after-1", "after-2"]
    assert {each.page_size for each in asked} == {50}


async def test_a_hold_that_came_meanwhile_is_no_failure(told: Told) -> None:
    """It is counted, and told as what it is."""
    parts = Parts(summary("s-1"))
    parts.fails = {"s-1": LegalHold()}
    await runs_of(parts).make(1, told)
    assert told.report == {"term": 1, "scanned": 1, "due": 1, "held": 1}


async def test_figures_say_what_became_of_each_session(told: Told) -> None:
    """And when the last run came to its end, which one that broke off did not."""
    registry, prefix = CollectorRegistry(), "sessiond_retention"
    ended = f"{prefix}_last_run_timestamp_seconds"

    def counted(name: str, outcome: str) -> float | None:
        return registry.get_sample_value(f"{prefix}_{name}_total", {"outcome": outcome})

    parts = Parts(*(summary(f"s-{number}") for number in range(6)))
    parts.fails = {"s-1": SessionNotFound(), "s-2": Unavailable(), "s-3": StaleRevision(9)}
    parts.held = {"s-4"}
    parts.scan_breaks = Unavailable()
    runs = runs_of(parts, registry=registry)
    with pytest.raises(Unavailable):
        await runs.make(1, told)
    settled = {outcome: counted("sessions", outcome) for outcome in OUTCOMES}
    assert settled == {"deleted": 2, "stale": 1, "held": 1, "gone": 1, "failed": 1}
    assert settled == {outcome: told.report[outcome] for outcome in OUTCOMES}
    assert (counted("runs", "whole"), counted("runs", "broken")) == (0, 1)
    assert registry.get_sample_value(ended) == 0
    parts.scan_breaks = None
    await runs.make(1, told)
    assert (counted("runs", "whole"), counted("runs", "broken")) == (1, 1)
    assert registry.get_sample_value(ended) == NOW_MS / 1000
