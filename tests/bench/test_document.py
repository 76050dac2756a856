"""What a run says: figures beside floors and peers, and what became of the targets."""

from __future__ import annotations

from pathlib import Path

import orjson
import pytest

from bench.document import with_peers
from bench.peer_rows import ratios, read
from bench.tables import lines, summary
from bench.targets import TARGETS
from tests.bench.documents import appends, made, pair, peer

ADK = "ADK DatabaseSessionService, Postgres"


def verdicts(document: dict[str, object]) -> dict[str, bool | None]:
    rows = document["rows"]
    assert isinstance(rows, list)
    return {each["asked"]: each["met"] for row in rows for each in row["targets"]}


def test_a_target_is_met_or_not() -> None:
    """The verdict is the figure's, and a peer that was not measured leaves it open."""
    good, bad = made(appends(ours=76, floor=100)), made(appends(ours=74, floor=100))

    assert verdicts(good) == {">= 0.75 of the bare pipeline": True, ">= 15x Google ADK": None}
    assert verdicts(bad)[">= 0.75 of the bare pipeline"] is False


@pytest.mark.parametrize(("rate", "met"), [(250.0, True), (300.0, False)])
def test_peers_stand_beside_ours(rate: float, met: bool) -> None:
    """How many times a peer's rate ours is, where both do the same."""
    document = made(appends(ours=4_000, floor=5_000), [peer(rate)])

    assert verdicts(document)[">= 15x Google ADK"] is met
    assert document["rows"][1]["peers"][ADK] == pytest.approx(4_000 / rate, rel=0.001)
    assert document["rows"][0]["peers"] == {}


def test_peers_may_come_later() -> None:
    """A document that was written without them says the same as one with them from the start."""
    rows, peers = appends(ours=4_000, floor=5_000), [peer(250)]

    assert with_peers(made(rows), peers) == made(rows, peers)
    assert with_peers(made(rows, peers), None) == made(rows)


def test_a_peer_is_taken_where_it_was_as_busy_as_it_gets() -> None:
    """512 of ours stand beside the most that a peer was asked for at once, and no fewer do more."""
    named = {"sessions": 512, "streams": 4}
    _, row = pair("appends", named, 100, 100, names=("Live, streams", "bare pipeline"))
    peers = [peer(10, in_flight=16), peer(25, in_flight=128), peer(50, in_flight=1024)]

    assert ratios(row, peers) == {ADK: 4}


def test_latencies_are_targets_too() -> None:
    """`<=` figures are judged from above."""
    (_, slow) = pair("loads", {"messages": 1_000}, 40, 100, names=("gateway, REST", "pair"))
    (_, fast) = pair("loads", {"messages": 1_000}, 60, 100, names=("gateway, REST", "pair"))

    assert verdicts(made([slow])) == {"<= 20 ms": False}
    assert verdicts(made([fast])) == {"<= 20 ms": True}


def test_every_line_of_the_specification_is_a_target() -> None:
    """One for each figure of its section 8, for the tokens of section 4, the kill of section 7."""
    assert len({target.line for target in TARGETS}) == 12


def test_what_is_written_has_four_digits_and_can_be_read() -> None:
    """The document is JSON, whatever was measured."""
    document = made(appends(ours=1_234.5678, floor=2_000))

    assert orjson.loads(orjson.dumps(document)) == document
    assert document["rows"][1]["rate"]["median"] == 1_235


def test_everything_is_printed() -> None:
    """Ours in bold, with floors, peers and verdicts."""
    printed = "\n".join(lines(made(appends(ours=60, floor=80), [peer(10)])))

    assert "| 128 | 128 | **Live, streams** | 60 | 60..60 |" in printed
    assert "0.75 of bare pipeline" in printed
    assert f"6.0x {ADK}" in printed
    assert (
        "| 128 sessions, one stream each | Live, streams: 128 sessions, 128 streams | >= 0.75"
        in printed
    )


def test_missing_peers_and_busy_machines_are_told() -> None:
    """Figures that are worth little say so."""
    document = made(appends(ours=1, floor=1))
    assert "`make bench-peers`" in "\n".join(summary(document))

    document["cpu_of_others"] = 0.4
    assert "40% of the CPUs" in "\n".join(summary(document))
    assert "`make bench-peers`" not in "\n".join(summary(made(appends(1, 1), [peer(1)])))


def test_what_the_other_bench_wrote_is_read(tmp_path: Path) -> None:
    """Peers have names for people, and rows by their keys."""
    path = tmp_path / "peers.json"
    assert read(path) is None
    spread = {"median": 2.0, "least": 1.0, "most": 3.0}
    row = {
        "group": "loads",
        "in_flight": 1,
        "messages": 200,
        "sessions": 1,
        "peer": "a-peer",
        "per_second": spread,
        "p50_ms": 500.0,
        "p99_ms": 900.0,
        "cpu_ms": {"peer": 1.0},
        "calls": 9,
    }
    path.write_bytes(orjson.dumps({"peers": {"a-peer": {"name": "A peer"}}, "rows": [row]}))

    found = read(path)

    assert found is not None
    assert [each.name for each in found] == ["A peer"]
    _, loads = pair("loads", {"messages": 200}, 8, 1, names=("Store, gRPC", "pair"))
    assert ratios(loads, found) == {"A peer": 4}
