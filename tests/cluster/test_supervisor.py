"""Parts come up in order, go down in reverse, and are reported when they die."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from cluster.part import PartDied, PartNotReady
from cluster.supervisor import Cluster
from tests.cluster.stand_ins import entries, stand_in


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    return tmp_path / "journal"


async def test_stages_come_up_in_order_and_go_down_in_reverse(
    ports: Iterator[int], tmp_path: Path, journal: Path
) -> None:
    """A stage starts when the one before is ready, and stops when the one after has ended."""
    stages = [[stand_in(f"{name}-1", next(ports), journal)] for name in ("low", "mid", "high")]
    told: list[str] = []
    async with Cluster(stages, logs=tmp_path, told=lambda part: told.append(part.name)):
        assert told == ["low-1", "mid-1", "high-1"]
    assert entries(journal) == [
        *("low-1 up", "mid-1 up", "high-1 up"),
        *("high-1 asked to stop", "mid-1 asked to stop", "low-1 asked to stop"),
    ]


async def test_a_part_that_dies_at_start_is_named_with_its_last_words(
    ports: Iterator[int], tmp_path: Path, journal: Path
) -> None:
    """The error has the name, the exit code and the end of the log; what ran before is stopped."""
    low = stand_in("low-1", next(ports), journal)
    broken = stand_in("broken-1", next(ports), journal, "broken")
    cluster = Cluster([[low], [broken]], logs=tmp_path)
    with pytest.raises(PartDied, match=r"(?s)broken-1 died with exit code 7; .*the last word"):
        async with cluster:
            pass
    assert not cluster.running("low-1")
    assert entries(journal)[-1] == "low-1 asked to stop"


async def test_a_part_that_does_not_get_healthy_is_named(
    ports: Iterator[int], tmp_path: Path, journal: Path
) -> None:
    """Patience ends; the error names the part, and the part is stopped."""
    cluster = Cluster(
        [[stand_in("ill-1", next(ports), journal, "sick")]], logs=tmp_path, patience=1
    )
    with pytest.raises(PartNotReady, match="ill-1 runs but is not healthy after 1 s"):
        async with cluster:
            pass
    assert not cluster.running("ill-1")


async def test_a_program_that_is_not_there_is_named(
    ports: Iterator[int], tmp_path: Path, journal: Path
) -> None:
    """The last line of the log says which program could not be run, and why."""
    part = replace(stand_in("gone-1", next(ports), journal), argv=("/no/such/program",))
    with pytest.raises(PartDied, match="cannot run /no/such/program: No such file or directory"):
        async with Cluster([[part]], logs=tmp_path):
            pass


async def test_watch_reports_a_death_that_nobody_asked_for(
    ports: Iterator[int], tmp_path: Path, journal: Path
) -> None:
    """`watch` ends with the name and the last words of a part that died by itself."""
    parts = [stand_in(name, next(ports), journal) for name in ("good-1", "bad-1")]
    async with Cluster([parts], logs=tmp_path) as cluster:
        watching = asyncio.create_task(cluster.watch())
        os.kill(cluster.pid("bad-1"), signal.SIGUSR1)
        with pytest.raises(PartDied, match=r"(?s)bad-1 died with exit code 7; .*the last word"):
            await asyncio.wait_for(watching, 20)


async def test_watch_does_not_report_what_was_killed_here(
    ports: Iterator[int], tmp_path: Path, journal: Path
) -> None:
    """A part that a test kills, stops or restarts is no accident."""
    parts = [stand_in(f"part-{n}", next(ports), journal) for n in (1, 2, 3)]
    async with Cluster([parts], logs=tmp_path) as cluster:
        watching = asyncio.create_task(cluster.watch())
        await cluster.kill("part-1")
        await cluster.stop("part-2")
        await cluster.restart("part-3")
        assert not watching.done()
        watching.cancel()


async def test_a_part_that_does_not_stop_is_killed(
    ports: Iterator[int], tmp_path: Path, journal: Path
) -> None:
    """SIGTERM first; SIGKILL once `drain_seconds` are over."""
    part = stand_in("deaf-1", next(ports), journal, "stubborn", drain_seconds=0.5)
    async with Cluster([[part]], logs=tmp_path) as cluster:
        assert await cluster.stop("deaf-1") == -9
    assert entries(journal) == ["deaf-1 up", "deaf-1 asked to stop"]


async def test_a_suspended_part_can_be_stopped(
    ports: Iterator[int], tmp_path: Path, journal: Path
) -> None:
    """A part that a test left suspended still hears the request to stop."""
    async with Cluster([[stand_in("part-1", next(ports), journal)]], logs=tmp_path) as cluster:
        cluster.suspend("part-1")
        assert await cluster.stop("part-1") == 0


async def test_parts_are_found_by_kind_and_by_name(
    ports: Iterator[int], tmp_path: Path, journal: Path
) -> None:
    """`addresses` gives all of a kind in order, `address` one."""
    parts = [stand_in(name, next(ports), journal) for name in ("a-1", "b-1", "a-2")]
    cluster = Cluster([parts], logs=tmp_path)
    assert cluster.addresses("a") == [parts[0].address, parts[2].address]
    assert cluster.address("b-1") == parts[1].address
