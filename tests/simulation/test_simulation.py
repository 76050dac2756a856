"""That schedules keep every promise, and are the same each time; `test_bugs.py` breaks some."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import random
import signal
import subprocess
import sys
from collections import Counter
from contextvars import Context
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from sessiond.session.changes import AppendMessage, RewindSession
from sessiond.session.standing import Rewound
from tests.faults.campaign import append, tree
from tests.simulation import judge
from tests.simulation.campaign import Tally, added_up
from tests.simulation.loop import Process, VirtualLoop
from tests.simulation.network import Connection, Network, Way
from tests.simulation.play import play
from tests.simulation.schedule import FAULTS, Schedule
from tests.unit.stories import CHAT, Story

SECONDS = float(os.environ.get("SESSIOND_SIMULATION_SECONDS", "90"))
"""How long schedules are played on all cores."""

AT_LEAST = 500
"""So many are played, however long it takes."""


@dataclass
class Listening:
    """A server of which nothing is asked."""

    process: Process


def campaign(*asked: str, runs: Path) -> subprocess.CompletedProcess[str]:
    """Play some schedules with the command, and keep its figures apart."""
    command = [sys.executable, "-m", "tests.simulation", *asked, "--runs", str(runs)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.alone
@pytest.mark.timeout(SECONDS + 900)
def test_no_schedule_breaks_a_promise(tmp_path: Path) -> None:
    """Whatever goes wrong, what clients saw is what the product promises."""
    played = 0
    asked: tuple[str, ...] = ("--schedules", "1000000", "--seconds", str(SECONDS))
    while played < AT_LEAST:
        done = campaign(*asked, "--seed", str(played), runs=tmp_path / "runs")
        assert done.returncode == 0, done.stderr[-20_000:]
        played += json.loads(done.stdout.splitlines()[-1])["schedules"]
        asked = ("--schedules", str(AT_LEAST - played))


def test_a_seed_is_the_same_story_each_time() -> None:
    """A schedule that is played again takes the same steps."""
    for seed in range(10):
        assert play(seed).digest == play(seed).digest


def test_a_story_does_not_depend_on_where_things_stand_in_memory() -> None:
    """What was made before, and is garbage or not by now, changes no step of a schedule."""
    draining = (
        seed
        for seed in itertools.count()
        if any(fault.kind == "drain" for fault in Schedule.of(seed).faults)
    )
    clutter = []
    for seed in itertools.islice(draining, 8):
        stories = set()
        for size in (30, 70, 110):
            clutter.append([bytearray(size) for _ in range(size)])
            verdict = play(seed)
            stories.add((verdict.digest, verdict.steps))
        assert len(stories) == 1


# What ends a step may come within what the collector calls, where it is lost; then it comes again.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_step_that_does_not_end_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """What never gives others a turn stops virtual time, and is named by where it goes round."""

    async def round_and_round(*_: object, **__: object) -> None:
        while True:
            pass

    monkeypatch.setattr("tests.simulation.play.STEP_SECONDS", 0.5)
    monkeypatch.setattr("tests.simulation.persons.Person.work", round_and_round)
    assert any(
        each.startswith("endless") and "round_and_round" in each for each in play(1).violations
    )


def test_another_seed_is_another_story() -> None:
    """Schedules differ, or many would be no more than one."""
    assert len({play(seed).digest for seed in range(10)}) == 10


def test_what_nobody_does_goes_on_while_who_asked_for_it_stands_still() -> None:
    """A write that is under way in etcd takes effect though its Store is killed."""
    loop, done, store = VirtualLoop(), list[str](), Process("store")

    async def story() -> None:
        store.context.run(loop.call_later, 1.0, done.append, "etcd's", context=Context())
        store.context.run(loop.call_later, 1.0, done.append, "the Store's")
        loop.freeze(store)
        await asyncio.sleep(2)
        assert done == ["etcd's"]
        loop.thaw(store)
        await asyncio.sleep(1)

    loop.play(story())
    assert done == ["etcd's", "the Store's"]


def test_what_was_sent_arrives_in_order_through_a_cut_and_a_stop() -> None:
    """What a cut held up comes before what came while its process stood still, as over TCP."""
    loop, came = VirtualLoop(), list[int]()
    network = Network(loop, random.Random(0))
    way = Way(network, "there", "here", here := Process("here"))

    async def story() -> None:
        network.cut.add(("there", "here"))
        way.send(came.append, 1)
        await asyncio.sleep(1)
        loop.freeze(here)
        way.send(came.append, 2)
        await asyncio.sleep(1)
        network.cut.clear()
        way.go_on()
        loop.thaw(here)
        await asyncio.sleep(1)

    loop.play(story())
    assert came == [1, 2]


def test_the_end_of_a_connection_is_heard_after_the_cut_that_held_it_up() -> None:
    """Who was killed behind a cut is known to be gone when the cut has ended."""
    loop, told = VirtualLoop(), list[str]()
    network = Network(loop, random.Random(0))
    here, server = Process("here"), Listening(Process("there"))
    network.listeners["there:1"] = server

    async def story() -> None:
        came: asyncio.Future[Connection | None] = loop.create_future()
        network.dial(here, "there:1", came.set_result)
        connection = await came
        assert connection is not None
        connection.on_broken[lambda: told.append("gone")] = here
        connection.break_(lose=False)
        network.part({("there", "here")})
        await asyncio.sleep(1)
        assert not told
        network.heal({("there", "here")})
        await asyncio.sleep(1)

    loop.play(story())
    assert told == ["gone"]


def test_a_schedule_has_at_least_fifty_operations() -> None:
    """Each schedule is long enough to be worth its faults."""
    assert all(len(play(seed).history.operations) >= 50 for seed in range(5))


def test_every_kind_of_fault_comes() -> None:
    """No kind of fault is left out of the first few hundred schedules."""
    come = {fault.kind for seed in range(300) for fault in Schedule.of(seed).faults}
    assert come == set(FAULTS)


def test_a_campaign_tells_what_it_played_in_its_last_line(tmp_path: Path) -> None:
    """`python -m tests.simulation` ends with one line of JSON, and well when nothing is broken."""
    done = campaign("--schedules", "30", "--seed", "7", runs=tmp_path / "runs")
    assert done.returncode == 0
    told = json.loads(done.stdout.splitlines()[-1])
    assert (told["schedules"], told["first_seed"], told["violated"]) == (30, 7, 0)
    assert told["operations"] >= 30 * 50


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_campaign_that_is_stopped_tells_what_it_played(
    number: signal.Signals, tmp_path: Path
) -> None:
    """Who stops a long campaign has its summary all the same, and no process is left."""
    asked = ("--schedules", "1000000", "--runs", str(tmp_path / "runs"))
    command = [sys.executable, "-m", "tests.simulation", *asked]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ
    ) as campaign:
        assert campaign.stdout is not None
        assert campaign.stderr is not None
        while "a minute" not in campaign.stderr.read(64):
            pass
        campaign.send_signal(number)
        told = json.loads(campaign.stdout.read().splitlines()[-1])
    assert campaign.returncode == 0
    assert 0 < told["schedules"] < 1000000
    assert told["virtual_seconds"] > 0


def test_runs_on_the_same_tree_add_up(tmp_path: Path) -> None:
    """Figures are summed over runs on the product as it stands here, and over each seed once."""
    runs = tmp_path / "runs.jsonl"
    tally = Tally(2, 100, 3, 9.0, faults=Counter({"reset": 2}))
    for product, first, last in (
        (tree(), 0, 1),
        (tree(), 1, 2),  # a seed of the first one again
        (tree(), 2, 3),
        ({"tree": {}, "dirty": False}, 4, 5),
    ):
        append(runs, {**tally.figures(1.5), **product, "first_seed": first, "last_seed": last})
    told = added_up(runs)
    assert (told["runs"], told["schedules"], told["seconds"]) == (2, 4, 3.0)
    assert told["faults"] == {"reset": 4}


def test_a_log_that_makes_no_session_is_named() -> None:
    """A product with a bug may write one: who judges it must not die of it."""
    story = Story(CHAT)
    story.make(AppendMessage("Hello"))
    story.make(RewindSession(1))
    *before, back = story.records
    assert list(judge._leads_to_the_past("s", story.records)) == []
    assert isinstance(back.event, Rewound)
    lost = back._replace(event=replace(back.event, last_message_seq=1))
    assert list(judge._leads_to_the_past("s", [*before, lost])) == ["s: the rewind 3 leads nowhere"]
