"""The peers' bench, without a network and without a Postgres."""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
import venv
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict
from pathlib import Path

import pytest

from bench.peers import command, environments, postgres, run, turn
from bench.peers.figures import percentile, rows, table
from bench.peers.load import drive
from bench.peers.plan import APPENDS, LISTS, LOADS, Case, Plan, Sample, Turn
from bench.peers.turn import Lost, Session, texts

README = Path(command.__file__).with_name("README.md")
CASE = Case(APPENDS, 2, 0, 2)


def sample(*latencies: float, case: Case = CASE, seconds: float = 1.0, cpu: float = 0.0) -> Sample:
    return Sample(case, seconds, list(latencies), {"peer": cpu})


class Database:
    """What is stored, by session; `loses` of the appends that it acknowledges."""

    def __init__(self, loses: int = 0) -> None:
        self.loses = loses
        self.stored: dict[str, int] = {"loaded-20": 20}


class Held:
    """A session of the fake peer."""

    def __init__(self, database: Database, name: str) -> None:
        self.messages = 0
        self._database = database
        self._name = name

    async def append(self) -> None:
        await asyncio.sleep(0)
        self.messages += 1
        if self._database.loses:
            self._database.loses -= 1
            return
        self._database.stored[self._name] = self._database.stored.get(self._name, 0) + 1

    async def stored(self) -> int:
        return self._database.stored[self._name]


class FakePeer:
    """A peer that keeps all in memory and cannot list."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def prepare(self) -> Mapping[str, object]:
        return {"connections": 1}

    async def sessions(self, case: Case, repeat: int) -> Sequence[Session]:
        return [Held(self._database, f"{case}-{number}") for number in turn.numbers(case, repeat)]

    async def load(self, messages: int) -> int:
        await asyncio.sleep(0)
        return self._database.stored[turn.loaded(messages)]

    def listing(self) -> Callable[[], Awaitable[int]] | None:
        return None


def opened_on(database: Database) -> turn.Opened:
    @asynccontextmanager
    async def opened(_turn: Turn, _texts: Iterator[str]) -> AsyncIterator[FakePeer]:
        yield FakePeer(database)

    return opened


async def took_turn(database: Database, repeat: int | None) -> list[str]:
    told = Turn(Plan.smallest(), "memory", None, repeat)
    return await turn.take(Turn.from_json(told.to_json()), opened_on(database), ["pytest"])


def test_rates_are_compared_turn_by_turn_and_latencies_all_together() -> None:
    """A row is the median of the turns, and the percentiles of all calls of all turns."""
    turns = [
        sample(0.001, 0.002, seconds=1.0, cpu=0.5),
        sample(0.003, 0.004, 0.005, seconds=0.5, cpu=0.3),
        sample(0.006, seconds=2.0, cpu=0.3),
    ]

    (row,) = rows({"adk-postgres": turns})

    assert row["per_second"] == {"median": 2.0, "least": 0.5, "most": 6.0}
    assert row["p50_ms"] == pytest.approx(4)
    assert row["p99_ms"] == pytest.approx(6)
    assert row["cpu_ms"] == {"peer": pytest.approx(250)}
    assert row["calls"] == 6


def test_each_peer_has_a_row_for_each_case() -> None:
    """Whoever did not take part in a case has no row there."""
    load = Case(LOADS, 1, 200, 1)

    found = rows({"one": [sample(1), sample(1, case=load)], "other": [sample(1)]})

    measured = [(row["peer"], row["group"]) for row in found]
    assert measured == [("one", APPENDS), ("one", LOADS), ("other", APPENDS)]


def test_a_percentile_was_measured() -> None:
    """So many percent of the values do not exceed it."""
    values = [float(value) for value in range(100, 0, -1)]

    assert [percentile(values, percent) for percent in (0, 50, 99)] == [1, 51, 100]
    assert percentile([7.0], 99) == 7


def test_the_page_documents_each_field_of_a_row() -> None:
    """The main bench, and people, read the rows by these names."""
    (row,) = rows({"adk-postgres": [sample(0.001)]})

    documented = re.findall(r"^\| `(\w+)` \|", README.read_text(), re.MULTILINE)

    assert documented == list(row)


def test_every_row_is_printed() -> None:
    """What is written as JSON is also there for the eye."""
    found = rows({"one": [sample(0.5, 0.5)]})

    printed = list(table(found, {"one": "The one"}))

    assert len(printed) == 3
    assert printed[2].startswith("| appends | 0 | 2 | 2 | The one | 2 | 2..2 | 500.00 | 500.00 |")


def test_the_cases_are_those_of_the_main_bench() -> None:
    """One, 16 and 128 appends in flight, with and without history; loads; a list."""
    cases = set(Plan().cases())

    assert {case for case in cases if case.group == APPENDS} == {
        Case(APPENDS, in_flight, messages, in_flight)
        for in_flight in (1, 16, 128)
        for messages in (0, 1000)
    }
    assert {case.messages for case in cases if case.group == LOADS} == {200, 1000, 10_000}
    assert Case(LISTS, 1, 0, 1000) in cases


def test_a_message_has_the_bytes_that_the_plan_says() -> None:
    """And they go on without end."""
    some = [next(each) for each in [texts(512)] for _ in range(200)]

    assert {len(text.encode()) for text in some} == {512}
    assert len(set(some)) > 1


async def test_a_window_lasts_until_every_caller_was_answered_in_it() -> None:
    """A rate counts slow calls too, however short the window is."""
    calls = {"quick": 0, "slow": 0}

    async def quick() -> None:
        await asyncio.sleep(0)
        calls["quick"] += 1

    async def slow() -> None:
        for _ in range(50):
            await asyncio.sleep(0)
        calls["slow"] += 1

    found = await drive(CASE, [quick, slow], warm_up=0, seconds=0, usage=dict)

    assert calls["slow"] == 2, "one to warm up, and one that counts"
    assert 50 < len(found.latencies) < calls["quick"]
    assert max(found.latencies) <= found.seconds


async def test_cpu_is_that_of_the_window() -> None:
    """What was used before it, to warm up, does not count."""
    used = iter(({"peer": 1.0}, {"peer": 3.5}))

    async def call() -> None:
        await asyncio.sleep(0)

    found = await drive(CASE, [call], warm_up=0, seconds=0, usage=lambda: next(used))

    assert found.cpu == {"peer": 2.5}


async def test_a_turn_measures_all_that_the_peer_can_do() -> None:
    """Every line is a sample; a library that cannot list has no sample of lists."""
    lines = await took_turn(Database(), repeat=0)

    measured = [Sample.from_json(line) for line in lines]
    assert [each.case for each in measured] == [
        case for case in Plan.smallest().cases() if case.group != LISTS
    ]
    assert all(each.latencies and each.seconds > 0 and "peer" in each.cpu for each in measured)


async def test_before_the_first_turn_a_peer_says_what_it_is() -> None:
    """Versions and settings belong to figures."""
    (line,) = await took_turn(Database(), repeat=None)

    assert json.loads(line) == {
        "packages": {"pytest": pytest.__version__},
        "settings": {"connections": 1},
    }


async def test_an_append_that_was_acknowledged_and_is_not_stored_fails_the_turn() -> None:
    """Only what is durable counts."""
    with pytest.raises(Lost):
        await took_turn(Database(loses=1), repeat=0)


async def test_a_load_that_brings_less_fails_the_turn() -> None:
    """There is no rate of answers that are wrong."""
    database = Database()
    database.stored["loaded-20"] = 19

    with pytest.raises(ExceptionGroup) as raised:
        await took_turn(database, repeat=0)

    assert raised.group_contains(Lost)


def test_one_alone_appends_to_another_session_in_each_turn() -> None:
    """A quick caller would double its history otherwise."""
    assert list(turn.numbers(Case(APPENDS, 1, 1000, 1), repeat=2)) == [2]
    assert list(turn.numbers(Case(APPENDS, 3, 1000, 3), repeat=2)) == [0, 1, 2]


def test_without_postgres_nothing_is_measured_and_nothing_fails(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A clear line says so; what was measured before stays as it is."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(postgres, "DEBIAN", tmp_path)

    assert command.main(["--output", str(tmp_path / "peers.json")]) == 0

    assert "skipped: there is no Postgres here" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_the_newest_postgres_of_debian_is_taken(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Debian's programs are not on PATH; 9 is older than 15."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(postgres, "DEBIAN", tmp_path)
    for version in ("9", "15"):
        (tmp_path / version / "bin").mkdir(parents=True)
        (tmp_path / version / "bin" / "initdb").touch()

    assert postgres.programs() == tmp_path / "15" / "bin"


def test_a_library_that_cannot_be_installed_is_skipped_with_its_reason(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The others are measured all the same."""
    installs: list[Path] = []

    def pip(argv: Sequence[object], **_: object) -> subprocess.CompletedProcess[str]:
        installs.append(Path(str(argv[-1])))
        failed = installs[-1].stem == "adk"
        return subprocess.CompletedProcess([], int(failed), "", "no index was reached\n")

    def made(home: Path, *, with_pip: bool) -> None:
        assert with_pip
        (home / "bin").mkdir(parents=True)

    told: list[str] = []
    monkeypatch.setattr(subprocess, "run", pip)
    monkeypatch.setattr(venv, "create", made)

    both = ("adk", "langgraph")
    found = environments.environments(both, tmp_path, told=told.append)
    again = environments.environments(["langgraph"], tmp_path, told=told.append)

    assert found == again == {"langgraph": tmp_path / "langgraph" / "bin" / "python"}
    assert "skipped: adk could not be installed: no index was reached" in told
    assert [path.stem for path in installs] == ["adk", "langgraph"], "made once, and then reused"


@pytest.mark.parametrize("library", sorted({peer.library for peer in run.PEERS}))
def test_each_library_is_pinned_with_hashes(library: str) -> None:
    """The figures of two runs are of the same code."""
    pinned = (environments.HERE / f"{library}.txt").read_text()
    asked = (environments.HERE / f"{library}.in").read_text()

    for wanted in re.findall(r"^([a-z-]+)", asked, re.MULTILINE):
        assert re.search(rf"^{wanted}(\[[\w,]+\])?==\S+ .*\\$", pinned, re.MULTILINE), wanted
    assert pinned.count("==") <= pinned.count("--hash=sha256:")


def test_figures_are_written_with_four_digits(tmp_path: Path) -> None:
    """More would only be noise, and a difference in each commit."""
    command.write({"plan": asdict(CASE), "rows": [{"p50_ms": 1.23456789}]}, tmp_path / "a" / "b")

    assert json.loads((tmp_path / "a" / "b").read_text())["rows"] == [{"p50_ms": 1.235}]
