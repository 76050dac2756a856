"""The show of retention: on real parts once, and that its judgement can say no."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest

from cluster.etcd_binary import EtcdBinary
from show import retention
from show.outcome import Outcome
from show.retention import Size, World, exported_wrong, left_wrong, seen_wrong

SMALL = Size(sessions=200, users=5, per_second=20)


def files(folder: Path) -> set[str]:
    return {path.name for path in folder.rglob("*")}


def world() -> World:
    return World(due={"d-1", "d-2"}, staying={"s"}, held={"h"}, removed=Counter(["d-1", "d-2"]))


async def test_what_is_due_goes_once_though_its_process_dies(
    etcd_binary: EtcdBinary, tmp_path: Path
) -> None:
    """A few sessions, slowly enough that one process cannot do it all before it is killed."""
    outcome = Outcome("retention", 1)
    await retention.run(
        etcd_binary,
        outcome,
        seconds=60,
        told=lambda _: None,
        data=tmp_path,
        size=SMALL,
    )
    told = json.loads(outcome.line())
    assert outcome.ok, told
    assert (told["sessions"], told["due"]) == (200, 170)
    assert 85 <= told["gone_when_killed"] < 170
    assert 0 < told["deleted_by_the_next"] <= 170 - told["gone_when_killed"]
    assert files(tmp_path) == set()


def test_all_as_it_should_be_is_no_complaint() -> None:
    good = [("d-1", ""), ("d-2", "")]
    complaints = [
        *seen_wrong(world()),
        *left_wrong(world(), {"s", "h"}),
        *exported_wrong(world(), good),
    ]
    assert complaints == []


@pytest.mark.parametrize(
    ("removed", "said"),
    [
        ("d-1 d-2 d-2", "1 sessions were seen to go more than once; the first: d-2"),
        ("d-1 d-2 s", "1 sessions were seen to go and were not due; the first: s"),
        ("d-1", "1 sessions were due and not seen to go; the first: d-2"),
    ],
)
def test_what_was_seen_is_judged(removed: str, said: str) -> None:
    seen = world()
    seen.removed = Counter(removed.split())
    assert seen_wrong(seen) == [said]


@pytest.mark.parametrize(
    ("left", "said"),
    [
        ("s h d-1", "1 sessions were due and are still there; the first: d-1"),
        ("s", "1 sessions were held and are gone; the first: h"),
        ("h", "1 sessions were not due and are gone; the first: s"),
    ],
)
def test_what_is_left_is_judged(left: str, said: str) -> None:
    assert left_wrong(world(), set(left.split())) == [said]


@pytest.mark.parametrize(
    ("exports", "said"),
    [
        ([("d-1", ""), ("d-2", "bad")], "1 sessions were exported badly; the first: d-2"),
        (
            [("d-1", ""), ("d-2", ""), ("s", "")],
            "1 sessions were exported and not due; the first: s",
        ),
        ([("d-1", "")], "1 sessions are gone and were not exported; the first: d-2"),
        (
            [("d-1", ""), ("d-2", ""), ("d-2", "")],
            "1 sessions have more than one export; the first: d-2",
        ),
    ],
)
def test_exports_are_judged(exports: list[tuple[str, str]], said: str) -> None:
    assert exported_wrong(world(), exports) == [said]
